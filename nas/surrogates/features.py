"""Candidates as numbers that a model can learn from: decisions, how often each value was decided, costs, operations.

Features come in groups; a model learns one weight a group, so that many columns need few points:

* each decision, the repetitions of one place together (`stage[0].kernel` and `stage[1].kernel` are one group, two columns): one
  column a value of a choice, the place on its scale of a number, and whether the decision is active at all;
* how often each value was decided, over all decisions with the same domain: whatever its place, a third convolution is one more;
* of the network, each a group of its own: the logarithm of every exact cost and, where its graph is at hand, how many nodes of
  each operation it has, and how wide it is.

Only differences between candidates matter to a model, so nothing here is scaled; see `scaled`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nas.domains import Choice, Domain, identity
from nas.graph import Graph

if TYPE_CHECKING:
    from nas.problem import Candidate
    from nas.strategies.base import Genotype

Floats = NDArray[np.float64]
Features = dict[tuple[str, str], float]
"""(Group, column) to number; a column that is not there is 0."""

_PLACE = re.compile(r"\[\d+\]")


def features_of(candidate: Candidate, domains: Mapping[str, Domain]) -> Features:
    """Returns the features of a candidate.

    Args:
        candidate: What is known of it without training.
        domains: Every decision that can ever be active, with its domain.
    """
    return {**_decisions(candidate.genotype, domains), **_network(candidate)}


def _decisions(genotype: Genotype, domains: Mapping[str, Domain]) -> Features:
    found: Features = {}
    for path, value in genotype.items():
        domain = domains[path]
        if not domain.varies:
            continue
        group = "decision " + _PLACE.sub("[]", path)
        if isinstance(domain, Choice) and not _is_scale(domain):
            found[group, f"{path}={identity(value)}"] = 1.0
        else:
            found[group, path] = _position(domain, value)
            found[group, f"{path} active"] = 1.0
        if isinstance(domain, Choice):
            counted = (f"count {domain!r}", repr(identity(value)))
            found[counted] = found.get(counted, 0.0) + 1.0
    return found


def _is_scale(domain: Choice) -> bool:
    """Returns whether a choice is between more than two numbers, which have an order."""
    return len(domain.values) > 2 and all(type(value) in (int, float) for value in domain.values)


def _position(domain: Domain, value: object) -> float:
    """Returns the place of a number on the scale of its domain, from 0 to 1; of a choice, its rank."""
    if isinstance(domain, Choice):
        return sorted(domain.values).index(value) / (len(domain.values) - 1)  # type: ignore[type-var, arg-type]
    where = domain.where(value)  # type: ignore[arg-type]
    return where if domain.size is None else where / (domain.size - 1)


def _network(candidate: Candidate) -> Features:
    found: Features = {(f"cost {name}", ""): _log(value) for name, value in candidate.costs.items()}
    if candidate.graph is not None:
        found.update(_graph(candidate.graph))
    return found


def _graph(graph: Graph) -> Features:
    found: Features = {}
    for kind, count in Counter(type(op).__name__ for op in graph.ops).items():
        found[f"operation {kind}", ""] = math.log1p(count)
    layers = [facts.shape for facts in graph.facts if facts.macs and len(facts.shape) == 3]
    if layers:
        found["width mean", ""] = sum(math.log(shape[0]) for shape in layers) / len(layers)
        found["width last", ""] = math.log(layers[-1][0])
        found["resolution mean", ""] = sum(math.log(shape[1] * shape[2]) for shape in layers) / len(layers)
    return found


def _log(value: float) -> float:
    """Puts a cost on a logarithmic scale; one below zero is mirrored."""
    return math.copysign(math.log1p(abs(value)), value)


class Columns:
    """The columns that some candidates' features fill, in the order in which they first appear.

    Args:
        known: Features of the candidates a model is made from. A column that is the same in all of them tells nothing and is
            left out, and so is one that repeats another but for scale and offset.
    """

    def __init__(self, known: Sequence[Features]) -> None:
        names = list(dict.fromkeys(name for features in known for name in features))
        matrix = _matrix(known, names)
        self._names = [name for name, kept in zip(names, _informative(matrix), strict=True) if kept]
        index = {group: i for i, group in enumerate(dict.fromkeys(group for group, _ in self._names))}
        self.groups = np.array([index[group] for group, _ in self._names], dtype=np.int64)
        matrix = _matrix(known, self._names)
        self._middle = matrix.mean(axis=0)
        spread = np.bincount(self.groups, weights=matrix.var(axis=0)) if len(self._names) else np.ones(0)
        self._scale = 1 / np.sqrt(2 * spread[self.groups])  # two points differ by twice the variance, squared, on average

    def __len__(self) -> int:
        return len(self._names)

    def matrix(self, candidates: Sequence[Features]) -> Floats:
        """Returns `(n, d)`: a row a candidate, each group scaled to a mean squared distance of 1 between the known ones."""
        return (_matrix(candidates, self._names) - self._middle) * self._scale


def _matrix(candidates: Sequence[Features], names: Sequence[tuple[str, str]]) -> Floats:
    rows = [[features.get(name, 0.0) for name in names] for features in candidates]
    return np.array(rows, dtype=np.float64).reshape(len(candidates), len(names))


def _informative(matrix: Floats) -> NDArray[np.bool_]:
    """Returns which columns vary and are no copy of an earlier one."""
    deviation = matrix.std(axis=0)
    varies = deviation > 1e-9 * (1 + np.abs(matrix).max(axis=0, initial=0.0))
    standard = (matrix - matrix.mean(axis=0)) / np.where(varies, deviation, 1.0)
    seen: set[bytes] = set()
    kept = np.zeros(matrix.shape[1], dtype=bool)
    for i in np.flatnonzero(varies):
        mark = np.round(standard[:, i], 6) + 0.0
        text = mark.tobytes()
        if text not in seen:
            seen.add(text)
            kept[i] = True
    return kept
