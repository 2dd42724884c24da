"""What a final training keeps, as it stands in its files: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from nas.measurement import Measurement, Outcome
from nas.recipe import Recipe

FORMAT = 1
"""Version of `final.json`."""


@dataclass(frozen=True)
class Wish:
    """What a user asked for; see `nas.final.train_networks`.

    Attributes:
        epochs: None: not said.
        seconds: The budget; None: any time.
        hold_out: Whether validation images are kept apart.
        test: Whether the test images are measured.
        device: Where; a name that stands for one place.
        precision: In what.
        threads: Of each training.
    """

    epochs: int | None
    seconds: float | None
    hold_out: bool
    test: bool
    device: str
    precision: str
    threads: int


class Plan(msgspec.Struct, frozen=True):
    """What was settled before the first training began, and holds for all starts.

    Attributes:
        epochs: Of every training.
        epoch_seconds: Of each network on one slot while all are busy, by its key, as measured.
        recipes: Of each network, by its key.
        slots: Trainings at a time when that was measured.
        device, precision, precision_reason: Where, in what, and why.
        asked_device: What the user named; another name has them settled anew.
        torch: Version.
    """

    epochs: int
    epoch_seconds: dict[str, float]
    recipes: dict[str, dict[str, Any]]
    slots: int
    device: str
    precision: str
    precision_reason: str
    asked_device: str
    torch: str

    def recipe(self, network: str) -> Recipe:
        """Returns how a network is trained."""
        return Recipe(**self.recipes[network])


class Look(msgspec.Struct):
    """One look at the test images, written down before it is taken.

    Attributes:
        at: When, in seconds since 1970.
        trainings: Key and seed of what is measured.
        images: How many.
        not_in_run: Why the run of a network could not be told, by its folder.
    """

    at: float
    trainings: list[tuple[str, int]]
    images: int
    not_in_run: dict[str, str] = {}


class Start(msgspec.Struct):
    """One start of the command.

    Attributes:
        began: In seconds since 1970.
        seconds: How long it ran; 0 where it was killed.
    """

    began: float
    seconds: float = 0.0


class State(msgspec.Struct):
    """What `final.json` holds.

    Attributes:
        format: Version of the file.
        settings: What identifies the training; the same settings go on with it.
        picks: The networks, fixed before anything was trained or tested.
        plan: None until it is made.
        starts: One entry a start.
        looks: At the test images.
        results: One entry a network, when all is done.
    """

    format: int
    settings: dict[str, Any]
    picks: list[dict[str, Any]]
    plan: Plan | None = None
    starts: list[Start] = []
    looks: list[Look] = []
    results: list[dict[str, Any]] = []


class Training(msgspec.Struct):
    """How far the training of one network with one seed came.

    Attributes:
        network: Key of the network.
        seed: Of weights, order, augmentation and dropout.
        epochs: Trained so far.
        seconds: They took.
        outcome: `complete` at the end; else how the last segment failed, empty where none did.
        error: First line of what went wrong.
        checkpoint: File of the weights so far.
        curve: One entry an epoch.
        metrics: After the last epoch.
        test: What was measured on the test images; empty until then.
        exported: Whether the network's files are written.
    """

    network: str
    seed: int
    epochs: int = 0
    seconds: float = 0.0
    outcome: str = ""
    error: str = ""
    checkpoint: str = ""
    curve: list[dict[str, float]] = []
    metrics: dict[str, float] = {}
    test: dict[str, float] = {}
    exported: bool = False

    @property
    def complete(self) -> bool:
        """Whether all epochs are trained."""
        return self.outcome == Outcome.COMPLETE


def took_in(training: Training, measured: Measurement, checkpoint: str, epochs: int) -> None:
    """Adds a segment that ended to a training.

    Args:
        training: Changed in place.
        measured: How the segment ended.
        checkpoint: Name of the file with the weights at its end.
        epochs: Of the whole training.
    """
    training.seconds += measured.seconds
    if measured.outcome is Outcome.COMPLETE:
        training.epochs, training.checkpoint = measured.epochs, checkpoint
        training.curve += [dict(entry) for entry in measured.curve]
        training.metrics = dict(measured.metrics)
        training.outcome = str(Outcome.COMPLETE) if measured.epochs == epochs else ""
        training.error = ""
    else:
        training.outcome, training.error = str(measured.outcome), measured.error
