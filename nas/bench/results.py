"""What a bench comes to: every measure of every strategy over its repeats, and comparisons with the first one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nas.bench.about import About, Ground
from nas.bench.known import Known, Trajectory
from nas.bench.lengths import ByLabel, common, early, heirs, lengths
from nas.bench.quality import Curves, Yardstick, after, by_clock, reached
from nas.bench.statistics import Comparison, Summary, compare, summary
from nas.bench.table import Floats

PARTS = (0.95, 0.99)
"""Shares of the hypervolume whose cost in evaluations is told."""

_LEAST = 1e-12  # what is left of the hypervolume where nothing is, so that its logarithm is finite


class Results:
    """All figures of one bench.

    Args:
        known: What everything is measured against.
        trajectories: Of each strategy by its label, repeat by repeat; at least one strategy.
        marks: Numbers of evaluations at which shares are told, rising.
        seconds: Simulated times at which they are told as well, rising.
        head: What was searched and how, as far as it is known.
        notes: Sentences on what was left out, cut, or is missing.

    Attributes:
        curves: Of each repeat, by label.
        marks: As given, but none behind the number of evaluations that all repeats have; those that ended by themselves count as
            the others.
        seconds: As given, but none behind the end of all repeats that tells nothing new.
        notes: As given, and what is to be known of the repeats.
        measures: By label, by the name of the measure, `(r,)` one value a repeat; NaN where a repeat has none.
    """

    def __init__(
        self,
        known: Known,
        trajectories: Mapping[str, Sequence[Trajectory]],
        marks: Sequence[int],
        seconds: Sequence[float] = (),
        *,
        head: About | Ground | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        yardstick = Yardstick(known)
        self.known, self.trajectories, self.head = known, trajectories, head
        most = common(trajectories)
        self.marks = tuple(sorted({min(mark, most) for mark in marks}))
        limited = isinstance(head, About) and head.evaluations is not None
        self.seconds = _reached_times(seconds, trajectories, told=limited and most == max(self.marks))
        self.notes = [*notes, *_beyond(trajectories, most), *early(trajectories), *heirs(trajectories)]
        self.curves: dict[str, list[Curves]] = {
            label: [yardstick.curves(trajectory) for trajectory in of_label] for label, of_label in trajectories.items()
        }
        self.measures: dict[str, dict[str, Floats]] = {
            label: _measures(yardstick, of_label, self.curves[label], self.marks) | self._timed(label)
            for label, of_label in trajectories.items()
        }

    def _timed(self, label: str) -> dict[str, Floats]:
        """Returns the share at each simulated time, `(r,)` each; before the end of the first evaluation it is 0."""
        both = list(zip(self.curves[label], self.trajectories[label], strict=True))
        found = {}
        for seconds in self.seconds:
            values = [
                by_clock(c.share, trajectory.spent, np.array([seconds]))[0]
                for c, trajectory in both
                if trajectory.spent is not None
            ]
            found[at_time(seconds)] = np.nan_to_num(np.array(values), nan=0.0)
        return found

    def summaries(self) -> dict[str, dict[str, Summary]]:
        """Returns mean, spread and interval by label and measure."""
        return {label: {name: summary(values) for name, values in of.items()} for label, of in self.measures.items()}

    def comparisons(self) -> dict[str, dict[str, Comparison]]:
        """Returns each strategy but the first held against the first, by label and measure.

        What is compared is the regret in the end, and at every mark and time log(1 - share), in which halving what is left counts
        the same everywhere. Repeats are paired by `Trajectory.pair`; those without a partner are left out, and so is a strategy
        without any.
        """
        found: dict[str, dict[str, Comparison]] = {label: {} for label in list(self.measures)[1:]}
        for name in ["regret", *(f"share at {mark}" for mark in self.marks), *map(at_time, self.seconds)]:
            paired = {label: self._paired(label, name) for label in found}
            paired = {label: pairs for label, pairs in paired.items() if len(pairs[0])}
            for label, one in zip(paired, compare(list(paired.values())), strict=True):
                found[label][name] = one
        return {label: of for label, of in found.items() if of}

    def _paired(self, label: str, name: str) -> tuple[Floats, Floats]:
        """Returns the losses of the first strategy and of another one in the repeats that both have, `(r,)` each."""
        base = next(iter(self.measures))
        place = {trajectory.pair: i for i, trajectory in enumerate(self.trajectories[base])}
        both = [(place[trajectory.pair], i) for i, trajectory in enumerate(self.trajectories[label]) if trajectory.pair in place]
        ours = _loss(name, self.measures[base][name])[[i for i, _ in both]]
        theirs = _loss(name, self.measures[label][name])[[i for _, i in both]]
        had = ~np.isnan(ours + theirs)
        return ours[had], theirs[had]


def _reached_times(seconds: Sequence[float], trajectories: ByLabel, told: bool) -> tuple[float, ...]:
    """Returns simulated times, of those behind the end of all repeats the first alone, since nothing changes later.

    Args:
        seconds: The times.
        trajectories: The repeats.
        told: Whether the last number of evaluations tells what there is at the end; then none of those is needed.
    """
    every = [one for of in trajectories.values() for one in of]
    end = max((float(one.spent[-1]) for one in every if one.spent is not None), default=0.0)
    behind = [time for time in sorted(seconds) if time >= end]
    whole = told and len({len(one) for one in every if not one.ended_by_itself}) <= 1
    return tuple(time for time in sorted(seconds) if time < end or time in behind[: 0 if whole else 1])


def _beyond(trajectories: ByLabel, most: int) -> list[str]:
    """Returns a sentence where repeats go on behind the last mark, which happens where simulated time limits them."""
    if all(len(one) <= most for of in trajectories.values() for one in of):
        return []
    return [
        f"Repeats ended after different numbers of evaluations ({lengths(trajectories)}): shares by evaluations are told up to "
        f"{most:,}, which all have."
    ]


def _measures(
    yardstick: Yardstick, trajectories: Sequence[Trajectory], curves: Sequence[Curves], marks: Sequence[int]
) -> dict[str, Floats]:
    """Returns every measure of one strategy, `(r,)` each."""
    found: dict[str, list[float]] = {
        "best": [curve.best[-1] for curve in curves],
        "regret": [curve.regret[-1] for curve in curves],
        **{f"share at {mark}": [after(curve.share, mark) for curve in curves] for mark in marks},
        **{f"reported share at {mark}": [after(curve.reported_share, mark) for curve in curves] for mark in marks},
        **{f"evaluations to {part:.0%}": [reached(curve.share, part) for curve in curves] for part in PARTS},
        "hypervolume": [yardstick.raw(trajectory) for trajectory in trajectories],
        "evaluations": [len(trajectory) for trajectory in trajectories],
        "distinct": [len(set(trajectory.networks)) / trajectory.proposals[-1] for trajectory in trajectories],
        "alike": [_mean(trajectory.alike) for trajectory in trajectories],
        "seconds": [_seconds(trajectory) for trajectory in trajectories],
        "simulated": [float("nan") if trajectory.spent is None else trajectory.spent[-1] for trajectory in trajectories],
    }
    values = {name: np.array(values, dtype=np.float64) for name, values in found.items()}
    return {name: of for name, of in values.items() if name not in _OPTIONAL or not np.isnan(of).all()}


_OPTIONAL = ("hypervolume", "simulated")
"""Measures that not every bench has."""


def _mean(values: Floats) -> float:
    """Returns the mean of those that are there."""
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if len(kept) else float("nan")


def _seconds(trajectory: Trajectory) -> float:
    """Returns the mean seconds a proposal took, of those that were measured; the first evaluation's are left out, since libraries
    are loaded then."""
    made = np.diff(trajectory.proposals, prepend=0)
    known = ~np.isnan(trajectory.thinking) & (made > 0)
    known[0] = False
    return float(trajectory.thinking[known].sum() / made[known].sum()) if known.any() else float("nan")


def _loss(name: str, values: Floats) -> Floats:
    return values if name == "regret" else np.log(np.maximum(1 - values, _LEAST))


def at_time(seconds: float) -> str:
    """Returns the name of the share at a simulated time."""
    return f"share at {seconds:g} s"


def default_times(seconds: float | None) -> list[float]:
    """Returns a quarter, half and the whole of a simulated budget; nothing where there is none."""
    return [] if seconds is None else [seconds / 4, seconds / 2, seconds]


def default_marks(evaluations: int) -> list[int]:
    """Returns 25, 50, 100, 200, 300, 500, 1000, ... below a number of evaluations, and that number itself."""
    usual = [25, 50, 100, 200, 300, *(n * 10**k for k in range(2, 7) for n in (5, 10, 20, 30))]
    return [*(n for n in sorted(set(usual)) if n < evaluations), evaluations]
