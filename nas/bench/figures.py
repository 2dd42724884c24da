"""Anytime curves of a bench: what each strategy had found after every evaluation, with the interval of the mean as a band."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nas.bench.known import Trajectory
from nas.bench.quality import Curves, by_clock
from nas.bench.results import Results
from nas.bench.statistics import interval
from nas.bench.table import Floats
from nas.lines import counted
from nas.report.figures import COLOURS, Saved, new_figure, paper_look, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TIMES = 400  # at which a curve over simulated time is drawn
_MOMENT = 1e-9  # seconds: a logarithmic axis has no 0
_TOLD = "Mean over {repeats} on {what}; the band is its bootstrap 95 % interval."


def draw_curves(results: Results, folder: Path) -> list[Saved]:
    """Writes `hypervolume.svg` and `regret.svg` (and PDF) into a folder; with simulated times, both against the clock as well.

    Raises:
        RunError: When matplotlib is missing.
    """
    repeats = max(len(of_label) for of_label in results.curves.values())
    told = " ".join([_TOLD.format(repeats=counted(repeats, "repeat"), what=results.known.title), *results.known.notes])
    first = results.known.objectives[0].name
    drawn: tuple[tuple[str, str, Callable[[Curves], Floats]], ...] = (
        ("hypervolume", "hypervolume not yet found", lambda curve: 1 - curve.share),
        ("regret", f"regret in {first}, reported", lambda curve: curve.regret),
    )
    timed = all(trajectory.spent is not None for of_label in results.trajectories.values() for trajectory in of_label)
    with paper_look():
        return [
            _drawn(results, folder, name, label, read, told, by_seconds)
            for by_seconds in ([False, True] if timed else [False])
            for name, label, read in drawn
        ]


def _drawn(
    results: Results, folder: Path, name: str, label: str, read: Callable[[Curves], Floats], told: str, by_seconds: bool
) -> Saved:
    """Draws one figure: a line and a band a strategy, logarithmic, downwards is better."""
    figure, (axes,) = new_figure()
    for i, (strategy, curves) in enumerate(results.curves.items()):
        read_off = [read(curve) for curve in curves]
        at, values = _on_clock(read_off, results.trajectories[strategy]) if by_seconds else _in_steps(read_off)
        _line(axes, at, values, strategy, COLOURS[i % len(COLOURS)], "-" if i < len(COLOURS) else "--")
    axes.set_yscale("log")
    if by_seconds:
        axes.set_xscale("log")
    axes.set_xlabel("simulated seconds" if by_seconds else "evaluations")
    axes.set_ylabel(label)
    axes.legend()
    when = "over simulated time" if by_seconds else "after each evaluation"
    return save_figure(figure, folder, f"{name}-seconds" if by_seconds else name, f"{label.capitalize()} {when}. {told}")


def _in_steps(curves: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Returns `(t,)` numbers of evaluations and `(r, t)` values; a repeat that ended before the others keeps its last."""
    length = max(map(len, curves))
    values = np.stack([np.pad(curve, (0, length - len(curve)), mode="edge") for curve in curves])
    return np.arange(1.0, length + 1), values


def _on_clock(curves: Sequence[Floats], trajectories: Sequence[Trajectory]) -> tuple[Floats, Floats]:
    """Returns `(t,)` simulated seconds, from when every repeat has an evaluation, and `(r, t)` values, likewise."""
    spent = [trajectory.spent for trajectory in trajectories if trajectory.spent is not None]
    first, last = (end(own[place] for own in spent) for end, place in ((max, 0), (max, -1)))
    seconds = np.geomspace(max(first, _MOMENT), max(last, _MOMENT), _TIMES)
    seconds[[0, -1]] = first, last  # rounding may lead behind the first end
    return seconds, np.stack([by_clock(curve, own, seconds) for curve, own in zip(curves, spent, strict=True)])


def _line(axes: Axes, at: Floats, values: Floats, label: str, colour: str, dash: str) -> None:
    """Draws the mean of curves `(r, t)` at `(t,)`, and its interval."""
    low, high = interval(values)
    axes.plot(at, _shown(values.mean(axis=0)), color=colour, linestyle=dash, label=label)
    axes.fill_between(at, _shown(low), _shown(high), color=colour, alpha=0.2, linewidth=0)


def _shown(values: Floats) -> Floats:
    """Returns values for a logarithmic axis: nothing left is not drawn."""
    return np.where(values > 0, values, np.nan)
