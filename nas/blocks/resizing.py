"""The size of the image, as a block: the resolution that a network works at."""

from __future__ import annotations

from dataclasses import dataclass

from nas.blocks.base import Block
from nas.builder import GraphBuilder, Node
from nas.windows import Size


@dataclass(frozen=True)
class Resize(Block):
    """The image at another size: bilinear, without leaving pixels out where it becomes smaller.

    At the start of a network it decides the resolution that the network works at, and with it what all later layers cost:
    `Sequential(Resize(choice(16, 20, 28)), ...)`. Images are kept at the largest size then; each network makes them smaller
    itself, in training as in the exported file. Images that have the size already pass unchanged, and cost nothing.

    Attributes:
        size: Pixels: one number, or (vertical, horizontal).
    """

    size: Size

    def unstrided(self) -> Block | None:
        return None

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        return graph.resize(x, self.size)
