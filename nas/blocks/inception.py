"""The Inception module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nas.blocks.base import Block
from nas.builder import GraphBuilder, Node
from nas.errors import BlockError


@dataclass(frozen=True)
class Inception(Block):
    """Four branches side by side: 1x1, 3x3, 5x5 and pooling (Szegedy et al. 2014, "Going Deeper with Convolutions", figure 2).

    Attributes:
        width: Output channels, shared out like in the paper's module 3a: 1/4, 1/2, 1/8 and 1/8, with reductions to 3/8 before
            the 3x3 and 1/16 before the 5x5.
        branches: The channels themselves instead: 1x1, reduction before 3x3, 3x3, reduction before 5x5, 5x5, behind the pooling.
        reduce: Whether 1x1 convolutions reduce the channels first (figure 2b) or not (figure 2a, the naive version, in which
            the pooling branch keeps all its input's channels).
        large: What the third branch is: "5x5", "3x3 twice" (Szegedy et al. 2015, figure 5), or "3x3".
        norm: Behind each convolution; "none" is the paper of 2014.
        activation: Behind each convolution.
    """

    width: int | None = None
    branches: tuple[int, int, int, int, int, int] | None = None
    reduce: bool = True
    large: Literal["5x5", "3x3 twice", "3x3"] = "5x5"
    norm: str = "batch"
    activation: str = "relu"

    def _channels(self) -> tuple[int, ...]:
        if (self.width is None) == (self.branches is None):
            raise BlockError(f"got width={self.width} and branches={self.branches}, expected one of the two")
        if self.branches is not None:
            return self.branches
        assert self.width is not None
        if self.width < 4:
            raise BlockError(f"width is {self.width}, expected at least 4: one channel for each branch")
        eighth = max(1, self.width // 8)
        quarter = self.width // 4
        return (quarter, max(1, self.width * 3 // 8), self.width - quarter - 2 * eighth, max(1, self.width // 16), eighth, eighth)

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        one, reduce3, three, reduce5, five, behind = self._channels()

        def conv(y: Node, channels: int, kernel: int) -> Node:
            return graph.conv(y, channels, kernel, norm=self.norm, activation=self.activation)

        second = conv(conv(x, reduce3, 1) if self.reduce else x, three, 3)
        third = conv(x, reduce5, 1) if self.reduce else x
        for kernel in {"5x5": (5,), "3x3 twice": (3, 3), "3x3": (3,)}[self.large]:
            third = conv(third, five, kernel)
        pooled = graph.pool(x, "max", 3, 1, 1)
        return graph.concat(conv(x, one, 1), second, third, conv(pooled, behind, 1) if self.reduce else pooled)
