"""How long a search may go on: networks, epochs, or seconds, summed over all its starts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nas.errors import RunError
from nas.lines import counted, spell_seconds

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
        extra: Names of the limits that come on top of what earlier starts spent ("+4h"); `after` makes them totals.
    """

    evaluations: int | None = None
    epochs_total: int | None = None
    seconds: float | None = None
    extra: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("evaluations", "epochs_total"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise RunError(f"budget {name} is {value!r}, expected a whole number of at least 1")
        if self.seconds is not None and not self.seconds > 0:
            raise RunError(f"budget of {self.seconds:g} seconds, expected more than 0, for example 30min")
        if self.evaluations is None and self.epochs_total is None and self.seconds is None:
            raise RunError(
                "no budget given; expected --evaluations 50, --epochs-total 500 or --budget 30min "
                "(in Python evaluations=50, epochs_total=500 or budget='30min')"
            )

    def __str__(self) -> str:
        limits = [
            ("evaluations", counted(self.evaluations or 0, "evaluation")),
            ("epochs_total", counted(self.epochs_total or 0, "epoch")),
            ("seconds", spell_seconds(self.seconds or 0)),
        ]
        said = [text + (" more" if name in self.extra else "") for name, text in limits if getattr(self, name) is not None]
        return ", ".join(said) + (" (whichever comes first)" if len(said) > 1 else "")

    def after(self, evaluations: int, epochs: int, seconds: float) -> Budget:
        """Returns the same budget in totals, when so much was spent in earlier starts."""
        spent = {"evaluations": evaluations, "epochs_total": epochs, "seconds": seconds}
        return replace(self, **{name: getattr(self, name) + spent[name] for name in self.extra}, extra=())


def parse_budget(
    time: str | float | None = None, *, evaluations: str | int | None = None, epochs_total: str | int | None = None
) -> Budget:
    """Returns a budget from what a user wrote; each limit is a total over all starts, or after "+" on top of what was spent.

    Args:
        time: "90s", "30min", "1h30min", "2d", a number of seconds; "+4h".
        evaluations: Distinct networks; 50, "50", "+50".
        epochs_total: Epochs over all networks; 500, "500", "+500".

    Raises:
        RunError: When a limit is missing, zero, negative or cannot be read.
    """
    given = {"evaluations": evaluations, "epochs_total": epochs_total, "seconds": time}
    extra = tuple(name for name, value in given.items() if str(value).strip().startswith("+"))
    seconds = None if time is None else duration(str(time).strip().removeprefix("+"))
    return Budget(_whole("evaluations", evaluations), _whole("epochs_total", epochs_total), seconds, extra)


def _whole(name: str, value: str | int | None) -> int | None:
    if not isinstance(value, str):
        return value
    text = value.strip().removeprefix("+")
    if not re.fullmatch(r"-?[0-9]+", text):
        raise RunError(
            f"budget {name} {value!r} cannot be read; expected a whole number such as 50, or +50 on top of what was spent"
        )
    return int(text)


def stored_budget(options: Mapping[str, Any]) -> Budget:
    """Returns the budget of an earlier start, from what `dataclasses.asdict` made of it."""
    extra = ("seconds",) if options["extra"] is True else tuple(options["extra"] or ())  # earlier records held a flag
    return Budget(options["evaluations"], options["epochs_total"], options["seconds"], extra)


def duration(text: str, what: str = "budget") -> float:
    """Returns the seconds in "90", "90s", "30min", "1h30min" or "2d".

    Args:
        text: What was written.
        what: What for, in errors.

    Raises:
        RunError: When it cannot be read.
    """
    compact = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", compact):
        return float(compact)
    if not _DURATION.fullmatch(compact):
        raise RunError(f"{what} {text!r} cannot be read; expected a time such as 90s, 30min or 4h")
    return sum(float(number) * _UNITS[unit.lower()] for number, unit in _PART.findall(compact))
