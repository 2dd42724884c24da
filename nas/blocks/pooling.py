"""Pooling: over windows, and of the whole image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nas.blocks.base import Block
from nas.builder import GraphBuilder, Node
from nas.errors import BlockError
from nas.windows import Padding, Size, pair


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

    def unstrided(self) -> Block | None:
        return self if pair(self.kernel if self.stride is None else self.stride) == (1, 1) else None

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        return graph.pool(x, self.kind, self.kernel, self.stride, self.padding, ceil=self.ceil)


@dataclass(frozen=True)
class GlobalPool(Block):
    """Pools the whole image to a few pixels, each over its share of it (Lin et al. 2013 for one pixel).

    Attributes:
        kind: "avg", "max", or "l2" (root of the sum of squares; to one pixel only).
        size: Pixels that remain: one number, or (vertical, horizontal).
    """

    kind: Literal["avg", "max", "l2"] = "avg"
    size: Size = 1

    def unstrided(self) -> Block | None:
        return None

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        if self.kind != "l2":
            return graph.adaptive_pool(x, self.kind, self.size)
        if pair(self.size) != (1, 1):
            raise BlockError(f"global l2 pooling leaves one pixel, got size={self.size}; use size=1, or Pool(kind='l2')")
        return graph.pool(x, "l2", (x.height, x.width))
