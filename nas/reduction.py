"""Simplifies a graph to what it really computes.

Zeros are pushed through (an operation on nothing is nothing), identities and dead nodes are dropped, equal nodes that have no
weights and draw no random numbers are merged, nested sums and concatenations are flattened.

A sum that something else than sums uses too stays a value of its own, as it is in residual networks: where x + y is such a one,
(x + y) + z and x + y + z are two networks.
"""

from __future__ import annotations

from nas.errors import BlockError
from nas.graph import Graph
from nas.ops import Add, Concat, Facts, Multiply, Op, Zero

_ZERO = -1
_LONGEST = 64  # terms written out: sums of sums grow like powers, and a cell of sums repeated five times has hundreds

Inputs = tuple[int, ...]
Terms = dict[int, int]
"""How often a sum has each of its terms."""


class _Nodes:
    """Nodes of a graph under rewriting; equal nodes without weights or randomness are made once."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.inputs: list[Inputs] = []
        self.facts: list[Facts] = []
        self.labels: list[str] = []
        self._same: dict[tuple[str, Inputs], int] = {}

    def put(self, op: Op, inputs: Inputs, facts: Facts, label: str) -> int:
        index = len(self.ops)
        if not facts.params and not op.random:
            known = self._same.setdefault((facts.token, _unordered(op, inputs)), index)
            if known != index:
                return known
        self.ops.append(op)
        self.inputs.append(inputs)
        self.facts.append(facts)
        self.labels.append(label)
        return index


def _unordered(op: Op, inputs: Inputs) -> Inputs:
    """Returns the inputs in ascending order where their order does not matter."""
    return tuple(sorted(inputs)) if op.commutative and len(inputs) > 1 else inputs


def reduced(graph: Graph) -> Graph:
    """Returns the graph of what `graph` really computes, in the order it was written in.

    Raises:
        BlockError: When the output does not depend on the input.
    """
    nodes = _Nodes()
    alias: list[int] = []
    for i, op in enumerate(graph.ops):
        inputs = tuple([alias[s] for s in graph.inputs[i]])
        if type(op) is Zero or _ZERO in inputs:
            alias.append(_rewritten(graph, i, inputs, nodes))
        elif graph.facts[i].identity:
            alias.append(inputs[0])
        else:
            alias.append(nodes.put(op, inputs, graph.facts[i], graph.labels[i]))
    output = alias[graph.output]
    if output == _ZERO:
        raise BlockError("the output does not depend on the input: every path to it passes a Zero")
    plain = _live(nodes, output)
    while (flat := _flattened(plain)) is not None and (flat.ops, flat.inputs, flat.output) != (
        plain.ops,
        plain.inputs,
        plain.output,
    ):
        plain = flat
    return plain


def _rewritten(graph: Graph, i: int, inputs: Inputs, nodes: _Nodes) -> int:
    """Returns the index among `nodes` of what node `i` computes when some of its inputs are zeros, or `_ZERO`."""
    op, facts = graph.ops[i], graph.facts[i]
    if type(op) is Zero or type(op) is Multiply or max(inputs) == _ZERO:
        return _ZERO
    if type(op) is Add:
        inputs = tuple(s for s in inputs if s != _ZERO)
        facts = op.facts(*[nodes.facts[s].shape for s in inputs])
    else:
        shapes = [graph.facts[s].shape for s in graph.inputs[i]]
        inputs = tuple(_zeros(nodes, shape) if s == _ZERO else s for s, shape in zip(inputs, shapes, strict=True))
    if facts.identity:
        return inputs[0]
    return nodes.put(op, inputs, facts, graph.labels[i])


def _zeros(nodes: _Nodes, shape: tuple[int, ...]) -> int:
    op = Zero(shape)
    return nodes.put(op, (0,), op.facts(nodes.facts[0].shape), "")


def _live(nodes: _Nodes, output: int) -> Graph:
    """Returns the nodes that the output needs, in the order they have."""
    needed = [False] * len(nodes.ops)
    needed[output] = needed[0] = True
    for i in range(output, 0, -1):
        if needed[i]:
            for s in nodes.inputs[i]:
                needed[s] = True
    if all(needed):
        return Graph(nodes.ops, nodes.inputs, nodes.labels, output, (), nodes.facts)
    place, kept = [0] * len(needed), [i for i, need in enumerate(needed) if need]
    for new, old in enumerate(kept):
        place[old] = new
    return Graph(
        [nodes.ops[i] for i in kept],
        [tuple([place[s] for s in nodes.inputs[i]]) for i in kept],
        [nodes.labels[i] for i in kept],
        place[output],
        (),
        [nodes.facts[i] for i in kept],
    )


def _flattened(graph: Graph) -> Graph | None:
    """Returns the graph with sums that only sums use merged into these, concatenations likewise; None where there are none."""
    kinds = [type(op) if type(op) in (Add, Concat) else None for op in graph.ops]
    if not any(kinds[i] and any(kinds[s] is kinds[i] for s in graph.inputs[i]) for i in range(len(kinds))):
        return None
    users = graph.consumers()
    merged = [kind is not None and i != graph.output and all(kinds[u] is kind for u in users[i]) for i, kind in enumerate(kinds)]
    nodes = _Nodes()
    alias: list[int] = []
    parts: dict[int, Inputs] = {}
    sums: dict[int, Terms] = {}
    for i, op in enumerate(graph.ops):
        sources, label = graph.inputs[i], graph.labels[i]
        if kinds[i] is Add:
            terms = _terms(sources, alias, sums)
            if merged[i]:
                sums[i] = terms
            alias.append(_ZERO if merged[i] else _sum(nodes, op, terms, label))
            continue
        # all parts of a concatenation or none, so that their order does not matter
        whole = kinds[i] is Concat and sum([len(parts.get(s, (s,))) for s in sources]) <= _LONGEST
        inputs = tuple([part for s in sources for part in (parts.get(s, (alias[s],)) if whole else (alias[s],))])
        if merged[i] and len(inputs) <= _LONGEST:
            parts[i] = inputs
        facts = op.facts(*[nodes.facts[s].shape for s in inputs]) if kinds[i] else graph.facts[i]
        alias.append(nodes.put(op, inputs, facts, label))
    return _live(nodes, alias[graph.output])


def _terms(sources: Inputs, alias: list[int], sums: dict[int, Terms]) -> Terms:
    """Returns what a sum of `sources` adds up and how often, sums among them replaced by what they add up."""
    terms: Terms = {}
    for s in sources:
        for term, times in sums[s].items() if s in sums else ((alias[s], 1),):
            terms[term] = terms.get(term, 0) + times
    return terms


def _sum(nodes: _Nodes, op: Op, terms: Terms, label: str) -> int:
    """Puts a sum among `nodes` and returns its index: term by term, or, where that were too long, doubling binary digits.

    Which of the two it is, and what they look like, depends on the terms alone and not on how their sum was written.
    """
    digits = range(max(terms.values()).bit_length() - 1, -1, -1) if sum(terms.values()) > _LONGEST else ()
    inputs = () if digits else tuple([term for term, times in terms.items() for _ in range(times)])
    whole = -1
    for digit in digits:
        inputs = tuple([term for term, times in terms.items() if times >> digit & 1])
        inputs = inputs if whole < 0 else (whole, whole, *inputs)
        whole = inputs[0] if len(inputs) == 1 else _put(nodes, op, inputs, label)
    return whole if digits else _put(nodes, op, inputs, label)


def _put(nodes: _Nodes, op: Op, inputs: Inputs, label: str) -> int:
    return nodes.put(op, inputs, op.facts(*[nodes.facts[s].shape for s in inputs]), label)
