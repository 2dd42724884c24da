"""A worker process: `python -m nas.executors.worker`. It imports torch once, runs nothing in it, and forks a child for each job.

It reads jobs from standard input and writes messages to what was standard output; the name "standard output" is then given to
standard error, so that whatever a candidate prints cannot break into the messages. It ends, and kills its child, when its
standard input ends (its parent died or closed it) or on SIGTERM.

Where forking is missing or unsafe (Windows; macOS, whose system libraries do not survive it), and with `--no-fork`, it runs
jobs itself, one after another, and its parent replaces it after one that failed.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import queue
import select
import signal
import sys
import threading
import time
import traceback
from typing import BinaryIO, NoReturn

import torch
import torch._dynamo  # the first optimiser would import it, in every child
import torch.optim

from nas import processes
from nas.executors.base import Done, EpochEnded, Hello, Job, Unpacker, encode, read_message
from nas.kernels import kernels_words
from nas.measurement import Outcome
from nas.perform import perform

GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL for a job whose time is up."""
TICK = 0.2
"""Seconds between looks at the clock, the parent and a child that may have died."""


def main(arguments: list[str]) -> None:
    """Serves jobs until standard input ends."""
    inbox = os.fdopen(os.dup(0), "rb", buffering=0)
    outbox = os.fdopen(os.dup(1), "wb", buffering=0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # denormal numbers are many times slower and say nothing
    processes.keep_freed_memory()
    kernels_words()  # loads what was compiled, once for all children
    forks = hasattr(os, "fork") and sys.platform != "darwin" and "--no-fork" not in arguments
    outbox.write(encode(Hello(str(torch.__version__), forks)))
    if forks:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        processes.adopt_orphans()
        gc.freeze()  # children's collections leave the imported objects, and so the shared pages, alone
        try:
            while isinstance(job := read_message(inbox), Job):
                supervise(job, inbox, outbox)
        finally:
            processes.kill_descendants()
    else:
        serve_alone(inbox, outbox)


def supervise(job: Job, inbox: BinaryIO, outbox: BinaryIO) -> None:
    """Runs a job in a forked child, passes its messages on, and says how it ended, however it ended."""
    begin, kills, parent = time.monotonic(), processes.oom_kills(), os.getppid()
    worker = os.getpid()
    source, child_outbox = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(source)
        run_child(job, child_outbox, worker)
    os.close(child_outbox)
    unpacker, done, code, timed_out = Unpacker(), None, None, False
    try:
        while done is None:
            left = None if job.deadline is None else begin + job.deadline - time.monotonic()
            if left is not None and left <= 0:
                timed_out = True
                break
            ready, _, _ = select.select([source, inbox.fileno()], [], [], TICK if left is None else min(TICK, left))
            if inbox.fileno() in ready or os.getppid() != parent:  # nothing is sent while a job runs: this is the end
                sys.exit(0)
            data = os.read(source, 1 << 20) if source in ready else None
            for message in unpacker.feed(data or b""):
                if isinstance(message, Done):
                    done = message
                else:
                    outbox.write(encode(message))
            if done is not None or code is not None:
                break
            if data == b"":
                code = processes.reap(pid, GRACE)
                break
            if not ready:
                code = processes.reap(pid, 0)  # then once more round: its last words may have come after this look
    finally:
        os.close(source)
        if code is None:
            code = end_group(pid, GRACE if timed_out else 0)
        processes.kill_descendants()
    seconds = time.monotonic() - begin
    if timed_out:
        done = Done(Outcome.TIMED_OUT, seconds=seconds, error=f"not done after {job.deadline:g} s, killed")
    elif done is None:
        outcome, error = verdict(code, processes.oom_kills() > kills)
        done = Done(outcome, seconds=seconds, error=error)
    outbox.write(encode(done))


def end_group(pid: int, grace: float) -> int:
    """Ends a child and its process group, politely for `grace` seconds at first; returns its exit code."""
    code = None
    if grace:
        processes.signal_group(pid, signal.SIGTERM)
        code = processes.reap(pid, grace)
    processes.signal_group(pid, signal.SIGKILL)
    if code is None:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code


def verdict(code: int, memory_ran_out: bool) -> tuple[Outcome, str]:
    """Returns the outcome and the error of a child that ended without a word; `code` is negative for a signal."""
    if code >= 0:
        return Outcome.CRASHED, f"the process left with exit code {code} before it was done"
    number = -code
    try:
        name = f"{signal.Signals(number).name} ({signal.strsignal(number)})"
    except ValueError:
        name = f"signal {number}"
    if number == signal.SIGKILL and memory_ran_out:
        return Outcome.OUT_OF_MEMORY, "killed by the system, which ran out of memory"
    if number in processes.TERMINATING:
        return Outcome.INTERRUPTED, f"the process was ended from outside by {name}"
    return Outcome.CRASHED, f"the process was killed by {name}"


def run_child(job: Job, outbox: int, parent: int) -> NoReturn:
    """The forked child's whole life: a session of its own, one job, no cleaning up."""
    code = 0
    try:
        os.setsid()
        processes.die_with_parent(parent)
        processes.prefer_for_oom()
        faulthandler.enable()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

        def send(entry: EpochEnded | Done) -> None:
            data = memoryview(encode(entry))
            while data:
                data = data[os.write(outbox, data) :]

        send(perform(job, send))
    except BaseException:  # what `perform` cannot tell of: the pipe is gone, or a result that cannot be sent
        code = 1
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def serve_alone(inbox: BinaryIO, outbox: BinaryIO) -> None:
    """Runs jobs in this process; a second thread watches the input and ends the process with it, even in the middle of a job."""
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()

    def listen() -> None:
        while isinstance(job := read_message(inbox), Job):
            jobs.put(job)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    faulthandler.enable()

    def send(message: EpochEnded | Done) -> None:
        outbox.write(encode(message))

    while True:
        send(perform(jobs.get(), send))


if __name__ == "__main__":
    main(sys.argv[1:])
