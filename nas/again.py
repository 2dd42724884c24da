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
    """

    kind: Literal["seeds", "folds"]
    proposals: tuple[int, ...]
    rounds: tuple[Key, ...]
    images: tuple[int, ...]
    segments: int


def plan_from_json(stored: Mapping[str, Any]) -> Plan:
    """Returns a plan from what `dataclasses.asdict` and JSON made of it."""
    rounds = tuple((int(seed), str(data)) for seed, data in stored["rounds"])
    return Plan(stored["kind"], tuple(stored["proposals"]), rounds, tuple(stored["images"]), stored["segments"])


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
        """Returns the segments of the search of those networks that have a mean, which stands in the last of each."""
        kept = [row for row in rows if row.proposal in self.results]
        last = {row.proposal: max(own.to_epoch for own in kept if own.proposal == row.proposal) for row in kept}
        return [
            replace(row, measurement=replace(row.measurement, metrics=self.means(row.proposal)))
            if row.to_epoch == last[row.proposal]
            else row
            for row in kept
        ]

    def noise(self, metric: str) -> Noise | None:
        """Returns how far trainings lie apart in a metric that is a share of the images; None where that is not known."""
        folds = len(self.plan.rounds) if self.plan.kind == "folds" else 0
        images = sum(self.plan.images[: self.rounds]) if folds else self.plan.images[0]
        shares = [
            [one.metrics[metric] for one in own] for own in self.results.values() if all(metric in one.metrics for one in own)
        ]
        return measured_noise(shares, images, folds=folds)


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
    ended = {(row.proposal, row.seed, row.data): row for row in again if (row.proposal, row.seed, row.data) in wanted}
    per_round = Counter((seed, data) for _, seed, data in ended)
    rounds = next((i for i, key in enumerate(plan.rounds) if per_round[key] < len(plan.proposals)), len(plan.rounds))
    results = {} if plan.segments != len(own) or not rounds else _results(plan, rounds, own, ended)
    return Again(plan, tuple(ended.values()), rounds if results else 0, results)


def _results(
    plan: Plan, rounds: int, own: Sequence[EvaluationRow], ended: Mapping[tuple[int, int, str], EvaluationRow]
) -> dict[int, tuple[Measurement, ...]]:
    """Returns the trainings of each network that has a mean."""
    found = {}
    for proposal in plan.proposals:
        first = max((row for row in own if row.proposal == proposal), key=lambda row: row.to_epoch)
        trainings = [ended[proposal, seed, data].measurement for seed, data in plan.rounds[:rounds]]
        if plan.kind == "seeds":
            trainings.insert(0, first.measurement)
        if all(one.outcome.measured for one in trainings):
            found[proposal] = tuple(trainings)
    return found
