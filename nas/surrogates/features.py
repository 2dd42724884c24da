"""Candidates as numbers that a model can learn from: decisions, how often each value was decided, costs, operations.

Features come in groups; a model learns one weight a group, so that many columns need few points:

* each decision, the repetitions of one place together (`stage[0].kernel` and `stage[1].kernel` are one group of two places): a
  column for each value of a choice, the position of a number on its scale, and whether the decision is active at all;
* how often each value was decided, over all decisions with the same domain: wherever it stands, a third convolution is one more;
* of the network, each a group of its own: the logarithm of every exact cost, how many nodes of each operation its graph has, and
  how wide and how fine its layers are.

Only differences between candidates matter, so nothing is scaled here; `nas.surrogates.model` does that.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nas.domains import Choice, Domain, Value, identity
from nas.graph import Graph

if TYPE_CHECKING:
    from nas.domains import Genotype
    from nas.problem import Candidate

Column = tuple[str, str]
"""Group of a feature, and its name in it."""

Row = NDArray[np.float32]
"""Features of one candidate; a row is as long as there were columns when it was made, what is not there is 0."""

_INDEX = re.compile(r"\[\d+\]")


class Sheet:
    """The columns met so far, in the order in which they first appeared.

    Args:
        domains: Every decision that can ever be active, with its domain.
    """

    def __init__(self, domains: Mapping[str, Domain]) -> None:
        self._domains = domains
        self._places: dict[Column, int] = {}

    @property
    def groups(self) -> list[str]:
        """The group of each column."""
        return [group for group, _ in self._places]

    def row(self, candidate: Candidate, *, grow: bool = False) -> Row:
        """Returns the features of a candidate.

        Args:
            candidate: What is known of it without training.
            grow: Add the columns that it is the first to fill; otherwise they are left out.
        """
        found = {**decision_features(candidate.genotype, self._domains), **network_features(candidate)}
        if grow:
            for column in found:
                self._places.setdefault(column, len(self._places))
        row = np.zeros(len(self._places), dtype=np.float32)
        for column, value in found.items():
            place = self._places.get(column)
            if place is not None:
                row[place] = value
        return row


def decision_features(genotype: Genotype, domains: Mapping[str, Domain]) -> dict[Column, float]:
    """Returns what was decided where, and how often."""
    found: dict[Column, float] = {}
    for path, value in genotype.items():
        domain = domains[path]
        if not domain.varies:
            continue
        group = _place(path)
        if isinstance(domain, Choice) and not _is_scale(domain):
            found[group, f"{path}={identity(value)}"] = 1.0
        else:
            found[group, path] = _position(domain, value)
            found[group, f"{path} is active"] = 1.0
        if isinstance(domain, Choice):
            column = f"how many of {domain!r}", repr(identity(value))
            found[column] = found.get(column, 0.0) + 1.0
    return found


def network_features(candidate: Candidate) -> dict[Column, float]:
    """Returns what is read from the network: costs and operations."""
    found = {(f"cost {name}", ""): math.copysign(math.log1p(abs(value)), value) for name, value in candidate.costs.items()}
    return {**found, **_graph_features(candidate.graph)}


def _graph_features(graph: Graph) -> dict[Column, float]:
    found = {(f"nodes {kind}", ""): math.log1p(n) for kind, n in Counter([type(op).__name__ for op in graph.ops]).items()}
    layers = [facts.shape for facts in graph.facts if facts.macs and len(facts.shape) == 3]
    if layers:
        found["width", ""] = sum([math.log(shape[0]) for shape in layers]) / len(layers)
        found["last width", ""] = math.log(layers[-1][0])
        found["resolution", ""] = sum([math.log(shape[1] * shape[2]) for shape in layers]) / len(layers)
    return found


@lru_cache(4096)
def _place(path: str) -> str:
    """Returns a path without the numbers of its repetitions."""
    return _INDEX.sub("[]", path)


@lru_cache(256)
def _is_scale(domain: Choice) -> bool:
    """Returns whether a choice is between numbers, three or more, which have an order and distances."""
    return len(domain.values) > 2 and all(type(value) in (int, float) for value in domain.values)


def _position(domain: Domain, value: Value) -> float:
    """Returns the place of a number on the scale of its domain, from 0 to 1; of a choice of numbers, its rank."""
    if isinstance(domain, Choice):
        return sum([other < value for other in domain.values]) / (len(domain.values) - 1)  # type: ignore[operator]  # numbers
    where = domain.where(value)
    return where if domain.size is None else where / (domain.size - 1)
