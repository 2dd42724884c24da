"""Convolution, and the blocks of small devices made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nas.blocks.base import Block
from nas.builder import GraphBuilder, Node
from nas.errors import BlockError
from nas.windows import Padding, Size


@dataclass(frozen=True)
class Conv(Block):
    """Convolution, normalisation, activation and dropout, in this order unless `order` says otherwise.

    Attributes:
        channels: Output channels; None keeps the input's.
        kernel, stride, dilation: One number, or (vertical, horizontal).
        padding: Pixels on each side (a number or a pair), "same" (output ceil(n / stride)) or "valid" (none).
        groups: Groups of channels that do not see each other, or "depthwise".
        bias: None: only where the block has no batch normalisation.
        norm: "batch", "local_response" or "none".
        activation: relu, relu6, sigmoid, tanh, elu, gelu, silu, hardswish or none.
        dropout: Share of values set to zero while training.
        padding_mode: What stands beyond the border: zeros, reflect, replicate or circular.
        order: "act-conv-norm" as in cells (Zoph et al. 2018; Dong and Yang 2020), "norm-act-conv" as in pre-activated networks
            (He et al. 2016; Huang et al. 2017). Dropout is the last in any order.
    """

    channels: int | None
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
    order: Literal["conv-norm-act", "act-conv-norm", "norm-act-conv"] = "conv-norm-act"

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        norm, activation, bias = self.norm, self.activation, self.bias
        if self.order != "conv-norm-act":
            if self.order == "norm-act-conv":
                x, norm, bias = graph.norm(x, norm), "none", norm != "batch" if bias is None else bias
            x, activation = graph.activation(x, activation), "none"
        return graph.conv(
            x,
            x.channels if self.channels is None else self.channels,
            self.kernel,
            self.stride,
            self.padding,
            dilation=self.dilation,
            groups=self.groups,
            bias=bias,
            padding_mode=self.padding_mode,
            norm=norm,
            activation=activation,
            dropout=self.dropout,
        )


@dataclass(frozen=True)
class SeparableConv(Block):
    """A depthwise convolution, then a 1x1 convolution, both normalised and activated (Howard et al. 2017, MobileNets, section 3.1).

    Attributes:
        channels: Output channels; None keeps the input's.
        kernel, stride: Of the depthwise convolution.
        activation: Behind both; with `order="act-conv-norm"` before them.
        order: "act-conv-norm": activated before the depthwise convolution and normalised behind the 1x1 one, nothing in between,
            as in cells (Zoph et al. 2018).
        twice: Do all of it a second time, without the stride, as cells do.
    """

    channels: int | None
    kernel: Size = 3
    stride: Size = 1
    activation: str = "relu"
    order: Literal["conv-norm-act", "act-conv-norm"] = "conv-norm-act"
    twice: bool = False

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        channels = x.channels if self.channels is None else self.channels
        for stride in (self.stride, 1) if self.twice else (self.stride,):
            if self.order == "act-conv-norm":
                x = graph.activation(x, self.activation)
                x = graph.conv(x, x.channels, self.kernel, stride, groups="depthwise", bias=False)
                x = graph.conv(x, channels, 1, norm="batch")
            else:
                x = graph.conv(x, x.channels, self.kernel, stride, groups="depthwise", norm="batch", activation=self.activation)
                x = graph.conv(x, channels, 1, norm="batch", activation=self.activation)
        return x


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
        channels: Output channels; None keeps the input's.
        kernel, stride: Of the depthwise convolution.
        expansion: Channels in between, in multiples of the input's; 1 leaves the first convolution out.
        squeeze: Ratio of a squeeze-and-excitation behind the depthwise convolution; 0 leaves it out.
        activation: Behind the first two convolutions.
    """

    channels: int | None
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
        y = graph.conv(y, x.channels if self.channels is None else self.channels, 1, norm="batch")
        return graph.add(x, y) if y.shape == x.shape else y
