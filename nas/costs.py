"""Exact costs of a graph, as integers, before any tensor exists, and what each of its nodes sees of the image.

MACs are multiply-adds of convolutions and linear layers for one image; FLOPs are 2 x MACs. What remains is `other_flops`, as
each operation counts it (`Op.other_flops`), for one image at inference:

    convolution, linear   1 a value of the output, for the offset, where there is one
    batch normalisation   2 a value: one scale, one offset
    local response        2 size + 3 a value: squares, their sum, scale, offset, power, quotient
    activation            1 a value, whatever it is
    pooling               1 a pixel of the window, a value of the output (l2: 2); windows at the border count in full
    resizing              2 a weight, first along rows, then along columns: one product, one sum
    addition, product     1 a value, for each input after the first
    all else              0: they only move values

Counters disagree here: PyTorch's `FlopCounterMode` counts 2 x MACs and nothing else; fvcore calls one multiply-add one flop
and adds normalisation; ptflops, thop and torchinfo each add some of the rest to the MACs. Memory: see `nas.memory`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

from nas.graph import Graph
from nas.memory import BYTES, peaks
from nas.ops import AdaptivePool2d, Crop, Flatten, Linear, Op, Resize2d, Shape, Zero


@dataclass(frozen=True)
class Cost:
    """What one network costs.

    Attributes:
        params: Trainable values.
        macs: Multiply-adds of convolutions and linear layers, one image.
        flops: 2 x MACs.
        other_flops: Floating-point operations that are not multiply-adds of convolutions and linear layers, one image.
        values: Values of all nodes of one image, the image too: the lecture's sum of H x W x C.
        activation_memory: Peak bytes of live activations, inference of one image in graph order (`nas.memory`).
        training_memory: Peak bytes of activations and their gradients, one image's share of a training step (`nas.memory`).
        weight_bytes: Bytes of weights and buffers, all as float32 (PyTorch keeps the counter of a batch normalisation in 8).
        depth: Layers with weights on the longest path (convolutions and linear layers).
    """

    params: int
    macs: int
    flops: int
    other_flops: int
    values: int
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
    return Cost(params, macs, 2 * macs, other, values, *peaks(graph), BYTES * (params + buffers), _depth(graph))


def _depth(graph: Graph) -> int:
    depth = [0] * len(graph)
    for i, sources in enumerate(graph.inputs):
        if sources:
            below = depth[sources[0]] if len(sources) == 1 else max([depth[s] for s in sources])
            depth[i] = below + 1 if graph.facts[i].macs else below
    return depth[graph.output]


# ---- receptive fields

Exact = int | Fraction


class Field(NamedTuple):
    """The part of the image that the values of a node depend on, along one axis, in pixels; as if the image had no border.

    Value i depends on pixels from `start + i * jump - (size - 1) / 2` to `start + i * jump + (size - 1) / 2` at most. Behind
    an image at another size these are no whole numbers: from 28 to 20 pixels the jump is 7/5.

    Attributes:
        size: Length of the field, gaps of dilated kernels included; 0 for a value that does not depend on the image.
        jump: Pixels between the fields of two neighbouring values; 0 where all see the same.
        start: Offset: centre of the first value's field, from the first pixel's centre.
    """

    size: Exact
    jump: Exact
    start: Exact

    @property
    def pixels(self) -> int:
        """How many pixels a value sees at most."""
        return floor(self.size)

    def ends(self, i: int) -> tuple[Exact, Exact]:
        """Returns where the field of value `i` begins and where it ends."""
        middle, half = self.start + i * self.jump, Fraction(self.size - 1) / 2
        return middle - half, middle + half

    def seen(self, i: int) -> tuple[int, int]:
        """Returns the first and the last pixel that value `i` can depend on; they may lie beyond the border."""
        first, last = self.ends(i)
        return ceil(first), floor(last)


_PIXEL = Field(1, 1, 0)
_NONE = Field(0, 0, 0)


def receptive_fields(graph: Graph) -> list[tuple[Field, Field]]:
    """Returns the receptive field of each node, vertical and horizontal (Araujo et al. 2019, "Computing Receptive Fields").

    A field reaches from the first to the last pixel that a value can depend on; where branches meet, over the fields of all of
    them. It is exact wherever branches that meet have the same jump (they have, unless an image is joined with one of another
    resolution), pooling to a given size divides its input evenly, and what is resized has a jump of 1 (the image has); otherwise a
    regular field that holds all.
    What stands beyond the border counts as pixels there: mirrored and repeated ones see no further, circular ones see the other
    side too. Global pooling, flattening and fully connected layers see all that their input sees.
    """
    fields: list[tuple[Field, Field]] = []
    for i, (op, sources) in enumerate(zip(graph.ops, graph.inputs, strict=True)):
        if not sources:
            fields.append((_PIXEL, _PIXEL))
        elif type(op) is Zero:
            fields.append((_NONE, _NONE))
        else:
            shapes = [graph.facts[s].shape for s in sources]
            out = graph.facts[i].shape
            rows, columns = (_seen(op, axis, [fields[s][axis] for s in sources], shapes, out) for axis in (0, 1))
            fields.append((rows, columns))
    return fields


def _seen(op: Op, axis: int, fields: Sequence[Field], shapes: Sequence[Shape], out: Shape) -> Field:
    """Returns the field of an operation along an axis from those of its inputs."""
    m = out[1 + axis] if len(out) == 3 else 1
    field = fields[0] if len(fields) == 1 else _joined(fields, [_side(shape, axis) for shape in shapes], m)
    if not field.size:
        return _NONE
    n, window = max([_side(shape, axis) for shape in shapes]), op.window()
    if isinstance(op, Linear | Flatten):
        return _through(field, _all_of(n, n))
    if isinstance(op, AdaptivePool2d):
        shares = [(j, j * n // m, -(-(j + 1) * n // m) - 1) for j in range(m)]
        return _through(field, _regular(shares, (n // m, -(-n // m), Fraction(n, m))))
    if isinstance(op, Crop):
        return _through(field, Field(1, 1, (n - m) // 2))
    if isinstance(op, Resize2d):
        return _through(field, _resized(n, m))
    if window is None:
        return field if n == m else _through(field, _all_of(n, n))  # a user's own: any part of its input, so all
    reach = (window.kernel[axis] - 1) * window.dilation[axis]
    return _through(field, Field(reach + 1, window.stride[axis], Fraction(reach, 2) - window.padding[axis]))


def _side(shape: Shape, axis: int) -> int:
    return shape[1 + axis] if len(shape) == 3 else 1


def _all_of(n: int, jump: int) -> Field:
    """Returns the field of values that see all `n` pixels of an axis."""
    return Field(n, jump, Fraction(n - 1, 2))


def _resized(n: int, m: int) -> Field:
    """Returns the field of the triangles of `Resize2d`: the pixels less than `max(1, n / m)` away from the middle.

    A middle is an odd or an even number of halves of 1 / q away from a pixel, n / m = p / q, the same for all of them.
    """
    if n == m:
        return _PIXEL
    scale = Fraction(n, m)
    p, q = scale.as_integer_ratio()
    reach = 2 * max(p, q) - (1 if (p + q) % 2 else 2)  # the farthest pixel that counts, in units of 1 / 2q
    return Field(1 + Fraction(reach, q), scale, (scale - 1) / 2)


def _through(below: Field, window: Field) -> Field:
    """Returns what a window sees through its input, whose values see `below` of the image."""
    size = below.size + (window.size - 1) * below.jump
    return Field(size, below.jump * window.jump, below.start + window.start * below.jump)


def _joined(fields: Sequence[Field], sides: Sequence[int], m: int) -> Field:
    """Returns the field of `m` values that see several inputs, each at its own place; all of an input of another size."""
    seen = {f if n == m else _through(f, _all_of(n, 0)) for f, n in zip(fields, sides, strict=True) if f.size}
    if len(seen) < 2:
        return seen.pop() if seen else _NONE
    ends = [(j, *f.ends(j)) for f in seen for j in {0, m - 1}]
    return _regular(ends, sorted({f.jump for f in seen}, reverse=True))


def _regular(seen: Sequence[tuple[int, Exact, Exact]], jumps: Iterable[Exact]) -> Field:
    """Returns the smallest field, with one of these jumps, in which value j holds pixels `first` to `last`.

    Args:
        seen: (j, first, last); where first and last grow evenly with j, the two ends are enough.
        jumps: The first of those that give the smallest field is taken.
    """
    found = []
    for jump in jumps:
        low = min([first - j * jump for j, first, _ in seen])
        high = max([last - j * jump for j, _, last in seen])
        found.append(Field(high - low + 1, jump, Fraction(low + high) / 2))
    return min(found, key=lambda field: field.size)
