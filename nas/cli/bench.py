"""`nas bench`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators

from nas.cli.figures import show_results
from nas.cli.options import Constraints, DataOptions, EvaluationOptions, Json, changed, names
from nas.errors import RunError

Whole = Annotated[int | None, Parameter(validator=validators.Number(gte=1))]
_TABLE, _RUNS = "Tables", "Real runs"

_EVALUATION = EvaluationOptions()
_DATA = DataOptions()
TABLES = """A table is NAME.toml with NAME.csv or NAME.csv.gz beside it: a head, one line an
architecture. The TOML says what its columns are:

  decisions = ["e01", "e02"]   they make an architecture; empty: not active
  identity = "network"         optional: equal for lines that are one network
  space = "nasbench201"        optional: strategies see graphs, too
  paths = [...]                optional: its decision of each column
  [objectives]
  NAME = { search = "COLUMN", report = "COLUMN", direction = "maximize",
           fidelity = { 12 = "COLUMN" }, exact = false }
  [cost]                       optional
  seconds = "COLUMN"           of one evaluation at the highest fidelity
  share = { 12 = 0.06 }        what a lower one costs of it

A strategy sees search, or what fidelity says after so many epochs; report is
told in the end; exact: known before training. More stands in the head of
nas/bench/table.py.
"""
"""What a table is, shown at the end of the help."""

REPEATS_OF_A_TABLE, REPEATS_OF_A_SPACE = 20, 3

_LOOK_EVERY = 60.0  # seconds between two lines on how far real runs are


def bench(
    what: str,
    /,
    *,
    strategy: str = "random,nsga2",
    evaluations: Whole = None,
    repeats: Whole = None,
    seed: int = 0,
    objectives: str | None = None,
    constraint: Constraints = None,
    at: str | None = None,
    out: Path | None = None,
    figures: Path | None = None,
    workers: Whole = None,
    json: Json = False,
    budget: Annotated[str | None, Parameter(group=_TABLE)] = None,
    duplicates: Annotated[Literal["count", "skip"] | None, Parameter(group=_TABLE)] = None,
    fidelity: Annotated[int | None, Parameter(group=_TABLE)] = None,
    evaluation: Annotated[EvaluationOptions, Parameter(group=_RUNS)] = _EVALUATION,
    data_options: Annotated[DataOptions, Parameter(group=_RUNS)] = _DATA,
) -> None:
    """Compare strategies by one protocol: on a table of known results, or in real runs on a space.

    nas bench TABLE.toml --strategy random,nsga2,surrogate
    nas bench SPACE --data D --evaluations 30 --repeats 3 --out runs/bench
    nas bench SPACE --evaluator FILE.py:f --evaluations 30

    A table trains nothing; what one is stands at the end. On a space each strategy
    and repeat is an ordinary run in --out, and the same command goes on where it
    stopped. Repeat r of every strategy has the same seed, so that they are pairs.

    Told are the best value, the share of the front's hypervolume and what it takes
    to reach 95 and 99 % of it, with Wilcoxon tests against the first strategy.

    Args:
        what: TABLE.toml, or a space: a name (nas list spaces), FILE.py, FILE.py:NAME or FILE.json.
        strategy: Who is compared, separated by commas, the first one the base; NAME, NAME(setting=value,...) or FILE.py:Class.
            Not auto, which stands for exhaustive or surrogate, as the space and the evaluations have it: name the one you mean.
        evaluations: Evaluations of each repeat; for a table 100 when left out without --budget.
        repeats: Of each strategy; when left out 20 on a table, 3 of real runs.
        seed: Of the whole bench.
        objectives: What is ranked, the first one first; the table's first two, or val_accuracy,params, when left out.
        at: Evaluations after which shares are told, such as 30,60; 25, 50, 100 and so on when left out.
        out: CSV for the rows of a table; folder for the runs of a space, runs/SPACE-bench-N when left out. What is there of
            the same bench is kept and gone on with. nas compare reads both.
        figures: Folder for anytime curves as SVG and PDF; over simulated time as well where the table has a cost.
        workers: Repeats at a time; one a core when left out.
        budget: Simulated time of each repeat instead or as well, such as 12000s or 3h; needs a table with a cost.
        duplicates: Whether a repeated network counts as an evaluation (count) or is served for nothing; skip when left out.
        fidelity: Epochs after which strategies see results; as the table says when left out.
    """
    if what.endswith(".toml"):
        _refuse([*changed(evaluation), *changed(data_options)], f"is for real runs, and {what} is a table; leave it out")
        from nas.bench.benches import bench_table
        from nas.bench.setup import prepare

        count = _Count(out)
        setup = prepare(
            Path(what),
            strategy,
            objectives=names(objectives or ""),
            evaluations=evaluations,
            budget=budget,
            seed=seed,
            duplicates=duplicates or "skip",
            fidelity=fidelity,
            constraints=constraint or (),
            at=names(at or ""),
        )
        try:
            made = bench_table(setup, Path(what), repeats or REPEATS_OF_A_TABLE, out=out, workers=workers, on_done=count)
        except KeyboardInterrupt:
            print(count.stopped(), file=sys.stderr, flush=True)
            raise
        show_results(made, json=json, figures=figures, written=[out] if out is not None else [])
        return
    given = {"--budget": budget, "--duplicates": duplicates, "--fidelity": fidelity}
    _refuse([name for name, value in given.items() if value is not None], f"is for tables, and {what} is a space; leave it out")
    if evaluations is None:
        raise RunError(f"no evaluations given; say how many networks each run on {what} evaluates, such as --evaluations 30")
    from nas.arguments import free_folder
    from nas.bench.benches import bench_space
    from nas.bench.places import ROWS
    from nas.bench.setup import prepare_space
    from nas.bench.watch import Watch

    space = prepare_space(
        what,
        strategy,
        {**evaluation.arguments(), "data_options": data_options.given() or None},
        objectives=names(objectives or "val_accuracy,params"),
        constraints=constraint or (),
        evaluations=evaluations,
        seed=seed,
        at=names(at or ""),
    )
    folder = out or free_folder(f"{Path(what.partition(':')[0]).stem}-bench")
    try:
        results = bench_space(
            space,
            repeats or REPEATS_OF_A_SPACE,
            folder=folder,
            workers=workers,
            on_done=_line,
            on_begin=lambda line: print(line, file=sys.stderr, flush=True),
            watch=Watch(_progress, _LOOK_EVERY),
        )
    except KeyboardInterrupt:
        print(f"stopped; the same command with --out {folder} goes on where it stopped", file=sys.stderr, flush=True)
        raise
    show_results(results, json=json, figures=figures, written=[folder / ROWS])
    if not json:
        print(f"runs: {folder}; nas report {folder}/STRATEGY-REPEAT shows one, nas compare {folder} all of them again")


def _refuse(options: list[str], why: str) -> None:
    """Refuses options that have no meaning here.

    Raises:
        RunError: Where one was given.
    """
    if options:
        raise RunError(f"{options[0]} {why}")


class _Count:
    """Shows how far the repeats of a table are, where somebody looks, and says how far they were when the bench was stopped."""

    def __init__(self, out: Path | None) -> None:
        self._out = out
        self._done, self._total = 0, 0

    def __call__(self, done: int, total: int, words: str) -> None:
        self._done, self._total = done, total
        if not words and done:
            print(f"{done:,} of {total:,} repeats stand in {self._out} already and are kept", file=sys.stderr, flush=True)
        elif words and sys.stderr.isatty():
            print(f"\r{done:,} of {total:,} repeats", end="\n" if done == total else "", file=sys.stderr, flush=True)

    def stopped(self) -> str:
        """Returns what is left of the work."""
        line_end = "\n" if sys.stderr.isatty() and 0 < self._done < self._total else ""
        of = f"{self._done:,} of {self._total:,} repeats"
        if self._out is None:
            return f"{line_end}stopped; {of} were done and are lost: --out rows.csv keeps them"
        return f"{line_end}stopped; {of} are written to {self._out}, and the same command goes on where it stopped"


def _line(done: int, total: int, words: str) -> None:
    """Tells of one finished run."""
    print(f"{done:,} of {total:,}: {words}", file=sys.stderr, flush=True)


def _progress(done: int, total: int) -> None:
    """Tells how far all runs together are."""
    print(f"{done:,} of {total:,} evaluations", file=sys.stderr, flush=True)
