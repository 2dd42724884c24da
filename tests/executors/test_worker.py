"""Tests of what a worker makes of the ways in which a job ends, without any process."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import torch

from nas.errors import EvaluationError
from nas.executors.base import CheckJob, EpochEnded
from nas.executors.worker import first_line, outcome_of, perform, verdict
from nas.measurement import Outcome


def test_want_of_memory_is_known_by_any_of_its_names() -> None:
    for error in (
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        ),
        RuntimeError("std::bad_alloc"),
    ):
        assert outcome_of(error) is Outcome.OUT_OF_MEMORY
    assert outcome_of(RuntimeError("sizes differ")) is Outcome.CRASHED
    assert outcome_of(SystemExit(3)) is Outcome.CRASHED
    assert outcome_of(KeyboardInterrupt()) is Outcome.INTERRUPTED


def test_torch_really_says_so() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert outcome_of(caught.value) is Outcome.OUT_OF_MEMORY


def test_how_a_silent_end_is_read() -> None:
    assert verdict(3, False) == (Outcome.CRASHED, "the process left with exit code 3 before it was done")
    assert verdict(-signal.SIGSEGV, False)[0] is Outcome.CRASHED
    assert "SIGSEGV" in verdict(-signal.SIGSEGV, True)[1]
    assert verdict(-signal.SIGKILL, True)[0] is Outcome.OUT_OF_MEMORY
    assert verdict(-signal.SIGKILL, False)[0] is Outcome.CRASHED
    assert verdict(-signal.SIGTERM, True)[0] is Outcome.INTERRUPTED


def test_an_error_is_told_in_one_line() -> None:
    assert first_line(ValueError("one\ntwo")) == "ValueError: one"
    assert first_line(ValueError()) == "ValueError"
    assert first_line(EvaluationError("no device")) == "no device"


def test_a_check_that_fails_names_the_reason(tmp_path: Path) -> None:
    sent: list[EpochEnded] = []
    missing = CheckJob(task={"metrics": []}, data=str(tmp_path), device="cpu", precision="fp32")
    done = perform(missing, sent.append)
    assert done.outcome is Outcome.CRASHED
    assert done.error.startswith("no decoded data in")
    assert "DataError" in done.traceback
    typo = CheckJob(task={"metrics": ["acuracy"]}, data=str(tmp_path), device="cpu", precision="fp32")
    assert perform(typo, sent.append).error == "unknown metric 'acuracy'; did you mean 'accuracy'?"
    assert sent == []
