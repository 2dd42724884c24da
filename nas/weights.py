"""The weights a run keeps: those of the networks on its front. All others would outgrow everything else in the folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nas.events import FrontPoint
from nas.rows import EvaluationRow

WEIGHTS = "weights"
"""Folder in the run folder that holds them."""


class FrontWeights:
    """Names the file of each network's weights, and deletes what left the front.

    Args:
        folder: The run folder.
        evaluations: What the record holds.
    """

    def __init__(self, folder: Path, evaluations: Iterable[EvaluationRow]) -> None:
        self._folder = folder
        self._weights = folder / WEIGHTS
        self._files = {row.proposal: row.measurement.checkpoint for row in evaluations if row.measurement.checkpoint}

    def file(self, fingerprint: str, recipe: str) -> Path:
        """Returns where the weights of a network, trained by the recipe of that digest, belong."""
        return self._weights / f"{fingerprint[:16]}-{recipe[:8]}.safetensors"

    def relative(self, checkpoint: str) -> str:
        """Returns a file's name relative to the run folder, so that the folder may be moved."""
        if not checkpoint or not Path(checkpoint).is_relative_to(self._folder):
            return checkpoint
        return Path(checkpoint).relative_to(self._folder).as_posix()

    def add(self, trial: int, checkpoint: str) -> None:
        """Takes note of the weights of a trial; an empty name is none."""
        if checkpoint:
            self._files[trial] = checkpoint

    def keep(self, front: Iterable[FrontPoint]) -> None:
        """Deletes the weights of all trials that are not on the front."""
        if not self._files:
            return
        for trial in self._files.keys() - {point.trial for point in front}:
            (self._folder / self._files.pop(trial)).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Deletes what a killed start left behind."""
        folder, known = self._weights, {Path(name).name for name in self._files.values()}
        for file in folder.iterdir() if folder.is_dir() else ():
            if file.name not in known:
                file.unlink(missing_ok=True)
