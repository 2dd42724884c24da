"""Writes down what a search does, then tells of it: record, ledger, weights and listeners stay in step. Decides nothing.

A proposal is committed before its evaluation starts, a result before anybody hears of it; so a kill at any moment loses nothing
that was told. Results and proposals that follow each other quickly share one commit.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nas.budget import Budget
from nas.events import Ended, Evaluated, Event, FrontMoved, Promoted, Proposed, Repeated, Screened, Started
from nas.ledger import Ledger, losses_of, replay
from nas.measurement import Measurement
from nas.objectives import Objective
from nas.record import Record
from nas.rows import EvaluationRow, NetworkRow, PromotionRow, ProposalRow, plain_json
from nas.schedule import Promotion
from nas.strategies.base import History
from nas.weights import KeptWeights

if TYPE_CHECKING:
    from nas.attempts import Accepted
    from nas.jobs import Job, Training
    from nas.problem import Candidate
    from nas.recipe import Recipe

GROUP_SECONDS = 0.05
"""Results and proposals that follow each other within this time share one commit."""


class Journal:
    """What a run holds, on the disk and in memory.

    Args:
        record: Where everything is kept.
        objectives: What is ranked.
        training: What all evaluations have in common.
        on_event: Told of what happened, after the record holds it.
        wanted: Returns the trials whose weights may still be inherited, the most wanted first.

    Attributes:
        ledger: The trials in memory.
        costs: Exact costs of the networks that are in flight, by fingerprint.
        weights: The files of the weights that are kept.
        unfinished: Proposals of earlier starts that were in flight, in the order in which they came to be: each with its promotion,
            or None where it was trained for the first time.
        seconds: What the trainings of each proposal took, by number.
        kept: Returns trials whose weights are kept beside those of the front.
        on_event: As given.
    """

    def __init__(
        self,
        record: Record,
        objectives: Sequence[Objective],
        training: Training,
        on_event: Callable[[Event], None],
        wanted: Callable[[History], Iterable[int]] = lambda history: (),
    ) -> None:
        proposals, evaluations, costs = record.rows()
        promotions, ended = record.promotions(), {(row.proposal, row.from_epoch) for row in evaluations}
        self.ledger: Ledger = replay(objectives, proposals, evaluations, costs, training.rungs, promotions)
        self.ledger.epochs += sum(row.to_epoch - row.from_epoch for row in record.again())
        self.weights = KeptWeights(record.folder, evaluations)
        self.seconds: dict[int, float] = defaultdict(float)
        for row in evaluations:
            self.seconds[row.proposal] += row.measurement.seconds
        fresh = [row for row in proposals if row.finished is None and row.repeat_of is None]
        climbs = [row for row in promotions if (row.proposal, row.from_epoch) not in ended]
        waiting: list[tuple[ProposalRow, PromotionRow | None]] = [*((row, None) for row in fresh)]
        waiting += [(proposals[row.proposal], row) for row in climbs]
        self.unfinished = sorted(waiting, key=lambda item: (item[1] or item[0]).created)
        self.costs = {row.fingerprint: costs[row.fingerprint] for row, _ in self.unfinished}
        self._in_flight = Counter(row.fingerprint for row, _ in self.unfinished)
        self._climbing = {row.proposal for row in climbs}
        self._promotions = len(promotions)
        self.on_event = on_event
        self._record, self._training, self._wanted = record, training, wanted
        self.kept: Callable[[], Iterable[int]] = tuple
        self._names = tuple(objective.name for objective in objectives)
        self._sources: dict[str, str] = {}
        self._outbox: list[Event] = []
        self._committed = time.monotonic()

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self._record.folder

    @property
    def elapsed(self) -> float:
        """Seconds spent so far, over all starts."""
        return self._record.elapsed

    def open(self, budget: Budget) -> None:
        """Tells that the search starts, or goes on with what there is; deletes weights that a killed start left behind."""
        self._keep_weights()
        self.weights.sweep()
        ledger, record = self.ledger, self._record
        folder, pending = str(record.folder), len(self.unfinished)
        self._tell(Started(folder, budget, ledger.evaluations, pending, ledger.epochs, record.seconds_before))
        if ledger.front.points:
            self._tell(self._front())

    def source(self, candidate: Candidate) -> str:
        """Returns a candidate's text, and keeps it for the record."""
        if candidate.fingerprint not in self._sources:
            self._sources[candidate.fingerprint] = candidate.source()
        return self._sources[candidate.fingerprint]

    def propose(self, accepted: Accepted, recipe: Recipe) -> ProposalRow:
        """Writes down a proposal; one that repeats an earlier network and recipe needs no evaluation (`repeat_of`)."""
        ledger, proposal, candidate = self.ledger, accepted.proposal, accepted.candidate
        digest = self._record.add_recipe(recipe)
        row = ProposalRow(
            id=ledger.proposed,
            fingerprint=candidate.fingerprint,
            recipe=digest,
            genotype=dict(proposal.genotype),
            parents=tuple(proposal.parents),
            operator=proposal.operator,
            inherit_from=proposal.inherit_from,
            aligned=dict(proposal.aligned),
            notes=_as_json(proposal.notes),
            seen=len(ledger.finished),
            rejected=accepted.rejected,
            repeat_of=ledger.first((candidate.fingerprint, digest)),
            created=time.time(),
        )
        if row.repeat_of is None:
            self._take_off(candidate)
        if not self._record.knows(candidate.fingerprint):
            self._record.add_network(NetworkRow(candidate.fingerprint, candidate.costs, candidate.graph.to_json()))
        place = ledger.propose(row)
        self._record.add_proposal(row if place is None else replace(row, finished=place))
        if (screening := accepted.screening) is not None:
            self._record.add_screening(screening)
            self._outbox.append(Screened(row.id, len(screening.candidates), accepted.worth, screening.off))
        if row.repeat_of is not None:
            self._outbox.append(Repeated(row.id, row.repeat_of, row.fingerprint, row.rejected))
        return row

    def promote(self, promotion: Promotion) -> tuple[ProposalRow, PromotionRow]:
        """Writes down that a network goes on to its next rung; returns what it was proposed as, and that."""
        trial, begin, end = promotion.trial, promotion.from_epoch, promotion.to_epoch
        row = PromotionRow(self._promotions, trial, begin, end, self.ledger.segments, time.time())
        self._promotions += 1
        self._record.add_promotion(row)
        self.ledger.promote(promotion)
        self._climbing.add(trial)
        return self._record.proposal(trial), row

    def seconds_to(self, promotion: Promotion) -> float:
        """Returns how long a network takes to its next rung, judged by its training so far."""
        return self.seconds[promotion.trial] * (promotion.to_epoch - promotion.from_epoch) / promotion.from_epoch

    def start(self, jobs: Iterable[Job]) -> None:
        """Commits jobs, so that their evaluation may start."""
        for job in jobs:
            row, step = job.row, job.promotion
            if step is None:
                costs = job.candidate.costs
                self._outbox.append(Proposed(row.id, row.fingerprint, row.operator, row.parents, costs, row.rejected, job.resumed))
            else:
                if not job.resumed:
                    self._take_off(job.candidate)
                self._outbox.append(Promoted(row.id, row.fingerprint, step.from_epoch, step.to_epoch, job.resumed))
        if self._outbox:
            self.commit()

    def end(self, row: ProposalRow, measurement: Measurement, step: PromotionRow | None = None) -> None:
        """Writes down how a training segment of a proposal ended.

        Args:
            row: The proposal.
            measurement: What came out.
            step: The promotion that it was trained for; None: it was trained for the first time.
        """
        ledger, record, training, costs = self.ledger, self._record, self._training, self.costs[row.fingerprint]
        if measurement.checkpoint:
            measurement = replace(measurement, checkpoint=self.weights.relative(measurement.checkpoint))
        values, begin = {**costs, **measurement.metrics}, step.from_epoch if step else 0
        front, epochs = ledger.front.points, max(measurement.epochs, begin)
        if (source := self._sources.pop(row.fingerprint, None)) is not None:
            record.add_network(NetworkRow(row.fingerprint, costs, b"", source))
        record.add_evaluation(
            EvaluationRow(
                row.id, row.fingerprint, row.recipe, training.data, training.seed, begin, epochs, measurement, time.time()
            )
        )
        self.seconds[row.id] += measurement.seconds
        self._land(row.fingerprint)
        if step is None:
            for number, place in ledger.end(row.id, measurement.outcome, values, epochs, measurement.importances):
                record.finish(number, place)
        else:
            self._climbing.discard(row.id)
            ledger.end_promoted(Promotion(row.id, begin, step.to_epoch), measurement.outcome, values, epochs - begin)
        self._outbox.append(
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
                elapsed=record.elapsed,
                objectives=self._names,
                from_epoch=begin,
            )
        )
        self.weights.add(row.id, measurement.checkpoint)
        if ledger.front.points is not front:
            self._outbox.append(self._front())

    def blame(self, row: ProposalRow | PromotionRow) -> None:
        """Counts one more breakdown of this process while a proposal or a promotion was in flight."""
        self._record.blame(row)

    def commit(self) -> None:
        """Puts everything on the disk, and tells of it."""
        self._record.commit()
        self._committed = time.monotonic()
        self._keep_weights()
        self._flush()

    def commit_if_due(self, seconds: float = GROUP_SECONDS) -> None:
        """Commits when the last commit is longer ago than that."""
        if time.monotonic() - self._committed > seconds:
            self.commit()

    def close(self, reason: str) -> None:
        """Commits, and tells why the search ends."""
        self.commit()
        self._tell(Ended(reason, self.ledger.evaluations, self.elapsed))

    def _keep_weights(self) -> None:
        """Deletes the weights that nobody needs any more."""
        if self.weights:
            needed = [trial.inherit_from for trial in self.ledger.pending.values() if trial.inherit_from is not None]
            needed += [*self._climbing, *self.ledger.ladder.waiting(), *self.kept()]
            self.weights.keep(self.ledger.front.points, self._wanted(self.ledger.history()), needed)

    def rollback(self) -> None:
        """Forgets what was written since the last commit; nobody was told of it."""
        self._record.rollback()

    def _take_off(self, candidate: Candidate) -> None:
        """Keeps the costs of a network while it is in flight."""
        self._in_flight[candidate.fingerprint] += 1
        self.costs[candidate.fingerprint] = dict(candidate.costs)

    def _land(self, fingerprint: str) -> None:
        """Forgets the costs of a network that is in flight no more; with another recipe it may still be."""
        self._in_flight[fingerprint] -= 1
        if not self._in_flight[fingerprint]:
            del self._in_flight[fingerprint], self.costs[fingerprint]

    def _front(self) -> FrontMoved:
        ledger = self.ledger
        return FrontMoved(tuple(ledger.front.points), self.elapsed, ledger.top if self._training.cycles else 0)

    def _tell(self, event: Event) -> None:
        self._outbox.append(event)
        self._flush()

    def _flush(self) -> None:
        told, self._outbox = self._outbox, []
        for event in told:
            self.on_event(event)


def _as_json(notes: Mapping[str, object]) -> Mapping[str, object]:
    """Returns notes as they come back from the record, so that a strategy sees the same before and after a resume."""
    plain: dict[str, object] = json.loads(plain_json(notes, "notes of the strategy")) if notes else {}
    return plain
