"""What is said of how sure accuracies are: means over trainings in tables, fronts, lines and the report, and the luck of the best."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.again import Plan
from nas.certainty import again_words, luck_of, luck_words, training_rows
from nas.intervals import wilson
from nas.measurement import Measurement, Outcome
from nas.record import Record
from nas.rows import EvaluationRow, NetworkRow, ProposalRow
from nas.run import Run, open_run

IMAGES = 1000
SETTINGS: dict[str, Any] = {
    "objectives": [
        {"name": "val_accuracy", "direction": "maximize", "unit": "share", "exact": False, "about": ""},
        {"name": "params", "direction": "minimize", "unit": "values", "exact": True, "about": ""},
    ],
    "epochs": 3,
    "evaluator": "training",
    "seed": 0,
    "data": {"validation_images": IMAGES},
}
FIRST = {0: (0.90, 900), 1: (0.91, 800), 2: (0.85, 100), 3: (0.70, 950), 4: (0.848, 90)}
"""Accuracy and parameters of each network, as the search measured them."""


def measured(accuracy: float, outcome: Outcome = Outcome.COMPLETE) -> Measurement:
    metrics = {"val_accuracy": accuracy, "val_loss": 1 - accuracy} if outcome.measured else {}
    return Measurement(outcome, metrics, epochs=3, seconds=2.0)


def recorded(
    folder: Path,
    again: dict[int, list[float]] | None = None,
    *,
    folds: bool = False,
    failed: tuple[int, int] | None = None,
    later: bool = False,
) -> Run:
    """A run of five networks, of which some were trained again: by proposal, one accuracy a round."""
    again = again or {}
    with Record(folder, SETTINGS) as record:
        recipe = record.add_recipe(None)
        for number, (accuracy, params) in {**FIRST, **({5: (0.5, 5000)} if later else {})}.items():
            if number == 5:
                _train_again(record, recipe, again, folds, failed)
            key = f"{number:x}" * 64
            record.add_network(NetworkRow(key, {"params": params}, b"{}"))
            record.add_proposal(ProposalRow(number, key, recipe, {"a": number}, seen=number, finished=number))
            record.add_evaluation(EvaluationRow(number, key, recipe, "d", 0, 0, 3, measured(accuracy)))
        if not later:
            _train_again(record, recipe, again, folds, failed)
    return open_run(folder)


def _train_again(record: Record, recipe: str, again: dict[int, list[float]], folds: bool, failed: tuple[int, int] | None) -> None:
    if not again:
        return
    rounds = tuple((i + 1, f"fold{i}" if folds else "d") for i in range(3))
    record.note_plan(Plan("folds" if folds else "seeds", tuple(again), rounds, (IMAGES,) * 3, 5, 3))
    for i, (seed, data) in enumerate(rounds):
        for number, shares in again.items():
            if i < len(shares):
                result = measured(shares[i], Outcome.DIVERGED if (number, i) == failed else Outcome.COMPLETE)
                key = f"{number:x}" * 64
                record.add_evaluation(EvaluationRow(number, key, recipe, data, seed, 0, 3, result))


NEAR = {1: [0.88, 0.89, 0.88], 2: [0.85, 0.86, 0.84], 0: [0.90, 0.91, 0.89], 4: [0.85, 0.86, 0.85]}


def test_the_mean_over_seeds_ranks(tmp_path: Path) -> None:
    plain, run = recorded(tmp_path / "plain"), recorded(tmp_path / "again", NEAR)
    assert list(plain.front()["id"]) == ["1" * 7, "2" * 7, "4" * 7] and "trainings" not in plain.front()
    front = run.front()
    assert list(front["id"]) == ["0" * 7, "1" * 7, "4" * 7]
    assert front["val_accuracy"].to_list() == pytest.approx([0.90, 0.89, np.mean([0.848, 0.85, 0.86, 0.85])])
    assert front["val_loss"][0] == pytest.approx(0.1) and set(front["trainings"]) == {4}
    low, high = wilson(0.90, IMAGES)
    assert front["val_accuracy_low"][0] < low and front["val_accuracy_high"][0] > high, "seeds come on top of images"
    assert run.best().id == "0" * 7 and run.best("params<=850").id == "1" * 7
    assert run.best("params>=950").id == "3" * 7, "one that was trained once, where no other will do"
    trials = run.trials().set_index("id")
    assert list(trials["trainings"]) == [4, 4, 4, 1, 4] and trials["val_accuracy"]["3" * 7] == 0.70
    assert list(run.front(3)["id"]) == list(plain.front()["id"]), "a rung is as the search measured it"
    assert run.trials(3)["val_accuracy"].to_list() == [share for share, _ in FIRST.values()]
    assert len(run.rows()[1]) == 5


def test_folds_leave_the_first_training_out(tmp_path: Path) -> None:
    run = recorded(tmp_path, {0: [0.88, 0.89, 0.90], 1: [0.86, 0.87, 0.88]}, folds=True)
    assert run.front()["val_accuracy"].to_list() == pytest.approx([0.89, 0.87]) and set(run.front()["trainings"]) == {3}
    noise = run.noise()
    assert noise is not None and (noise.folds, noise.images, noise.trainings, noise.freedom) == (3, 3 * IMAGES, 3, 4)


def test_only_complete_rounds_count(tmp_path: Path) -> None:
    one = recorded(tmp_path / "one", {number: shares[: 1 + (number < 2)] for number, shares in NEAR.items()})
    assert set(one.front()["trainings"]) == {2}
    assert "(6 of 12 trainings done)" in again_words(one)
    none = recorded(tmp_path / "none", {0: [0.9], 1: []})
    assert none.front().equals(recorded(tmp_path / "plain").front())
    assert again_words(none) == (
        "trained again: 2 networks near the front, 1 of 6 trainings done; no round of all is complete, so the front is of first "
        "trainings"
    )


def test_a_search_that_went_on_ranks_first_trainings_again(tmp_path: Path) -> None:
    run = recorded(tmp_path, NEAR, later=True)
    assert list(run.front()["id"]) == ["1" * 7, "2" * 7, "4" * 7]
    assert "the search has gone on since" in again_words(run)


def test_a_network_of_which_a_training_failed_is_left_out(tmp_path: Path) -> None:
    run = recorded(tmp_path, NEAR, failed=(0, 1))
    assert list(run.front()["id"]) == ["1" * 7, "4" * 7]
    assert "; 1 left out, of which a training failed" in again_words(run)
    assert run.trials().set_index("id")["trainings"]["0" * 7] == 1
    everything = recorded(tmp_path / "all", {0: [0.5], 1: [0.5]}, failed=(0, 0))
    assert list(everything.front()["id"]) == ["1" * 7]


def test_the_luck_of_the_best_is_said(tmp_path: Path) -> None:
    plain, run = recorded(tmp_path / "plain"), recorded(tmp_path / "again", NEAR)
    once, often = luck_of(plain), luck_of(run)
    assert once is not None and often is not None
    assert (once.id, once.value, once.kind, once.networks) == ("1" * 7, 0.91, "images", 5)
    assert once.deviation == pytest.approx((0.91 * 0.09 / IMAGES) ** 0.5)
    assert (often.id, often.kind) == ("0" * 7, "seeds") and often.value == pytest.approx(0.90)
    assert 0.001 < once.luck < once.deviation and 0 <= often.luck < often.deviation
    measured = run.noise()
    assert measured is not None
    images = 0.90 * 0.10 / IMAGES  # all seeds share them: that part of the noise does not become less
    assert often.deviation == pytest.approx((images + measured.deviation_of_mean(0.90, 4) ** 2) ** 0.5)
    assert luck_words(plain) == (
        f"best val_accuracy 91.0 % (1111111), of which about {100 * once.luck:.1f} points are luck: it is the best of 5 networks, "
        "with a noise of 0.9 points (from 1,000 images alone, as if drawn anew for each; --train-seeds 3 measures that of seeds)"
    )
    assert "of the mean, as measured between seeds, and from 1,000 images" in luck_words(run)
    assert again_words(run).startswith("trained again: 4 networks near the front; their figures are means of 4 seeds; from seed to")
    folds = luck_of(recorded(tmp_path / "folds", NEAR, folds=True))
    assert folds is not None and (folds.kind, folds.networks) == ("folds", 4)
    noise = recorded(tmp_path / "fold", NEAR, folds=True).noise()
    assert noise is not None
    assert folds.deviation == pytest.approx(noise.deviation(folds.value) * (1 / 3 + 1 / 2) ** 0.5), "folds share images"


def test_of_equally_accurate_networks_the_luck_is_told_of_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FIRST, 4, (0.91, 1))
    run = recorded(tmp_path)
    found = luck_of(run)
    assert found is not None and found.id == run.best().id == "4" * 7, "as accurate as another, and smaller"


def test_nothing_is_said_where_nothing_is_known(tmp_path: Path) -> None:
    record = Record(tmp_path / "own", {**SETTINGS, "evaluator": "f"})
    record.close()
    assert luck_words(open_run(tmp_path / "own")) == again_words(open_run(tmp_path / "own")) == ""
    run = recorded(tmp_path / "few")
    assert training_rows(run, "1" * 64) == []


def test_each_training_is_shown(tmp_path: Path) -> None:
    run = recorded(tmp_path, NEAR, failed=(1, 2))
    assert training_rows(run, "2" * 64) == [
        ["training", "outcome", "val_accuracy", "val_loss"],
        ["by the search", "complete", 0.85, pytest.approx(0.15)],
        *([f"seed {i + 1}", "complete", share, pytest.approx(1 - share)] for i, share in enumerate(NEAR[2])),
        ["mean of 4 seeds", "", pytest.approx(0.85), pytest.approx(0.15)],
    ]
    assert [row[1] for row in training_rows(run, "1" * 64)][-1] == "diverged"
    assert training_rows(run, "3" * 64) == []


def test_the_plan_comes_back_from_the_record(tmp_path: Path) -> None:
    run = recorded(tmp_path, NEAR, folds=True)
    again = run.trained_again()
    assert again is not None and json.loads(json.dumps(again.plan.rounds)) == [[1, "fold0"], [2, "fold1"], [3, "fold2"]]
    assert again.planned == len(again.ended) == 12 and again.rounds == 3
    assert replace(again.plan, segments=5) == again.plan
