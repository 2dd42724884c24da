"""The loop itself: propose, evaluate, record. Everything it works with is passed in, so it is tested with a toy.

One coordinator writes one record. A proposal is committed before its evaluation starts, a result before anybody hears of it;
so a kill at any moment loses nothing that was told, and what was in flight is evaluated again.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nas.attempts import Halted, NothingFeasible, next_candidate
from nas.budget import Budget
from nas.errors import EvaluationError, RunError
from nas.events import Ended, Evaluated, Event, FrontMoved, Proposed, Repeated, Started
from nas.ledger import Ledger, losses_of, replay
from nas.lines import counted, spell_seconds
from nas.measurement import Measurement, Outcome
from nas.problem import Rejected
from nas.recipe import Recipe
from nas.record import Record
from nas.rows import EvaluationRow, NetworkRow, ProposalRow, plain_json
from nas.strategies.base import Strategy
from nas.weights import FrontWeights

if TYPE_CHECKING:
    from nas.evaluate import Evaluator, Request
    from nas.problem import Candidate, Problem

MAX_REPEATS = 1_000
"""Proposals in a row that repeat an earlier network after which the space counts as exhausted."""

MAX_FAULTS = 2
"""Breakdowns of this process itself while a proposal was in flight, after which that proposal counts as crashed."""

POLL_SECONDS = 0.25
"""How long a signal may wait while evaluations run."""

GROUP_SECONDS = 0.05
"""Results and proposals that follow each other within this time share one commit."""

TOUCH_SECONDS = 10.0
"""How often the time spent is written down while nothing ends."""

_BROKEN_OFF = (Outcome.CRASHED, Outcome.INTERRUPTED)


@dataclass(frozen=True)
class Job:
    """A proposal on its way through an evaluator."""

    row: ProposalRow
    candidate: Candidate
    again: bool = False


def search_loop(
    problem: Problem,
    strategy: Strategy,
    evaluator: Evaluator,
    record: Record,
    *,
    budget: Budget,
    seed: int = 0,
    epochs: int = 1,
    recipe: Recipe | None = None,
    data: str = "",
    on_event: Callable[[Event], None] = lambda event: None,
    stopped: Callable[[], str] = lambda: "",
    faulted: bool = False,
) -> str:
    """Searches until the budget is spent, the space exhausted, or `stopped` says so.

    Args:
        problem: Space, objectives, constraints.
        strategy: Who proposes.
        evaluator: Who evaluates. It is not closed here.
        record: Where everything is kept. It is not closed here, but all that ended is committed.
        budget: When to end, in totals (see `Budget.after`).
        seed: Seed of the search and of every training.
        epochs: Epochs of each training.
        recipe: How networks are trained whose architecture does not say; None: `Recipe()`.
        data: Digest of the data with its split.
        on_event: Told of what happened, after the record holds it.
        stopped: Asked often; a reason makes the loop end at once and leave what is in flight pending.
        faulted: Whether the start before this one broke down by itself: what was in flight then is suspected.

    Returns:
        Why the search ended, in one line.

    Raises:
        NothingFeasible: When not one candidate could be proposed.
        EvaluationError: When the evaluator does not measure an objective, or gives a metric the name of an exact cost.
        RunError: When the record cannot be written.
    """
    training = Training(seed, epochs, recipe or Recipe(), data)
    return _Coordinator(problem, strategy, evaluator, record, budget, training, on_event, stopped).run(faulted)


@dataclass(frozen=True)
class Training:
    """What all evaluations of a run have in common."""

    seed: int
    epochs: int
    recipe: Recipe
    data: str


class _Coordinator:
    """State of one search while it runs."""

    def __init__(
        self,
        problem: Problem,
        strategy: Strategy,
        evaluator: Evaluator,
        record: Record,
        budget: Budget,
        training: Training,
        on_event: Callable[[Event], None],
        stopped: Callable[[], str],
    ) -> None:
        self.problem, self.strategy, self.evaluator, self.record = problem, strategy, evaluator, record
        self.budget, self.training = budget, training
        self.on_event, self.stopped = on_event, stopped
        proposals, evaluations, self.costs = record.rows()
        self.ledger: Ledger = replay(problem.objectives, proposals, evaluations, self.costs)
        self.queue = deque(row for row in proposals if row.finished is None and row.repeat_of is None)
        self.in_flight: dict[int, Job] = {}
        self.sources: dict[str, str] = {}
        self.weights = FrontWeights(record.folder, evaluations)
        self.outbox: list[Event] = []
        self.reason = ""
        self.committed = time.monotonic()

    def run(self, faulted: bool) -> str:
        ledger = self.ledger
        self._tell(
            Started(
                str(self.record.folder), self.budget, ledger.evaluations, len(self.queue), ledger.epochs, self.record.seconds_before
            )
        )
        if ledger.front.points:
            self._tell(FrontMoved(tuple(ledger.front.points), self.record.elapsed))
        if faulted:
            self._suspect()
        self.weights.keep(ledger.front.points)
        self.weights.sweep()
        try:
            while not self.stopped():
                self._fill()
                if not self.in_flight or self.stopped():
                    break
                self._collect()
        except BaseException:
            self.record.rollback()  # Half a result must not be kept; nobody was told of it.
            raise
        self._commit()
        reason = self.stopped() or self.reason
        self._tell(Ended(reason, ledger.evaluations, self.record.elapsed))
        return reason

    def _fill(self) -> None:
        """Gives every free slot a job; jobs that are found quickly share a commit."""
        ready: list[Job] = []
        began = time.monotonic()
        while len(self.in_flight) + len(ready) < self.evaluator.slots:
            job = self._next(len(ready))
            if job is None:
                break
            ready.append(job)
            if time.monotonic() - began > GROUP_SECONDS:
                self._submit(ready)
                ready, began = [], time.monotonic()
        self._submit(ready)

    def _next(self, ready: int) -> Job | None:
        """Returns the next job, None when there is none to be had now: then `reason` says why."""
        while True:
            self.reason = self._limit(len(self.in_flight) + ready)
            if self.reason:
                return None
            if self.queue:
                return self._again(self.queue.popleft())
            if self.ledger.tail >= MAX_REPEATS and not (self.in_flight or ready):
                self.reason = (
                    f"the last {self.ledger.tail} proposals repeat networks that were evaluated: the space seems exhausted"
                )
                return None
            try:
                job = self._propose()
            except Halted:
                continue
            except NothingFeasible as problem:
                if not self.ledger.proposed:
                    raise
                self.reason = str(problem)
                return None
            if job is not None:
                return job
            if self.ledger.tail % MAX_REPEATS == 0 and (self.in_flight or ready):
                return None  # What is being evaluated may bring the strategy to something new.

    def _limit(self, running: int) -> str:
        """Returns which limit allows no further job beside `running` ones, empty when none does."""
        if reason := self.stopped():
            return reason
        budget, ledger = self.budget, self.ledger
        if budget.evaluations is not None and ledger.evaluations + running >= budget.evaluations:
            return f"the budget of {counted(budget.evaluations, 'evaluation')} is spent"
        if budget.epochs_total is not None and ledger.epochs + (running + 1) * self.training.epochs > budget.epochs_total:
            used = f"{ledger.epochs:,} used, {self.training.epochs} a network"
            return f"the budget of {counted(budget.epochs_total, 'epoch')} is spent ({used})"
        if budget.seconds is not None and self.record.elapsed >= budget.seconds:
            return f"the budget of {spell_seconds(budget.seconds)} is spent"
        return ""

    def _propose(self) -> Job | None:
        """Makes the next proposal and writes it down; returns None when it repeats an earlier one."""
        ledger = self.ledger
        accepted = next_candidate(
            self.problem,
            self.strategy,
            ledger.history(),
            self.training.seed,
            on_refused=self.on_event,
            halted=lambda: bool(self._limit(0)),
        )
        proposal, candidate = accepted.proposal, accepted.candidate
        digest = self.record.add_recipe(self._recipe(candidate))
        row = ProposalRow(
            id=ledger.proposed,
            fingerprint=candidate.fingerprint,
            recipe=digest,
            genotype=dict(proposal.genotype),
            parents=tuple(proposal.parents),
            operator=proposal.operator,
            inherit_from=proposal.inherit_from,
            notes=_as_json(proposal.notes),
            seen=len(ledger.finished),
            rejected=accepted.rejected,
            repeat_of=ledger.first((candidate.fingerprint, digest)),
            created=time.time(),
        )
        if candidate.fingerprint not in self.costs:
            self.costs[candidate.fingerprint] = dict(candidate.costs)
            self.record.add_network(NetworkRow(candidate.fingerprint, candidate.costs, candidate.graph.to_json()))
        place = ledger.propose(row)
        self.record.add_proposal(replace(row, finished=place))
        if row.repeat_of is None:
            return Job(row, candidate)
        self.outbox.append(Repeated(row.id, row.repeat_of, row.fingerprint, row.rejected))
        self._commit_if_due()
        return None

    def _again(self, row: ProposalRow) -> Job:
        """Makes a recorded proposal a job again."""
        try:
            candidate = self.problem.consider(row.genotype)
        except Rejected as refusal:
            raise RunError(
                f"trial {row.id} of {self.record.folder} is refused now ({refusal}); its costs or its space changed"
            ) from None
        if candidate.fingerprint != row.fingerprint:
            ids = f"{candidate.fingerprint[:7]}, was {row.fingerprint[:7]}"
            raise RunError(
                f"trial {row.id} of {self.record.folder} is another network now ({ids}); "
                "its blocks or operations changed: choose another folder"
            )
        return Job(row, candidate, again=True)

    def _submit(self, jobs: list[Job]) -> None:
        """Commits what was proposed, then starts it."""
        for job in jobs:
            row, candidate = job.row, job.candidate
            self.outbox.append(
                Proposed(row.id, row.fingerprint, row.operator, row.parents, candidate.costs, row.rejected, job.again)
            )
        if jobs or self.outbox:
            self._commit()
        for job in jobs:
            if self.stopped():
                return
            self.in_flight[job.row.id] = job
            self.evaluator.submit(job.row.id, self._request(job))

    def _request(self, job: Job) -> Request:
        from nas.evaluate import Request

        candidate = job.candidate

        def source() -> str:
            """Writes the text when the evaluator needs it, and keeps it for the record."""
            return self.sources.setdefault(candidate.fingerprint, candidate.source())

        return Request(
            fingerprint=candidate.fingerprint,
            architecture=candidate.architecture,
            source=source,
            recipe=self._recipe(candidate),
            seed=self.training.seed,
            epochs=self.training.epochs,
            first_epoch=0,
            last_epoch=self.training.epochs,
            checkpoint=self.weights.file(candidate.fingerprint, job.row.recipe),
        )

    def _recipe(self, candidate: Candidate) -> Recipe:
        return candidate.architecture.recipe or self.training.recipe

    def _collect(self) -> None:
        """Waits for results. Quick ones are committed with the next proposals, all others at once."""
        results = self.evaluator.collect(POLL_SECONDS)
        if self.stopped():  # what asked this process to stop may have ended the evaluations too: they stay pending
            results = [(ticket, found) for ticket, found in results if found.outcome not in _BROKEN_OFF]
        for ticket, measurement in results:
            self._end(self.in_flight.pop(ticket).row, measurement)
        if any(measurement.seconds >= GROUP_SECONDS for _, measurement in results):
            self._commit()
        self._commit_if_due(TOUCH_SECONDS)

    def _end(self, row: ProposalRow, measurement: Measurement) -> None:
        """Writes down one result."""
        ledger = self.ledger
        costs = self.costs[row.fingerprint]
        measurement = self._checked(measurement, costs)
        measurement = replace(measurement, checkpoint=self.weights.relative(measurement.checkpoint))
        values = {**costs, **measurement.metrics}
        before = ledger.front.points
        epochs = max(measurement.epochs, 0)
        source = self.sources.pop(row.fingerprint, None)
        self.record.add_network(NetworkRow(row.fingerprint, costs, b"", source))
        self.record.add_evaluation(
            EvaluationRow(
                row.id, row.fingerprint, row.recipe, self.training.data, self.training.seed, 0, epochs, measurement, time.time()
            )
        )
        for number, place in ledger.end(row.id, measurement.outcome, values, epochs):
            self.record.finish(number, place)
        self.outbox.append(
            Evaluated(
                trial=row.id,
                fingerprint=row.fingerprint,
                outcome=measurement.outcome,
                values=values,
                losses=losses_of(ledger.objectives, values, measurement.outcome),
                epochs=epochs,
                seconds=measurement.seconds,
                error=measurement.error,
                evaluations=ledger.evaluations,
                elapsed=self.record.elapsed,
                objectives=tuple(objective.name for objective in ledger.objectives),
            )
        )
        self.weights.add(row.id, measurement.checkpoint)
        if ledger.front.points is not before:
            self.outbox.append(FrontMoved(tuple(ledger.front.points), self.record.elapsed))

    def _checked(self, measurement: Measurement, costs: Mapping[str, float]) -> Measurement:
        """Returns the measurement, as crashed where an objective is missing or a metric, left out then, has the name of a cost.

        Raises:
            EvaluationError: When nothing was measured rightly so far: then the evaluator is at fault, not the network.
        """
        taken = [name for name in measurement.metrics if name in costs]
        metrics = {name: value for name, value in measurement.metrics.items() if name not in costs}
        missing = [o.name for o in self.ledger.objectives if o.name not in costs and o.name not in metrics]
        if not measurement.outcome.measured or not (taken or missing):
            return replace(measurement, metrics=metrics)
        if taken:
            error = f"metric {taken[0]!r} has the name of an exact cost; return it under another name"
        else:
            got = ", ".join([*metrics, *costs])
            error = f"objective {missing[0]!r} was not measured; the evaluator and the costs give {got}; measure it or name another"
        if not self.ledger.front.points:
            raise EvaluationError(error)
        return replace(measurement, metrics=metrics, outcome=Outcome.CRASHED, error=error)

    def _suspect(self) -> None:
        """Ends what brought this process down too often, so that the search can go on without it."""
        for row in list(self.queue):
            self.record.blame(row.id)
            if row.faults + 1 >= MAX_FAULTS:
                self.queue.remove(row)
                error = f"this process broke down {row.faults + 1} times while it was evaluated"
                self._end(row, Measurement(Outcome.CRASHED, error=error))
        self._commit()

    def _tell(self, event: Event) -> None:
        """Tells of something that needs no row."""
        self._flush()
        self.on_event(event)

    def _flush(self) -> None:
        told, self.outbox = self.outbox, []
        for event in told:
            self.on_event(event)

    def _commit(self) -> None:
        self.record.commit()
        self.committed = time.monotonic()
        self.weights.keep(self.ledger.front.points)
        self._flush()

    def _commit_if_due(self, seconds: float = GROUP_SECONDS) -> None:
        if time.monotonic() - self.committed > seconds:
            self._commit()


def _as_json(notes: Mapping[str, object]) -> Mapping[str, object]:
    """Returns notes as they come back from the record, so that a strategy sees the same before and after a resume."""
    plain: dict[str, object] = json.loads(plain_json(notes, "notes of the strategy")) if notes else {}
    return plain
