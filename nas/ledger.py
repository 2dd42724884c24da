"""The trials of a run in memory: what a strategy sees, what was evaluated, what is pending, which networks are the front."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nas.events import FrontPoint
from nas.measurement import Outcome
from nas.objectives import Objective
from nas.pareto import weakly_dominates
from nas.rows import EvaluationRow, PromotionRow, ProposalRow
from nas.schedule import Ladder, Promotion
from nas.strategies.base import History, Trial

_NOTHING: Mapping[str, Any] = {}

Key = tuple[str, str]
"""Fingerprint and digest of the closed recipe; data and seed of the training are the same throughout a run."""


def losses_of(objectives: Sequence[Objective], values: Mapping[str, float], outcome: Outcome) -> tuple[float, ...] | None:
    """Returns one loss an objective, None where the outcome may not be ranked.

    Raises:
        KeyError: When an objective has no value.
    """
    return tuple(objective.loss(values[objective.name]) for objective in objectives) if outcome.measured else None


class Front:
    """The Pareto front of what was measured so far, kept up to date one network at a time."""

    def __init__(self) -> None:
        self.points: list[FrontPoint] = []

    def add(self, point: FrontPoint) -> bool:
        """Takes a network in if no other is at least as good everywhere; returns whether the front moved.

        Only a network before it in the order of the front can be, with two objectives only the nearest of them.
        """
        before = bisect_right(self.points, point.losses, key=_losses)
        if any(weakly_dominates(self.points[i].losses, point.losses) for i in range(before - 1, -1, -1)):
            return False
        self.points = [old for old in self.points if not weakly_dominates(point.losses, old.losses)]
        insort(self.points, point, key=_losses)
        return True


def _losses(point: FrontPoint) -> tuple[float, ...]:
    return point.losses


class Ledger:
    """All trials of one run.

    Strategies see every trial as it was measured at the lowest rung: those all had the same epochs. What was trained on is ranked
    with its like, on the ladder and in a front of its own.

    Args:
        objectives: What is ranked.
        rungs: In epochs, rising; where there is one, its number does not matter.

    Attributes:
        finished: Trials that ended, in the order of endings.
        pending: Trials that have not, by number.
        evaluations: Networks (with their recipes) whose first segment ended.
        segments: Training segments that ended.
        epochs: Epochs trained.
        tail: How many of the latest proposals in a row were repeats.
        ladder: Who stands on which rung.
        fronts: The Pareto front of each rung so far, from the lowest to the top.
    """

    def __init__(self, objectives: Sequence[Objective], rungs: Sequence[int] = (1,)) -> None:
        self.objectives = tuple(objectives)
        self.finished: list[Trial] = []
        self.pending: dict[int, Trial] = {}
        self.evaluations = 0
        self.segments = 0
        self.epochs = 0
        self.tail = 0
        self.ladder = Ladder(rungs, [objective.exact for objective in self.objectives])
        self.fronts = {rung: Front() for rung in rungs}
        self._higher: dict[int, dict[int, tuple[float, ...]]] = {rung: {} for rung in rungs[1:]}
        self._first: dict[Key, int] = {}
        self._evaluated: dict[int, Trial] = {}
        self._followers: dict[int, list[int]] = {}
        self._words: dict[str, str] = {}

    @property
    def proposed(self) -> int:
        """How many proposals there are, which is the number of the next one."""
        return len(self.finished) + len(self.pending)

    @property
    def top(self) -> int:
        """The highest rung at which anything was measured, in epochs; the lowest one where nothing was."""
        return next((rung for rung in reversed(self.fronts) if self.fronts[rung].points), next(iter(self.fronts)))

    @property
    def front(self) -> Front:
        """The Pareto front of the highest rung at which anything was measured."""
        return self.fronts[self.top]

    def measured(self) -> dict[int, tuple[float, ...]]:
        """Returns the losses of what was measured at the highest rung at which anything was, by number."""
        if self.top in self._higher:
            return dict(self._higher[self.top])
        return {number: trial.losses for number, trial in self._evaluated.items() if trial.losses is not None}

    def history(self) -> History:
        """Returns what the next proposal may see."""
        return History(self.finished, tuple(self.pending.values()))

    def first(self, key: Key) -> int | None:
        """Returns the trial that was, or is being, evaluated with this key."""
        return self._first.get(key)

    def evaluated(self, number: int) -> Trial | None:
        """Returns a trial whose own evaluation ended; None for a pending one, or one that repeats another."""
        return self._evaluated.get(number)

    def propose(self, row: ProposalRow) -> int | None:
        """Takes in a proposal; a repeat of a trial that ended ends at once.

        Returns:
            Its place in the order of endings, None when it is pending now.
        """
        trial = self._pending(row)
        if row.repeat_of is None:
            self._first[(row.fingerprint, row.recipe)] = row.id
            self.tail = 0
        else:
            self.tail += 1
            if (first := self._evaluated.get(row.repeat_of)) is not None:
                return self._close(trial, first)
            self._followers.setdefault(row.repeat_of, []).append(row.id)
        self.pending[row.id] = trial
        return None

    def end(
        self,
        number: int,
        outcome: Outcome,
        values: Mapping[str, float],
        epochs: int,
        importances: Mapping[str, Sequence[float]] = _NOTHING,
    ) -> list[tuple[int, int]]:
        """Takes in the end of an evaluation.

        Args:
            number: The trial that was evaluated.
            outcome: How it ended.
            values: Its exact costs and its metrics.
            epochs: Epochs trained for it.
            importances: Of its channels, where they were measured.

        Returns:
            Number and place of it and of the repeats that waited for it.

        Raises:
            KeyError: When an objective has no value.
        """
        losses = losses_of(self.objectives, values, outcome)
        trial = self.pending.pop(number)
        trial = self._evaluated[number] = replace(trial, outcome=outcome, losses=losses, importances=importances or _NOTHING)
        self.evaluations += 1
        self._rank(trial, next(iter(self.fronts)), losses, values, epochs)
        ended = [(number, self._close(trial, trial))]
        for follower in self._followers.pop(number, ()):
            ended.append((follower, self._close(self.pending.pop(follower), trial)))
        return ended

    def promote(self, promotion: Promotion) -> None:
        """Takes in that a trial goes on to the next rung."""
        self.ladder.promote(promotion)

    def end_promoted(self, promotion: Promotion, outcome: Outcome, values: Mapping[str, float], epochs: int) -> None:
        """Takes in the end of a trial's training from one rung to the next.

        Args:
            promotion: What was promoted.
            outcome: How it ended.
            values: Its exact costs, and its metrics after all its epochs.
            epochs: Epochs trained in this segment.

        Raises:
            KeyError: When an objective has no value.
        """
        losses = losses_of(self.objectives, values, outcome)
        self._rank(self._evaluated[promotion.trial], promotion.to_epoch, losses, values, epochs)

    def _rank(self, trial: Trial, rung: int, losses: tuple[float, ...] | None, values: Mapping[str, float], epochs: int) -> None:
        """Takes in what a segment measured at a rung."""
        self.segments += 1
        self.epochs += epochs
        self.ladder.measured(trial.id, rung, losses)
        if losses is not None:
            if rung in self._higher:
                self._higher[rung][trial.id] = losses
            self.fronts[rung].add(FrontPoint(trial.id, trial.fingerprint, losses, dict(values)))

    def _pending(self, row: ProposalRow) -> Trial:
        """Returns a recorded proposal as a strategy sees it while it is pending.

        Every traversal of a space and every row that is read makes its paths anew; all trials share one object of each, since the
        paths would take twice as much memory as everything else.
        """
        word = self._words.setdefault
        genotype = {word(path, path): word(value, value) if type(value) is str else value for path, value in row.genotype.items()}
        return Trial(
            id=row.id,
            genotype=genotype,
            fingerprint=row.fingerprint,
            repeat=row.repeat_of is not None,
            parents=row.parents,
            operator=word(row.operator, row.operator),
            notes=row.notes or _NOTHING,
            inherit_from=row.inherit_from,
            importances=_NOTHING,
        )

    def _close(self, trial: Trial, end: Trial) -> int:
        """Takes in a finished trial; what another one was evaluated for ends as that one did."""
        ended = end if trial is end else replace(trial, outcome=end.outcome, losses=end.losses, importances=end.importances)
        self.finished.append(ended)
        return len(self.finished) - 1


def replay(
    objectives: Sequence[Objective],
    proposals: Sequence[ProposalRow],
    evaluations: Sequence[EvaluationRow],
    costs: Mapping[str, Mapping[str, float]],
    rungs: Sequence[int] = (1,),
    promotions: Sequence[PromotionRow] = (),
) -> Ledger:
    """Returns the ledger as it stood when the last row was committed; see `replay_steps` for the arguments."""
    ledger = Ledger(objectives, rungs)
    for _ in replay_steps(ledger, proposals, evaluations, costs):
        pass
    climbs = {(row.proposal, row.from_epoch): Promotion(row.proposal, row.from_epoch, row.to_epoch) for row in promotions}
    for row in evaluations:
        if row.from_epoch:
            values = {**costs[row.fingerprint], **row.measurement.metrics}
            promotion = climbs[row.proposal, row.from_epoch]
            ledger.end_promoted(promotion, row.measurement.outcome, values, row.to_epoch - row.from_epoch)
    if len(rungs) > 1:  # the order in which networks arrived and went on counts, over all rungs
        ledger.ladder = climbed(objectives, evaluations, costs, rungs, promotions)
    return ledger


def climbed(
    objectives: Sequence[Objective],
    evaluations: Sequence[EvaluationRow],
    costs: Mapping[str, Mapping[str, float]],
    rungs: Sequence[int],
    promotions: Iterable[PromotionRow],
    on_promotion: Callable[[Ladder, Promotion], None] = lambda ladder, promotion: None,
) -> Ladder:
    """Returns the ladder after all arrivals and promotions of a record, in their order.

    Args:
        objectives: What is ranked.
        evaluations: Training segments in the order in which they ended.
        costs: Exact costs by fingerprint.
        rungs: In epochs, rising.
        promotions: In the order in which they were decided.
        on_promotion: Told of each before it is taken in.
    """
    ladder, upcoming = Ladder(rungs, [objective.exact for objective in objectives]), deque(promotions)

    def promote(until: int) -> None:
        while upcoming and upcoming[0].seen <= until:
            row = upcoming.popleft()
            promotion = Promotion(row.proposal, row.from_epoch, row.to_epoch)
            on_promotion(ladder, promotion)
            ladder.promote(promotion)

    for number, row in enumerate(evaluations):
        promote(number)
        losses = losses_of(objectives, {**costs[row.fingerprint], **row.measurement.metrics}, row.measurement.outcome)
        ladder.measured(row.proposal, rungs[bisect_right(rungs, row.from_epoch)], losses)
    promote(len(evaluations))
    return ladder


def replay_steps(
    ledger: Ledger,
    proposals: Sequence[ProposalRow],
    evaluations: Iterable[EvaluationRow],
    costs: Mapping[str, Mapping[str, float]],
) -> Iterator[ProposalRow]:
    """Replays a record into an empty ledger; before each proposal is taken in, it is yielded with what it had seen in place.

    Args:
        ledger: Empty; filled as far as the caller goes on.
        proposals: By number.
        evaluations: Training segments in the order in which they ended; the first of each proposal counts alone.
        costs: Exact costs by fingerprint.
    """
    segments = {row.proposal: row for row in evaluations if not row.from_epoch}
    ends = iter(sorted((p.finished, p.id) for p in proposals if p.finished is not None and p.id in segments))
    upcoming = next(ends, None)

    def end_before(place: int) -> None:
        nonlocal upcoming
        while upcoming is not None and upcoming[0] < place:
            row = segments[upcoming[1]]
            values = {**costs[row.fingerprint], **row.measurement.metrics}
            ledger.end(upcoming[1], row.measurement.outcome, values, row.to_epoch, row.measurement.importances)
            upcoming = next(ends, None)

    for proposal in proposals:
        end_before(proposal.seen)
        yield proposal
        ledger.propose(proposal)
    end_before(len(proposals) + 1)
