"""DenseNet (Huang et al. 2017, "Densely Connected Convolutional Networks"): a family of one's own, in one file.

nas show scripts/densenet.py:densenet_121
nas train scripts/densenet.py:small --data fashion-mnist-12k
nas search scripts/densenet.py --data fashion-mnist-12k --constraint "params<=100k" --budget 30min
"""

from __future__ import annotations

from dataclasses import dataclass

from nas import Space, choice, integer
from nas.blocks import Block, Classifier, Conv, GraphBuilder, Node, Norm, Pool, Repeat, Sequential


@dataclass(frozen=True)
class DenseLayer(Block):
    """Gives out its input and `growth` new channels beside it (equation 2, with the bottleneck of section 3)."""

    growth: int = 32
    bottleneck: int = 4

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        y = graph.activation(graph.norm(x), "relu")
        y = graph.conv(y, self.bottleneck * self.growth, kernel=1, norm="batch", activation="relu")
        return graph.concat(x, graph.conv(y, self.growth, kernel=3, bias=False))


@dataclass(frozen=True)
class Transition(Block):
    """Fewer channels and half the pixels, between dense blocks."""

    compression: float = 0.5

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        y = graph.conv(graph.activation(graph.norm(x), "relu"), int(x.channels * self.compression), kernel=1, bias=False)
        return graph.pool(y, "avg", 2)


def densenet(stem: Block, times: tuple[int, ...], growth: int, compression: float = 0.5) -> Sequential:
    """Returns dense blocks of so many layers with transitions between them. `times`, `growth`, `compression` may be open."""
    parts = [stem]
    for i, n in enumerate(times, 1):
        parts += [Transition(compression)] if i > 1 else []
        parts.append(Repeat(DenseLayer(growth), n, name=f"dense{i}"))
    return Sequential(*parts, Norm(activation="relu"), Classifier())


imagenet = Sequential(Conv(64, 7, stride=2, padding=3), Pool("max", 3, stride=2, padding=1), name="stem")  # table 1
densenet_121 = Space(densenet(imagenet, (6, 12, 24, 16), growth=32), (3, 224, 224), 1000)
densenet_169 = Space(densenet(imagenet, (6, 12, 32, 32), growth=32), (3, 224, 224), 1000)

pixels = Conv(16, 3, name="stem")
small = Space(densenet(pixels, (4, 4, 4), growth=8), border="floor")  # for images and classes of any number
space = Space(densenet(pixels, (integer(2, 6),) * 3, choice(4, 8, 12), choice(0.5, 0.75, 1.0)), border="floor")
