"""Looks at the test images in the record of a run."""

from __future__ import annotations

from pathlib import Path

from nas.database import Lock
from nas.looks import look_words, read_looks, write_look
from nas.record import Record

NETWORK = {"id": "abc", "fingerprint": "abcdef", "seed": 0, "epochs": 3, "test_accuracy": None}


def test_a_look_is_written_and_completed(tmp_path: Path) -> None:
    Record(tmp_path / "run", {"seed": 0}).close()
    run = tmp_path / "run"
    assert read_looks(run) == []
    assert write_look(run, 1.5, "/final", 100, [NETWORK]) == ""
    assert write_look(run, 2.5, "/other", 100, [NETWORK]) == ""
    assert write_look(run, 1.5, "/final", 100, [NETWORK | {"test_accuracy": 0.9}]) == ""
    looks = read_looks(run)
    assert [(look["at"], look["folder"], look["images"]) for look in looks] == [(1.5, "/final", 100), (2.5, "/other", 100)]
    assert looks[0]["networks"][0]["test_accuracy"] == 0.9


def test_a_run_that_is_being_searched_says_so(tmp_path: Path) -> None:
    Record(tmp_path / "run", {"seed": 0}).close()
    lock = Lock(tmp_path / "run")
    try:
        assert "is being written by another search" in write_look(tmp_path / "run", 1.0, "/final", 1, [])
    finally:
        lock.release()
    assert read_looks(tmp_path / "run") == []


def test_what_is_no_run_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "run.db").write_text("no database, but long enough to look like one" * 10)
    assert "no SQLite file" in write_look(tmp_path, 1.0, "/final", 1, [])


def test_looks_in_words() -> None:
    assert look_words([]) == ""
    look = {"at": 0.0, "folder": "/final", "images": 9, "networks": [NETWORK, NETWORK | {"seed": 1}]}
    assert look_words([look]) == "measured 1 time, on 1970-01-01 00:00 UTC for 1 network in /final"
    assert look_words([look, look]) == "measured 2 times, at last 1970-01-01 00:00 UTC for 1 network in /final"
