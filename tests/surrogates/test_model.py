"""Losses on the robust scale, the columns a model sees, and what it predicts."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nas.surrogates import model as module
from nas.surrogates.model import Columns, Learner, Nothing, joined, robust


def sheet(*groups: str) -> Any:
    return SimpleNamespace(groups=list(groups))


def rows(matrix: Any) -> list[Any]:
    return list(np.asarray(matrix, dtype=np.float32))


def test_the_robust_scale_keeps_the_order_and_pulls_outliers_in() -> None:
    losses = np.array([0.1, 0.2, 0.3, 0.5, 1000.0])
    heights = robust(losses)
    assert (np.diff(heights) > 0).all()
    assert heights.mean() == pytest.approx(0.0)
    assert heights.std() == pytest.approx(1.0)
    plain = (losses - losses.mean()) / losses.std()
    assert heights[2] - heights[0] > 10 * (plain[2] - plain[0])
    assert robust(3 * losses + 7) == pytest.approx(heights)


def test_failures_count_as_the_median_and_infinity_as_the_worst() -> None:
    heights = robust(np.array([1.0, np.nan, 2.0, 3.0, np.inf]))
    assert heights[4] == heights[3]
    assert heights[2] < heights[1] < heights[3]
    assert robust(np.array([np.nan, np.nan])).tolist() == [0.0, 0.0]
    assert robust(np.array([2.0, 2.0])).tolist() == [0.0, 0.0]


def test_most_points_at_the_best_value() -> None:
    heights = robust(np.array([1.0, 1.0, 1.0, 2.0]))
    assert np.isfinite(heights).all()
    assert heights[3] > heights[0]


def test_joined_losses_follow_the_weights() -> None:
    measured = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5], [1.0, 1.0]])
    assert np.argmin(joined(measured, np.array([0.99, 0.01]))) == 0
    assert np.argmin(joined(measured, np.array([0.01, 0.99]))) == 1
    assert np.argmax(joined(measured, np.array([0.5, 0.5]))) == 3
    assert joined(measured[:, :1], np.ones(1)) == pytest.approx(robust(measured[:, 0]))


def test_columns_that_tell_nothing_are_left_out() -> None:
    matrix = np.array([[1, 0, 5, 2, 7], [2, 0, 5, 4, 1], [3, 0, 5, 6, 4]])
    columns = Columns(sheet("a", "a", "b", "c", "d"), rows(matrix))
    assert columns.groups.tolist() == [0, 1]  # the fourth is twice the first, the second and third are constant
    scaled = columns.matrix(rows(matrix))
    for column in scaled.T:
        assert np.square(column[:, None] - column[None, :]).mean() == pytest.approx(1.0)


def test_rows_of_any_length_fit() -> None:
    columns = Columns(sheet("a", "b"), [np.array([1.0], np.float32), np.array([2.0, 3.0], np.float32)])
    shorter = columns.matrix([np.array([1.0], np.float32)])
    longer = columns.matrix([np.array([1.0, 0.0, 9.0], np.float32)])
    assert shorter.tolist() == longer.tolist()


def learner(count: int, seed: int = 0) -> tuple[Learner, np.ndarray]:
    rng = np.random.default_rng(seed)
    matrix = rng.random((count, 4))
    found = Learner(sheet(*"abcd"))
    found.rows.extend(rows(matrix))
    return found, matrix


def test_a_model_predicts_and_believes() -> None:
    found, matrix = learner(60)
    losses = matrix[:, 0] + 0.2 * matrix[:, 1]
    model = found.model(losses[:, None], np.ones(1), np.arange(60))
    mean, before = model.predict(found.rows)
    assert np.corrcoef(mean, model.heights)[0, 1] > 0.99
    new = rows(np.random.default_rng(9).random((1, 4)) * 0.3)
    expected, unsure = model.predict(new)
    after = model.believing(new)
    again, sure = after.predict(new)
    assert sure[0] < unsure[0]
    assert again == pytest.approx(expected, abs=0.05)
    assert after.heights[-1] == expected[0]
    assert model.believing([]) is model
    assert before.max() < 1


def test_weights_depend_on_the_points_up_to_the_milestone_alone() -> None:
    found, matrix = learner(40)
    measured = matrix[:, :1].copy()
    measured[3] = np.nan
    found.model(measured, np.ones(1), np.arange(40))
    fresh, _ = learner(40)
    ended = module._milestone(40)
    changed = measured.copy()
    changed[ended:] = 5.0
    fresh.model(changed, np.ones(1), np.arange(40))
    assert ended < 40
    assert found._learnt[ended][1].weights.tolist() == fresh._learnt[ended][1].weights.tolist()


def test_milestones_grow_by_a_fifth() -> None:
    milestones = sorted({module._milestone(n) for n in range(1, 1001)})
    assert milestones[:6] == [1, 2, 3, 4, 5, 6]
    assert all(b <= max(a + 1, 1.2 * a) for a, b in pairwise(milestones))
    assert len(milestones) < 40


def test_nothing_measured_is_certain() -> None:
    nothing = Nothing(3).believing(rows(np.zeros((2, 1))))
    assert nothing.heights.tolist() == [0.0] * 5
    mean, deviation = nothing.predict(rows(np.zeros((4, 1))))
    assert mean.tolist() == deviation.tolist() == [0.0] * 4
