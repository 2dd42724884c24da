"""How far two ways of ranking the same things agree, and how sure that is. Numbers in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

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


def kendall(one: Sequence[float], other: Sequence[float], *, fitted: int = 0) -> Agreement | None:
    """Returns Kendall's tau-b (Kendall 1945, "The treatment of ties in ranking problems") with its 95 % interval.

    The interval holds every correlation t that the measured one could have come from, as Wilson's does for a proportion:
    |tau - t| <= 1.96 sqrt(v (1 - t^2)), with v = 2 (2n + 5) / (9n (n - 1)), the variance without any correlation (Kendall 1938, "A
    new measure of rank correlation"). It lies within [-1, 1] and is never a point. For normal variables it covers the true value in
    at least 94.7 % of draws for n from 6 to 50 and t up to .8, in up to 99.8 % where t is large; that of Fieller, Hartley and
    Pearson (1957, "Tests for rank correlation coefficients") falls to 76 % there.

    Args:
        one: Numbers, none of them NaN.
        other: As many.
        fitted: Parameters that were fitted to the same things before; they count as that many things less.

    Returns:
        None where fewer than three things would remain, or one of the two ranks nothing: all are equal in it.
    """
    from scipy.stats import kendalltau  # its import takes longer than everything else a search starts with

    count = len(one) - fitted
    if count < 3:
        return None
    tau = float(kendalltau(one, other).statistic)
    if math.isnan(tau):
        return None
    q = Z95**2 * 2 * (2 * count + 5) / (9 * count * (count - 1))
    half = math.sqrt(max(0.0, q * (1 + q - tau**2)))
    return Agreement(tau, max(-1.0, (tau - half) / (1 + q)), min(1.0, (tau + half) / (1 + q)), len(one))
