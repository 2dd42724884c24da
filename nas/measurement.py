"""What an evaluation ends in: an outcome, and what was measured on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    """How one evaluation ended. None of these ends a search."""

    COMPLETE = "complete"
    STOPPED = "stopped early"
    INFEASIBLE = "infeasible"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out of memory"
    TIMED_OUT = "timed out"
    CRASHED = "crashed"
    INTERRUPTED = "interrupted"

    @property
    def measured(self) -> bool:
        """Whether the metrics of such an evaluation may be ranked."""
        return self in (Outcome.COMPLETE, Outcome.STOPPED)


@dataclass(frozen=True)
class Measurement:
    """The result of one training segment of one network.

    Attributes:
        outcome: How it ended.
        metrics: Name to finite value; accuracies are shares in [0, 1], times are seconds.
        curve: One mapping an epoch, in order (`epoch`, `train_loss`, `val_accuracy`, ...).
        epochs: Epochs trained so far, over all segments.
        seconds: Wall-clock seconds this segment took.
        error: The first line of what went wrong, empty where nothing did.
        checkpoint: Weights file relative to the run folder, empty where none was written.
        importances: What was measured of its channels, by module (`nas.importance`); empty where nothing asked for it.
        inherited: Share of its trainable values that it began with from its parent, 0 where the parent's weights were gone; None
            where it was to begin from nothing.
    """

    outcome: Outcome
    metrics: Mapping[str, float] = field(default_factory=dict)
    curve: tuple[Mapping[str, float], ...] = ()
    epochs: int = 0
    seconds: float = 0.0
    error: str = ""
    checkpoint: str = ""
    importances: Mapping[str, Sequence[float]] = field(default_factory=dict)
    inherited: float | None = None


class NotFinite(ValueError):
    """A metric is infinite or not a number."""


def checked_metrics(metrics: object) -> dict[str, float]:
    """Returns `metrics` as a dict of finite floats.

    Raises:
        NotFinite: When one of them is not finite; the message names it.
        ValueError: When it is no mapping of names to numbers; the message names the entry.
    """
    if not isinstance(metrics, Mapping):
        raise ValueError(f"an evaluator returns a dict of metrics, got {type(metrics).__name__}")
    checked: dict[str, float] = {}
    for name, value in metrics.items():
        if not isinstance(name, str):
            raise ValueError(f"a metric is named by a string, got {name!r}")
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ValueError(f"metric {name!r} is {value!r}, expected a number") from None
        except Exception as error:  # whatever somebody's own type raises; an int may be too large
            words = f"{type(error).__name__}: {error}"
            raise ValueError(f"metric {name!r} is no number that a float can hold ({words})") from None
        if isinstance(value, str):
            raise ValueError(f"metric {name!r} is {value!r}, expected a number")
        if not math.isfinite(number):
            raise NotFinite(f"metric {name!r} is {value!r}, expected a finite number")
        checked[name] = number
    return checked
