"""Whether a description contains a network, and by which decisions: both are flattened, and leaves matched like a regular expression.

A leaf matches when its closed fields are equal and its open ones hold the network's values, or when some way to close it
expands to the same graph. Matches are tried in the order of declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import product

from nas.blocks.base import Block, join_path, settle
from nas.blocks.structure import Maybe, OneOf, Parallel, Repeat, Sequential, Shared
from nas.builder import Border, GraphBuilder
from nas.canonical import fingerprint
from nas.domains import Domain, Value, identity, is_value
from nas.errors import BlockError, SpaceError
from nas.ops import Shape

Decisions = Mapping[str, Value]
Way = tuple[tuple[int, Value], ...]
"""How to close a leaf: which of its decisions, in order of declaration, have which values."""

_MOST_STEPS = 200_000
_MOST_WAYS = 512  # ways to close a leaf that are expanded and compared


@dataclass(frozen=True)
class Item:
    """One leaf of the network: the block, and the shape that enters it."""

    block: Block
    shape: Shape


def flat(body: Block, shape: Shape, border: Border, classes: int) -> list[Item]:
    """Returns the leaves of a closed block in order, each with its input shape.

    Raises:
        BlockError: When a block cannot be applied.
    """
    items: list[Item] = []
    for leaf in _leaves(body):
        items.append(Item(leaf, shape))
        graph = GraphBuilder(shape, border, classes)
        shape = leaf.expand(graph, graph.input).shape
    return items


def _leaves(block: Block) -> Iterator[Block]:
    if isinstance(block, Sequential):
        for part in block.blocks:
            yield from _leaves(part)
    elif isinstance(block, Repeat):
        for _ in range(block.times):
            yield from _leaves(block.body)
    elif isinstance(block, Shared):
        yield from _leaves(block.body)
    else:
        yield block


class Matcher:
    """Matches an open tree against the leaves of a closed one.

    Args:
        items: What `flat` gave.
        border: How windows that leave pixels over are treated.
        classes: Classes of the network.

    Attributes:
        furthest: How many leaves were matched by the best attempt.
        reason: Why that attempt ended there.
    """

    def __init__(self, items: list[Item], border: Border, classes: int) -> None:
        self.items, self.border, self.classes = items, border, classes
        self.furthest, self.reason = -1, ""
        self.steps = 0
        self._known: dict[tuple[Block, Shape], str | None] = {}
        self._ways_known: dict[tuple[object, ...], list[Way]] = {}

    def matches(self, body: Block, path: str) -> Iterator[Decisions]:
        """Yields the decisions of every way in which `body` gives exactly the items."""
        for end, decided in self._match(body, path, 0, {}):
            if end == len(self.items):
                yield decided
            else:
                self._fails(end, f"the space ends before block {end + 1} ({self._named(end)})")

    def _fails(self, at: int, reason: str) -> None:
        if at > self.furthest:
            self.furthest, self.reason = at, reason

    def _named(self, at: int) -> str:
        return type(self.items[at].block).__name__ if at < len(self.items) else "the end of the network"

    def _match(self, block: Block, path: str, at: int, decided: Decisions) -> Iterator[tuple[int, Decisions]]:
        """Yields each place after `block` when it begins at item `at`, with the decisions taken."""
        self.steps += 1
        if self.steps > _MOST_STEPS:
            raise SpaceError(f"the space matches the network in too many ways to try them all (gave up after {_MOST_STEPS:,} steps)")
        match block:
            case Sequential():
                parts = [(part, join_path(path, label)) for part, label in zip(block.blocks, block.labels, strict=True)]
                yield from self._chain(parts, at, decided)
            case Repeat():
                yield from self._repeat(block, path, at, decided)
            case OneOf():
                for label, option in block.options.items():
                    chosen = _with(decided, join_path(path, "block"), label)
                    if chosen is not None:
                        yield from self._match(option, join_path(path, label), at, chosen)
            case Maybe():
                for present in (False, True):
                    chosen = _with(decided, join_path(path, "present"), present)
                    if chosen is not None and present:
                        yield from self._match(block.body, join_path(path, block.body.segment), at, chosen)
                    elif chosen is not None:
                        yield at, chosen
            case Shared():
                yield from self._match(block.body, f"@{block.key}", at, decided)
            case _:
                yield from self._leaf(block, path, at, decided)

    def _chain(self, parts: list[tuple[Block, str]], at: int, decided: Decisions) -> Iterator[tuple[int, Decisions]]:
        if not parts:
            yield at, decided
            return
        (block, path), rest = parts[0], parts[1:]
        for end, after in self._match(block, path, at, decided):
            yield from self._chain(rest, end, after)

    def _repeat(self, block: Repeat, path: str, at: int, decided: Decisions) -> Iterator[tuple[int, Decisions]]:
        times: object = block.times
        for n in block.counts:
            chosen: Decisions | None = decided
            if isinstance(times, Domain):
                chosen = _with(decided, f"{path}.times", n)
            if chosen is not None:
                yield from self._chain([(block.body, block.place(path, i)) for i in range(n)], at, chosen)

    def _leaf(self, block: Block, path: str, at: int, decided: Decisions) -> Iterator[tuple[int, Decisions]]:
        if at >= len(self.items):
            self._fails(at, f"{path}: the space needs another {type(block).__name__} where the network ends")
            return
        item, found = self.items[at], False
        if type(block) is type(item.block):
            for after in self._fields(block, item, path, decided, at):
                found = True
                yield at + 1, after
        if not found:
            for after in self._ways(block, item, path, decided):
                found = True
                yield at + 1, after
                if "[*]" not in path and "@" not in path:
                    break  # another way would matter only where the same decisions are met again
            if not found and type(block) is not type(item.block):
                self._fails(at, f"{path}: the space has {type(block).__name__}, the network's block {at + 1} is {type(item.block).__name__}")

    def _fields(self, block: Block, item: Item, path: str, decided: Decisions, at: int) -> Iterator[Decisions]:
        """Yields the decisions under which each field of `block` equals the item's."""
        if isinstance(block, Parallel):
            yield from self._branches(block, item, path, decided, at)
            return
        inner: list[tuple[Block, Block, str]] = []
        for f in fields(block):
            own, wanted = getattr(block, f.name), getattr(item.block, f.name)
            if f.name == "name":
                continue
            if isinstance(own, Block) and isinstance(wanted, Block):
                inner.append((own, wanted, f"{path}.{f.name}"))
            elif isinstance(own, Domain):
                chosen = _with(decided, f"{path}.{f.name}", wanted) if own.holds(wanted) else None
                if chosen is None:
                    tied = f"; it is already {decided[f'{path}.{f.name}']!r}" if own.holds(wanted) else ""
                    self._fails(at, f"{path}.{f.name} is {own!r}, the network has {wanted!r} in block {at + 1}{tied}")
                    return
                decided = chosen
            elif not _equal(own, wanted):
                self._fails(at, f"{path}.{f.name} is {own!r}, the network has {wanted!r} in block {at + 1} ({type(item.block).__name__})")
                return
        yield from self._inner(inner, item, decided)

    def _inner(self, pairs: list[tuple[Block, Block, str]], item: Item, decided: Decisions) -> Iterator[Decisions]:
        """Yields the decisions under which blocks held in fields match those of the network; their inputs have the leaf's shape."""
        if not pairs:
            yield decided
            return
        (own, wanted, path), rest = pairs[0], pairs[1:]
        for after in self._within(own, wanted, path, item.shape, decided):
            yield from self._inner(rest, item, after)

    def _within(self, own: Block, wanted: Block, path: str, shape: Shape, decided: Decisions) -> Iterator[Decisions]:
        inside = Matcher(flat(wanted, shape, self.border, self.classes), self.border, self.classes)
        for end, after in inside._match(own, path, 0, decided):
            if end == len(inside.items):
                yield after
        if inside.reason:
            self._fails(self.furthest, inside.reason)

    def _branches(self, block: Parallel, item: Item, path: str, decided: Decisions, at: int) -> Iterator[Decisions]:
        wanted = item.block
        assert isinstance(wanted, Parallel)
        if (block.merge, block.fix, len(block.blocks)) != (wanted.merge, wanted.fix, len(wanted.blocks)):
            self._fails(at, f"{path}: branches are joined differently from the network's block {at + 1}")
            return
        paths = [join_path(path, label) for label in block.labels]
        yield from self._inner(list(zip(block.blocks, wanted.blocks, paths, strict=True)), item, decided)

    def _ways(self, block: Block, item: Item, path: str, decided: Decisions) -> Iterator[Decisions]:
        """Yields decisions under which `block`, closed, expands to the same graph as the item."""
        domains = dict(block.decisions(path))
        names = list(domains)
        taken = tuple([identity(decided[at]) if at in decided else None for at in names])
        key = (block, item, taken)
        if key not in self._ways_known:
            self._ways_known[key] = list(self._tried(block, item, path, domains, decided))
        for way in self._ways_known[key]:
            yield {**decided, **{names[i]: value for i, value in way}}

    def _tried(self, block: Block, item: Item, path: str, domains: dict[str, Domain], decided: Decisions) -> Iterator[Way]:
        ways = 1
        for at, domain in domains.items():
            ways *= 1 if at in decided else domain.size or _MOST_WAYS + 1
        target = self._expanded(item.block, item.shape) if ways <= _MOST_WAYS else None
        if target is None:
            return
        place = {at: i for i, at in enumerate(domains)}
        options = [[decided[at]] if at in decided else [d.at(i) for i in range(d.size or 0)] for at, d in domains.items()]
        known: set[tuple[object, ...]] = set()
        for values in product(*options):
            used: dict[str, Value] = {}
            closed, _ = settle(block, path, _recalled(dict(zip(domains, values, strict=True)), used))
            way = tuple([(place[at], value) for at, value in used.items()])
            told = tuple([(i, identity(value)) for i, value in way])
            if closed is not None and told not in known and self._expanded(closed, item.shape) == target:
                known.add(told)
                yield way

    def _expanded(self, block: Block, shape: Shape) -> str | None:
        key = (block, shape)
        if key not in self._known:
            graph = GraphBuilder(shape, self.border, self.classes)
            try:
                self._known[key] = fingerprint(graph.finish(block.expand(graph, graph.input)))
            except BlockError:
                self._known[key] = None
        return self._known[key]


def _recalled(values: Decisions, used: dict[str, Value]) -> Callable[[str, Domain], Value]:
    def decide(path: str, domain: Domain) -> Value:
        used[path] = values[path]
        return values[path]

    return decide


def _with(decided: Decisions, path: str, value: Value) -> Decisions | None:
    """Returns the decisions with one more, or None where it contradicts one already taken (tied places)."""
    if path in decided:
        return decided if identity(decided[path]) == identity(value) else None
    return {**decided, path: value}


def _equal(a: object, b: object) -> bool:
    if is_value(a) and is_value(b):
        return identity(a) == identity(b)  # type: ignore[arg-type]  # both are values
    return a == b
