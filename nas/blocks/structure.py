"""Blocks that hold other blocks: one after another, one of several, several times, perhaps, side by side, tied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, cast

from nas.blocks.base import Block, Decide, ask, expand_at, join_path, made, settle
from nas.builder import GraphBuilder, Join, Node
from nas.counting import Counted
from nas.domains import Choice, Domain, Integer
from nas.errors import SpaceError, brief

_MOST_TIMES = 1_000  # repetitions; far more are a slip of the pen, and every one has decisions of its own


def _segments(owner: str, blocks: tuple[Block, ...]) -> tuple[str, ...]:
    """Returns distinct steps for siblings: a name, else the class; the second of a class is called `conv2`.

    Raises:
        SpaceError: When two siblings have one name.
    """
    taken = [block.name for block in blocks if block.name]
    for name, count in Counter(taken).items():
        if count > 1:
            raise SpaceError(f"{owner}: two blocks side by side have the name {name!r}; give each its own")
    used, reached = set(taken), dict[str, int]()
    segments: list[str] = []
    for block in blocks:
        segment = block.segment
        if not block.name:
            n = reached.get(segment, 1)
            while (numbered := segment if n == 1 else f"{segment}{n}") in used:
                n += 1
            reached[segment], segment = n, numbered
        used.add(segment)
        segments.append(segment)
    return tuple(segments)


def _blocks(owner: str, blocks: tuple[object, ...], least: int) -> tuple[Block, ...]:
    for block in blocks:
        if not isinstance(block, Block):
            fix = "; a class is not a block: write " + block.__name__ + "(...)" if isinstance(block, type) else ""
            raise SpaceError(f"{owner}: got {block!r} of type {type(block).__name__}, expected blocks{fix}")
    if len(blocks) < least:
        raise SpaceError(f"{owner}: got {len(blocks)} blocks, expected at least {least}")
    return cast("tuple[Block, ...]", blocks)


@dataclass(frozen=True, init=False)
class Several(Block):
    """Blocks given one after another: `Sequential(a, b, c, name="stem")`."""

    blocks: tuple[Block, ...]
    labels: tuple[str, ...] = field(default=(), repr=False, kw_only=True)

    def __init__(self, *blocks: Block, name: str = "", labels: tuple[str, ...] = ()) -> None:
        owner = type(self).__name__
        object.__setattr__(self, "blocks", _blocks(owner, blocks, 0))
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "labels", labels or _segments(owner, self.blocks))
        self.__post_init__()
        if len(set(self.labels)) != len(self.blocks):
            raise SpaceError(
                f"{owner}: got labels {self.labels!r} for {len(self.blocks)} blocks, expected a different one for each"
            )

    @cached_property
    def is_open(self) -> bool:
        return any(block.is_open for block in self.blocks)

    def close(self, path: str, decide: Decide) -> Block:
        if not self.is_open:
            return self
        blocks: list[Block] = []
        labels: list[str] = []
        for block, segment in zip(self.blocks, self.labels, strict=True):
            place = join_path(path, segment)
            closed, at = settle(block, place, decide)
            if closed is not None:
                blocks.append(closed)
                labels.append(segment + at[len(place) :] if at.startswith(place) else segment)
        return made(type(self), {**self.__dict__, "is_open": False, "blocks": tuple(blocks), "labels": tuple(labels)})

    def ask(self, path: str, decide: Decide) -> None:
        for block, segment in zip(self.blocks, self.labels, strict=True):
            if block.is_open:
                ask(block, join_path(path, segment), decide)

    def decisions(self, path: str) -> Iterator[tuple[str, Domain]]:
        for block, segment in zip(self.blocks, self.labels, strict=True):
            yield from block.decisions(join_path(path, segment))

    def count(self) -> Counted:
        total = Counted({frozenset(): 1})
        for block in self.blocks:
            total = total.times(block.count())
        return total


@dataclass(frozen=True, init=False)
class Sequential(Several):
    """Blocks one after another."""

    def unstrided(self) -> Block | None:
        kept = [(block.unstrided(), label) for block, label in zip(self.blocks, self.labels, strict=True)]
        blocks = tuple([block for block, _ in kept if block is not None])
        labels = tuple([label for block, label in kept if block is not None])
        return self.with_fields(blocks=blocks, labels=labels) if blocks or not self.blocks else None

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        for block, label in zip(self.blocks, self.labels, strict=True):
            x = expand_at(block, graph, x, label)
        return x


@dataclass(frozen=True, init=False)
class Parallel(Several):
    """Branches side by side on the same input, joined by a declared rule.

    Attributes:
        merge: "concat" (along the channels, in order) or "add".
        fix: What is done where the branches' shapes differ: "refuse", "project", "pad" or "crop" (see `GraphBuilder.join`).
    """

    merge: Literal["concat", "add"] = field(default="concat", kw_only=True)
    fix: Join = field(default="refuse", kw_only=True)

    def __init__(
        self,
        *blocks: Block,
        merge: Literal["concat", "add"] = "concat",
        fix: Join = "refuse",
        name: str = "",
        labels: tuple[str, ...] = (),
    ) -> None:
        object.__setattr__(self, "merge", merge)
        object.__setattr__(self, "fix", fix)
        super().__init__(*_blocks("Parallel", blocks, 1), name=name, labels=labels)
        if any(isinstance(getattr(self, f), Domain) for f in ("merge", "fix")):
            raise SpaceError(
                "Parallel: how branches are joined cannot be left open; use OneOf(Parallel(..., merge='add'), Parallel(...))"
            )

    def close(self, path: str, decide: Decide) -> Block:
        closed = super().close(path, decide)
        return (
            closed
            if not isinstance(closed, Parallel) or closed.blocks
            else made(Sequential, {"name": self.name, "blocks": (), "labels": ()})
        )

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        branches = [expand_at(block, graph, x, label) for block, label in zip(self.blocks, self.labels, strict=True)]
        return graph.join(branches, self.merge, self.fix)


@dataclass(frozen=True, init=False)
class OneOf(Several):
    """One of several blocks: the decision `block`, whose values are the options' names."""

    def __init__(self, *blocks: Block, name: str = "", labels: tuple[str, ...] = ()) -> None:
        super().__init__(*_blocks("OneOf", blocks, 1), name=name, labels=labels)

    @cached_property
    def is_open(self) -> bool:
        return True

    @cached_property
    def domain(self) -> Choice:
        """The names of the options."""
        return Choice(self.labels)

    @cached_property
    def options(self) -> dict[str, Block]:
        """Each option by its name."""
        return dict(zip(self.labels, self.blocks, strict=True))

    def pick(self, path: str, decide: Decide) -> tuple[Block | None, str]:
        label = cast("str", decide(join_path(path, "block"), self.domain))
        return self.options[label], join_path(path, label)

    def decisions(self, path: str) -> Iterator[tuple[str, Domain]]:
        yield join_path(path, "block"), self.domain
        yield from super().decisions(path)

    def count(self) -> Counted:
        total = Counted({})
        for block in self.blocks:
            total = total.plus(block.count())
        return total

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        raise SpaceError("OneOf is open; decode a genotype first")


@dataclass(frozen=True)
class Repeat(Block):
    """A block several times in a row.

    Attributes:
        body: What is repeated; decided anew in each repetition, unless `tied`.
        times: How often, from 0 on.
        tied: Decide once for all repetitions (the repeated cells of Zoph et al. 2018). Decisions are tied, never weights.
    """

    body: Block
    times: int
    tied: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        tied: object = self.tied
        if isinstance(tied, Domain):
            raise SpaceError("Repeat: tied cannot be left open; use OneOf(Repeat(..., tied=True), Repeat(...))")
        times: object = self.times
        ends = (times.low, times.high) if isinstance(times, Integer) else self.counts
        if min(ends) < 0 or max(ends) > _MOST_TIMES:
            raise SpaceError(f"Repeat: times is {self.times!r}, expected from 0 to {_MOST_TIMES:,}")

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Every number of repetitions that is allowed."""
        times: object = self.times
        if isinstance(times, Integer):
            return tuple(range(times.low, times.high + 1))
        return cast("tuple[int, ...]", times.values) if isinstance(times, Choice) else (self.times,)

    @cached_property
    def is_open(self) -> bool:
        return isinstance(self.times, Domain) or self.body.is_open

    def place(self, path: str, i: int) -> str:
        """Returns the path of the i-th repetition."""
        return f"{path}[*]" if self.tied else f"{path}[{i}]"

    def close(self, path: str, decide: Decide) -> Block:
        if not self.is_open:
            return self
        times: object = self.times
        n = cast("int", decide(f"{path}.times", times) if isinstance(times, Domain) else times)
        blocks: list[Block] = []
        labels: list[str] = []
        for i in range(n):
            place = self.place(path, i)
            closed, at = settle(self.body, place, decide)
            if closed is not None:
                blocks.append(closed)
                labels.append(f"[{i}]" + (at[len(place) :] if at.startswith(place) else ""))
        return made(Sequential, {"name": self.name, "blocks": tuple(blocks), "labels": tuple(labels)})

    def ask(self, path: str, decide: Decide) -> None:
        times: object = self.times
        n = cast("int", decide(f"{path}.times", times) if isinstance(times, Domain) else times)
        if self.body.is_open:
            for i in range(min(n, 1) if self.tied else n):
                ask(self.body, self.place(path, i), decide)

    def decisions(self, path: str) -> Iterator[tuple[str, Domain]]:
        if isinstance(self.times, Domain):
            yield f"{path}.times", self.times
        for i in range(min(max(self.counts), 1) if self.tied else max(self.counts)):
            yield from self.body.decisions(self.place(path, i))

    def count(self) -> Counted:
        body, total = self.body.count(), Counted({})
        powers = [Counted({frozenset(): 1})]
        for _ in range(min(max(self.counts), 1) if self.tied else max(self.counts)):
            powers.append(powers[-1].times(body))
        for n in self.counts:
            total = total.plus(powers[min(n, 1) if self.tied else n])
        return total

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        for i in range(self.times):
            x = expand_at(self.body, graph, x, f"[{i}]")
        return x


@dataclass(frozen=True)
class Maybe(Block):
    """A block that may be left out: the decision `present`."""

    body: Block

    @cached_property
    def is_open(self) -> bool:
        return True

    def pick(self, path: str, decide: Decide) -> tuple[Block | None, str]:
        present = decide(join_path(path, "present"), _PRESENT)
        return (self.body, join_path(path, self.body.segment)) if present else (None, path)

    def decisions(self, path: str) -> Iterator[tuple[str, Domain]]:
        yield join_path(path, "present"), _PRESENT
        yield from self.body.decisions(join_path(path, self.body.segment))

    def count(self) -> Counted:
        return Counted({frozenset(): 1}).plus(self.body.count())

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        raise SpaceError("Maybe is open; decode a genotype first")


_PRESENT = Choice((False, True))


@dataclass(frozen=True)
class Shared(Block):
    """A block whose decisions are made once for all places that carry the same key; made by `shared`."""

    key: str
    body: Block

    def __post_init__(self) -> None:
        if not isinstance(self.key, str) or not self.key.replace("_", "a").replace("-", "a").isalnum():
            raise SpaceError(f"shared(): the name is {brief(self.key)}, expected letters, digits, '_' and '-'")
        super().__post_init__()

    @cached_property
    def is_open(self) -> bool:
        return self.body.is_open

    @property
    def segment(self) -> str:
        return self.name or self.body.segment

    def pick(self, path: str, decide: Decide) -> tuple[Block | None, str]:
        return self.body, f"@{self.key}"

    def decisions(self, path: str) -> Iterator[tuple[str, Domain]]:
        yield from self.body.decisions(f"@{self.key}")

    def count(self) -> Counted:
        return Counted({frozenset({self.key}): 1}) if self.is_open else Counted({frozenset(): 1})

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        return self.body.expand(graph, x)


def shared(key: str, block: Block) -> Shared:
    """Ties the decisions of places that lie apart: every `shared("normal", block)` of a space decides alike.

    Args:
        key: Their common name; its decisions have paths that begin with `@key`.
        block: The same block in every place.

    Raises:
        SpaceError: When `key` is no plain name or `block` no block.
    """
    return Shared(key, *_blocks("shared", (block,), 1))
