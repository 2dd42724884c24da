"""Which node of one network stands for which node of another: what weights are taken over by, and what is missing.

Blocks are told apart by their paths (the labels of a graph's nodes), the nodes of one block by how they hang together, whatever
their sizes: colours are refined along the edges inside the block, as in `nas.canonical`, and equal colours belong together, the
most refined ones first. This module knows no tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields

from nas.graph import Graph
from nas.ops import Concat, Conv2d, Linear, Op

NOWHERE = "-"
"""Where a block of the child stands in the parent that is new, though another one of the parent's has its path."""

_ROUNDS = 6
"""How far along the edges of a block its nodes are told apart."""

_Token = Callable[[Op], object]
_Colours = list[dict[int, int]]


def matched(child: Graph, parent: Graph, aligned: Mapping[str, str] | None = None) -> dict[int, int]:
    """Returns for nodes of one graph the nodes of another one that do the same in the same place, each at most once.

    Args:
        child: Simplified.
        parent: Simplified.
        aligned: Path of a block of the child to its path in the parent, where the two differ.
    """
    aligned = aligned or {}
    taken: dict[str, str] = {}
    # a path of the parent stands for one of the child; what was moved there comes before what is called so now
    for label in (*(label for label in child.labels if label in aligned), *child.labels):
        taken.setdefault(aligned.get(label, label), label)
    users = child.consumers(), parent.consumers()
    members, others = _by_label(child), _by_label(parent)
    found: dict[int, int] = {}
    for label, mine in members.items():
        there = aligned.get(label, label)
        theirs = others.get(there)
        if theirs is None or taken[there] != label:
            continue
        if _wiring(child, mine) == _wiring(parent, theirs):
            found |= dict(zip(mine, theirs, strict=True))
        else:
            found |= _compared((child, mine, users[0]), (parent, theirs, users[1]))
    return found


def _by_label(graph: Graph) -> dict[str, list[int]]:
    members: dict[str, list[int]] = {}
    for i, label in enumerate(graph.labels):
        members.setdefault(label, []).append(i)
    return members


def _wiring(graph: Graph, members: list[int]) -> list[tuple[str, tuple[int, ...]]]:
    """Returns the operations of a block, each with the places of its inputs among them (-1: outside)."""
    place = {i: at for at, i in enumerate(members)}
    return [(graph.facts[i].token, tuple([place.get(s, -1) for s in graph.inputs[i]])) for i in members]


_Part = tuple[Graph, list[int], list[list[int]]]
"""A graph, nodes of one block of it, and the users of all its nodes."""


def _compared(child: _Part, parent: _Part) -> dict[int, int]:
    """Returns the nodes of one block that belong together: those of equal colours, in order."""
    found: dict[int, int] = {}
    for token in (_alike, _same_kind):
        table: dict[object, int] = {}
        mine, theirs = _colours(*child, token, table), _colours(*parent, token, table)
        for ours, others in zip(reversed(mine), reversed(theirs), strict=True):
            free = _by_colour(others, found.values())
            for i, colour in ours.items():
                if i not in found and free.get(colour):
                    found[i] = free[colour].pop(0)
    return found


def _by_colour(colours: Mapping[int, int], taken: Iterable[int]) -> dict[int, list[int]]:
    gone = set(taken)
    members: dict[int, list[int]] = {}
    for i, colour in colours.items():
        if i not in gone:
            members.setdefault(colour, []).append(i)
    return members


def _colours(graph: Graph, members: list[int], users: list[list[int]], token: _Token, table: dict[object, int]) -> _Colours:
    """Returns the colours of a block's nodes, coarse to fine; `table` names them for all graphs alike."""

    def named(key: object) -> int:
        return table.setdefault(key, len(table))

    rounds = [{i: named(token(graph.ops[i])) for i in members}]
    for _ in range(_ROUNDS):
        now = rounds[-1]
        fresh: dict[int, int] = {}
        for i in members:
            above = tuple([now.get(s, -1) for s in graph.inputs[i]])
            if graph.ops[i].commutative:
                above = tuple(sorted(above))
            below = sorted((now.get(u, -1), slot) for u in dict.fromkeys(users[i]) for slot in _slots(graph, i, u))
            fresh[i] = named((now[i], above, tuple(below)))
        rounds.append(fresh)
    return rounds


def _slots(graph: Graph, source: int, user: int) -> Iterator[int]:
    """Yields the places at which a node stands among the inputs of one that uses it; 0 where places mean nothing."""
    for slot, s in enumerate(graph.inputs[user]):
        if s == source:
            yield slot if type(graph.ops[user]) is Concat else 0


def _same_kind(op: Op) -> object:
    return type(op).__name__


def _alike(op: Op) -> object:
    """Returns what an operation does, whatever the number of its channels."""
    if isinstance(op, Conv2d):
        groups = "all" if op.groups == 1 else "each" if op.groups == op.channels else op.groups
        return "Conv2d", op.kernel, op.stride, op.dilation, groups
    if isinstance(op, Linear):
        return "Linear"
    return type(op).__name__, *(getattr(op, f.name) for f in fields(op) if f.name not in ("size", "channels", "output", "counts"))
