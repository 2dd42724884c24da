"""The loop itself: propose, evaluate, write down. Everything it works with is passed in, so it is tested with a toy.

It decides what happens next and nothing else: what is written and told is the journal's, when to end the limits', what goes to an
evaluator and may come back the jobs'.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from nas.attempts import Halted, NothingFeasible, next_candidate
from nas.baselines import train_baselines
from nas.budget import Budget
from nas.errors import StrategyError
from nas.events import Event
from nas.executors.base import Inheritance
from nas.jobs import TOUCH_SECONDS, Job, Training, checked, collected, revived
from nas.journal import GROUP_SECONDS, Journal
from nas.limits import MAX_REPEATS, Limits
from nas.measurement import Measurement, Outcome
from nas.prescreen import Screen
from nas.recipe import Recipe
from nas.record import Record
from nas.retraining import Retraining, Wanted
from nas.rows import PromotionRow, ProposalRow
from nas.schedule import checked_rungs
from nas.strategies.base import Exhausted, Strategy

if TYPE_CHECKING:
    from nas.addresses import Network
    from nas.evaluators.base import Evaluator, Request
    from nas.problem import Candidate, Problem

MAX_FAULTS = 2
"""Breakdowns of this process itself while a proposal was in flight, after which that proposal counts as crashed."""


def search_loop(
    problem: Problem,
    strategy: Strategy,
    evaluator: Evaluator,
    record: Record,
    *,
    budget: Budget,
    seed: int = 0,
    epochs: int | Sequence[int] = 1,
    resolutions: Sequence[int] = (),
    recipe: Recipe | None = None,
    data: str = "",
    baselines: Sequence[Network] = (),
    on_event: Callable[[Event], None] = lambda event: None,
    stopped: Callable[[], str] = lambda: "",
    faulted: bool = False,
    prescreen: int = 0,
    again: Wanted | None = None,
) -> str:
    """Searches until the budget is spent, the space exhausted, or `stopped` says so.

    Args:
        problem: Space, objectives, constraints.
        strategy: Who proposes.
        evaluator: Who evaluates. It is not closed here.
        record: Where everything is kept. It is not closed here, but all that ended is committed.
        budget: When to end, in totals (see `Budget.after`).
        seed: Seed of the search and of every training.
        epochs: Epochs of each training; several rising ones are the rungs of `nas.schedule`.
        resolutions: Of the images at each rung (`nas.resolutions`); none: as they are.
        recipe: How networks are trained whose architecture does not say; None: `Recipe()`.
        data: Digest of the data with its split.
        baselines: Trained first, to compare with what is found; see `train_baselines`.
        on_event: Told of what happened, after the record holds it.
        stopped: Asked often; a reason makes the loop end at once and leave what is in flight pending.
        faulted: Whether the start before this one broke down by itself: what was in flight then is suspected.
        prescreen: Candidates that are scored untrained for each proposal (`nas.prescreen`); 0: none.
        again: How networks near the front are trained again at the end (`nas.retraining`); None: none is.

    Returns:
        Why the search ended, in one line.

    Raises:
        NothingFeasible, Exhausted: When not one candidate could be proposed.
        EvaluationError: When the evaluator does not measure an objective, or gives a metric the name of an exact cost.
        StrategyError: When the strategy fails, or wants the weights of a trial that was not evaluated.
        RunError: When the record cannot be written, or the epochs are no rungs.
    """
    *cycles, last = checked_rungs(epochs)
    training = Training(seed, last, recipe or Recipe(), data, tuple(cycles), tuple(resolutions))
    journal = Journal(record, problem.objectives, training, on_event, partial(strategy.keeps, problem))
    limits = Limits(budget, training.rungs[0], journal.ledger, lambda: journal.elapsed, stopped)
    retraining = Retraining(again, problem, evaluator, record, training, journal, budget, stopped) if again else None
    if retraining:
        limits, journal.kept = replace(limits, reserved=retraining.reserved), retraining.near
    loop = _Loop(problem, strategy, evaluator, training, journal, limits, queue=deque(journal.unfinished))
    if prescreen:
        loop.screen = Screen(prescreen, problem, loop.scores, record.screenings())
    journal.open(budget)
    on_baselines = faulted and bool(record.baselines_in_flight())  # then no proposal was being evaluated
    on_again = faulted and bool(record.again_in_flight())  # likewise
    if on_again and retraining:
        retraining.suspect()
    else:
        record.note_again(())
    train_baselines(baselines, problem, evaluator, record, training, on_event=on_event, stopped=stopped, faulted=on_baselines)
    reason = loop.run(faulted and not on_baselines and not on_again)
    if retraining:
        journal.commit()
        retraining.run()
        reason = stopped() or reason
    journal.close(reason)
    return reason


@dataclass
class _Loop:
    """A search while it runs: which proposals wait, which are in flight, and why there is no next one.

    What an earlier start left unfinished goes into `queue` and comes first; then whoever may go on to the next rung; then the
    strategy is asked.
    """

    problem: Problem
    strategy: Strategy
    evaluator: Evaluator
    training: Training
    journal: Journal
    limits: Limits
    queue: deque[tuple[ProposalRow, PromotionRow | None]]
    in_flight: dict[int, Job] = field(default_factory=dict)
    reason: str = ""
    screen: Screen | None = None

    def run(self, faulted: bool) -> str:
        """Searches; returns why it ended."""
        if faulted:
            self._suspect()
        try:
            while not self.limits.stopped():
                self._fill()
                if not self.in_flight or self.limits.stopped():
                    break
                self._collect()
        except BaseException:
            self.journal.rollback()  # half a result must not be kept
            raise
        return self.limits.stopped() or self.reason

    def _fill(self) -> None:
        """Gives every free slot a job; jobs that are found quickly share a commit."""
        ready: list[Job] = []
        began = time.monotonic()
        while len(self.in_flight) + len(ready) < self.evaluator.slots:
            job = self._next(ready)
            if job is None:
                break
            ready.append(job)
            if time.monotonic() - began > GROUP_SECONDS:
                self._submit(ready)
                ready, began = [], time.monotonic()
        self._submit(ready)

    def _next(self, ready: Sequence[Job]) -> Job | None:
        """Returns the next job, None when there is none to be had now: then `reason` says why."""
        ledger, flying = self.journal.ledger, [*self.in_flight.values(), *ready]
        running, spans = len(flying), [job.span(self.training) for job in flying]
        fresh, epochs = sum(job.promotion is None for job in flying), sum(end - begin for begin, end in spans)
        while True:
            if not self.limits.over():
                job = self._unfinished(fresh, epochs) or self._promoted(epochs) or self._overdue(epochs)
                if job is not None:
                    return job
            self.reason = self.limits.reached(fresh, epochs)
            if self.reason:
                return None if self.limits.over() else self._promoted(epochs, closing=True)
            if not running and (exhausted := self.limits.exhausted()):
                self.reason = exhausted
                return self._promoted(epochs, closing=True)
            try:
                job = self._propose()
            except Halted:
                continue
            except (NothingFeasible, Exhausted) as problem:
                if not ledger.proposed:
                    raise
                self.reason = str(problem)
                return self._promoted(epochs, closing=True)
            if job is not None:
                return job
            if running and ledger.tail % MAX_REPEATS == 0:
                return None  # What is being evaluated may bring the strategy to something new.

    def _unfinished(self, fresh: int, epochs: int) -> Job | None:
        """Returns the first of what an earlier start left unfinished that the budget still allows; None where there is none.

        Args:
            fresh: New networks in flight.
            epochs: Epochs in flight.
        """
        for item in self.queue:
            row, step = item
            if self.limits.fits(step.to_epoch - step.from_epoch, epochs) if step else not self.limits.reached(fresh, epochs):
                self.queue.remove(item)
                return revived(row, self.problem, self.journal.folder, step)
        return None

    def _promoted(self, epochs: int, *, closing: bool = False, to_top: bool = False) -> Job | None:
        """Takes the best network that may go on beside the epochs in flight to its next rung; returns None where there is none."""
        ladder = self.journal.ledger.ladder
        promotion = ladder.next(lambda more: self.limits.fits(more, epochs), closing=closing, to_top=to_top)
        if promotion is None:
            return None
        row, step = self.journal.promote(promotion)
        return revived(row, self.problem, self.journal.folder, step, resumed=False)

    def _overdue(self, epochs: int) -> Job | None:
        """Takes one of the best that wait to the top where what is left of the budget is only enough for them."""
        if not self.limits.cut_short():
            return None
        waiting = self.journal.ledger.ladder.overdue()
        needed = sum(promotion.to_epoch - promotion.from_epoch for promotion in waiting)
        seconds = sum(self.journal.seconds_to(promotion) for promotion in waiting) / self.evaluator.slots
        if not waiting or not self.limits.ends_with(needed, seconds, epochs):
            return None
        return self._promoted(epochs, closing=True, to_top=True)

    def _propose(self) -> Job | None:
        """Makes the next proposal and writes it down; returns None when it repeats an earlier one."""
        accepted = (self.screen.next_candidate if self.screen else next_candidate)(
            self.problem,
            self.strategy,
            self.journal.ledger.history(),
            self.training.seed,
            on_refused=self.journal.on_event,
            halted=lambda: bool(self.limits.reached(0)),
        )
        heir_of, ledger = accepted.proposal.inherit_from, self.journal.ledger
        if heir_of is not None and ledger.evaluated(heir_of) is None:
            who = f"strategy {type(self.strategy).__name__}"
            raise StrategyError(
                f"{who} lets trial {ledger.proposed} inherit from trial {heir_of}, which was not evaluated; name one that was"
            )
        row = self.journal.propose(accepted, self.training.recipe_of(accepted.candidate))
        if row.repeat_of is None:
            return Job(row, accepted.candidate)
        self.journal.commit_if_due()
        return None

    def scores(self, candidates: Sequence[Candidate], given_up: Callable[[], bool]) -> Sequence[Mapping[str, float]]:
        """Returns the scores of untrained networks."""
        asked = [self.training.request(c.fingerprint, c.architecture, c.source, c.costs) for c in candidates]
        return self.evaluator.score(asked, given_up)

    def _submit(self, jobs: list[Job]) -> None:
        """Commits what was proposed, then starts it."""
        self.journal.start(jobs)
        for job in jobs:
            if self.limits.stopped():
                return
            self.in_flight[job.row.id] = job
            self.evaluator.submit(job.row.id, self._request(job))

    def _request(self, job: Job) -> Request:
        journal, (begin, end) = self.journal, job.span(self.training)
        request = job.request(
            self.training,
            partial(journal.source, job.candidate),
            journal.weights.file(job.row.fingerprint, job.row.recipe, end if self.training.cycles else None),
            self.strategy.importance,
            journal.weights.of(job.row.id) if begin else None,
        )
        if job.row.inherit_from is None or begin:  # what was trained before goes on with its own weights
            return request
        parent = journal.ledger.evaluated(job.row.inherit_from)
        assert parent is not None  # it was when this was proposed
        graph = self.problem.consider(parent.genotype).graph.to_json().decode()
        weights = str(journal.weights.of(parent.id).absolute())
        return replace(request, inherit=Inheritance(weights, graph, dict(job.row.aligned)))

    def _collect(self) -> None:
        """Waits for results. Quick ones are committed with the next proposals, all others at once."""
        results = collected(self.evaluator, self.limits.stopped)
        for ticket, measurement in results:
            job = self.in_flight.pop(ticket)
            self._end(job.row, measurement, job.promotion)
        if any(measurement.seconds >= GROUP_SECONDS for _, measurement in results):
            self.journal.commit()
        self.journal.commit_if_due(TOUCH_SECONDS)

    def _end(self, row: ProposalRow, measurement: Measurement, step: PromotionRow | None) -> None:
        journal = self.journal
        objectives, first = journal.ledger.objectives, not journal.ledger.front.points
        end, costs = step.to_epoch if step else self.training.rungs[0], journal.costs[row.fingerprint]
        journal.end(row, checked(measurement, self.training, end, costs, objectives, first=first), step)

    def _suspect(self) -> None:
        """Ends what brought this process down too often, so that the search can go on without it."""
        for row, step in list(self.queue):
            self.journal.blame(step or row)
            faults = (step or row).faults + 1
            if faults >= MAX_FAULTS:
                self.queue.remove((row, step))
                error = f"this process broke down {faults} times while it was evaluated"
                self._end(row, Measurement(Outcome.CRASHED, error=error), step)
        self.journal.commit()
