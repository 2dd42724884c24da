"""Which channels of a network are one and the same thing, and which of them a smaller network keeps.

A channel is made by a convolution or a linear layer and passes through normalisation, activation, pooling, depthwise
convolution, concatenation and flattening; a sum or a product makes one class of the channels it joins. Dropping a channel
means dropping its class: everywhere, or nowhere. This module knows no tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from nas.alignment import matched
from nas.graph import Graph
from nas.ops import (
    Activation,
    AdaptivePool2d,
    Add,
    BatchNorm,
    Concat,
    Conv2d,
    Crop,
    Dropout,
    Flatten,
    Identity,
    Linear,
    LocalResponseNorm,
    Multiply,
    Op,
    Pad,
    Pool2d,
    Subsample,
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NEW = -1
"""A channel that the other network does not have."""

_PIXELS = 1 << 24
"""A flattened value is its channel's class times this, plus the pixel it was."""

_PASS_ON = (
    Activation, AdaptivePool2d, BatchNorm, Crop, Dropout, Identity, LocalResponseNorm, Pool2d, Subsample,
)  # fmt: skip
"""Operations whose output has the channels of their only input."""


def is_depthwise(op: Op) -> bool:
    """Returns whether a convolution gives each channel of its input one of its own."""
    return isinstance(op, Conv2d) and op.groups == op.channels > 1


def makes_channels(op: Op) -> bool:
    """Returns whether an operation makes channels that may be dropped one by one."""
    return isinstance(op, Linear) or (isinstance(op, Conv2d) and op.groups == 1)


def channel_classes(graph: Graph) -> list[Ints]:
    """Returns for each node the class of each of its channels (of each value where it is flat), `(channels,)`."""
    joined = _Classes()
    found: list[Ints] = []
    for i, op in enumerate(graph.ops):
        before = [found[s] for s in graph.inputs[i]]
        if isinstance(op, Add | Multiply):
            for other in before[1:]:
                joined.join(before[0], other)
        found.append(_passed_on(graph, i, before, joined.new))
    return [joined.roots(classes) for classes in found]


class _Classes:
    """Channels by number, of which some are the same (union-find)."""

    def __init__(self) -> None:
        self._above: list[int] = []

    def new(self, count: int) -> Ints:
        first = len(self._above)
        self._above += range(first, first + count)
        return np.arange(first, first + count, dtype=np.int64) * _PIXELS

    def _root(self, channel: int) -> int:
        while self._above[channel] != channel:
            self._above[channel] = self._above[self._above[channel]]
            channel = self._above[channel]
        return channel

    def join(self, one: Ints, other: Ints) -> None:
        for a, b in zip(one // _PIXELS, other // _PIXELS, strict=False):
            first, second = sorted((self._root(int(a)), self._root(int(b))))
            self._above[second] = first

    def roots(self, classes: Ints) -> Ints:
        roots = np.array([self._root(int(channel)) for channel in classes // _PIXELS], dtype=np.int64)
        return roots * _PIXELS + classes % _PIXELS


def _passed_on(graph: Graph, i: int, before: Sequence[Ints], new: Callable[[int], Ints]) -> Ints:
    """Returns the channels of node `i`, given those of its inputs; `new` makes the ones that are its own."""
    op, shape = graph.ops[i], graph.facts[i].shape
    if isinstance(op, _PASS_ON) or (is_depthwise(op) and len(before[0]) == shape[0]):
        return before[0]
    if isinstance(op, Add | Multiply):
        classes = before[0].copy()
        for other in before[1:]:
            classes = np.where(classes < 0, other, classes)
        return classes
    if isinstance(op, Concat):
        return np.concatenate(before)
    if isinstance(op, Pad):
        return np.concatenate([before[0], new(op.channels)]) if op.channels else before[0]
    if isinstance(op, Flatten):
        pixels = prod(graph.facts[graph.inputs[i][0]].shape[1:])
        spread = before[0][:, None] + np.arange(pixels, dtype=np.int64)
        return np.where(before[0][:, None] < 0, NEW, spread).reshape(-1)
    return new(shape[0])


@dataclass(frozen=True)
class Taken:
    """What one node of a network takes from a node of another one.

    Attributes:
        child, parent: The nodes.
        rows: For each output channel of the child's node the place of that channel in the parent's, or `NEW`; None: whatever has
            the same shape is taken as it is.
        columns: Likewise for the channels of the input of a convolution or a linear layer; None for other operations.
    """

    child: int
    parent: int
    rows: Ints | None = None
    columns: Ints | None = None


def taken_over(
    child: Graph, parent: Graph, aligned: Mapping[str, str] | None = None, scores: Mapping[int, Floats] | None = None
) -> list[Taken]:
    """Returns what each node of `child` that has one for a model takes from it.

    Where the child has fewer channels it keeps the most important classes, so a convolution loses on its input just what the ones
    before it lose on their output, and what is summed keeps the same channels. A child that differs by channels alone whose
    every dropped class is zero in the parent computes what the parent computes.

    Args:
        child: Simplified.
        parent: Simplified.
        aligned: Path of a block of the child to its path in the parent, where the two differ.
        scores: Importance of each output channel, `(channels,)`, by node of the parent; without any the first channels are kept.
    """
    pairs = matched(child, parent, aligned)
    theirs = channel_classes(parent)
    choice = _Choice(theirs, scores or {}, pairs)
    smaller = sorted((len(theirs[p]), c, p) for c, p in pairs.items() if makes_channels(parent.ops[p]))
    kept = {c: choice.kept(p, child.facts[c].shape[0]) for _, c, p in smaller if makes_channels(child.ops[c])}
    mine = _as_theirs(child, pairs, theirs, kept)
    return [_taken(child, parent, c, p, mine, theirs, choice) for c, p in pairs.items() if parent.facts[p].params]


class _Choice:
    """Says which classes stay. Narrow nodes decide first, so that parts of a concatenation are there before their sum."""

    def __init__(self, classes: Sequence[Ints], scores: Mapping[int, Floats], pairs: Mapping[int, int]) -> None:
        self._classes = classes
        self._stays: dict[int, bool] = {}
        there = set(pairs.values())
        gone = self._summed(scores.keys() - there, scores)
        # what is taken out has no say in which channels of a sum stay
        self._score = {**gone, **self._summed(scores.keys() & there, scores)}

    def _summed(self, nodes: Iterable[int], scores: Mapping[int, Floats]) -> dict[int, float]:
        total: dict[int, float] = {}
        for node in sorted(nodes):
            for name, score in zip(self._classes[node].tolist(), scores[node].tolist(), strict=True):
                total[name] = total.get(name, 0.0) + score
        return total

    def ranked(self, classes: Ints) -> list[int]:
        """Returns the places of classes, those that stay first, then the undecided ones, each from the most important on."""

        def order(place: int) -> tuple[int, float, int]:
            name = int(classes[place]) // _PIXELS * _PIXELS
            stays = self._stays.get(name)
            return (1 if stays is None else 0 if stays else 2), -self._score.get(name, 0.0), place

        return sorted(range(len(classes)), key=order)

    def kept(self, node: int, count: int) -> Ints:
        """Returns the classes of a parent's node that a node of so many channels keeps, in their order, `NEW` behind them."""
        classes = self._classes[node]
        chosen = sorted(self.ranked(classes)[:count])
        stay = set(chosen)
        for place, name in enumerate(classes.tolist()):
            self._stays.setdefault(name, place in stay)
        return np.concatenate([classes[chosen], np.full(max(0, count - len(classes)), NEW, dtype=np.int64)])


def _as_theirs(child: Graph, pairs: Mapping[int, int], theirs: Sequence[Ints], kept: Mapping[int, Ints]) -> list[Ints]:
    """Returns for each node of the child the parent's class of each of its channels, `NEW` where there is none."""
    found: list[Ints] = []
    for i, facts in enumerate(child.facts):
        if i in kept:
            found.append(kept[i])
            continue
        mine = _passed_on(child, i, [found[s] for s in child.inputs[i]], lambda count: np.full(count, NEW, dtype=np.int64))
        if (mine == NEW).all() and i in pairs and len(theirs[pairs[i]]) == facts.shape[0]:
            mine = theirs[pairs[i]]
        found.append(mine)
    return found


def _taken(child: Graph, parent: Graph, c: int, p: int, mine: Sequence[Ints], theirs: Sequence[Ints], choice: _Choice) -> Taken:
    op = child.ops[c]
    if isinstance(op, BatchNorm) or is_depthwise(op):
        return Taken(c, p, _places(mine[c], theirs[p], choice))
    if not makes_channels(op):
        return Taken(c, p)
    before, above = child.inputs[c][0], parent.inputs[p][0]
    return Taken(c, p, _places(mine[c], theirs[p], choice), _places(mine[before], theirs[above], choice))


def _places(wanted: Ints, classes: Ints, choice: _Choice) -> Ints:
    """Returns where the wanted classes stand; a class that stands several times is taken in turn.

    Where none of them is there, what came before has been taken out: channels then follow each other as they stand, and where
    there are fewer the most important ones are taken.
    """
    standing: dict[int, list[int]] = {}
    for place, name in enumerate(classes.tolist()):
        standing.setdefault(name, []).append(place)
    found = np.full(len(wanted), NEW, dtype=np.int64)
    used: dict[int, int] = {}
    for at, name in enumerate(wanted.tolist()):
        if name in standing:
            turn = used[name] = used.get(name, -1) + 1
            found[at] = standing[name][min(turn, len(standing[name]) - 1)]
    if (found == NEW).all():
        places = sorted(choice.ranked(classes)[: len(wanted)])
        found[: len(places)] = places
    return found
