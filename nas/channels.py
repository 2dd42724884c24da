"""Which channels of a network are one and the same thing, and which of them stand for which in another network.

A channel is made by a convolution or a linear layer and passes through normalisation, activation, pooling, depthwise
convolution, concatenation and flattening; a sum or a product makes one class of the channels it joins. Dropping or doubling a
channel means doing so to its class: everywhere, or nowhere. This module knows no tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

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
    Resize2d,
    Subsample,
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NEW = -1
"""A channel that the other network does not have."""

_PIXELS = 1 << 24
"""A flattened value is its channel's class times this, plus the pixel it was."""

_PASS_ON = (
    Activation, AdaptivePool2d, BatchNorm, Crop, Dropout, Identity, LocalResponseNorm, Pool2d, Resize2d, Subsample,
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
    roots = joined.roots()
    return [roots[classes // _PIXELS] * _PIXELS + classes % _PIXELS for classes in found]


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

    def roots(self) -> Ints:
        """Returns the root of each channel by its number."""
        for channel, above in enumerate(self._above):  # what is above has a smaller number, and so its root by now
            self._above[channel] = self._above[above]
        return np.array(self._above, dtype=np.int64)


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


class Origins:
    """For each channel of a network the channel of another one that it stands for.

    A class of the child's channels stands for one class of the parent's, wherever it passes. Where a layer has fewer channels
    than its model it keeps the most important classes, so a convolution loses on its input just what the ones before it lose on
    their output, and what is summed keeps the same channels. Where it has more, classes stand for one of the parent's
    several times: first come all that there are, then the most important ones again.

    Args:
        child: Simplified.
        parent: Simplified.
        pairs: Node of the child to its model in the parent (`nas.alignment.matched`).
        scores: Importance of each output channel, `(channels,)`, by node of the parent; without any the first channels count most.

    Attributes:
        theirs: The parent's classes, as `channel_classes` gives them.
    """

    def __init__(self, child: Graph, parent: Graph, pairs: Mapping[int, int], scores: Mapping[int, Floats] | None = None) -> None:
        self.theirs = channel_classes(parent)
        self._mine = channel_classes(child)
        self._scores = _summed(self.theirs, scores or {}, set(pairs.values()))
        self._stays: dict[int, bool] = {}
        self._named: dict[int, int] = {}
        self._remembered: dict[int, Ints] = {}
        models = [(c, p) for c, p in pairs.items() if makes_channels(child.ops[c]) and makes_channels(parent.ops[p])]
        # narrow layers decide first, so that parts of a concatenation are there before their sum
        for c, p in sorted(models, key=lambda pair: (len(self.theirs[pair[1]]), pair)):
            self.follow(c, self.theirs[p])
        for c, p in pairs.items():
            self._equate(self._mine[c], self.theirs[p])

    def of(self, node: int) -> Ints:
        """Returns for each channel of a child's node the parent's class, `NEW` where there is none."""
        found = self._remembered.get(node)
        if found is None or (found == NEW).any():  # what stands for something does so for good
            found = self._remembered[node] = np.array([self._class(name) for name in self._mine[node].tolist()], dtype=np.int64)
        return found

    def follow(self, node: int, classes: Ints) -> None:
        """Lets the channels of a node that stand for nothing yet stand for classes of the parent."""
        places: dict[int, int] = {}
        for place, name in enumerate(classes.tolist()):
            if name != NEW:
                places.setdefault(name, place)
        undecided = [name for name in dict.fromkeys(self._mine[node].tolist()) if name not in self._named]
        present = {self._class(name) for name in self._mine[node].tolist()}
        missing = [name for name in places if name not in present]
        chosen = sorted(self._ranked(missing, places)[: len(undecided)], key=places.__getitem__)
        for name in places:
            self._stays.setdefault(name, name in present or name in chosen)
        again = self._ranked(missing or list(places), places)
        if again:
            chosen += [again[k % len(again)] for k in range(len(undecided) - len(chosen))]
        self._named.update(zip(undecided, chosen, strict=False))

    def places(self, wanted: Ints, classes: Ints) -> Ints:
        """Returns where wanted classes stand among others, `NEW` where they do not.

        A class that stands as often as it is wanted is taken in turn. Where none of them is there, what came before has been taken
        out: channels then follow each other as they stand, and where there are fewer the most important ones are taken.
        """
        standing: dict[int, list[int]] = {}
        for place, name in enumerate(classes.tolist()):
            standing.setdefault(name, []).append(place)
        found = np.full(len(wanted), NEW, dtype=np.int64)
        turns: dict[int, int] = {}
        for at, name in enumerate(wanted.tolist()):
            if name != NEW and name in standing:
                turn = turns[name] = turns.get(name, -1) + 1
                found[at] = standing[name][turn % len(standing[name])]
        if (found == NEW).all():
            self._fill(found, classes)
        return found

    def rows(self, node: int, model: int) -> Ints:
        """Returns for each output channel of a layer the place of its model's channel; a channel that has none takes a free one."""
        classes = self.theirs[model]
        found = self.places(self.of(node), classes)
        if (found == NEW).any():
            self._fill(found, classes)
        return found

    def _fill(self, found: Ints, classes: Ints) -> None:
        """Lets places that stand for nothing stand for free ones, the most important of them, in their order."""
        taken, empty = set(found.tolist()), np.flatnonzero(found == NEW)
        free = self._ranked([place for place in range(len(classes)) if place not in taken], classes)
        places = sorted(free[: len(empty)])
        found[empty[: len(places)]] = places

    def _ranked(self, what: Sequence[int], of: Mapping[int, int] | Ints) -> list[int]:
        """Returns classes (with their places), or places (with their classes): what stays first, then by importance."""

        def order(one: int) -> tuple[int, float, int]:
            name, place = (one, of[one]) if isinstance(of, Mapping) else (int(of[one]), one)
            root = name // _PIXELS * _PIXELS
            stays = self._stays.get(root)
            return (1 if stays is None else 0 if stays else 2), -self._scores.get(root, 0.0), place

        return sorted(what, key=order)

    def _class(self, name: int) -> int:
        """Returns what a child's class stands for; one of a flattened value, its pixel."""
        root = self._named.get(name // _PIXELS * _PIXELS, NEW) if name != NEW else NEW
        return NEW if root == NEW else root + name % _PIXELS

    def _equate(self, mine: Ints, theirs: Ints) -> None:
        """Lets channels that nobody decided stand for those of a node's model where it has as many (the image, for one)."""
        if len(mine) == len(theirs) and all(self._class(name) == NEW for name in mine.tolist()):
            same_pixels = (mine % _PIXELS == theirs % _PIXELS) & (mine != NEW) & (theirs != NEW)
            roots = zip((mine[same_pixels] // _PIXELS).tolist(), (theirs[same_pixels] // _PIXELS).tolist(), strict=True)
            for one, other in roots:
                self._named.setdefault(one * _PIXELS, other * _PIXELS)


def _summed(classes: Sequence[Ints], scores: Mapping[int, Floats], there: Iterable[int]) -> dict[int, float]:
    """Returns the importance of each class; what is taken out has no say in which channels of a sum stay."""
    stays = set(there)
    found: dict[int, float] = {}
    for kept in (False, True):
        total: dict[int, float] = {}
        for node in sorted(node for node in scores if (node in stays) is kept):
            for name, score in zip(classes[node].tolist(), scores[node].tolist(), strict=True):
                total[name] = total.get(name, 0.0) + score
        found |= total
    return found
