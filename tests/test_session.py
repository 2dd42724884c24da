"""What is open while a search runs is closed on every way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas import session
from nas.errors import RunError
from nas.evaluators.function import CallableEvaluator
from nas.record import Record
from nas.run import open_run
from nas.session import evaluating, recorded

SETTINGS: dict[str, Any] = {"objectives": [], "epochs": 1, "seed": 0}


def test_an_error_is_noted_in_the_record_and_goes_on(tmp_path: Path) -> None:
    with pytest.raises(KeyError), recorded(tmp_path, SETTINGS, {}) as record:
        record.commit()
        raise KeyError("why")
    (start,) = open_run(tmp_path).starts()
    assert start["ended"] == "failed: KeyError: 'why'"


@pytest.mark.parametrize(("before", "precision"), [("cpu", "bf16"), ("cuda", "auto")])
def test_a_precision_is_kept_for_the_device_it_was_measured_on_whatever_it_was_asked_for_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, precision: str
) -> None:
    """A run that was begun on another machine, by `--device auto` too."""
    asked: list[str] = []

    class Trainer(CallableEvaluator):
        def __init__(self, dataset: Any, task: Any, *, precision: str, **options: Any) -> None:
            super().__init__(lambda architecture: {})
            asked.append(precision)

    facts = {"device": before, "precision": "bf16", "precision_reason": "quicker"}
    with Record(tmp_path, SETTINGS, {"device": "auto", "evaluator": facts}) as record:
        record.commit()
    monkeypatch.setattr(session, "TrainingEvaluator", Trainer)
    monkeypatch.setattr(session, "found_device", lambda device: "cpu")
    monkeypatch.setattr(session, "typical_sources", lambda problem: ())
    dataset: Any = object()
    problem: Any = None
    with Record(tmp_path, SETTINGS) as record, evaluating(None, dataset, None, 1, "auto", None, record, problem):
        assert asked == [precision]


def test_a_disk_that_is_full_when_all_is_done_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(record: Record, *_: object) -> None:
        raise RunError("the disk is full")

    with pytest.raises(RunError, match=r"^the disk is full$"), recorded(tmp_path, SETTINGS, {}) as record:
        monkeypatch.setattr(Record, "_write", full)
        record.close("done")
    monkeypatch.undo()
    with Record(tmp_path, SETTINGS):  # the lock was let go
        pass
