"""The closed form of the expected hypervolume improvement: against Monte Carlo, brute force, and known values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nas.pareto import hypervolume
from nas.surrogates.improvement import Steps, expected_improvement, normal_cdf, thinned


def gain(costs: np.ndarray, losses: np.ndarray, point: list[float], reference: list[float]) -> float:
    """The hypervolume that a point adds, by two hypervolumes."""
    front = np.column_stack([costs, losses])
    return hypervolume(np.vstack([front, point]), reference) - hypervolume(front, reference)


def random_front(seed: int, exact: int, count: int = 12) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return rng.random((count, exact)), rng.random(count), rng


@pytest.mark.parametrize("exact", [0, 1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_a_certain_loss_gains_the_difference_of_two_hypervolumes(exact: int, seed: int) -> None:
    costs, losses, rng = random_front(seed, exact)
    worst = np.full(exact, 0.9)
    steps = Steps(costs, losses, worst, 0.95)
    points, heights = rng.random((30, exact)), rng.random(30) - 0.3
    found = steps.improvement(points, heights, np.zeros(30))
    brute = [gain(costs, losses, [*c, h], [*worst, 0.95]) for c, h in zip(points, heights, strict=True)]
    assert found == pytest.approx(brute, abs=1e-12)
    assert max(brute) > 0


@pytest.mark.parametrize("exact", [0, 1, 2])
def test_an_uncertain_loss_gains_the_mean_over_its_distribution(exact: int) -> None:
    costs, losses, rng = random_front(7, exact)
    worst = np.ones(exact)
    point, mean, deviation = rng.random(exact) * 0.5, 0.4, 0.3
    found = Steps(costs, losses, worst, 1.0).improvement(point[None, :], np.array([mean]), np.array([deviation]))
    drawn = mean + deviation * rng.standard_normal(4000)
    gains = [gain(costs, losses, [*point, loss], [*worst, 1.0]) for loss in drawn]
    assert found[0] == pytest.approx(np.mean(gains), abs=4 * np.std(gains) / math.sqrt(len(gains)))


def test_points_at_equal_costs_and_on_the_front_itself() -> None:
    costs, losses = np.array([[1.0], [1.0], [2.0]]), np.array([0.5, 0.3, 0.2])
    steps = Steps(costs, losses, np.array([4.0]), 1.0)
    found = steps.improvement(np.array([[1.0], [2.0], [0.0]]), np.array([0.3, 0.1, 0.5]), np.zeros(3))
    assert found == pytest.approx([0.0, 0.1 * 2, 0.5 * 1])


def test_nothing_beyond_the_reference_gains() -> None:
    steps = Steps(np.array([[1.0]]), np.array([0.5]), np.array([4.0]), 1.0)
    assert steps.improvement(np.array([[4.0], [5.0]]), np.array([0.0, 0.0]), np.array([1.0, 1.0])).tolist() == [0.0, 0.0]


def test_a_front_without_a_point_inside_the_reference() -> None:
    steps = Steps(np.array([[5.0]]), np.array([0.5]), np.array([4.0]), 1.0)
    assert steps.improvement(np.array([[1.0]]), np.array([0.5]), np.zeros(1)) == pytest.approx([3 * 0.5])


def test_expected_improvement_at_the_mean_and_far_away() -> None:
    found = expected_improvement(np.array([0.0, 0.0, 9.0]), np.array([1.0, 2.0, 0.5]), np.array([0.0]))[:, 0]
    assert found[:2] == pytest.approx([1 / math.sqrt(2 * math.pi), 2 / math.sqrt(2 * math.pi)])
    assert 0 <= found[2] < 1e-15


def test_normal_cdf() -> None:
    assert normal_cdf(np.array([[0.0, 1.959964], [-1.959964, 8.0]])) == pytest.approx(np.array([[0.5, 0.975], [0.025, 1.0]]))


def test_a_large_front_over_many_costs_is_thinned_to_what_a_grid_bears() -> None:
    rng = np.random.default_rng(0)
    costs = rng.random((400, 3))
    costs /= costs.sum(axis=1, keepdims=True)  # none dominates another
    kept, losses = thinned(costs, np.linspace(0, 1, 400))
    assert len(kept) < 30
    assert losses.min() == 0.0
    assert losses.max() > 0.9
    assert len(thinned(costs[:, :1], 1 - costs[:, 0])[0]) == 400
