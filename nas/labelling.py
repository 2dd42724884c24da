"""Canonical labelling of a small directed graph: the smallest relabelling among those that colour refinement leaves open.

Colours are refined downwards and upwards (Weisfeiler and Leman 1968) until nothing splits any more. While ties remain, one member
of the smallest class is singled out and colours are refined again: only classes that a split touches are looked at. All members
are tried but those to which automorphisms map one already tried (McKay and Piperno 2014, "Practical graph isomorphism, II"). Most
automorphisms are found without going down to a leaf, as those of "saucy" are (Darga, Sakallah and Markov 2008, "Faster symmetry
discovery using sparsity of symmetries"): two members that leave like classes are mapped to each other, and what is in the same
class either way to itself.

A colour is the place at which its class begins, so a class that is not split keeps its colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_MOST_LEAVES = 4096  # labellings tried for one graph; more need graphs made for that purpose

Inputs = tuple[int, ...]
Certificate = tuple[tuple[str, Inputs], ...]
Leaf = tuple[Certificate, list[int]]
"""A relabelling, each node's token with its relabelled inputs, and the nodes in its order."""
Moves = dict[int, int]
"""An automorphism: where it maps each node that it moves."""


@dataclass(slots=True)
class _Partition:
    """Nodes in ordered classes.

    Attributes:
        colours: Of each node: how many nodes are in classes before its own.
        ties: Members of the classes of at least two, ascending, by colour. Lists are shared and never changed.
    """

    colours: list[int]
    ties: dict[int, list[int]]


class Labelling:
    """The search for one graph's canonical order.

    Args:
        tokens: Of each node.
        loose: Whether the order of a node's inputs does not matter.
        inputs: Of each node, earlier nodes.
    """

    def __init__(self, tokens: Sequence[str], loose: Sequence[bool], inputs: Sequence[Inputs]) -> None:
        self.tokens, self.loose, self.inputs = tokens, loose, inputs
        self.leaves = 0
        self._users: list[list[tuple[int, int]]] = [[] for _ in tokens]
        for i, sources in enumerate(inputs):
            for slot, s in enumerate(sources):
                self._users[s].append((i, 0 if loose[i] else slot + 1))
        self._base = max(map(len, inputs)) + 1

    def best(self) -> Leaf:
        """Returns the smallest relabelling."""
        return self._best(self._path(self._start()), {}, [])

    def _start(self) -> _Partition:
        """Returns first classes: by longest path from the source (so that the order is topological), then by token; refined."""
        level: list[int] = []
        ranks = {token: rank for rank, token in enumerate(sorted(set(self.tokens)))}
        base = self._base
        classes: dict[int, list[int]] = {}
        for i, (token, sources) in enumerate(zip(self.tokens, self.inputs, strict=True)):
            at = 1 + (level[sources[0]] if len(sources) == 1 else max([level[s] for s in sources], default=-1))
            level.append(at)
            classes.setdefault((at * base + len(sources)) * len(ranks) + ranks[token], []).append(i)
        found = _Partition([0] * len(level), {})
        begin = 0
        for key in sorted(classes):
            members = classes[key]
            for i in members:
                found.colours[i] = begin
            if len(members) > 1:
                found.ties[begin] = members
            begin += len(members)
        self._refine(found, dict(found.ties))
        return found

    def _singled(self, partition: _Partition, member: int) -> _Partition:
        """Returns what is left when `member` comes right before the rest of its class."""
        found = _Partition(partition.colours.copy(), partition.ties.copy())
        colour = found.colours[member]
        rest = [i for i in found.ties.pop(colour) if i != member]
        for i in rest:
            found.colours[i] = colour + 1
        if len(rest) > 1:
            found.ties[colour + 1] = rest
        self._refine(found, self._near(found, [member]))
        return found

    def _near(self, partition: _Partition, nodes: list[int]) -> dict[int, list[int]]:
        """Returns what uses any of these nodes or is used by them and is not alone in its class, ascending, by colour."""
        colours, ties = partition.colours, partition.ties
        near: set[int] = set()
        for i in nodes:
            near.update(self.inputs[i])
            near.update([u for u, _ in self._users[i]])
        found: dict[int, list[int]] = {}
        for i in sorted(near):
            if colours[i] in ties:
                found.setdefault(colours[i], []).append(i)
        return found

    def _refine(self, partition: _Partition, near: dict[int, list[int]]) -> None:
        """Splits classes by what their members use and what uses them, until nothing splits any more.

        All classes split at once, so that the order in which they are looked at does not matter.

        Args:
            partition: Changed in place.
            near: By colour, the members next to a split; the others of their class are alike.
        """
        colours, ties = partition.colours, partition.ties
        while near:
            splits = []
            for colour, members in near.items():
                parts: dict[tuple[int, ...], list[int]] = {}
                for i in members:
                    parts.setdefault(self._signature(i, colours), []).append(i)
                if len(members) < len(ties[colour]):
                    changed = set(members)
                    rest = [i for i in ties[colour] if i not in changed]
                    parts[self._signature(rest[0], colours)] = rest
                if len(parts) > 1:
                    splits.append((colour, [parts[key] for key in sorted(parts)]))
            near = self._near(partition, [i for colour, parts in splits for i in _split(partition, colour, parts)])

    def _signature(self, i: int, colours: list[int]) -> tuple[int, ...]:
        """Returns the colours of what node `i` uses (as often as others of its class), then of what uses it, with the slots."""
        base, below = self._base, [colours[s] for s in self.inputs[i]]
        if self.loose[i]:
            below.sort()
        above = [colours[u] * base + slot for u, slot in self._users[i]]
        above.sort()
        return (*below, *above)

    def _best(self, path: list[_Partition], seen: dict[Certificate, list[int]], maps: list[Moves]) -> Leaf:
        """Searches below the first partition of a path down to a leaf.

        Args:
            path: See `_path`.
            seen: The leaves are added to it.
            maps: The automorphisms that keep what is singled out in the first partition are added to it.
        """
        best = self._leaf(path[-1])
        below = {best[0]: best[1]}
        found: list[Moves] = []
        orbits = _Orbits(len(self.tokens))
        for above, first in zip(path[-2::-1], path[:0:-1], strict=True):
            tied = _smallest_class(above)
            tried = tied[:1]
            for member in tied[1:]:
                if self.leaves > _MOST_LEAVES or orbits.of(member) in [orbits.of(i) for i in tried]:
                    continue
                other = self._singled(above, member)
                moves = self._exchange(first, other)
                down = [] if moves else self._path(other)
                if down:
                    certificate, order = self._leaf(down[-1])
                    if certificate in below:
                        moves = {i: j for i, j in zip(below[certificate], order, strict=True) if i != j}
                known = len(found)
                if moves is None:
                    tried.append(member)
                    best = min(best, self._best(down, below, found))
                else:
                    found.append(moves)
                for moves in found[known:]:
                    orbits.join(moves)
        seen |= below
        maps += found
        return best

    def _path(self, partition: _Partition) -> list[_Partition]:
        """Returns the partitions from this one down to a leaf, each the one before with the first of its smallest class singled."""
        path = [partition]
        while path[-1].ties:
            path.append(self._singled(path[-1], _smallest_class(path[-1])[0]))
        return path

    def _exchange(self, one: _Partition, other: _Partition) -> Moves | None:
        """Returns an automorphism that maps each class of the one to the other's of that colour, if the plainest such map is one.

        It leaves all nodes where they are that have one colour in both.
        """
        if one.ties.keys() != other.ties.keys() or any(len(m) != len(other.ties[colour]) for colour, m in one.ties.items()):
            return None
        places: dict[int, list[int]] = {}
        differ = [i for i, (a, b) in enumerate(zip(one.colours, other.colours, strict=True)) if a != b]
        for i in differ:
            places.setdefault(other.colours[i], []).append(i)
        moves = {i: places[one.colours[i]].pop(0) for i in differ}
        for i in {*differ, *(u for s in differ for u, _ in self._users[s])}:
            image = moves.get(i, i)
            sources = tuple([moves.get(s, s) for s in self.inputs[i]])
            wanted = self.inputs[image]
            if sources != wanted and not (self.loose[i] and sorted(sources) == sorted(wanted)):
                return None
        return moves

    def _leaf(self, partition: _Partition) -> Leaf:
        """Returns the relabelling that a partition without ties is."""
        self.leaves += 1
        colours = partition.colours
        order = [0] * len(colours)
        for i, colour in enumerate(colours):
            order[colour] = i
        lines = []
        for i in order:
            sources = [colours[s] for s in self.inputs[i]]
            if self.loose[i] and len(sources) > 1:
                sources.sort()
            lines.append((self.tokens[i], tuple(sources)))
        return tuple(lines), order


def _split(partition: _Partition, colour: int, parts: list[list[int]]) -> list[int]:
    """Splits one class and returns the members of all parts but a largest: what is next to that one follows from the others."""
    largest = max(parts, key=len)
    del partition.ties[colour]
    moved = []
    for members in parts:
        for i in members:
            partition.colours[i] = colour
        if len(members) > 1:
            partition.ties[colour] = members
        if members is not largest:
            moved += members
        colour += len(members)
    return moved


class _Orbits:
    """Nodes that automorphisms map to each other, as trees of nodes."""

    def __init__(self, size: int) -> None:
        self._above = list(range(size))

    def of(self, node: int) -> int:
        """Returns the node that stands for the orbit of this one."""
        above = self._above
        while above[node] != node:
            above[node] = node = above[above[node]]
        return node

    def join(self, moves: Moves) -> None:
        """Joins the orbits that an automorphism joins."""
        for node, image in moves.items():
            self._above[self.of(node)] = self.of(image)


def _smallest_class(partition: _Partition) -> list[int]:
    """Returns the members of the smallest class of at least two, the first such by colour."""
    return min((len(members), colour, members) for colour, members in partition.ties.items())[2]
