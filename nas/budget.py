"""How long a search may go on: networks, epochs, or seconds, summed over all its starts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nas.errors import RunError

_UNITS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:sec|min|[smhd])\s*)+", re.IGNORECASE)
_PART = re.compile(r"(\d+(?:\.\d+)?)(sec|min|[smhd])", re.IGNORECASE)


@dataclass(frozen=True)
class Budget:
    """What a search may spend; it ends at whichever limit is reached first, None leaves one open.

    Attributes:
        evaluations: Distinct networks whose first training segment ended, whatever its outcome. Repeats cost nothing.
        epochs_total: Epochs trained, over all networks. A network whose epochs do not fit in any more is not started.
        seconds: Wall-clock seconds, the sum over all starts. At the limit nothing new is started; what is in flight ends.
        extra: Whether `seconds` comes on top of what earlier starts took ("+4h").
    """

    evaluations: int | None = None
    epochs_total: int | None = None
    seconds: float | None = None
    extra: bool = False

    def __post_init__(self) -> None:
        for name in ("evaluations", "epochs_total"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise RunError(f"budget {name} is {value!r}, expected a whole number of at least 1")
        if self.seconds is not None and not self.seconds > 0:
            raise RunError(f"budget of {self.seconds:g} seconds, expected more than 0, for example 30min")
        if self.evaluations is None and self.epochs_total is None and self.seconds is None:
            raise RunError("no budget given; expected evaluations (50), a total of epochs (500) or a time (30min)")

    def seconds_limit(self, spent: float) -> float:
        """Returns the limit on the sum over all starts, `spent` seconds of which are over at this start."""
        if self.seconds is None:
            return float("inf")
        return self.seconds + spent if self.extra else self.seconds


def parse_budget(time: str | float | None = None, *, evaluations: int | None = None, epochs_total: int | None = None) -> Budget:
    """Returns a budget from what a user wrote.

    Args:
        time: "90s", "30min", "1h30min", "2d", a number of seconds, or one of these after "+": on top of what was spent.
        evaluations: Distinct networks.
        epochs_total: Epochs over all networks.

    Raises:
        RunError: When a limit is missing, zero, negative or cannot be read.
    """
    if time is None:
        return Budget(evaluations, epochs_total)
    text = str(time).strip()
    return Budget(evaluations, epochs_total, duration(text.removeprefix("+")), text.startswith("+"))


def duration(text: str) -> float:
    """Returns the seconds in "90", "90s", "30min", "1h30min" or "2d".

    Raises:
        RunError: When it cannot be read.
    """
    compact = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", compact):
        return float(compact)
    if not _DURATION.fullmatch(compact):
        raise RunError(f"budget {text!r} cannot be read; expected a time such as 90s, 30min, 4h or +4h")
    return sum(float(number) * _UNITS[unit.lower()] for number, unit in _PART.findall(compact))
