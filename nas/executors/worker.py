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
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NoReturn

import msgspec
import torch
import torch._dynamo  # the first optimiser would import it, in every child
import torch.optim
from torch import nn

from nas import processes
from nas.checkpoint import read_weights
from nas.data import Dataset
from nas.device import quick_on, settle
from nas.errors import NasError
from nas.executors.base import (
    CheckJob,
    Done,
    EpochEnded,
    Hello,
    Inheritance,
    Job,
    ScoreJob,
    TrainJob,
    Unpacker,
    UnseenJob,
    encode,
    read_message,
)
from nas.graph import Graph, graph_from_json
from nas.inherit import inherit_file
from nas.kernels import kernels_words
from nas.measurement import Outcome
from nas.metrics import load_metric
from nas.module import compile_source
from nas.recipe import Recipe, Task
from nas.scoring import channel_scores
from nas.train import train
from nas.unseen import measure_test
from nas.zerocost import minibatch, zero_cost_scores

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
        sys.stderr.flush()
    finally:
        os._exit(0)


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


def perform(job: Job, send: Callable[[EpochEnded], None]) -> Done:
    """Runs a job; whatever it raises becomes an outcome."""
    begin = time.monotonic()
    try:
        match job:
            case CheckJob():
                return check(job)
            case UnseenJob():
                return measure_unseen(job)
            case ScoreJob():
                return score_untrained(job)
            case TrainJob():
                return train_network(job, send)
    except BaseException as error:
        trace = "".join(traceback.format_exception(error))
        return Done(outcome_of(error), seconds=time.monotonic() - begin, error=first_line(error), traceback=trace)


def train_network(job: TrainJob, send: Callable[[EpochEnded], None]) -> Done:
    """Trains a network; where memory runs out in its first epoch, once more with each batch in two halves.

    The metric `batch_slices` then says so: batch normalisation saw halves, so the figures are not quite those of another machine.
    """
    sent = 0

    def counted(entry: EpochEnded) -> None:
        nonlocal sent
        sent += 1
        send(entry)

    try:
        return _trained(job, counted, slices=1)
    except Exception as error:
        if sent or outcome_of(error) is not Outcome.OUT_OF_MEMORY:
            raise
    gc.collect()  # out of the handler, where the exception holds on to everything
    torch.cuda.empty_cache()  # does nothing where there is no CUDA
    done = _trained(job, counted, slices=2)
    return msgspec.structs.replace(done, metrics={**done.metrics, "batch_slices": 2.0})


def _trained(job: TrainJob, send: Callable[[EpochEnded], None], slices: int) -> Done:
    """Seeds, builds the network from its source and trains it."""
    torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    module = compile_source(job.source, quick=quick_on(job.device, job.precision, job.threads))
    dataset, recipe = Dataset.open(job.data), Recipe(**job.recipe)
    graph = graph_from_json(job.graph) if job.graph else None
    inherited = begin_with(module, graph, job.inherit, job, dataset, recipe) if graph and job.inherit else None
    importances: dict[str, list[float]] = {}

    def scored() -> dict[str, torch.Tensor]:
        assert graph is not None
        scores, found = channel_scores(module, graph, job.importance, dataset, recipe, seed=job.seed, device=job.device)
        importances.update(found)
        return scores

    measured = train(
        module,
        dataset,
        recipe,
        epochs=job.epochs,
        first_epoch=job.first_epoch,
        last_epoch=job.last_epoch,
        cycles=job.cycles,
        resolutions=job.resolutions,
        seed=job.seed,
        task=Task(job.task["name"], tuple(job.task["metrics"])),
        device=job.device,
        precision=job.precision,
        on_epoch=lambda entry: send(EpochEnded(dict(entry))),
        resume_from=None if job.resume_from is None else Path(job.resume_from),
        checkpoint=None if job.checkpoint is None else Path(job.checkpoint),
        slices=slices,
        scored=scored if graph and job.importance else None,
    )
    return Done(
        measured.outcome,
        dict(measured.metrics),
        measured.epochs,
        measured.seconds,
        measured.error,
        importances=importances,
        inherited=inherited,
    )


def measure_unseen(job: UnseenJob) -> Done:
    """Builds a network that was trained and measures the test images."""
    begin = time.monotonic()
    module = compile_source(job.source)
    module.load_state_dict(read_weights(Path(job.weights)))
    task = Task(job.task["name"], tuple(job.task["metrics"]))
    found = measure_test(module, Dataset.open(job.data), Recipe(**job.recipe), task, device=job.device)
    return Done(Outcome.COMPLETE, found, seconds=time.monotonic() - begin)


def score_untrained(job: ScoreJob) -> Done:
    """Builds an untrained network and scores it."""
    begin = time.monotonic()
    torch.set_num_threads(1)  # so that a score is the same everywhere on this machine
    torch.manual_seed(job.seed)
    found = zero_cost_scores(compile_source(job.source), minibatch(Dataset.open(job.data), job.seed))
    return Done(Outcome.COMPLETE, found.scores, seconds=time.monotonic() - begin, facts=found.missing)


def begin_with(module: nn.Module, graph: Graph, inherit: Inheritance, job: TrainJob, dataset: Dataset, recipe: Recipe) -> float:
    """Copies the parent's weights into a new network; returns the share taken over, 0 where they are gone."""
    weights = Path(inherit.weights)
    if not weights.is_file():  # deleted by hand: the network is trained from nothing
        return 0.0
    images = minibatch(dataset, job.seed, recipe.batch_size)  # no more than training holds in memory
    return inherit_file(module, graph, graph_from_json(inherit.graph), weights, inherit.aligned, seed=job.seed, images=images)


def check(job: CheckJob) -> Done:
    """Looks whether everything jobs need is there, and which precision is the quicker one."""
    for metric in job.task["metrics"]:
        load_metric(metric)
    shape = Dataset.open(job.data).input_shape
    networks = [compile_source(source, quick=job.threads == 1) for source in job.networks]
    found = settle(job.device, job.precision, networks=networks, input_shape=shape)
    facts = {"device": found.device, "precision": found.precision, "precision_reason": found.reason}
    kernels = kernels_words() if quick_on(found.device, found.precision, job.threads) else "PyTorch"
    return Done(Outcome.COMPLETE, facts={**facts, "kernels": kernels, "torch": str(torch.__version__)})


def outcome_of(error: BaseException) -> Outcome:
    """Returns what an exception means: want of memory has many names."""
    if isinstance(error, KeyboardInterrupt):
        return Outcome.INTERRUPTED
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return Outcome.OUT_OF_MEMORY
    if isinstance(error, RuntimeError) and any(words in str(error) for words in _WANT_OF_MEMORY):
        return Outcome.OUT_OF_MEMORY
    return Outcome.CRASHED


_WANT_OF_MEMORY = ("can't allocate memory", "out of memory", "bad_alloc")
"""How allocators outside Python put it."""


def first_line(error: BaseException) -> str:
    """Returns the type and the first line of what an exception says; our own errors say enough without their type."""
    line = next(iter(str(error).strip().splitlines()), "")
    if isinstance(error, NasError):
        return line
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


if __name__ == "__main__":
    main(sys.argv[1:])
