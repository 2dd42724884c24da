"""ResNet for ImageNet (He et al. 2015, "Deep Residual Learning for Image Recognition", table 1)."""

# Shortcuts are projected where shapes differ (option B). A bottleneck carries its stride in the 3x3 convolution, as torchvision's
# does; `resnet(depth, stride_at="first")` has it in the first 1x1, as the paper.

from typing import Literal

from nas import Space
from nas.blocks import Classifier, Conv, Pool, Residual, Sequential

# table 1: residual blocks in conv2 to conv5, and whether they are bottlenecks
BLOCKS = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    152: ((3, 8, 36, 3), True),
}


def resnet(depth: int, stride_at: Literal["middle", "first"] = "middle") -> Space:
    """Returns ResNet with 18, 34, 50, 101 or 152 layers.

    Args:
        depth: Layers with weights, the projections not counted.
        stride_at: Which convolution of a bottleneck carries its stride.
    """
    times, bottleneck = BLOCKS[depth]
    stages = []
    for n, count in enumerate(times):
        channels = 64 * 2**n * (4 if bottleneck else 1)
        strides = [1 if n == 0 else 2, *[1] * (count - 1)]
        blocks = [Residual(channels, stride=s, bottleneck=bottleneck, stride_at=stride_at) for s in strides]
        stages.append(Sequential(*blocks, name=f"conv{n + 2}"))
    body = Sequential(
        Conv(64, 7, stride=2, padding=3, name="conv1"), Pool("max", 3, stride=2, padding=1), *stages, Classifier(pool="avg")
    )
    return Space(body, input_shape=(3, 224, 224), classes=1000)


NETWORKS = {f"resnet-{depth}": resnet(depth) for depth in BLOCKS}
