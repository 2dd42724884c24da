"""`nas bench`."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators

from nas.cli.options import Constraints, Json, names, print_json

Whole = Annotated[int, Parameter(validator=validators.Number(gte=1))]


def bench(
    table: Path,
    /,
    *,
    strategy: str = "random,nsga2",
    evaluations: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None,
    budget: str | None = None,
    repeats: Whole = 20,
    seed: int = 0,
    objectives: str | None = None,
    duplicates: Literal["count", "skip"] = "skip",
    fidelity: int | None = None,
    constraint: Constraints = None,
    at: str | None = None,
    out: Path | None = None,
    figures: Path | None = None,
    workers: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None,
    json: Json = False,
) -> None:
    """Compare strategies on a table in which the result of every architecture is known, without any training.

    A table is NAME.toml with NAME.csv or NAME.csv.gz beside it: a head, one line an architecture. The TOML says what the columns
    mean: decisions = ["e01", "e02"] make an architecture; identity = "network" (optional) is equal for lines that are one network;
    space = "nasbench201" (optional) names a space so that strategies see graphs, paths = [...] its path of each decision.

    Under [objectives] stands NAME = { search = "COLUMN", report = "COLUMN", direction = "maximize", fidelity = { 12 = "COLUMN" } }:
    what a strategy sees, what is told in the end, what is seen after so many epochs; exact = true says it is known before training.
    Under [cost] stands seconds = "COLUMN", of one evaluation at the highest fidelity, and share = { 12 = 0.06 }, what a lower one
    costs of it. An empty cell: this decision is not active. The head of nas/bench/table.py says it at length.

    Args:
        table: The TOML of a table.
        strategy: Who is compared, separated by commas, the first one the base; NAME, NAME(setting=value,...) or FILE.py:Class.
        evaluations: Evaluations of each repeat; 100 when left out without --budget.
        budget: Simulated time of each repeat instead or as well, such as 12000s or 3h; needs a table with a cost.
        repeats: Of each strategy, paired by their seeds.
        seed: Of the whole bench.
        objectives: What is ranked, separated by commas, the first one first; the table's first two when left out.
        duplicates: Whether a repeated network counts as an evaluation, as in published protocols, or is served for nothing.
        fidelity: Epochs after which strategies see results; as the table says when left out.
        at: Evaluations after which shares of the hypervolume are told, such as 30,60; 25, 50, 100 and so on when left out.
        out: CSV to write, one line an evaluation; it holds each repeat as soon as that ends.
        figures: Folder for anytime curves as SVG and PDF; over simulated time as well where the table has a cost.
        workers: Repeats at a time; one a core when left out.
    """
    from nas.bench.from_table import course_of, known_of_table
    from nas.bench.pool import run_all
    from nas.bench.protocol import Repeat
    from nas.bench.results import Results, default_times
    from nas.bench.rows import RowsFile, columns
    from nas.bench.setup import prepare

    setup = prepare(
        table,
        strategy,
        objectives=names(objectives or ""),
        evaluations=evaluations,
        budget=budget,
        seed=seed,
        duplicates=duplicates,
        fidelity=fidelity,
        constraints=constraint or (),
        at=names(at or ""),
    )
    problem, labels = setup.problem, [who.label for who in setup.contestants]
    head = columns(problem.table.spec.decisions, [objective.name for objective in problem.objectives], str(table))
    with ExitStack() as stack:
        rows = None if out is None else stack.enter_context(RowsFile(out, head, labels))

        def on_repeat(label: str, number: int, repeat: Repeat) -> None:
            if rows is not None:
                rows.add(label, number, course_of(problem, repeat, number))

        done = run_all(table, setup.protocol, setup.contestants, repeats, workers=workers, on_done=_tell, on_repeat=on_repeat)
    courses = {label: [course_of(problem, repeat, n) for n, repeat in enumerate(of_label)] for label, of_label in done.items()}
    results = Results(known_of_table(problem), courses, setup.marks, default_times(setup.protocol.seconds))
    drawn = []
    if figures is not None:
        from nas.bench.figures import draw_curves

        drawn = [figures / f"{saved.name}.svg" for saved in draw_curves(results, figures)]
    if json:
        print_json(results.to_dict())
        return
    from nas.bench.words import report

    print(report(results))
    for path in [*([out] if out is not None else []), *drawn]:
        print(f"written: {path}")


def _tell(done: int, total: int) -> None:
    """Shows how far the repeats are, where somebody looks."""
    if sys.stderr.isatty():
        print(f"\r{done:,} of {total:,} repeats", end="\n" if done == total else "", file=sys.stderr, flush=True)
