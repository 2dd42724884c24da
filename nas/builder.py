"""Builds graphs: what a block's `expand` writes into. Shapes are known at every step; what cannot be applied says why.

A window misfits when a real pixel lies beyond the last window, `(out - 1) * stride - padding + span - 1 < n - 1`, for kernels
at least as large as the stride (a 1x1 convolution of stride 2 leaves pixels out by intent). The border rule says what then.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, get_args

from nas.errors import BlockError, did_you_mean
from nas.graph import Graph
from nas.ops import (
    ACTIVATIONS,
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
    Pair,
    Pool2d,
    Shape,
    Subsample,
    Zero,
)  # fmt: skip
from nas.ops.base import out_size, span
from nas.ops.layers import PADDING_MODES
from nas.ops.pooling import POOLS

Border = Literal["error", "warn", "floor", "pad"]
Join = Literal["refuse", "project", "pad", "crop"]
Size = int | tuple[int, int]
Padding = int | tuple[int, int] | Literal["same", "valid"]

NORMS = ("none", "batch", "local_response")


class Node:
    """A value inside a graph that is being built: give it to the builder's methods, read its shape.

    Attributes:
        index: Its place in the graph.
        shape: `(channels, height, width)` or `(features,)`.
    """

    __slots__ = ("index", "shape")

    def __init__(self, index: int, shape: Shape) -> None:
        self.index, self.shape = index, shape

    @property
    def channels(self) -> int:
        """Channels of an image, or features of a flat value."""
        return self.shape[0]

    @property
    def height(self) -> int:
        """Height in pixels; 1 for a flat value."""
        return self.shape[1] if len(self.shape) == 3 else 1

    @property
    def width(self) -> int:
        """Width in pixels; 1 for a flat value."""
        return self.shape[2] if len(self.shape) == 3 else 1

    def __repr__(self) -> str:
        return f"Node({self.index}, shape={self.shape})"


class GraphBuilder:
    """Collects nodes. Made once for each network; blocks receive it in `expand`.

    Args:
        input_shape: `(channels, height, width)` of the image.
        border: What a window that leaves real pixels over does: "error", "warn", "floor" (leave them) or "pad".
        classes: How many classes the network tells apart.

    Attributes:
        input: The image.
        label: Path of the block that is being expanded.
        border, classes: As given.
        notes: What was noticed on the way (pixels left out by a window), for people.
    """

    def __init__(self, input_shape: Shape, border: Border = "error", classes: int = 10) -> None:
        self.border = border
        self.classes = classes
        self.notes: list[str] = []
        self._ops: list[Op] = []
        self._inputs: list[tuple[int, ...]] = []
        self._facts: list[Facts] = []
        self._labels: list[str] = []
        self.label = ""
        self.input = self.apply(_interned(Input(tuple(input_shape))))

    def apply(self, op: Op, *inputs: Node) -> Node:
        """Adds a primitive operation, one of a user's own too.

        Raises:
            BlockError: When it does not apply to these inputs.
        """
        index = len(self._ops)
        facts = op.facts(*[x.shape for x in inputs])
        self._ops.append(op)
        self._inputs.append(tuple([x.index for x in inputs]))
        self._facts.append(facts)
        self._labels.append(self.label)
        return Node(index, facts.shape)

    def _chain(self, ops: tuple[Op, ...], x: Node) -> Node:
        index, shape, label = x.index, x.shape, self.label
        for op in ops:
            facts = op.facts(shape)
            self._ops.append(op)
            self._inputs.append((index,))
            self._facts.append(facts)
            self._labels.append(label)
            index, shape = len(self._ops) - 1, facts.shape
        return Node(index, shape)

    def finish(self, output: Node) -> Graph:
        """Returns the graph with `output` as its output."""
        return Graph(self._ops, self._inputs, self._labels, output.index, self.notes, self._facts)

    # ---- layers

    def conv(
        self,
        x: Node,
        channels: int,
        kernel: Size = 3,
        stride: Size = 1,
        padding: Padding = "same",
        *,
        dilation: Size = 1,
        groups: int | Literal["depthwise"] = 1,
        bias: bool | None = None,
        padding_mode: str = "zeros",
        norm: str = "none",
        activation: str = "none",
        dropout: float = 0.0,
    ) -> Node:
        """Convolution, then normalisation, activation and dropout where asked for.

        Args:
            x: `(C, H, W)`.
            channels: Output channels.
            kernel, stride, dilation: One number, or (vertical, horizontal).
            padding: Pixels on each side; "same" gives ceil(n / stride) pixels (an even kernel pads one more below and on
                the right); "valid" is none.
            groups: Groups of channels; "depthwise" is one group a channel.
            bias: None: only where no batch normalisation follows.
            padding_mode: zeros, reflect, replicate or circular.
            norm: none, batch or local_response.
            activation: A name of `nas.ops.ACTIVATIONS`, or none.
            dropout: Share of values set to zero behind it, while training.

        Returns:
            `(channels, H', W')`.

        Raises:
            BlockError: When it does not apply to `x`.
        """
        ops, note = _conv_plan(
            x.shape, channels, kernel, stride, padding, dilation, groups, bias, padding_mode, norm, activation, dropout, self.border
        )
        return self._planned(ops, note, x)

    def pool(
        self, x: Node, kind: str, kernel: Size, stride: Size | None = None, padding: Padding = 0, *, ceil: bool = False
    ) -> Node:
        """Pooling over windows.

        Args:
            x: `(C, H, W)`.
            kind: "max", "avg" or "l2".
            kernel, stride: One number, or (vertical, horizontal); the stride is the kernel where it is not given.
            padding: Pixels on each side, "same" or "valid".
            ceil: Keep a last window that is only partly filled.

        Returns:
            `(C, H', W')`.

        Raises:
            BlockError: When it does not apply to `x`.
        """
        ops, note = _pool_plan(x.shape, kind, kernel, kernel if stride is None else stride, padding, ceil, self.border)
        return self._planned(ops, note, x)

    def _planned(self, ops: tuple[Op, ...], note: str, x: Node) -> Node:
        if note:
            self.notes.append(f"{self.label}: {note}" if self.label else note)
        return self._chain(ops, x)

    def global_avg_pool(self, x: Node) -> Node:
        """Mean of each channel: `(C, H, W)` -> `(C, 1, 1)` (Lin et al. 2013)."""
        return self.adaptive_pool(x, "avg", 1)

    def global_max_pool(self, x: Node) -> Node:
        """Largest value of each channel: `(C, H, W)` -> `(C, 1, 1)`."""
        return self.adaptive_pool(x, "max", 1)

    def adaptive_pool(self, x: Node, kind: str, size: Size) -> Node:
        """Pools to a given size, "max" or "avg": `(C, H, W)` -> `(C, *size)`."""
        _known("pooling", kind, ("max", "avg"))
        return self.apply(_interned(AdaptivePool2d(kind, pair(size))), x)

    def norm(self, x: Node, kind: str = "batch") -> Node:
        """Normalisation: "batch", "local_response" or "none"; the shape stays."""
        return self._chain(_norm_ops(kind), x)

    def activation(self, x: Node, kind: str) -> Node:
        """An activation of `nas.ops.ACTIVATIONS`, or "none"; the shape stays."""
        return self._chain(_activation_ops(kind), x)

    def dropout(self, x: Node, share: float) -> Node:
        """Sets a share of the values to zero while training; the shape stays."""
        return self._chain(_dropout_ops(share), x)

    def flatten(self, x: Node) -> Node:
        """All values in one row: `(C, H, W)` -> `(C * H * W,)`."""
        return self.apply(_FLATTEN, x)

    def linear(self, x: Node, features: int, *, bias: bool = True) -> Node:
        """Fully connected layer: `(F,)` -> `(features,)`."""
        return self.apply(_interned(Linear(features, bias)), x)

    # ---- wiring

    def add(self, *xs: Node) -> Node:
        """Sum of values of one shape."""
        return self.apply(_ADD, *xs)

    def multiply(self, *xs: Node) -> Node:
        """Product, value by value; `(C, 1, 1)` is spread over `(C, H, W)`."""
        return self.apply(_MULTIPLY, *xs)

    def concat(self, *xs: Node) -> Node:
        """Side by side along the channels, in order."""
        return self.apply(_CONCAT, *xs)

    def identity(self, x: Node) -> Node:
        """Passes `x` on (and disappears when the graph is simplified)."""
        return self.apply(_IDENTITY, x)

    def zero(self, x: Node, shape: Shape | None = None) -> Node:
        """No connection: zeros of `shape` (of the shape of `x` where it is not given)."""
        return self.apply(_interned(Zero(tuple(shape or x.shape))), x)

    def pad(self, x: Node, pixels: tuple[int, int, int, int] = (0, 0, 0, 0), channels: int = 0) -> Node:
        """Zeros around the image and as new channels behind the existing ones.

        Args:
            x: `(C, H, W)`.
            pixels: Left, right, top, bottom.
            channels: New ones.

        Returns:
            `(C + channels, H + top + bottom, W + left + right)`.
        """
        return self.apply(_interned(Pad(pixels, channels)), x)

    def crop(self, x: Node, height: int, width: int) -> Node:
        """The middle of the image: `(C, H, W)` -> `(C, height, width)`."""
        return self.apply(_interned(Crop((height, width))), x)

    def subsample(self, x: Node, stride: Size) -> Node:
        """Every n-th pixel, from the first: `(C, H, W)` -> `(C, ceil(H / n), ceil(W / n))`; `stride` is n, one number or a pair."""
        return self.apply(_interned(Subsample(pair(stride))), x)

    def join(self, xs: Sequence[Node], merge: str, fix: Join = "refuse") -> Node:
        """Joins branches by "add" or "concat", making their shapes agree by the declared rule.

        Args:
            xs: The branches.
            merge: "add" or "concat".
            fix: "refuse": shapes must agree; "crop": cut images to the smallest; "pad": zeros up to the largest image (and
                channels, for "add"); "project": like "crop" for the pixels, and a 1x1 convolution with batch normalisation
                where channels differ from the first branch's (for "add").

        Raises:
            BlockError: When the shapes do not agree and the rule does not make them.
        """
        _known("merge", merge, ("add", "concat"))
        _known("rule for joining", fix, get_args(Join))
        if any(len(x.shape) != 3 for x in xs) or fix == "refuse":
            self._must_agree(xs, merge)
        else:
            xs = self._agreed(xs, merge, fix)
        return self.add(*xs) if merge == "add" else self.concat(*xs)

    def _must_agree(self, xs: Sequence[Node], merge: str) -> None:
        for i, x in enumerate(xs[1:], 2):
            if x.shape[merge == "concat" :] != xs[0].shape[merge == "concat" :]:
                raise BlockError(
                    f"branch 1 gives {xs[0].shape} and branch {i} gives {x.shape}, which do not {merge}; "
                    "declare how to join them, for example fix='project', 'pad' or 'crop'"
                )

    def _agreed(self, xs: Sequence[Node], merge: str, fix: Join) -> list[Node]:
        pick = max if fix == "pad" else min
        h, w = pick(x.height for x in xs), pick(x.width for x in xs)
        channels = xs[0].channels if fix == "project" else max(x.channels for x in xs)
        joined = []
        for x in xs:
            if fix == "pad":
                dh, dw = h - x.height, w - x.width
                grow = channels - x.channels if merge == "add" else 0
                if dh or dw or grow:
                    x = self.pad(x, (dw // 2, dw - dw // 2, dh // 2, dh - dh // 2), grow)
            elif (x.height, x.width) != (h, w):
                x = self.crop(x, h, w)
            if fix == "project" and merge == "add" and x.channels != channels:
                x = self.conv(x, channels, 1, norm="batch")
            joined.append(x)
        self._must_agree(joined, merge)
        return joined


def pair(size: Size) -> Pair:
    """Returns (vertical, horizontal) for one number or two.

    Raises:
        BlockError: When it is neither.
    """
    if type(size) is int:
        return (size, size)
    if isinstance(size, tuple) and len(size) == 2 and all(type(s) is int for s in size):
        return size
    raise BlockError(f"got size {size!r}, expected a whole number or a pair (vertical, horizontal)")


_INTERNED: dict[Op, Op] = {}
_ADD, _MULTIPLY, _CONCAT, _IDENTITY, _FLATTEN = Add(), Multiply(), Concat(), Identity(), Flatten()


def _interned(op: Op) -> Op:
    """One object for equal operations: it remembers what it costs for which shapes."""
    if len(_INTERNED) > 100_000:
        _INTERNED.clear()
    return _INTERNED.setdefault(op, op)


def _known(kind: str, name: object, known: Sequence[str]) -> None:
    if name not in known:
        raise BlockError(f"unknown {kind} {name!r}{did_you_mean(str(name), known)}")


def _norm_ops(kind: str) -> tuple[Op, ...]:
    _known("norm", kind, NORMS)
    if kind == "none":
        return ()
    return (_interned(BatchNorm() if kind == "batch" else LocalResponseNorm()),)


def _activation_ops(kind: str) -> tuple[Op, ...]:
    _known("activation", kind, (*ACTIVATIONS, "none"))
    return () if kind == "none" else (_interned(Activation(kind)),)


def _dropout_ops(share: float) -> tuple[Op, ...]:
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
        raise BlockError(f"dropout is {share!r}, expected a share from 0 to below 1")
    return (_interned(Dropout(float(share))),) if share else ()


def _positive(name: str, sizes: Pair) -> Pair:
    if min(sizes) < 1:
        raise BlockError(f"{name} is {sizes}, expected at least 1 along both axes")
    return sizes


def _padding(shape: Shape, kernel: Pair, stride: Pair, dilation: Pair, padding: Padding) -> tuple[Pair, Pair]:
    """Returns padding on each side, and what is to be padded below and on the right beyond that."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding != "same":
        if isinstance(padding, str):
            raise BlockError(f"padding is {padding!r}, expected a number, a pair, 'same' or 'valid'")
        sides = pair(padding)
        if min(sides) < 0:
            raise BlockError(f"padding is {sides}, expected at least 0 along both axes")
        return sides, (0, 0)
    reach = (span(kernel[0], dilation[0]), span(kernel[1], dilation[1]))
    return ((reach[0] - 1) // 2, (reach[1] - 1) // 2), ((reach[0] - 1) % 2, (reach[1] - 1) % 2)


def _left_over(sides: Pair, more: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Pair:
    """Returns how many real pixels lie beyond the last window, along both axes; `more` are zeros below and on the right."""
    left = []
    for n, extra, k, s, p, d in zip(sides, more, kernel, stride, padding, dilation, strict=True):
        out = out_size(n + extra, k, s, p, d)
        last = (out - 1) * s - p + span(k, d) - 1
        left.append(max(0, n - 1 - last) if k >= s and out > 0 else 0)  # no window at all is another error
    return (left[0], left[1])


def _misfit(what: str, sides: Pair, left: Pair, border: Border) -> str:
    text = f"{what} on {sides[0]} x {sides[1]} pixels leaves {left[0]} row(s) and {left[1]} column(s) over"
    if border == "error":
        raise BlockError(f"{text}; change size, stride or padding, or give the space border='floor' (leave them out) or 'pad'")
    return text if border == "warn" else ""


@lru_cache(100_000, typed=True)
def _conv_plan(
    shape: Shape, channels: int, kernel: Size, stride: Size, padding: Padding, dilation: Size, groups: int | str, bias: bool | None,
    padding_mode: str, norm: str, activation: str, dropout: float, border: Border,
) -> tuple[tuple[Op, ...], str]:  # fmt: skip
    if type(channels) is not int or channels < 1:
        raise BlockError(f"channels is {channels!r}, expected a whole number of at least 1")
    if len(shape) != 3:
        raise BlockError(f"convolution needs an input (channels, height, width), got {shape}; put it before the classifier")
    _known("padding_mode", padding_mode, PADDING_MODES)
    k, s, d = _positive("kernel", pair(kernel)), _positive("stride", pair(stride)), _positive("dilation", pair(dilation))
    number = shape[0] if groups == "depthwise" else groups
    if type(number) is not int or number < 1:
        raise BlockError(f"groups is {groups!r}, expected a whole number of at least 1 or 'depthwise'")
    p, more = _padding(shape, k, s, d, padding)
    ops: list[Op] = []
    sides, note = (shape[1], shape[2]), ""
    left = _left_over(sides, more, k, s, p, d) if s != (1, 1) else (0, 0)
    if any(left):
        note = _misfit(f"convolution with kernel {kernel}, stride {stride}, padding {padding}", sides, left, border)
        if border == "pad":
            missing = [s[i] - (sides[i] + more[i] + 2 * p[i] - span(k[i], d[i])) % s[i] if left[i] else 0 for i in (0, 1)]
            more = (more[0] + missing[0], more[1] + missing[1])
    if any(more):
        ops.append(_interned(Pad((0, more[1], 0, more[0]))))
    with_bias = norm != "batch" if bias is None else bool(bias)
    ops.append(_interned(Conv2d(channels, k, s, p, d, number, with_bias, padding_mode)))
    ops += [*_norm_ops(norm), *_activation_ops(activation), *_dropout_ops(dropout)]
    return tuple(ops), note


@lru_cache(100_000, typed=True)
def _pool_plan(
    shape: Shape, kind: str, kernel: Size, stride: Size, padding: Padding, ceil: bool, border: Border
) -> tuple[tuple[Op, ...], str]:
    _known("pooling", kind, POOLS)
    if len(shape) != 3:
        raise BlockError(f"pooling needs an input (channels, height, width), got {shape}; put it before the classifier")
    k, s = _positive("kernel", pair(kernel)), _positive("stride", pair(stride))
    p, more = _padding(shape, k, s, (1, 1), padding)
    ops: list[Op] = []
    if any(more):
        ops.append(_interned(Pad((0, more[1], 0, more[0]))))
    sides, note = (shape[1], shape[2]), ""
    if s != (1, 1) and not ceil:
        left = _left_over(sides, more, k, s, p, (1, 1))
        if any(left):
            note = _misfit(f"{kind} pooling with kernel {kernel}, stride {stride}, padding {padding}", sides, left, border)
            ceil = border == "pad"
    if kind == "l2" and any(p):
        ops.append(_interned(Pad((p[1], p[1], p[0], p[0]))))
        p = (0, 0)
    ops.append(_interned(Pool2d(kind, k, s, p, ceil)))
    return tuple(ops), note
