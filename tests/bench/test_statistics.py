"""Statistics of repeats against scipy and against what is known by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from nas.bench.statistics import compare, fewest_pairs, holm, interval, summary


def test_a_summary_leaves_out_what_is_missing() -> None:
    found = summary([1.0, 2.0, math.nan, 6.0])
    assert (found.mean, found.median, found.count, found.of) == (3.0, 2.0, 3, 4)
    assert found.sd == pytest.approx(np.std([1, 2, 6], ddof=1))
    assert 1 <= found.low < 3 < found.high <= 6
    empty = summary([math.nan])
    assert (empty.count, math.isnan(empty.mean), math.isnan(empty.low)) == (0, True, True)
    assert math.isnan(summary([2.0]).sd)


def test_the_interval_is_scipys() -> None:
    values = np.random.default_rng(0).exponential(size=30)
    found = summary(values)
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=1).confidence_interval
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), rel=0.03)
    low, high = interval(np.stack([values, values + 1], axis=1))
    assert (low[1], high[1]) == pytest.approx((low[0] + 1, high[0] + 1))


def test_comparisons_are_paired_and_corrected() -> None:
    rng = np.random.default_rng(1)
    base = rng.random(20)
    better, same, worse = base - 0.1 * rng.random(20), base + 0.01 * rng.standard_normal(20), base + 1
    found = compare([(base, better), (base, same), (base, worse)])
    raw = [float(stats.wilcoxon(base, other).pvalue) for other in (better, same, worse)]
    assert [one.p for one in found] == holm(raw)
    assert (found[0].better, found[0].worse, found[0].effect) == (20, 0, 1.0)
    assert (found[2].better, found[2].worse, found[2].effect) == (0, 20, -1.0)
    assert found[0].p < 0.001 and abs(found[1].effect) < 1


def test_the_effect_is_the_difference_of_rank_sums() -> None:
    found = compare([([0.0, 0.0, 0.0, 0.0], [-1.0, -2.0, 3.0, 0.0])])[0]
    assert (found.better, found.worse) == (2, 1)
    assert found.effect == pytest.approx((1 + 2 - 3) / 6)


def test_no_difference_at_all() -> None:
    found = compare([([1.0, 2.0], [1.0, 2.0])])[0]
    assert (found.p, found.effect, found.better, found.worse) == (1.0, 0.0, 0, 0)


def test_holms_own_arithmetic() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("others", [1, 2, 8])
@pytest.mark.parametrize("pairs", [3, 6, 12])
def test_the_least_p_is_that_of_the_clearest_difference(pairs: int, others: int) -> None:
    base, clear, mixed = np.arange(pairs) + 0.5, np.zeros(pairs), np.resize([-1.0, 2.5], pairs)
    found = compare([(base, clear), *[(base, base + mixed * (1 + np.arange(pairs)))] * (others - 1)])
    assert found[0].least == pytest.approx(found[0].p)
    assert found[0].pairs == pairs
    assert (found[0].least <= 0.05) == (pairs >= fewest_pairs(others, 0.05))


def test_how_many_pairs_a_small_p_takes() -> None:
    assert [fewest_pairs(tests, 0.05) for tests in (1, 2, 3)] == [6, 7, 7]
