"""Domains: the values a decision may take. This module knows nothing of what the decisions build.

`choice`, `integer` and `real` are typed as the value they stand for, so a block's field stays a plain `channels: int` and
strict type checkers are content, while at run time the field holds a `Domain` until a decision closes it.

Values are None, bool, int, float, str, or tuples of them. Two values are the same when both their types and their values
are: `1`, `True` and `1.0` are three values.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, Union, cast

from nas.errors import SpaceError, brief

if TYPE_CHECKING:
    import numpy as np

Value = Union[None, bool, int, float, str, "tuple[Value, ...]"]
Genotype = Mapping[str, Value]
"""Decision path to value, active decisions only."""

T = TypeVar("T")

_LARGEST = 2**53
"""Bounds beyond this are no longer whole numbers as floats, which random numbers are made from."""


def identity(value: Value) -> tuple[object, ...]:
    """Returns a hashable stand-in that is equal for equal type and value only."""
    if isinstance(value, tuple):
        return (tuple, *(identity(v) for v in value))
    return (type(value), value)


def is_value(value: object) -> bool:
    """Returns whether `value` may be the value of a decision."""
    if isinstance(value, tuple):
        return all(is_value(v) for v in value)
    if type(value) is float:
        return math.isfinite(value)
    return value is None or type(value) in (bool, int, str)


class Domain(ABC):
    """The set of values one decision may take.

    Strategies call `draw` and `near`, decoding calls `holds`, the fixed-length encoding calls `size` and `at`.
    """

    @property
    @abstractmethod
    def size(self) -> int | None:
        """How many values there are; None where they are a continuum."""

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> Value:
        """Returns a value drawn evenly (on a log scale where the domain says so)."""

    @abstractmethod
    def holds(self, value: object) -> bool:
        """Returns whether `value` is one of the values, its type included."""

    @abstractmethod
    def examples(self) -> tuple[Value, ...]:
        """Returns values by which all are judged: every one of a choice, the two ends of a range."""

    @cached_property
    def varies(self) -> bool:
        """Whether there is more than one value."""
        return len({identity(value) for value in self.examples()}) > 1

    @abstractmethod
    def near(self, value: Value) -> tuple[Value, ...]:
        """Returns the other values that one small step reaches from `value`."""

    @abstractmethod
    def at(self, position: float) -> Value:
        """Returns the value at a position: an index of the finite domains, a share in [0, 1] of a continuum."""

    @abstractmethod
    def where(self, value: Value) -> float:
        """Returns the position of a value: the inverse of `at`."""


@dataclass(frozen=True)
class Choice(Domain):
    """One of several values, in the order written."""

    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise SpaceError("choice() is empty; expected at least one value, for example choice(16, 32)")
        for value in self.values:
            if not is_value(value):
                kind, expected = type(value).__name__, "expected None, bool, int, float, str or tuples of them"
                raise SpaceError(f"choice() got {brief(value)} of type {kind}; {expected}{_fix(value, len(self.values))}")
        if len(self._index) < len(self.values):
            twice = next(v for i, v in enumerate(self.values) if identity(v) in {identity(w) for w in self.values[:i]})
            raise SpaceError(f"choice() holds {brief(twice)} more than once; expected distinct values")

    @cached_property
    def _index(self) -> dict[tuple[object, ...], int]:
        return {identity(value): i for i, value in enumerate(self.values)}

    @property
    def size(self) -> int:
        return len(self.values)

    def draw(self, rng: np.random.Generator) -> Value:
        return self.values[int(rng.random() * len(self.values))]

    def holds(self, value: object) -> bool:
        for own in self.values:  # the same object, as a rule: genotypes pass on what was drawn from here
            if own is value:
                return True
        return is_value(value) and identity(cast("Value", value)) in self._index

    def examples(self) -> tuple[Value, ...]:
        return self.values

    def near(self, value: Value) -> tuple[Value, ...]:
        """A choice has no order: all others."""
        return tuple(v for v in self.values if identity(v) != identity(value))

    def at(self, position: float) -> Value:
        return self.values[int(position)]

    def where(self, value: Value) -> float:
        return self._index[identity(value)]

    def __repr__(self) -> str:
        return f"choice({', '.join(map(repr, self.values))})"


@dataclass(frozen=True)
class Integer(Domain):
    """A whole number from `low` to `high`, both included."""

    low: int
    high: int

    def __post_init__(self) -> None:
        for name, bound in (("low", self.low), ("high", self.high)):
            if type(bound) is not int:
                raise SpaceError(f"integer(): {name} is {brief(bound)} of type {type(bound).__name__}, expected an int")
            if abs(bound) > _LARGEST:
                raise SpaceError(f"integer(): {name} is {brief(bound)}, expected at most {_LARGEST:,} in size")
        if self.low > self.high:
            raise SpaceError(f"integer(): low <= high must hold, but got low={self.low}, high={self.high}; swap them")

    @property
    def size(self) -> int:
        return self.high - self.low + 1

    def draw(self, rng: np.random.Generator) -> int:
        return self.low + int(rng.random() * self.size)

    def holds(self, value: object) -> bool:
        return type(value) is int and self.low <= value <= self.high

    def examples(self) -> tuple[Value, ...]:
        return (self.low, self.high)

    def near(self, value: Value) -> tuple[Value, ...]:
        """The next smaller and the next larger number."""
        assert isinstance(value, int)
        return tuple(v for v in (value - 1, value + 1) if self.low <= v <= self.high)

    def at(self, position: float) -> int:
        return self.low + int(position)

    def where(self, value: Value) -> float:
        assert isinstance(value, int)
        return value - self.low

    def __repr__(self) -> str:
        return f"integer({self.low}, {self.high})"


@dataclass(frozen=True)
class Real(Domain):
    """A real number from `low` to `high`, both included; drawn on a log scale where `log` says so."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        for name, bound in (("low", self.low), ("high", self.high)):
            if type(bound) is not float or not math.isfinite(bound):
                raise SpaceError(f"real(): {name} is {brief(bound)}, expected a finite number")
            if abs(bound) > _LARGEST:
                raise SpaceError(f"real(): {name} is {bound}, expected at most {_LARGEST:,} in size")
        if self.low > self.high:
            raise SpaceError(f"real(): low <= high must hold, but got low={self.low}, high={self.high}; swap them")
        if self.log and self.low <= 0:
            raise SpaceError(f"real(): a log scale needs low > 0, but got low={self.low}")

    @property
    def size(self) -> None:
        return None

    def draw(self, rng: np.random.Generator) -> float:
        return self.at(rng.random())

    def holds(self, value: object) -> bool:
        return type(value) is float and self.low <= value <= self.high

    def examples(self) -> tuple[Value, ...]:
        return (self.low, self.high)

    def near(self, value: Value) -> tuple[Value, ...]:
        """A tenth of the range down and up, on the domain's scale."""
        here = self.where(value)
        return tuple(v for p in (here - 0.1, here + 0.1) if 0 <= p <= 1 and (v := self.at(p)) != value)

    def at(self, position: float) -> float:
        if self.log:
            found = math.exp(math.log(self.low) + position * (math.log(self.high) - math.log(self.low)))
        else:
            found = self.low + position * (self.high - self.low)
        return min(max(found, self.low), self.high)  # rounding may leave the range by one step

    def where(self, value: Value) -> float:
        assert isinstance(value, float)
        if self.low == self.high:
            return 0.0
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def __repr__(self) -> str:
        return f"real({self.low}, {self.high}{', log=True' if self.log else ''})"


def _fix(value: object, beside: int) -> str:
    """Returns what to write instead of a value that is none; empty where that is not plain to see."""
    listed = list(value) if beside == 1 and isinstance(value, list | range) and 0 < len(value) <= 20 else []
    if any(hasattr(one, "expand") for one in (value, *listed)):
        return "; to choose between blocks write OneOf(block, block, ...)"
    return f"; write choice({', '.join(map(repr, listed))})" if listed and all(map(is_value, listed)) else ""


def choice(*values: T) -> T:
    """Leaves a value open: one of `values`.

    Raises:
        SpaceError: When there is none, one stands twice, or one is no plain value.
    """
    return cast("T", Choice(cast("tuple[Value, ...]", values)))


def integer(low: int, high: int) -> int:
    """Leaves a whole number open, from `low` to `high`, both included.

    Raises:
        SpaceError: When a bound is no int or `low > high`.
    """
    return cast("int", Integer(low, high))


def real(low: float, high: float, *, log: bool = False) -> float:
    """Leaves a real number open, from `low` to `high`, both included.

    Args:
        low: Smallest value; above 0 on a logarithmic scale.
        high: Largest value.
        log: Draw and step on a logarithmic scale.

    Raises:
        SpaceError: When a bound is not finite, `low > high`, or a log scale starts at 0 or below.
    """
    return cast("float", Real(_as_float(low), _as_float(high), log))


def _as_float(bound: float) -> float:
    return float(bound) if type(bound) is int and abs(bound) <= _LARGEST else bound
