"""Tests of nas/metrics.py against the definitions written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nas.errors import EvaluationError, UnknownNameError
from nas.metrics import METRICS, accuracy, balanced_accuracy, confusion, load_metric, macro_f1, measure, metric_name
from nas.recipe import TASK_METRICS

LABELLED = st.integers(2, 5).flatmap(
    lambda classes: st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), min_size=1, max_size=30).map(
        lambda pairs: (np.eye(classes, dtype=np.float32)[[p for p, _ in pairs]], np.array([t for _, t in pairs]))
    )
)


def logits_of(predicted: list[int], classes: int = 3) -> NDArray[np.float32]:
    return np.eye(classes, dtype=np.float32)[predicted]


def test_the_names_are_those_a_task_takes() -> None:
    assert tuple(METRICS) == TASK_METRICS


def test_a_hand_computed_case() -> None:
    logits, labels = logits_of([0, 0, 0, 1, 1, 0]), np.array([0, 0, 0, 0, 1, 1])
    assert accuracy(logits, labels) == pytest.approx(4 / 6)
    assert balanced_accuracy(logits, labels) == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert macro_f1(logits, labels) == pytest.approx((6 / 8 + 2 / 4) / 2)
    assert confusion(logits, labels).tolist() == [[3, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_always_the_large_class_is_good_only_by_plain_accuracy() -> None:
    logits, labels = logits_of([0] * 21, classes=2), np.array([0] * 20 + [1])
    assert accuracy(logits, labels) == pytest.approx(20 / 21)
    assert balanced_accuracy(logits, labels) == 0.5
    assert macro_f1(logits, labels) == pytest.approx(40 / 41 / 2)


@given(LABELLED)
def test_they_follow_their_definitions(case: tuple[NDArray[np.float32], NDArray[np.int64]]) -> None:
    logits, labels = case
    predicted = logits.argmax(1)
    recalls = [float(np.mean(predicted[labels == c] == c)) for c in sorted(set(labels.tolist()))]
    scores = []
    for c in sorted(set(labels.tolist()) | set(predicted.tolist())):
        right = float(np.sum((predicted == c) & (labels == c)))
        precision, recall = right / max(1, np.sum(predicted == c)), right / max(1, np.sum(labels == c))
        scores.append(0.0 if right == 0 else 2 * precision * recall / (precision + recall))
    assert balanced_accuracy(logits, labels) == pytest.approx(np.mean(recalls))
    assert macro_f1(logits, labels) == pytest.approx(np.mean(scores))


def test_a_metric_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("FACTOR = 2\n")
    file = tmp_path / "mine.py"
    file.write_text("from beside import FACTOR\ndef half(logits, labels):\n    return FACTOR * len(labels) / 4\n")
    name = f"{file}:half"
    assert metric_name(name) == "val_half"
    assert measure(("accuracy", name), logits_of([0, 1]), np.array([0, 0])) == {"val_accuracy": 0.5, "val_half": 1.0}


def test_what_is_wrong_with_a_metric_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def recall(logits, labels):\n    return float('nan')\n")
    with pytest.raises(UnknownNameError, match=r"did you mean 'accuracy'"):
        load_metric("acuracy")
    with pytest.raises(UnknownNameError, match=r"unknown function of .*'recal'; did you mean 'recall'"):
        load_metric(f"{file}:recal")
    with pytest.raises(EvaluationError, match=r"is not there"):
        load_metric(f"{tmp_path / 'other.py'}:f")
    with pytest.raises(EvaluationError, match=r"returned nan, expected a finite number"):
        load_metric(f"{file}:recall")(logits_of([0]), np.array([0]))
    file.write_text("import no_such_module_at_all\n")
    with pytest.raises(EvaluationError, match=r"cannot be run: ModuleNotFoundError"):
        load_metric(f"{file}:f")


def test_a_metric_may_import_its_neighbours_when_it_is_called_and_names_the_line_that_fails(tmp_path: Path) -> None:
    (tmp_path / "called_late.py").write_text("FACTOR = 3\n")
    file = tmp_path / "late.py"
    file.write_text("def third(logits, labels):\n    from called_late import FACTOR\n    return len(labels) / FACTOR\n")
    assert load_metric(f"{file}:third")(logits_of([0]), np.array([0])) == pytest.approx(1 / 3)
    file.write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(EvaluationError, match=r"late\.py', line 2 cannot be run: SystemExit: 3"):
        load_metric(f"{file}:third")
