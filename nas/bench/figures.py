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
_NOTHING = 1e-12  # what is smaller comes from rounding
_MOMENT = 1e-9  # seconds: a logarithmic axis has no 0
_DASHES = ("-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)))
_TOLD = "Mean over {repeats} on {what}; the band is its bootstrap 95 % interval; dotted is what is carried forward."


def draw_curves(results: Results, folder: Path) -> list[Saved]:
    """Writes `hypervolume.svg` and `regret.svg` (and PDF) into a folder; with simulated times, both against the clock as well.

    Raises:
        RunError: When matplotlib is missing.
    """
    repeats = max(len(of_label) for of_label in results.curves.values())
    told = " ".join(
        [_TOLD.format(repeats=counted(repeats, "repeat"), what=results.known.title), *results.notes, *results.known.notes]
    )
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
    from matplotlib.ticker import MaxNLocator

    figure, (axes,) = new_figure()
    means: list[Floats] = []
    drawn = {strategy: [_without_noise(read(curve)) for curve in curves] for strategy, curves in results.curves.items()}
    longest = max(len(curve) for of_label in drawn.values() for curve in of_label)
    for i, (strategy, curves) in enumerate(drawn.items()):
        end = None if by_seconds else max(map(len, curves))
        at, values = _on_clock(curves, results.trajectories[strategy]) if by_seconds else _in_steps(curves, longest)
        means.append(_line(axes, at, values, strategy, i, end))
    _downwards(axes, np.concatenate(means))
    if not by_seconds:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        axes.set_xscale("log")
    axes.set_xlabel("simulated seconds" if by_seconds else "evaluations")
    axes.set_ylabel(label)
    axes.legend()
    when = "over simulated time" if by_seconds else "after each evaluation"
    return save_figure(figure, folder, f"{name}-seconds" if by_seconds else name, f"{label.capitalize()} {when}. {told}")


def _without_noise(values: Floats) -> Floats:
    """Returns values in which what rounding leaves of nothing is nothing."""
    return np.asarray(np.where(values < _NOTHING, 0.0, values), dtype=np.float64)


def _downwards(axes: Axes, values: Floats) -> None:
    """Makes the axis of values logarithmic; where one is 0, with a linear stretch from there to the smallest that is not."""
    above = values[values > 0]
    if not len(above):
        return
    if (values <= 0).any():
        axes.set_yscale("symlog", linthresh=float(above.min()), linscale=0.5)
        axes.set_ylim(bottom=-0.1 * float(above.min()))
    else:
        axes.set_yscale("log")


def _in_steps(curves: Sequence[Floats], length: int) -> tuple[Floats, Floats]:
    """Returns `(length,)` numbers of evaluations and `(r, length)` values; a repeat that ended before keeps its last."""
    values = np.stack([np.pad(curve, (0, length - len(curve)), mode="edge") for curve in curves])
    return np.arange(1.0, length + 1), values


def _on_clock(curves: Sequence[Floats], trajectories: Sequence[Trajectory]) -> tuple[Floats, Floats]:
    """Returns `(t,)` simulated seconds, from when every repeat has an evaluation, and `(r, t)` values, likewise."""
    spent = [trajectory.spent for trajectory in trajectories if trajectory.spent is not None]
    first, last = (end(own[place] for own in spent) for end, place in ((max, 0), (max, -1)))
    seconds = np.geomspace(max(first, _MOMENT), max(last, _MOMENT), _TIMES)
    seconds[[0, -1]] = first, last  # rounding may lead behind the first end
    return seconds, np.stack([by_clock(curve, own, seconds) for curve, own in zip(curves, spent, strict=True)])


def _line(axes: Axes, at: Floats, values: Floats, label: str, number: int, end: float | None) -> Floats:
    """Draws the mean of curves `(r, t)` at `(t,)`, and its interval; later lines are thinner, so that equal ones are both seen.

    Args:
        axes: Where.
        at: `(t,)`.
        values: `(r, t)`.
        label: Of the strategy.
        number: Its place, from 0.
        end: Where its longest repeat ended; behind it the line is dotted. None: it goes as far as the line.

    Returns:
        The mean, `(t,)`.
    """
    colour, dash = COLOURS[number % len(COLOURS)], _DASHES[(number // len(COLOURS) + number) % len(_DASHES)]
    width = max(2.4 - 0.3 * number, 1.0)
    low, high = interval(values)
    mean = np.asarray(values.mean(axis=0), dtype=np.float64)
    made = slice(None) if end is None else at <= end
    axes.plot(at[made], mean[made], color=colour, linestyle=dash, linewidth=width, label=label)
    axes.fill_between(at[made], low[made], high[made], color=colour, alpha=0.2, linewidth=0)
    if end is not None and end < at[-1]:
        carried = at >= end
        axes.plot(at[carried], mean[carried], color=colour, linestyle=":", linewidth=width)
        axes.plot(at[at == end], mean[at == end], color=colour, marker="o", linestyle="")
    return mean
