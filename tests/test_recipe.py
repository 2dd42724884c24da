"""Tests of nas/recipe.py."""

from __future__ import annotations

from typing import Any

import pytest

from nas.domains import integer, real
from nas.errors import RecipeError
from nas.recipe import LONG, Recipe, Task


def test_augmentation_that_is_not_asked_for_begins_with_long_trainings() -> None:
    assert Recipe().augmentation(LONG - 1, flip_allowed=True) == (0, False)
    assert Recipe().augmentation(LONG, flip_allowed=True) == (2, True)
    assert Recipe().augmentation(LONG, flip_allowed=False) == (2, False)
    for epochs in (1, LONG):
        assert Recipe(shift=1, flip=True).augmentation(epochs, flip_allowed=False) == (1, True)
        assert Recipe(shift=0, flip=False).augmentation(epochs, flip_allowed=True) == (0, False)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("batch_size", 0),
        ("batch_size", 2.0),
        ("lr", 0.0),
        ("lr", True),
        ("momentum", 1.0),
        ("shift", -1),
        ("shift", 1.5),
        ("flip", "yes"),
        ("class_weights", "even"),
        ("label_smoothing", 1.0),
        ("warmup", 1.1),
    ],
)
def test_a_field_out_of_range_is_named(field: str, value: Any) -> None:
    with pytest.raises(RecipeError, match=rf"^recipe field '{field}' is {value!r}, expected "):
        Recipe(**{field: value})


def test_open_fields_are_found_and_not_checked() -> None:
    assert Recipe(lr=real(0.01, 0.5, log=True), shift=integer(0, 3)).open_fields() == ("lr", "shift")
    assert Recipe().open_fields() == ()


def test_a_task_that_is_not_there_is_refused() -> None:
    with pytest.raises(RecipeError, match="task 'detection' is not supported; expected 'classification'"):
        Task("detection")
    with pytest.raises(RecipeError, match="metric 'auc' is unknown"):
        Task(metrics=("auc",))
    assert Task(metrics=("mine.py:auc",)).metrics == ("mine.py:auc",)
