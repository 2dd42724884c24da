"""What is open while a search runs is closed on every way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas.errors import RunError
from nas.record import Record
from nas.run import open_run
from nas.session import recorded

SETTINGS: dict[str, Any] = {"objectives": [], "epochs": 1, "seed": 0}


def test_an_error_is_noted_in_the_record_and_goes_on(tmp_path: Path) -> None:
    with pytest.raises(KeyError), recorded(tmp_path, SETTINGS, {}) as record:
        record.commit()
        raise KeyError("why")
    (start,) = open_run(tmp_path).starts()
    assert start["ended"] == "failed: KeyError: 'why'"


def test_a_disk_that_is_full_when_all_is_done_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(record: Record, *_: object) -> None:
        raise RunError("the disk is full")

    with pytest.raises(RunError, match=r"^the disk is full$"), recorded(tmp_path, SETTINGS, {}) as record:
        monkeypatch.setattr(Record, "_write", full)
        record.close("done")
    monkeypatch.undo()
    with Record(tmp_path, SETTINGS):  # the lock was let go
        pass
