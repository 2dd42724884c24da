"""How good what was evaluated is, after every evaluation: best value, regret, and share of the exact front's hypervolume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.bench.problem import TableProblem
from nas.bench.table import Floats
from nas.pareto import hypervolume


@dataclass(frozen=True, eq=False)
class Curves:
    """What one repeat had found after each of its `t` evaluations.

    Attributes:
        best: `(t,)`: the first objective as it is reported, of the row that is best in it as a search sees it.
        regret: `(t,)`: how far that is from the best of the table; 0 is perfect.
        share: `(t,)`: share of the exact front's hypervolume, in the values a search sees.
        reported_share: `(t,)`: the same of the rows that are the front as a search sees it, in the values that are reported.
    """

    best: Floats
    regret: Floats
    share: Floats
    reported_share: Floats


class Yardstick:
    """Measures rows of one table.

    Objectives are scaled to [0, 1] over the table and turned so that 0 is best; the reference is (1, 1, ...).

    Args:
        problem: The table with its objectives.
    """

    def __init__(self, problem: TableProblem) -> None:
        self._searched = _scaled(problem.losses(problem.searched))
        self._reported = _scaled(problem.losses(problem.reported))
        self._first = problem.reported[:, 0]
        self._losses = problem.losses(problem.reported)[:, 0]
        corner = np.ones(self._searched.shape[1])
        self._volumes = [(points, corner, hypervolume(points, corner)) for points in (self._searched, self._reported)]

    def curves(self, rows: Sequence[int]) -> Curves:
        """Returns how good the first 1, 2, ... of these rows are."""
        best, front = -1, list[int]()
        shares, found = (0.0, 0.0), []
        for row in rows:
            point = self._searched[row]
            if best < 0 or point[0] < self._searched[best, 0]:
                best = row
            if not front or not (self._searched[front] <= point).all(axis=1).any():
                front = [old for old in front if not (point <= self._searched[old]).all()] + [row]
                shares = self._share(0, front), self._share(1, front)
            found.append((best, *shares))
        picks = [pick for pick, _, _ in found]
        return Curves(
            self._first[picks],
            self._losses[picks] - self._losses.min(),
            np.array([share for _, share, _ in found]),
            np.array([share for _, _, share in found]),
        )

    def _share(self, which: int, front: Sequence[int]) -> float:
        points, corner, full = self._volumes[which]
        return hypervolume(points[front], corner) / full if full else 1.0


def _scaled(losses: Floats) -> Floats:
    """Returns each column scaled to [0, 1]; one that is the same everywhere is 0."""
    low, high = losses.min(axis=0), losses.max(axis=0)
    return np.asarray((losses - low) / np.where(high > low, high - low, 1.0), dtype=np.float64)


def reached(share: Floats, part: float) -> float:
    """Returns how many evaluations it took to reach a share; NaN where it was never reached."""
    at = np.flatnonzero(share >= part)
    return float(at[0] + 1) if len(at) else float("nan")


def after(curve: Floats, evaluations: int) -> float:
    """Returns a curve's value after so many evaluations; a repeat that ended before keeps its last."""
    return float(curve[min(evaluations, len(curve)) - 1])
