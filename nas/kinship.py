"""How much of a network is in another one, and which repetition of the one is which of the other. Knows no tensors.

What was inserted or taken out in the middle moves everything behind it: `net[3].x` becomes `net[4].x` and is still the same. The
repetitions of each `Repeat` are aligned in order, one with one at most, so that as much as possible agrees: the weighted form of
the longest common subsequence (Needleman and Wunsch 1970, "A general method applicable to the search for similarities", without a
penalty for gaps), from the inside out. Of several ways the one is taken in which the earlier repetitions agree: what is new then
stands behind its likeness, whose output it can pass on (`nas.growth`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from nas.alignment import NOWHERE
from nas.channels import NEW
from nas.domains import Genotype
from nas.graph import Graph
from nas.growth import Beginning, Taken, beginning
from nas.ops import BatchNorm, Conv2d, Linear

_INDEX = re.compile(r"\[(\d+)\]")


def share_taken(child: Graph, parent: Graph, aligned: Mapping[str, str] | None = None) -> float:
    """Returns the share of a network's trainable values that another one gives it, in [0, 1], before there are any values.

    `nas.inherit.inherit` copies as much, or nearly: which channels a narrower layer keeps depends on the values.

    Args:
        child: Simplified.
        parent: Simplified.
        aligned: Path of a block of the child to its path in the parent, where the two differ.
    """
    found: Beginning = beginning(child, parent, aligned)
    whole = sum(facts.params for facts in child.facts)
    return sum(_values(child, parent, taken) for taken in found.taken) / max(1, whole)


def _values(child: Graph, parent: Graph, taken: Taken) -> int:
    """Returns how many values one node takes."""
    op, ref = child.ops[taken.child], parent.ops[taken.parent]
    if taken.rows is None:
        params = child.facts[taken.child].params
        return params if op == ref and params == parent.facts[taken.parent].params else 0
    rows = int((taken.rows != NEW).sum())
    if isinstance(op, BatchNorm):
        return 2 * rows
    assert isinstance(op, Conv2d | Linear) and isinstance(ref, Conv2d | Linear)
    pixels = 1
    if isinstance(op, Conv2d) and isinstance(ref, Conv2d):
        pixels = prod(map(min, op.kernel, ref.kernel))
    groups = op.groups if isinstance(op, Conv2d) else 1
    columns = child.facts[child.inputs[taken.child][0]].shape[0] // groups
    if taken.columns is not None:
        columns = int((taken.columns != NEW).sum())
    return rows * columns * pixels + rows * (op.bias and ref.bias)


def aligned_paths(child: Graph, parent: Graph, decided: Genotype, decided_before: Genotype) -> dict[str, str]:
    """Returns the path in the parent of each block of the child that stands elsewhere there, or `NOWHERE`.

    Args:
        child: Simplified.
        parent: Simplified.
        decided: Genotype of the child; says what repeats.
        decided_before: That of the parent.
    """
    mine, theirs = _parts(child, decided), _parts(parent, decided_before)
    moved: dict[str, str] = {}
    _align(mine, theirs, moved)
    found: dict[str, str] = {}
    for label in dict.fromkeys(child.labels):
        for step in reversed(list(_INDEX.finditer(label))):
            if (at := label[: step.end()]) in moved:
                found[label] = NOWHERE if moved[at] == NOWHERE else moved[at] + label[step.end() :]
                break
    there = set(parent.labels)
    return {label: before for label, before in found.items() if label != before and (before != NOWHERE or label in there)}


@dataclass
class _Part:
    """A network, or one repetition of it.

    Attributes:
        at: Its path.
        blocks: Parameters of each of its blocks, by the rest of its path.
        repeats: The repetitions in it, by the rest of their path, in their order.
    """

    at: str
    blocks: dict[str, int] = field(default_factory=dict)
    repeats: dict[str, dict[int, _Part]] = field(default_factory=dict)


def _parts(graph: Graph, genotype: Genotype) -> _Part:
    """Returns a network with what repeats in it told apart; `BASE.times` is decided where `BASE[i]` are repetitions."""
    bases = {path.removesuffix(".times") for path in genotype if path.endswith(".times")}
    tied = re.compile("|".join(re.escape(base).replace(r"\[\*\]", r"\[\d+\]") for base in sorted(bases)) or "(?!)")
    whole = _Part("")
    for label, facts in zip(graph.labels, graph.facts, strict=True):
        part, begin = whole, 0
        for index in _INDEX.finditer(label):
            if tied.fullmatch(label[: index.start()]):
                repetitions = part.repeats.setdefault(label[begin : index.start()], {})
                part = repetitions.setdefault(int(index[1]), _Part(label[: index.end()]))
                begin = index.end()
        rest = label[begin:]
        part.blocks[rest] = part.blocks.get(rest, 0) + facts.params
    return whole


def _agreement(one: _Part, other: _Part) -> float:
    """Returns how much two parts agree: for each block in both from one to two, the nearer their parameters the more."""
    total = 0.0
    for rest, params in one.blocks.items():
        if rest in other.blocks:
            low, high = sorted((params, other.blocks[rest]))
            total += 1 + (low / high if high else 1.0)
    for base, parts in one.repeats.items():
        if base in other.repeats:
            total += float(_table(_ordered(parts), _ordered(other.repeats[base]))[0][0, 0])
    return total


def _ordered(parts: Mapping[int, _Part]) -> list[_Part]:
    return [parts[i] for i in sorted(parts)]


def _table(mine: Sequence[_Part], theirs: Sequence[_Part]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the largest agreement of what comes from each place on, and that of each pair of parts."""
    pairs = np.array([[_agreement(a, b) for b in theirs] for a in mine]).reshape(len(mine), len(theirs))
    best = np.zeros((len(mine) + 1, len(theirs) + 1))
    for i in reversed(range(len(mine))):
        for j in reversed(range(len(theirs))):
            best[i, j] = max(pairs[i, j] + best[i + 1, j + 1], best[i + 1, j], best[i, j + 1])
    return best, pairs


def _align(mine: _Part, theirs: _Part, moved: dict[str, str]) -> None:
    """Writes down for each repetition the path of the one that it is aligned with, `NOWHERE` for a new one."""
    for base, parts in mine.repeats.items():
        ours, others = _ordered(parts), _ordered(theirs.repeats.get(base, {}))
        moved.update((part.at, NOWHERE) for part in ours)
        best, pairs = _table(ours, others)
        i = j = 0
        while i < len(ours) and j < len(others):
            if pairs[i, j] and best[i, j] == pairs[i, j] + best[i + 1, j + 1]:
                moved[ours[i].at] = others[j].at
                _align(ours[i], others[j], moved)
                i, j = i + 1, j + 1
            elif best[i, j] == best[i, j + 1]:
                j += 1
            else:
                i += 1
