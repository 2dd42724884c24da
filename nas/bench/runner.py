"""A process that makes one run of a bench: arguments of `nas.search` on standard input, an `Answer` on standard output.

When its standard input ends before the run does, the bench was stopped or is gone, and the run stops as after SIGTERM: nothing is
lost.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from nas.errors import NasError
from nas.loop import search
from nas.recipe import Task


@dataclass(frozen=True)
class Answer:
    """What became of a run.

    Attributes:
        error: Why it failed, in one line; empty where it did not.
    """

    error: str = ""


def make(arguments: Mapping[str, Any]) -> Answer:
    """Makes a run, or goes on with it.

    Args:
        arguments: Of `nas.search`.

    Raises:
        SearchStopped: See `nas.search`.
    """
    try:
        search(**arguments)
    except NasError as error:
        return Answer(" ".join(str(error).split()))
    return Answer()


def read_arguments(line: bytes) -> dict[str, Any]:
    """Returns arguments of `nas.search` that were made plain JSON."""
    found: dict[str, Any] = msgspec.json.decode(line)
    if found.get("task") is not None:
        found["task"] = msgspec.convert(found["task"], Task)
    return found


def main() -> None:
    """Makes the run. What a user's own code prints goes to standard error."""
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)
        arguments = read_arguments(sys.stdin.buffer.readline())
        threading.Thread(target=_stop_at_end, daemon=True).start()
        try:
            out.write(msgspec.json.encode(make(arguments)) + b"\n")
        except KeyboardInterrupt:
            sys.exit(1)  # nobody waits for an answer


def _stop_at_end() -> None:
    """Waits for the end of standard input, then stops the search in this process."""
    while os.read(0, 1):  # not through sys.stdin, whose lock would be held when the interpreter ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
