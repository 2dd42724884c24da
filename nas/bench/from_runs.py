"""Real runs as trajectories, measured against all of them together, since nobody knows the exact front of a space."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from nas.bench.kin import kin
from nas.bench.known import Known, Scale, Trajectory, turned
from nas.bench.table import Floats
from nas.domains import Value
from nas.errors import RunError
from nas.lines import counted, number
from nas.objectives import Objective, constraint
from nas.rows import EvaluationRow, ProposalRow
from nas.run import Run

SEEN = " (the largest seen)"
"""Marks a cost that no constraint bounds: its scale changes with the runs that are compared."""


class SpaceGround(msgspec.Struct, frozen=True, tag="space"):
    """What must be equal in runs whose figures are held against each other.

    Attributes:
        objectives: What is ranked, the first one first.
        constraints: As written.
        space: Its name and digest; the recipe is part of it.
        data: Name and digest of the images with their split; blank where there are none.
        epochs: Of each training.
        evaluator: Who evaluated.
    """

    objectives: tuple[Objective, ...]
    constraints: tuple[str, ...]
    space: str
    data: str
    epochs: int
    evaluator: str

    @property
    def title(self) -> str:
        """What was searched, in a few words."""
        name, data = self.space.partition(" ")[0], self.data.partition(" ")[0]
        return f"{name} on {data}, {counted(self.epochs, 'epoch')}" if data else f"{name}, evaluated by {self.evaluator}"

    def known(self, trajectories: Sequence[Trajectory]) -> Known:
        """Returns what all trajectories together know; see `_share_scale` and `_raw_scale`.

        Raises:
            RunError: When nothing was measured.
        """
        seen = np.concatenate([trajectory.searched for trajectory in trajectories])
        seen = np.unique(seen[~np.isnan(seen).any(axis=1)], axis=0)
        if not len(seen):
            raise RunError(f"no network of {self.title} was measured: every evaluation failed; nas report RUN says why")
        losses = turned(self.objectives, seen)
        bounds = {o.name: _upper_bound(o, self.constraints) for o in self.objectives}
        scale, scale_words = _share_scale(self.objectives, losses, bounds)
        raw, raw_words = _raw_scale(self.objectives, losses, bounds)
        first = self.objectives[0].name
        all_of = "the one run" if len(trajectories) == 1 else f"all {counted(len(trajectories), 'run')}"
        notes = [
            f"Nobody knows the exact front of a space: the best known front is that of {all_of} here"
            f"{' together' * (len(trajectories) > 1)}, and regret is the distance to the best {first} in it; "
            "both change with the runs that are compared.",
            f"Scale of the share, which is what is tested: {', '.join(scale_words.values())}; what is at the far end adds nothing.",
            f"Hypervolume, which is not: {', '.join(raw_words.values())}; reference point "
            f"({', '.join('1' for _ in self.objectives)}). The two scales may name different winners.",
            "A proposal takes from what happened before it (an evaluation's end, another proposal) to its being ready, writing "
            "the record included; the first one of a start is left out.",
        ]
        trained = Counter(trajectory.trained for trajectory in trajectories if trajectory.trained)
        if len(trained) > 1:
            kinds = ", ".join(f"{counted(n, 'run')} in {how}" for how, n in trained.items())
            notes.append(f"Not all networks were trained alike ({kinds}): differences may come from that.")
        return Known(self.title, self.objectives, seen, seen, scale, scale, "best known front", notes, raw, raw_words, scale_words)


def ground_of_run(run: Run) -> SpaceGround:
    """Returns what runs must have in common with this one.

    Raises:
        RunError: When not all its networks were trained for equally long.
    """
    said = run.settings
    if len(run.rungs) > 1:
        raise RunError(
            f"{run.folder} trained its networks for {','.join(map(str, run.rungs))} epochs; compared are runs in which all have "
            "equally many"
        )
    data = said["data"]
    return SpaceGround(
        objectives=run.objectives,
        constraints=tuple(sorted(said["constraints"])),
        space=f"{said['space']['name'] or 'a space'} {said['space']['digest'][:8]}",
        data=f"{data['name']} {data['digest'][:8]}" if data else "",
        epochs=said["epochs"],
        evaluator=said["evaluator"],
    )


def trajectory_of_run(run: Run, columns: Sequence[str] = ()) -> Trajectory:
    """Returns what a run evaluated.

    A failed evaluation counts as one and has no values. Seconds of a proposal run from what happened before it (an evaluation that
    ended, another proposal) to its being ready, so they hold the writing of the record; the first one of a start is not measured.

    Args:
        run: With one network at a time in flight, or seconds of proposals mean little.
        columns: Paths of the decisions to keep as text.

    Raises:
        RunError: When it has evaluated nothing.
    """
    proposals, evaluations, costs = run.rows()
    last = {row.proposal: row for row in evaluations}  # of several segments the deepest stands for the network
    ended = sorted(last.values(), key=lambda row: row.ended)
    if not ended:
        raise RunError(f"{run.folder} has evaluated no network so far; go on with it: nas resume {run.folder}")
    starts = run.starts()
    values = np.array([_values(run.objectives, costs[row.fingerprint], row) for row in ended], dtype=np.float64)
    genotypes = [proposals[row.proposal].genotype for row in ended]
    until = np.maximum.accumulate([row.proposal + 1 for row in ended])
    seconds = _proposal_seconds(proposals, evaluations, [float(start["began"]) for start in starts])
    before = [0, *until[:-1].tolist()]
    return Trajectory(
        searched=values,
        reported=values,
        networks=[(row.fingerprint, row.recipe) for row in ended],
        proposals=until.tolist(),
        thinking=np.array([seconds[a:b].sum() for a, b in zip(before, until, strict=True)]),
        alike=np.array([math.nan if share is None else share for share in kin(genotypes)], dtype=np.float64),
        operators=[proposals[row.proposal].operator for row in ended],
        spent=None,
        cells=[_cells(genotype, columns) for genotype in genotypes],
        pair=int(run.settings["seed"]),
        ended=starts[-1]["ended"] or "",
        trained=_trained(starts[0]["options"].get("evaluator", {})),
        heirs=tuple(i for i, row in enumerate(ended) if row.measurement.inherited),
    )


def _trained(facts: Mapping[str, str] | str) -> str:
    """Returns in which precision a run trained and where, from what its evaluator said of itself."""
    known = isinstance(facts, Mapping) and "precision" in facts
    return f"{facts['precision']} on {facts['device']}" if known and not isinstance(facts, str) else ""


def _values(objectives: Sequence[Objective], costs: Mapping[str, float], row: EvaluationRow) -> list[float]:
    found = {**costs, **row.measurement.metrics}
    return [float(found[o.name]) if row.measurement.outcome.measured else math.nan for o in objectives]


def _cells(genotype: Mapping[str, Value], columns: Sequence[str]) -> list[str]:
    return [str(genotype[path]) if path in genotype else "" for path in columns]


def _proposal_seconds(proposals: Sequence[ProposalRow], evaluations: Sequence[EvaluationRow], began: Sequence[float]) -> Floats:
    """Returns the seconds each proposal took, `(p,)`; NaN for the first one of a start, which waits for other things too."""
    found = np.full(len(proposals), np.nan)
    happened = [(time, 0, -1) for time in began] + [(row.ended, 1, -1) for row in evaluations]
    happened += [(row.created, 2, row.id) for row in proposals]
    last = math.nan
    for time, kind, trial in sorted(happened):
        if kind == 2:
            found[trial] = time - last
        last = math.nan if kind == 0 else time
    return found


def _upper_bound(objective: Objective, constraints: Sequence[str]) -> float | None:
    """Returns the bound a minimised objective must stay below, None where there is none."""
    found = [c.bound for c in map(constraint, constraints) if c.name == objective.name and c.compare.startswith("<")]
    return min(found) if found and objective.direction == "minimize" else None


def _share_scale(
    objectives: Sequence[Objective], losses: Floats, bounds: Mapping[str, float | None]
) -> tuple[Scale, dict[str, str]]:
    """Returns the scale on which shares are taken, and words for it by objective.

    Each objective goes from the best that was seen to its bound, where a constraint gives one, else to the worst that was seen. A
    cost that is known before training goes by its logarithm: candidates differ by powers of ten, and on a linear scale one large
    network that nobody wants decides what all small ones count.

    Args:
        objectives: `m` of them.
        losses: `(n, m)` of all that was measured.
        bounds: By name.
    """
    low, high = losses.min(axis=0), losses.max(axis=0)
    logs, words = [], {}
    for i, o in enumerate(objectives):
        bound = bounds[o.name]
        high[i] = high[i] if bound is None else max(bound, high[i])
        logs.append(o.exact and o.direction == "minimize" and bool(low[i] > 0))
        ends = f"{number(abs(low[i]))} to {number(abs(high[i]))}{'' if bound is None else ' (its bound)'}"
        words[o.name] = f"{o.name}{' by the logarithm' if logs[-1] else ''} from {ends}"
    return Scale(low, high, logs), words


def _raw_scale(objectives: Sequence[Objective], losses: Floats, bounds: Mapping[str, float | None]) -> tuple[Scale, dict[str, str]]:
    """Returns the scale of the plain hypervolume, and words for it by objective.

    What is maximised and lies in [0, 1] counts as it is, a cost as a share of its bound, or of the largest seen where no constraint
    bounds it; anything else goes from the best to the worst that was seen.
    """
    low, high = losses.min(axis=0), losses.max(axis=0)
    words = {}
    for i, o in enumerate(objectives):
        bound = bounds[o.name]
        if o.direction == "maximize" and low[i] >= -1 and high[i] <= 0:
            low[i], high[i] = -1, 0
            words[o.name] = f"{o.name} as it is"
        elif o.direction == "minimize" and low[i] >= 0:
            low[i], high[i] = 0, high[i] if bound is None else bound
            words[o.name] = f"{o.name} / {number(high[i])}{SEEN if bound is None else ''}"
        else:
            words[o.name] = f"{o.name} from {number(abs(low[i]))} to {number(abs(high[i]))}"
    return Scale(low, high, [False] * len(words)), words
