"""How far two ways of ranking the same things agree, and how sure that is. Numbers in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from nas.intervals import Z95


@dataclass(frozen=True)
class Agreement:
    """Kendall's rank correlation with its 95 % interval.

    Attributes:
        tau: 1 where both rank alike, -1 where one ranks the other way round, 0 where chance would do as well.
        low, high: The interval.
        count: How many things were ranked.
    """

    tau: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.tau:+.2f} [{self.low:+.2f}, {self.high:+.2f}], n = {self.count}"


def kendall(one: Sequence[float], other: Sequence[float], given: Sequence[Sequence[float]] = ()) -> Agreement | None:
    """Returns Kendall's tau-b (Kendall 1945, "The treatment of ties in ranking problems") with its 95 % interval.

    With `given`, the partial correlation: what is left of it when other rankings are held fixed (Kendall 1942, "Partial rank
    correlation"; with several of them by the inverse of the matrix of correlations). It needs no idea of how they depend on each
    other; it is 0 where `one` and `other` have nothing in common but what is given, as long as `one` is itself free of that.

    The interval holds every correlation t that the measured one could have come from, as Wilson's does for a proportion:
    |tau - t| <= 1.96 sqrt(v (1 - t^2)), with v = 2 (2n + 5) / (9n (n - 1)), the variance without any correlation (Kendall 1938, "A
    new measure of rank correlation"). It lies within [-1, 1] and is never a point. For normal variables it covers the true value in
    94 to 99.8 % of draws for n from 6 to 50 and t up to .8, most where t is large; that of Fieller, Hartley and Pearson (1957,
    "Tests for rank correlation coefficients") falls to 76 % there (`benchmarks/uncertainty.py`).

    Args:
        one: Numbers, none of them NaN.
        other: As many.
        given: Each as many; they count as so many things less.

    Returns:
        None where fewer than three things would remain, or one of the two ranks nothing: all are equal in it, or what is given
        ranks just like it.
    """
    count = len(one) - len(given)
    tau = _partial([one, other, *given]) if count >= 3 else None
    if tau is None:
        return None
    q = Z95**2 * 2 * (2 * count + 5) / (9 * count * (count - 1))
    half = math.sqrt(max(0.0, q * (1 + q - tau**2)))
    return Agreement(tau, max(-1.0, (tau - half) / (1 + q)), min(1.0, (tau + half) / (1 + q)), len(one))


def _partial(rankings: Sequence[Sequence[float]]) -> float | None:
    """Returns the correlation of the first two when the others are held fixed; those that rank nothing are passed over."""
    from scipy.stats import kendalltau  # its import takes longer than everything else a search starts with

    if any(min(ranking) == max(ranking) for ranking in rankings[:2]):
        return None
    ranking = [r for r in rankings if min(r) < max(r)]
    matrix = np.eye(len(ranking))
    for i, j in combinations(range(len(ranking)), 2):
        matrix[i, j] = matrix[j, i] = kendalltau(ranking[i], ranking[j]).statistic
    if len(ranking) == 2:
        return float(matrix[0, 1])
    if np.linalg.eigvalsh(matrix)[0] < _ALIKE:
        return None
    inverse = np.linalg.inv(matrix)
    return float(np.clip(-inverse[0, 1] / math.sqrt(inverse[0, 0] * inverse[1, 1]), -1, 1))


_ALIKE = 1e-6
"""Smallest eigenvalue of the correlations below which one ranking says what others say."""
