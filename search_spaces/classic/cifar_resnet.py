"""ResNet for CIFAR-10 (He et al. 2015, "Deep Residual Learning for Image Recognition", section 4.2)."""

# 6n + 2 layers: a convolution, three stages of n basic blocks with 16, 32 and 64 channels, a classifier. Shortcuts subsample and
# add channels of zeros (option A, as in the paper); with the suffix -b they are projected (option B).

from typing import Literal

from nas import Space
from nas.blocks import Classifier, Conv, Residual, Sequential

DEPTHS = (20, 32, 44, 56, 110)


def cifar_resnet(depth: int, shortcut: Literal["pad", "project"] = "pad") -> Space:
    """Returns ResNet for images of 32 x 32 pixels.

    Args:
        depth: Layers with weights, 6n + 2.
        shortcut: What carries the input where shapes differ: "pad" (option A) or "project" (option B).
    """
    n = (depth - 2) // 6
    stages = [
        Sequential(*[Residual(c, stride=s if i == 0 else 1, shortcut=shortcut) for i in range(n)], name=f"stage{stage}")
        for stage, (c, s) in enumerate(((16, 1), (32, 2), (64, 2)), 1)
    ]
    body = Sequential(Conv(16, 3, name="stem"), *stages, Classifier(pool="avg"))
    return Space(body, input_shape=(3, 32, 32), classes=10)


NETWORKS = {
    **{f"cifar-resnet-{depth}": cifar_resnet(depth) for depth in DEPTHS},
    **{f"cifar-resnet-{depth}-b": cifar_resnet(depth, shortcut="project") for depth in DEPTHS},
}
