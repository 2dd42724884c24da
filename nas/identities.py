"""When a layer can pass its input on, when it can say nothing at all, and when two layers see the same. Knows no tensors."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

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
    Linear,
    Multiply,
    Op,
    Pad,
    Pool2d,
    Resize2d,
    Subsample,
)

_LEARNS_AT_ZERO = ("tanh", "elu", "gelu", "silu", "hardswish")
"""Activations that are 0 at 0 with a slope that is not."""


class Silence:
    """Finds nodes that make terms of a sum zero when their weights begin at zero, and that can learn from there.

    Args:
        graph: Simplified.
        fixed: Nodes whose weights are somebody else's.
    """

    def __init__(self, graph: Graph, fixed: Collection[int]) -> None:
        self._graph, self._fixed, self._users = graph, fixed, graph.consumers()

    def of(self, total: int, terms: Iterable[int]) -> frozenset[int] | None:
        """Returns which nodes make some inputs of node `total` zero; None where that cannot be."""
        zeros: frozenset[int] = frozenset()
        for term in terms:
            more = self._found(term, total)
            if more is None:
                return None
            zeros |= more
        return zeros

    def _found(self, i: int, total: int) -> frozenset[int] | None:
        op, sources = self._graph.ops[i], self._graph.inputs[i]
        if not self._leads_nowhere_else(i, total):
            return None
        if isinstance(op, BatchNorm | Conv2d | Linear):
            return frozenset({i})
        if isinstance(op, Multiply):
            factors = (self._found(s, total) for s in sources)
            return next((zeros for zeros in factors if zeros is not None), None)
        if isinstance(op, Add | Concat):
            return self.of(total, sources)
        passes_zero = isinstance(op, Dropout | Crop | Resize2d) or (
            isinstance(op, Pool2d | AdaptivePool2d) and op.kind in ("max", "avg")
        )
        if passes_zero or (isinstance(op, Activation) and op.kind in _LEARNS_AT_ZERO):
            return self._found(sources[0], total)
        return None

    def _leads_nowhere_else(self, i: int, total: int) -> bool:
        """Returns whether nobody reads a value but the sum, by nodes that are free."""
        ahead, seen = [i], {total}
        while ahead:
            node = ahead.pop()
            if node in self._fixed or not self._users[node]:
                return False
            seen.add(node)
            ahead += [user for user in self._users[node] if user not in seen]
        return True


def sees_the_same(child: Graph, c: int, parent: Graph, p: int) -> bool:
    """Returns whether a layer sees what its model sees, with zeros around a kernel that became larger."""
    op, ref = child.ops[c], parent.ops[p]
    if isinstance(op, Linear) and isinstance(ref, Linear):
        return op.bias or not ref.bias
    if not (isinstance(op, Conv2d) and isinstance(ref, Conv2d)):
        return False
    alike = (op.stride, op.dilation, op.padding_mode) == (ref.stride, ref.dilation, ref.padding_mode)
    axes = zip(op.kernel, ref.kernel, op.padding, ref.padding, op.dilation, strict=True)
    around = all(k >= r and (k - r) % 2 == 0 and 2 * (p - q) == d * (k - r) for k, r, p, q, d in axes)
    pixels = child.facts[c].shape[1:] == parent.facts[p].shape[1:]
    return alike and around and pixels and (op.bias or not ref.bias)


def keeps_the_image(graph: Graph, i: int) -> bool:
    """Returns whether a layer can pass its input on: stride 1, the same pixels, one of them in the middle of its kernel."""
    op = graph.ops[i]
    if isinstance(op, Linear):
        return True
    if not isinstance(op, Conv2d) or op.stride != (1, 1):
        return False
    axes = zip(op.kernel, op.padding, op.dilation, strict=True)
    return all(k % 2 == 1 and 2 * p == d * (k - 1) for k, p, d in axes)


def changes_nothing(op: Activation, sign: str) -> bool:
    """Returns whether an activation is the identity on what has a sign (see `signs`)."""
    return (op.kind == "relu" and sign in ("positive", "six")) or (op.kind == "relu6" and sign == "six")


def signs(graph: Graph) -> list[str]:
    """Returns what is known of each node's values: "positive" (or 0), "six" (from 0 to 6), or nothing."""
    found: list[str] = []
    for op, sources in zip(graph.ops, graph.inputs, strict=True):
        found.append(_sign(op, [found[s] for s in sources]))
    return found


def _sign(op: Op, before: Sequence[str]) -> str:
    if isinstance(op, Activation) and op.kind in ("relu", "relu6", "sigmoid"):
        return "six" if op.kind != "relu" or before[0] == "six" else "positive"
    if isinstance(op, Dropout | Pool2d | AdaptivePool2d | Crop | Resize2d | Subsample | Flatten | Pad | Concat | Add | Multiply):
        weakest = min(before, key=("", "positive", "six").index)
        grows = isinstance(op, Add | Multiply) or (isinstance(op, Pool2d) and op.kind == "l2")
        return "positive" if weakest == "six" and grows else weakest
    return ""
