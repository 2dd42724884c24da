"""Memory of activations, in bytes of float32, for one image: the peak of inference, and of a training step.

Operations run one after another in the order of the graph; none works in place, nothing is fused, nothing is computed twice. A
batch takes as many times more. Weights, their gradients, an optimiser's state and the working space inside one operation (an
unfolded image, a term of a longer sum) come on top.

Inference. A value exists from the operation that computes it until the last one that uses it has run; the image too. Flatten,
Crop, Subsample and Dropout only look at their input in another way: they take no memory, and their input lives on with them.
This is what PyTorch allocates when each value is let go at once. Ordinary code holds on longer, generated source too: `x =
relu(bn(conv(x)))` lets the old `x` go at the end of the line, and the caller keeps the image; that takes more.

Training. Going forward, autograd keeps what each operation needs on the way back (`kept`), nothing below the first weights;
going back, these are freed one operation after another while gradients of values come and go: the gradient of a value exists
from the operation that used it last until the one that computed it. The peak is taken over the way back, operation by
operation, where both meet. What is kept agrees with PyTorch to the byte; the peak that PyTorch reaches may lie
somewhat below (terms of a sum share one gradient) or above (gradients of branches wait to be added).

What others do. Inference engines fuse normalisation and activation into the convolution before, which then needs input and
output alone; `nn.ReLU(inplace=True)` frees the normalised value, which autograd does not keep anyway; checkpointing keeps less
and computes twice; an allocator rounds up and holds on to what was freed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from math import prod
from operator import add
from typing import Any, NamedTuple

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
    Facts,
    Flatten,
    Identity,
    Input,
    Linear,
    LocalResponseNorm,
    Multiply,
    Op,
    Pad,
    Pool2d,
    Resize2d,
    Subsample,
    Zero,
)  # fmt: skip

BYTES = 4
"""Of one float32."""
_INDEX = 8  # of one position that a maximum was found at
_SAME_GRADIENT: frozenset[type[Op]] = frozenset((Flatten, Identity))
_VIEWS = _SAME_GRADIENT | {Crop, Subsample}
_VIEWS_AT_INFERENCE = _VIEWS | {Dropout}


class Kept(NamedTuple):
    """What autograd keeps of one operation.

    Attributes:
        inputs: Whether its inputs.
        output: Whether its output.
        beyond: How many bytes beyond these, for one image.
    """

    inputs: bool
    output: bool
    beyond: int = 0


_NOTHING, _INPUTS, _OUTPUT, _BOTH = Kept(False, False), Kept(True, False), Kept(False, True), Kept(True, True)
_BY_OUTPUT = frozenset(("relu", "sigmoid", "tanh"))
_BY_INPUT = frozenset(("reflect", "replicate"))


def _of_convolution(op: Conv2d, inputs: Sequence[Facts], facts: Facts) -> Kept:
    if op.padding_mode == "zeros":
        return _INPUTS
    c, h, w = inputs[0].shape
    return Kept(op.padding_mode in _BY_INPUT, False, BYTES * c * (h + 2 * op.padding[0]) * (w + 2 * op.padding[1]))


def _of_local_response(op: LocalResponseNorm, inputs: Sequence[Facts], facts: Facts) -> Kept:
    padded = (facts.shape[0] + op.size - 1) * prod(facts.shape[1:])
    return Kept(True, False, BYTES * (2 * facts.volume + padded))


def _of_pooling(op: Pool2d, inputs: Sequence[Facts], facts: Facts) -> Kept:
    if op.kind == "l2":
        return Kept(True, True, BYTES * (inputs[0].volume + facts.volume))
    return Kept(True, False, _INDEX * facts.volume if op.kind == "max" else 0)


def _of_pooling_to_a_size(op: AdaptivePool2d, inputs: Sequence[Facts], facts: Facts) -> Kept:
    if op.kind == "max":
        return Kept(True, False, _INDEX * facts.volume)
    return _NOTHING if op.size == (1, 1) else _INPUTS  # the gradient of a mean needs the size of its input alone


_ALWAYS: dict[type[Op], Kept] = {
    Input: _NOTHING, Identity: _NOTHING, Zero: _NOTHING, Flatten: _NOTHING, Crop: _NOTHING, Subsample: _NOTHING,
    Add: _NOTHING, Concat: _NOTHING, Resize2d: _NOTHING, Linear: _INPUTS, BatchNorm: _INPUTS,
}  # fmt: skip
"""What autograd keeps of operations of which it is always the same, as their own source text calls PyTorch."""
_BY_FIELDS: dict[type[Op], Callable[[Any, Sequence[Facts], Facts], Kept]] = {
    Conv2d: _of_convolution, LocalResponseNorm: _of_local_response, Pool2d: _of_pooling, AdaptivePool2d: _of_pooling_to_a_size,
    Activation: lambda op, inputs, facts: _OUTPUT if op.kind in _BY_OUTPUT else _INPUTS,
    Dropout: lambda op, inputs, facts: Kept(False, False, BYTES * facts.volume),
    Multiply: lambda op, inputs, facts: Kept(True, False, BYTES * facts.volume * max(0, len(inputs) - 2)),
    Pad: lambda op, inputs, facts: _INPUTS if op.mode in _BY_INPUT else _NOTHING,
}  # fmt: skip
"""Likewise of those that decide by their fields."""


def kept(op: Op, inputs: Sequence[Facts], facts: Facts) -> Kept:
    """Returns what autograd keeps of one operation; inputs and output of one of a user's own.

    Beyond inputs and output: positions of maxima (int64), the mask of a dropout (float32, as on CPU; one byte a value on CUDA),
    the padded copy of an image whose border is not zeros, and squares and powers inside l2 pooling and local response
    normalisation.

    Args:
        op: The operation.
        inputs: Facts of its inputs.
        facts: Its own.
    """
    decide = _BY_FIELDS.get(type(op))
    return decide(op, inputs, facts) if decide else _ALWAYS.get(type(op), _BOTH)


def peaks(graph: Graph) -> tuple[int, int]:
    """Returns the peak bytes of activations of one image, of inference and of a training step; see the head of this module."""
    views = [i for i, op in enumerate(graph.ops) if type(op) in _VIEWS_AT_INFERENCE]
    owner, learns = _owners(graph, views, _VIEWS_AT_INFERENCE), _learning(graph)
    last = _last_uses(graph, owner)
    forward = max(_alive(graph, owner, last, None))
    behind = _owners(graph, views, _SAME_GRADIENT)
    gradients = _alive(graph, behind, last if behind == owner else _last_uses(graph, behind), learns)
    back = max(map(add, gradients, accumulate(_kept_at(graph, views, learns))))
    return forward, max(forward, back)


def kept_bytes(graph: Graph) -> int:
    """Returns the bytes that autograd keeps of one image between the way forward and the way back."""
    return sum(_kept_at(graph, range(len(graph)), _learning(graph)))


def _owners(graph: Graph, views: Sequence[int], kinds: frozenset[type[Op]]) -> list[int]:
    """Returns for each node the node whose memory its value lies in; `views` are the nodes that may share one."""
    owner = list(range(len(graph)))
    for i in views:
        if type(graph.ops[i]) in kinds:
            owner[i] = owner[graph.inputs[i][0]]
    return owner


def _learning(graph: Graph) -> list[bool]:
    """Returns for each node whether a gradient reaches it: it has weights, or something before it has."""
    learns: list[bool] = []
    for facts, sources in zip(graph.facts, graph.inputs, strict=True):
        learns.append(facts.params > 0 or (learns[sources[0]] if len(sources) == 1 else any([learns[s] for s in sources])))
    return learns


def _last_uses(graph: Graph, owner: Sequence[int]) -> list[int]:
    """Returns for each node the last one that uses its value, or another way to look at it; the node itself where none does."""
    last = list(range(len(graph)))
    for i, sources in enumerate(graph.inputs):
        for s in sources:
            last[owner[s]] = i
    last[owner[graph.output]] = len(graph) - 1
    return last


def _alive(graph: Graph, owner: Sequence[int], last: Sequence[int], counted: Sequence[bool] | None) -> list[int]:
    """Returns how many bytes are alive while each node runs: from the node that makes a value to the last one that uses it."""
    change = [0] * (len(graph) + 1)
    for i, facts in enumerate(graph.facts):
        if owner[i] == i and (counted is None or counted[i]):
            size = BYTES * facts.volume
            change[i] += size
            change[last[i] + 1] -= size
    return list(accumulate(change))[:-1]


def _kept_at(graph: Graph, views: Sequence[int], learns: Sequence[bool]) -> list[int]:
    """Returns how many bytes each node adds to what is kept; a value that several need counts at the first."""
    owner, facts = _owners(graph, views, _VIEWS), graph.facts
    held, found = [False] * len(graph), [0] * len(graph)
    for i, (op, sources) in enumerate(zip(graph.ops, graph.inputs, strict=True)):
        if not learns[i]:
            continue
        needs = _ALWAYS.get(type(op))
        if needs is None:
            needs = kept(op, [facts[s] for s in sources], facts[i])
        needed: Sequence[int] = _needed(op, sources, learns) if needs.inputs else ()
        for s in (*needed, i) if needs.output else needed:
            at = owner[s]
            if not held[at]:
                held[at] = True
                found[i] += BYTES * facts[at].volume
        found[i] += needs.beyond
    return found


def _needed(op: Op, sources: tuple[int, ...], learns: Sequence[bool]) -> Sequence[int]:
    """Returns the inputs that the gradients of an operation are computed from, of one that keeps its inputs."""
    if type(op) is Multiply:  # a factor serves the gradients of the others
        return [s for k, s in enumerate(sources) if any(learns[o] for j, o in enumerate(sources) if j != k)]
    if type(op) is Conv2d and op.padding_mode != "zeros" and not learns[sources[0]]:
        return ()  # the weights need the padded copy alone
    return sources
