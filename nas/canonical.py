"""One network, one fingerprint: simplifies a graph to what it really computes, orders it canonically and hashes it.

Simplifying pushes zeros through (an operation on nothing is nothing), drops identities and dead nodes, merges equal nodes
that have no weights and draw no random numbers, and flattens nested sums and concatenations.

The canonical order is found piece by piece: the graph is cut at the nodes that every path crosses, and within each piece
colours are refined downwards and upwards (Weisfeiler and Leman 1968); while ties remain, one member of the smallest class is
singled out and colours are refined again. All members are tried but those to which automorphisms map one already tried
(McKay and Piperno 2014, "Practical graph isomorphism, II"), and the smallest relabelled piece is taken. What is hashed is
the relabelled piece itself, so two networks share a fingerprint only if they are the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from nas.errors import BlockError
from nas.graph import Graph
from nas.ops import Add, Concat, Facts, Multiply, Op, Zero

_ZERO = -1
_LONGEST_SUM = 64  # sums of sums can grow like Fibonacci's numbers: stop flattening there
_MOST_LEAVES = 4096  # labellings tried for one piece; more need graphs made for that purpose

Inputs = tuple[int, ...]


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
    plain = _reduced(graph)
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


# ---- simplifying


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


def _reduced(graph: Graph) -> Graph:
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
    while (flat := _flattened(plain)) is not None:
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
    merged = [
        kind is not None and i != graph.output and len(graph.inputs[i]) <= _LONGEST_SUM and all(kinds[u] is kind for u in users[i])
        for i, kind in enumerate(kinds)
    ]
    nodes, changed = _Nodes(), False
    alias: list[int] = []
    terms: dict[int, Inputs] = {}
    for i, op in enumerate(graph.ops):
        inputs: list[int] = []
        # all terms or none, so that their order does not matter
        short = kinds[i] is not None and sum([len(terms.get(s, (s,))) for s in graph.inputs[i]]) <= _LONGEST_SUM
        for s in graph.inputs[i]:
            if short and s in terms:
                inputs += terms[s]
                changed = True
            else:
                inputs.append(alias[s])
        if merged[i]:
            terms[i] = tuple(inputs)
        facts = op.facts(*[nodes.facts[s].shape for s in inputs]) if kinds[i] else graph.facts[i]
        alias.append(nodes.put(op, tuple(inputs), facts, graph.labels[i]))
    return _live(nodes, alias[graph.output]) if changed else None


# ---- canonical order


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
                local, text = _piece(
                    tuple([f.token for f in facts[start + 1 : i + 1]]),
                    tuple([op.commutative for op in ops[start + 1 : i + 1]]),
                    tuple([tuple([s - start for s in sources]) for sources in inputs[start + 1 : i + 1]]),
                )
                order += [start + j for j in local]
                digest.update(text)
            start = i
        far = max(far, reach[i])
    return order, digest.hexdigest()[:32]


@lru_cache(50_000)
def _piece(tokens: tuple[str, ...], loose: tuple[bool, ...], inputs: tuple[Inputs, ...]) -> tuple[tuple[int, ...], bytes]:
    """Orders one piece between two nodes that every path crosses.

    Args:
        tokens: Of each node but the first, which is local index 0.
        loose: Whether the order of a node's inputs does not matter.
        inputs: Local indices.

    Returns:
        Local indices (from 1) in canonical order, and the relabelled piece as bytes.
    """
    search = _Search(("", *tokens), (False, *loose), ((), *inputs))
    certificate, order = search.best(search.start())
    lines = "".join(f"\n{token} {list(sources)}" for token, sources in certificate)
    return tuple(order[1:]), f"\n[{lines}\n]".encode()


Certificate = tuple[tuple[str, Inputs], ...]


class _Search:
    """Individualisation and refinement over one piece."""

    def __init__(self, tokens: Sequence[str], loose: Sequence[bool], inputs: Sequence[Inputs]) -> None:
        self.tokens, self.loose, self.inputs = tokens, loose, inputs
        self.users: list[list[tuple[int, int]]] = [[] for _ in tokens]
        for i, sources in enumerate(inputs):
            for slot, s in enumerate(sources):
                self.users[s].append((i, -1 if loose[i] else slot))
        self.leaves = 0

    def start(self) -> list[int]:
        """Returns first colours: by longest path from the source (so that the order is topological), then by token."""
        level = [0] * len(self.tokens)
        for i, sources in enumerate(self.inputs):
            level[i] = 1 + max((level[s] for s in sources), default=-1)
        return _ranked([(level[i], len(self.inputs[i]), token) for i, token in enumerate(self.tokens)])

    def refined(self, colours: list[int]) -> list[int]:
        """Splits classes by what their members use and what uses them, until nothing splits any more."""
        classes = len(set(colours))
        while classes < len(colours):
            signatures = []
            for i, sources in enumerate(self.inputs):
                below = [colours[s] for s in sources]
                if self.loose[i]:
                    below.sort()
                above = sorted([(colours[u], slot) for u, slot in self.users[i]])
                signatures.append((colours[i], below, above))
            colours = _ranked(signatures)
            found = max(colours) + 1
            if found == classes:
                break
            classes = found
        return colours

    def best(self, colours: list[int]) -> tuple[Certificate, list[int]]:
        """Returns the smallest relabelling reachable from these colours, and its order."""
        return self._best(colours, {}, [])

    def _best(
        self, colours: list[int], seen: dict[Certificate, list[int]], maps: list[dict[int, int]]
    ) -> tuple[Certificate, list[int]]:
        """Searches below `colours`; adds the leaves to `seen`, and to `maps` the automorphisms that keep what is singled out."""
        colours = self.refined(colours)
        tied = _smallest_class(colours)
        if not tied:
            leaf = self._leaf(colours)
            seen[leaf[0]] = leaf[1]
            return leaf
        below: dict[Certificate, list[int]] = {}
        found: list[dict[int, int]] = []
        best = self._best(_singled(colours, tied[0]), below, found)
        tried = {tied[0]}
        covered = _orbit(tried, found)
        for member in tied[1:]:
            if member in covered or self.leaves > _MOST_LEAVES:
                continue
            certificate, order = self._first_leaf(_singled(colours, member))
            if certificate in below:
                found.append(dict(zip(below[certificate], order, strict=True)))
            else:
                tried.add(member)
                best = min(best, self._best(_singled(colours, member), below, found))
            covered = _orbit(tried, found)
        seen |= below
        maps += found
        return best

    def _first_leaf(self, colours: list[int]) -> tuple[Certificate, list[int]]:
        while tied := _smallest_class(colours := self.refined(colours)):
            colours = _singled(colours, tied[0])
        return self._leaf(colours)

    def _leaf(self, colours: list[int]) -> tuple[Certificate, list[int]]:
        self.leaves += 1
        order = sorted(range(len(colours)), key=colours.__getitem__)
        lines = []
        for i in order:
            sources = [colours[s] for s in self.inputs[i]]
            if self.loose[i]:
                sources.sort()
            lines.append((self.tokens[i], tuple(sources)))
        return tuple(lines), order


def _orbit(members: set[int], maps: list[dict[int, int]]) -> set[int]:
    """Returns the nodes that members are mapped to, again and again."""
    reached, ahead = set(members), list(members)
    while ahead:
        node = ahead.pop()
        new = {image for mapping in maps if (image := mapping[node]) not in reached}
        reached |= new
        ahead += new
    return reached


def _ranked(signatures: Sequence[Any]) -> list[int]:
    """Returns the rank of each signature among the distinct ones."""
    order = sorted(range(len(signatures)), key=signatures.__getitem__)
    ranks, rank = [0] * len(order), 0
    for before, i in zip([order[0], *order], order, strict=False):
        if signatures[i] != signatures[before]:
            rank += 1
        ranks[i] = rank
    return ranks


def _smallest_class(colours: list[int]) -> list[int]:
    """Returns the members of the smallest class of at least two, the first such by colour; empty where there is none."""
    members: dict[int, list[int]] = {}
    for i, colour in enumerate(colours):
        members.setdefault(colour, []).append(i)
    ties = [(len(m), colour) for colour, m in members.items() if len(m) > 1]
    return members[min(ties)[1]] if ties else []


def _singled(colours: list[int], member: int) -> list[int]:
    """Returns colours in which `member` comes right before the rest of its class."""
    return [2 * colour + (i != member) for i, colour in enumerate(colours)]
