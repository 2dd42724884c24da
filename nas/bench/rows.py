"""Writes what a bench evaluated: one line of CSV an evaluation, in order."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from nas.bench.problem import TableProblem
from nas.bench.protocol import Repeat
from nas.errors import DataError, RunError
from nas.files import replacing

_BEFORE = ("strategy", "repeat", "step")
_BEHIND = ("proposals", "proposal_seconds", "simulated_seconds", "operator", "inherited")


def columns(problem: TableProblem) -> list[str]:
    """Returns the columns of the rows.

    `strategy`, `repeat` (from 0), `step` (from 1); the decisions under their own names; `searched_NAME` and `reported_NAME` of each
    objective; `proposals` made so far in this repeat; `proposal_seconds` that those since the last line took; `simulated_seconds`
    so far; `operator`, and the share of decisions `inherited` from a parent, blank where there is none.

    Raises:
        DataError: When a decision has the name of another column.
    """
    names = [objective.name for objective in problem.objectives]
    objectives = [*(f"searched_{name}" for name in names), *(f"reported_{name}" for name in names)]
    found = [*_BEFORE, *problem.table.spec.decisions, *objectives, *_BEHIND]
    for name in problem.table.spec.decisions:
        if found.count(name) > 1:
            raise DataError(f"{problem.table.path}: decision {name!r} has the name of a column of --out; rename it in the table")
    return found


def write_rows(path: Path, problem: TableProblem, repeats: Mapping[str, Sequence[Repeat]]) -> None:
    """Writes the rows of all strategies, as a whole or not at all.

    Raises:
        RunError: When the file cannot be written.
        DataError: See `columns`.
    """
    head = columns(problem)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(head)
            for label, of_label in repeats.items():
                for number, repeat in enumerate(of_label):
                    writer.writerows([label, number, *row] for row in _rows(problem, repeat))
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}") from None


def _rows(problem: TableProblem, repeat: Repeat) -> Iterator[list[object]]:
    for i, row in enumerate(repeat.rows):
        inherited = repeat.inherited[i]
        yield [
            i + 1,
            *problem.table.cells[row],
            *map(_number, problem.searched[row].tolist()),
            *map(_number, problem.reported[row].tolist()),
            repeat.proposals[i],
            f"{repeat.thinking[i]:.6f}",
            f"{repeat.spent[i]:.3f}" if problem.seconds is not None else "",
            repeat.operators[i],
            "" if inherited is None else f"{inherited:.4f}",
        ]


def _number(value: float) -> float | int:
    """Returns a whole number as such, so that it is written without a point."""
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
