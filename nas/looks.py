"""Every look at the test images stands in the run whose networks were measured: written before it is taken, read by everybody."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nas.database import Lock, close_writer, explained, open_reader, open_writer
from nas.errors import RunError
from nas.lines import counted

_KEY = "looks at the test images"


def write_look(run: Path, at: float, folder: str, images: int, networks: Sequence[Mapping[str, Any]]) -> str:
    """Writes a look into a run; one of the same time and folder is replaced.

    Args:
        run: The run folder.
        at: When, in seconds since 1970.
        folder: Of the final training.
        images: How many test images.
        networks: For each training that is measured `id`, `fingerprint`, `seed`, `epochs`, `test_accuracy` (None: not known yet).

    Returns:
        Why it could not be written (the run is being searched, or nobody may write there); empty where it was.
    """
    try:
        lock = Lock(run)
        try:
            connection = open_writer(run)
            try:
                with explained(run):
                    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()
                    looks = [look for look in (json.loads(row[0]) if row else []) if (look["at"], look["folder"]) != (at, folder)]
                    looks.append({"at": at, "folder": folder, "images": images, "networks": [dict(entry) for entry in networks]})
                    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, json.dumps(looks)))
            finally:
                close_writer(connection)
        finally:
            lock.release()
    except RunError as problem:
        return str(problem)
    return ""


def look_words(looks: Sequence[Mapping[str, Any]]) -> str:
    """Returns in a line how often the test images were measured, when and where at last; empty where they never were."""
    if not looks:
        return ""
    last = looks[-1]
    when = datetime.fromtimestamp(last["at"], UTC).strftime("%Y-%m-%d %H:%M UTC")
    networks = len({entry["fingerprint"] for entry in last["networks"]})
    ended = f"{'at last' if len(looks) > 1 else 'on'} {when} for {counted(networks, 'network')} in {last['folder']}"
    return f"measured {counted(len(looks), 'time')}, {ended}"


def read_looks(run: Path) -> list[dict[str, Any]]:
    """Returns the looks at the test images that were noted in a run, the earliest first: `at`, `folder`, `images`, `networks`.

    Raises:
        RunError: When there is no run.
    """
    with open_reader(run) as connection:
        row = connection.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()
    return sorted(json.loads(row[0]), key=lambda look: look["at"]) if row else []
