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
    assert kendall([1, 2, 3, 4], [1, 2, 3, 4], fitted=2) is None


def test_fitted_parameters_widen_the_interval() -> None:
    one, other = [1, 2, 3, 4, 5, 6], [1, 3, 2, 4, 6, 5]
    plain, fitted = kendall(one, other), kendall(one, other, fitted=2)
    assert plain is not None and fitted is not None
    assert (fitted.tau, fitted.count) == (plain.tau, plain.count)
    assert fitted.low < plain.low < plain.high < fitted.high


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
