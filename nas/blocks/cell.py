"""Cells with operations on their edges (Dong and Yang 2020, "NAS-Bench-201", section 2.1), and the edges that carry no layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from nas.blocks.base import Block, expand_at
from nas.blocks.structure import Maybe, OneOf, Several, Shared
from nas.builder import GraphBuilder, Node
from nas.domains import Domain
from nas.errors import BlockError, SpaceError

_MOST_NODES = 20  # values of one cell


@dataclass(frozen=True)
class Skip(Block):
    """Passes its input on: the skip connection among the operations of an edge."""

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        return graph.identity(x)


@dataclass(frozen=True)
class Zeroize(Block):
    """No connection: zeros whatever comes in, the operation that drops an edge (Dong and Yang 2020, section 2.1).

    What is dropped is gone from the network: a sum is left without the edge, an operation on nothing is nothing. A network none
    of whose paths is left is infeasible.
    """

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        return graph.zero(x)


@dataclass(frozen=True, init=False)
class Cell(Several):
    """A cell whose operations stand on the edges: value j is the sum of an operation on each value before it.

    `Cell(OneOf(Zeroize(), Skip(), Conv(None)), nodes=4)` decides an operation for each of six edges; their paths are
    `cell.edge0-1`, `cell.edge0-2`, `cell.edge1-2`, `cell.edge0-3` and so on. Value 0 is the input, the last one the output.

    Args of its own:
        blocks: One operation for all edges, or one for each in this order. An operation keeps its input's shape: `channels=None`
            and stride 1.

    Attributes:
        nodes: How many values there are, input and output counted.
    """

    nodes: int = field(default=4, kw_only=True)

    def __init__(self, *blocks: Block, nodes: int = 4, name: str = "", labels: tuple[str, ...] = ()) -> None:
        if isinstance(nodes, Domain):
            raise SpaceError("Cell: nodes cannot be left open; use OneOf(Cell(..., nodes=3, name='three'), Cell(..., name='four'))")
        if type(nodes) is not int or not 2 <= nodes <= _MOST_NODES:
            raise SpaceError(f"Cell: nodes is {nodes!r}, expected from 2 to {_MOST_NODES}")
        object.__setattr__(self, "nodes", nodes)
        edges = [(i, j) for j in range(1, nodes) for i in range(j)]
        if len(blocks) == 1:
            blocks = blocks * len(edges)
        if len(blocks) != len(edges):
            raise SpaceError(
                f"Cell: got {len(blocks)} operations, expected one for all edges, or {len(edges)} for those between {nodes} values"
            )
        for block in blocks:
            _check_operation(block)
        super().__init__(*blocks, name=name, labels=labels or tuple([f"edge{i}-{j}" for i, j in edges]))

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        values, edges = [x], iter(zip(self.blocks, self.labels, strict=True))
        for _ in range(1, self.nodes):
            values.append(graph.add(*[self._edge(graph, value, *next(edges)) for value in values]))
        return values[-1]

    def _edge(self, graph: GraphBuilder, x: Node, block: Block, label: str) -> Node:
        y = expand_at(block, graph, x, label)
        if y.shape != x.shape:
            raise BlockError(
                f"{label} makes {y.shape} of {x.shape}, and an operation of a cell keeps the shape; "
                "give it channels=None, stride 1 and padding='same'"
            )
        return y


def _check_operation(block: object) -> None:
    """Passes an operation that stands on its edge whatever is decided.

    Raises:
        SpaceError: When it may be left out.
    """
    for option in _options(block):
        if isinstance(option, Maybe):
            raise SpaceError("Cell: an edge is not left out by Maybe(...); use OneOf(Zeroize(), ...), or OneOf(Skip(), ...)")


def _options(block: object) -> Iterator[object]:
    """Yields what may stand in the place of a block."""
    if isinstance(block, OneOf):
        for option in block.blocks:
            yield from _options(option)
    elif isinstance(block, Shared):
        yield from _options(block.body)
    else:
        yield block
