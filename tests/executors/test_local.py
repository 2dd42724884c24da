"""Faults injected into real worker processes: each must end its own job, and nothing else."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from train_jobs import train_job

from nas.data import load_data
from nas.errors import EvaluationError
from nas.executors.base import Result, TrainJob
from nas.executors.local import LocalExecutor
from nas.measurement import Outcome

needs_fork = pytest.mark.skipif(not hasattr(os, "fork") or sys.platform == "darwin", reason="jobs are not forked here")

NETWORK = """
from torch import nn

class Network(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(16, 2))
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    rng = np.random.default_rng(0)
    splits = {
        name: (rng.integers(0, 256, (count, 1, 4, 4), dtype=np.uint8), np.arange(count) % 2) for name, count in COUNTS.items()
    }
    return str(load_data(splits, cache_dir=tmp_path_factory.mktemp("cache")).folder)


COUNTS = {"train": 20, "val": 8, "test": 6}


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    with LocalExecutor(1) as made:
        while not made.pids():  # it is being started
            time.sleep(0.01)
        yield made


def job(data: str, source: str = NETWORK, epochs: int = 2, **fields: Any) -> TrainJob:
    return train_job(source, data, epochs, **fields)


def run(executor: LocalExecutor, job: TrainJob) -> Result:
    executor.submit(7, job)
    (result,) = executor.collect(None)
    assert result.ticket == 7
    return result


def written(path: Path, count: int) -> list[int]:
    """Waits for a file of `count` process ids."""
    while not path.exists() or len(path.read_text().split()) < count:
        time.sleep(0.01)
    return [int(pid) for pid in path.read_text().split()]


def wait_until_gone(pids: list[int]) -> None:
    """Returns when no process of these ids runs; a test that hangs here has found one that stays."""
    while any(running(pid) for pid in pids):
        time.sleep(0.01)


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def hanging(path: Path) -> str:
    """A network that never returns, ignores SIGTERM, and starts a process in a session of its own."""
    return f"""
        import os, pathlib, signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGTERM}})
        other = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        with open({str(path)!r}, "w") as file:
            file.write(f"{{os.getppid()}} {{os.getpid()}} {{other.pid}}")
        while True:
            time.sleep(1)
    """


def test_a_network_trains_and_leaves_its_weights(executor: LocalExecutor, data: str, tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    result = run(executor, job(data, checkpoint=str(weights)))
    assert result.done.outcome is Outcome.COMPLETE
    assert result.done.epochs == 2
    assert 0 <= result.done.metrics["val_accuracy"] <= 1
    assert [entry["epoch"] for entry in result.curve] == [1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_the_seed_decides_the_weights_too(executor: LocalExecutor, data: str) -> None:
    losses = [run(executor, job(data, seed=seed)).done.metrics["val_loss"] for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]


@needs_fork
@pytest.mark.parametrize(
    ("source", "outcome", "error"),
    [
        ("import ctypes; ctypes.string_at(0)", Outcome.CRASHED, "the process was killed by SIGSEGV (Segmentation fault)"),
        ("import os; os.abort()", Outcome.CRASHED, "the process was killed by SIGABRT (Aborted)"),
        ("import os; os._exit(0)", Outcome.CRASHED, "the process left with exit code 0 before it was done"),
        ("import sys; sys.exit(3)", Outcome.CRASHED, "SystemExit: 3"),
        ("raise ValueError('first\\nsecond')", Outcome.CRASHED, "the network's source fails: ValueError: first second"),
        ("Network = 3", Outcome.CRASHED, "the network's source defines no class Network"),
        ("raise MemoryError", Outcome.OUT_OF_MEMORY, "MemoryError"),
        ("raise KeyboardInterrupt", Outcome.INTERRUPTED, "KeyboardInterrupt"),
        (
            "import os, signal; signal.signal(signal.SIGHUP, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGHUP)",
            Outcome.INTERRUPTED,
            "the process was ended from outside by SIGHUP (Hangup)",
        ),
    ],
)
def test_a_fault_ends_its_job_alone(executor: LocalExecutor, data: str, source: str, outcome: Outcome, error: str) -> None:
    workers = executor.pids()
    result = run(executor, job(data, source))
    assert (result.done.outcome, result.done.error) == (outcome, error)
    assert run(executor, job(data)).done.outcome is Outcome.COMPLETE
    assert executor.pids() == workers, "a child's fault must not cost its worker"


def test_divergence_is_an_outcome(executor: LocalExecutor, data: str) -> None:
    source = NETWORK + "\n    def forward(self, x):\n        return super().forward(x) * float('inf')\n"
    result = run(executor, job(data, source))
    assert result.done.outcome is Outcome.DIVERGED
    assert result.done.error == "the training loss was nan in epoch 1"


def test_the_traceback_shows_the_line_and_goes_to_the_log(
    executor: LocalExecutor, data: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="nas")
    result = run(executor, job(data, NETWORK + "        self.weight = undefined_name\n"))
    assert result.done.error == "NameError: name 'undefined_name' is not defined"
    assert "self.weight = undefined_name" in result.done.traceback
    assert "self.weight = undefined_name" in caplog.text


def test_prints_of_a_candidate_do_not_break_the_messages(
    executor: LocalExecutor, data: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="nas")
    source = NETWORK + "\nimport os\nprint('spoken', flush=True)\nos.write(1, b'written\\n')\nassert input is not None\n"
    assert run(executor, job(data, source)).done.outcome is Outcome.COMPLETE
    while "written" not in caplog.text:
        time.sleep(0.01)
    assert "spoken" in caplog.text


@needs_fork
def test_a_hanging_job_is_killed_with_everything_it_started(executor: LocalExecutor, data: str, tmp_path: Path) -> None:
    result = run(executor, job(data, hanging(tmp_path / "pids"), deadline=0.5))
    assert (result.done.outcome, result.done.error) == (Outcome.TIMED_OUT, "not done after 0.5 s, killed")
    worker, child, other = written(tmp_path / "pids", 3)
    wait_until_gone([child, other] if sys.platform == "linux" else [child])
    assert executor.pids() == [worker]


def test_what_was_measured_before_the_deadline_is_kept(executor: LocalExecutor, data: str) -> None:
    source = NETWORK + "\n    def forward(self, x):\n        import time; time.sleep(0.02)\n        return super().forward(x)\n"
    result = run(executor, job(data, source, epochs=10_000, deadline=3.0))
    assert result.done.outcome is Outcome.TIMED_OUT
    assert [entry["epoch"] for entry in result.curve] == list(range(1, len(result.curve) + 1))
    assert result.curve


@needs_fork
def test_a_worker_that_is_killed_is_replaced_and_its_job_not_repeated(executor: LocalExecutor, data: str, tmp_path: Path) -> None:
    before = executor.pids()
    marks = tmp_path / "marks"
    source = f"""
        import os, signal, time
        with open({str(marks)!r}, "a") as file:
            file.write("once ")
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(1000)
    """
    result = run(executor, job(data, source))
    assert (result.done.outcome, result.done.error) == (Outcome.CRASHED, "the worker process died (signal 9)")
    assert run(executor, job(data)).done.outcome is Outcome.COMPLETE
    assert executor.pids() != before
    assert marks.read_text() == "once "


@needs_fork
def test_the_last_words_of_a_worker_are_not_told_of_the_next(executor: LocalExecutor, data: str) -> None:
    killed = (
        "import os, signal, sys\nprint({!r}, file=sys.stderr, flush=True)\nos.kill(os.getppid(), signal.SIGKILL)\nsignal.pause()"
    )
    traces = [
        run(executor, job(data, killed.format(words))).done.traceback for words in ("this is the first", "that is the second")
    ]
    assert "first" not in traces[1]
    assert run(executor, job(data)).done.outcome is Outcome.COMPLETE


@needs_fork
def test_a_job_does_not_pay_for_a_worker_that_died_before_it(executor: LocalExecutor, data: str) -> None:
    (worker,) = executor.pids()
    os.kill(worker, signal.SIGTERM)
    wait_until_gone([worker])
    assert run(executor, job(data)).done.outcome is Outcome.COMPLETE


@needs_fork
def test_closing_kills_what_is_in_flight(data: str, tmp_path: Path) -> None:
    with LocalExecutor(1) as executor:
        executor.submit(0, job(data, hanging(tmp_path / "pids")))
        pids = written(tmp_path / "pids", 3)
        assert os.getsid(pids[0]) == pids[0] != os.getsid(0), "Ctrl-C in the terminal must not reach a worker"
        assert executor.collect(0.0) == []
    executor.close()
    wait_until_gone(pids if sys.platform == "linux" else pids[:2])
    with pytest.raises(EvaluationError, match="closed"):
        executor.submit(1, job(data))
    assert executor.collect(0.0) == []
    with pytest.raises(EvaluationError, match="closed"):
        executor.collect(None)  # would wait for ever


@needs_fork
def test_workers_die_with_a_coordinator_that_is_killed(data: str, tmp_path: Path) -> None:
    text = msgspec.json.encode(job(data, hanging(tmp_path / "pids"))).decode()
    script = f"""
        import time, msgspec
        from nas.executors.base import TrainJob
        from nas.executors.local import LocalExecutor
        executor = LocalExecutor(1)
        executor.submit(0, msgspec.json.decode({text!r}, type=TrainJob))
        time.sleep(1000)
    """
    root = str(Path(__file__).resolve().parents[2])
    coordinator = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], cwd=root)
    pids = written(tmp_path / "pids", 3)
    coordinator.kill()
    coordinator.wait()
    wait_until_gone(pids if sys.platform == "linux" else pids[:2])


def test_a_worker_that_cannot_start_is_told_once_and_not_for_ever(
    data: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", _failing_python())
    with LocalExecutor(1) as executor:
        executor.submit(0, job(data))
        with pytest.raises(EvaluationError, match=r"^no worker process can be started: .+; `.+nas.executors.worker` shows why"):
            executor.collect(None)
    assert caplog.text.count("given up after 3 times") == 1


def _failing_python() -> str:
    """A program that ends at once and takes any arguments."""
    return "/bin/false" if Path("/bin/false").exists() else "/usr/bin/false"


@pytest.mark.slow
def test_without_forking_a_worker_runs_jobs_itself_and_is_replaced_after_a_failure(data: str) -> None:
    """Starts three workers, one after another: seconds each."""
    with LocalExecutor(1, fork=False) as executor:
        assert run(executor, job(data)).done.outcome is Outcome.COMPLETE
        first = executor.pids()
        assert run(executor, job(data)).done.outcome is Outcome.COMPLETE
        assert executor.pids() == first
        crashed = run(executor, job(data, "raise ValueError('no')"))
        assert (crashed.done.outcome, crashed.done.error) == (Outcome.CRASHED, "the network's source fails: ValueError: no")
        late = run(executor, job(data, "import time; time.sleep(1000)", deadline=0.3))
        assert late.done.outcome is Outcome.TIMED_OUT
        assert executor.pids() != first
        executor.submit(1, job(data, "import time; time.sleep(1000)"))
        while not executor.pids():
            time.sleep(0.01)
        last = executor.pids()
    wait_until_gone(last)
