"""Searches that can be had again, bit for bit, and the precision that a search keeps."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import nas
from nas import Recipe, Run, Space, choice
from nas.blocks import Classifier, Conv, Sequential
from nas.errors import RecipeError, RunError
from nas.problem import Problem
from nas.session import evaluating, typical_sources

SPACE = Space(body=Sequential(Conv(channels=choice(2, 4, 6, 8), kernel=choice(1, 3)), Classifier()), border="floor", name="tiny")
RNG = np.random.default_rng(0)
DATA = (RNG.integers(0, 255, (90, 1, 6, 6)).astype(np.uint8), np.arange(90) % 3)
RECIPE = Recipe(batch_size=8, shift=1, cutout=2, mixup=0.2)


def searched(out: Path, **options: Any) -> Run:
    data_options = {"cache_dir": out.parent / "cache"}
    return nas.search(SPACE, DATA, recipe=RECIPE, epochs=1, strategy="random", data_options=data_options, out=out, **options)


def rows(run: Run) -> list[dict[str, Any]]:
    timeless = run.trials().drop(columns=["seconds", "images_per_second"])
    return [{key: value for key, value in row.items() if value == value} for row in timeless.to_dict("records")]


def test_two_deterministic_searches_are_equal_in_all_but_time(tmp_path: Path) -> None:
    first = searched(tmp_path / "a", deterministic=True, evaluations=3)
    assert first.settings["deterministic"] is True
    facts = first.starts()[-1]["options"]["evaluator"]
    assert (facts["precision"], facts["workers"], facts["threads"]) == ("deterministic", 1, 1)
    searched(tmp_path / "b", deterministic=True, evaluations=1)
    second = searched(tmp_path / "b", deterministic=True, evaluations=3)
    assert [start["options"]["evaluator"]["precision"] for start in second.starts()] == ["deterministic"] * 2
    assert len(rows(first)) == 3
    assert rows(first) == rows(second)
    with pytest.raises(RunError, match="deterministic"):
        searched(tmp_path / "b", evaluations=4)


def toy(architecture: object) -> dict[str, float]:
    return {"val_accuracy": 1.0}


def test_the_precision_of_the_first_start_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the same device, whatever it was asked for by: another one has a precision of its own."""
    given: dict[str, Any] = {}
    monkeypatch.setattr("nas.session.TrainingEvaluator", lambda *_, **options: nullcontext(given.update(options)))
    problem = Problem(SPACE.bind((1, 6, 6), 3), ["val_accuracy", "params"], [])

    def asked(*before: dict[str, Any], device: str = "auto", deterministic: bool = False) -> tuple[str, str]:
        record: Any = SimpleNamespace(options_before=list(before))
        with evaluating(None, DATA, None, None, device, None, record, problem, deterministic):  # type: ignore[arg-type]
            assert bool(given["kind"]) == (given["precision"] == "auto")
        return given["precision"], given["reason"]

    assert asked() == ("auto", "")
    assert asked(deterministic=True) == ("deterministic", "asked for")
    trial = {"device": "cpu", "precision": "bf16", "precision_reason": "trial: bf16 2, fp32 1 images/s"}
    before: dict[str, Any] = {"device": "auto", "evaluator": trial}
    kept = asked(before)
    assert kept == ("bf16", "as at first, trial: bf16 2, fp32 1 images/s")
    before["evaluator"] = {**trial, "precision_reason": kept[1]}
    assert asked(before) == kept
    assert asked(before, device="cuda") == ("auto", "")
    assert asked(before, device="cpu") == kept
    on_another_machine = {"device": "auto", "evaluator": {**trial, "device": "cuda"}}
    assert asked(on_another_machine) == ("auto", "")
    stopped_early, elsewhere = {"device": "auto"}, {"device": "cuda", "evaluator": {"device": "cuda", "precision": "fp32"}}
    assert asked(stopped_early, elsewhere, before) == kept  # the newest first


def test_what_cannot_be_deterministic_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="workers is 2, expected 1 in a deterministic search"):
        searched(tmp_path / "a", deterministic=True, evaluations=3, workers=2)
    with pytest.raises(RunError, match="deterministic is for training, and toy evaluates"):
        searched(tmp_path / "a", deterministic=True, evaluations=3, evaluator=toy)


def test_a_recipe_that_does_not_fit_the_images_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"'pca_color' is 0\.1, but the images have 1 channel"):
        nas.search(SPACE, DATA, recipe=Recipe(pca_color=0.1), evaluations=1, out=tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_precisions_are_tried_with_feasible_networks_of_the_space() -> None:
    problem = Problem(SPACE.bind((1, 6, 6), 3), ["val_accuracy", "params"], ["params<=60"])
    found = typical_sources(problem)
    assert len(found) == 3
    assert found == typical_sources(problem)
    assert all("class Network" in source for source in found)
    nothing = Problem(SPACE.bind((1, 6, 6), 3), ["val_accuracy", "params"], ["params<=1"])
    assert typical_sources(nothing) == []
