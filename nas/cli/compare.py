"""`nas compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from nas.cli.figures import show_results
from nas.cli.options import Json, names


def compare(
    *what: Annotated[Path, Parameter(required=True)],
    table: Path | None = None,
    at: str | None = None,
    figures: Path | None = None,
    json: Json = False,
) -> None:
    """Compare strategies by what was kept: rows of nas bench, or run folders. Nothing is evaluated.

    nas compare rows.csv
    nas compare runs/bench
    nas compare runs/nsga2-* runs/surrogate-*

    It prints what nas bench prints. Of a bench's folder all runs are read. Runs are
    grouped by strategy and paired by seed; the first strategy is the base of all
    comparisons. What is compared is what all have in common: the same number of
    evaluations, or the same simulated time.

    Args:
        what: rows.csv files, folders of nas bench, run folders: all of one table, or of one space with the same settings.
        table: TOML of the table that the rows were made on, where it is not where it was.
        at: Evaluations after which shares of the hypervolume are told, such as 30,60; as in the bench when left out.
        figures: Folder for anytime curves as SVG and PDF.
    """
    from nas.bench.gather import gathered
    from nas.bench.setup import marks_of

    show_results(gathered(what, table, marks_of(names(at or ""))), json=json, figures=figures)
