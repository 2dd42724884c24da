"""The Inception module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from nas.blocks.base import Block
from nas.builder import GraphBuilder, Node
from nas.errors import BlockError
from nas.windows import Size


@dataclass(frozen=True)
class Inception(Block):
    """Four branches side by side: 1x1, 3x3, 5x5 and pooling (Szegedy et al. 2014, "Going Deeper with Convolutions", figure 2).

    Attributes:
        width: Output channels, shared out like in the paper's module 3a: 1/4, 1/2, 1/8 and 1/8, with reductions to 3/8 before
            the 3x3 and 1/16 before the 5x5.
        branches: The channels themselves instead: 1x1, reduction before 3x3, 3x3, reduction before 5x5, 5x5, behind the pooling.
        reduce: Whether 1x1 convolutions reduce the channels first (figure 2b) or not (figure 2a, the naive version, in which
            the pooling branch keeps all its input's channels).
        large: What the third branch is: "5x5", "3x3 twice" (Szegedy et al. 2015, "Rethinking the Inception Architecture", figure
            5), or "3x3".
        factorised: n: each convolution of the second and third branch is a 1 x n and then an n x 1 one instead (Szegedy et al.
            2015, section 3.2); figure 6 is `large="3x3 twice", factorised=7`. 0: square ones.
        pool: What the fourth branch does; "avg" in the networks of 2015.
        norm: Behind each convolution; "none" is the paper of 2014.
        activation: Behind each convolution.
    """

    width_fields: ClassVar[tuple[str, ...]] = ("width", "branches")

    width: int | None = None
    branches: tuple[int, int, int, int, int, int] | None = None
    reduce: bool = True
    large: Literal["5x5", "3x3 twice", "3x3"] = "5x5"
    factorised: int = 0
    pool: Literal["max", "avg"] = "max"
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
        if self.factorised < 0:
            raise BlockError(f"factorised is {self.factorised}, expected 0, or the length of the kernels, for example 7")

        def conv(y: Node, channels: int, kernel: Size) -> Node:
            return graph.conv(y, channels, kernel, norm=self.norm, activation=self.activation)

        def spatial(y: Node, channels: int, sizes: tuple[int, ...]) -> Node:
            between = y.channels if self.reduce else channels
            n = self.factorised
            kernels: list[Size] = [(1, n), (n, 1)] * len(sizes) if n else list(sizes)
            for i, kernel in enumerate(kernels):
                narrow = n and i < len(kernels) - 1  # figure 6 widens in the last one
                y = conv(y, between if narrow else channels, kernel)
            return y

        second = spatial(conv(x, reduce3, 1) if self.reduce else x, three, (3,))
        sizes = {"5x5": (5,), "3x3 twice": (3, 3), "3x3": (3,)}[self.large]
        third = spatial(conv(x, reduce5, 1) if self.reduce else x, five, sizes)
        pooled = graph.pool(x, self.pool, 3, 1, 1)
        return graph.concat(conv(x, one, 1), second, third, conv(pooled, behind, 1) if self.reduce else pooled)
