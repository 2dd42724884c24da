"""Measures speed, and trains segment by segment on all slots. Everything it works with is passed in: folder, evaluator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from nas.costs import cost_of
from nas.errors import EvaluationError
from nas.evaluators.base import Request
from nas.final.events import Failed, FinalEvent, Trained
from nas.final.folder import FinalFolder
from nas.final.picks import Pick
from nas.final.state import Training, took_in
from nas.final.timing import MOST_EPOCHS, next_training, segment_epochs, time_needed
from nas.jobs import collected
from nas.measurement import Measurement, Outcome
from nas.parallel import train_each
from nas.recipe import Recipe, Task
from nas.source import write_source

if TYPE_CHECKING:
    from nas.data import Dataset
    from nas.evaluators.base import Evaluator

PROBE_BATCHES = 4
"""Batches of images on which speed is measured."""
PROBE_WORK = 6e10
"""Multiply-adds of forward and backward passes that measuring speed takes at least: a second or two of a core with bf16."""
PROBE_PASSES = (2, 20)
"""Least and most passes over these batches after the first one, in which kernels are chosen."""
TRIES = 2
"""How often the same segment may fail by itself before its training is given up."""


@dataclass
class Work:
    """What a final training is made of, while it runs.

    Attributes:
        picks: The networks, by key.
        trainings: One a network and seed.
        folder: Where everything is kept.
        task: What is measured.
        tell: Told of every event.
        stopped: Asked often; a reason ends everything at once.
    """

    picks: Mapping[str, Pick]
    trainings: Sequence[Training]
    folder: FinalFolder
    task: Task
    tell: Callable[[FinalEvent], None]
    stopped: Callable[[], str]


def measure_speed(work: Work, evaluator: Evaluator, few: Dataset, whole: Dataset) -> dict[str, float]:
    """Returns the seconds of an epoch of each network on one slot, all slots busy; empty where it was stopped.

    Args:
        work: Its networks are looked at.
        evaluator: Trains on `few`.
        few: An excerpt.
        whole: What is trained on later.

    Raises:
        EvaluationError: When a network cannot be trained at all.
    """
    once = list(work.picks.values())
    again = [work.picks[training.network] for training in work.trainings if training.seed != work.trainings[0].seed]
    found: dict[str, list[float]] = {pick.key: [] for pick in once}

    def request(pick: Pick) -> Request:
        recipe = pick.recipe_for(MOST_EPOCHS, whole.size("train"))  # the images are augmented as they may be later
        return _probe(pick, recipe, few.size("train"))

    def ended(pick: Pick, measured: Measurement) -> None:
        if measured.outcome is not Outcome.COMPLETE and measured.outcome is not Outcome.DIVERGED:
            raise EvaluationError(f"{pick.name} cannot be trained: {measured.outcome}: {measured.error}")
        passes = measured.curve[1:] or measured.curve or ({"seconds": measured.seconds},)
        found[pick.key] += [entry["seconds"] for entry in passes]

    probed = once + again[: max(0, evaluator.slots - len(once))]  # so that all slots are busy
    train_each(probed, request, evaluator, began=lambda _: None, ended=ended, stopped=work.stopped)
    if work.stopped():
        return {}
    times = whole.size("train") / few.size("train")
    return {key: times * median(seconds) for key, seconds in found.items()}


def _probe(pick: Pick, recipe: Recipe, images: int) -> Request:
    passes = round(PROBE_WORK / (3 * max(1, cost_of(pick.graph).macs) * images))
    epochs = 1 + min(max(passes, PROBE_PASSES[0]), PROBE_PASSES[1])
    return replace(_request(pick, recipe, 0, MOST_EPOCHS), last_epoch=epochs)


def _request(pick: Pick, recipe: Recipe, seed: int, epochs: int) -> Request:
    """Returns what the evaluator is asked for the whole training of a network."""
    source, memory = partial(write_source, pick.graph), cost_of(pick.graph).training_memory
    return Request(pick.fingerprint, None, source, recipe, seed, epochs, memory=memory)


def seconds_to_go(work: Work, slots: int, failures: Mapping[int, int]) -> float:
    """Returns when all trainings will have ended, from how long their epochs took so far; `failures` counts those of each."""
    plan = work.folder.state.plan
    assert plan is not None
    alive = [training for i, training in enumerate(work.trainings) if not _ended(training, failures, i)]
    pace = [t.seconds / t.epochs if t.epochs else plan.epoch_seconds[t.network] for t in alive]
    return time_needed([plan.epochs - t.epochs for t in alive], pace, slots)


def train_all(work: Work, evaluator: Evaluator) -> None:
    """Trains everything that is not complete, until it is or `stopped` says so; what fails by itself is tried once more.

    A segment that is in flight when it is stopped is lost, and trained again by the next start.

    Args:
        work: Its trainings are changed in place and written down after each segment.
        evaluator: Trains.
    """
    failures: dict[int, int] = {}
    running: dict[int, tuple[int, int]] = {}
    ticket = 0
    while not work.stopped():
        while len(running) < evaluator.slots and (i := _next(work, running, failures)) is not None:
            ticket += 1
            request = _segment(work, work.trainings[i])
            running[ticket] = i, request.end
            evaluator.submit(ticket, request)
        if not running:
            return
        for ended, measured in collected(evaluator, work.stopped):
            i, end = running.pop(ended)
            _take(work, i, end, measured, failures, evaluator.slots)


def _next(work: Work, running: Mapping[int, tuple[int, int]], failures: Mapping[int, int]) -> int | None:
    plan = work.folder.state.plan
    assert plan is not None
    in_flight = {i for i, _ in running.values()}
    remaining = [
        0.0 if _ended(training, failures, i) else (plan.epochs - training.epochs) * plan.epoch_seconds[training.network]
        for i, training in enumerate(work.trainings)
    ]
    return next_training(remaining, [i not in in_flight for i in range(len(remaining))])


def _ended(training: Training, failures: Mapping[int, int], i: int) -> bool:
    given_up = training.outcome == Outcome.DIVERGED or failures.get(i, 0) >= TRIES
    return training.complete or given_up


def _segment(work: Work, training: Training) -> Request:
    plan, pick, place = work.folder.state.plan, work.picks[training.network], work.folder.place(training.network, training.seed)
    assert plan is not None
    end = min(plan.epochs, training.epochs + segment_epochs(plan.epoch_seconds[training.network]))
    return replace(
        _request(pick, plan.recipe(pick.key), training.seed, plan.epochs),
        first_epoch=training.epochs,
        last_epoch=end,
        resume_from=place / training.checkpoint if training.checkpoint else None,
        checkpoint=place / _file(end),
    )


def _file(epoch: int) -> str:
    return f"epoch-{epoch}.safetensors"


def _take(work: Work, i: int, end: int, measured: Measurement, failures: dict[int, int], slots: int) -> None:
    """Writes down how a segment ended, and tells of it."""
    training, plan = work.trainings[i], work.folder.state.plan
    assert plan is not None
    took_in(training, measured, _file(end), plan.epochs)
    work.folder.keep(training)
    name = work.picks[training.network].name
    if measured.outcome is Outcome.COMPLETE:
        failures.pop(i, None)
        ended = sum(_ended(t, failures, k) for k, t in enumerate(work.trainings))
        to_go = seconds_to_go(work, slots, failures)
        total = len(work.trainings)
        work.tell(Trained(name, training.seed, training.epochs, plan.epochs, training.curve[-1], ended, total, to_go))
    else:
        failures[i] = failures.get(i, 0) + 1
        again = not _ended(training, failures, i)
        work.tell(Failed(name, training.seed, str(measured.outcome), measured.error, again))
