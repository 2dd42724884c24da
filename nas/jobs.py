"""A job: a proposal on its way through an evaluator, what goes there and what may come back. Knows no record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.errors import EvaluationError, RunError
from nas.evaluators.base import Evaluator, Request
from nas.lines import counted
from nas.measurement import Measurement, Outcome
from nas.objectives import Objective
from nas.problem import Rejected
from nas.recipe import Recipe
from nas.rows import PromotionRow, ProposalRow

if TYPE_CHECKING:
    from nas.problem import Candidate, Problem

POLL_SECONDS = 0.25
"""How long a signal may wait while evaluations run."""
TOUCH_SECONDS = 10.0
"""How often the time spent is written down while nothing ends."""


def collected(evaluator: Evaluator, stopped: Callable[[], str]) -> Sequence[tuple[int, Measurement]]:
    """Returns what ended, by ticket, after a short wait where nothing did.

    Once `stopped` gives a reason, without what the same reason may have broken off: that says nothing, and stays unfinished.
    """
    results = evaluator.collect(POLL_SECONDS)
    if not stopped():
        return results
    return [(ticket, found) for ticket, found in results if found.outcome not in (Outcome.CRASHED, Outcome.INTERRUPTED)]


@dataclass(frozen=True)
class Training:
    """What all evaluations of a run have in common.

    Attributes:
        seed: Seed of the search and of every training.
        epochs: Epochs of a network that is trained to the end.
        recipe: How networks are trained whose architecture does not say.
        data: Digest of the data with its split.
        cycles: The lower rungs, in epochs; the learning rate begins anew at each.
        resolutions: Of the images at each rung (`nas.resolutions`); none: as they are.
    """

    seed: int
    epochs: int
    recipe: Recipe
    data: str
    cycles: tuple[int, ...] = ()
    resolutions: tuple[int, ...] = ()

    @property
    def rungs(self) -> tuple[int, ...]:
        """All rungs, in epochs; one where all networks are trained for equally long."""
        return (*self.cycles, self.epochs)

    def recipe_of(self, candidate: Candidate) -> Recipe:
        """Returns how a candidate is trained."""
        return candidate.architecture.recipe or self.recipe

    def request(
        self,
        fingerprint: str,
        architecture: Any,
        source: Callable[[], str],
        costs: Mapping[str, float],
        recipe: Recipe | None = None,
    ) -> Request:
        """Returns what an evaluator is asked: all epochs from fresh weights, which it does not keep.

        Args:
            fingerprint: Of the network.
            architecture: What a plain function is called with.
            source: Returns the network's text; called only by evaluators that need it.
            costs: Its exact costs, as far as they are known.
            recipe: Closed; None: that of the run.
        """
        return Request(
            fingerprint,
            architecture,
            source,
            recipe or self.recipe,
            self.seed,
            self.epochs,
            cycles=self.cycles,
            resolutions=self.resolutions,
            memory=int(costs.get("training_memory", 0)),
        )


@dataclass(frozen=True)
class Job:
    """A proposal on its way through an evaluator.

    Attributes:
        row: As it is recorded.
        candidate: What it decodes to.
        resumed: Whether it was in flight when an earlier start ended.
        promotion: What takes it from one rung to the next, as it is recorded; None: it is trained for the first time.
    """

    row: ProposalRow
    candidate: Candidate
    resumed: bool = False
    promotion: PromotionRow | None = None

    def span(self, training: Training) -> tuple[int, int]:
        """Returns the epochs before and after."""
        return (self.promotion.from_epoch, self.promotion.to_epoch) if self.promotion else (0, training.rungs[0])

    def request(
        self,
        training: Training,
        source: Callable[[], str],
        checkpoint: Path,
        importance: str = "",
        resume_from: Path | None = None,
    ) -> Request:
        """Returns what an evaluator is asked.

        Args:
            training: Of the run.
            source: Returns the network's text; called only by evaluators that need it.
            checkpoint: Where to leave weights.
            importance: Which importances are measured at the end, empty for none.
            resume_from: Its weights after the epochs before; None where there are none.
        """
        candidate, (begin, end) = self.candidate, self.span(training)
        recipe = training.recipe_of(candidate)
        fresh = training.request(self.row.fingerprint, candidate.architecture, source, candidate.costs, recipe)
        return replace(
            fresh,
            first_epoch=begin,
            last_epoch=end,
            resume_from=resume_from,
            checkpoint=checkpoint,
            graph=lambda: candidate.graph.to_json().decode(),
            importance=importance,
        )


def revived(
    row: ProposalRow, problem: Problem, folder: Path, promotion: PromotionRow | None = None, *, resumed: bool = True
) -> Job:
    """Returns a recorded proposal as a job again.

    Args:
        row: As it is recorded.
        problem: Of this start.
        folder: Of the run, for the message.
        promotion: What takes it to its next rung; None: its first training was in flight when an earlier start ended.
        resumed: Whether it was in flight when an earlier start ended.

    Raises:
        RunError: When it is refused now, or has become another network.
    """
    try:
        candidate = problem.consider(row.genotype)
    except Rejected as refusal:
        raise RunError(f"trial {row.id} of {folder} is refused now ({refusal}); its costs or its space changed") from None
    if candidate.fingerprint != row.fingerprint:
        ids = f"{candidate.fingerprint[:7]}, was {row.fingerprint[:7]}"
        raise RunError(
            f"trial {row.id} of {folder} is another network now ({ids}); its blocks or operations changed: choose another folder"
        )
    return Job(row, candidate, resumed, promotion)


def checked(
    measurement: Measurement,
    training: Training,
    end: int,
    costs: Mapping[str, float],
    objectives: Sequence[Objective],
    *,
    first: bool,
) -> Measurement:
    """Returns the measurement, as crashed where it cannot be ranked.

    That is where an objective is missing; where a metric, left out then, has the name of a cost; and where there are rungs, but it
    is a result after other epochs than those that were asked for.

    Args:
        measurement: What the evaluator says.
        training: Of the run.
        end: The epochs that were asked for.
        costs: Exact costs of the network.
        objectives: All must have a value.
        first: Whether nothing was measured rightly so far: then the evaluator is at fault, not the network.

    Raises:
        EvaluationError: When the evaluator is at fault.
    """
    taken = [name for name in measurement.metrics if name in costs]
    if taken:
        metrics = {name: value for name, value in measurement.metrics.items() if name not in costs}
        measurement = replace(measurement, metrics=metrics)
    if not measurement.outcome.measured:
        return measurement
    if training.cycles and measurement.epochs != end:
        error = f"measured after {counted(measurement.epochs, 'epoch')}, asked for after {end}: unequal epochs are not compared"
        return replace(measurement, outcome=Outcome.CRASHED, error=error)
    missing = [o.name for o in objectives if o.name not in costs and o.name not in measurement.metrics]
    if taken:
        error = f"metric {taken[0]!r} has the name of an exact cost; return it under another name"
    elif missing:
        got = ", ".join([*measurement.metrics, *costs])
        error = f"objective {missing[0]!r} was not measured; the evaluator and the costs give {got}; measure it or name another"
    else:
        return measurement
    if first:
        raise EvaluationError(error)
    return replace(measurement, outcome=Outcome.CRASHED, error=error)
