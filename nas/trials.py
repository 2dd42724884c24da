"""Proposals and training segments as rows of a table, one a network, accuracies with their intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nas.intervals import indistinguishable, interval_metric, wilson
from nas.ledger import losses_of
from nas.measurement import Measurement, Outcome
from nas.noise import Noise
from nas.objectives import Objective
from nas.rows import BaselineRow, EvaluationRow, ProposalRow

if TYPE_CHECKING:
    import pandas

SHORTEST_ID = 7
MEASURED = tuple(str(outcome) for outcome in Outcome if outcome.measured)
"""Outcomes of networks that may be ranked."""


def short_ids(fingerprints: Iterable[str]) -> dict[str, str]:
    """Returns for each fingerprint its shortest beginning, of at least 7 characters, that no other one shares."""
    ordered = sorted(set(fingerprints))
    shared = [0, *(_shared(a, b) for a, b in pairwise(ordered)), 0]
    return {key: key[: max(SHORTEST_ID, shared[i] + 1, shared[i + 1] + 1)] for i, key in enumerate(ordered)}


def _shared(a: str, b: str) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def trial_rows(
    objectives: Sequence[Objective],
    proposals: Sequence[ProposalRow],
    evaluations: Sequence[EvaluationRow],
    costs: Mapping[str, Mapping[str, float]],
    epochs: int | None = None,
) -> list[dict[str, Any]]:
    """Returns one row a network, in the order in which they were first proposed.

    Args:
        objectives: What is ranked.
        proposals: By number.
        evaluations: Training segments.
        costs: Exact costs by fingerprint.
        epochs: The rung at which the networks stand, those alone that were measured there; None: each at its deepest segment.
    """
    if epochs is not None:
        evaluations = measured_at(evaluations, epochs)
    of_network: dict[str, list[EvaluationRow]] = {}
    for evaluation in evaluations:
        of_network.setdefault(evaluation.fingerprint, []).append(evaluation)
    times = Counter(row.fingerprint for row in proposals)
    ids = short_ids(costs)
    rows = []
    for fingerprint, segments in sorted(of_network.items(), key=lambda item: item[1][0].proposal):
        best = deepest(objectives, segments, costs[fingerprint])
        assert best is not None
        proposal, result = proposals[best.proposal], best.measurement
        own = [row.measurement for row in segments if row.proposal == best.proposal]
        rows.append(
            {
                "id": ids[fingerprint],
                "outcome": str(result.outcome),
                **costs[fingerprint],
                **result.metrics,
                **_lineage(proposals, segments, ids),
                "epochs": best.to_epoch,
                "seconds": sum(row.measurement.seconds for row in segments),
                "proposals": times[fingerprint],
                "operator": proposal.operator,
                "parents": tuple(ids[proposals[parent].fingerprint] for parent in proposal.parents),
                "genotype": proposal.genotype,
                "error": own[-1].error,
                "fingerprint": fingerprint,
            }
        )
    return rows


def _lineage(proposals: Sequence[ProposalRow], segments: Sequence[EvaluationRow], ids: Mapping[str, str]) -> dict[str, float | str]:
    """Returns whose weights a network began with, and which share of its values that was; empty where it was to begin anew."""
    for row in segments:
        parent = proposals[row.proposal].inherit_from
        if row.measurement.inherited is not None and parent is not None:
            return {"inherited": row.measurement.inherited, "inherited_from": ids[proposals[parent].fingerprint]}
    return {}


def with_curve(segment: EvaluationRow, evaluations: Sequence[EvaluationRow]) -> Measurement:
    """Returns what a segment measured, with the curve of all the epochs that led to it."""
    way = [row.measurement for row in evaluations if row.proposal == segment.proposal and row.to_epoch <= segment.to_epoch]
    return replace(segment.measurement, curve=tuple(entry for measurement in way for entry in measurement.curve))


def measured_at(evaluations: Sequence[EvaluationRow], epochs: int) -> list[EvaluationRow]:
    """Returns the segments of those proposals that were measured after so many epochs, up to these epochs."""
    there = {row.proposal for row in evaluations if row.to_epoch == epochs and row.measurement.outcome.measured}
    return [row for row in evaluations if row.to_epoch <= epochs and row.proposal in there]


def baseline_rows(baselines: Iterable[BaselineRow], costs: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Returns one row a baseline, in the order in which they ended."""
    ids = short_ids(costs)
    return [
        {
            "name": row.name,
            "id": ids[row.fingerprint],
            "outcome": str(row.measurement.outcome),
            **costs[row.fingerprint],
            **row.measurement.metrics,
            "epochs": row.measurement.epochs,
            "seconds": row.measurement.seconds,
            "error": row.measurement.error,
            "fingerprint": row.fingerprint,
        }
        for row in baselines
    ]


def deepest(objectives: Sequence[Objective], segments: Sequence[EvaluationRow], costs: Mapping[str, float]) -> EvaluationRow | None:
    """Returns the segment that stands for a network: measured before failed, then the deepest, then the best."""

    def order(row: EvaluationRow) -> tuple[bool, int, tuple[float, ...]]:
        losses = losses_of(objectives, {**costs, **row.measurement.metrics}, row.measurement.outcome)
        return losses is None, -row.to_epoch, losses or ()

    return min(segments, key=order, default=None)


_LAST = ("epochs", "seconds", "proposals", "operator", "parents", "genotype", "error", "fingerprint")


def columns(objectives: Sequence[str], rows: Sequence[Mapping[str, Any]], last: Sequence[str] = _LAST) -> list[str]:
    """Returns the order of a table's columns: what identifies and ranks first, what is long (`last`) last."""
    found = dict.fromkeys(name for row in rows for name in row)
    return list(dict.fromkeys(["id", *objectives, "outcome", *(name for name in found if name not in last), *last]))


def losses_of_table(objectives: Sequence[Objective], table: pandas.DataFrame) -> list[tuple[float, ...] | None]:
    """Returns one tuple of losses a row, None where an objective was not measured."""
    columns = [[float(value) for value in table[objective.name]] for objective in objectives]
    measured = table["outcome"].isin(MEASURED)
    return [
        tuple(objective.loss(value) for objective, value in zip(objectives, row, strict=True)) if ok else None
        for ok, row in zip(measured, zip(*columns, strict=True), strict=True)
    ]


def with_bounds(table: pandas.DataFrame, images: int, noise: Noise | None = None) -> pandas.DataFrame:
    """Returns a table with the 95 % interval of the accuracy beside it; NaN where nothing was measured.

    Args:
        table: Changed in place.
        images: How many an accuracy stands on; 0: there is no interval.
        noise: Of trainings, where accuracies are means over several; None: they are not.
    """
    metric = interval_metric(table.columns)
    if not images or metric is None:
        return table
    shares = [float(share) for share in table[metric]]
    interval = noise.interval if noise else partial(wilson, n=images)
    bounds = [interval(share) if share == share else (share, share) for share in shares]
    place = table.columns.get_loc(metric)
    assert isinstance(place, int)
    table.insert(place + 1, f"{metric}_low", [low for low, _ in bounds])
    table.insert(place + 2, f"{metric}_high", [high for _, high in bounds])
    return table


def with_intervals(front: pandas.DataFrame, images: int, noise: Noise | None = None) -> pandas.DataFrame:
    """Returns a front with the bounds of `with_bounds`, and whether each row can be told apart from the one before.

    Args:
        front: Changed in place.
        images: How many an accuracy stands on; 0: there is no interval.
        noise: Of trainings, where accuracies are means over several; None: they are not.
    """
    front = with_bounds(front, images, noise)
    metric = interval_metric(front.columns)
    if metric is not None and f"{metric}_low" in front.columns:
        shares = [float(share) for share in front[metric]]
        tied = noise.indistinguishable if noise else partial(indistinguishable, n=images)
        same = [False, *(tied(a, b) for a, b in pairwise(shares))]
        place = front.columns.get_loc(f"{metric}_high")
        assert isinstance(place, int)
        front.insert(place + 1, "same_as_previous", same[: len(front)])
    return front
