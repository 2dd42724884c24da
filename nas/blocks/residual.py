"""Residual blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nas.blocks.base import Block, expand_at
from nas.blocks.convolution import SqueezeExcite
from nas.builder import GraphBuilder, Node
from nas.errors import BlockError
from nas.windows import Size, pair


@dataclass(frozen=True)
class Residual(Block):
    """The sum of a shortcut and a few convolutions (He et al. 2015, "Deep Residual Learning", figures 2 and 5).

    Attributes:
        channels: Output channels; None keeps the input's.
        kernel: Of the convolutions (of the middle one in a bottleneck).
        stride: Of the first convolution (of the one that `stride_at` names in a bottleneck).
        bottleneck: 1x1 to channels / expansion, kernel, 1x1 back, instead of two convolutions.
        expansion: How many times narrower a bottleneck is.
        stride_at: Which convolution of a bottleneck carries the stride: "middle" (torchvision) or "first" (He et al. 2015).
        preactivation: Normalise and activate before each convolution (He et al. 2016, "Identity Mappings").
        shortcut: Where shapes differ: "project" (1x1 convolution, option B) or "pad" (subsample, zero channels, option A);
            "identity" refuses.
        squeeze: Ratio of a squeeze-and-excitation before the sum; 0 leaves it out.
        activation: Behind the convolutions and the sum.
        norm: Behind the convolutions.
        body: Any block instead of the convolutions; `channels`, `kernel`, `bottleneck` and `stride` are then its own affair.
    """

    channels: int | None = None
    kernel: Size = 3
    stride: Size = 1
    bottleneck: bool = False
    expansion: int = 4
    stride_at: Literal["middle", "first"] = "middle"
    preactivation: bool = False
    shortcut: Literal["project", "pad", "identity"] = "project"
    squeeze: int = 0
    activation: str = "relu"
    norm: str = "batch"
    body: Block | None = None

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        pre = graph.activation(graph.norm(x, self.norm), self.activation) if self.preactivation else x
        if self.body is not None:
            y = expand_at(self.body, graph, pre, "body")
        else:
            y = self._convolutions(graph, pre, x.channels if self.channels is None else self.channels)
        if self.squeeze:
            y = SqueezeExcite(self.squeeze).expand(graph, y)
        y = self._sum(graph, self._shortcut(graph, x, y), y)
        return y if self.preactivation else graph.activation(y, self.activation)

    def _convolutions(self, graph: GraphBuilder, x: Node, channels: int) -> Node:
        """Lays convolution after convolution; with preactivation the first is already normalised and activated."""
        if not self.bottleneck:
            plan = [(channels, self.kernel, self.stride), (channels, self.kernel, 1)]
        else:
            if self.expansion < 1:
                raise BlockError(f"expansion is {self.expansion}, expected at least 1")
            narrow = max(1, channels // self.expansion)
            first, middle = (self.stride, 1) if self.stride_at == "first" else (1, self.stride)
            plan = [(narrow, 1, first), (narrow, self.kernel, middle), (channels, 1, 1)]
        for i, (width, kernel, stride) in enumerate(plan):
            last = i == len(plan) - 1
            if self.preactivation:
                x = graph.conv(x, width, kernel, stride, bias=self.norm != "batch")
                if not last:
                    x = graph.activation(graph.norm(x, self.norm), self.activation)
            else:
                x = graph.conv(x, width, kernel, stride, norm=self.norm, activation="none" if last else self.activation)
        return x

    def _sum(self, graph: GraphBuilder, shortcut: Node, y: Node) -> Node:
        if shortcut.shape != y.shape:
            raise BlockError(
                f"the shortcut gives {shortcut.shape} and the body {y.shape}, and no stride makes them agree; "
                "let the body keep its input's pixels, for example by padding='same'"
            )
        return graph.add(shortcut, y)

    def _shortcut(self, graph: GraphBuilder, x: Node, y: Node) -> Node:
        if x.shape == y.shape:
            return x
        if self.shortcut == "identity":
            raise BlockError(f"an identity shortcut carries {x.shape} to a sum with {y.shape}; declare shortcut='project' or 'pad'")
        stride = pair(self.stride) if self.body is None else (-(-x.height // y.height), -(-x.width // y.width))
        if self.shortcut == "project":
            return graph.conv(x, y.channels, 1, stride, norm=self.norm)
        if y.channels < x.channels:
            raise BlockError(
                f"a padded shortcut adds channels, but {x.channels} channels are to become {y.channels}; use 'project'"
            )
        if stride != (1, 1):
            x = graph.subsample(x, stride)
        return graph.pad(x, channels=y.channels - x.channels) if y.channels > x.channels else x
