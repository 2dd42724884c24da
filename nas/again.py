"""What was trained again: which networks, how often, and what their trainings say together. Rows in, values out.

Trainings with other seeds or on other folds stand in the record as evaluations whose seed and data differ from those of the
search. They end in rounds: every chosen network with the next seed, or on the next fold, and so on. A round counts once all of it
has ended, so that means over equally many trainings, on the same images, are compared. Seeds are averaged with the training by
which the search chose; folds are not, since that one was measured on other images. A network of which one training failed has no
mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Literal

from nas.measurement import Measurement
from nas.noise import Noise, measured_noise
from nas.rows import EvaluationRow

Key = tuple[int, str]
"""Seed of a training, and digest of its data with their split."""


@dataclass(frozen=True)
class Plan:
    """Which networks are trained again, and how.

    Attributes:
        kind: With other seeds, or on other folds.
        proposals: Numbers of the proposals, the front first.
        rounds: Seed and data of each round.
        images: Validation images of each round.
        segments: Training segments of the search when this was decided; where there are more now, it has to be decided anew.
        epochs: Of each training; those of the search that were as long stand beside them.
    """

    kind: Literal["seeds", "folds"]
    proposals: tuple[int, ...]
    rounds: tuple[Key, ...]
    images: tuple[int, ...]
    segments: int
    epochs: int

    def first(self, own: Iterable[EvaluationRow], proposal: int) -> EvaluationRow | None:
        """Returns the training of a network by which the search chose it; None where it was measured after no so many epochs.

        Args:
            own: Segments of the search.
            proposal: Its number.
        """
        return next((row for row in own if row.proposal == proposal and counts(row, self.epochs)), None)


def counts(row: EvaluationRow, epochs: int) -> bool:
    """Returns whether a training stands for one of so many epochs: it was measured after them."""
    return row.measurement.outcome.measured and row.to_epoch == epochs


def settled(row: EvaluationRow, epochs: int) -> bool:
    """Returns whether a training need not be done again for so many epochs: it counts, or failed, as it would again."""
    return counts(row, epochs) or not row.measurement.outcome.measured


def plan_from_json(stored: Mapping[str, Any], top: int) -> Plan:
    """Returns a plan from what `dataclasses.asdict` and JSON made of it; one without epochs had `top` of them."""
    rounds = tuple((int(seed), str(data)) for seed, data in stored["rounds"])
    images, epochs = tuple(stored["images"]), stored.get("epochs", top)
    return Plan(stored["kind"], tuple(stored["proposals"]), rounds, images, stored["segments"], epochs)


@dataclass(frozen=True)
class Again:
    """What came of a plan so far.

    Attributes:
        plan: As it was carried out.
        ended: Every training of it that ended.
        rounds: How many rounds are complete; 0 where the search has gone on since.
        results: Of each network that has a mean, by number of its proposal: the trainings it is of.
    """

    plan: Plan
    ended: tuple[EvaluationRow, ...]
    rounds: int
    results: Mapping[int, tuple[Measurement, ...]]

    @property
    def trainings(self) -> int:
        """How many trainings a mean is of; 0 where there is none."""
        return 0 if not self.results else self.rounds + (self.plan.kind == "seeds")

    @property
    def planned(self) -> int:
        """How many trainings the plan has."""
        return len(self.plan.proposals) * len(self.plan.rounds)

    def means(self, proposal: int) -> dict[str, float]:
        """Returns the means of the metrics that all trainings of a network have."""
        own = self.results[proposal]
        return {
            name: fmean([one.metrics[name] for one in own]) for name in own[0].metrics if all(name in one.metrics for one in own)
        }

    def merged(self, rows: Iterable[EvaluationRow]) -> list[EvaluationRow]:
        """Returns the segments of the search of those networks that have a mean, which stands in the one of the plan's epochs."""
        return [
            replace(row, measurement=replace(row.measurement, metrics=self.means(row.proposal)))
            if counts(row, self.plan.epochs)
            else row
            for row in rows
            if row.proposal in self.results
        ]

    def noise(self, metric: str) -> Noise | None:
        """Returns how far trainings lie apart in a metric that is a share of the images; None where that is not known.

        The training by which the search chose a network lies higher than others for that reason, so it says nothing of the spread
        where two more do.
        """
        folds = len(self.plan.rounds) if self.plan.kind == "folds" else 0
        images = sum(self.plan.images[: self.rounds]) if folds else self.plan.images[0]
        chosen_by = 1 if self.plan.kind == "seeds" and self.rounds > 1 else 0
        shares = [
            [one.metrics[metric] for one in own[chosen_by:]]
            for own in self.results.values()
            if all(metric in one.metrics for one in own)
        ]
        return measured_noise(shares, images, folds=folds, trainings=self.trainings)


def parted(rows: Iterable[EvaluationRow]) -> tuple[list[EvaluationRow], list[EvaluationRow]]:
    """Returns the training segments of the search itself, and those of networks that were trained again.

    Args:
        rows: In the order in which they ended. The first one is of the search: only what it found is trained again.
    """
    own: list[EvaluationRow] = []
    again: list[EvaluationRow] = []
    for row in rows:
        is_own = not own or (row.seed, row.data) == (own[0].seed, own[0].data)
        (own if is_own else again).append(row)
    return own, again


def gathered(plan: Plan | None, own: Sequence[EvaluationRow], again: Iterable[EvaluationRow]) -> Again | None:
    """Returns what came of a plan; None without one.

    Args:
        plan: The latest one.
        own: Segments of the search.
        again: All others.
    """
    if plan is None:
        return None
    wanted = {(proposal, *key) for proposal in plan.proposals for key in plan.rounds}
    ended = {
        (row.proposal, row.seed, row.data): row
        for row in again
        if (row.proposal, row.seed, row.data) in wanted and settled(row, plan.epochs)
    }
    per_round = Counter((seed, data) for _, seed, data in ended)
    rounds = next((i for i, key in enumerate(plan.rounds) if per_round[key] < len(plan.proposals)), len(plan.rounds))
    fewest = 2 if plan.kind == "folds" else 1  # one fold alone is no mean, and other images than the search measured on
    results = {} if plan.segments != len(own) or rounds < fewest else _results(plan, rounds, own, ended)
    return Again(plan, tuple(ended.values()), rounds if results else 0, results)


def _results(
    plan: Plan, rounds: int, own: Sequence[EvaluationRow], ended: Mapping[tuple[int, int, str], EvaluationRow]
) -> dict[int, tuple[Measurement, ...]]:
    """Returns the trainings of each network that has a mean."""
    found = {}
    for proposal in plan.proposals:
        trainings = [ended[proposal, seed, data].measurement for seed, data in plan.rounds[:rounds]]
        first = plan.first(own, proposal)
        if plan.kind == "seeds" and first is not None:
            trainings.insert(0, first.measurement)
        if first is not None and all(one.outcome.measured for one in trainings):
            found[proposal] = tuple(trainings)
    return found
