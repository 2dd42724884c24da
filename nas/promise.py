"""How promising untrained networks are by their scores, at equal cost, and what that was worth so far. Arrays in, numbers out.

* **The promise** of a network is its mean rank over its scores, among all networks that were scored in the run. One that has not
  all of the scores is ranked by those it has. `params` and `depth` are scores as well: there is nothing cheaper, and with accuracy
  as the only objective hardly anything better.
* **At equal cost.** Every score grows with the size of a network, and so does accuracy: the most promising one of ten would mostly
  be the largest of ten, and a search for a Pareto front would no longer look at small networks. Yet costs are exact before
  training and are no news. So the promise is the share of the networks of similar cost (the fifth that is nearest by the ranks of
  the exact objectives) that have a lower mean rank, after a straight line of those ranks is taken off. Among candidates of any
  costs each cost is then as likely to have the most promising one. Where every objective is measured, the mean rank itself counts:
  then larger may just be better.
* **The worth** of a score is Kendall's correlation with the accuracies measured, and that at equal cost: the partial correlation
  of the score, less a quadratic polynomial of the exact objectives' ranks, given these. That of the promise is of what was promised
  before the network was trained, so it is no hindsight.
* **What does not rank is left out**: a score whose correlation at equal cost is not above 0. That is asked at `ENOUGH` measured
  networks of which something was promised, at twice as many, and so on: asked at each, a score that ranks a little would fall below
  0 at one of them by chance.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.correlation import Agreement, kendall
from nas.objectives import Objective
from nas.rows import EvaluationRow, Scored, ScreeningRow

Floats = NDArray[np.float64]

EXACT = ("params", "depth")
"""Exact costs that are scores."""
MEAN = "mean rank"
"""What the promise of a network is called beside its scores."""
ENOUGH = 20
"""Measured networks, of which something was promised, from which on scores are judged."""

_NEIGHBOURS = 10  # networks that one is compared with, at least,
_NEIGHBOURHOOD = 5  # and one in so many of all
_ROWS = 3  # networks for each coefficient of a polynomial, at least


@dataclass(frozen=True)
class Worth:
    """What a score said of the accuracies measured.

    Attributes:
        name: Of the score; `MEAN` for the promise, which decides.
        plain: How far it ranks as accuracy does; None while that cannot be said.
        equal_cost: Likewise among networks of equal cost; the same where no objective is exact.
        networks: How many measured networks have the score.
    """

    name: str
    plain: Agreement | None
    equal_cost: Agreement | None
    networks: int


def promises(candidates: Sequence[Scored], left_out: Collection[str] = (), wanted: Collection[str] | None = None) -> Floats | None:
    """Returns how promising each candidate is at equal cost, `(n,)`, NaN where it has no score but `EXACT` ones.

    Args:
        candidates: Each network once.
        left_out: Scores that do not count.
        wanted: Fingerprints of those whose promise is asked for, NaN stands for the others; None: all.

    Returns:
        None while there are too few to tell what costs explain.
    """
    ranks = {name: _ranks(candidates, name) for name in score_names(candidates) if name not in left_out}
    looked_at = [any(name not in (*EXACT, MEAN) for name in candidate.scores) for candidate in candidates]
    mean = np.where(looked_at, _mean(ranks, len(candidates)), np.nan)
    places = [i for i, candidate in enumerate(candidates) if wanted is None or candidate.fingerprint in wanted]
    costs = [candidate.costs for candidate in candidates]
    left = _unexplained(mean, costs)
    if left is None or costs[0]:
        return None if left is None else _among_neighbours(mean, costs, places)
    left[np.setdiff1d(np.arange(len(left)), places)] = np.nan
    return left


def worths(trained: Sequence[Scored], accuracies: Sequence[float], scored: Sequence[Scored]) -> list[Worth]:
    """Returns the worth of each score, and of the promise, which comes last.

    Args:
        trained: Networks whose accuracy was measured, after equally many epochs, with what was promised of them.
        accuracies: Of each, larger is better.
        scored: All networks that were scored, each once, the trained ones included.
    """
    place = {candidate.fingerprint: i for i, candidate in enumerate(scored)}
    at = [place[candidate.fingerprint] for candidate in trained]
    costs = [candidate.costs for candidate in scored]
    axes = list(zip(*[candidate.costs for candidate in trained], strict=True))
    found = []
    for name in score_names(scored):
        ranks = _ranks(scored, name)
        left = _unexplained(ranks, costs)
        equal_cost = None if left is None else _agreement(left[at], accuracies, axes)
        found.append(Worth(name, _agreement(ranks[at], accuracies), equal_cost, int(np.isfinite(ranks[at]).sum())))
    promised = np.array([candidate.scores.get(MEAN, np.nan) for candidate in trained])
    both = _agreement(promised, accuracies), _agreement(promised, accuracies, axes)
    return [*found, Worth(MEAN, *both, int(np.isfinite(promised).sum()))]


def _among_neighbours(values: Floats, costs: Sequence[Sequence[float]], places: Sequence[int]) -> Floats:
    """Returns the share of those of similar cost that have less left, ties halved, after a straight line of their costs' ranks.

    The line is fitted to these neighbours alone, so that the cheapest and the dearest are not judged by what holds in between.
    """
    known = np.flatnonzero(np.isfinite(values))
    axes = np.stack([_ranked(axis) for axis in np.array(costs, dtype=np.float64)[known].T], axis=1)  # (k, e)
    size = min(len(known), max(_NEIGHBOURS, len(known) // _NEIGHBOURHOOD))
    found = np.full(len(values), np.nan)
    for i in set(places).intersection(known.tolist()):
        at = int(np.searchsorted(known, i))
        distance = np.abs(axes - axes[at]).max(axis=1)
        near = np.flatnonzero(distance <= np.partition(distance, size - 1)[size - 1])
        terms = np.concatenate([np.ones((len(near), 1)), axes[near] - axes[at]], axis=1)
        line = np.linalg.lstsq(terms, values[known[near]], rcond=None)[0]
        left = (values[known[near]] - terms @ line).round(9)  # so that equal scores stay equal
        own = left[near == at][0]
        found[i] = ((left < own).sum() + 0.5 * (left == own).sum()) / len(near)
    return found


def useless(judged: Sequence[Worth]) -> set[str]:
    """Returns the scores, and `MEAN` for the promise, that were measured often enough and do not rank."""
    enough = [worth for worth in judged if worth.networks >= ENOUGH]
    return {worth.name for worth in enough if worth.equal_cost is None or worth.equal_cost.tau <= 0}


def judged_by(measured: int) -> int:
    """Returns by how many of the networks measured first scores are judged; 0 while there are too few."""
    return 0 if measured < ENOUGH else ENOUGH * 2 ** int(math.log2(measured // ENOUGH))


def score_names(candidates: Sequence[Scored]) -> list[str]:
    """Returns the names of all scores that a candidate has."""
    return [name for name in dict.fromkeys(name for candidate in candidates for name in candidate.scores) if name != MEAN]


def recorded_worths(
    objectives: Sequence[Objective], screenings: Sequence[ScreeningRow], evaluations: Sequence[EvaluationRow]
) -> list[Worth]:
    """Returns the worth of each score in a record, by what was measured at the end of each network's first segment.

    Args:
        objectives: What was ranked; the first measured one is what a promise is of.
        screenings: By the proposal's number.
        evaluations: In the order in which they ended.

    Returns:
        Empty where nothing was both scored and measured.
    """
    scored = {candidate.fingerprint: candidate for row in reversed(screenings) for candidate in reversed(row.candidates)}
    proposed = {row.proposal: row.candidates[row.chosen] for row in screenings if row.candidates}
    found = [row for row in evaluations if row.from_epoch == 0 and row.proposal in proposed and row.measurement.outcome.measured]
    if not found:
        return []
    aim = next(objective for objective in objectives if not objective.exact)
    accuracies = [-aim.loss(row.measurement.metrics[aim.name]) for row in found]
    return worths([proposed[row.proposal] for row in found], accuracies, list(scored.values()))


def _agreement(values: Floats, accuracies: Sequence[float], given: Sequence[Sequence[float]] = ()) -> Agreement | None:
    """Returns Kendall's correlation over the networks that have the score."""
    known = np.flatnonzero(np.isfinite(values)).tolist()
    return kendall([float(values[i]) for i in known], [accuracies[i] for i in known], [[axis[i] for i in known] for axis in given])


def _ranks(candidates: Sequence[Scored], name: str) -> Floats:
    """Returns the rank of each candidate, from 0 for the lowest to 1; NaN where it has no such score."""
    values = np.array([candidate.scores.get(name, np.nan) for candidate in candidates], dtype=np.float64)
    known = np.isfinite(values)
    values[known] = _ranked(values[known])
    return values


def _ranked(values: Floats) -> Floats:
    """Returns ranks from 0 to 1, the mean rank for those that are equal."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    middles = np.cumsum(counts) - (counts + 1) / 2
    return np.asarray(middles[where] / max(1, len(values) - 1))


def _mean(ranks: Mapping[str, Floats], count: int) -> Floats:
    """Returns the mean of the ranks that each of `count` candidates has; NaN where it has none."""
    stacked = np.stack([np.full(count, np.nan), *ranks.values()])
    known = np.isfinite(stacked)
    sums, counts = np.where(known, stacked, 0).sum(axis=0), known.sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _unexplained(values: Floats, costs: Sequence[ArrayLike]) -> Floats | None:
    """Returns what a quadratic polynomial of the ranks of the costs does not explain; None while there are too few for one."""
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return None
    axes = np.array(costs, dtype=np.float64).reshape(len(values), -1)[known]  # (k, e): e exact objectives
    axes = np.stack([np.zeros(len(known)), *(_ranked(axis) - 0.5 for axis in axes.T if axis.std() > 0)], axis=1)[:, 1:]
    terms = np.concatenate([np.ones((len(known), 1)), axes, axes**2], axis=1)
    if len(known) < _ROWS * terms.shape[1]:
        return None
    left = np.full(len(values), np.nan)
    left[known] = values[known] - terms @ np.linalg.lstsq(terms, values[known], rcond=None)[0]
    return left.round(9)  # so that equal scores stay equal
