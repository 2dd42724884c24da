"""How good what was evaluated is, after every evaluation: best value, regret, and share of the known front's hypervolume."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nas.bench.known import Known, Scale, Trajectory
from nas.bench.table import Floats
from nas.pareto import front_with, hypervolume


@dataclass(frozen=True, eq=False)
class Curves:
    """What one repeat had found after each of its `t` evaluations.

    Attributes:
        best: `(t,)`: the first objective as it is reported, of the network that is best in it as a search sees it; NaN as long as
            every evaluation failed.
        regret: `(t,)`: how far that is from the best that is known; 0 is perfect.
        share: `(t,)`: share of the known front's hypervolume, in the values a search sees.
        reported_share: `(t,)`: the same of the networks that are the front as a search sees it, in the values that are reported.
    """

    best: Floats
    regret: Floats
    share: Floats
    reported_share: Floats


class Yardstick:
    """Measures trajectories against what is known.

    Args:
        known: It says how objectives are scaled; hypervolumes have the reference point (1, 1, ...).
    """

    def __init__(self, known: Known) -> None:
        self._known = known
        self._corner = np.ones(len(known.objectives))
        scales = (known.scale, known.reported_scale)
        self._full = [self._volume(scale, values) for scale, values in zip(scales, (known.searched, known.reported), strict=True)]
        self._best = known.losses(known.reported)[:, 0].min()

    def curves(self, trajectory: Trajectory) -> Curves:
        """Returns how good the first 1, 2, ... evaluations are."""
        known = self._known
        searched, reported = known.scale(known.losses(trajectory.searched)), known.reported_scale(known.losses(trajectory.reported))
        points = searched.tolist()
        best, front = -1, list[int]()
        shares, picks, found = (0.0, 0.0), [], []
        for i, point in enumerate(points):
            if not any(map(math.isnan, point)):
                if best < 0 or point[0] < points[best][0]:
                    best = i
                grown = front_with(front, i, key=points.__getitem__)
                if grown is not front:
                    front = grown
                    shares = self._shares(searched[front], reported[front])
            picks.append(best)
            found.append(shares)
        first = np.where(np.array(picks) < 0, np.nan, trajectory.reported[picks, 0])
        share, reported_share = np.array(found).T
        return Curves(first, known.objectives[0].loss(1.0) * first - self._best, share, reported_share)

    def raw(self, trajectory: Trajectory) -> float:
        """Returns the hypervolume of all that was evaluated on the scale that `Known.raw` says; NaN where it says none."""
        return float("nan") if self._known.raw is None else self._volume(self._known.raw, trajectory.searched)

    def _volume(self, scale: Scale, values: Floats) -> float:
        losses = self._known.losses(values)
        return hypervolume(scale(losses[~np.isnan(losses).any(axis=1)]), self._corner)

    def _shares(self, searched: Floats, reported: Floats) -> tuple[float, float]:
        share = self._share(0, searched)
        return share, self._share(1, reported) if self._known.reports_apart else share

    def _share(self, which: int, points: Floats) -> float:
        return hypervolume(points, self._corner) / self._full[which] if self._full[which] else 1.0


def reached(share: Floats, part: float) -> float:
    """Returns how many evaluations it took to reach a share; NaN where it was never reached."""
    at = np.flatnonzero(share >= part)
    return float(at[0] + 1) if len(at) else float("nan")


def by_clock(curve: Floats, spent: Floats, seconds: Floats) -> Floats:
    """Returns a curve's value at simulated times, `(s,)`: that of the last evaluation that had ended, NaN before the first.

    Args:
        curve: `(t,)`, one value an evaluation.
        spent: `(t,)` seconds until the end of each.
        seconds: `(s,)`.
    """
    return np.append(np.nan, curve)[np.searchsorted(spent, seconds, side="right")]


def after(curve: Floats, evaluations: int) -> float:
    """Returns a curve's value after so many evaluations; a repeat that ended before keeps its last."""
    return float(curve[min(evaluations, len(curve)) - 1])
