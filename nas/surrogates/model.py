"""What finished trials say about a candidate's loss: a Gaussian process over features, of a loss made robust to outliers.

Losses are put on the scale log(1 + (loss - best) / (median - best)) and standardised: the better half keeps its order and its
proportions, the worst come near (a network that learnt nothing is a few times the median away at most, not a hundred), and it
needs no knowledge of what the loss is. The expected improvement is taken on that scale too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nas.surrogates.features import Row, Sheet
from nas.surrogates.gaussian import GaussianProcess, Scales, fit

Floats = NDArray[np.float64]

_AUGMENTED = 0.05
"""Weight of the sum in the augmented Chebyshev function (Knowles 2006, "ParEGO", equation 2)."""
_LEARNT_FROM = 200
"""Points from which weights are learnt; the cost of a gradient grows with their cube."""
_GROWTH = 1.2
"""Weights are learnt again when there are so many times more points."""


def robust(losses: Floats) -> Floats:
    """Returns losses on the robust scale, mean 0 and variance 1.

    Args:
        losses: `(n,)`; NaN, for a trial that failed, counts as the median of the others, infinity as the worst finite one.
    """
    finite = losses[np.isfinite(losses)]
    if not len(finite):
        return np.zeros(len(losses))
    filled = np.clip(np.where(np.isnan(losses), np.nanmedian(losses), losses), finite.min(), finite.max())
    best, worst, middle = filled.min(), filled.max(), np.median(filled)
    unit = (middle if middle > best else worst) - best
    return _standard(np.log1p((filled - best) / unit)) if unit > 0 else np.zeros(len(losses))


def joined(measured: Floats, weights: Floats) -> Floats:
    """Returns one robust loss of several measured ones, mean 0 and variance 1.

    Args:
        measured: `(n, k)` losses.
        weights: `(k,)` how much each counts, of sum 1.
    """
    heights = np.stack([robust(column) for column in measured.T], axis=1)
    if measured.shape[1] == 1:
        return heights[:, 0]
    heights -= heights.min(axis=0)
    weighed = weights * heights / np.where(heights.max(axis=0) > 0, heights.max(axis=0), 1.0)
    return _standard(weighed.max(axis=1) + _AUGMENTED * weighed.sum(axis=1))


def _standard(values: Floats) -> Floats:
    return np.asarray((values - values.mean()) / (values.std() or 1.0), dtype=np.float64)


class Columns:
    """The columns that tell candidates apart, each group scaled to a mean squared distance of 1 between them.

    Args:
        sheet: Says which group a column belongs to.
        rows: Candidates that a model is learnt from. A column that is the same in all of them tells nothing and is left out, and
            so is a copy of an earlier one but for scale and offset.
    """

    def __init__(self, sheet: Sheet, rows: Sequence[Row]) -> None:
        self._kept = np.arange(max(map(len, rows)))
        matrix = self._picked(rows)
        self._kept = np.flatnonzero(_informative(matrix))
        matrix = matrix[:, self._kept]
        groups = [sheet.groups[i] for i in self._kept]
        self.groups = np.array([list(dict.fromkeys(groups)).index(group) for group in groups], dtype=np.int64)
        self._middle = matrix.mean(axis=0)
        spread = np.bincount(self.groups, weights=matrix.var(axis=0))
        self._scale = 1 / np.sqrt(2 * spread[self.groups])  # two points are twice the variance apart, squared, on average

    def matrix(self, rows: Sequence[Row]) -> Floats:
        """Returns `(n, d)` scaled features."""
        return np.asarray((self._picked(rows) - self._middle) * self._scale, dtype=np.float64)

    def _picked(self, rows: Sequence[Row]) -> Floats:
        filled = np.zeros((len(rows), max([*map(len, rows), 1 + self._kept.max(initial=0)])))
        for line, row in zip(filled, rows, strict=True):
            line[: len(row)] = row
        return filled[:, self._kept]


def _informative(matrix: Floats) -> NDArray[np.bool_]:
    """Returns which columns of `(n, d)` vary and are no copy of an earlier one."""
    deviation = matrix.std(axis=0)
    varies = np.asarray(deviation > 1e-6 * (1 + np.abs(matrix).max(axis=0)), dtype=np.bool_)
    standard = np.round((matrix - matrix.mean(axis=0)) / np.where(varies, deviation, 1.0), 4) + 0.0  # no -0.0
    seen: set[bytes] = set()
    for i in np.flatnonzero(varies):
        text = standard[:, i].tobytes()
        varies[i] = text not in seen
        seen.add(text)
    return varies


@dataclass
class Learner:
    """Learns the weights of the features, anew whenever the points have grown by a fifth, and remembers them.

    What it has learnt from the first n points depends on these alone, so it may be forgotten.

    Attributes:
        sheet: Columns of the features.
        rows: Features of the points.
    """

    sheet: Sheet
    rows: list[Row] = field(default_factory=list)
    _learnt: dict[int, tuple[Columns, Scales]] = field(default_factory=dict)

    def model(self, measured: Floats, weights: Floats, chosen: NDArray[np.int64]) -> Model:
        """Returns the model of a joined loss.

        Args:
            measured: `(n, k)` losses of each row; NaN where it failed.
            weights: `(k,)` of the losses; the features' are learnt with equal ones.
            chosen: `(m,)` the rows the model is made from.
        """
        count = _milestone(len(measured))
        if count not in self._learnt:
            some = np.unique(np.linspace(0, count - 1, min(count, _LEARNT_FROM)).round().astype(np.int64))
            rows = [self.rows[i] for i in some]
            columns, even = Columns(self.sheet, rows), np.full(len(weights), 1 / len(weights))
            self._learnt = {count: (columns, fit(columns.matrix(rows), joined(measured[some], even), columns.groups))}
        columns, scales = self._learnt[count]
        return Model(columns, scales, columns.matrix([self.rows[i] for i in chosen]), joined(measured, weights)[chosen])


def _milestone(count: int) -> int:
    """Returns the largest number of 1, 2, 3, ... growing by a fifth, that is not above `count`."""
    at = 1
    while (after := max(at + 1, int(at * _GROWTH))) <= count:
        at = after
    return at


class Model:
    """A Gaussian process of robust losses.

    Args:
        columns: Which features.
        scales: Their weights.
        x: `(n, d)` features of the points.
        heights: `(n,)` their robust losses.
    """

    def __init__(self, columns: Columns, scales: Scales, x: Floats, heights: Floats) -> None:
        self._columns, self._scales, self._x = columns, scales, x
        self.heights = heights
        self._process = GaussianProcess(x, heights, columns.groups, scales)

    def predict(self, rows: Sequence[Row]) -> tuple[Floats, Floats]:
        """Returns mean and standard deviation of the robust loss of each candidate."""
        return self._process.predict(self._columns.matrix(rows))

    def believing(self, rows: Sequence[Row]) -> Model:
        """Returns the model that takes its own expectation of some candidates for a measurement of them.

        Ginsbourger, Le Riche and Carraro 2010, "Kriging is well-suited to parallelize optimization": the kriging believer.
        Heights of the candidates come last.
        """
        if not rows:
            return self
        x = self._columns.matrix(rows)
        mean, _ = self._process.predict(x)
        return Model(self._columns, self._scales, np.vstack([self._x, x]), np.concatenate([self.heights, mean]))


class Nothing:
    """The model of a search in which nothing is measured: every loss is 0, for certain.

    Args:
        count: How many points there are.
    """

    def __init__(self, count: int) -> None:
        self.heights = np.zeros(count)

    def predict(self, rows: Sequence[Row]) -> tuple[Floats, Floats]:
        """Returns zeros."""
        return np.zeros(len(rows)), np.zeros(len(rows))

    def believing(self, rows: Sequence[Row]) -> Nothing:
        """Returns the same of more points."""
        return Nothing(len(self.heights) + len(rows))
