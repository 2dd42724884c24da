"""`nas search` and `nas resume`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, validators

from nas.cli.options import (
    Constraints,
    DataOptions,
    EvaluationOptions,
    Json,
    Workers,
    names,
    print_json,
    table_rows,
)
from nas.errors import DataError
from nas.pairs import read_pairs
from nas.strategies.table import AUTO, STRATEGIES

if TYPE_CHECKING:
    from nas.progress import Progress
    from nas.run import Run

_EVALUATION = EvaluationOptions()
_DATA = DataOptions()

Strategies = Annotated[
    str,
    Parameter(
        help=f"Who proposes candidates: {AUTO} (exhaustive where the evaluations suffice for every genotype, else surrogate), "
        f"{', '.join(STRATEGIES)}; FILE.py:Class, a Strategy of your own, or FILE.py:factory, a sampler of Optuna's of your own."
    ),
]


def search(
    space: str,
    /,
    *,
    strategy: Strategies = AUTO,
    objectives: str = "val_accuracy,params",
    constraint: Constraints = None,
    budget: str | None = None,
    evaluations: str | None = None,
    epochs_total: str | None = None,
    workers: Workers = None,
    seed: int = 0,
    out: Path | None = None,
    start_from: str | None = None,
    baselines: str | None = None,
    warm_start: str | None = None,
    inherit: bool = False,
    prescreen: Annotated[int, Parameter(validator=validators.Number(gte=0))] = 0,
    train_seeds: int = 1,
    folds: int = 0,
    strategy_option: Annotated[list[str] | None, Parameter(name="--strategy-option", consume_multiple=False)] = None,
    evaluation: Annotated[EvaluationOptions, Parameter(group="How networks are evaluated")] = _EVALUATION,
    data_options: Annotated[DataOptions, Parameter(group="How images are read")] = _DATA,
    json: Json = False,
) -> int:
    """Search a space for the networks that nothing beats in all objectives at once.

    With --out the same command goes on where it was; without it each start makes a new folder. Ctrl-C stops cleanly.

    The first of --budget, --evaluations and --epochs-total that is reached ends it; without any it goes on until it is stopped.

    Args:
        space: Name of a shipped space (nas list spaces), FILE.py, FILE.py:NAME or FILE.json.
        objectives: What is ranked, separated by commas, the first one first (nas list objectives).
        budget: Time over all starts, such as 90s, 30min, 4h; +4h is on top of what was spent.
        evaluations: Distinct networks to evaluate over all starts, such as 50; +50 is on top of those that were.
        epochs_total: Epochs to train over all networks and starts, such as 500; +500 is on top of those that were.
        seed: Of the search and of every training.
        out: The run folder; runs/SPACE-STRATEGY-N when left out.
        start_from: Networks of the space to evaluate first, separated by commas: names (nas list networks), RUN@ID, FILE.py:NAME.
        baselines: Networks to train first in the same way and to show beside the front, likewise; they count towards no limit.
        warm_start: Folders of earlier runs to learn from, separated by commas, on other data or of another space too.
        inherit: Let networks that are made from others begin with their weights; compares them less fairly.
        prescreen: Candidates that are scored untrained for each proposal, such as 10; the most promising at equal cost is trained.
        train_seeds: After the search, train networks on the front, and those that may belong there, with so many seeds in all, such
            as 3, and rank them by the means. At most a quarter of --budget or --epochs-total is kept for it.
        folds: The same on so many folds of the training and validation images, such as 5, instead of with other seeds; 0: off.
        strategy_option: A setting of the strategy, NAME=VALUE (nas list strategies NAME); may stand several times.
    """
    from nas.loop import search as run_search

    return _watched(
        lambda progress: run_search(
            space,
            **evaluation.arguments(),
            strategy=strategy,
            objectives=names(objectives),
            constraints=constraint or (),
            budget=budget,
            evaluations=evaluations,
            epochs_total=epochs_total,
            workers=workers,
            seed=seed,
            out=out,
            start_from=names(start_from or ""),
            baselines=names(baselines or ""),
            warm_start=names(warm_start or ""),
            inherit=inherit,
            prescreen=prescreen,
            train_seeds=train_seeds,
            folds=folds,
            data_options=data_options.given() or None,
            strategy_options=read_pairs(strategy_option or (), "--strategy-option") or None,
            progress=progress,
        ),
        json,
    )


def resume(
    run: Path,
    /,
    *,
    budget: str | None = None,
    evaluations: str | None = None,
    epochs_total: str | None = None,
    workers: Annotated[int | None, Parameter(help="Trainings at a time; as before when left out.", show_default=False)] = None,
    device: Annotated[str | None, Parameter(help="auto, cpu, cuda or mps; as before when left out.", show_default=False)] = None,
    data: str | None = None,
    train_seeds: Annotated[int | None, Parameter(show_default=False)] = None,
    folds: Annotated[int | None, Parameter(show_default=False)] = None,
    json: Json = False,
) -> int:
    """Go on with a search as it was started, from the folder in which it was started.

    Args:
        run: The run folder.
        budget: Time over all starts; +4h is on top of what was spent. Without any limit the last start's limits hold.
        evaluations: Distinct networks to evaluate over all starts, such as 50; +50 is on top of those that were.
        epochs_total: Epochs to train over all networks and starts, such as 500; +500 is on top of those that were.
        data: Where the same images lie now, if they were moved.
        train_seeds: Seeds with which networks near the front are trained in the end, such as 3; as before when left out.
        folds: Likewise, folds on which they are trained instead; as before when left out.
    """
    from nas.loop import resume as run_resume

    def go(progress: Progress) -> Run:
        try:
            return run_resume(
                run,
                budget=budget,
                evaluations=evaluations,
                epochs_total=epochs_total,
                workers=workers,
                device=device,
                data=data,
                train_seeds=train_seeds,
                folds=folds,
                progress=progress,
            )
        except DataError as error:
            if data is not None:
                raise
            raise DataError(f"{error}; if the data were moved, name where they lie now with --data") from None

    return _watched(go, json)


def _watched(go: Callable[[Progress], Run], json: bool) -> int:
    """Runs a search with the live display, then says what came out of it."""
    from nas.loop import SearchStopped
    from nas.progress import LineConsole, Progress, closing_words

    progress = Progress(LineConsole(stderr=json))
    code = 0
    try:
        with progress.shown():
            run = go(progress)
    except SearchStopped as stop:
        run, code = stop.run, stop.exit_code
    say = sys.stderr if json else sys.stdout
    print(_ending(run), closing_words(run, progress.tally, stopped=bool(code)), sep="\n", file=say, flush=True)
    if json:
        print_json(_result(run))
    return code


def _ending(run: Run) -> str:
    """Returns the front as the record has it."""
    from nas.lines import aligned

    front = run.front()
    if front.empty:
        return "the front is empty: no network was measured"
    known = [str(name) for name in front.columns]
    columns = ["id", *(name for objective in run.objectives for name in _columns(objective.name, known))]
    columns += ["trainings"] if "trainings" in known else []
    rows: list[list[Any]] = [columns, *([row[name] for name in columns] for row in table_rows(front))]
    marks = [False, *(bool(row.get("same_as_previous")) for row in table_rows(front))]
    lines = [
        line + ("  (not told apart from the one above)" if mark else "")
        for line, mark in zip(aligned(rows).splitlines(), marks, strict=True)
    ]
    return "\n".join(["", *lines, *_baselines(run), ""])


def _baselines(run: Run) -> list[str]:
    """Returns a table of the baselines, none where there are none."""
    from nas.lines import aligned

    table = run.baselines()
    columns = ["name", *(name for objective in run.objectives for name in _columns(objective.name, list(table.columns)))]
    rows = [["baseline", *columns[1:]], *([row[name] for name in columns] for row in table_rows(table))]
    return ["", *aligned(rows).splitlines()] if len(rows) > 1 else []


def _columns(objective: str, known: list[str]) -> list[str]:
    return [name for name in (objective, f"{objective}_low", f"{objective}_high") if name in known]


def _result(run: Run) -> dict[str, Any]:
    from nas.certainty import luck_of
    from nas.rungs import rung_facts

    trials, luck = run.trials(), luck_of(run)
    return {
        "run": run.folder,
        "evaluations": len(trials),
        "ended": run.starts()[-1]["ended"],
        "front": table_rows(run.front()),
        **({"rungs": [asdict(rung) for rung in rung_facts(run)]} if len(run.rungs) > 1 else {}),
        "baselines": table_rows(run.baselines()),
        "luck": asdict(luck) if luck else None,
    }
