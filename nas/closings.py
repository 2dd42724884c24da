"""The leaves of a network, and the ways to close an open leaf so that it expands to the same graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from nas.blocks.base import Block, expand_at, settle
from nas.blocks.structure import Repeat, Sequential, Shared
from nas.builder import GraphBuilder
from nas.canonical import fingerprint
from nas.domains import Domain, Value
from nas.errors import BlockError
from nas.ops import Shape
from nas.ties import Decisions, is_tied, key_of, moved
from nas.windows import Border

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
        shape = expand_at(leaf, graph, graph.input, "").shape
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


class Closings:
    """Compares closed leaves by the graphs they expand to, and remembers both.

    Args:
        border: How the space treats windows that leave pixels over.
        classes: Classes of the network.
        written: How the network treats them.
    """

    def __init__(self, border: Border, classes: int, written: Border) -> None:
        self.border, self.classes, self.written = border, classes, written
        self._closed: dict[tuple[object, ...], tuple[Decisions, ...]] = {}
        self._prints: dict[tuple[Block, Shape, Border], str | None] = {}

    def agrees(self, block: Block, item: Item, path: str, decided: Decisions) -> bool:
        """Returns whether a block whose fields equal the item's expands to the same graph: border rules may differ."""
        if self.border == self.written or {self.border, self.written} == {"floor", "warn"}:
            return True
        closed, _ = settle(block, path, lambda at, domain: decided.get(at, domain.at(0)))
        return self._print(closed, item.shape, self.border) == self._target(item)

    def ways(self, block: Block, item: Item, path: str, ties: Decisions) -> Iterator[Decisions]:
        """Yields decisions under which `block`, closed, expands to the same graph as the item."""
        domains = dict(block.decisions(path))
        taken = {at: ties[at] for at in domains if at in ties}
        key = (id(block), item, path if is_tied(path) else "", key_of(taken))
        if key not in self._closed:
            found = self._compared(block, item, path, domains, taken)
            self._closed[key] = tuple([moved(decided, path, "") for decided in found])
        yield from (moved(decided, "", path) for decided in self._closed[key])

    def _compared(
        self, block: Block, item: Item, path: str, domains: Mapping[str, Domain], taken: Decisions
    ) -> Iterator[Decisions]:
        ways = 1
        for at, domain in domains.items():
            ways *= 1 if at in taken else domain.size or _MOST_WAYS + 1
        if ways > _MOST_WAYS or self._target(item) is None:
            return
        options = [[taken[at]] if at in taken else [d.at(i) for i in range(d.size or 0)] for at, d in domains.items()]
        known: set[object] = set()
        for values in product(*options):
            used: dict[str, Value] = {}
            closed, _ = settle(block, path, _recalled(dict(zip(domains, values, strict=True)), used))
            if key_of(used) not in known and self._print(closed, item.shape, self.border) == self._target(item):
                known.add(key_of(used))
                yield used

    def _target(self, item: Item) -> str | None:
        return self._print(item.block, item.shape, self.written)

    def _print(self, block: Block | None, shape: Shape, border: Border) -> str | None:
        """Returns the fingerprint of one block's graph; None where it cannot be applied or stands for nothing."""
        if block is None:
            return None
        key = (block, shape, border)
        if key not in self._prints:
            graph = GraphBuilder(shape, border, self.classes)
            try:
                self._prints[key] = fingerprint(graph.finish(expand_at(block, graph, graph.input, "")))
            except BlockError:
                self._prints[key] = None
        return self._prints[key]


def _recalled(values: Decisions, used: dict[str, Value]) -> Callable[[str, Domain], Value]:
    def decide(path: str, domain: Domain) -> Value:
        used[path] = values[path]
        return values[path]

    return decide
