"""Tells how far the runs of a bench are while they run, by looking into their folders; a network may take minutes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from nas.errors import NasError
from nas.run import open_run


class Watch:
    """Looks into run folders from a thread of its own.

    Args:
        tell: Given how many of how many evaluations have ended, whenever there are more.
        every: Seconds between two looks.
    """

    def __init__(self, tell: Callable[[int, int], None], every: float) -> None:
        self._tell, self._every = tell, every
        self._told = 0

    @contextmanager
    def over(self, folders: Sequence[Path], evaluations: int) -> Iterator[None]:
        """Watches while used as a context.

        Args:
            folders: Of the runs, those that are not there yet too.
            evaluations: Of each run.
        """
        self._told = count(folders, evaluations)
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(self._every):
                self.look(folders, evaluations)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def look(self, folders: Sequence[Path], evaluations: int) -> None:
        """Tells how far the runs are, where that has changed and they are not at their end."""
        done, total = count(folders, evaluations), len(folders) * evaluations
        if self._told < done < total:
            self._told = done
            self._tell(done, total)


def count(folders: Sequence[Path], evaluations: int) -> int:
    """Returns how many evaluations have ended in runs, no more of each than were asked for; one that cannot be read has none."""
    return sum(min(_ended(folder), evaluations) for folder in folders)


def _ended(folder: Path) -> int:
    with suppress(NasError):
        return len({row.proposal for row in open_run(folder).rows()[1]})
    return 0
