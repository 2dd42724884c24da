"""Who takes part in a bench: strategies as they are written on the command line, with their settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nas.errors import StrategyError
from nas.pairs import read_value
from nas.strategies.base import Strategy
from nas.strategies.table import make_strategy

_WRITTEN = re.compile(r"([^()]+?)\s*(?:\((.*)\))?", re.DOTALL)
_COMMA = re.compile(r",(?![^()]*\))")  # outside of parentheses


@dataclass(frozen=True)
class Contestant:
    """One strategy of a bench.

    Attributes:
        label: As it was written; what it is called in rows and tables.
        name: What `nas.strategies.table.make_strategy` takes.
        options: Its settings.
    """

    label: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def make(self) -> Strategy:
        """Returns a new strategy; see `make_strategy` for what it raises."""
        return make_strategy(self.name, **self.options)


def contestants(text: str) -> list[Contestant]:
    """Reads "random,evolution(population=10,tournament=3),FILE.py:Class"; a value is JSON, or text where it is none.

    Raises:
        StrategyError: When it cannot be read, names nobody, or one label stands twice.
    """
    found = [_contestant(part.strip()) for part in _COMMA.split(text) if part.strip()]
    if not found:
        raise StrategyError("no strategy given; expected names separated by commas, for example random,nsga2(population=20)")
    labels = [one.label for one in found]
    for label in labels:
        if labels.count(label) > 1:
            raise StrategyError(f"strategy {label!r} stands {labels.count(label)} times, expected once")
    return found


def _contestant(text: str) -> Contestant:
    match = _WRITTEN.fullmatch(text)
    pairs = [pair.partition("=") for pair in (match[2] or "").split(",") if pair.strip()] if match else []
    if match is None or not all(equals and name.strip() for name, equals, _ in pairs):
        raise StrategyError(f"strategy {text!r} cannot be read; expected NAME or NAME(setting=value,...)")
    return Contestant(text, match[1].strip(), {name.strip(): read_value(value.strip()) for name, _, value in pairs})
