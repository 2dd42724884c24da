"""How promising untrained networks are by their scores, at equal cost, and what that was worth so far. Arrays in, numbers out.

* **The promise** of a network is its mean rank over all scores but `YARDSTICKS`, among all networks that were scored in the run.
  One that has not all of them is ranked by those it has.
* **At equal cost.** Every score grows with the size of a network, and so does accuracy: the most promising one of ten would mostly
  be the largest of ten, and a search for a Pareto front would no longer look at small networks. Yet costs are exact before
  training and are no news. So what the exact objectives explain is taken off the mean rank, by least squares with a
  quadratic polynomial of their logarithms. Where every objective is measured, nothing is taken off: then larger may just be better.
* **The worth** of a score is Kendall's correlation with the accuracies measured, and that at equal cost: the partial correlation
  of what is left of the score, given the exact objectives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.correlation import Agreement, kendall
from nas.objectives import Objective
from nas.rows import EvaluationRow, Scored, ScreeningRow

Floats = NDArray[np.float64]

YARDSTICKS = ("params", "depth")
"""Exact costs that stand beside the scores and decide nothing: a score that says no more than these is not worth its time."""
MEAN = "mean rank"

_ROWS = 3  # networks for each coefficient of a polynomial, at least


@dataclass(frozen=True)
class Worth:
    """What a score said of the accuracies measured.

    Attributes:
        name: Of the score, `MEAN` for the mean rank that decides.
        plain: How far it ranks as accuracy does; None while that cannot be said.
        equal_cost: Likewise among networks of equal cost; the same where no objective is exact.
    """

    name: str
    plain: Agreement | None
    equal_cost: Agreement | None


def promises(candidates: Sequence[Scored]) -> Floats | None:
    """Returns how promising each candidate is at equal cost, `(n,)`, NaN where it has no score.

    Args:
        candidates: Each network once.

    Returns:
        None while there are too few to tell what costs explain.
    """
    return _unexplained(_mean(_all_ranks(candidates), len(candidates)), [c.costs for c in candidates])


def worths(trained: Sequence[Scored], accuracies: Sequence[float], scored: Sequence[Scored]) -> list[Worth]:
    """Returns the worth of each score that varies, and of the mean rank, which comes last.

    Args:
        trained: Networks whose accuracy was measured, after equally many epochs.
        accuracies: Of each, larger is better.
        scored: All networks that were scored, each once, the trained ones included.
    """
    place = {candidate.fingerprint: i for i, candidate in enumerate(scored)}
    at = [place[candidate.fingerprint] for candidate in trained]
    costs = [candidate.costs for candidate in scored]
    ranks = _all_ranks(scored)
    ranks |= {name: _ranks(scored, name) for name in YARDSTICKS} | {MEAN: _mean(ranks, len(scored))}
    return [
        Worth(name, _agreement(values[at], accuracies), _at_equal_cost(_unexplained(values, costs), at, accuracies, costs))
        for name, values in ranks.items()
    ]


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


def _at_equal_cost(
    values: Floats | None, at: Sequence[int], accuracies: Sequence[float], costs: Sequence[Sequence[float]]
) -> Agreement | None:
    return None if values is None else _agreement(values[at], accuracies, list(zip(*[costs[i] for i in at], strict=True)))


def _agreement(values: Floats, accuracies: Sequence[float], given: Sequence[Sequence[float]] = ()) -> Agreement | None:
    """Returns Kendall's correlation over the networks that have the score."""
    known = np.flatnonzero(np.isfinite(values)).tolist()
    return kendall([float(values[i]) for i in known], [accuracies[i] for i in known], [[axis[i] for i in known] for axis in given])


def _ranks(candidates: Sequence[Scored], name: str) -> Floats:
    """Returns the rank of each candidate, from 0 for the lowest to 1; NaN where it has no such score."""
    values = np.array([candidate.scores.get(name, np.nan) for candidate in candidates], dtype=np.float64)
    known = np.isfinite(values)
    _, where, counts = np.unique(values[known], return_inverse=True, return_counts=True)
    middles = np.cumsum(counts) - (counts + 1) / 2  # the mean rank of those that are equal
    values[known] = middles[where] / max(1, known.sum() - 1)
    return values


def _all_ranks(candidates: Sequence[Scored]) -> dict[str, Floats]:
    """Returns the ranks by every score that decides."""
    names = dict.fromkeys(name for candidate in candidates for name in candidate.scores if name not in YARDSTICKS)
    return {name: _ranks(candidates, name) for name in names}


def _mean(ranks: Mapping[str, Floats], count: int) -> Floats:
    """Returns the mean of the ranks that each of `count` candidates has; NaN where it has none."""
    stacked = np.stack([np.full(count, np.nan), *ranks.values()])
    known = np.isfinite(stacked)
    sums, counts = np.where(known, stacked, 0).sum(axis=0), known.sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _unexplained(values: Floats, costs: Sequence[ArrayLike]) -> Floats | None:
    """Returns what a quadratic polynomial of the costs does not explain; None while there are too few values for one."""
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return None
    axes = np.array(costs, dtype=np.float64).reshape(len(values), -1)[known]  # (k, e): e exact objectives
    axes = axes[:, axes.std(axis=0) > 0]
    axes = (axes - axes.mean(axis=0)) / axes.std(axis=0)
    terms = np.concatenate([np.ones((len(known), 1)), axes, axes**2], axis=1)
    if len(known) < _ROWS * terms.shape[1]:
        return None
    left = np.full(len(values), np.nan)
    left[known] = values[known] - terms @ np.linalg.lstsq(terms, values[known], rcond=None)[0]
    return left.round(9)  # so that equal scores stay equal
