"""A file of rows as trajectories again; it says in one line what is wrong with it: file, line, column, fix."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from nas.bench.about import About, read_about
from nas.bench.from_table import TableGround
from nas.bench.known import Trajectory
from nas.bench.protocol import seed_of
from nas.bench.reading import read_table
from nas.bench.rows import columns, text_of
from nas.bench.table import Table
from nas.errors import DataError, brief

Line = tuple[int, Mapping[str, str]]
"""Number of a line in the file, and its cells by column."""

_RENAMED = {"inherited": "alike"}
"""What the last column was called before, so that older rows can be read."""


def read_rows(path: Path, table: Path | None = None) -> tuple[About, dict[str, dict[int, Trajectory]]]:
    """Returns what a file of rows means, and the trajectories in it by label and number of the repeat.

    Args:
        path: The CSV.
        table: TOML of the table it was made on; None: as the file beside it says.

    Raises:
        DataError: When the file makes no sense, does not fit its table, or nobody knows what it was made on.
    """
    head, lines = _lines(path)
    about = read_about(path)
    names = [name.removeprefix("searched_") for name in head if name.startswith("searched_")]
    decisions = head[3 : head.index(f"searched_{names[0]}")] if names else []
    if not names or head != columns(decisions, names, str(path)):
        raise DataError(f"{path} has other columns than the rows of nas bench --out; its first line is {brief(','.join(head))}")
    if table is not None:
        about = _about_table(path, table, names, decisions, lines, about)
    elif about is None:
        raise DataError(f"nothing stands beside {path} that says what it was made on; name the table with --table TABLE.toml")
    known = {} if not isinstance(about.ground, TableGround) else _networks(path, about.ground, decisions)
    found: dict[str, dict[int, Trajectory]] = {}
    for (label, number), of in _grouped(path, lines).items():
        trajectory = _trajectory(path, of, names, decisions, seed_of(about.seed, number))
        fact = about.fact(label, number)
        networks = _identities(path, of, trajectory, known)
        found.setdefault(label, {})[number] = replace(
            trajectory, networks=networks, ended=fact.ended, trained=fact.trained, heirs=fact.heirs
        )
    return about, found


def read_lines(path: Path) -> tuple[list[str], dict[str, dict[int, str]]]:
    """Returns the head of a file of rows, and its lines as text by strategy and number of the repeat.

    Raises:
        DataError: When the file makes no sense.
    """
    head, lines = _lines(path)
    if head[:3] != ["strategy", "repeat", "step"]:
        raise DataError(f"{path} holds something else than rows of nas bench; choose another place with --out")
    found: dict[str, dict[int, str]] = {}
    for (label, number), of in _grouped(path, lines).items():
        found.setdefault(label, {})[number] = text_of(list(row.values()) for _, row in of)
    return head, found


def _lines(path: Path) -> tuple[list[str], list[Line]]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream)
            head = next(reader, [])
            head[-1:] = [_RENAMED.get(name, name) for name in head[-1:]]
            lines: list[Line] = []
            for row in reader:
                if len(row) != len(head):
                    raise DataError(f"{path}, line {reader.line_num}: {len(row)} cells, expected {len(head)} as in the head")
                lines.append((reader.line_num, dict(zip(head, row, strict=True))))
            return head, lines
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path} cannot be read: {said}; expected rows of nas bench --out, or a run folder") from None


def _grouped(path: Path, lines: Sequence[Line]) -> dict[tuple[str, int], list[Line]]:
    """Returns the lines of each repeat by label and number."""
    found: dict[tuple[str, int], list[Line]] = {}
    for number, row in lines:
        of = found.setdefault((row["strategy"], _whole(path, number, row, "repeat")), [])
        of.append((number, row))
        if _whole(path, number, row, "step") != len(of):
            raise DataError(f"{path}, line {number}: step is {row['step']}, expected {len(of)}; lines are missing or stand twice")
    return found


def _trajectory(path: Path, lines: Sequence[Line], names: Sequence[str], decisions: Sequence[str], pair: int) -> Trajectory:
    def numbers(column: str) -> Iterator[float]:
        return (_number(path, at, row, column) for at, row in lines)

    simulated = np.array(list(numbers("simulated_seconds")))
    return Trajectory(
        searched=np.array([list(numbers(f"searched_{name}")) for name in names]).T,
        reported=np.array([list(numbers(f"reported_{name}")) for name in names]).T,
        networks=(),
        proposals=[_whole(path, at, row, "proposals") for at, row in lines],
        thinking=np.array(list(numbers("proposal_seconds"))),
        alike=np.array(list(numbers("alike"))),
        operators=[row["operator"] for _, row in lines],
        spent=None if np.isnan(simulated).all() else simulated,
        cells=[[row[name] for name in decisions] for _, row in lines],
        pair=pair,
    )


def _identities(
    path: Path, lines: Sequence[Line], trajectory: Trajectory, known: Mapping[tuple[str, ...], int]
) -> Sequence[object]:
    """Returns what is equal for equal networks only; a real run evaluates none twice."""
    if not known:
        return range(len(trajectory))
    for (at, _), cells in zip(lines, trajectory.cells, strict=True):
        if tuple(cells) not in known:
            raise DataError(f"{path}, line {at}: its table has no row {brief(', '.join(cells))}; name the right one with --table")
    return [known[tuple(cells)] for cells in trajectory.cells]


def _networks(path: Path, ground: TableGround, decisions: Sequence[str]) -> dict[tuple[str, ...], int]:
    """Returns the network of each row of a table, by its decisions."""
    if not Path(ground.table).is_file():
        raise DataError(f"{path} was made on {ground.table}, which is not there; say where it is with --table TABLE.toml")
    table = read_table(Path(ground.table))
    _check_decisions(path, table, decisions)
    return dict(zip(table.cells, table.classes.tolist(), strict=True))


def _check_decisions(path: Path, table: Table, decisions: Sequence[str]) -> None:
    if decisions != table.spec.decisions:
        raise DataError(f"{path} has the decisions {', '.join(decisions)}, {table.path} has {', '.join(table.spec.decisions)}")


def _about_table(
    path: Path, file: Path, names: Sequence[str], decisions: Sequence[str], lines: Sequence[Line], about: About | None
) -> About:
    """Returns what rows mean that were made on a table, from the rows where nothing says it: their fidelity is looked up."""
    table = read_table(file)
    _check_decisions(path, table, decisions)
    if about is not None and isinstance(about.ground, TableGround):
        return msgspec.structs.replace(about, ground=msgspec.structs.replace(about.ground, table=str(file.resolve())))
    for name in names:
        table.objective(name)
    place = {cells: i for i, cells in enumerate(table.cells)}
    rows = [place.get(tuple(row[name] for name in decisions), -1) for _, row in lines]
    for fidelity in (None, *table.fidelities):
        columns = {name: table.searched(name, fidelity) for name in names}
        if all(
            i >= 0 and column[i] == _number(path, at, row, f"searched_{name}")
            for i, (at, row) in zip(rows, lines, strict=True)
            for name, column in columns.items()
        ):
            return About(TableGround(str(file.resolve()), tuple(names), fidelity), 0, ())
    raise DataError(f"{path} was not made on {file}: that table has other values for its rows; name the right one with --table")


def _number(path: Path, at: int, row: Mapping[str, str], column: str) -> float:
    """Returns the number in a cell, NaN where it is blank."""
    try:
        return float(row[column]) if row[column] else math.nan
    except ValueError:
        raise DataError(f"{path}, line {at}: column {column!r} is {brief(row[column])}, expected a number") from None


def _whole(path: Path, at: int, row: Mapping[str, str], column: str) -> int:
    if not row[column].isdecimal():
        raise DataError(f"{path}, line {at}: column {column!r} is {brief(row[column])}, expected a whole number")
    return int(row[column])
