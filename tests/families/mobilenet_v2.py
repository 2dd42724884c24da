"""MobileNetV2 (Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", table 2)."""

from __future__ import annotations

from nas import Space
from nas.blocks import Classifier, Conv, InvertedResidual, Sequential

# expansion, channels, blocks, stride of the first of them
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))

stages = [
    Sequential(*[InvertedResidual(c, stride=s if i == 0 else 1, expansion=t) for i in range(n)], name=f"stage{number}")
    for number, (t, c, n, s) in enumerate(STAGES, 1)
]
body = Sequential(
    Conv(32, 3, stride=2, activation="relu6", name="stem"),
    *stages,
    Conv(1280, 1, activation="relu6", name="last"),
    Classifier(dropout=0.2),
)
space = Space(body, (3, 224, 224), 1000)
