"""The recipe and the task: fields are checked, open ones by the values they may come to hold."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from nas.domains import choice, integer, real
from nas.errors import RecipeError
from nas.recipe import LONG, Recipe, Task, changed_fields, strong
from nas.rows import recipe_text

GOOD = {
    "batch_size": 32, "lr": 0.5, "warmup": 0.0, "momentum": 0.0, "weight_decay": 0.0, "label_smoothing": 0.0, "shift": 0, "flip": True,
    "class_weights": "balanced", "grad_clip": 1.0, "flip_average": True, "cutout": 8, "pca_color": 0.1, "mixup": 0.2, "average": 0.999,
}  # fmt: skip
BAD = {
    "batch_size": (0, -1, 2.0, True, "64", None), "lr": (0, -0.1, float("nan"), float("inf"), "0.1", None, True), "warmup": (-0.1, 1.1),
    "momentum": (1.0, -0.5), "weight_decay": (-1e-9, 2.0), "label_smoothing": (1.0, -0.1), "shift": (-1, 1.0, True), "flip": (1, 0, "yes", 1.0),
    "class_weights": ("balance", None, True), "grad_clip": (-1.0, float("nan")), "flip_average": (None, 1, "no"),
    "cutout": (-1, 4.0, True, None), "pca_color": (-0.1, 11, None), "mixup": (-0.1, True, float("inf")), "average": (1, 1.0, -0.1),
}  # fmt: skip


def test_every_field_is_checked() -> None:
    assert set(GOOD) == set(BAD) == {f.name for f in fields(Recipe)}
    for name, value in GOOD.items():
        assert getattr(replace(Recipe(), **{name: value}), name) == value  # type: ignore[arg-type]
    for name, values in BAD.items():
        for value in values:
            with pytest.raises(RecipeError, match=f"recipe field '{name}' is .*, expected") as caught:
                replace(Recipe(), **{name: value})  # type: ignore[arg-type]
            assert "\n" not in str(caught.value)


def test_open_fields_are_checked_by_what_they_may_hold() -> None:
    recipe = Recipe(lr=real(0.01, 0.5, log=True), batch_size=choice(32, 64), shift=integer(0, 3), flip=choice(None, True))
    assert recipe.open_fields() == ("batch_size", "lr", "shift", "flip")
    for name, domain in (
        ("lr", real(0.0, 0.5)), ("lr", choice(0.1, "0.2")), ("batch_size", real(1.0, 8.0)), ("batch_size", integer(0, 8)),
        ("flip", choice(True, 1)), ("shift", choice(0, 2.0)), ("momentum", real(0.5, 1.0)), ("class_weights", choice("none", "some")),
    ):  # fmt: skip
        with pytest.raises(RecipeError, match=f"recipe field '{name}' is (choice|integer|real)"):
            Recipe(**{name: domain})  # type: ignore[arg-type]


def test_augmentation_that_is_not_asked_for_begins_with_long_trainings() -> None:
    assert Recipe().augmentation(LONG - 1, flip_allowed=True, centred=False) == (0, False)
    assert Recipe().augmentation(LONG, flip_allowed=True, centred=False) == (2, True)
    assert Recipe().augmentation(LONG, flip_allowed=False, centred=False) == (2, False)
    assert Recipe().augmentation(LONG, flip_allowed=True, centred=True) == (0, True)
    for epochs in (1, LONG):
        assert Recipe(shift=1, flip=True).augmentation(epochs, flip_allowed=False, centred=True) == (1, True)
        assert Recipe(shift=0, flip=False).augmentation(epochs, flip_allowed=True, centred=False) == (0, False)


def test_colours_need_colour_images() -> None:
    Recipe(pca_color=0.1).check_images(3)
    Recipe().check_images(1)
    for recipe in (Recipe(pca_color=0.1), Recipe(pca_color=choice(0.0, 0.1))):
        with pytest.raises(RecipeError, match=r"'pca_color' is .*0\.1.*, but the images have 2 channels, expected 3"):
            recipe.check_images(2)


def test_fields_that_came_later_leave_the_key_of_older_results_as_it_is() -> None:
    """The text is what the first version recorded: nothing that was trained then is trained again."""
    first = (
        '{"batch_size": 64, "class_weights": "none", "flip": null, "flip_average": false, "grad_clip": 0.0, "label_smoothing": 0.1, '
        '"lr": 0.1, "momentum": 0.9, "shift": null, "warmup": 0.25, "weight_decay": 0.0005}'
    )
    assert recipe_text(Recipe()) == first
    assert recipe_text(Recipe(cutout=4)) == first.replace('"flip"', '"cutout": 4, "flip"')


def test_the_task_is_classification_and_others_are_refused_by_name() -> None:
    assert Task().metrics[0] == "accuracy"
    assert Task(metrics=("accuracy", "own.py:kappa")).metrics == ("accuracy", "own.py:kappa")
    with pytest.raises(RecipeError, match="task 'detection' is not supported; expected 'classification'"):
        Task("detection")
    with pytest.raises(RecipeError, match=r"metric 'acuracy' is unknown.*(did you mean 'accuracy'|expected one of accuracy)"):
        Task(metrics=("acuracy",))


@pytest.mark.parametrize(
    ("metrics", "column"),
    [
        (("a.py:f", "accuracy", "b.py:f"), "'a.py:f' and 'b.py:f' would both be recorded as val_f"),
        (("accuracy", "own.py:accuracy"), "'accuracy' and 'own.py:accuracy' would both be recorded as val_accuracy"),
        (("own.py:loss",), "'the loss' and 'own.py:loss' would both be recorded as val_loss"),
        (("accuracy", "accuracy"), "'accuracy' and 'accuracy' would both be recorded as val_accuracy"),
    ],
)
def test_metrics_of_one_column_are_refused_by_name(metrics: tuple[str, ...], column: str) -> None:
    with pytest.raises(RecipeError, match=f"metrics {column}; give one of them another name") as caught:
        Task(metrics=metrics)
    assert "\n" not in str(caught.value)


def test_metrics_of_one_file_with_names_of_their_own_are_taken() -> None:
    assert len(Task(metrics=("accuracy", "a.py:f", "a.py:g")).metrics) == 3


def test_a_long_training_averages_weights_and_mirror_images() -> None:
    long = strong(Recipe(), LONG, 6400)
    assert changed_fields(Recipe(), long) == ("flip_average True", "average 0.99"), "an epoch has 100 steps of 64 images"
    assert strong(Recipe(), LONG, 60).average == 0 and strong(Recipe(batch_size=1), LONG, 10**6).average == 0.9999
    assert strong(Recipe(), LONG - 1, 6400) == Recipe(), "without mirror images in training they are no help in the end"


def test_what_somebody_chose_stays() -> None:
    mine = Recipe(average=0.5, flip=False, shift=0, label_smoothing=0.0, cutout=4)
    assert changed_fields(mine, strong(mine, LONG, 6400)) == ("flip_average True",)
