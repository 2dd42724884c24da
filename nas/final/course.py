"""The course of a final training: plan, train, look at the test images, export; each step only where it is not done yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from nas.data import Dataset, joined
from nas.evaluators.training import TrainingEvaluator
from nas.final.engine import Work, seconds_to_go, train_all
from nas.final.events import Planned
from nas.final.exports import export_all
from nas.final.folder import IMAGES
from nas.final.look import measure_tests
from nas.final.planning import make_plan
from nas.final.state import Plan, Wish
from nas.final.timing import segment_epochs
from nas.final.words import epochs_words, where_words

if TYPE_CHECKING:
    from nas.executors.base import Executor

LEAST_DEADLINE = 600.0
"""Seconds, beside 20 times what it should take, after which a segment counts as hung."""


def go_on(work: Work, executor: Executor, dataset: Dataset, wish: Wish, trust_code: bool) -> bool:
    """Does all that is not done yet; returns whether everything is.

    Args:
        work: What is trained.
        executor: Where; it has nothing in flight.
        dataset: With all its splits.
        wish: How.
        trust_code: Whether an export may execute code that a run or a JSON file brings along.

    Raises:
        EvaluationError: When a network cannot be trained at all, the time does not suffice, or a file cannot be written.
    """
    state = work.folder.state
    if state.plan is None or not all(training.complete for training in work.trainings):
        images = dataset if wish.hold_out else joined(dataset, work.folder.folder / IMAGES)
        if state.plan is None:
            state.plan = make_plan(work, executor, images, wish)
        if state.plan is None:
            return False
        evaluator = _evaluator(work, executor, images, wish, state.plan)
        _tell(work, dataset, wish, executor.slots)
        train_all(work, evaluator)
    else:
        if wish.device != state.plan.asked_device:
            _evaluator(work, executor, dataset, wish, state.plan)  # settles the new one
        _tell(work, dataset, wish, executor.slots)
    looks = wish.test and dataset.size("test") > 0
    if looks:
        measure_tests(work, executor, dataset)
    export_all(work, dataset, trust_code)
    ended = all(training.exported and (training.test or training.error or not looks) for training in work.trainings)
    return not work.stopped() or ended


def _evaluator(work: Work, executor: Executor, images: Dataset, wish: Wish, plan: Plan) -> TrainingEvaluator:
    """Returns who trains, where and in what precision the plan says; another device than before is settled anew."""
    same = wish.device == plan.asked_device
    longest = max(segment_epochs(seconds) * seconds for seconds in plan.epoch_seconds.values())
    evaluator = TrainingEvaluator(
        images,
        work.task,
        device=plan.device if same else wish.device,
        precision=plan.precision if same else wish.precision,
        deadline=LEAST_DEADLINE + 20 * longest,
        executor=executor,
        threads=wish.threads,
    )
    facts = evaluator.describe()
    if not same:
        found = {name: facts[name] for name in ("device", "precision", "precision_reason", "torch")}
        work.folder.state.plan = msgspec.structs.replace(plan, asked_device=wish.device, **found)
    work.folder.save()
    return evaluator


def _tell(work: Work, dataset: Dataset, wish: Wish, slots: int) -> None:
    plan = work.folder.state.plan
    assert plan is not None
    images = dataset.size("train") + (0 if wish.hold_out else dataset.size("val"))
    work.tell(
        Planned(
            epochs=plan.epochs,
            why=epochs_words(plan, wish),
            trainings=len(work.trainings),
            slots=slots,
            rates={pick.name: images / plan.epoch_seconds[key] for key, pick in work.picks.items()},
            seconds=seconds_to_go(work, slots, {}),
            where=where_words(list(work.picks.values()), plan),
            done=sum(training.epochs for training in work.trainings),
        )
    )
