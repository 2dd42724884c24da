"""How sure a share measured on so many images is. Plain numbers in, plain numbers out."""

from __future__ import annotations

import math
from collections.abc import Iterable

INTERVAL_METRICS = ("val_accuracy",)
"""Metrics that are a proportion of the validation images, so that these intervals hold for them. Means over classes are not."""

VALIDATED_BY = ("training", "TrainingEvaluator")
"""Who measures them on the validation images of a run, as its settings call who evaluates; others know their images themselves."""


def interval_metric(names: Iterable[str]) -> str | None:
    """Returns the first of these names that has an interval; None where none has."""
    return next((name for name in names if name in INTERVAL_METRICS), None)


Z95 = 1.959963984540054
"""Half-width of a 95 % interval in standard deviations of a normal distribution."""


def wilson(share: float, n: int) -> tuple[float, float]:
    """Returns the 95 % interval of a proportion measured on `n` images (Wilson 1927, "Probable inference")."""
    centre = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def indistinguishable(a: float, b: float, n: int) -> bool:
    """Returns whether two proportions of `n` images each are no further apart than 95 % of equals would be.

    The test of two proportions with a pooled variance. It takes the two draws as independent; on the same images the true limit
    is mostly narrower, so the mark is given rather too often than too seldom.
    """
    pooled = (a + b) / 2
    return abs(a - b) <= Z95 * math.sqrt(2 * pooled * (1 - pooled) / n)
