"""What a worker does with each kind of job, in the process that it was forked into. Whatever goes wrong becomes an outcome."""

from __future__ import annotations

import dataclasses
import gc
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import msgspec
import torch
from torch import nn

from nas.checkpoint import read_weights
from nas.data import Dataset
from nas.device import memory, quick_on, settle, wants_memory
from nas.errors import NasError
from nas.executors.base import CheckJob, Done, EpochEnded, Inheritance, Job, ScoreJob, TrainJob, UnseenJob
from nas.graph import Graph, graph_from_json
from nas.inherit import inherit_file
from nas.kernels import kernels_words
from nas.measurement import NotFinite, Outcome, checked_metrics
from nas.metrics import load_metric
from nas.module import compile_source
from nas.recipe import Recipe, Task, batches, slices_of
from nas.scoring import channel_scores
from nas.train import train
from nas.unseen import measure_test
from nas.zerocost import minibatch, zero_cost_scores


def perform(job: Job, send: Callable[[EpochEnded], None]) -> Done:
    """Runs a job; whatever it raises becomes an outcome."""
    begin = time.monotonic()
    try:
        match job:
            case CheckJob():
                return check(job)
            case UnseenJob():
                done = measure_unseen(job)
            case ScoreJob():
                return score_untrained(job)
            case TrainJob():
                done = train_network(job, send)
        return _finite(done)
    except BaseException as error:
        trace = "".join(traceback.format_exception(error))
        return Done(outcome_of(error), seconds=time.monotonic() - begin, error=first_line(error), traceback=trace)


def _finite(done: Done) -> Done:
    """Returns a result as it is, or as diverged where one of its metrics is no finite number: JSON has no word for that."""
    try:
        checked_metrics(done.metrics)
    except NotFinite as error:
        return Done(Outcome.DIVERGED, seconds=done.seconds, error=str(error))
    return done


def train_network(job: TrainJob, send: Callable[[EpochEnded], None]) -> Done:
    """Trains a network; where memory runs out in its first epoch, once more with each batch in twice as many parts.

    Where there are several, the metric `batch_slices` says so: batch normalisation saw parts, so the figures are not quite those of
    another machine.
    """
    sent, slices = 0, job.slices

    def counted(entry: EpochEnded) -> None:
        nonlocal sent
        sent += 1
        send(entry)

    try:
        return _sliced(_trained(job, counted, slices), slices)
    except Exception as error:
        if sent or outcome_of(error) is not Outcome.OUT_OF_MEMORY:
            raise
        batch = batches(Dataset.open(job.data).size("train"), int(job.recipe["batch_size"]))[1]
        if (more := slices_of(batch, 2 * slices)) == slices:
            raise
    gc.collect()  # out of the handler, where the exception holds on to everything
    torch.cuda.empty_cache()  # does nothing where there is no CUDA
    return _sliced(_trained(job, counted, more), more)


def _sliced(done: Done, slices: int) -> Done:
    """Returns a result that says in how many parts batches were gone through, where they were."""
    return done if slices == 1 else msgspec.structs.replace(done, metrics={**done.metrics, "batch_slices": float(slices)})


def _trained(job: TrainJob, send: Callable[[EpochEnded], None], slices: int) -> Done:
    """Seeds, builds the network from its source and trains it."""
    torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    module = compile_source(job.source, quick=quick_on(job.device, job.precision, job.threads))
    dataset, recipe = Dataset.open(job.data), Recipe(**job.recipe)
    graph = graph_from_json(job.graph) if job.graph else None
    seen = dataclasses.replace(recipe, batch_size=-(-recipe.batch_size // slices))  # what memory holds at once
    inherited = begin_with(module, graph, job.inherit, job, dataset, seen) if graph and job.inherit else None
    importances: dict[str, list[float]] = {}

    def scored() -> dict[str, torch.Tensor]:
        assert graph is not None
        scores, found = channel_scores(module, graph, job.importance, dataset, seen, seed=job.seed, device=job.device)
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
    if not weights.is_file():  # let go before its network was a likely parent again, or deleted by hand
        return 0.0
    images = minibatch(dataset, job.seed, recipe.batch_size)  # no more than training holds in memory
    return inherit_file(module, graph, graph_from_json(inherit.graph), weights, inherit.aligned, seed=job.seed, images=images)


def check(job: CheckJob) -> Done:
    """Looks whether everything jobs need is there, and which precision is the quicker one."""
    for metric in job.task["metrics"]:
        load_metric(metric)
    shape = Dataset.open(job.data).input_shape
    torch.set_num_threads(job.threads)
    quick = quick_on("cpu", job.precision, job.threads)
    networks = [compile_source(source, quick=quick) for source in job.networks]
    found = settle(job.device, job.precision, networks=networks, input_shape=shape)
    facts = {"device": found.device, "precision": found.precision, "precision_reason": found.reason}
    kernels = kernels_words() if quick_on(found.device, found.precision, job.threads) else "PyTorch"
    room = memory(found.device)
    more = {} if room is None else {"memory": str(room)}
    return Done(Outcome.COMPLETE, facts={**facts, "kernels": kernels, "torch": str(torch.__version__), **more})


def outcome_of(error: BaseException) -> Outcome:
    """Returns what an exception means."""
    if isinstance(error, KeyboardInterrupt):
        return Outcome.INTERRUPTED
    return Outcome.OUT_OF_MEMORY if wants_memory(error) else Outcome.CRASHED


def first_line(error: BaseException) -> str:
    """Returns the type and the first line of what an exception says; our own errors say enough without their type."""
    line = next(iter(str(error).strip().splitlines()), "")
    if isinstance(error, NasError):
        return line
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
