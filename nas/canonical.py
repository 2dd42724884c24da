"""One network, one fingerprint: simplifies a graph to what it really computes, orders it canonically and hashes it.

What is simplified is said in `nas.reduction`. The canonical order is found piece by piece: the graph is cut at the nodes that
every path crosses, and within each piece colours are refined downwards and upwards (Weisfeiler and Leman 1968); while ties
remain, one member of the smallest class is singled out and colours are refined again. All members are tried but those to which
automorphisms map one already tried (McKay and Piperno 2014, "Practical graph isomorphism, II"), and the smallest relabelled
piece is taken. What is hashed is the relabelled piece itself, so two networks share a fingerprint only if they are the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from nas.graph import Graph
from nas.reduction import reduced

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
