"""Settles, once a final training, where it runs and how many epochs there are: by measured speed, so that all ends in time."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING

from nas.costs import cost_of
from nas.data import Dataset, excerpt
from nas.device import LARGEST_TRIED
from nas.errors import EvaluationError
from nas.evaluators.training import TrainingEvaluator
from nas.final.engine import PROBE_BATCHES, Work, measure_speed
from nas.final.folder import PROBE
from nas.final.state import Plan, Wish
from nas.final.timing import MOST_EPOCHS, SPARE, epochs_within, time_needed
from nas.lines import counted, spell_seconds
from nas.source import write_source

if TYPE_CHECKING:
    from nas.executors.base import Executor

DEFAULT_EPOCHS = 30
"""Of each training, where neither epochs nor a budget are given."""
PROBE_DEADLINE = 600.0
"""Seconds after which measuring the speed of one network is given up."""


def make_plan(
    work: Work,
    executor: Executor,
    dataset: Dataset,
    wish: Wish,
) -> Plan | None:
    """Measures speed, and settles the rest by it.

    Args:
        work: Its networks.
        executor: Where trainings will run.
        dataset: What they are trained on.
        wish: What was asked for; epochs are the most where there is a budget too.

    Returns:
        The plan; None where it was stopped.

    Raises:
        EvaluationError: When a network cannot be trained, or not one epoch of each fits into the time.
    """
    folder = work.folder.folder / PROBE
    batch = max(pick.recipe.batch_size for pick in work.picks.values())
    few = excerpt(dataset, folder, PROBE_BATCHES * batch)
    evaluator = TrainingEvaluator(
        few,
        work.task,
        device=wish.device,
        precision=wish.precision,
        kind=[write_source(p.graph) for p in work.picks.values() if cost_of(p.graph).macs <= LARGEST_TRIED],
        executor=executor,
        threads=wish.threads,
        deadline=PROBE_DEADLINE,
    )
    facts = evaluator.describe()
    speed = measure_speed(work, evaluator, few, dataset)
    shutil.rmtree(folder, ignore_errors=True)
    if not speed:
        return None
    chosen = _epochs(work, speed, executor.slots, wish.epochs, wish.seconds)
    recipes = {key: asdict(pick.recipe_for(chosen, dataset.size("train"))) for key, pick in work.picks.items()}
    return Plan(
        epochs=chosen,
        epoch_seconds=speed,
        recipes=recipes,
        slots=executor.slots,
        device=facts["device"],
        precision=facts["precision"],
        precision_reason=facts["precision_reason"],
        asked_device=wish.device,
        torch=facts["torch"],
    )


def _epochs(work: Work, speed: dict[str, float], slots: int, epochs: int | None, seconds: float | None) -> int:
    if seconds is None:
        return epochs or DEFAULT_EPOCHS
    each = [speed[training.network] for training in work.trainings]
    left = (1 - SPARE) * seconds - work.folder.elapsed
    chosen = epochs_within(left, each, slots, epochs or MOST_EPOCHS)
    if not chosen:
        once = time_needed([1] * len(each), each, slots)
        raise EvaluationError(
            f"not one epoch of {counted(len(each), 'training')} fits into the {spell_seconds(max(0.0, left))} left of "
            f"{spell_seconds(seconds)}: it takes about "
            f"{spell_seconds(once)}, {slots} at a time; give more time, or fewer networks or seeds"
        )
    return chosen
