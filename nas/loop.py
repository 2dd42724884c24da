"""`search` and `resume`: from what a user writes to a run. What happens in between is `search_loop`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.arguments import (
    again_of,
    bound_space,
    budget_of,
    changed_recipe,
    check_inherits,
    check_numbers,
    check_prescreen,
    check_resized,
    deterministic_workers,
    evaluator_name,
    fitting_rungs,
    free_folder,
    load_recipe,
    resolutions_of,
)
from nas.attempts import NothingFeasible
from nas.budget import Budget, stored_budget
from nas.chosen import choose, given_strategy
from nas.coordinator import search_loop
from nas.errors import RunError
from nas.events import Event
from nas.given import find_baselines, find_starts, recorded_starts
from nas.interrupts import Interrupts, Stopped, fault_trace
from nas.recipe import Recipe, Task
from nas.run import Run, open_run
from nas.schedule import checked_rungs, epochs_each
from nas.session import Function, evaluating, logged, recorded
from nas.settings import run_settings, start_options
from nas.strategies.inheriting import Inheriting
from nas.strategies.start_from import StartFrom
from nas.strategies.table import AUTO
from nas.userfile import load_object
from nas.warm import earlier_of, earlier_settings, find_earlier, recorded_earlier

if TYPE_CHECKING:
    from nas.domains import Genotype
    from nas.evaluators.base import Evaluator
    from nas.objectives import Objective
    from nas.problem import ExactCost
    from nas.space import Space
    from nas.strategies.base import Earlier, Strategy

__all__ = ["NothingFeasible", "SearchStopped", "resume", "search", "search_loop"]


class SearchStopped(Stopped):
    """Raised by `search` after a signal stopped it cleanly: nothing is lost, the same call goes on.

    Attributes:
        run: The run so far.
    """

    def __init__(self, run: Run, signal: int) -> None:
        super().__init__(f"search in {run.folder} was stopped; the same command goes on with it", signal)
        self.run = run


def search(
    space: Space | str | Path,
    data: Any = None,
    *,
    strategy: str | Strategy = AUTO,
    objectives: Sequence[str | Objective] = ("val_accuracy", "params"),
    constraints: Sequence[str] = (),
    budget: str | float | Budget | None = None,
    evaluations: str | int | None = None,
    epochs_total: str | int | None = None,
    epochs: int | Sequence[int] = 3,
    resolutions: Sequence[int] = (),
    recipe: Recipe | str | None = None,
    recipe_options: Mapping[str, Any] | None = None,
    task: Task | None = None,
    workers: int | None = None,
    device: str = "auto",
    deterministic: bool = False,
    deadline: float | None = 3600.0,
    seed: int = 0,
    out: str | Path | None = None,
    evaluator: Evaluator | Function | str | None = None,
    costs: Mapping[str, ExactCost | str] | None = None,
    start_from: Sequence[str] | Mapping[str, Genotype] = (),
    baselines: Sequence[str] = (),
    warm_start: Sequence[str | Path | Run | Earlier] = (),
    inherit: bool = False,
    prescreen: int = 0,
    train_seeds: int = 1,
    folds: int = 0,
    data_options: Mapping[str, Any] | None = None,
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
    strategy_options: Mapping[str, Any] | None = None,
    progress: Callable[[Event], None] | None = None,
) -> Run:
    """Searches a space, or goes on with a search of the same settings in the same folder.

    Args:
        space: A `Space`, or where one is found (see `nas.load_space`).
        data: What is trained and validated on (see `nas.data.load_data`); None where the evaluator needs none.
        strategy: Name of a strategy (`nas list strategies`), `FILE.py:Class`, `FILE.py:factory`, or an object; "auto" goes on
            with the strategy of the run, and chooses one where the run is new (see `nas.chosen`).
        objectives: What is ranked, the first one first.
        constraints: Bounds on exact costs, such as "params<=100k".
        budget: A time over all starts ("30min"), or on top of what was spent ("+4h"), or a `Budget`.
        evaluations: Distinct networks to evaluate over all starts (50), or on top of those that were ("+50").
        epochs_total: Epochs to train over all networks and starts (500), or on top of those that were ("+500").
        epochs: Epochs of each brief training; or rising rungs such as (1, 3, 9): all networks are trained for the fewest, and of
            three the best goes on to the next rung from where it stands (see `nas.schedule`).
        resolutions: Pixels along the images' longer side at each rung, such as (14, 20, 28): lower rungs see smaller
            images, which costs less; the last is the images' own (see `nas.resolutions`).
        recipe: How networks are trained, fields open or closed; `FILE.py[:NAME]`; None: the space's own, else `Recipe()`.
        recipe_options: Fields of the recipe to change, such as `{"class_weights": "balanced"}`.
        task: What is predicted and measured; a metric of your own `FILE.py:f` is recorded as `val_f` (objective "val_f:max").
        workers: Evaluations at a time; None: one a core.
        device: `auto`, `cpu`, `cuda` or `mps`.
        deterministic: Train in fp32, by deterministic algorithms and one network at a time: the same call with a number of
            evaluations gives the same rows on the same machine.
        deadline: Seconds after which one evaluation is ended as timed out; None: never.
        seed: Of the search and of every training.
        out: The run folder; None: `runs/SPACE-STRATEGY-N`, the first N that is free.
        evaluator: Instead of training: `f(architecture) -> dict`, `FILE.py:f`, or an `Evaluator` (which stays open). With several
            rungs `f(architecture, epochs)`.
        costs: Exact costs of your own by name: `f(graph) -> int` or `FILE.py:f`.
        start_from: Networks of the space to evaluate first, made anew for its images and classes (see `nas.find_network`); or
            genotypes by name.
        baselines: Networks to train first under the same recipe, whether the space contains them or not, and whatever the
            constraints say; they are shown beside the front and count towards no limit.
        warm_start: Folders of earlier runs that the strategy learns from, on other data or of another space too (see `nas.warm`).
        inherit: Let networks that are made from others begin with the weights of the one they share most with (`nas.growth`): they
            are trained longer in effect, so a search compares them less fairly. `prune` does so anyway.
        prescreen: For each proposal so many candidates are scored untrained, and the most promising at equal cost is trained, as
            long as that helps (`nas.prescreen`); 1 scores without choosing, 0 scores nothing.
        train_seeds: At the end networks on the front, and those whose interval reaches it, are trained again until each was with
            so many seeds; they are ranked by the means. At most a quarter of a budget of time or epochs is kept for it.
        folds: Likewise, but on so many folds of the training and validation images, instead of with other seeds.
        data_options: Passed on to `load_data`.
        input_shape: `(channels, height, width)` of the images, where there are no data and the space leaves it open.
        classes: How many classes there are, likewise.
        strategy_options: Settings of the strategy, such as `{"population": 20}`.
        progress: Told of every event (see `nas.events`).

    Returns:
        The run.

    Raises:
        SearchStopped: After Ctrl-C, SIGTERM or SIGHUP, when everything is written.
        NasError: When something about the arguments, the data or the folder is wrong; one line that says what.
    """
    from nas.library import load_space
    from nas.problem import Problem

    arguments = {name: value for name, value in locals().items() if name in _REPEATED}
    limits = budget_of(budget, evaluations, epochs_total)
    rungs = checked_rungs(epochs)
    check_numbers(seed, workers, deadline)
    chosen = given_strategy(strategy, strategy_options or {}, out)
    function = load_object(evaluator) if isinstance(evaluator, str) else evaluator
    check_prescreen(prescreen, function)
    if inherit:
        check_inherits(function)
    if deterministic:
        workers = deterministic_workers(function, workers)
    own_costs = {name: load_object(cost) if isinstance(cost, str) else cost for name, cost in (costs or {}).items()}
    bound, dataset = bound_space(
        load_space(space), data, data_options or {}, needed=function is None, input_shape=input_shape, classes=classes
    )
    trained = changed_recipe(load_recipe(recipe) or bound.recipe or Recipe(), recipe_options or {})
    if dataset is not None and function is None:
        trained.check_images(dataset.input_shape[0])
    bound = replace(bound, recipe=trained)
    asked, rungs = rungs, fitting_rungs(rungs, function, dataset, trained)
    sizes = resolutions_of(resolutions, asked, rungs, function, bound)
    problem = Problem(bound, objectives, constraints, own_costs, sizes)
    starts = find_starts(recorded_starts(out, start_from) or start_from, problem)
    marked = find_baselines(baselines, problem.space)
    check_resized(problem, marked, sizes)
    earlier = recorded_earlier(out, warm_start) or find_earlier(warm_start, problem)
    chosen = chosen or choose(bound, limits, epochs_each(rungs), learns=bool(earlier))
    chosen.strategy.check(problem)
    proposing = chosen.strategy.warmed(earlier) if earlier else chosen.strategy
    arguments |= {"strategy": chosen.named, "strategy_options": dict(chosen.options) or None}
    settings = run_settings(
        problem,
        chosen.strategy,
        dataset,
        task=task or Task(),
        epochs=rungs,
        seed=seed,
        evaluator=evaluator_name(function),
        starts=starts,
        warm_start=earlier_settings(earlier) if earlier else None,
        resolutions=list(sizes),
        inherit=inherit,
        prescreen=prescreen,
        deterministic=deterministic,
    )
    heirs = inherit or bool(chosen.strategy.importance)
    again = again_of(train_seeds, folds, function, dataset, seed=seed, heirs=heirs)
    led = StartFrom(starts, proposing) if starts else proposing
    folder = (
        Path(out) if out is not None else free_folder(f"{bound.name or 'space'}-{settings['strategy']['name'].rpartition('.')[2]}")
    )
    options = start_options(arguments, limits, workers, device) | ({"chosen": chosen.reason} if chosen.reason else {})
    options |= {"raised_from": list(asked)} if asked != rungs else {}
    judging = partial(evaluating, function, dataset, task, workers, device, deadline, problem=problem, deterministic=deterministic)
    searching = partial(
        search_loop,
        problem,
        Inheriting(led) if inherit else led,
        seed=seed,
        epochs=rungs,
        resolutions=sizes,
        recipe=trained.closed(),
        baselines=marked,
        data=dataset.digest[:16] if dataset else "",
        prescreen=prescreen,
        again=again,
    )
    return _run(folder, settings, options, limits, judging, searching, progress)


def _run(
    folder: Path,
    settings: Mapping[str, Any],
    options: Mapping[str, Any],
    limits: Budget,
    judging: Callable[..., AbstractContextManager[Evaluator]],
    searching: Callable[..., str],
    progress: Callable[[Event], None] | None,
) -> Run:
    """Opens record, log and evaluator, searches, and closes them on every way out.

    Args:
        folder: Of the run.
        settings: What a run is; those of the record have to be the same.
        options: What may differ from start to start.
        limits: As they were given; a plus is on top of what the record says was spent.
        judging: `evaluating`, but for the record.
        searching: `search_loop`, but for what is opened here.
        progress: Told of every event.
    """
    with Interrupts() as interrupts, recorded(folder, settings, options) as record, logged(folder) as log:

        def tell(event: Event) -> None:
            log(event)
            if progress is not None:
                progress(event)

        budget = limits.after(*record.spent())
        with fault_trace(folder) as faulted, judging(record=record) as judge:
            record.note({**options, "budget": asdict(budget), "evaluator": judge.describe()})
            record.commit()
            reason = searching(
                evaluator=judge, record=record, budget=budget, on_event=tell, stopped=interrupts.reason, faulted=faulted
            )
        record.close(reason)
    if interrupts.signal:
        raise SearchStopped(open_run(folder), interrupts.signal)
    return open_run(folder)


_REPEATED = (
    "space", "data", "strategy", "objectives", "constraints", "epochs", "resolutions", "recipe", "recipe_options", "workers",
    "device", "deterministic", "deadline", "seed", "evaluator", "costs", "start_from", "baselines", "inherit", "prescreen",
    "train_seeds", "folds", "data_options", "input_shape", "classes", "strategy_options",
)  # fmt: skip
"""Arguments of `search` that `resume` gives again."""


def resume(
    run: str | Path | Run,
    *,
    budget: str | float | Budget | None = None,
    evaluations: str | int | None = None,
    epochs_total: str | int | None = None,
    workers: int | None = None,
    device: str | None = None,
    data: str | Path | None = None,
    train_seeds: int | None = None,
    folds: int | None = None,
    progress: Callable[[Event], None] | None = None,
) -> Run:
    """Goes on with a run as it was started, from the folder in which it was started.

    Args:
        run: The run or its folder.
        budget: A time, all starts together, or "+4h" on top of what was spent.
        evaluations: Distinct networks, all starts together, or "+50".
        epochs_total: Epochs, all starts together, or "+500". Without any limit, the limits of the last start hold.
        workers: Evaluations at a time; None: as before.
        device: Where; None: as before.
        data: Where the same images lie now; None: where they lay before.
        train_seeds: See `search`; None: as before.
        folds: See `search`, in the place of other seeds; None: as before.
        progress: Told of every event.

    Returns:
        The run.

    Raises:
        SearchStopped: See `search`.
        RunError: When it was started from Python with objects that the record does not hold, or `data` are others.
        NasError: As `search`.
    """
    run = run if isinstance(run, Run) else open_run(run)
    last = run.starts()[-1]["options"]
    objects = [name for name in last["objects"] if name != "data" or data is None]
    if objects:
        raise RunError(
            f"{run.folder} was started from Python with objects as {', '.join(objects)}; "
            f"call nas.search again with the same arguments and out={str(run.folder)!r}"
        )
    is_limited = not (budget is None and evaluations is None and epochs_total is None)
    given = {
        "budget": budget if is_limited else stored_budget(last["budget"]),
        "evaluations": evaluations,
        "epochs_total": epochs_total,
    }
    changed = {"workers": workers, "device": device, "data": None if data is None else _same_data(run, last["arguments"], data)}
    if train_seeds is not None or folds is not None:
        changed |= {"train_seeds": 1 if train_seeds is None else train_seeds, "folds": folds or 0}
    again: dict[str, Any] = {name: value for name, value in changed.items() if value is not None}
    again["task"] = Task(run.settings["task"]["name"], tuple(run.settings["task"]["metrics"]))
    # what the record holds is not looked up again: a file may be gone, and RUN@best may be another network by now
    again["start_from"], again["warm_start"] = run.start_from, earlier_of(run)
    trained = set(run.baselines()["name"])
    again["baselines"] = [name for name in last["arguments"].get("baselines") or () if name not in trained]
    return search(**{**last["arguments"], **again, **given}, out=run.folder, progress=progress)


def _same_data(run: Run, arguments: Mapping[str, Any], data: str | Path) -> str:
    """Returns where the data of a run lie now.

    Raises:
        RunError: When these are others, or are split otherwise.
    """
    from nas.data import load_data

    told = run.settings["data"]
    if told is None:
        raise RunError(f"{run.folder} needs no data: its evaluator brings its own; leave out data {str(data)!r}")
    dataset = load_data(data, **(arguments.get("data_options") or {}))
    if dataset.digest != told["digest"]:
        raise RunError(
            f"{run.folder} goes on with the images and the split of {told['name']!r} (digest {told['digest'][:12]}) only; "
            f"{str(data)!r} has others (digest {dataset.digest[:12]}): name the folder or file where the same images lie now"
        )
    return str(data)
