"""Convolution, pooling, and the blocks of small devices made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nas.blocks.base import Block
from nas.builder import GraphBuilder, Node
from nas.errors import BlockError
from nas.windows import Padding, Size


@dataclass(frozen=True)
class Conv(Block):
    """Convolution, normalisation, activation and dropout, in this order.

    Attributes:
        channels: Output channels.
        kernel, stride, dilation: One number, or (vertical, horizontal).
        padding: Pixels on each side (a number or a pair), "same" (output ceil(n / stride)) or "valid" (none).
        groups: Groups of channels that do not see each other, or "depthwise".
        bias: None: only where no batch normalisation follows.
        norm: "batch", "local_response" or "none".
        activation: relu, relu6, sigmoid, tanh, elu, gelu, silu, hardswish or none.
        dropout: Share of values set to zero while training.
        padding_mode: What stands beyond the border: zeros, reflect, replicate or circular.
    """

    channels: int
    kernel: Size = 3
    stride: Size = 1
    padding: Padding = "same"
    dilation: Size = 1
    groups: int | Literal["depthwise"] = 1
    bias: bool | None = None
    norm: str = "batch"
    activation: str = "relu"
    dropout: float = 0.0
    padding_mode: str = "zeros"

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        return graph.conv(
            x,
            self.channels,
            self.kernel,
            self.stride,
            self.padding,
            dilation=self.dilation,
            groups=self.groups,
            bias=self.bias,
            padding_mode=self.padding_mode,
            norm=self.norm,
            activation=self.activation,
            dropout=self.dropout,
        )


@dataclass(frozen=True)
class Pool(Block):
    """Pooling over windows.

    Attributes:
        kind: "max", "avg", or "l2" (root of the sum of squares).
        kernel, stride: One number, or (vertical, horizontal); the stride is the kernel where it is None.
        padding: Pixels on each side, "same" or "valid".
        ceil: Keep a last window that is only partly filled.
    """

    kind: Literal["max", "avg", "l2"] = "max"
    kernel: Size = 2
    stride: Size | None = None
    padding: Padding = 0
    ceil: bool = False

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        return graph.pool(x, self.kind, self.kernel, self.stride, self.padding, ceil=self.ceil)


@dataclass(frozen=True)
class GlobalPool(Block):
    """Pools the whole image to a few pixels, each over its share of it (Lin et al. 2013 for one pixel).

    Attributes:
        kind: "avg" or "max".
        size: Pixels that remain: one number, or (vertical, horizontal).
    """

    kind: Literal["avg", "max"] = "avg"
    size: Size = 1

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        return graph.adaptive_pool(x, self.kind, self.size)


@dataclass(frozen=True)
class SeparableConv(Block):
    """A depthwise convolution, then a 1x1 convolution, both normalised and activated (Howard et al. 2017, MobileNets, section 3.1).

    Attributes:
        channels: Output channels.
        kernel, stride: Of the depthwise convolution.
        activation: Behind both.
    """

    channels: int
    kernel: Size = 3
    stride: Size = 1
    activation: str = "relu"

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        x = graph.conv(x, x.channels, self.kernel, self.stride, groups="depthwise", norm="batch", activation=self.activation)
        return graph.conv(x, self.channels, 1, norm="batch", activation=self.activation)


@dataclass(frozen=True)
class SqueezeExcite(Block):
    """Channel attention: each channel is scaled by what all channels' means say of it (Hu et al. 2018, section 3).

    Attributes:
        ratio: How many times fewer channels the layer in between has; at least one is left.
    """

    ratio: int = 4

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        if self.ratio < 1:
            raise BlockError(f"ratio is {self.ratio}, expected at least 1")
        s = graph.global_avg_pool(x)
        s = graph.conv(s, max(1, x.channels // self.ratio), 1, activation="relu")
        s = graph.conv(s, x.channels, 1, activation="sigmoid")
        return graph.multiply(x, s)


@dataclass(frozen=True)
class InvertedResidual(Block):
    """A 1x1 convolution to more channels, a depthwise one, a linear 1x1 one back (Sandler et al. 2018, MobileNetV2, table 1).

    The input is added where stride and channels leave its shape as it is.

    Attributes:
        channels: Output channels.
        kernel, stride: Of the depthwise convolution.
        expansion: Channels in between, in multiples of the input's; 1 leaves the first convolution out.
        squeeze: Ratio of a squeeze-and-excitation behind the depthwise convolution; 0 leaves it out.
        activation: Behind the first two convolutions.
    """

    channels: int
    kernel: Size = 3
    stride: Size = 1
    expansion: int = 6
    squeeze: int = 0
    activation: str = "relu6"

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        if self.expansion < 1:
            raise BlockError(f"expansion is {self.expansion}, expected at least 1")
        y, wide = x, x.channels * self.expansion
        if self.expansion > 1:
            y = graph.conv(y, wide, 1, norm="batch", activation=self.activation)
        y = graph.conv(y, wide, self.kernel, self.stride, groups="depthwise", norm="batch", activation=self.activation)
        if self.squeeze:
            y = SqueezeExcite(self.squeeze).expand(graph, y)
        y = graph.conv(y, self.channels, 1, norm="batch")
        return graph.add(x, y) if y.shape == x.shape else y
