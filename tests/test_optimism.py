"""The luck of the best, against simulations in which the truth is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from nas.optimism import luck_of_best

Floats = NDArray[np.float64]
SPREADS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "normal": lambda rng, n: 0.92 + 0.004 * rng.standard_normal(n),
    "nearly equal": lambda rng, n: 0.92 + 0.001 * rng.standard_normal(n),
    "many near the top": lambda rng, n: 0.93 - 0.02 * rng.exponential(size=n),
    "a front": lambda rng, n: 0.93 - 0.2 * rng.random(n) ** 3,
    "two kinds": lambda rng, n: np.where(rng.random(n) < 0.5, 0.92, 0.85) + 0.003 * rng.standard_normal(n),
}
RUNS = 100


def compared(was: list[float], estimated: list[float]) -> tuple[float, float]:
    """Returns the mean difference of the estimates from the truth, and its standard error."""
    difference = np.array(estimated) - np.array(was)
    return float(difference.mean()), float(difference.std() / np.sqrt(len(difference)))


def estimate(values: Floats, sd: Floats, picked_from: NDArray[np.bool_] | None = None) -> float:
    picks = None if picked_from is None else picked_from.tolist()
    return luck_of_best(values.tolist(), sd.tolist(), np.random.default_rng(0), picks)


@pytest.mark.parametrize("spread", SPREADS)
def test_the_luck_of_the_best_is_right_on_average(spread: str) -> None:
    rng, was, estimated, sd = np.random.default_rng(1), [], [], np.full(20, 0.003)
    for _ in range(RUNS):
        truth = SPREADS[spread](rng, 20)
        values = truth + sd * rng.standard_normal(20)
        best = int(values.argmax())
        was.append(float(values[best] - truth[best]))
        estimated.append(estimate(values, sd))
    difference, error = compared(was, estimated)
    assert abs(difference) < 0.003 / 7 + 2 * error
    assert float(np.mean(estimated)) > 0.5 * float(np.mean(was)) > 0.0005


def test_it_is_right_where_the_best_are_measured_again() -> None:
    """As a search does: five of 30 are measured twice more, the mean of three is what they are picked by."""
    rng, was, estimated = np.random.default_rng(2), [], []
    for _ in range(RUNS):
        truth = SPREADS["a front"](rng, 30)
        first = truth + 0.004 * rng.standard_normal(30)
        near = np.argsort(-first)[:5]
        values, sd = first.copy(), np.full(30, 0.004)
        values[near] = (first[near] + 2 * truth[near] + 0.004 * rng.standard_normal((2, 5)).sum(0)) / 3
        sd[near] /= np.sqrt(3)
        best = near[values[near].argmax()]
        was.append(float(values[best] - truth[best]))
        estimated.append(estimate(values, sd, np.isin(np.arange(30), near)))
    difference, error = compared(was, estimated)
    assert abs(difference) < 0.004 / np.sqrt(3) / 7 + 2 * error


def test_one_far_ahead_has_no_luck_and_the_first_among_equals_has_much() -> None:
    sd = np.full(5, 0.003)
    assert abs(estimate(np.array([0.80, 0.801, 0.802, 0.803, 0.90]), sd)) < 0.0005
    assert 0.002 < estimate(np.array([0.8985, 0.899, 0.90, 0.9005, 0.903]), sd) < 0.005


def test_the_first_among_equals_has_as_much_where_they_are_equal_to_the_bit() -> None:
    sd = np.full(10, 0.003)
    equal, nearly = estimate(np.full(10, 0.9), sd), estimate(0.9 + 1e-9 * np.arange(10), sd)
    assert equal == pytest.approx(nearly, rel=1e-3) and equal > sd[0]


def test_those_far_below_change_nothing() -> None:
    top = np.array([0.918, 0.92, 0.921, 0.923])
    alone = estimate(top, np.full(4, 0.002))
    assert estimate(np.concatenate([top, np.linspace(0.1, 0.8, 500)]), np.full(504, 0.002)) == alone > 0.0005


def test_there_is_none_where_nothing_is_picked() -> None:
    assert estimate(np.array([0.9]), np.array([0.01])) == 0
    assert estimate(np.array([0.9, 0.8, 0.7]), np.full(3, 0.1), np.array([True, False, False])) == 0
    assert luck_of_best([], [], np.random.default_rng(0)) == 0


def test_noise_that_is_small_against_all_differences_is_no_luck() -> None:
    assert abs(estimate(np.linspace(0.1, 0.9, 30), np.full(30, 1e-4))) < 2e-5
