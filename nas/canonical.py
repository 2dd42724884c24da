"""One network, one fingerprint: simplifies a graph to what it really computes, orders it canonically and hashes it.

What is simplified is said in `nas.reduction`. The canonical order is found piece by piece: the graph is cut at the nodes that
every path crosses, and within each piece the smallest relabelling is taken of those that `nas.labelling` looks at. What is hashed
is the relabelled piece itself, so two networks share a fingerprint only if they are the same.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from nas.graph import Graph
from nas.labelling import Labelling
from nas.reduction import reduced

Inputs = tuple[int, ...]

_SMALL = 40
"""Nodes of a piece up to which tens of thousands are remembered."""


def simplify(graph: Graph) -> Graph:
    """Returns the graph of what `graph` really computes, in canonical order.

    Equal networks give equal results whatever order and detours they were written with. Labels are kept.

    Raises:
        BlockError: When the output does not depend on the input.
    """
    return canonical(graph)[0]


def fingerprint(graph: Graph) -> str:
    """Returns 32 hexadecimal digits that are equal for two graphs when they compute the same network, and only then.

    Raises:
        BlockError: When the output does not depend on the input.
    """
    return canonical(graph)[1]


def canonical(graph: Graph) -> tuple[Graph, str]:
    """Returns the simplified graph in canonical order and its fingerprint.

    Raises:
        BlockError: When the output does not depend on the input.
    """
    plain = reduced(graph)
    order, digest = _ordered(plain)
    if order == list(range(len(order))) and all(_sorted(plain, i) for i in order):
        return Graph(plain.ops, plain.inputs, plain.labels, plain.output, graph.notes, plain.facts), digest
    place = [0] * len(order)
    for new, old in enumerate(order):
        place[old] = new
    inputs: list[Inputs] = []
    for old in order:
        moved = [place[s] for s in plain.inputs[old]]
        if len(moved) > 1 and plain.ops[old].commutative:
            moved.sort()
        inputs.append(tuple(moved))
    ordered = Graph(
        [plain.ops[i] for i in order],
        inputs,
        [plain.labels[i] for i in order],
        place[plain.output],
        graph.notes,
        [plain.facts[i] for i in order],
    )
    return ordered, digest


def _sorted(graph: Graph, i: int) -> bool:
    inputs = graph.inputs[i]
    return len(inputs) == 1 or not graph.ops[i].commutative or list(inputs) == sorted(inputs)


def _ordered(graph: Graph) -> tuple[list[int], str]:
    """Returns the nodes in canonical order and the digest of the whole."""
    ops, inputs, facts, last = graph.ops, graph.inputs, graph.facts, graph.output
    reach = [0] * len(ops)
    for i, sources in enumerate(inputs):
        for s in sources:
            reach[s] = i  # consumers come in ascending order
    order, digest = [0], hashlib.sha256(facts[0].token.encode())
    start, far = 0, reach[0]
    for i in range(1, last + 1):
        if far <= i:  # every path crosses node i
            if i == start + 1:
                order.append(i)
                digest.update(f"\n{facts[i].token}*{len(inputs[i])}".encode())
            else:
                local, text = (_small_piece if i - start <= _SMALL else _large_piece)(
                    tuple([f.token for f in facts[start + 1 : i + 1]]),
                    tuple([op.commutative for op in ops[start + 1 : i + 1]]),
                    tuple([tuple([s - start for s in sources]) for sources in inputs[start + 1 : i + 1]]),
                )
                order += [start + j for j in local]
                digest.update(text)
            start = i
        far = max(far, reach[i])
    return order, digest.hexdigest()[:32]


def _piece(tokens: tuple[str, ...], loose: tuple[bool, ...], inputs: tuple[Inputs, ...]) -> tuple[tuple[int, ...], bytes]:
    """Orders one piece between two nodes that every path crosses.

    Args:
        tokens: Of each node but the first, which is local index 0.
        loose: Whether the order of a node's inputs does not matter.
        inputs: Local indices.

    Returns:
        Local indices (from 1) in canonical order, and the relabelled piece as bytes.
    """
    certificate, order = Labelling(("", *tokens), (False, *loose), ((), *inputs)).best()
    lines = "".join(f"\n{token} {list(sources)}" for token, sources in certificate)
    return tuple(order[1:]), f"\n[{lines}\n]".encode()


_small_piece, _large_piece = lru_cache(50_000)(_piece), lru_cache(2_000)(_piece)  # some 200 MB at most, each
