"""Normalisation where it stands apart from a convolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nas.blocks.base import Block
from nas.builder import GraphBuilder, Node


@dataclass(frozen=True)
class Norm(Block):
    """Normalisation alone, for networks that normalise behind the activation or the pooling (Krizhevsky et al. 2012, section 3.3).

    Attributes:
        kind: "batch" (Ioffe and Szegedy 2015) or "local_response".
        activation: Behind it; the rectified normalisation in front of a pre-activated convolution is `Norm(activation="relu")`.
    """

    kind: Literal["batch", "local_response"] = "batch"
    activation: str = "none"

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        return graph.activation(graph.norm(x, self.kind), self.activation)
