"""How right the intervals and the estimate of luck are: simulations in which the truth is known. No network is trained.

    python benchmarks/uncertainty.py [--runs 500] [--seed 0]

First, how often the interval of a rank correlation (`nas.correlation`) holds the true one, for normal variables, beside the one
of Fieller, Hartley and Pearson 1957. Then, how far the luck of the best (`nas.optimism`) is from what it was, in standard
deviations of the noise: for values of several distributions, and for a search in which the best were measured again.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nas.correlation import kendall
from nas.intervals import Z95
from nas.optimism import luck_of_best

Floats = NDArray[np.float64]

SD = 0.003
"""Of the noise: accuracies on some 10,000 images."""
SPREADS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "all equal": lambda rng, n: np.full(n, 0.92),
    "nearly equal": lambda rng, n: 0.92 + SD / 3 * rng.standard_normal(n),
    "normal, as wide as the noise": lambda rng, n: 0.92 + SD * rng.standard_normal(n),
    "normal, four times as wide": lambda rng, n: 0.92 + 4 * SD * rng.standard_normal(n),
    "uniform": lambda rng, n: 0.9 + 0.03 * rng.random(n),
    "many near the top": lambda rng, n: 0.93 - 0.02 * rng.exponential(size=n),
    "a front": lambda rng, n: 0.93 - 0.2 * rng.random(n) ** 3,
    "two kinds": lambda rng, n: np.where(rng.random(n) < 0.5, 0.92, 0.85) + SD * rng.standard_normal(n),
}


def fieller(tau: float, count: int) -> tuple[float, float]:
    """Returns the interval of Fieller, Hartley and Pearson 1957, "Tests for rank correlation coefficients", equation for tau."""
    half = Z95 * math.sqrt(0.437 / (count - 4))
    middle = math.atanh(min(max(tau, -1 + 1e-12), 1 - 1e-12))
    return math.tanh(middle - half), math.tanh(middle + half)


def coverage(count: int, rho: float, runs: int, rng: np.random.Generator) -> tuple[float, float]:
    """Returns the share of draws in which the interval holds the true correlation: the package's, and Fieller's."""
    truth = 2 / math.pi * math.asin(rho)
    own = other = 0
    for _ in range(runs):
        x = rng.normal(size=count)
        found = kendall(x.tolist(), (rho * x + math.sqrt(1 - rho**2) * rng.normal(size=count)).tolist())
        assert found is not None  # normal variables are never tied
        own += found.low <= truth <= found.high
        low, high = fieller(found.tau, count)
        other += low <= truth <= high
    return own / runs, other / runs


def luck(spread: str, count: int, again: int, runs: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """Returns the mean luck, its mean estimate, and the standard error of their difference, in deviations of the noise.

    Args:
        spread: Of the true values.
        count: Networks.
        again: So many of the best are measured twice more and picked from by their means; 0: none.
        runs: Simulated searches.
        rng: Draws.
    """
    was, estimated = np.zeros(runs), np.zeros(runs)
    for run in range(runs):
        truth = SPREADS[spread](rng, count)
        values, sd = truth + SD * rng.standard_normal(count), np.full(count, SD)
        eligible = np.ones(count, dtype=bool)
        if again:
            near = np.argsort(-values)[:again]
            values[near] = (values[near] + 2 * truth[near] + SD * rng.standard_normal((2, again)).sum(0)) / 3
            sd[near] /= math.sqrt(3)
            eligible = np.isin(np.arange(count), near)
        best = int(np.where(eligible, values, -np.inf).argmax())
        was[run] = values[best] - truth[best]
        estimated[run] = luck_of_best(values.tolist(), sd.tolist(), rng, eligible.tolist())
    error = (estimated - was).std() / math.sqrt(runs)
    return float(was.mean() / SD), float(estimated.mean() / SD), float(error / SD)


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    print("interval of Kendall's tau holds the true one, of 95 %: here, and by Fieller et al.")
    for count in (6, 10, 20, 50):
        for rho in (0.0, 0.5, 0.8, 0.95):
            own, other = coverage(count, rho, 4 * options.runs, rng)
            print(f"  n = {count:2}, true tau {2 / math.pi * math.asin(rho):.2f}: {own:6.1%} {other:6.1%}")
    print("luck of the best, in deviations of the noise: what it was, what is estimated, the difference with its standard error")
    cases = [(spread, count, 0) for spread in SPREADS for count in (8, 20, 100)] + [("a front", 30, 5)]
    for spread, count, again in cases:
        was, estimated, error = luck(spread, count, again, options.runs, rng)
        words = f"{spread}, {count} networks" + (f", the best {again} measured twice more" if again else "")
        print(f"  {words}: {was:.2f} {estimated:.2f} {estimated - was:+.2f} +- {error:.2f}", flush=True)


if __name__ == "__main__":
    main()
