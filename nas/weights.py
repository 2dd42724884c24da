"""The weights a run keeps: those of the front, those that may still be trained on, and those that candidates may inherit. All
others would fill the disk.

So a run holds the files of its front and of what is in flight, of fewer than twice `nas.schedule.SPARE` networks for each rung but
the top one, and of `MOST_KEPT` where a strategy inherits, however long it searches. A file takes eight bytes for each trainable
value: its weight and its momentum.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from nas.events import FrontPoint
from nas.rows import EvaluationRow

WEIGHTS = "weights"
"""Folder in the run folder that holds them."""


MOST_KEPT = 32
"""Trials whose weights are kept for a strategy that may still inherit them, the front and what is in flight apart."""


class KeptWeights:
    """Names the file of each network's weights, and deletes what nobody needs any more.

    Args:
        folder: The run folder.
        evaluations: What the record holds.
    """

    def __init__(self, folder: Path, evaluations: Iterable[EvaluationRow]) -> None:
        self._folder = folder
        self._weights = folder / WEIGHTS
        self._files = {row.proposal: row.measurement.checkpoint for row in evaluations if row.measurement.checkpoint}
        self._outdated: set[str] = set()

    def file(self, fingerprint: str, recipe: str, epochs: int | None = None) -> Path:
        """Returns where the weights of a network belong.

        Args:
            fingerprint: Of the network.
            recipe: Digest of the recipe it is trained by.
            epochs: After how many, where that is not the same for all networks: the weights of the rung before are needed until
                those of the next one are recorded.
        """
        rung = "" if epochs is None else f"-{epochs}"
        return self._weights / f"{fingerprint[:16]}-{recipe[:8]}{rung}.safetensors"

    def __bool__(self) -> bool:
        """Returns whether there are any."""
        return bool(self._files)

    def relative(self, checkpoint: str) -> str:
        """Returns a file's name relative to the run folder, so that the folder may be moved."""
        if not checkpoint or not Path(checkpoint).is_relative_to(self._folder):
            return checkpoint
        return Path(checkpoint).relative_to(self._folder).as_posix()

    def add(self, trial: int, checkpoint: str) -> None:
        """Takes note of the weights of a trial, which replace those it had; an empty name is none."""
        if checkpoint:
            if self._files.get(trial, checkpoint) != checkpoint:
                self._outdated.add(self._files[trial])
            self._files[trial] = checkpoint

    def of(self, trial: int) -> Path:
        """Returns where the weights of a trial lie; a place where there is nothing when they were not kept."""
        return self._folder / self._files.get(trial, f"{WEIGHTS}/{trial}.gone")

    def keep(self, front: Iterable[FrontPoint], wanted: Iterable[int] = (), needed: Iterable[int] = ()) -> None:
        """Deletes the weights of all other trials.

        Args:
            front: Of the run.
            wanted: Trials that a strategy may still inherit from, the most wanted first; `MOST_KEPT` that have weights stay.
            needed: Trials that something in flight begins from, or that may go on to the next rung.
        """
        kept = {point.trial for point in front}.union(needed)
        kept.update(islice((trial for trial in wanted if trial in self._files), MOST_KEPT))
        for trial in self._files.keys() - kept:
            self._outdated.add(self._files.pop(trial))
        while self._outdated:
            (self._folder / self._outdated.pop()).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Deletes what a killed start left behind."""
        folder, known = self._weights, {Path(name).name for name in self._files.values()}
        for file in folder.iterdir() if folder.is_dir() else ():
            if file.name not in known:
                file.unlink(missing_ok=True)
