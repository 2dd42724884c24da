"""Reads a table from its two files, and says in one line what is wrong with them: file, line, column, fix."""

from __future__ import annotations

import csv
import gzip
import math
import tomllib
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from nas.bench.table import Floats, Table, TableSpec
from nas.errors import DataError, brief, did_you_mean

_HELP = "nas bench --help shows the format"

Lines = list[tuple[int, list[str]]]
"""Line number and cells of each row."""


def read_table(path: str | Path) -> Table:
    """Returns the table that a TOML describes.

    Raises:
        DataError: When one of its two files cannot be read or makes no sense; names file, line, column and the fix.
    """
    path = Path(path)
    spec = _spec(path)
    file = data_file(path, spec)
    head, lines = _rows(file)
    place = {name: _place(name, what, head, file, path) for name, what in _columns(spec)}
    cells = tuple(tuple(row[place[name]] for name in spec.decisions) for _, row in lines)
    _check_distinct(cells, lines, file, spec.decisions)
    numbers = {
        name: _numbers(name, place[name], lines, file) for name, what in _columns(spec) if what in ("an objective", "the cost")
    }
    if spec.cost is not None and (numbers[spec.cost.seconds] < 0).any():
        at = int(np.argmax(numbers[spec.cost.seconds] < 0))
        raise DataError(f"{file}, line {lines[at][0]}: column {spec.cost.seconds!r} is below 0, expected seconds; mend the cell")
    classes = np.arange(len(lines)) if not spec.identity else _classes(row[place[spec.identity]] for _, row in lines)
    unnamed = [name for name in head if name not in place]
    others = dict(zip(unnamed, zip(*([row[head.index(name)] for name in unnamed] for _, row in lines), strict=True), strict=True))
    return Table(path, spec, cells, numbers, classes, others)


def _spec(path: Path) -> TableSpec:
    """Returns what the TOML says, every field of the right kind."""
    try:
        spec = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), TableSpec, str_keys=True)
    except OSError as error:
        raise DataError(f"table {path}: {error.strerror or error}; expected a TOML file, {_HELP}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"table {path} is no TOML: {error}; {_HELP}") from None
    except msgspec.ValidationError as error:
        allowed = "; expected maximize or minimize" if str(error).endswith(".direction`") else ""
        raise DataError(f"table {path}: {error}{allowed}; {_HELP}") from None
    for what, names in (("decisions", spec.decisions), ("objectives", list(spec.objectives))):
        if not names:
            raise DataError(f"table {path}: {what} is empty, expected at least one; {_HELP}")
    twice = [name for name in spec.decisions if spec.decisions.count(name) > 1]
    if twice:
        raise DataError(f"table {path}: decisions names {twice[0]!r} twice, expected once")
    if spec.paths and len(spec.paths) != len(spec.decisions):
        raise DataError(
            f"table {path}: paths has {len(spec.paths)} entries, expected one for each of {len(spec.decisions)} decisions"
        )
    for epochs, share in spec.cost.share.items() if spec.cost else ():
        if not 0 < share < math.inf:
            raise DataError(f"table {path}: the share of fidelity {epochs} is {share:g}, expected a number above 0")
    for name, o in spec.objectives.items():
        if o.exact and (o.fidelity or o.reported != o.search):
            raise DataError(
                f"table {path}: objective {name!r} is exact, so it has one column and no fidelity; leave out exact = true"
            )
    if any(epochs < 1 for o in spec.objectives.values() for epochs in o.fidelity):
        raise DataError(f"table {path}: a fidelity is a number of epochs of at least 1")
    return spec


def data_file(path: Path, spec: TableSpec) -> Path:
    """Returns where the rows lie."""
    choices = [path.parent / spec.data] if spec.data else [path.with_suffix(".csv"), path.with_suffix(".csv.gz")]
    for file in choices:
        if file.is_file():
            return file
    raise DataError(f'table {path}: there is no {" or ".join(map(str, choices))}; put it there, or say where with data = "FILE"')


def _rows(file: Path) -> tuple[list[str], Lines]:
    """Returns the head and the rows."""
    try:
        opener = gzip.open if file.suffix == ".gz" else open
        with opener(file, "rt", encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            head = [name.strip() for name in next(reader, [])]
            lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} cannot be read: {error}; expected a CSV with a head, plain or gzip") from None
    if not lines:
        raise DataError(f"{file} has no rows; expected a head and one line an architecture")
    for number, row in lines:
        if len(row) != len(head):
            raise DataError(f"{file}, line {number}: {len(row)} cells, expected {len(head)} as in the head; mend the line")
    twice = [name for name in head if head.count(name) > 1]
    if twice:
        raise DataError(f"{file}: column {twice[0]!r} stands twice in the head; rename one")
    return head, lines


def _columns(spec: TableSpec) -> list[tuple[str, str]]:
    """Returns every column the TOML names, and as what."""
    found = [(name, "a decision") for name in spec.decisions]
    found += [(column, "an objective") for objective in spec.objectives.values() for column in objective.columns()]
    found += [(spec.identity, "the identity")] if spec.identity else []
    return found + ([(spec.cost.seconds, "the cost")] if spec.cost else [])


def _place(name: str, what: str, head: Sequence[str], file: Path, path: Path) -> int:
    if name not in head:
        raise DataError(f"{file} has no column {name!r}, which {path} names as {what}{did_you_mean(name, head)}")
    return head.index(name)


def _check_distinct(cells: Sequence[tuple[str, ...]], lines: Lines, file: Path, decisions: Sequence[str]) -> None:
    first: dict[tuple[str, ...], int] = {}
    for key, (number, _) in zip(cells, lines, strict=True):
        if key in first:
            raise DataError(
                f"{file}, line {number}: the same {', '.join(decisions)} as line {first[key]} ({brief(', '.join(key))}); "
                "keep one of them, or name another column among the decisions"
            )
        first[key] = number


def _numbers(name: str, place: int, lines: Lines, file: Path) -> Floats:
    """Returns a column of finite numbers, `(n,)`."""
    found = np.empty(len(lines))
    for i, (number, row) in enumerate(lines):
        try:
            found[i] = float(row[place])
        except ValueError:
            found[i] = math.nan
        if not math.isfinite(found[i]):
            raise DataError(
                f"{file}, line {number}: column {name!r} is {brief(row[place])}, expected a finite number; mend the cell or "
                "leave the line out"
            )
    return found


def _classes(cells: Iterable[str]) -> NDArray[np.int64]:
    """Returns equal numbers for equal cells, `(n,)`."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(cell, len(known)) for cell in cells], dtype=np.int64)
