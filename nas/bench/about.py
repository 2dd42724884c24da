"""What a file of rows means: `rows.csv.json` beside `rows.csv`, so that its figures can be computed again from the rows alone."""

from __future__ import annotations

from pathlib import Path

import msgspec

from nas.bench.from_runs import SpaceGround
from nas.bench.from_table import TableGround
from nas.errors import DataError, RunError
from nas.files import write_whole

Ground = TableGround | SpaceGround
"""What repeats must have in common, and what they are measured against."""


class About(msgspec.Struct, frozen=True):
    """What stands in the file.

    Attributes:
        ground: What was searched and how.
        seed: Of the whole bench; it says which repeats of different benches are pairs.
        marks: Numbers of evaluations at which shares were told.
        times: Simulated seconds at which they were.
        format: Of this file.
    """

    ground: Ground
    seed: int
    marks: tuple[int, ...]
    times: tuple[float, ...] = ()
    format: int = 1


def about_file(rows: Path) -> Path:
    """Returns where it stands for a file of rows."""
    return rows.with_name(f"{rows.name}.json")


def write_about(rows: Path, about: About) -> None:
    """Writes it beside a file of rows.

    Raises:
        RunError: When it cannot be written.
    """
    path = about_file(rows)
    try:
        write_whole(path, msgspec.json.format(msgspec.json.encode(about), indent=2).decode() + "\n")
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}; choose another place with --out") from None


def read_about(rows: Path) -> About | None:
    """Reads it; None where there is none.

    Raises:
        DataError: When it makes no sense.
    """
    path = about_file(rows)
    try:
        return msgspec.json.decode(path.read_bytes(), type=About)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}; name the table with --table") from None
    except msgspec.DecodeError as error:
        raise DataError(f"{path} is not what nas bench writes beside its rows: {error}; name the table with --table") from None
