"""Writes what a bench evaluated: one line of CSV an evaluation, in order."""

from __future__ import annotations

import contextlib
import csv
import io
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from nas.bench.known import Trajectory
from nas.errors import DataError, RunError
from nas.files import write_whole

_BEFORE = ("strategy", "repeat", "step")
_BEHIND = ("proposals", "proposal_seconds", "simulated_seconds", "operator", "alike")
_SHARE = 0.05  # of the time, at most, goes into writing


def columns(decisions: Sequence[str], objectives: Sequence[str], where: str) -> list[str]:
    """Returns the columns of the rows.

    `strategy`, `repeat` (from 0), `step` (from 1); the decisions under their own names; `searched_NAME` and `reported_NAME` of each
    objective; `proposals` made so far in this repeat; `proposal_seconds` that those since the last line took; `simulated_seconds`
    so far; `operator`; `alike`, the largest share of its decisions that one earlier line of this repeat has alike, blank in the
    first (repetitions are compared where they fit best, see `nas.bench.kin`; the same rule for every strategy).

    Args:
        decisions: Columns of a table, or paths of a space.
        objectives: Names.
        where: Where the decisions are written, for errors.

    Raises:
        DataError: When a decision has the name of another column.
    """
    values = [*(f"searched_{name}" for name in objectives), *(f"reported_{name}" for name in objectives)]
    found = [*_BEFORE, *decisions, *values, *_BEHIND]
    for name in decisions:
        if found.count(name) > 1:
            raise DataError(f"{where}: decision {name!r} has the name of a column of --out; rename it there")
    return found


class RowsFile:
    """The file of a bench's rows, written while the bench runs.

    It is replaced as a whole: whoever reads it, or finds it after a kill, has whole lines of whole repeats, in order (strategy,
    repeat, step). A repeat is written when it ends; where they end faster than the file can be written, writing takes a twentieth
    of the time, and what a kill takes along is the work of some moments. Used as a context, it is complete in the end, whatever
    ends it.

    Args:
        path: Where; its folder is made, and the head is written at once.
        head: See `columns`.
        labels: Of all strategies, in order.
        kept: Lines of repeats that stand there already, by strategy and number.
        beside: Writes what belongs to the rows; called before they are.

    Raises:
        RunError: When the file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        head: Sequence[str],
        labels: Sequence[str],
        kept: Mapping[str, Mapping[int, str]] | None = None,
        beside: Callable[[], None] = lambda: None,
    ) -> None:
        self._path, self._beside = path, beside
        self._head = text_of([head])
        self._texts: dict[str, dict[int, str]] = {label: dict((kept or {}).get(label, {})) for label in labels}
        self._began, self._writing = time.monotonic(), 0.0
        self.write()

    def __enter__(self) -> RowsFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.write()

    def add(self, label: str, number: int, trajectory: Trajectory) -> None:
        """Takes in a repeat that ended."""
        self._texts[label][number] = text_of([label, number, *row] for row in _rows(trajectory))
        if self._writing <= _SHARE * (time.monotonic() - self._began):
            with contextlib.suppress(RunError):  # a file that is open elsewhere may not be replaced now; the last `write` says it
                self.write()

    def write(self) -> None:
        """Writes all that was taken in.

        Raises:
            RunError: When it cannot.
        """
        began = time.monotonic()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._beside()
            write_whole(self._path, self._head + "".join(of[number] for of in self._texts.values() for number in sorted(of)))
        except OSError as error:
            raise RunError(f"{self._path} cannot be written: {error.strerror or error}; choose another place with --out") from None
        self._writing += time.monotonic() - began


def text_of(rows: Iterable[Sequence[object]]) -> str:
    """Returns rows as lines of CSV."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def _rows(trajectory: Trajectory) -> Iterator[list[object]]:
    for i, cells in enumerate(trajectory.cells):
        yield [
            i + 1,
            *cells,
            *map(_number, trajectory.searched[i].tolist()),
            *map(_number, trajectory.reported[i].tolist()),
            trajectory.proposals[i],
            _number(trajectory.thinking[i]),
            "" if trajectory.spent is None else _number(trajectory.spent[i]),
            trajectory.operators[i],
            _number(trajectory.alike[i]),
        ]


def _number(value: float) -> float | int | str:
    """Returns a whole number as such, so that it is written without a point, others in full, to be read again; NaN is blank."""
    if np.isnan(value):
        return ""
    return int(value) if float(value).is_integer() and abs(value) < 2**53 else float(value)
