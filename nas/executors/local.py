"""Worker processes on this machine: one a slot, started in the background, replaced when dead. Knows no torch.

One thread a slot owns one worker, feeds it one job at a time and waits for its messages: plain blocking reads, which every
system has. Deadlines are kept by the worker, which kills its child; a timer here kills a worker that misses one.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import BinaryIO

from nas import processes
from nas.errors import EvaluationError
from nas.executors.base import Done, EpochEnded, Executor, Hello, Job, Result, encode, read_message
from nas.measurement import Outcome

log = logging.getLogger(__name__)

MARGIN = 10.0
"""Seconds a worker gets beyond a job's deadline to kill it and say so."""
CLOSING = 3.0
"""Seconds workers get to kill their children and leave."""
RETRY_SECONDS = 1.0
"""Pause after a worker could not be started for want of something that others may give back."""
STARTS = 3
"""How often a worker may fail to start, one time after another, before there is no point in trying again."""


class LocalExecutor(Executor):
    """Runs jobs in `slots` worker processes.

    Args:
        slots: How many at a time.
        fork: False makes workers run jobs themselves, as they do where forking is not safe.
    """

    def __init__(self, slots: int, *, fork: bool = True) -> None:
        self.slots = slots
        self._jobs: queue.SimpleQueue[tuple[int, Job] | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self._closed = False
        arguments = [] if fork else ["--no-fork"]
        self._threads = [_Slot(number, self._jobs, self._ended, arguments) for number in range(slots)]
        for thread in self._threads:
            thread.start()

    def submit(self, ticket: int, job: Job) -> None:
        if self._closed:
            raise EvaluationError("this executor is closed; make a new one")
        self._jobs.put((ticket, job))

    def collect(self, timeout: float | None) -> list[Result]:
        end = None if timeout is None else time.monotonic() + timeout
        found: list[Result] = []
        while not found:
            # in small portions, because not every system interrupts a wait for Ctrl-C
            left = 0.2 if end is None else min(0.2, end - time.monotonic())
            with contextlib.suppress(queue.Empty):
                found.append(self._ended.get(timeout=max(left, 0.0)))
            if not found and not any(thread.is_alive() for thread in self._threads) and not self._closed:
                raise EvaluationError(
                    f"no worker process can be started: {self._threads[0].last_words()}; "
                    f"`{sys.executable} -P -m nas.executors.worker` shows why"
                )
            if end is not None and time.monotonic() >= end:
                break
            if not found and self._closed and not any(thread.is_alive() for thread in self._threads):
                raise EvaluationError("this executor is closed; make a new one")
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._ended.get_nowait())
        return found

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for thread in self._threads:
            thread.stop()
        end = time.monotonic() + CLOSING
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
            thread.kill()

    def pids(self) -> list[int]:
        """Returns the process ids of the workers that run now."""
        return [process.pid for thread in self._threads if (process := thread.process) is not None]


class _Slot(threading.Thread):
    """Owns one worker process: starts it, feeds it, replaces it."""

    def __init__(
        self,
        number: int,
        jobs: queue.SimpleQueue[tuple[int, Job] | None],
        ended: queue.SimpleQueue[Result],
        arguments: list[str],
    ) -> None:
        super().__init__(name=f"worker-{number}", daemon=True)
        self.process: subprocess.Popen[bytes] | None = None
        self._jobs, self._ended, self._arguments = jobs, ended, arguments
        self._stopping = threading.Event()
        self._last_words: collections.deque[str] = collections.deque(maxlen=20)

    def run(self) -> None:
        failed = 0
        while not self._stopping.is_set():
            hello = self._start()
            if hello is None and not self._stopping.is_set():
                failed += 1
                if failed == STARTS:
                    log.warning("%s cannot be started, given up after %d times: %s", self.name, failed, self.last_words())
                    break
            elif hello is not None:
                failed = 0
                self._serve(hello)
            self.kill()
        self.kill()

    def last_words(self) -> str:
        """Returns the last line that a worker of this slot wrote to standard error."""
        return next(reversed(self._last_words), "it said nothing")

    def stop(self) -> None:
        """Asks the worker to kill its child and leave; the thread ends with it."""
        self._stopping.set()
        self._jobs.put(None)
        process = self.process  # its own thread may replace it meanwhile
        if process is not None:
            process.terminate()

    def kill(self) -> None:
        """Ends the worker at once, if it still runs."""
        process, self.process = self.process, None
        if process is not None:
            if process.poll() is None:
                _kill(process)
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()

    def _start(self) -> Hello | None:
        """Starts a worker and waits until it is ready; None when it ended before."""
        self._last_words = words = collections.deque[str](maxlen=20)  # those of the worker before are not this one's
        try:
            self.process = process = subprocess.Popen(
                [sys.executable, "-P", "-m", "nas.executors.worker", *self._arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env={**processes.worker_environment(), "PYTHONUNBUFFERED": "1"},
                # a session of its own: Ctrl-C in the terminal is the coordinator's to handle
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except OSError as error:  # no more processes, files or memory just now
            words.append(str(error))
            self._stopping.wait(RETRY_SECONDS)
            return None
        assert process.stdout is not None and process.stderr is not None
        if self._stopping.is_set():
            process.terminate()
        threading.Thread(target=self._listen, args=(process.stderr, words), daemon=True).start()
        hello = read_message(process.stdout)  # type: ignore[arg-type]
        if isinstance(hello, Hello):
            return hello
        time.sleep(0.05)  # the last words may still be on their way
        return None

    def _serve(self, hello: Hello) -> None:
        """Runs jobs until the worker is gone or has to be replaced."""
        while not self._stopping.is_set():
            taken = self._jobs.get()
            if taken is None:
                return
            ticket, job = taken
            if self.process is not None and self.process.poll() is not None:
                self._jobs.put(taken)  # it died while it was idle, which is no fault of this job
                return
            result = self._run(ticket, job, hello)
            if self._stopping.is_set():
                return
            done = result.done
            if done.error:
                log.info("job %d: %s: %s%s", ticket, done.outcome, done.error, f"\n{done.traceback}" if done.traceback else "")
            healthy = hello.forks or done.outcome in (Outcome.COMPLETE, Outcome.DIVERGED)
            alive = self.process is not None and self.process.poll() is None
            self._ended.put(result)
            if not (healthy and alive):
                return

    def _run(self, ticket: int, job: Job, hello: Hello) -> Result:
        process = self.process
        assert process is not None and process.stdin is not None and process.stdout is not None
        begin = time.monotonic()
        late = threading.Event()

        def too_late() -> None:
            late.set()
            _kill(process)

        margin = MARGIN if hello.forks else 0.0
        timer = None if job.deadline is None else threading.Timer(job.deadline + margin, too_late)
        if timer is not None:
            timer.daemon = True
            timer.start()
        curve: list[Mapping[str, float]] = []
        done = None
        with contextlib.suppress(OSError, ValueError):  # ValueError: `close` has closed the pipe under this thread
            _write_all(process.stdin, encode(job))  # type: ignore[arg-type]
            while isinstance(message := read_message(process.stdout), EpochEnded | Done):  # type: ignore[arg-type]
                if isinstance(message, Done):
                    done = message
                    break
                curve.append(message.entry)
        if timer is not None:
            timer.cancel()
        return Result(ticket, done or self._obituary(process, late.is_set(), job, time.monotonic() - begin), tuple(curve))

    def _obituary(self, process: subprocess.Popen[bytes], late: bool, job: Job, seconds: float) -> Done:
        """Says how a worker ended that did not say so itself."""
        if late:
            return Done(Outcome.TIMED_OUT, seconds=seconds, error=f"not done after {job.deadline:g} s, killed")
        _kill(process)
        code = process.wait()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        words = "\n".join(self._last_words)
        return Done(Outcome.CRASHED, seconds=seconds, error=f"the worker process died ({how})", traceback=words)

    def _listen(self, stream: BinaryIO, last_words: collections.deque[str]) -> None:
        """Passes what a worker or a candidate prints on to the log, and keeps the last lines."""
        for raw in stream:
            line = raw.decode(errors="replace").rstrip()
            last_words.append(line)
            log.info("%s: %s", self.name, line)
        stream.close()


def _write_all(stream: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kills a worker and, where there are process groups, what it started."""
    if hasattr(os, "killpg"):
        processes.signal_group(process.pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        process.kill()
