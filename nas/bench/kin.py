"""How much of each candidate was there before: the inherited-gene share, one rule for every strategy.

It is the largest share of a candidate's active decisions that one earlier candidate of the same repeat has alike. Nobody is asked
for parents, so strategies that name none are held to the same measure; what chance alone gives is the share of `random`.

Repetitions are compared where they fit best, not where they stand: one that was inserted in the middle moves `net[3].x` to
`net[4].x`, and the child still has it. Of two candidates the repetitions of each `Repeat` are aligned in order, one with one at
most, so that as many decisions as possible agree: the weighted form of the longest common subsequence (Needleman and Wunsch 1970,
"A general method applicable to the search for similarities", without a penalty for gaps), level by level from the inside out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from nas.domains import Genotype, Value, identity

_INDEX = re.compile(r"\[(\d+)\]")
_REMEMBERED = 512  # rows of agreements a place keeps; inner repetitions have few kinds, whole candidates need one row each

Counts = NDArray[np.int32]
"""Numbers of decisions that agree."""


def kin(genotypes: Sequence[Genotype]) -> list[float | None]:
    """Returns for each candidate the largest share of its decisions that one earlier candidate has alike.

    Args:
        genotypes: In the order in which they were evaluated.

    Returns:
        A share from 0 to 1 each; None for the first, and for one that decides nothing.
    """
    place = _Place()
    numbers = np.array([place.number(_tree(genotype)) for genotype in genotypes], dtype=np.intp)
    shares: list[float | None] = []
    for i, genotype in enumerate(genotypes):
        if i == 0 or not genotype:
            shares.append(None)
        else:
            shares.append(int(place.agreements(int(numbers[i]))[numbers[:i]].max()) / len(genotype))
    return shares


class _Tree:
    """The decisions of a candidate, or of one repetition: its own, and the repetitions of each `Repeat` in it."""

    def __init__(self) -> None:
        self.own: dict[str, tuple[object, ...]] = {}
        self.repeats: dict[str, dict[int, _Tree]] = {}

    def put(self, steps: Sequence[tuple[str, int]], last: str, value: Value) -> None:
        tree = self
        for base, i in steps:
            tree = tree.repeats.setdefault(base, {}).setdefault(i, _Tree())
        tree.own[last] = identity(value)


def _tree(genotype: Genotype) -> _Tree:
    """Returns the decisions by place; where `BASE.times` is decided, `BASE[i]` are repetitions that may move."""
    tree = _Tree()
    for path, value in genotype.items():
        steps: list[tuple[str, int]] = []
        begin = 0
        for index in _INDEX.finditer(path):
            if f"{path[: index.start()]}.times" in genotype:
                steps.append((path[begin : index.start()], int(index[1])))
                begin = index.end()
        tree.put(steps, path[begin:], value)
    return tree


class _Place:
    """All different trees of one place in a space, numbered, as arrays that one of them is compared with at once."""

    def __init__(self) -> None:
        self._columns: dict[str, int] = {}
        self._codes: dict[tuple[object, ...], int] = {}
        self._inner: dict[str, _Place] = {}
        self._rows: dict[tuple[object, ...], int] = {}
        self._own: list[dict[int, int]] = []
        self._below: list[dict[str, list[int]]] = []
        self._agreements = lru_cache(_REMEMBERED)(self._compared)

    def number(self, tree: _Tree) -> int:
        """Takes a tree in; equal ones have one number. All are taken in before the first is compared."""
        own = {
            self._columns.setdefault(path, len(self._columns)): self._codes.setdefault(value, len(self._codes) + 1)
            for path, value in tree.own.items()
        }
        below = {}
        for base, repetitions in tree.repeats.items():
            place = self._inner.setdefault(base, _Place())
            below[base] = [place.number(repetitions[i]) for i in sorted(repetitions)]
        key = (frozenset(own.items()), tuple(sorted((base, tuple(numbers)) for base, numbers in below.items())))
        if key not in self._rows:
            self._rows[key] = len(self._rows)
            self._own.append(own)
            self._below.append(below)
        return self._rows[key]

    def agreements(self, number: int) -> Counts:
        """Returns how many decisions of a tree each tree of this place has alike, `(u,)` for u different trees."""
        return self._agreements(number)

    def _compared(self, number: int) -> Counts:
        codes, repeats = self._arrays
        mine = codes[number]
        found = ((codes == mine) & (mine > 0)).sum(axis=1, dtype=np.int32)
        for base, numbers in self._below[number].items():
            found += _aligned([self._inner[base].agreements(i) for i in numbers], repeats[base])
        return np.asarray(found, dtype=np.int32)

    @cached_property
    def _arrays(self) -> tuple[Counts, dict[str, NDArray[np.intp]]]:
        """The decisions as `(u, columns)` codes, 0 where one is not active, and of each `Repeat` `(u, most)` numbers, -1 behind."""
        codes = np.zeros((len(self._own), len(self._columns)), dtype=np.int32)
        for row, own in enumerate(self._own):
            codes[row, list(own)] = list(own.values())
        repeats = {}
        for base in self._inner:
            lists = [below.get(base, []) for below in self._below]
            repeats[base] = np.full((len(lists), max(map(len, lists))), -1, dtype=np.intp)
            for row, numbers in enumerate(lists):
                repeats[base][row, : len(numbers)] = numbers
        return codes, repeats


def _aligned(mine: Sequence[Counts], theirs: NDArray[np.intp]) -> Counts:
    """Returns how many decisions agree at best when repetitions are aligned in order.

    Args:
        mine: For each of my repetitions, what it has alike with each of the kinds there are, `(k,)`.
        theirs: `(u, m)`: the kinds of the repetitions of u others, -1 behind the last.

    Returns:
        `(u,)`.
    """
    best = np.zeros((len(theirs), theirs.shape[1] + 1), dtype=np.int32)  # best[:, j]: of mine so far with their first j
    for agreements in mine:
        paired = best[:, :-1] + np.append(agreements, np.int32(0))[theirs]  # the 0 is for those behind the last
        np.maximum.accumulate(np.maximum(best[:, 1:], paired), axis=1, out=best[:, 1:])
    return best[:, -1]
