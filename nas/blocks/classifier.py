"""The head of a classification network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from nas.blocks.base import Block, join_path
from nas.builder import GraphBuilder, Node
from nas.errors import BlockError


@dataclass(frozen=True)
class Classifier(Block):
    """Turns an image of features into one logit a class.

    Attributes:
        hidden: Widths of fully connected layers before the last one.
        dropout: Share of values set to zero before each fully connected layer, while training; or one share for each of them.
        pool: "avg" or "max": global pooling first; "none": flatten every pixel.
        activation: Behind the hidden layers.
    """

    width_fields: ClassVar[tuple[str, ...]] = ("hidden",)

    hidden: tuple[int, ...] = ()
    dropout: float | tuple[float, ...] = 0.0
    pool: Literal["avg", "max", "none"] = "avg"
    activation: str = "relu"

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        place, layers = graph.label, len(self.hidden) + 1
        shares = self.dropout if isinstance(self.dropout, tuple) else (self.dropout,) * layers
        if len(shares) != layers:
            raise BlockError(f"dropout has {len(shares)} shares, expected one for each of {layers} fully connected layers")
        if self.hidden:
            graph.label = join_path(place, "fc1")
        if len(x.shape) == 3:
            if self.pool != "none":
                x = graph.adaptive_pool(x, self.pool, 1)
            x = graph.flatten(x)
        for n, (width, share) in enumerate(zip(self.hidden, shares, strict=False), 2):
            if width < 1:
                raise BlockError(f"hidden is {self.hidden}, expected widths of at least 1")
            x = graph.activation(graph.linear(graph.dropout(x, share), width), self.activation)
            graph.label = join_path(place, f"fc{n}")
        x = graph.linear(graph.dropout(x, shares[-1]), graph.classes)
        graph.label = place
        return x
