"""How much of the best result is luck: what is picked because it measured best was, on average, measured too well.

Each measured value is its network's true one plus noise of a known standard deviation. Nothing is assumed of how the true values
are spread: their distribution is estimated from the measured ones by maximum likelihood (Kiefer and Wolfowitz 1956; on a grid by
expectation maximisation, Laird 1978, "Nonparametric maximum likelihood estimation of a mixing distribution"). Then the search is
simulated many times (a parametric bootstrap, Efron and Tibshirani 1993, section 6.5): true values are drawn for each network from
what its measured one leaves open, noise is added, the best is picked, and what it has above its true value is the luck. A best one
far ahead of all others has none, the first among equals has much.

Assumed is that noise is normal, of the given size and independent from network to network. Networks that are measured on the same
images share a part of their noise, which moves all of them together and favours none: taken as independent it counts as luck too.
In simulations with 8, 20 and 100 values from eight distributions (`benchmarks/uncertainty.py`) the estimate missed the luck by .10
deviations of the noise on average and by at most .24, where the luck was .25 to 2.5; where those that measured best are measured
again and their first values are averaged in, it was a sixth too low. Numbers in, numbers out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FINENESS = 4
"""Places at which true values are assumed, for each standard deviation of the noise."""
LEAST_PLACES, MOST_PLACES = 50, 1000
REACH = 10
"""Deviations below the best from which on a network can neither be picked nor say anything of those that can."""
STEPS = 100
"""Steps of the maximisation; more fit the noise."""
DRAWS = 500
"""Simulated searches."""


def luck_of_best(
    values: Sequence[float], deviations: Sequence[float], rng: np.random.Generator, picked_from: Sequence[bool] | None = None
) -> float:
    """Returns how far the largest value lies above the true one of its network, on average over searches such as this.

    Args:
        values: Measured, larger is better.
        deviations: Standard deviation of the noise of each, above 0.
        rng: Of the simulation.
        picked_from: Which may be picked; the others only tell how true values are spread. None: all.
    """
    measured, sd = np.array(values, dtype=float), np.array(deviations, dtype=float)
    eligible = np.ones(len(measured), dtype=bool) if picked_from is None else np.array(picked_from, dtype=bool)
    if not eligible.any():
        return 0.0
    near = measured >= measured[eligible].max() - REACH * sd.max()
    measured, sd, eligible = measured[near], sd[near], eligible[near]
    if eligible.sum() < 2:
        return 0.0
    places, shares = _left_open(measured, sd)
    reached = shares.cumsum(1)
    chosen = [np.searchsorted(row, rng.random(DRAWS) * row[-1]) for row in reached[eligible]]
    truth = places[np.stack(chosen, axis=1)]  # (DRAWS, those that may be picked)
    noise = sd[eligible] * rng.standard_normal(truth.shape)
    best = (truth + noise).argmax(1)
    return float(noise[np.arange(DRAWS), best].mean())


def _left_open(measured: Floats, sd: Floats) -> tuple[Floats, Floats]:
    """Returns places `(P,)`, and how likely each network's true value lies at each of them, `(n, P)`, given all measured ones."""
    count = int(np.clip(FINENESS * np.ptp(measured) / sd.min(), LEAST_PLACES, MOST_PLACES))
    places = np.linspace(measured.min(), measured.max(), count)
    distance = ((measured[:, None] - places) / sd[:, None]) ** 2
    likely = np.exp((distance.min(1, keepdims=True) - distance) / 2)  # each row scaled so that not all of it vanishes
    weights = np.full(count, 1 / count)
    for _ in range(STEPS):
        weights = weights * (likely.T @ (1 / (likely @ weights))) / len(measured)
    shares: Floats = likely * weights
    return places, shares / shares.sum(1, keepdims=True)
