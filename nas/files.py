"""Files that are whole or not there, after a power cut too: written under a temporary name, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields where to write; what was written there takes the place of `path`, unless an error ends the context.

    Raises:
        OSError: When it cannot be renamed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        _on_disk(temporary)
        os.replace(temporary, path)
        if os.name == "posix":
            _on_disk(path.parent)  # the new name too
    finally:
        temporary.unlink(missing_ok=True)


def _on_disk(path: Path) -> None:
    """Waits until a file, or the names in a folder, would outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, text: str) -> None:
    """Writes a text as UTF-8, line ends as they are; what UTF-8 has no bytes for is written as an escape.

    Raises:
        OSError: When it cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
