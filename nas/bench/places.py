"""Where the rows and runs of benches lie: what is meant by the files and folders that a user names, or his shell names for him."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from nas.database import DATABASE

ROWS = "rows.csv"
"""The rows of a bench with real training, in its folder."""


def rows_in(path: Path) -> Path | None:
    """Returns the rows that a path stands for: itself, or those of a bench's folder; None where it stands for none."""
    rows = path / ROWS if path.is_dir() else path
    return rows if rows.suffix.lower() == ".csv" and (rows.exists() or not path.is_dir()) else None


def runs_in(path: Path) -> list[Path]:
    """Returns the run folders in the folder of a bench, in the order of their numbers."""
    if not path.is_dir() or (path / DATABASE).is_file():
        return []
    found = [folder for folder in path.iterdir() if (folder / DATABASE).is_file()]
    return sorted(found, key=lambda folder: (_number(folder), folder.name))


def _number(folder: Path) -> int:
    digits = re.search(r"-(\d+)$", folder.name)
    return int(digits[1]) if digits else -1


def sorted_out(what: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Returns what can be read, and what is there but holds neither runs nor rows, or only those of runs that are named too.

    A path that is not there is none of these: whoever reads it says so. Where nothing else is left, nothing is passed over.
    """
    runs = {path.parent for path in what if (path / DATABASE).is_file()}

    def is_beside(path: Path) -> bool:
        if not path.exists():
            return False
        if path.is_dir():
            return not (path / DATABASE).is_file() and rows_in(path) is None and not runs_in(path)
        return path.suffix.lower() != ".csv" or (path.name == ROWS and path.parent in runs)

    kept = [path for path in what if not is_beside(path)]
    return (kept, [path for path in what if path not in kept]) if kept else (list(what), [])
