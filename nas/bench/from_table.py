"""A table as what repeats are measured against, and its repeats as trajectories."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from nas.bench.columns import ABSENT
from nas.bench.known import Known, Scale, Trajectory, turned
from nas.bench.problem import TableProblem
from nas.bench.protocol import Protocol, Repeat, problem_of
from nas.bench.reading import read_table
from nas.bench.table import Duplicates
from nas.lines import number


class TableGround(msgspec.Struct, frozen=True, tag="table"):
    """What must be equal in repeats whose figures are held against each other.

    Attributes:
        table: Path of the TOML.
        objectives: Names, the first one first.
        fidelity: Epochs after which strategies saw results; None: as the table says.
        duplicates: What became of a repeated network.
        constraints: What candidates had to keep.
    """

    table: str
    objectives: tuple[str, ...]
    fidelity: int | None = None
    duplicates: Duplicates = "skip"
    constraints: tuple[str, ...] = ()

    def problem(self) -> TableProblem:
        """Returns the table as it was searched; see `read_table` and `TableProblem` for what it raises."""
        protocol = Protocol(self.objectives, fidelity=self.fidelity, duplicates=self.duplicates, constraints=self.constraints)
        return problem_of(read_table(Path(self.table)), protocol)

    def known(self, trajectories: Sequence[Trajectory]) -> Known:
        """Returns what the table knows, whatever was evaluated."""
        return known_of_table(self.problem())


def ground_of_table(path: Path, protocol: Protocol) -> TableGround:
    """Returns what other repeats must have in common with these."""
    return TableGround(
        str(path.resolve()), protocol.objectives, protocol.fidelity, protocol.duplicates, tuple(sorted(protocol.constraints))
    )


def known_of_table(problem: TableProblem) -> Known:
    """Returns what a table knows: all its rows that keep the constraints, each objective scaled over these."""
    rows = problem.feasible_rows
    searched, reported = problem.searched[rows], problem.reported[rows]
    ends = zip(problem.objectives, searched.min(axis=0), searched.max(axis=0), strict=True)
    words = {o.name: f"{o.name} from {number(float(low))} to {number(float(high))}" for o, low, high in ends}
    return Known(
        title=problem.table.title,
        objectives=problem.objectives,
        searched=searched,
        reported=reported,
        scale=Scale.over(turned(problem.objectives, searched)),
        reported_scale=Scale.over(turned(problem.objectives, reported)),
        front="exact front",
        notes=_gaps(problem),
        scale_words=words,
    )


def _gaps(problem: TableProblem) -> list[str]:
    """Returns a sentence where the table lacks combinations of its decisions' values; none where decisions may be inactive."""
    cells = problem.table.cells
    if any(ABSENT in row for row in cells):
        return []
    every = math.prod(len(set(column)) for column in zip(*cells, strict=True))
    if len(cells) == every:
        return []
    return [
        f"The table has {len(cells):,} of the {every:,} combinations of its decisions' values: a strategy that proposes another "
        "one is refused and asked again, which is not counted."
    ]


def trajectory_of(problem: TableProblem, repeat: Repeat, pair: int) -> Trajectory:
    """Returns a repeat as it is measured.

    Args:
        problem: The table it ran on.
        repeat: What was evaluated.
        pair: See `Trajectory.pair`.
    """
    return Trajectory(
        searched=problem.searched[repeat.rows],
        reported=problem.reported[repeat.rows],
        networks=problem.table.classes[repeat.rows].tolist(),
        proposals=repeat.proposals,
        thinking=np.array(repeat.thinking),
        alike=np.array([np.nan if share is None else share for share in repeat.alike], dtype=np.float64),
        operators=repeat.operators,
        spent=np.array(repeat.spent) if problem.seconds is not None else None,
        cells=[problem.table.cells[row] for row in repeat.rows],
        pair=pair,
        ended=repeat.ended,
    )
