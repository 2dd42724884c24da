"""What a bench comes to: every measure of every strategy over its repeats, and comparisons with the first one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nas.bench.problem import TableProblem
from nas.bench.protocol import Repeat
from nas.bench.quality import Curves, Yardstick, after, reached
from nas.bench.statistics import Comparison, Summary, compare, summary
from nas.bench.table import Floats

PARTS = (0.95, 0.99)
"""Shares of the hypervolume whose cost in evaluations is told."""

_LEAST = 1e-12  # what is left of the hypervolume where nothing is, so that its logarithm is finite


class Results:
    """All figures of one bench.

    Args:
        problem: The table.
        repeats: Of each strategy by its label, paired by their place; at least one strategy.
        marks: Numbers of evaluations at which shares are told, rising.

    Attributes:
        curves: Of each repeat, by label.
        marks: As given.
        measures: By label, by the name of the measure, `(r,)` one value a repeat; NaN where a repeat has none.
    """

    def __init__(self, problem: TableProblem, repeats: Mapping[str, Sequence[Repeat]], marks: Sequence[int]) -> None:
        yardstick = Yardstick(problem)
        self.problem, self.repeats, self.marks = problem, repeats, tuple(marks)
        self.curves: dict[str, list[Curves]] = {
            label: [yardstick.curves(repeat.rows) for repeat in of_label] for label, of_label in repeats.items()
        }
        self.measures: dict[str, dict[str, Floats]] = {
            label: _measures(problem, of_label, self.curves[label], self.marks) for label, of_label in repeats.items()
        }

    def summaries(self) -> dict[str, dict[str, Summary]]:
        """Returns mean, spread and interval by label and measure."""
        return {label: {name: summary(values) for name, values in of.items()} for label, of in self.measures.items()}

    def comparisons(self) -> dict[str, dict[str, Comparison]]:
        """Returns each strategy but the first held against the first, by label and measure.

        What is compared is the regret in the end, and at every mark log(1 - share), in which halving what is left counts the same
        everywhere. Strategies with other numbers of repeats than the first cannot be paired and are left out.
        """
        base, *others = self.measures
        names = ["regret", *(f"share at {mark}" for mark in self.marks)]
        found: dict[str, dict[str, Comparison]] = {label: {} for label in others}
        for name in names:
            losses = {label: _loss(name, of[name]) for label, of in self.measures.items()}
            for label, one in zip(others, compare(losses[base], [losses[label] for label in others]), strict=True):
                found[label][name] = one
        return found

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain values."""
        summaries, comparisons = self.summaries(), self.comparisons()
        return {
            label: {
                "measures": {name: dataclasses.asdict(one) for name, one in of.items()},
                "against_first": {name: dataclasses.asdict(one) for name, one in comparisons.get(label, {}).items()},
                "ended": sorted({repeat.ended for repeat in self.repeats[label]}),
            }
            for label, of in summaries.items()
        }


def _measures(
    problem: TableProblem, repeats: Sequence[Repeat], curves: Sequence[Curves], marks: Sequence[int]
) -> dict[str, Floats]:
    """Returns every measure of one strategy, `(r,)` each."""
    found: dict[str, list[float]] = {
        "best": [curve.best[-1] for curve in curves],
        "regret": [curve.regret[-1] for curve in curves],
        **{f"share at {mark}": [after(curve.share, mark) for curve in curves] for mark in marks},
        **{f"reported share at {mark}": [after(curve.reported_share, mark) for curve in curves] for mark in marks},
        **{f"evaluations to {part:.0%}": [reached(curve.share, part) for curve in curves] for part in PARTS},
        "evaluations": [len(repeat.rows) for repeat in repeats],
        "distinct": [len(set(problem.table.classes[repeat.rows].tolist())) / repeat.proposals[-1] for repeat in repeats],
        "inherited": [_mean([share for share in repeat.inherited if share is not None]) for repeat in repeats],
        "seconds": [sum(repeat.thinking) / repeat.proposals[-1] for repeat in repeats],
    }
    if problem.seconds is not None:
        found["simulated"] = [repeat.spent[-1] for repeat in repeats]
    return {name: np.array(values, dtype=np.float64) for name, values in found.items()}


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _loss(name: str, values: Floats) -> Floats:
    return values if name == "regret" else np.log(np.maximum(1 - values, _LEAST))


def default_marks(evaluations: int) -> list[int]:
    """Returns 25, 50, 100, 200, 300, 500, 1000, ... below a number of evaluations, and that number itself."""
    usual = [25, 50, 100, 200, 300, *(n * 10**k for k in range(2, 7) for n in (5, 10, 20, 30))]
    return [*(n for n in sorted(set(usual)) if n < evaluations), evaluations]
