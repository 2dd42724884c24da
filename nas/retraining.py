"""Trains networks near the front again, with other seeds or on other folds, when a search has come to its end.

A search picks what measured best, which is luck in part; a second training of the same network has none of it. No strategy sees
these trainings: the search proposes what it would propose without them, and leaves at most `SHARE` of a budget of time or epochs
for them. They come in rounds (`nas.again`); a round that does not fit into what is left is not begun. What was in flight when a
search was killed is trained by the next start, nothing else twice. This module knows no torch.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nas.again import Plan, settled
from nas.events import Event, TrainedAgain, TrainsAgain
from nas.intervals import interval_metric, wilson
from nas.jobs import TOUCH_SECONDS, checked, revived
from nas.measurement import Measurement, Outcome
from nas.nearby import near_front
from nas.parallel import train_each
from nas.rows import EvaluationRow

if TYPE_CHECKING:
    from nas.budget import Budget
    from nas.data import Dataset
    from nas.evaluators.base import Evaluator, Request
    from nas.jobs import Job, Training
    from nas.journal import Journal
    from nas.problem import Problem
    from nas.record import Record

SHARE = 0.25
"""Of a budget of time or epochs, what a search leaves at most to train networks again."""

FOLD = "fold"
"""Folder in the run folder with the images of the fold that is being trained on; it is deleted behind it."""

_HEIRS = "began with the weights of others, and from nothing they cannot be trained alike"

Item = tuple[int, int]
"""Which round, and the number of the proposal."""


@dataclass(frozen=True)
class Wanted:
    """How networks near the front are trained again.

    Attributes:
        seeds: How many seeds there are, that of the search included; 1: no others.
        folds: Into how many folds training and validation images are cut; 0: none.
        dataset: What is cut into folds.
        images: How many validation images an accuracy of the search stands on; 0: not known, then the front alone is trained again.
    """

    seeds: int = 1
    folds: int = 0
    dataset: Dataset | None = None
    images: int = 0

    def __bool__(self) -> bool:
        return self.seeds > 1 or self.folds > 0

    def rounds(self, training: Training) -> tuple[tuple[tuple[int, str], ...], tuple[int, ...]]:
        """Returns seed and digest of the data of each round, and its validation images."""
        if not self.folds:
            return tuple((training.seed + i, training.data) for i in range(1, self.seeds)), (self.images,) * (self.seeds - 1)
        from nas.data.views import fold_name, folds_of, view_digest

        assert self.dataset is not None
        numbers = folds_of(self.dataset, self.folds, seed=training.seed)
        names = [fold_name(i, self.folds, training.seed) for i in range(self.folds)]
        keys = tuple((training.seed + 1 + i, view_digest(self.dataset, name)[:16]) for i, name in enumerate(names))
        return keys, tuple(int((numbers == i).sum()) for i in range(self.folds))


@dataclass
class Retraining:
    """What is trained again in one search.

    Attributes:
        wanted: As it was asked for.
        problem: What is searched.
        evaluator: Who trains; it has nothing else in flight when `run` is called.
        record: Where the trainings are kept.
        training: What all evaluations of the run have in common.
        journal: Of the search.
        budget: Of the search, in totals.
        stopped: Asked often; a reason ends this at once.
    """

    wanted: Wanted
    problem: Problem
    evaluator: Evaluator
    record: Record
    training: Training
    journal: Journal
    budget: Budget
    stopped: Callable[[], str]

    def __post_init__(self) -> None:
        self._rounds, self._images = self.wanted.rounds(self.training)
        self._folders: dict[int, Path] = {}
        self._near: tuple[int, list[int]] = (-1, [])  # and of how many segments
        self._reserved: tuple[tuple[int, int], tuple[int, float]] = ((-1, -1), (0, 0.0))  # of how many segments and trainings
        self._ended = {(row.proposal, row.seed, row.data): row for row in self.record.again()}

    def near(self) -> list[int]:
        """Returns the proposals whose networks are on the front or may belong there, the front first."""
        if self._near[0] != self.journal.ledger.segments:
            self._near = self.journal.ledger.segments, self._near_now()
        return self._near[1]

    def _near_now(self) -> list[int]:
        ledger = self.journal.ledger
        measured = ledger.measured()
        names = [objective.name for objective in ledger.objectives]
        metric = interval_metric(names) if self.wanted.images else None
        noisy = None if metric is None else names.index(metric)
        numbers, losses = list(measured), list(measured.values())
        reach = [] if noisy is None else [wilson(-own[noisy], self.wanted.images)[1] + own[noisy] for own in losses]
        return [numbers[place] for place in near_front(losses, noisy, reach)]

    def reserved(self) -> tuple[int, float]:
        """Returns the epochs and seconds that the search leaves: for as many rounds as fit into `SHARE` of the budget."""
        state = self.journal.ledger.segments, len(self._ended)
        if self._reserved[0] != state:
            self._reserved = state, self._reserved_now()
        return self._reserved[1]

    def _reserved_now(self) -> tuple[int, float]:
        if self._heirs(self.near()):
            return 0, 0.0
        found, left, total, limit = (0, 0.0), list(self._left(self.near())), self.budget.epochs_total, self.budget.seconds
        for place in range(len(self._rounds)):
            items = [item for item in left if item[0] <= place]
            epochs = len(items) * self.journal.ledger.top
            seconds = self._seconds(items) + self._longest(items)  # what is in flight then has to end first
            if (total is not None and epochs > SHARE * total) or (limit is not None and seconds > SHARE * limit):
                break
            found = epochs, seconds
        return found

    def _heirs(self, near: list[int]) -> int:
        evaluated = self.journal.ledger.evaluated
        return sum((trial := evaluated(number)) is not None and trial.inherit_from is not None for number in near)

    def run(self) -> None:
        """Trains what is near the front again, as far as the budget allows.

        Raises:
            RunError: When a network is refused now, or has become another one.
        """
        near = self.near()
        if not near or self.stopped():
            return
        if heirs := self._heirs(near):
            self._tell(TrainsAgain(len(near), 0, self.wanted.seeds, self.wanted.folds, f"{heirs} of them {_HEIRS}"))
            return
        kind: Literal["seeds", "folds"] = "folds" if self.wanted.folds else "seeds"
        ledger = self.journal.ledger
        self.record.note_plan(Plan(kind, tuple(near), self._rounds, self._images, ledger.segments, ledger.top))
        self.record.commit()
        chosen, why_not = self._fitting(list(self._left(near)), len(near))
        self._tell(TrainsAgain(len(near), len(chosen), self.wanted.seeds, self.wanted.folds, why_not))
        wanted = {number for _, number in chosen}
        jobs = {
            number: revived(self.record.proposal(number), self.problem, self.journal.folder, resumed=False) for number in wanted
        }
        try:
            train_each(
                chosen,
                lambda item: self._request(item, jobs[item[1]]),
                self.evaluator,
                began=self._began,
                ended=lambda item, measurement: self._end(item, jobs[item[1]], measurement, len(near)),
                stopped=self.stopped,
                waited=lambda: self.journal.commit_if_due(TOUCH_SECONDS),
            )
        finally:
            if not self.stopped():
                shutil.rmtree(self.journal.folder / FOLD, ignore_errors=True)
        self.record.note_again(())
        self.record.commit()

    def _left(self, near: list[int]) -> Iterator[Item]:
        """Yields what was not trained yet, round by round."""
        for place, key in enumerate(self._rounds):
            yield from ((place, number) for number in near if not self._is_done(number, key))

    def _is_done(self, number: int, key: tuple[int, str]) -> bool:
        """Returns whether a network was trained so, for as many epochs as count now."""
        row = self._ended.get((number, *key))
        return row is not None and settled(row, self.journal.ledger.top)

    def _seconds(self, items: list[Item]) -> float:
        """Returns how long trainings will take, each as long as that of the search did."""
        together = sum(self.journal.seconds.get(number, 0.0) for _, number in items)
        return max(together / max(1, self.evaluator.slots), self._longest(items))

    def _longest(self, items: list[Item]) -> float:
        return max((self.journal.seconds.get(number, 0.0) for _, number in items), default=0.0)

    def _fitting(self, left: list[Item], networks: int) -> tuple[list[Item], str]:
        """Returns the items of the rounds that fit into what is left of the budget, and why the others are not begun."""
        chosen: list[Item] = []
        for place in range(len(self._rounds)):
            more = [*chosen, *(item for item in left if item[0] == place)]
            epochs = self.journal.ledger.epochs + len(more) * self.journal.ledger.top
            if self.budget.epochs_total is not None and epochs > self.budget.epochs_total:
                return chosen, f"the epochs left suffice for {place} of {len(self._rounds)} rounds of {networks}"
            if self.budget.seconds is not None and self.journal.elapsed + self._seconds(more) > self.budget.seconds and more:
                return chosen, f"the time left suffices for {place} of {len(self._rounds)} rounds of {networks}"
            chosen = more
        return chosen, ""

    def _request(self, item: Item, job: Job) -> Request | None:
        """Returns what the evaluator is asked; None where the time is over."""
        if self.budget.seconds is not None and self.journal.elapsed >= self.budget.seconds:
            return None
        training, candidate = self.training, job.candidate
        recipe = training.recipe_of(candidate)
        asked = training.request(job.row.fingerprint, candidate.architecture, candidate.source, candidate.costs, recipe)
        data = self._fold(item[0]) if self.wanted.folds else None
        return replace(asked, seed=self._rounds[item[0]][0], last_epoch=self.journal.ledger.top, data=data)

    def _fold(self, number: int) -> Path:
        """Returns the folder with the images of a fold."""
        from nas.data import fold

        assert self.wanted.dataset is not None
        if number not in self._folders:
            folder = self.journal.folder / FOLD / str(number)
            self._folders[number] = fold(self.wanted.dataset, folder, number, self.wanted.folds, seed=self.training.seed).folder
        return self._folders[number]

    def _began(self, running: list[Item]) -> None:
        """Notes what is in flight, and deletes the folds that are done with."""
        for number in [number for number in self._folders if number < min(place for place, _ in running)]:
            shutil.rmtree(self._folders.pop(number), ignore_errors=True)
        self.record.note_again((number, *self._rounds[place]) for place, number in running)
        self.record.commit()

    def _end(self, item: Item, job: Job, measurement: Measurement, networks: int) -> None:
        """Writes a training down, and tells of it."""
        ledger, costs = self.journal.ledger, job.candidate.costs
        measurement = checked(measurement, self.training, ledger.top, costs, ledger.objectives, first=False)
        self._keep(item[1], self._rounds[item[0]], job.row.fingerprint, job.row.recipe, measurement)
        done = sum(self._is_done(number, key) for number in self.near() for key in self._rounds)
        self._tell(
            TrainedAgain(
                trial=item[1],
                fingerprint=job.row.fingerprint,
                outcome=measurement.outcome,
                values={**costs, **measurement.metrics},
                what=f"fold {item[0] + 1}" if self.wanted.folds else f"seed {self._rounds[item[0]][0]}",
                epochs=max(measurement.epochs, 0),
                error=measurement.error,
                done=done,
                planned=networks * len(self._rounds),
                elapsed=self.journal.elapsed,
                objectives=tuple(objective.name for objective in ledger.objectives),
            )
        )

    def _keep(self, number: int, key: tuple[int, str], fingerprint: str, recipe: str, measurement: Measurement) -> None:
        seed, data = key
        epochs = max(measurement.epochs, 0)
        row = EvaluationRow(number, fingerprint, recipe, data, seed, 0, epochs, replace(measurement, checkpoint=""), time.time())
        self.record.add_evaluation(row)
        self.record.commit()
        self._ended[number, seed, data] = row
        self.journal.ledger.epochs += epochs

    def suspect(self) -> None:
        """Ends what brought this process down when it was in flight, so that the others can be trained; forgets what was."""
        for number, seed, data in sorted(self.record.again_in_flight()):
            if not self._is_done(number, (seed, data)):
                row = self.record.proposal(number)
                error = "this process broke down while it was trained again"
                self._keep(number, (seed, data), row.fingerprint, row.recipe, Measurement(Outcome.CRASHED, error=error))
        self.record.note_again(())
        self.record.commit()

    def _tell(self, event: Event) -> None:
        self.journal.on_event(event)
