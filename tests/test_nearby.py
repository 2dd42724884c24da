"""Which networks are trained again."""

from __future__ import annotations

import numpy as np
import pytest

from nas.nearby import MOST_AGAIN, near_front
from nas.pareto import non_dominated


def test_the_front_and_what_reaches_it_at_no_greater_cost() -> None:
    losses = [(-0.90, 100.0), (-0.80, 10.0), (-0.89, 100.0), (-0.89, 90.0), (-0.79, 99.0), (-0.89, 500.0), (-0.895, 400.0)]
    assert near_front(losses, 0, [0.012] * 7) == [0, 1, 3, 6, 2, 5]
    assert near_front(losses, 0, [0.008] * 7) == [0, 1, 3, 6]
    assert near_front(losses) == [0, 1, 3]


def test_a_twin_of_one_on_the_front_is_near_it() -> None:
    assert near_front([(-0.9, 5.0), (-0.9, 5.0), (-0.8, 6.0)], 0, [0.01] * 3) == [0, 1]


def test_one_objective_alone() -> None:
    assert near_front([(-0.9,), (-0.95,), (-0.94,)], 0, [0.02] * 3) == [1, 2]


def test_no_more_than_a_few_and_the_whole_front_however_large() -> None:
    many = [(-0.9 - 1e-6 * i, 100.0) for i in range(50)]
    assert near_front(many, 0, [0.1] * 50) == list(range(49, 49 - MOST_AGAIN, -1))
    front = [(-0.5 - 0.01 * i, float(i)) for i in range(40)]
    assert near_front([*front, (-0.5, 0.5)], 0, [0.1] * 41) == list(range(40))
    assert near_front([]) == []


@pytest.mark.parametrize("axes", [2, 3])
def test_against_the_definition(axes: int) -> None:
    rng = np.random.default_rng(axes)
    losses = rng.integers(0, 6, (15, axes)).astype(float)
    hopeful = losses - np.eye(axes)[0]
    front = non_dominated(losses)
    wanted = {
        place
        for place in range(15)
        if front[place] or all(hopeful[place][0] <= y[0] for y in losses[front] if (y[1:] <= losses[place][1:]).all())
    }
    found = near_front(losses.tolist(), 0, [1.0] * 15)
    assert set(found) == wanted and len(found) == len(wanted)
