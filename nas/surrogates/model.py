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
    if measured.shape[1] == 1 or not len(measured):
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
        earlier: Models of earlier runs, whose predictions are trends of this one.
    """

    sheet: Sheet
    rows: list[Row] = field(default_factory=list)
    earlier: Sequence[Model] = ()
    _learnt: dict[int, tuple[Columns, Scales]] = field(default_factory=dict)
    _trends: list[Floats] = field(default_factory=list)

    def model(self, measured: Floats, weights: Floats, chosen: NDArray[np.int64]) -> Model:
        """Returns the model of a joined loss.

        Args:
            measured: `(n, k)` losses of each row; NaN where it failed.
            weights: `(k,)` of the losses; the features' are learnt with equal ones.
            chosen: `(m,)` the rows the model is made from.
        """
        count = _milestone(len(measured))
        trend = self._trend()
        if count not in self._learnt:
            some = np.unique(np.linspace(0, count - 1, min(count, _LEARNT_FROM)).round().astype(np.int64))
            rows = [self.rows[i] for i in some]
            columns = Columns(self.sheet, [*rows, *(row for model in self.earlier for row in model.rows)])
            heights = joined(measured[some], np.full(len(weights), 1 / len(weights)))
            self._learnt = {count: (columns, fit(columns.matrix(rows), heights, columns.groups, _centred(trend[some])))}
        columns, scales = self._learnt[count]
        rows = [self.rows[i] for i in chosen]
        return Model(columns, scales, rows, joined(measured, weights)[chosen], self.earlier, trend[chosen])

    def _trend(self) -> Floats:
        """Returns what earlier runs predict for each row, `(n, s)`; each prediction is made once."""
        self._trends += list(predictions(self.earlier, self.rows[len(self._trends) :]))
        return np.array(self._trends, dtype=np.float64).reshape(len(self.rows), len(self.earlier))


def representatives(ranked: NDArray[np.int64], count: int, most: int) -> NDArray[np.int64]:
    """Returns the places of `most` among `count` points, in order: all, or the best half and some spread evenly over the others.

    Args:
        ranked: Places, best first; those of failed points may be missing.
        count: How many points there are.
        most: How many a model is made from at most.
    """
    if count <= most:
        return np.arange(count)
    best = ranked[: most // 2]
    others = np.setdiff1d(np.arange(count), best)
    some = others[np.linspace(0, len(others) - 1, most - len(best)).round().astype(np.int64)]
    return np.sort(np.concatenate([best, some]))


def _milestone(count: int) -> int:
    """Returns the largest number of 0, 1, 2, 3, ... growing by a fifth, that is not above `count`."""
    at = 0
    while (after := max(at + 1, int(at * _GROWTH))) <= count:
        at = after
    return at


class Model:
    """A Gaussian process of robust losses.

    Args:
        columns: Which features.
        scales: Their weights.
        rows: Features of the points.
        heights: `(n,)` their robust losses.
        earlier: Models whose predictions are trends of this one.
        trend: `(n, s)` what they predict for the points.
    """

    def __init__(
        self,
        columns: Columns,
        scales: Scales,
        rows: Sequence[Row],
        heights: Floats,
        earlier: Sequence[Model] = (),
        trend: Floats | None = None,
    ) -> None:
        self.rows, self.heights = rows, heights
        self._columns, self._scales, self._earlier = columns, scales, earlier
        self._trend = np.zeros((len(rows), 0)) if trend is None else trend
        self._process = GaussianProcess(columns.matrix(rows), heights, columns.groups, scales, _centred(self._trend))

    def predict(self, rows: Sequence[Row]) -> tuple[Floats, Floats]:
        """Returns mean and standard deviation of the robust loss of each candidate."""
        trend = predictions(self._earlier, rows)
        return self._process.predict(self._columns.matrix(rows), _centred(trend, self._trend))

    def mean(self, rows: Sequence[Row]) -> Floats:
        """Returns the mean alone, where no earlier run has a part in it."""
        return self._process.mean(self._columns.matrix(rows))

    def believing(self, rows: Sequence[Row]) -> Model:
        """Returns the model that takes its own expectation of some candidates for a measurement of them.

        Ginsbourger, Le Riche and Carraro 2010, "Kriging is well-suited to parallelize optimization": the kriging believer.
        Heights of the candidates come last.
        """
        if not rows:
            return self
        heights = np.concatenate([self.heights, self.predict(rows)[0]])
        trend = np.vstack([self._trend, predictions(self._earlier, rows)])
        return Model(self._columns, self._scales, [*self.rows, *rows], heights, self._earlier, trend)


def predictions(models: Sequence[Model], rows: Sequence[Row]) -> Floats:
    """Returns what each of `s` models expects of each of `n` candidates, `(n, s)`."""
    return np.array([model.mean(rows) for model in models], dtype=np.float64).reshape(len(models), len(rows)).T


def _centred(trend: Floats, about: Floats | None = None) -> Floats:
    """Returns predictions less their mean over the points, as the heights have a mean of 0 there."""
    about = trend if about is None else about
    return trend - about.mean(axis=0) if len(about) else trend


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
