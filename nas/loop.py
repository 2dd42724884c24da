"""`search` and `resume`: from what a user writes to a run. What happens in between is `search_loop`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.attempts import NothingFeasible
from nas.budget import Budget, parse_budget, stored_budget
from nas.coordinator import search_loop
from nas.errors import EvaluationError, NasError, RunError, UnknownNameError
from nas.events import Event, Refused
from nas.interrupts import Interrupts, fault_trace
from nas.recipe import Recipe, Task
from nas.record import Record
from nas.run import Run, open_run
from nas.settings import run_settings, start_options
from nas.userfile import load_object

if TYPE_CHECKING:
    from nas.data import Dataset
    from nas.evaluate import Evaluator
    from nas.objectives import Objective
    from nas.problem import ExactCost
    from nas.space import Space
    from nas.strategies.base import Strategy

__all__ = ["NothingFeasible", "SearchStopped", "resume", "search", "search_loop"]

Function = Callable[[Any], Mapping[str, float]]
"""A user's own evaluator: `f(architecture) -> dict of metrics`."""

LOG = "run.log"


class SearchStopped(KeyboardInterrupt):
    """Raised by `search` after a signal stopped it cleanly: nothing is lost, the same call goes on.

    Attributes:
        run: The run so far.
        signal: Number of the signal.
    """

    def __init__(self, run: Run, signal: int) -> None:
        super().__init__(f"search in {run.folder} was stopped; the same command goes on with it")
        self.run, self.signal = run, signal

    @property
    def exit_code(self) -> int:
        """What a command leaves with: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP."""
        return 128 + self.signal


def search(
    space: Space | str | Path,
    data: Any = None,
    *,
    strategy: str | Strategy = "nsga2",
    objectives: Sequence[str | Objective] = ("val_accuracy", "params"),
    constraints: Sequence[str] = (),
    budget: str | float | Budget | None = None,
    evaluations: str | int | None = None,
    epochs_total: str | int | None = None,
    epochs: int = 3,
    recipe: Recipe | str | None = None,
    recipe_options: Mapping[str, Any] | None = None,
    task: Task | None = None,
    workers: int | None = None,
    device: str = "auto",
    deadline: float | None = 3600.0,
    seed: int = 0,
    out: str | Path | None = None,
    evaluator: Evaluator | Function | str | None = None,
    costs: Mapping[str, ExactCost | str] | None = None,
    data_options: Mapping[str, Any] | None = None,
    strategy_options: Mapping[str, Any] | None = None,
    progress: Callable[[Event], None] | None = None,
) -> Run:
    """Searches a space, or goes on with a search of the same settings in the same folder.

    Args:
        space: A `Space`, or where one is found (see `nas.load_space`).
        data: What is trained and validated on (see `nas.data.load_data`); None where the evaluator needs none.
        strategy: Name of a strategy (`nas list strategies`), `FILE.py:Class`, or an object.
        objectives: What is ranked, the first one first.
        constraints: Bounds on exact costs, such as "params<=100k".
        budget: A time over all starts ("30min"), or on top of what was spent ("+4h"), or a `Budget`.
        evaluations: Distinct networks to evaluate over all starts (50), or on top of those that were ("+50").
        epochs_total: Epochs to train over all networks and starts (500), or on top of those that were ("+500").
        epochs: Epochs of each brief training.
        recipe: How networks are trained, fields open or closed; `FILE.py[:NAME]`; None: the space's own, else `Recipe()`.
        recipe_options: Fields of the recipe to change, such as `{"class_weights": "balanced"}`.
        task: What is predicted and measured; a metric of your own `FILE.py:f` is recorded as `val_f` (objective "val_f:max").
        workers: Evaluations at a time; None: one a core.
        device: `auto`, `cpu`, `cuda` or `mps`.
        deadline: Seconds after which one evaluation is ended as timed out; None: never.
        seed: Of the search and of every training.
        out: The run folder; None: `runs/SPACE-STRATEGY-N`, the first N that is free.
        evaluator: Instead of training: `f(architecture) -> dict`, `FILE.py:f`, or an `Evaluator` (which stays open).
        costs: Exact costs of your own by name: `f(graph) -> int` or `FILE.py:f`.
        data_options: Passed on to `load_data`.
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
    from nas.strategies.table import make_strategy

    arguments = {name: value for name, value in locals().items() if name in _REPEATED}
    limits = _limits(budget, evaluations, epochs_total)
    _check_numbers(epochs, seed, workers, deadline)
    chosen = make_strategy(strategy, **(strategy_options or {}))
    function = load_object(evaluator) if isinstance(evaluator, str) else evaluator
    own_costs = {name: load_object(cost) if isinstance(cost, str) else cost for name, cost in (costs or {}).items()}
    bound, dataset = _bound(load_space(space), data, data_options or {}, needed=function is None)
    bound = replace(bound, recipe=_changed(load_recipe(recipe) or bound.recipe or Recipe(), recipe_options or {}))
    problem = Problem(bound, objectives, constraints, own_costs)
    settings = run_settings(
        problem, chosen, dataset, task=task or Task(), epochs=epochs, seed=seed, evaluator=_evaluator_name(function)
    )
    folder = Path(out) if out is not None else _free_folder(bound.name, str(settings["strategy"]["name"]))
    options = start_options(arguments, limits, workers, device)
    with Interrupts() as interrupts, _recorded(folder, settings, options) as record, _logged(folder) as log:

        def tell(event: Event) -> None:
            log(event)
            if progress is not None:
                progress(event)

        limits = limits.after(*record.spent())
        with fault_trace(folder) as faulted, _evaluating(function, dataset, task, workers, device, deadline, record) as judge:
            record.note({**options, "budget": asdict(limits), "evaluator": judge.describe()})
            record.commit()
            reason = search_loop(
                problem,
                chosen,
                judge,
                record,
                budget=limits,
                seed=seed,
                epochs=epochs,
                data=dataset.digest[:16] if dataset else "",
                on_event=tell,
                stopped=interrupts.reason,
                faulted=faulted,
            )
        record.close(reason)
    if interrupts.signal:
        raise SearchStopped(open_run(folder), interrupts.signal)
    return open_run(folder)


_REPEATED = (
    "space", "data", "strategy", "objectives", "constraints", "epochs", "recipe", "recipe_options", "workers",
    "device", "deadline", "seed", "evaluator", "costs", "data_options", "strategy_options",
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
        progress: Told of every event.

    Returns:
        The run.

    Raises:
        SearchStopped: See `search`.
        RunError: When it was started from Python with objects that the record does not hold, or `data` are others.
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
    again = {name: value for name, value in changed.items() if value is not None}
    task = Task(run.settings["task"]["name"], tuple(run.settings["task"]["metrics"]))
    return search(**{**last["arguments"], **again, **given, "task": task}, out=run.folder, progress=progress)


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
            f"{run.folder} goes on with the images and the split of {told['name']} (digest {told['digest'][:12]}) only; "
            f"{str(data)!r} has others (digest {dataset.digest[:12]}): name the folder or file where the same images lie now"
        )
    return str(data)


def _limits(budget: str | float | Budget | None, evaluations: str | int | None, epochs_total: str | int | None) -> Budget:
    if not isinstance(budget, Budget):
        return parse_budget(budget, evaluations=evaluations, epochs_total=epochs_total)
    if evaluations is not None or epochs_total is not None:
        raise RunError("the budget is given twice: as a Budget and as evaluations or epochs_total; give one of them")
    return budget


def _check_numbers(epochs: int, seed: int, workers: int | None, deadline: float | None) -> None:
    for name, number, least in (("epochs", epochs, 1), ("seed", seed, 0), ("workers", 1 if workers is None else workers, 1)):
        if type(number) is not int or number < least:
            raise RunError(f"{name} is {number!r}, expected a whole number of at least {least}")
    if deadline is not None and not (type(deadline) in (int, float) and 0 < deadline < float("inf")):
        raise RunError(f"deadline is {deadline!r}, expected a number of seconds above 0, or None")


def _bound(space: Space, data: Any, options: Mapping[str, Any], *, needed: bool) -> tuple[Space, Dataset | None]:
    """Returns the space with its input shape and classes known, and the data set if there is one."""
    if data is None:
        if needed:
            raise RunError(
                "no data given; expected the name of a data set, a folder of images, arrays, or an evaluator of your own"
            )
        return space, None
    from nas.data import load_data

    dataset = load_data(data, **options)
    return space.bind(dataset.input_shape, len(dataset.class_names)), dataset


def load_recipe(recipe: Recipe | str | None) -> Recipe | None:
    """Returns the recipe at `FILE.py` (its `recipe`), `FILE.py:NAME` or `module:NAME`; a `Recipe` or None as it is.

    Raises:
        NasError: When there is none.
    """
    if not isinstance(recipe, str | Path):
        return recipe
    address = str(recipe)
    found = load_object(f"{address}:recipe" if address.endswith(".py") else address)
    if not isinstance(found, Recipe):
        raise RunError(f"recipe {address!r} is {type(found).__name__}, expected a nas.Recipe(...)")
    return found


def _changed(recipe: Recipe, options: Mapping[str, Any]) -> Recipe:
    known = [field.name for field in fields(Recipe)]
    for name in options:
        if name not in known:
            raise UnknownNameError("field of the recipe", name, known)
    return replace(recipe, **options)


def _evaluator_name(function: Any) -> str:
    """Returns what the settings say of who evaluates."""
    from nas.evaluate import Evaluator

    if function is None:
        return "training"
    if isinstance(function, Evaluator):
        return type(function).__qualname__
    if not callable(function):
        raise EvaluationError(f"evaluator is {function!r}, expected a function of the architecture that returns a dict of metrics")
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def _free_folder(space: str, strategy: str) -> Path:
    """Makes the first free `runs/SPACE-STRATEGY-N`."""
    name = f"{space or 'space'}-{strategy.rpartition('.')[2]}".replace(":", "-").replace("/", "-")
    try:
        Path("runs").mkdir(exist_ok=True)
        for number in range(1, 100_000):
            folder = Path("runs") / f"{name}-{number}"
            with suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as problem:
        raise RunError(f"{Path('runs').absolute()} cannot be written: {problem.strerror}; name a folder with --out") from None
    raise RunError(f"runs holds too many folders named {name}; name one with --out")


@contextmanager
def _recorded(folder: Path, settings: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[Record]:
    """Opens the record; where the search fails, says so in it as far as the disk allows."""
    record = Record(folder, settings, options)
    try:
        yield record
    except BaseException as error:
        record.rollback()
        with suppress(NasError):
            record.close(f"failed: {type(error).__name__}: {error}"[:500])
        raise


@contextmanager
def _logged(folder: Path) -> Iterator[Callable[[Event], None]]:
    """Writes what happens, and what the package logs meanwhile, into the run folder."""
    try:
        handler: logging.Handler = _QuietHandler(folder / LOG, encoding="utf-8")
    except OSError as problem:
        raise RunError(f"{folder / LOG} cannot be written: {problem.strerror}; choose a folder you can write to") from None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger, level = logging.getLogger("nas"), logging.getLogger("nas").level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)

    def log(event: Event) -> None:
        if not isinstance(event, Refused):
            logger.info("%s", event)

    try:
        yield log
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        handler.close()


class _QuietHandler(logging.FileHandler):
    """A full disk must not be told a thousand times: the record tells it once, in words."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Drops the line."""


@contextmanager
def _evaluating(
    function: Evaluator | Function | None,
    dataset: Dataset | None,
    task: Task | None,
    workers: int | None,
    device: str,
    deadline: float | None,
    record: Record,
) -> Iterator[Evaluator]:
    """Yields who evaluates; closes it where it was made here."""
    from nas.evaluate import CallableEvaluator, Evaluator, TrainingEvaluator

    if isinstance(function, Evaluator):
        yield function
        return
    if function is not None:
        with CallableEvaluator(function) as judge:
            yield judge
        return
    assert dataset is not None
    before = record.options_before.get("evaluator", {})
    same = record.options_before.get("device") == device
    precision = str(before.get("precision", "auto")) if same else "auto"  # measured once a run: it changes the figures
    with TrainingEvaluator(dataset, task, workers=workers, device=device, precision=precision, deadline=deadline) as trainer:
        yield trainer
