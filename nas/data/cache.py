"""The folder of decoded data sets: one copy per machine, found by a key, never seen half-written."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nas.data.content import Source, shown
from nas.data.dataset import FORMAT, Dataset
from nas.errors import DataError

TEMPORARY = ".making-"
STALE_SECONDS = 24 * 3600
"""Age at which a temporary folder must come from a process that died."""


def cache_root(cache_dir: str | Path | None = None) -> Path:
    """Returns the folder of caches: the argument, else `NAS_CACHE_DIR`, else the platform's place for what can be made again.

    Raises:
        DataError: When the platform names no home folder.
    """
    chosen = cache_dir or os.environ.get("NAS_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    try:
        if sys.platform == "win32":
            base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            base = Path.home() / "Library" / "Caches"
        else:
            base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        raise DataError("there is no home folder to keep decoded images in; set NAS_CACHE_DIR") from None
    return base / "paretonas"


def cached(source: Source, options: Any, root: Path, build: Callable[[Path], None]) -> Dataset:
    """Returns the decoded data set of a source, made now where it does not lie there yet.

    It is built in a folder of a temporary name and renamed into place; where another process was quicker, its folder is used.

    Args:
        source: Where the data come from; its identity is part of the key.
        options: Plain JSON of everything else that decides the result.
        root: From `cache_root`.
        build: Fills an empty folder.

    Raises:
        DataError: When the data or the folder cannot be used.
    """
    text = json.dumps([FORMAT, source.name, source.identity, options], sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()[:20]
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in source.name)[:40]
    folder = root / "data" / f"{plain}-{key}"
    with contextlib.suppress(DataError):
        return Dataset.open(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(folder.parent)
        made = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=folder.parent))
        try:
            build(made)
            _move_into_place(made, folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        reason = f"{type(error).__name__}: {error.strerror or error}"
        raise DataError(
            f"cannot keep decoded images in {folder.parent} ({shown(reason)}); set NAS_CACHE_DIR to another folder"
        ) from None
    return Dataset.open(folder)


def _move_into_place(made: Path, folder: Path) -> None:
    """Renames a finished folder; keeps another's that is whole, replaces one that is damaged."""
    for _ in range(3):
        with contextlib.suppress(OSError):
            made.rename(folder)
            return
        with contextlib.suppress(DataError):
            Dataset.open(folder)
            return
        if folder.exists():
            aside = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=folder.parent))
            with contextlib.suppress(OSError):
                folder.rename(aside / "damaged")
            shutil.rmtree(aside, ignore_errors=True)
    made.rename(folder)


def _remove_stale(root: Path) -> None:
    """Removes temporary folders that a killed process left a day or more ago."""
    for left in root.glob(f"{TEMPORARY}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def files_identity(paths: list[Path], root: Path) -> list[list[Any]]:
    """Returns name, size and time of change of files, as part of a source's identity.

    Raises:
        DataError: When a file vanished or cannot be looked at.
    """
    rows: list[list[Any]] = [[str(root.absolute())]]
    for path in paths:
        try:
            stat = path.stat()
        except OSError as error:
            raise DataError(f"cannot read {shown(str(path))}: {error.strerror}") from None
        rows.append([os.path.relpath(path, root) if path.is_relative_to(root) else str(path), stat.st_size, stat.st_mtime_ns])
    return rows
