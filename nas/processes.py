"""Worker processes: what they start with, how one is asked, and what the operating system offers to end them for good."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
TERMINATING = {getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)}
"""Signals by which people and systems ask a process to end."""


def cores() -> int:
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_environment(threads: int = 1) -> dict[str, str]:
    """Returns the environment of a worker process, with this package on its path; many small pools would fight for the cores."""
    package = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
    limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return {**os.environ, **limits, "PYTHONPATH": path}


def start_worker(module: str) -> subprocess.Popen[bytes]:
    """Starts a module of this very package as a worker with one thread that answers lines; see `ask`."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=worker_environment(),
        start_new_session=True,  # Ctrl-C in the terminal is for this process to handle
    )


def ask(worker: subprocess.Popen[bytes], question: bytes) -> bytes:
    """Writes a line to a worker, and waits for the line that it answers.

    Raises:
        ChildProcessError: When it ends without an answer.
    """
    assert worker.stdin is not None and worker.stdout is not None
    with contextlib.suppress(OSError, ValueError):  # it is gone, or was told to stop
        worker.stdin.write(question + b"\n")
        worker.stdin.flush()
    answer = worker.stdout.readline()
    if not answer:
        raise ChildProcessError(f"its process ended with exit code {worker.wait()}; what it said stands above")
    return answer


def die_with_parent(parent: int) -> None:
    """Asks Linux to kill this process when the thread that forked it dies; `parent` is that process.

    Only for a child forked by a process of one thread: it is the thread's death that counts.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    if hasattr(os, "getppid") and os.getppid() != parent:  # it died before we asked
        os._exit(1)


def adopt_orphans() -> None:
    """Asks Linux to make this process the parent of descendants whose own parent ended, so that it can find and kill them."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def keep_freed_memory() -> bool:
    """Tells glibc to keep what is freed, for the next allocation, instead of giving it back to the system; False elsewhere.

    A training step frees what the next one allocates again: fetching it as fresh pages took a tenth of the step. Blocks above 32
    MiB, the most that can be set, still come and go. Children that are forked do likewise.
    """
    try:
        tune = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return all([tune(_M_MMAP_THRESHOLD, 32 << 20), tune(_M_TRIM_THRESHOLD, 1 << 30), tune(_M_TOP_PAD, 64 << 20)])


_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def prefer_for_oom() -> None:
    """Makes this process the first that Linux kills when memory runs out, before the one that keeps the record."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def memory() -> int | None:
    """Returns the bytes of memory there are in all, within the limit of a container's control group; None: not known."""
    found = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(1024 * int(next(line for line in lines if line.startswith("MemTotal:")).split()[1]))
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):  # control groups of version 2 and 1
        with contextlib.suppress(OSError, ValueError):
            found.append(int((Path("/sys/fs/cgroup") / limit).read_text()))  # "max", or a huge number, where there is none
    return min(found, default=None)


def oom_kills() -> int:
    """Returns how many processes Linux killed for want of memory since it started; 0 where that is not known."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def signal_group(group: int, number: int) -> None:
    """Sends a signal to a process group; one that is gone is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def reap(pid: int, seconds: float) -> int | None:
    """Waits at most `seconds` for a child to end and returns its exit code (negative: a signal); None when it has not."""
    end = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= end:
            return None
        time.sleep(0.005)


def kill_descendants() -> None:
    """Kills and reaps every child of this process, and (after `adopt_orphans`) what they leave behind, until none is left."""
    while True:
        children = _children()
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        if not children:
            return


def _children() -> list[int]:
    """Pids of this single-threaded process's children; empty where Linux does not tell."""
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:
        return []
