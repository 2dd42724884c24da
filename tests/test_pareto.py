"""Pareto arithmetic against definitions spelt out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nas.pareto import (
    contribution_order,
    crowded_order,
    crowding,
    dominates,
    front_with,
    hypervolume,
    knee,
    non_dominated,
    ranks,
    weakly_dominates,
)

points_of_any_width = st.integers(1, 4).flatmap(
    lambda m: arrays(np.float64, st.tuples(st.integers(0, 20), st.just(m)), elements=st.integers(0, 5).map(float))
)


pairs_of_points = st.integers(1, 4).flatmap(lambda m: st.tuples(*[st.lists(st.integers(0, 2), min_size=m, max_size=m)] * 2))


@given(pairs_of_points)
def test_dominance_is_the_definition(pair: tuple[list[int], list[int]]) -> None:
    a, b = map(np.array, pair)
    assert weakly_dominates(*pair) == bool((a <= b).all())
    assert dominates(*pair) == bool((a <= b).all() and (a < b).any())


@given(points_of_any_width)
def test_a_front_that_takes_in_one_after_another_is_the_front_of_all(points: np.ndarray) -> None:
    front: list[int] = []
    for i in range(len(points)):
        front = front_with(front, i, key=lambda member: points[member].tolist())
    assert front == np.flatnonzero(non_dominated(points)).tolist()


@given(points_of_any_width)
def test_non_dominated_is_the_definition_with_the_first_of_duplicates(points: np.ndarray) -> None:
    expected = [
        not any(dominates(other, point) for other in points) and not any((other == point).all() for other in points[:i])
        for i, point in enumerate(points)
    ]
    assert non_dominated(points).tolist() == expected


@given(points_of_any_width)
def test_ranks_peel_front_after_front(points: np.ndarray) -> None:
    expected, left, rank = np.full(len(points), -1), set(range(len(points))), 0
    while left:
        front = [i for i in left if not any(dominates(points[j], points[i]) for j in left)]
        expected[front] = rank
        left -= set(front)
        rank += 1
    assert ranks(points).tolist() == expected.tolist()


def test_crowding_of_a_front_worked_by_hand() -> None:
    assert crowding([[0, 4], [1, 2], [2, 1], [4, 0]]).tolist() == [math.inf, 2 / 4 + 3 / 4, 3 / 4 + 2 / 4, math.inf]


def test_crowding_ignores_an_objective_on_which_all_agree() -> None:
    assert crowding([[1, 0], [1, 1], [1, 2]]).tolist() == [math.inf, 1.0, math.inf]
    assert crowding([[1, 1]]).tolist() == [0.0]
    assert crowding(np.zeros((0, 2))).tolist() == []


def test_crowding_clips_infinite_losses() -> None:
    assert np.isfinite(crowding([[0, 3], [1, 2], [2, 1], [math.inf, 0]])[1:-1]).all()


def test_hypervolume_of_two_boxes() -> None:
    assert hypervolume([[0.0, 0.5], [0.5, 0.0]], [1.0, 1.0]) == pytest.approx(0.75)
    assert hypervolume([[2.0, 0.0]], [1.0, 1.0]) == 0.0
    assert hypervolume(np.zeros((0, 2)), [1.0, 1.0]) == 0.0
    assert hypervolume([[0.25]], [1.0]) == pytest.approx(0.75)


@given(arrays(np.float64, st.tuples(st.integers(1, 8), st.just(2)), elements=st.floats(0, 1)))
def test_hypervolume_in_two_objectives_is_the_staircase(points: np.ndarray) -> None:
    total, height = 0.0, 1.0
    for x, y in sorted(points.tolist()):
        if y < height:
            total += (1 - x) * (height - y)
            height = y
    assert hypervolume(points, [1.0, 1.0]) == pytest.approx(total)


@pytest.mark.parametrize("function", [non_dominated, ranks, crowding, knee, lambda p: hypervolume(p, [1.0, 1.0])])
def test_nan_is_refused_by_name_of_the_row(function) -> None:
    with pytest.raises(ValueError, match=r"point 1 is \[nan, 0.0\]"):
        function([[0.0, 0.0], [math.nan, 0.0]])


@pytest.mark.parametrize("points", [[1.0, 2.0], np.zeros((2, 2, 2)), np.zeros((3, 0))])
def test_a_wrong_shape_is_refused(points) -> None:
    with pytest.raises(ValueError, match="expected \\(n, m\\)"):
        non_dominated(points)


@pytest.mark.parametrize("reference", [[1.0], [1.0, math.nan], [math.inf, 1.0]])
def test_a_reference_that_does_not_fit_is_refused(reference) -> None:
    with pytest.raises(ValueError, match="expected 2 finite numbers"):
        hypervolume([[0.0, 0.0]], reference)


def test_knee_is_the_point_furthest_below_the_chord() -> None:
    assert knee([[0, 10], [1, 2], [5, 1], [10, 0]]) == 1
    assert knee([[0, 10], [9, 9.5], [2, 3], [10, 0]]) == 2
    assert knee([[3.0, 3.0]]) == 0
    assert knee([[0, 0, 0], [5, 5, 5]]) == 0


def test_knee_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no point"):
        knee(np.zeros((0, 2)))


def test_crowded_order_puts_rank_before_loneliness_and_keeps_ties_in_place() -> None:
    points = [(3.0, 3.0), (0.0, 4.0), (1.9, 1.9), (2.0, 1.8), (4.0, 0.0), (3.0, 3.0)]
    assert crowded_order(points).tolist() == [1, 4, 2, 3, 0, 5]
    assert crowded_order([(2.0,), (1.0,), (3.0,), (1.0,)]).tolist() == [1, 3, 0, 2]
    assert crowded_order(np.zeros((0, 2))).tolist() == []


@given(arrays(np.float64, st.tuples(st.integers(0, 12), st.integers(1, 3)), elements=st.integers(0, 5).map(float)))
def test_each_place_in_the_order_of_contributions_is_that_of_the_least_among_those_before(points: np.ndarray) -> None:
    front = points[ranks(points) == 0]
    order = contribution_order(front).tolist()
    assert sorted(order) == list(range(len(front)))
    if points.shape[1] == 1:
        assert order == sorted(order)
        return
    spread = np.ptp(front, axis=0) if len(front) else np.ones(points.shape[1])
    scaled = (front - (front.min(axis=0) if len(front) else 0)) / np.where(spread > 0, spread, 1.0)
    for last in range(len(order) - 1, 0, -1):
        among = order[: last + 1]
        divisions = next(h for h in range(1, 20) if math.comb(h + points.shape[1] - 1, points.shape[1] - 1) >= len(among))
        corner = np.full(points.shape[1], 1 + 1 / divisions)
        left = [hypervolume(scaled[[i for i in among if i != without]], corner) for without in among]
        assert left[-1] == pytest.approx(max(left))


def test_points_at_equal_distances_contribute_alike_so_an_end_does_not_come_last() -> None:
    even = [(0.0, 1.0), (0.25, 0.75), (0.5, 0.5), (0.75, 0.25), (1.0, 0.0)]
    assert contribution_order(even).tolist()[-1] == 4  # all alike: the last one
    accurate = [(0.0, 1.0), (0.39, 0.86), (1.0, 0.0)]  # the end far away from the others
    assert contribution_order(accurate).tolist()[:2] == [2, 0] or contribution_order(accurate).tolist()[:2] == [0, 2]


def test_of_two_equal_points_the_first_comes_early_and_the_other_last() -> None:
    assert contribution_order([(0.0, 1.0), (0.5, 0.5), (0.5, 0.5), (1.0, 0.0)]).tolist()[-1] == 2
