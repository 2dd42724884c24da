"""Whether a description contains a network, and by which decisions: both are flattened, leaves match as in a regular expression.

A leaf matches when its closed fields are equal and its open ones hold the network's values, or when some way to close it
expands to the same graph. Of several ways to match the same leaves the first in order of declaration is kept, so matching
takes no longer for a space with many encodings of one network. Decisions that are tied (shared, or in a tied repetition) are
carried along, and ways that differ in them are all followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields

from nas.blocks.base import Block, join_path
from nas.blocks.structure import Maybe, OneOf, Parallel, Repeat, Sequential, Several, Shared
from nas.closings import Closings, Item, flat
from nas.domains import Domain, Value, identity, is_value
from nas.errors import BlockError, SpaceError
from nas.ops import Shape
from nas.ties import Decisions, agree, carried, is_tied, key_of, moved, options, standing
from nas.windows import Border

Match = tuple[int, Decisions]
"""The place behind what was matched, and the decisions taken for it."""

_MOST_STEPS = 30_000


class Matcher:
    """Matches an open tree against the leaves of a closed one.

    Args:
        items: What `flat` gave.
        border: How the space treats windows that leave pixels over.
        classes: Classes of the network.
        written: How the network treats them.

    Attributes:
        furthest: How many leaves were matched by the best attempt.
        reason: Why that attempt ended there.
    """

    def __init__(self, items: list[Item], border: Border, classes: int, written: Border) -> None:
        self.items, self.border, self.classes, self.written = items, border, classes, written
        self.furthest, self.reason = -1, ""
        self._steps = 0
        self._matched: dict[tuple[object, ...], tuple[Match, ...]] = {}
        self._closings = Closings(border, classes, written)
        self._inside: dict[tuple[int, Shape], Matcher | None] = {}

    def matches(self, body: Block, path: str) -> Iterator[Decisions]:
        """Yields decisions under which `body` gives exactly the items."""
        for end, decided in self._match(body, path, 0, {}):
            if end == len(self.items):
                yield decided
            else:
                self._fails(end, f"the space ends before block {end + 1} ({type(self.items[end].block).__name__})")

    def _fails(self, at: int, reason: str) -> None:
        if at > self.furthest:
            self.furthest, self.reason = at, reason

    # ---- blocks that hold others

    def _match(self, block: Block, path: str, at: int, ties: Decisions) -> Iterable[Match]:
        """Returns each place behind `block` when it begins at item `at`, with the first decisions that lead there.

        Args:
            block: What is matched.
            path: Where it stands.
            at: Index of the first item it may take.
            ties: Decisions already taken that may be met again.
        """
        tied = is_tied(path)
        key = (id(block), at, path if tied else "", key_of(ties))
        if key not in self._matched:
            self._steps += 1
            if self._steps > _MOST_STEPS:
                raise SpaceError(
                    f"the space matches the network in too many ways to try them all (gave up after {_MOST_STEPS:,} steps)"
                )
            first: dict[object, Match] = {}
            for end, decided in self._tried(block, path, at, ties):
                first.setdefault((end, key_of(carried(decided, path))), (end, decided))
            self._matched[key] = tuple([(end, moved(decided, path, "")) for end, decided in first.values()])
        return [(end, moved(decided, "", path)) for end, decided in self._matched[key]]

    def _tried(self, block: Block, path: str, at: int, ties: Decisions) -> Iterator[Match]:
        match block:
            case Sequential():
                states: list[tuple[int, Decisions, Decisions]] = [(at, ties, {})]
                for part, label in zip(block.blocks, block.labels, strict=True):
                    states = self._after(states, part, join_path(path, label))
                yield from ((end, decided) for end, _, decided in states)
            case Repeat():
                yield from self._repeat(block, path, at, ties)
            case OneOf() | Maybe() | Shared():
                for chosen, option, place in options(block, path, ties):
                    if option is None:
                        yield at, chosen
                    else:
                        yield from ((end, {**chosen, **more}) for end, more in self._match(option, place, at, ties))
            case Parallel():
                places = tuple([join_path(path, label) for label in block.labels])
                yield from ((at, decided) for decided in self._aligned(block.blocks, (), places, (), ties))  # every branch left out
                yield from self._leaf(block, path, at, ties)
            case _:
                yield from self._leaf(block, path, at, ties)

    def _after(
        self, states: list[tuple[int, Decisions, Decisions]], block: Block, path: str
    ) -> list[tuple[int, Decisions, Decisions]]:
        """Returns each place, ties and decisions behind `block` when it begins at one of these."""
        found: dict[object, tuple[int, Decisions, Decisions]] = {}
        for at, ties, decided in states:
            for end, more in self._match(block, path, at, ties):
                after = {**ties, **carried(more, path)}
                found.setdefault((end, key_of(after)), (end, after, {**decided, **more}))
        return list(found.values())

    def _repeat(self, block: Repeat, path: str, at: int, ties: Decisions) -> Iterator[Match]:
        states: list[tuple[int, Decisions, Decisions]] = [(at, ties, {})]
        behind = [states]  # after no repetition, one, two, ...
        while len(behind) <= max(block.counts) and states:
            states = self._after(states, block.body, block.place(path, len(behind) - 1))
            behind.append(states)
        is_open = isinstance(block.times, Domain)
        for n in block.counts:
            chosen = {f"{path}.times": n} if is_open else {}
            if n < len(behind) and agree(ties, chosen):
                yield from ((end, {**chosen, **decided}) for end, _, decided in behind[n])

    # ---- leaves

    def _leaf(self, block: Block, path: str, at: int, ties: Decisions) -> Iterator[Match]:
        if at >= len(self.items):
            self._fails(at, f"{path}: the space needs another {type(block).__name__} where the network ends")
            return
        item, found = self.items[at], False
        if type(block) is type(item.block):
            for decided in self._fields(block, item, path, ties, at):
                if self._closings.agrees(block, item, path, {**ties, **decided}):
                    found = True
                    yield at + 1, decided
        if not found or is_tied(path):  # other ways matter where the same decisions are met again
            for decided in self._closings.ways(block, item, path, ties):
                found = True
                yield at + 1, decided
        if not found and type(block) is not type(item.block):
            self._fails(
                at, f"{path}: the space has {type(block).__name__}, the network's block {at + 1} is {type(item.block).__name__}"
            )

    def _fields(self, block: Block, item: Item, path: str, ties: Decisions, at: int) -> Iterator[Decisions]:
        """Yields the decisions under which each field of `block` equals the item's."""
        decided: dict[str, Value] = {}
        held: list[tuple[tuple[object, ...], tuple[object, ...], tuple[str, ...]]] = []
        for f in fields(block):
            own, wanted, place = getattr(block, f.name), getattr(item.block, f.name), f"{path}.{f.name}"
            if f.name == "name" or (f.name == "labels" and isinstance(block, Several)):
                continue
            if isinstance(own, Block) and isinstance(wanted, Block):
                held.append(((own,), (wanted,), (place,)))
            elif _holds_blocks(own) and isinstance(wanted, tuple):
                labels = [join_path(path, label) for label in block.labels] if isinstance(block, Several) else []
                held.append((own, wanted, tuple(labels or [f"{place}[{i}]" for i in range(len(own))])))
            elif isinstance(own, Domain):
                decided[place] = wanted
                if not own.holds(wanted) or not agree(ties, {place: wanted}):
                    already = f"; it is already {ties[place]!r}" if own.holds(wanted) else ""
                    self._fails(at, f"{place} is {own!r}, the network has {wanted!r} in block {at + 1}{already}")
                    return
            elif not _equal(own, wanted):
                self._fails(at, f"{place} is {own!r}, the network has {wanted!r} in block {at + 1} ({type(item.block).__name__})")
                return
        yield from self._held(held, item.shape, ties, decided)

    def _held(
        self,
        held: list[tuple[tuple[object, ...], tuple[object, ...], tuple[str, ...]]],
        shape: Shape,
        ties: Decisions,
        decided: Decisions,
    ) -> Iterator[Decisions]:
        """Yields the decisions under which blocks held in fields match those of the network."""
        if not held:
            yield decided
            return
        (own, wanted, paths), rest = held[0], held[1:]
        single = len(paths) == 1 and len(wanted) == 1
        found = self._within(own[0], wanted[0], paths[0], shape, ties) if single else self._aligned(own, wanted, paths, shape, ties)
        for more in found:
            yield from self._held(rest, shape, {**ties, **carried(more, paths[0])}, {**decided, **more})

    def _aligned(
        self, own: tuple[object, ...], wanted: tuple[object, ...], paths: tuple[str, ...], shape: Shape, ties: Decisions
    ) -> Iterator[Decisions]:
        """Yields the decisions under which branches match those of the network, in order; one that is left out takes none."""
        if not own:
            if not wanted:
                yield {}
            return
        for chosen, found, place in standing(own[0], paths[0], ties):
            if found is None:
                matched: Iterable[Decisions] = ({},)
            else:
                matched = self._within(found, wanted[0], place, shape, ties) if wanted else ()
            for more in matched:
                here = {**chosen, **more}
                after = {**ties, **carried(here, paths[0])}
                for later in self._aligned(own[1:], wanted if found is None else wanted[1:], paths[1:], shape, after):
                    yield {**here, **later}

    def _within(self, own: object, wanted: object, path: str, shape: Shape, ties: Decisions) -> Iterator[Decisions]:
        if not isinstance(own, Block) or not isinstance(wanted, Block):
            if _equal(own, wanted):
                yield {}
            return
        key = (id(wanted), shape)
        if key not in self._inside:
            try:
                self._inside[key] = Matcher(
                    flat(wanted, shape, self.written, self.classes), self.border, self.classes, self.written
                )
            except BlockError:  # it does not stand at the leaf's input: only the leaf as a whole can be compared
                self._inside[key] = None
        inside = self._inside[key]
        if inside is None:
            return
        yield from (decided for end, decided in inside._match(own, path, 0, ties) if end == len(inside.items))
        if inside.reason:
            self._fails(self.furthest, inside.reason)


def _holds_blocks(value: object) -> bool:
    return isinstance(value, tuple) and any(isinstance(v, Block) for v in value)


def _equal(a: object, b: object) -> bool:
    if is_value(a) and is_value(b):
        return identity(a) == identity(b)  # type: ignore[arg-type]  # both are values
    return a == b
