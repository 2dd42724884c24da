"""The head of a classification network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nas.blocks.base import Block
from nas.builder import GraphBuilder, Node
from nas.errors import BlockError


@dataclass(frozen=True)
class Classifier(Block):
    """Turns an image of features into one logit a class.

    Attributes:
        hidden: Widths of fully connected layers before the last one.
        dropout: Share of values set to zero before each fully connected layer, while training.
        pool: "avg" or "max": global pooling first; "none": flatten every pixel.
        activation: Behind the hidden layers.
    """

    hidden: tuple[int, ...] = ()
    dropout: float = 0.0
    pool: Literal["avg", "max", "none"] = "avg"
    activation: str = "relu"

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        if len(x.shape) == 3:
            if self.pool != "none":
                x = graph.adaptive_pool(x, self.pool, 1)
            x = graph.flatten(x)
        for width in self.hidden:
            if width < 1:
                raise BlockError(f"hidden is {self.hidden}, expected widths of at least 1")
            x = graph.activation(graph.linear(graph.dropout(x, self.dropout), width), self.activation)
        return graph.linear(graph.dropout(x, self.dropout), graph.classes)
