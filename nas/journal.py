"""Writes down what a search does, then tells of it: record, ledger, weights and listeners stay in step. Decides nothing.

A proposal is committed before its evaluation starts, a result before anybody hears of it; so a kill at any moment loses nothing
that was told. Results and proposals that follow each other quickly share one commit.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nas.budget import Budget
from nas.events import Ended, Evaluated, Event, FrontMoved, Proposed, Repeated, Screened, Started
from nas.ledger import Ledger, replay
from nas.measurement import Measurement
from nas.objectives import Objective
from nas.record import Record
from nas.rows import EvaluationRow, NetworkRow, ProposalRow, plain_json
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
        costs: Exact costs of the networks that are pending, by fingerprint.
        weights: The files of the weights that are kept.
        unfinished: Proposals of earlier starts whose evaluation did not end, by number.
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
        self.ledger: Ledger = replay(objectives, proposals, evaluations, costs)
        self.weights = KeptWeights(record.folder, evaluations)
        self.unfinished = [row for row in proposals if row.finished is None and row.repeat_of is None]
        self.costs = {row.fingerprint: costs[row.fingerprint] for row in self.unfinished}
        self.on_event = on_event
        self._record, self._training, self._wanted = record, training, wanted
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
            self._tell(FrontMoved(tuple(ledger.front.points), record.elapsed))

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
            self.costs[candidate.fingerprint] = dict(candidate.costs)
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

    def start(self, jobs: Iterable[Job]) -> None:
        """Commits jobs, so that their evaluation may start."""
        for job in jobs:
            row, costs = job.row, job.candidate.costs
            self._outbox.append(Proposed(row.id, row.fingerprint, row.operator, row.parents, costs, row.rejected, job.again))
        if self._outbox:
            self.commit()

    def end(self, row: ProposalRow, measurement: Measurement) -> None:
        """Writes down how the evaluation of a proposal ended."""
        ledger, record, training, costs = self.ledger, self._record, self._training, self.costs[row.fingerprint]
        if measurement.checkpoint:
            measurement = replace(measurement, checkpoint=self.weights.relative(measurement.checkpoint))
        values = {**costs, **measurement.metrics}
        front, epochs = ledger.front.points, max(measurement.epochs, 0)
        if (source := self._sources.pop(row.fingerprint, None)) is not None:
            record.add_network(NetworkRow(row.fingerprint, costs, b"", source))
        record.add_evaluation(
            EvaluationRow(row.id, row.fingerprint, row.recipe, training.data, training.seed, 0, epochs, measurement, time.time())
        )
        ended = ledger.end(row.id, measurement.outcome, values, epochs, measurement.importances)
        if all(trial.fingerprint != row.fingerprint for trial in ledger.pending.values()):  # one with another recipe may be
            del self.costs[row.fingerprint]
        for number, place in ended:
            record.finish(number, place)
        self._outbox.append(
            Evaluated(
                trial=row.id,
                fingerprint=row.fingerprint,
                outcome=measurement.outcome,
                values=values,
                losses=ledger.finished[ended[0][1]].losses,
                epochs=epochs,
                seconds=measurement.seconds,
                error=measurement.error,
                evaluations=ledger.evaluations,
                elapsed=record.elapsed,
                objectives=self._names,
            )
        )
        self.weights.add(row.id, measurement.checkpoint)
        if ledger.front.points is not front:
            self._outbox.append(FrontMoved(tuple(ledger.front.points), record.elapsed))

    def blame(self, row: ProposalRow) -> None:
        """Counts one more breakdown of this process while a proposal was in flight."""
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
            self.weights.keep(self.ledger.front.points, self._wanted(self.ledger.history()), needed)

    def rollback(self) -> None:
        """Forgets what was written since the last commit; nobody was told of it."""
        self._record.rollback()

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
