"""What a block is: a frozen dataclass whose fields hold values, open decisions, or blocks, and which expands into a graph.

A block of one's own derives from `Block`, is a frozen dataclass, and has one method, `expand`; nothing needs to be registered.
Blocks know no strategy and no training; decisions are made by whoever calls `close`.
"""

from __future__ import annotations

import re
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Union

from nas.annotations import field_hints, matches, spelled
from nas.builder import GraphBuilder, Node
from nas.counting import Counted
from nas.domains import Choice, Domain, Value, identity
from nas.errors import BlockError, SpaceError, brief

B = typing.TypeVar("B", bound="Block")

Decide = Callable[[str, Domain], Value]
"""Answers with the value of the decision at a path."""

_Held = Union["Block", "tuple[Block, ...]"]

_MOST_REMEMBERED = 4096  # closed copies of one block
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Block(ABC):
    """A part of a network.

    Attributes:
        name: A readable word for the paths of the decisions below it; the lower-case class name where it is empty.
        width_fields: Which fields say how many channels it makes (numbers or tuples of them): what `nas.scale` multiplies.
        depth_fields: Which fields say how often something in it is repeated: likewise.
    """

    width_fields: ClassVar[tuple[str, ...]] = ("channels",)
    depth_fields: ClassVar[tuple[str, ...]] = ()

    name: str = field(default="", kw_only=True)

    @abstractmethod
    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        """Writes this block into `graph` behind `x` and returns its output. Every field is closed, every shape known.

        Raises:
            BlockError: When it cannot be applied to `x`.
        """

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or (self.name and not _NAME.fullmatch(self.name)):
            raise SpaceError(
                f"{type(self).__name__}: name={brief(self.name)}, expected letters, digits, '_' and '-', beginning with a letter"
            )
        for key, hint in field_hints(type(self)).items():
            value = getattr(self, key)
            for one in value.examples() if isinstance(value, Domain) else (value,):
                if not matches(one, hint):
                    got = f"{brief(one)} of type {type(one).__name__}" if one is value or isinstance(value, Choice) else repr(value)
                    raise SpaceError(f"{type(self).__name__}: field {key!r} is {got}, expected {spelled(hint)}")

    @property
    def segment(self) -> str:
        """Its step in the paths of decisions."""
        return self.name or type(self).__name__.lower()

    @cached_property
    def is_open(self) -> bool:
        """Whether a decision is left in it."""
        return bool(self._open_fields)

    @cached_property
    def _open_fields(self) -> tuple[tuple[str, Domain | None, _Held], ...]:
        """For each open field its name, and either its domain or the blocks in it."""
        found: list[tuple[str, Domain | None, _Held]] = []
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, Domain):
                found.append((f.name, value, ()))
            elif (isinstance(value, Block) and value.is_open) or (
                isinstance(value, tuple) and any(isinstance(v, Block) and v.is_open for v in value)
            ):
                found.append((f.name, None, value))
        return tuple(found)

    def pick(self, path: str, decide: Decide) -> tuple[Block | None, str]:
        """Returns the block that stands here and its path; those that only stand for another one override it."""
        return self, path

    def close(self, path: str, decide: Decide) -> Block:
        """Returns this block with every decision made.

        Args:
            path: Where it stands.
            decide: Asked once for each open decision, in order of declaration.
        """
        if not self._open_fields:
            return self
        values: dict[str, Any] = {}
        key: list[object] = []
        for name, domain, parts in self._open_fields:
            if domain is not None:
                closed: Any = decide(f"{path}.{name}", domain)
                key.append(identity(closed))
            else:
                closed = _closed_field(parts, f"{path}.{name}", decide)
                key.append(tuple([id(part) for part in closed]) if isinstance(closed, tuple) else id(closed))
            values[name] = closed
        known: dict[tuple[object, ...], Block] = self.__dict__.setdefault("_closed", {})
        found = known.get(tuple(key))
        if found is None:
            found = self.with_fields(**values)
            if len(known) >= _MOST_REMEMBERED:
                known.clear()
            known[tuple(key)] = found  # holds its parts, so that no other object comes to have their ids
        return found

    def with_fields(self, **values: object) -> typing.Self:
        """Returns a copy with other values in these fields, without checking them again."""
        copy = object.__new__(type(self))
        for name in _names(type(self)):
            object.__setattr__(copy, name, values[name] if name in values else getattr(self, name))
        return copy

    def with_parts(self, change: Callable[[Block], Block]) -> typing.Self:
        """Returns a copy with `change` applied to the blocks that stand directly in its fields; itself where that changes none."""
        values: dict[str, object] = {}
        for name in _names(type(self)):
            value = getattr(self, name)
            if isinstance(value, Block):
                new: object = change(value)
            elif isinstance(value, tuple):
                new = tuple([change(part) if isinstance(part, Block) else part for part in value])
            else:
                continue
            if new != value:
                values[name] = new
        return self.with_fields(**values) if values else self

    def unstrided(self) -> Block | None:
        """Returns it as it stands in further copies of a repetition, which keep the image's size; None where nothing is left.

        A field `stride` becomes 1, in the blocks below it too. A class that makes the image smaller in another way overrides it.
        """
        kept = self.with_parts(lambda part: part.unstrided() or _nothing())
        stride = getattr(self, "stride", 1)
        return kept.with_fields(stride=1) if stride not in (1, (1, 1), None) else kept

    def ask(self, path: str, decide: Decide) -> None:
        """Asks `decide` what `close` asks, in the same order, and builds nothing.

        A class that overrides `close` may leave this alone.
        """
        if type(self).close is not Block.close and type(self).ask is Block.ask:
            self.close(path, decide)
            return
        for name, domain, parts in self._open_fields:
            if domain is not None:
                decide(f"{path}.{name}", domain)
            else:
                for part, at in _parts(parts, f"{path}.{name}"):
                    ask(part, at, decide)

    def decisions(self, path: str) -> Iterator[tuple[str, Domain]]:
        """Yields every decision that can ever be active below it, with its path."""
        for name, domain, parts in self._open_fields:
            if domain is not None:
                yield f"{path}.{name}", domain
            else:
                for part, at in _parts(parts, f"{path}.{name}"):
                    yield from part.decisions(at)

    def count(self) -> Counted:
        """Returns how many genotypes it has, as a sum over the sets of shared names they use (see `Counted`)."""
        total = Counted({frozenset(): 1})
        for _, domain, parts in self._open_fields:
            if domain is not None:
                total = total.times(Counted({frozenset(): domain.size}))
            else:
                for part, _ in _parts(parts, ""):
                    total = total.times(part.count())
        return total

    def children(self) -> Iterator[Block]:
        """Yields the blocks that stand directly in its fields."""
        for f in fields(self):
            value = getattr(self, f.name)
            for part in value if isinstance(value, tuple) else (value,):
                if isinstance(part, Block):
                    yield part

    def walk(self) -> Iterator[Block]:
        """Yields it and every block below it."""
        yield self
        for child in self.children():
            yield from child.walk()


def made(cls: type[B], values: dict[str, Any]) -> B:
    """Returns a block with these fields without checking them: they were checked when the space was written."""
    block = object.__new__(cls)
    block.__dict__.update(values)
    return block


@lru_cache(None)
def _names(cls: type[Block]) -> tuple[str, ...]:
    return tuple(f.name for f in fields(cls))


def settle(block: Block, path: str, decide: Decide) -> tuple[Block | None, str]:
    """Returns the closed block that stands here and its path; None where a `Maybe` leaves the place empty.

    Args:
        block: What was written at this place; it may only stand for another one.
        path: Of the place.
        decide: Asked once for each open decision, in order of declaration.
    """
    current: Block | None = block
    while current is not None:
        picked, at = current.pick(path, decide)
        if picked is current:
            return current.close(at, decide), at
        current, path = picked, at
    return None, path


def ask(block: Block, path: str, decide: Decide) -> None:
    """Asks `decide` what `settle` asks, in the same order, and builds nothing."""
    current: Block | None = block
    while current is not None:
        picked, at = current.pick(path, decide)
        if picked is current:
            current.ask(at, decide)
            return
        current, path = picked, at


def join_path(path: str, segment: str) -> str:
    """Returns `segment` below `path`."""
    return f"{path}.{segment}" if path else segment


def _parts(value: _Held, path: str) -> Iterator[tuple[Block, str]]:
    if isinstance(value, Block):
        yield value, path
    else:
        for i, part in enumerate(value):
            if isinstance(part, Block):
                yield part, f"{path}[{i}]"


def _closed_field(value: _Held, path: str, decide: Decide) -> Any:
    if isinstance(value, Block):
        closed, _ = settle(value, path, decide)
        return _nothing() if closed is None else closed
    parts = [settle(part, f"{path}[{i}]", decide)[0] if isinstance(part, Block) else part for i, part in enumerate(value)]
    return tuple(part for part in parts if part is not None)


def _nothing() -> Block:
    """Returns the block that passes its input on: what stands in a field whose `Maybe` was left out."""
    from nas.blocks.structure import Sequential  # which derives from this module's Block

    return Sequential()


def expand_at(block: Block, graph: GraphBuilder, x: Node, label: str) -> Node:
    """Expands `block` under a label; an error names the block, its path and the shape it met.

    Args:
        block: Closed.
        graph: Where it writes.
        x: What enters it.
        label: Its step in the path below the block that is being expanded; "[0]" for the first repetition.

    Raises:
        BlockError: When the block cannot be applied.
    """
    before = graph.label
    graph.label = f"{before}.{label}" if before and label and label[0] != "[" else before + label
    try:
        y = block.expand(graph, x)
        if not isinstance(y, Node):
            raise BlockError(f"expand returned {y!r}, expected a Node of the graph")
    except BlockError as error:
        if getattr(error, "located", False):
            raise
        raise _located(f"{graph.label or block.segment}: {_as_written(block)} cannot be applied to {x.shape}: {error}") from error
    except Exception as error:  # a block is a user's code: what it raises is told with its place
        raise _located(
            f"{graph.label or block.segment}: {_as_written(block)} failed on {x.shape}: {type(error).__name__}: {error}"
        ) from error
    finally:
        graph.label = before
    return y


def _located(message: str) -> BlockError:
    error = BlockError(" ".join(message.split()))  # what a user's code raises may have several lines
    error.located = True  # type: ignore[attr-defined]  # said once, by the innermost block
    return error


def _as_written(block: Block) -> str:
    """Returns the block as its user wrote it: fields that differ from their defaults."""
    shown = [
        f"{f.name}={getattr(block, f.name)!r}" for f in fields(block) if f.name != "name" and getattr(block, f.name) != f.default
    ]
    text = f"{type(block).__name__}({', '.join(shown)})"
    return text if len(text) <= 100 else f"{type(block).__name__}(...)"
