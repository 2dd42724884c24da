"""The look at the test images: noted in the folder and in the runs before it is taken, taken once for each training."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.executors.base import UnseenJob
from nas.final.engine import Work
from nas.final.events import Failed, Looking, Unnoted
from nas.final.state import Look
from nas.jobs import POLL_SECONDS
from nas.looks import write_look
from nas.measurement import Outcome
from nas.source import write_source

if TYPE_CHECKING:
    from nas.data import Dataset
    from nas.executors.base import Executor

LOOK_DEADLINE = 3600.0
"""Seconds after which measuring the test images with one network counts as hung."""


def measure_tests(work: Work, executor: Executor, dataset: Dataset) -> None:
    """Measures the test images once for each training that is complete and has not been measured; notes it before it is done.

    Args:
        work: Its trainings are changed in place and written down.
        executor: Where it is done; it has nothing else in flight.
        dataset: The only one that holds the test images.

    Raises:
        EvaluationError: When no worker can be started, or the folder cannot be written; a network that fails is no error.
    """
    plan = work.folder.state.plan
    assert plan is not None
    waiting = [training for training in work.trainings if training.complete and not training.test]
    if not waiting or work.stopped():
        return
    look = Look(time.time(), [(training.network, training.seed) for training in waiting], dataset.size("test"))
    look.not_in_run = _note(work, look)
    work.folder.state.looks.append(look)
    work.folder.save()
    work.tell(Looking(len(waiting), look.images, look.not_in_run))
    for ticket, training in enumerate(waiting):
        pick = work.picks[training.network]
        job = UnseenJob(
            source=write_source(pick.graph),
            recipe=plan.recipes[pick.key],
            task=asdict(work.task),
            data=str(dataset.folder),
            weights=str(work.folder.weights(training).absolute()),
            device=plan.device,
            deadline=LOOK_DEADLINE,
        )
        executor.submit(ticket, job)
    left = len(waiting)
    while left and not work.stopped():
        for result in executor.collect(POLL_SECONDS):
            left -= 1
            training = waiting[result.ticket]
            training.error, training.test = result.done.error, dict(result.done.metrics)
            training.exported = False  # an earlier start may have written a file that does not know of it
            work.folder.keep(training)
            if result.done.outcome is not Outcome.COMPLETE:
                name = work.picks[training.network].name
                work.tell(Failed(name, training.seed, f"on the test images {result.done.outcome}", training.error, False))
    if missed := _note(work, look):
        look.not_in_run |= missed
        work.folder.save()
        work.tell(Unnoted(missed))


def _note(work: Work, look: Look) -> dict[str, str]:
    """Writes a look, with what it has shown so far, into the runs of its networks; returns the runs that could not be told."""
    missed = {}
    keys = {key for key, _ in look.trainings}
    found: dict[Path, list[dict[str, Any]]] = {
        pick.found.run.folder: [] for key, pick in work.picks.items() if key in keys and pick.found
    }
    for training in work.trainings:
        pick = work.picks[training.network]
        if pick.found and (training.network, training.seed) in look.trainings:
            accuracy = training.test.get("test_accuracy")
            entry = {"id": pick.found.id, "fingerprint": pick.fingerprint, "seed": training.seed, "epochs": training.epochs}
            found[pick.found.run.folder].append(entry | {"test_accuracy": accuracy})
    for folder, entries in found.items():
        why = write_look(Path(folder), look.at, str(work.folder.folder.resolve()), look.images, entries)
        if why:
            missed[str(folder)] = why
    return missed
