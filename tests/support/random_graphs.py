"""Random graphs for tests: drawn, written down in another order or by a detour, and compared by exact isomorphism."""

from __future__ import annotations

from collections.abc import Sequence

import networkx
import numpy as np

from nas.graph import Graph
from nas.ops import (
    Activation,
    Add,
    BatchNorm,
    Concat,
    Conv2d,
    Dropout,
    Identity,
    Input,
    Multiply,
    Op,
    Pool2d,
    Subsample,
    Zero,
)  # fmt: skip

CHANNELS = 4
IMAGE = (CHANNELS, 5, 5)
CONV = Conv2d(CHANNELS, (3, 3), (1, 1), (1, 1), bias=False)
POINTWISE = Conv2d(CHANNELS, (1, 1), bias=False)
RELU = Activation("relu")
POOL = Pool2d("max", (3, 3), (1, 1), (1, 1))
MEAN = Pool2d("avg", (3, 3), (1, 1), (1, 1))

_UNARY: tuple[Op, ...] = (CONV, CONV, POINTWISE, RELU, POOL, MEAN, BatchNorm(), Dropout(0.1), Identity(), Zero(IMAGE))
"""Operations on one value that keep its shape and turn zeros into zeros."""


def random_graph(rng: np.random.Generator, size: int) -> Graph:
    """Returns a graph of `size` nodes behind the input, all of one shape; some nodes may be dead, some values zero."""
    ops: list[Op] = [Input(IMAGE)]
    inputs: list[tuple[int, ...]] = [()]
    usable = [0]  # all but concatenations, which have more channels
    while len(ops) <= size:
        n = len(ops)
        sources = tuple(usable[int(i)] for i in rng.integers(len(usable), size=int(rng.integers(2, 4))))
        kind = int(rng.integers(10)) if n > 1 else 9
        if kind == 0:  # concatenations may hold concatenations
            sources = tuple(int(i) for i in rng.integers(n, size=len(sources)))
            ops += [Concat(), POINTWISE]
            inputs += [sources, (n,)]
        elif kind <= 3:
            ops.append(Multiply() if kind == 1 else Add())
            inputs.append(sources)
        else:
            ops.append(_UNARY[int(rng.integers(len(_UNARY)))])
            inputs.append((usable[int(rng.integers(max(0, len(usable) - 4), len(usable)))],))
        usable.append(len(ops) - 1)
    return labelled(ops, inputs)


def labelled(ops: Sequence[Op], inputs: Sequence[tuple[int, ...]], output: int | None = None) -> Graph:
    """Returns a graph whose labels number its nodes, so that a node can be found again after it was moved."""
    return Graph(ops, inputs, [f"n{i}" for i in range(len(ops))], output)


def relabelled(graph: Graph, rng: np.random.Generator) -> Graph:
    """Returns the same network with its nodes in another topological order and the terms of its sums and products shuffled."""
    place: dict[int, int] = {}
    left = list(range(len(graph)))
    while left:
        ready = [i for i in left if all(s in place for s in graph.inputs[i]) and (place or i == 0)]
        chosen = ready[int(rng.integers(len(ready)))]
        place[chosen] = len(place)
        left.remove(chosen)
    order = sorted(place, key=place.__getitem__)
    inputs = []
    for i in order:
        moved = [place[s] for s in graph.inputs[i]]
        if graph.ops[i].commutative:
            rng.shuffle(moved)
        inputs.append(tuple(moved))
    return Graph([graph.ops[i] for i in order], inputs, [graph.labels[i] for i in order], place[graph.output])


def with_detours(graph: Graph, rng: np.random.Generator, share: float = 0.4) -> Graph:
    """Returns the same network written in a longer way: identities, added zeros, sums in two steps, poolings twice, dead ends.

    Where a sum begins with what another sum may be, it is not split: sums that something else uses stay as they are written.
    """
    users = graph.consumers()
    ops: list[Op] = []
    inputs: list[tuple[int, ...]] = []
    labels: list[str] = []
    place: list[int] = []

    def put(op: Op, sources: tuple[int, ...], label: str = "") -> int:
        ops.append(op)
        inputs.append(sources)
        labels.append(label)
        return len(ops) - 1

    for i, op in enumerate(graph.ops):
        sources = tuple(place[s] for s in graph.inputs[i])
        kind = int(rng.integers(6)) if rng.random() < share and i else -1
        cut = int(rng.integers(1, len(sources) - 1)) if type(op) is Add and len(sources) > 2 and kind >= 0 else 0
        if any(users[s] == [i] and graph.facts[s].params for s in graph.inputs[i][: cut + 1]) and cut:
            at = put(op, (put(op, sources[: cut + 1]), *sources[cut + 1 :]), graph.labels[i])
        else:
            at = put(op, sources, graph.labels[i])
        shape = graph.facts[i].shape
        if kind == 0:
            at = put(Identity(), (at,))
        elif kind == 1:
            at = put(Add(), (at, put(Zero(shape), (0,))))
        elif kind == 2:
            put(CONV, (at,))
        elif kind == 3:
            at = put((Subsample((1, 1)), Dropout(0.0), Add(), Concat())[int(rng.integers(4))], (at,))
        elif kind == 4 and not graph.facts[i].params and not op.random and i != 0:
            at = at if rng.random() < 0.5 else put(op, sources, graph.labels[i])
        place.append(at)
    return Graph(ops, inputs, labels, place[graph.output])


def isomorphic(a: Graph, b: Graph) -> bool:
    """Returns whether two graphs are one, node by node and slot by slot, without any rewriting (networkx's VF2)."""
    return bool(
        networkx.is_isomorphic(
            _coloured(a),
            _coloured(b),
            node_match=lambda x, y: x["colour"] == y["colour"],
            edge_match=lambda x, y: x["slots"] == y["slots"],
        )
    )


def _coloured(graph: Graph) -> networkx.DiGraph:
    found = networkx.DiGraph()
    for i, op in enumerate(graph.ops):
        found.add_node(i, colour=(op, i == graph.output, len(graph.inputs[i])))
        for s in set(graph.inputs[i]):
            slots = tuple(slot for slot, source in enumerate(graph.inputs[i]) if source == s)
            found.add_edge(s, i, slots=len(slots) if op.commutative else slots)
    return found
