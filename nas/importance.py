"""How important the channels of a trained network are, in few numbers, and what a smaller network would lose of it.

A training measures one score for each output channel of each convolution and linear layer (`nas.scoring`), by one of

    taylor      the squared first-order change of the loss when the channel is switched off: the sum of weight times gradient over
                its scale and offset where batch normalisation follows, over its kernel otherwise (Molchanov et al. 2019,
                "Importance Estimation for Neural Network Pruning", section 3, with gates)
    magnitude   the sum of the absolute weights of its kernel (Li et al. 2017, "Pruning Filters for Efficient ConvNets", section
                3.1), relative to the mean of its layer, so that layers can be compared
    bn-scale    the absolute scale of the batch normalisation behind it (Liu et al. 2017, "Learning Efficient Convolutional
                Networks through Network Slimming"); its relative magnitude where none follows

What is recorded of a layer are eight sums: of its least important eighth of channels, its least important two eighths, and so
on to all; and for a kernel larger than 1 the shares of the absolute scores of single weights that lie in the kernel's middle, with
one pixel left out on each side, with two, and so on. This module knows no tensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from nas.alignment import matched
from nas.channels import Floats, channel_classes
from nas.errors import StrategyError
from nas.graph import Graph
from nas.ops import Conv2d, Pair
from nas.source import module_names

KINDS = ("taylor", "magnitude", "bn-scale")
"""The ways to measure."""

SHARES = 8
"""Sums that are kept of one layer."""

Importances = Mapping[str, Sequence[float]]
"""Name of a module to its sums, then to the shares of its kernel's middle."""


def check_kind(strategy: str, kind: object) -> None:
    """Passes the name of an importance.

    Raises:
        StrategyError: When it is none.
    """
    if kind not in KINDS:
        raise StrategyError(f"{strategy}: importance is {kind!r}, expected one of {', '.join(KINDS)}")


def summary(
    graph: Graph, scores: Mapping[int, Floats], middles: Mapping[int, Sequence[float]] | None = None
) -> dict[str, list[float]]:
    """Returns the importances of a network, as they are recorded.

    The channels of a layer are summed in the order in which they would be dropped: that of their classes (`nas.channels`).

    Args:
        graph: Simplified.
        scores: Of each output channel, `(channels,)`, by node.
        middles: Shares of a kernel's middle, largest first, by node.
    """
    classes, names = channel_classes(graph), module_names(graph)
    total: dict[int, float] = {}
    for i, values in scores.items():
        for name, value in zip(classes[i].tolist(), values.tolist(), strict=True):
            total[name] = total.get(name, 0.0) + value
    found: dict[str, list[float]] = {}
    for i, values in scores.items():
        order = np.argsort([total[name] for name in classes[i].tolist()], kind="stable")
        sums = np.concatenate([[0.0], np.cumsum(values[order])])
        places = np.arange(1, SHARES + 1) * len(values) / SHARES
        found[names[i]] = [_rounded(v) for v in (*np.interp(places, np.arange(len(sums)), sums), *(middles or {}).get(i, ()))]
    return found


def middle_sizes(kernel: Pair) -> list[Pair]:
    """Returns the sizes of a kernel's middle with one pixel left out on each side, with two, and so on."""
    return [(max(1, kernel[0] - 2 * j), max(1, kernel[1] - 2 * j)) for j in range(1, (max(kernel) - 1) // 2 + 1)]


def lost(importances: Importances, child: Graph, parent: Graph, aligned: Mapping[str, str] | None = None) -> float:
    """Returns how much importance of `parent` is not in `child`.

    A layer that is missing loses all it has, one with fewer channels its least important ones, one with a smaller kernel what lies
    outside the middle. One that sees fewer pixels than before loses that share: resolution is removed, too.

    Args:
        importances: Of the parent.
        child: Simplified.
        parent: Simplified.
        aligned: Path of a block of the child to its path in the parent, where the two differ.
    """
    child_of = {p: c for c, p in matched(child, parent, aligned).items()}
    total = 0.0
    for p, name in module_names(parent).items():
        numbers = importances.get(name)
        if numbers:
            whole = numbers[SHARES - 1]
            total += whole - (_kept(numbers, child, child_of[p], parent, p) if p in child_of else 0.0)
    return total


def _kept(numbers: Sequence[float], child: Graph, c: int, parent: Graph, p: int) -> float:
    """Returns how much importance of one layer is left."""
    mine, theirs = child.facts[c].shape, parent.facts[p].shape
    dropped = max(0.0, 1 - mine[0] / theirs[0]) * SHARES
    kept = numbers[SHARES - 1] - float(np.interp(dropped, np.arange(SHARES + 1), [0.0, *numbers[:SHARES]]))
    one, other = child.ops[c], parent.ops[p]
    if isinstance(one, Conv2d) and isinstance(other, Conv2d) and one.kernel != other.kernel:
        kept *= dict(zip(middle_sizes(other.kernel), numbers[SHARES:], strict=False)).get(
            one.kernel, min(1.0, prod(one.kernel) / prod(other.kernel))
        )
    return kept * min(1.0, prod(mine[1:]) / prod(theirs[1:]))


def _rounded(value: float) -> float:
    """Returns a number with four digits, which is more than a measurement says."""
    return float(f"{value:.4g}")
