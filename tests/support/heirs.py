"""Small networks of one shape of image, with drawn weights, and pairs of a wide and a narrow one: who inherits from whom."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from nas import Space
from nas.blocks import (
    Block,
    Cell,
    Classifier,
    Conv,
    GraphBuilder,
    Inception,
    InvertedResidual,
    Node,
    Parallel,
    Pool,
    Residual,
    SeparableConv,
    Sequential,
    SqueezeExcite,
)
from nas.graph import Graph
from nas.module import compile_source
from nas.source import write_source


def graph_of(*blocks: Block) -> Graph:
    return Space(Sequential(*blocks), (2, 8, 8), 3).decode({}).graph


def module_of(graph: Graph, seed: int = 0) -> nn.Module:
    """A network in evaluation mode whose every value is drawn, running statistics too."""
    torch.manual_seed(seed)
    module = compile_source(write_source(graph)).eval()
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.rand_like(value) + 0.5 if "var" in name else torch.randn_like(value) * 0.5)
    return module


@dataclass(frozen=True)
class Flat(Block):
    """A classifier behind flattened pixels, with a hidden layer."""

    hidden: int

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        y = graph.activation(graph.linear(graph.flatten(x), self.hidden), "relu")
        return graph.linear(y, graph.classes)


PAIRS: dict[str, tuple[list[Block], list[Block]]] = {
    "a chain": (
        [Conv(16, name="a"), Conv(12), Pool("max", 2), Classifier()],
        [Conv(6, name="a"), Conv(5), Pool("max", 2), Classifier()],
    ),
    "no normalisation": ([Conv(8, norm="none", name="a"), Classifier()], [Conv(3, norm="none", name="a"), Classifier()]),
    "a residual sum": (
        [Conv(16), Residual(16), Residual(16, name="second"), Classifier()],
        [Conv(8), Residual(8), Residual(8, name="second"), Classifier()],
    ),
    "a projected shortcut": ([Conv(8), Residual(16), Classifier()], [Conv(4), Residual(6), Classifier()]),
    "bottlenecks": (
        [Conv(16), Residual(32, bottleneck=True), Residual(32, bottleneck=True, name="b"), Classifier()],
        [Conv(8), Residual(16, bottleneck=True), Residual(16, bottleneck=True, name="b"), Classifier()],
    ),
    "concatenation": ([Conv(8), Inception(32), Conv(16, name="c"), Classifier()], [Conv(8), Inception(16), Conv(7, name="c"), Classifier()]),
    "branches of different width": (
        [Parallel(Conv(12), Conv(8, kernel=1)), Conv(16, name="c"), Classifier()],
        [Parallel(Conv(5), Conv(8, kernel=1)), Conv(16, name="c"), Classifier()],
    ),
    "a sum over a concatenation": (
        [Conv(24), Residual(body=Inception(24)), Classifier()],
        [Conv(16), Residual(body=Inception(16)), Classifier()],
    ),
    "depthwise": (
        [Conv(16), SeparableConv(24), InvertedResidual(24, expansion=3), Classifier()],
        [Conv(8), SeparableConv(12), InvertedResidual(12, expansion=3), Classifier()],
    ),
    "attention": ([Conv(16), SqueezeExcite(4), Classifier()], [Conv(8), SqueezeExcite(2), Classifier()]),
    "linear after flattening": ([Conv(8), Pool("avg", 2), Flat(12)], [Conv(3), Pool("avg", 2), Flat(5)]),
    "preactivation": (
        [Conv(16, norm="none", activation="none"), Residual(16, preactivation=True), Classifier()],
        [Conv(8, norm="none", activation="none"), Residual(8, preactivation=True), Classifier()],
    ),
    "a cell": (
        [Conv(16), Cell(Conv(None, kernel=1), nodes=3), Classifier()],
        [Conv(8), Cell(Conv(None, kernel=1), nodes=3), Classifier()],
    ),
}  # fmt: skip
