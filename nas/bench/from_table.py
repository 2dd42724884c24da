"""A table as what repeats are measured against, and its repeats as courses."""

from __future__ import annotations

import numpy as np

from nas.bench.known import Course, Known, Scale
from nas.bench.problem import TableProblem
from nas.bench.protocol import Repeat


def known_of_table(problem: TableProblem) -> Known:
    """Returns what a table knows: all its rows that keep the constraints, each objective scaled over these."""
    searched, reported = (values[problem.feasible_rows] for values in (problem.searched, problem.reported))
    return Known(
        title=problem.table.title,
        objectives=problem.objectives,
        searched=searched,
        reported=reported,
        scale=Scale.over(problem.losses(searched)),
        reported_scale=Scale.over(problem.losses(reported)),
        front="exact front",
    )


def course_of(problem: TableProblem, repeat: Repeat, pair: int) -> Course:
    """Returns a repeat as it is measured.

    Args:
        problem: The table it ran on.
        repeat: What was evaluated.
        pair: See `Course.pair`.
    """
    return Course(
        searched=problem.searched[repeat.rows],
        reported=problem.reported[repeat.rows],
        networks=problem.table.classes[repeat.rows].tolist(),
        proposals=repeat.proposals,
        thinking=np.array(repeat.thinking),
        inherited=np.array([np.nan if share is None else share for share in repeat.inherited], dtype=np.float64),
        operators=repeat.operators,
        spent=np.array(repeat.spent) if problem.seconds is not None else None,
        cells=[problem.table.cells[row] for row in repeat.rows],
        pair=pair,
        ended=repeat.ended,
    )
