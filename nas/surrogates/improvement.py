"""The expected hypervolume improvement of candidates whose costs are known and whose one loss is Gaussian, in closed form.

A candidate's costs are exact before training, so where it would stand on the cost axes is no question; only the height of its
loss is. Over the space of costs the front is a function of steps, T(cell): the least loss reached at no more than the costs of
that cell. A candidate of costs c and loss Y adds, in every cell at or beyond c, the cell's volume times max(0, T - Y). So

    EHVI = sum over cells of (volume of the cell beyond c) x EI(T(cell)),   EI(t) = E max(0, t - Y) = s (z Phi(z) + phi(z)),

with Y normal of mean m and standard deviation s, and z = (t - m) / s. For one cost the cells are the strips between the front's
steps, for two the rectangles of a grid; without any cost there is one cell, and EHVI is ordinary expected improvement (Mockus
1975; Jones, Schonlau and Welch 1998). The general case, every objective uncertain, is in Emmerich, Deutz and Klinkenberg 2011,
"Hypervolume-based expected improvement: monotonicity properties and exact computation", and in Yang et al. 2019, "Efficient
computation of expected hypervolume improvement using box decomposition algorithms". Arrays in, arrays out.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nas.pareto import non_dominated

Floats = NDArray[np.float64]

_CELLS = 20_000
"""A front is thinned where its grid would have more cells: over three costs or more; two bear 140 points, one any number."""


def expected_improvement(mean: Floats, deviation: Floats, threshold: Floats) -> Floats:
    """Returns E max(0, t - Y) for normal Y; where the deviation is 0, max(0, t - mean).

    Args:
        mean: `(n,)` expected losses.
        deviation: `(n,)` their standard deviations, 0 or more.
        threshold: `(t,)` losses to improve on.

    Returns:
        `(n, t)` improvements, never below 0.
    """
    gain = threshold[None, :] - mean[:, None]  # (n, t)
    spread = np.maximum(deviation, 1e-12)[:, None]
    z = gain / spread
    density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return np.where(deviation[:, None] > 0, np.maximum(spread * (z * normal_cdf(z) + density), 0.0), np.maximum(gain, 0.0))


def normal_cdf(z: Floats) -> Floats:
    """Returns the standard normal distribution function, element by element."""
    erf = np.fromiter(map(math.erf, (z.ravel() / math.sqrt(2)).tolist()), dtype=np.float64, count=z.size)
    return (0.5 * (1 + erf)).reshape(z.shape)


class Steps:
    """A front as the function T of its costs.

    Args:
        costs: `(f, e)`: f points, e exact costs; e may be 0.
        losses: `(f,)` the one uncertain objective. Dominated points do no harm.
        worst_costs: `(e,)` reference; what lies beyond adds nothing.
        worst_loss: Reference of the loss.
    """

    def __init__(self, costs: Floats, losses: Floats, worst_costs: Floats, worst_loss: float) -> None:
        inside = (costs < worst_costs).all(axis=1) & (losses < worst_loss)
        costs, losses = thinned(costs[inside], losses[inside])
        self._worst = worst_costs
        self._edges = [np.unique(column) for column in costs.T]  # of each cost, ascending
        cells = np.full(tuple(len(edges) + 1 for edges in self._edges), worst_loss)  # cell i begins at edge i - 1, cell 0 below all
        for point, loss in zip(costs, losses, strict=True):
            begins = tuple(int(np.searchsorted(edges, cost)) + 1 for edges, cost in zip(self._edges, point, strict=True))
            cells[begins] = min(cells[begins], loss)
        for axis in range(cells.ndim):
            np.minimum.accumulate(cells, axis=axis, out=cells)
        self._thresholds, self._which = np.unique(cells, return_inverse=True)  # (t,), and of each cell the place among them
        self._which = self._which.reshape(cells.shape)

    def improvement(self, costs: Floats, mean: Floats, deviation: Floats) -> Floats:
        """Returns the expected hypervolume improvement of each candidate.

        Args:
            costs: `(n, e)` exact costs.
            mean: `(n,)` expected losses.
            deviation: `(n,)` their standard deviations.

        Returns:
            `(n,)` volumes in the unit of the costs times that of the loss.
        """
        gains = expected_improvement(mean, deviation, self._thresholds)[:, self._which]  # (n, *cells)
        for column, edges, worst in reversed(list(zip(costs.T, self._edges, self._worst, strict=True))):
            lower = np.concatenate([[-np.inf], edges])
            upper = np.concatenate([edges, [worst]])
            beyond = np.maximum(upper - np.maximum(lower, column[:, None]), 0.0)  # (n, cells of this cost)
            gains = np.einsum("n...i,ni->n...", gains, beyond)
        return np.asarray(gains, dtype=np.float64)


def thinned(costs: Floats, losses: Floats) -> tuple[Floats, Floats]:
    """Returns the non-dominated points alone, and where their grid would be too large, so many spread evenly over the loss."""
    keep = non_dominated(np.column_stack([costs, losses]))
    costs, losses = costs[keep], losses[keep]
    most = max(int(_CELLS ** (1 / max(costs.shape[1], 1))) - 1, 1)
    if costs.shape[1] > 1 and len(losses) > most:
        chosen = np.argsort(losses, kind="stable")[np.linspace(0, len(losses) - 1, most).round().astype(int)]
        costs, losses = costs[chosen], losses[chosen]
    return costs, losses
