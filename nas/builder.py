"""Builds graphs: what a block's `expand` writes into. Shapes are known at every step; what cannot be applied says why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from nas.errors import BlockError
from nas.graph import Graph
from nas.ops import (
    AdaptivePool2d,
    Add,
    Concat,
    Crop,
    Facts,
    Flatten,
    Identity,
    Input,
    Linear,
    Multiply,
    Op,
    Pad,
    Resize2d,
    Shape,
    Subsample,
    Zero,
)
from nas.windows import (
    Border,
    Padding,
    Size,
    activation_ops,
    check_known,
    conv_plan,
    dropout_ops,
    interned,
    norm_ops,
    pair,
    pool_plan,
)  # fmt: skip

Join = Literal["refuse", "project", "pad", "crop"]
_ADD, _MULTIPLY, _CONCAT, _IDENTITY, _FLATTEN = Add(), Multiply(), Concat(), Identity(), Flatten()


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
        self.input = self.apply(interned(Input(tuple(input_shape))))

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
        ops, note = conv_plan(
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
        ops, note = pool_plan(x.shape, kind, kernel, kernel if stride is None else stride, padding, ceil, self.border)
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
        check_known("pooling", kind, ("max", "avg"))
        return self.apply(interned(AdaptivePool2d(kind, pair(size))), x)

    def resize(self, x: Node, size: Size) -> Node:
        """The image at another size, bilinear: `(C, H, W)` -> `(C, *size)`; `size` is one number or (vertical, horizontal)."""
        return self.apply(interned(Resize2d(pair(size))), x)

    def norm(self, x: Node, kind: str = "batch") -> Node:
        """Normalisation: "batch", "local_response" or "none"; the shape stays."""
        return self._chain(norm_ops(kind), x)

    def activation(self, x: Node, kind: str) -> Node:
        """An activation of `nas.ops.ACTIVATIONS`, or "none"; the shape stays."""
        return self._chain(activation_ops(kind), x)

    def dropout(self, x: Node, share: float) -> Node:
        """Sets a share of the values to zero while training; the shape stays."""
        return self._chain(dropout_ops(share), x)

    def flatten(self, x: Node) -> Node:
        """All values in one row: `(C, H, W)` -> `(C * H * W,)`."""
        return self.apply(_FLATTEN, x)

    def linear(self, x: Node, features: int, *, bias: bool = True) -> Node:
        """Fully connected layer: `(F,)` -> `(features,)`."""
        return self.apply(interned(Linear(features, bias)), x)

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
        return self.apply(interned(Zero(tuple(shape or x.shape))), x)

    def pad(self, x: Node, pixels: tuple[int, int, int, int] = (0, 0, 0, 0), channels: int = 0) -> Node:
        """Zeros around the image and as new channels behind the existing ones.

        Args:
            x: `(C, H, W)`.
            pixels: Left, right, top, bottom.
            channels: New ones.

        Returns:
            `(C + channels, H + top + bottom, W + left + right)`.
        """
        return self.apply(interned(Pad(pixels, channels)), x)

    def crop(self, x: Node, height: int, width: int) -> Node:
        """The middle of the image: `(C, H, W)` -> `(C, height, width)`."""
        return self.apply(interned(Crop((height, width))), x)

    def subsample(self, x: Node, stride: Size) -> Node:
        """Every n-th pixel, from the first: `(C, H, W)` -> `(C, ceil(H / n), ceil(W / n))`; `stride` is n, one number or a pair."""
        return self.apply(interned(Subsample(pair(stride))), x)

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
        check_known("merge", merge, ("add", "concat"))
        check_known("rule for joining", fix, get_args(Join))
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
