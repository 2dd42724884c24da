"""SqueezeNet 1.0 (Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", table 1)."""

from __future__ import annotations

from dataclasses import dataclass

from nas import Space
from nas.blocks import Block, Conv, GraphBuilder, Node, Parallel, Pool, Sequential


def fire(squeeze: int, expand: int) -> Sequential:
    """Returns a fire module: 1x1 to a few channels, then 1x1 and 3x3 side by side (section 3.2)."""
    sides = Parallel(Conv(expand, 1, norm="none"), Conv(expand, 3, norm="none"))
    return Sequential(Conv(squeeze, 1, norm="none"), sides)


@dataclass(frozen=True)
class ConvClassifier(Block):
    """One channel a class, averaged over the image."""

    dropout: float = 0.5

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        y = graph.conv(graph.dropout(x, self.dropout), graph.classes, kernel=1, activation="relu")
        return graph.flatten(graph.global_avg_pool(y))


pool = Pool("max", 3, stride=2, ceil=True)
body = Sequential(
    Conv(96, 7, stride=2, padding="valid", norm="none", name="conv1"),
    pool,
    *(fire(16, 64), fire(16, 64), fire(32, 128)),
    pool,
    *(fire(32, 128), fire(48, 192), fire(48, 192), fire(64, 256)),
    pool,
    fire(64, 256),
    ConvClassifier(),
)
space = Space(body, (3, 224, 224), 1000, border="floor")
