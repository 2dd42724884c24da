"""Shows what a bench or a comparison came to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nas.cli.options import print_json

if TYPE_CHECKING:
    from nas.bench.results import Results


def show_results(results: Results, *, json: bool, figures: Path | None, written: Sequence[Path] = ()) -> None:
    """Prints the figures, as text or as JSON, after drawing the curves.

    Args:
        results: The figures.
        json: Whether to print JSON alone.
        figures: Folder for curves; None: none are drawn.
        written: Files to name in the end.
    """
    drawn = []
    if figures is not None:
        from nas.bench.figures import draw_curves

        drawn = [figures / f"{saved.name}.svg" for saved in draw_curves(results, figures)]
    if json:
        from nas.bench.plain import plain

        print_json(plain(results))
        return
    from nas.bench.words import report

    print(report(results))
    for path in [*written, *drawn]:
        print(f"written: {path}")
