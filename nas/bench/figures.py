"""Anytime curves of a bench: what each strategy had found after every evaluation, with the interval of the mean as a band."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nas.bench.quality import Curves
from nas.bench.results import Results
from nas.bench.statistics import interval
from nas.bench.table import Floats
from nas.lines import counted
from nas.report.figures import COLOURS, Saved, new_figure, paper_look, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TOLD = "Mean over {repeats} on {what}; the band is its bootstrap 95 % interval."


def draw_curves(results: Results, folder: Path) -> list[Saved]:
    """Writes `hypervolume.svg` and `regret.svg` (and PDF) into a folder.

    Raises:
        RunError: When matplotlib is missing.
    """
    repeats = max(len(of_label) for of_label in results.curves.values())
    told = " ".join([_TOLD.format(repeats=counted(repeats, "repeat"), what=results.known.title), *results.known.notes])
    first = results.known.objectives[0].name
    with paper_look():
        return [
            _drawn(results, folder, "hypervolume", "hypervolume not yet found", lambda c: 1 - c.share, told),
            _drawn(results, folder, "regret", f"regret in {first}, reported", lambda c: c.regret, told),
        ]


def _drawn(results: Results, folder: Path, name: str, label: str, read: Callable[[Curves], Floats], told: str) -> Saved:
    """Draws one figure: a line and a band a strategy, logarithmic, downwards is better."""
    figure, (axes,) = new_figure()
    for i, (strategy, curves) in enumerate(results.curves.items()):
        _line(axes, [read(curve) for curve in curves], strategy, COLOURS[i % len(COLOURS)], "-" if i < len(COLOURS) else "--")
    axes.set_yscale("log")
    axes.set_xlabel("evaluations")
    axes.set_ylabel(label)
    axes.legend()
    return save_figure(figure, folder, name, f"{label.capitalize()} after each evaluation. {told}")


def _line(axes: Axes, curves: Sequence[Floats], label: str, colour: str, dash: str) -> None:
    """Draws the mean of curves; one that ended before the others keeps its last value."""
    length = max(map(len, curves))
    values = np.stack([np.pad(curve, (0, length - len(curve)), mode="edge") for curve in curves])  # (r, t)
    steps = np.arange(1, length + 1)
    low, high = interval(values)
    axes.plot(steps, _shown(values.mean(axis=0)), color=colour, linestyle=dash, label=label)
    axes.fill_between(steps, _shown(low), _shown(high), color=colour, alpha=0.2, linewidth=0)


def _shown(values: Floats) -> Floats:
    """Returns values for a logarithmic axis: nothing left is not drawn."""
    return np.where(values > 0, values, np.nan)
