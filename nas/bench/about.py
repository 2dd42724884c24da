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


class Fact(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the rows of one repeat do not say; see `Trajectory` for the meanings.

    Attributes:
        ended: Why it ended.
        trained: In which precision and where.
        heirs: Evaluations of networks that began with the weights of an earlier one.
    """

    ended: str = ""
    trained: str = ""
    heirs: tuple[int, ...] = ()


class About(msgspec.Struct, frozen=True):
    """What stands in the file.

    Attributes:
        ground: What was searched and how.
        seed: Of the whole bench; it says which repeats of different benches are pairs.
        marks: Numbers of evaluations at which shares were told.
        times: Simulated seconds at which they were.
        evaluations: Of each repeat; None where it was not limited, or nobody wrote that down.
        seconds: Simulated budget of each repeat, likewise.
        repeats: Of each strategy, when all are there; 0 where nobody wrote that down.
        strategies: Everybody in these rows in order, each with a digest of the file it is in; blank for those of the package.
        folders: Of a bench with real runs: what the names of a strategy's folders begin with.
        facts: Of each repeat that is there, by strategy and number.
        digest: Of the table's two files.
        version: Of the package.
        format: Of this file.
    """

    ground: Ground
    seed: int
    marks: tuple[int, ...]
    times: tuple[float, ...] = ()
    evaluations: int | None = None
    seconds: float | None = None
    repeats: int = 0
    strategies: dict[str, str] = {}
    folders: dict[str, str] = {}
    facts: dict[str, dict[int, Fact]] = {}
    digest: str = ""
    version: str = ""
    format: int = 2

    def fact(self, strategy: str, repeat: int) -> Fact:
        """Returns what is known of a repeat beside its rows."""
        return self.facts.get(strategy, {}).get(repeat, Fact())


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
