"""What a final training tells while it runs: small frozen values, after the folder holds what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.lines import Cell, aligned, counted, number, spell_seconds

_SHOWN = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


@dataclass(frozen=True)
class Chosen:
    """The networks are fixed, and stand in the folder; nothing was trained yet.

    Attributes:
        folder: The final folder.
        picks: `Pick.described` of each.
        images: What is trained on and measured, in words.
        notes: What a user should know of the choice.
    """

    folder: str
    picks: Sequence[Mapping[str, Any]]
    images: str
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        shown: dict[str, list[Cell]] = {
            "network": [str(pick["name"]) for pick in self.picks],
            "params": [pick["params"] for pick in self.picks],
            "MACs": [pick["macs"] for pick in self.picks],
            "val_accuracy of the search": [_share(pick["search"]) for pick in self.picks],
            "95 % interval": [_interval(pick["search"]) for pick in self.picks],
        }
        rows = list(zip(*([name, *cells] for name, cells in shown.items() if any(cells)), strict=True))
        fixed = f"{counted(len(self.picks), 'network')} fixed before any test image is looked at"
        return "\n".join([f"final training in {self.folder}: {fixed}", "", aligned(rows), "", self.images, *self.notes])


@dataclass(frozen=True)
class Planned:
    """It is settled how long everything is trained, and where.

    Attributes:
        epochs: Of each training.
        why: How that number came about.
        trainings: Networks times seeds.
        slots: Trainings at a time.
        rates: Images a second of each network while all slots are busy, by its name.
        seconds: That remain, as far as these rates tell.
        where: Device, precision and recipe, in words.
        done: Epochs of all trainings together that earlier starts trained.
    """

    epochs: int
    why: str
    trainings: int
    slots: int
    rates: Mapping[str, float]
    seconds: float
    where: str
    done: int = 0

    def __str__(self) -> str:
        speeds = ", ".join(f"{name} {number(round(rate))}" for name, rate in self.rates.items())
        before = f"{counted(self.done, 'epoch')} trained in earlier starts; " if self.done else ""
        lines = [
            f"{counted(self.epochs, 'epoch')} each ({self.why}), {counted(self.trainings, 'training')}, {self.slots} at a time",
            self.where,
            f"images/s: {speeds}",
            f"{before}about {spell_seconds(self.seconds)} to go" if self.seconds else "everything is trained",
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class Trained:
    """A segment of a training ended.

    Attributes:
        name: Of the network.
        seed: Of the training.
        epoch: Epochs trained so far.
        epochs: Of the whole training.
        values: The last entry of the curve.
        ended: Trainings that ended so far.
        trainings: How many there are.
        seconds: That remain, as far as the speed so far tells.
    """

    name: str
    seed: int
    epoch: int
    epochs: int
    values: Mapping[str, float]
    ended: int
    trainings: int
    seconds: float

    def __str__(self) -> str:
        values = ", ".join(f"{name} {self.values[name]:.4f}" for name in _SHOWN if name in self.values)
        left = f", about {spell_seconds(self.seconds)} to go" if self.seconds else ""
        done = f"{self.ended} of {counted(self.trainings, 'training')} ended{left}"
        return f"{self.name} seed {self.seed}: epoch {self.epoch} of {self.epochs}, {values}; {done}"


@dataclass(frozen=True)
class Failed:
    """A segment of a training failed.

    Attributes:
        name: Of the network.
        seed: Of the training.
        outcome: How it ended.
        error: What went wrong.
        again: Whether it is tried once more.
    """

    name: str
    seed: int
    outcome: str
    error: str
    again: bool

    def __str__(self) -> str:
        then = "tried once more from its last checkpoint" if self.again else "given up"
        return f"{self.name} seed {self.seed} {self.outcome}: {self.error}; {then}"


@dataclass(frozen=True)
class Looking:
    """The test images are about to be measured; that stands in the folder.

    Attributes:
        trainings: How many trained networks.
        images: How many test images.
        not_in_run: Runs that could not be told, and why.
    """

    trainings: int
    images: int
    not_in_run: Mapping[str, str]

    def __str__(self) -> str:
        lines = [
            f"all is trained: {counted(self.images, 'test image')} measured, once for each of {counted(self.trainings, 'training')}"
        ]
        return "\n".join([*lines, *(f"this look could not be noted in {run}: {why}" for run, why in self.not_in_run.items())])


@dataclass(frozen=True)
class Unnoted:
    """What the test images have shown could not be noted in some runs.

    Attributes:
        runs: Which, and why.
    """

    runs: Mapping[str, str]

    def __str__(self) -> str:
        return "\n".join(f"what the test images showed could not be noted in {run}: {why}" for run, why in self.runs.items())


FinalEvent = Chosen | Planned | Trained | Failed | Looking | Unnoted
"""Any of the above."""


def _share(search: Mapping[str, float]) -> str:
    return f"{search['val_accuracy']:.4f} after {counted(int(search['epochs']), 'epoch')}" if search else ""


def _interval(search: Mapping[str, float]) -> str:
    if not search:
        return ""
    images = counted(int(search["val_images"]), "image")
    return f"{search['val_accuracy_low']:.4f} to {search['val_accuracy_high']:.4f} ({images})"
