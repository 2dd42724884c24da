"""Tests of nas/arguments.py: what is refused is named with what was expected, and what is taken becomes what a search works with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas import Recipe, Space, arguments
from nas.blocks import Classifier, Resize, Sequential
from nas.budget import Budget, parse_budget
from nas.errors import NasError, RunError, SpaceError, UnknownNameError

OPEN = Space(input_shape=None, classes=None, body=Sequential(Classifier()), name="open")


def own(architecture: Any) -> dict[str, float]:
    return {"score": 0.0}


def again(train_seeds: int = 1, folds: int = 0, function: Any = None, heirs: bool = False) -> Any:
    return arguments.again_of(train_seeds, folds, function, None, seed=0, heirs=heirs)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "seed": (lambda: arguments.check_numbers(-1, None, None), "seed is -1, expected a whole number of at least 0"),
    "seed that is a truth value": (lambda: arguments.check_numbers(True, None, None), "seed is True, expected a whole number"),
    "workers": (lambda: arguments.check_numbers(0, 0, None), "workers is 0, expected a whole number of at least 1"),
    "deadline": (lambda: arguments.check_numbers(0, 1, 0), "deadline is 0, expected a number of seconds above 0, or None"),
    "deadline for ever": (lambda: arguments.check_numbers(0, 1, float("inf")), "deadline is inf"),
    "budget twice": (lambda: arguments.budget_of(Budget(evaluations=5), 5, None), "the budget is given twice"),
    "no budget": (lambda: arguments.budget_of(None, None, None), "budget"),
    "inherited from a function": (lambda: arguments.check_inherits(own), "own trains nothing that could be inherited"),
    "prescreen": (lambda: arguments.check_prescreen(-1, None), "prescreen is -1, expected how many candidates"),
    "prescreen without images": (lambda: arguments.check_prescreen(10, own), "own has no images to score networks on"),
    "no seed at all": (lambda: again(train_seeds=0), "train_seeds is 0, expected a whole number of at least 1"),
    "one fold": (lambda: again(folds=1), "folds is 1, expected a whole number of at least 2"),
    "seeds and folds": (lambda: again(3, 5), "give one of them"),
    "seeds of a function": (
        lambda: again(3, function=own),
        "own trains nothing that could be trained again so; leave --train-seeds",
    ),
    "seeds of heirs": (lambda: again(3, heirs=True), "cannot be trained again alike"),
    "deterministic function": (lambda: arguments.deterministic_workers(own, None), "own evaluates; leave deterministic out"),
    "deterministic crowd": (lambda: arguments.deterministic_workers(None, 2), "workers is 2, expected 1"),
    "no data": (lambda: arguments.bound_space(OPEN, None, {}, needed=True), "no data given"),
    "shape of data": (lambda: arguments.bound_space(OPEN, "x", {}, needed=True, classes=3), "leave --input and --classes out"),
    "no shape": (lambda: arguments.bound_space(OPEN, None, {}, needed=False), "open takes images of any shape"),
    "field of the recipe": (lambda: arguments.changed_recipe(Recipe(), {"momentun": 0.9}), "momentun"),
    "evaluator": (lambda: arguments.evaluator_name(3), "evaluator is 3, expected a function"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused_in_one_line(case: str) -> None:
    call, words = REFUSED[case]
    with pytest.raises(NasError) as caught:
        call()
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_budget_is_taken_as_it_is_or_from_its_limits() -> None:
    whole = Budget(evaluations=5)
    assert arguments.budget_of(whole, None, None) is whole
    assert arguments.budget_of("30min", 50, None) == parse_budget("30min", evaluations=50)


def test_numbers_that_make_sense_are_taken() -> None:
    arguments.check_numbers(0, None, None)
    arguments.check_numbers(7, 2, 60.5)


def test_nothing_is_trained_again_unless_it_is_asked_for() -> None:
    assert again() is None
    wanted = again(train_seeds=3)
    assert (wanted.seeds, wanted.folds) == (3, 0) and wanted
    assert again(folds=5).folds == 5


def test_a_deterministic_search_has_one_worker() -> None:
    assert arguments.deterministic_workers(None, None) == arguments.deterministic_workers(None, 1) == 1


def test_a_space_takes_its_shape_from_what_is_asked_for_or_from_the_data(tmp_path: Path) -> None:
    bound, dataset = arguments.bound_space(OPEN, None, {}, needed=False, input_shape=(1, 8, 8), classes=4)
    assert (bound.input_shape, bound.classes, dataset) == ((1, 8, 8), 4, None)
    images = np.random.default_rng(0).integers(0, 256, (60, 3, 6, 5), dtype=np.uint8)
    bound, dataset = arguments.bound_space(OPEN, (images, np.arange(60) % 3), {"cache_dir": tmp_path}, needed=True)
    assert (bound.input_shape, bound.classes) == ((3, 6, 5), 3)
    assert dataset is not None and dataset.input_shape == (3, 6, 5)


def test_a_space_of_its_own_shape_needs_to_be_told_nothing() -> None:
    fixed = OPEN.bind((1, 8, 8), 4)
    assert arguments.bound_space(fixed, None, {}, needed=False)[0].input_shape == (1, 8, 8)
    with pytest.raises(SpaceError):
        arguments.bound_space(fixed, None, {}, needed=False, classes=5)


def test_a_recipe_comes_from_a_file_under_its_name_or_another(tmp_path: Path) -> None:
    file = tmp_path / "recipes.py"
    file.write_text("from nas import Recipe\nrecipe = Recipe(lr=0.5)\nother = Recipe(lr=0.25)\nnone = 3\n")
    given = Recipe()
    assert arguments.load_recipe(given) is given and arguments.load_recipe(None) is None
    assert [arguments.load_recipe(address).lr for address in (str(file), f"{file}:other")] == [0.5, 0.25]
    with pytest.raises(RunError, match=r"none' is int, expected a nas.Recipe"):
        arguments.load_recipe(f"{file}:none")


def test_only_the_named_fields_of_a_recipe_change() -> None:
    assert arguments.changed_recipe(Recipe(), {"lr": 0.5}) == Recipe(lr=0.5)
    with pytest.raises(UnknownNameError, match="momentum"):
        arguments.changed_recipe(Recipe(), {"momentun": 0.9})


def test_resolutions_are_for_training_and_for_spaces_that_leave_images_as_they_are() -> None:
    space = OPEN.bind((1, 28, 28), 4)
    assert arguments.resolutions_of((), (1, 3), (1, 3), None, space) == ()
    assert arguments.resolutions_of((14, 28), (1, 3), (1, 3), None, space) == (14, 28)
    with pytest.raises(RunError, match="own evaluates"):
        arguments.resolutions_of((14, 28), (1, 3), (1, 3), own, space)
    resizing = Space(input_shape=(1, 28, 28), classes=4, body=Sequential(Resize(14), Classifier()), name="resizing")
    with pytest.raises(RunError, match="has a Resize"):
        arguments.resolutions_of((14, 28), (1, 3), (1, 3), None, resizing)


def test_the_first_free_folder_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = [arguments.free_folder("my.py:space/x") for _ in range(2)]
    assert found == [Path("runs/my.py-space-x-1"), Path("runs/my.py-space-x-2")]
    assert all(folder.is_dir() for folder in found)


def test_a_folder_that_cannot_be_made_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs").write_text("in the way")
    with pytest.raises(RunError, match=r"cannot be written: .*; name a folder with --out"):
        arguments.free_folder("x")
