"""Statistics of repeats: means with bootstrap intervals, and paired comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nas.bench.table import Floats

_RESAMPLES = 10_000
_CURVE_RESAMPLES = 1_000


@dataclass(frozen=True)
class Summary:
    """A measure over repeats.

    Attributes:
        mean: Over the repeats that have it; NaN where none has.
        median: Likewise.
        sd: Standard deviation (n - 1); NaN with fewer than two.
        low: Lower end of the bootstrap 95 % interval of the mean.
        high: Its upper end.
        count: Repeats that have it.
        of: All repeats.
    """

    mean: float
    median: float
    sd: float
    low: float
    high: float
    count: int
    of: int


def summary(values: ArrayLike, seed: int = 0) -> Summary:
    """Returns mean, median, standard deviation and interval; NaN marks repeats that do not have the measure.

    Args:
        values: `(r,)`, one a repeat.
        seed: Of the resampling.
    """
    given = np.asarray(values, dtype=np.float64)
    kept = given[~np.isnan(given)]
    if not len(kept):
        return Summary(math.nan, math.nan, math.nan, math.nan, math.nan, 0, len(given))
    low, high = (float(end[0]) for end in interval(kept[:, None], _RESAMPLES, seed))
    sd = float(kept.std(ddof=1)) if len(kept) > 1 else math.nan
    return Summary(float(kept.mean()), float(np.median(kept)), sd, low, high, len(kept), len(given))


def interval(values: Floats, resamples: int = _CURVE_RESAMPLES, seed: int = 0) -> tuple[Floats, Floats]:
    """Returns the percentile bootstrap 95 % interval of the mean of each column (Efron and Tibshirani 1993, chapter 13).

    Args:
        values: `(r, t)`: r repeats, drawn with replacement.
        resamples: How often they are drawn.
        seed: Of the draws.

    Returns:
        `(t,)` lower and `(t,)` upper ends.
    """
    repeats = len(values)
    weights = np.random.default_rng(seed).multinomial(repeats, np.full(repeats, 1 / repeats), size=resamples) / repeats
    low, high = np.percentile(weights @ values, [2.5, 97.5], axis=0)
    return low, high


@dataclass(frozen=True)
class Comparison:
    """One strategy held against another over paired repeats.

    Attributes:
        better: Repeats in which it did better.
        worse: Repeats in which it did worse.
        p: Of the two-sided Wilcoxon signed-rank test, after Holm's correction for the strategies compared.
        effect: Matched-pairs rank-biserial correlation, from -1 (always worse) to 1 (always better) (Kerby 2014, "The simple
            difference formula").
        pairs: Of repeats, those without a difference too.
        least: The smallest p that so many pairs could give, likewise corrected.
    """

    better: int
    worse: int
    p: float
    effect: float
    pairs: int
    least: float


def compare(pairs: Sequence[tuple[ArrayLike, ArrayLike]]) -> list[Comparison]:
    """Returns how the second of each pair does against the first; smaller values are better.

    Args:
        pairs: Two `(r,)` each, repeat by repeat.

    Returns:
        One comparison each. Pairs without a difference are left out (Wilcoxon 1945).
    """
    from scipy.stats import rankdata, wilcoxon

    found: list[tuple[int, int, float, float, int]] = []
    for base, other in pairs:
        gain = np.asarray(base, dtype=np.float64) - np.asarray(other, dtype=np.float64)
        gain = gain[gain != 0]
        rank = rankdata(np.abs(gain)) if len(gain) else np.zeros(0)
        effect = float((rank * np.sign(gain)).sum() / rank.sum()) if len(gain) else 0.0
        p = float(wilcoxon(gain).pvalue) if len(gain) else 1.0
        found.append((int((gain > 0).sum()), int((gain < 0).sum()), p, effect, np.size(base)))
    corrected = holm([p for _, _, p, _, _ in found])
    return [
        Comparison(up, down, p, effect, n, min(1.0, len(found) * 0.5 ** (n - 1)))
        for (up, down, _, effect, n), p in zip(found, corrected, strict=True)
    ]


def fewest_pairs(tests: int, p: float) -> int:
    """Returns how many pairs it takes for the smallest p, after Holm's correction for so many tests, to be no more than `p`."""
    return math.ceil(math.log2(tests / p)) + 1


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns p values corrected for their number (Holm 1979, "A simple sequentially rejective multiple test procedure")."""
    corrected, largest = [1.0] * len(p_values), 0.0
    for place, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[i]))
        corrected[i] = largest
    return corrected
