"""Rank correlation by hand, and how often its interval is right."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nas.correlation import kendall


def test_tau_by_hand() -> None:
    """Of six pairs five are ordered alike and one the other way."""
    found = kendall([1, 2, 3, 4], [1, 2, 4, 3])
    assert found is not None
    assert (found.tau, found.count) == (pytest.approx(4 / 6), 4)
    assert found.low < found.tau < found.high


def test_ties_count_for_neither_side() -> None:
    """tau-b: five of six pairs differ in the one, six in the other; all five are ordered alike."""
    found = kendall([1, 1, 2, 3], [1, 2, 3, 4])
    assert found is not None
    assert found.tau == pytest.approx(5 / math.sqrt(5 * 6))


def test_the_interval_solves_its_equation() -> None:
    found = kendall([3, 1, 4, 1, 5, 9, 2, 6], [2, 7, 1, 8, 2, 8, 1, 8])
    assert found is not None
    variance = 2 * (2 * 8 + 5) / (9 * 8 * 7)
    for end in (found.low, found.high):
        assert abs(found.tau - end) == pytest.approx(1.959963984540054 * math.sqrt(variance * (1 - end**2)))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_perfect_agreement_is_not_certain(sign: int) -> None:
    found = kendall(range(5), [sign * i for i in range(5)])
    assert found is not None
    assert found.tau == pytest.approx(sign)
    assert -1 <= found.low < found.high <= 1
    assert found.high - found.low > 0.5


def test_what_ranks_nothing_has_no_correlation() -> None:
    assert kendall([1, 1, 1, 1], [1, 2, 3, 4]) is None
    assert kendall([1, 2], [1, 2]) is None
    assert kendall([1, 2, 3, 4], [1, 2, 3, 4], [[4, 1, 3, 2], [1, 4, 2, 3]]) is None
    assert kendall([1, 2, 3, 4, 5], [1, 3, 2, 4, 5], [[1, 2, 3, 4, 5]]) is None  # the one says what is given


def test_partial_tau_by_hand() -> None:
    """(t12 - t13 t23) / sqrt((1 - t13^2) (1 - t23^2)); a given ranking without any order changes only the count."""
    one, other, third = [1, 2, 3, 4, 5, 6], [1, 3, 2, 4, 6, 5], [2, 1, 3, 5, 4, 6]
    taus = [kendall(*pair) for pair in ((one, other), (one, third), (other, third))]
    t12, t13, t23 = (found.tau for found in taus if found is not None)
    partial, flat, plain = kendall(one, other, [third]), kendall(one, other, [[7] * 6]), kendall(one, other)
    assert partial is not None and flat is not None and plain is not None
    assert partial.tau == pytest.approx((t12 - t13 * t23) / math.sqrt((1 - t13**2) * (1 - t23**2)))
    assert (flat.tau, flat.count) == (plain.tau, 6)
    assert flat.low < plain.low < plain.high < flat.high


def test_what_only_follows_from_the_given_is_not_counted() -> None:
    """Accuracy grows with cost alone, and a score that is free of cost says nothing of it; one that is not says the rest."""
    rng = np.random.default_rng(1)
    cost = rng.normal(size=300)
    accuracy, score = np.tanh(cost) + 0.3 * rng.normal(size=300), rng.normal(size=300)
    useless, useful = kendall(score, accuracy, [cost]), kendall(score, accuracy + 0.3 * score, [cost])
    assert useless is not None and useful is not None
    assert useless.low < 0 < useless.high
    assert useful.low > 0.2
    plain = kendall(score, accuracy + 0.3 * score)
    assert plain is not None and plain.tau < useful.tau  # beside the cost it explains more than alone


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Normal variables of correlation r have a tau of 2/pi asin r."""
    rng, rho, times = np.random.default_rng(0), 0.5, 400
    truth, covered = 2 / math.pi * math.asin(rho), 0
    for _ in range(times):
        x = rng.normal(size=15)
        found = kendall(x.tolist(), (rho * x + math.sqrt(1 - rho**2) * rng.normal(size=15)).tolist())
        assert found is not None
        covered += found.low <= truth <= found.high
    assert 0.93 * times < covered < 0.995 * times


def test_it_reads_as_one_would_write_it() -> None:
    assert str(kendall([1, 2, 3, 4], [1, 2, 4, 3])).startswith("+0.67 [")
