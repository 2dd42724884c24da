"""Exact costs of a graph, as integers, before any tensor exists.

MACs are multiply-adds of convolutions and linear layers for one image; FLOPs are 2 x MACs; what remains (normalisation,
activation, pooling, addition) is `other_flops`. Memory is that of float32 values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from nas.graph import Graph
from nas.ops import AdaptivePool2d, Crop, Flatten, Linear, Window

_BYTES = 4


@dataclass(frozen=True)
class Cost:
    """What one network costs.

    Attributes:
        params: Trainable values.
        macs: Multiply-adds of convolutions and linear layers, one image.
        flops: 2 x MACs.
        other_flops: Floating-point operations that are not multiply-adds of convolutions and linear layers, one image.
        activation_memory: Peak bytes of live activations, inference of one image in graph order.
        training_memory: Bytes of all activations of one image, as a training step keeps them.
        weight_bytes: Bytes of weights and buffers.
        depth: Layers with weights on the longest path (convolutions and linear layers).
    """

    params: int
    macs: int
    flops: int
    other_flops: int
    activation_memory: int
    training_memory: int
    weight_bytes: int
    depth: int


def cost_of(graph: Graph) -> Cost:
    """Returns the exact cost of a graph as it stands; simplify it first to leave out what is dead."""
    params = macs = other = buffers = values = 0
    for facts in graph.facts:
        params += facts.params
        macs += facts.macs
        other += facts.other_flops
        buffers += facts.buffers
        values += facts.volume
    return Cost(params, macs, 2 * macs, other, _BYTES * _peak(graph), _BYTES * values, _BYTES * (params + buffers), _depth(graph))


def _peak(graph: Graph) -> int:
    """Returns the most values alive at once when nodes run in order and a value is dropped after its last use.

    Flattening only looks at its input in another way and takes no memory.
    """
    ops, last = graph.ops, [0] * len(graph)
    owner = list(range(len(graph)))
    for i, sources in enumerate(graph.inputs):
        if type(ops[i]) is Flatten:
            owner[i] = owner[sources[0]]
        for s in sources:
            last[owner[s]] = i
    last[owner[graph.output]] = len(ops)
    alive = peak = 0
    ends: dict[int, int] = {}  # values that die behind a node
    for i, facts in enumerate(graph.facts):
        if owner[i] == i:
            alive += facts.volume
            end = last[i] or i
            ends[end] = ends.get(end, 0) + facts.volume
            if alive > peak:
                peak = alive
        alive -= ends.get(i, 0)
    return peak


def _depth(graph: Graph) -> int:
    depth = [0] * len(graph)
    for i, sources in enumerate(graph.inputs):
        if sources:
            below = depth[sources[0]] if len(sources) == 1 else max([depth[s] for s in sources])
            depth[i] = below + 1 if graph.facts[i].macs else below
    return depth[graph.output]


class Field(NamedTuple):
    """The part of the image that one value of a node depends on, along one axis, in pixels.

    Attributes:
        size: How many pixels.
        jump: Pixels between the fields of two neighbouring values.
        start: Centre of the first value's field, from the first pixel's centre.
    """

    size: int
    jump: int
    start: float


def receptive_fields(graph: Graph) -> list[tuple[Field, Field]]:
    """Returns the receptive field of each node, vertical and horizontal (Araujo et al. 2019, "Computing Receptive Fields").

    Where branches meet, the largest field counts. Global pooling and fully connected layers see all that their input sees.
    """
    fields: list[tuple[Field, Field]] = []
    for op, sources in zip(graph.ops, graph.inputs, strict=True):
        if not sources:
            fields.append((Field(1, 1, 0.0), Field(1, 1, 0.0)))
            continue
        shape = graph.facts[sources[0]].shape
        whole = isinstance(op, AdaptivePool2d | Linear | Flatten)
        window = op.window()
        if isinstance(op, Crop):  # how much is cut off at the top and the left depends on the input
            window = Window((1, 1), (1, 1), (-((shape[1] - op.size[0]) // 2), -((shape[2] - op.size[1]) // 2)))
        axes = []
        for axis in (0, 1):
            widest = max((fields[s][axis] for s in sources), key=lambda f: (f.size, f.jump))
            if whole:
                n = shape[1 + axis] if len(shape) == 3 else 1
                axes.append(Field(widest.size + (n - 1) * widest.jump, widest.jump * n, widest.start + (n - 1) * widest.jump / 2))
            else:
                axes.append(_slid(widest, window, axis))
        fields.append((axes[0], axes[1]))
    return fields


def _slid(field: Field, window: Window | None, axis: int) -> Field:
    if window is None:
        return field
    reach = (window.kernel[axis] - 1) * window.dilation[axis]
    return Field(
        field.size + reach * field.jump,
        field.jump * window.stride[axis],
        field.start + (reach / 2 - window.padding[axis]) * field.jump,
    )
