"""VGG (Simonyan and Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition", table 1)."""

# Five stages of 3x3 convolutions, each followed by a 2x2 max pooling; three fully connected layers. Configuration C ends its
# last three stages in a 1x1 convolution; A-LRN normalises the first convolution's maps.
#
# At 224 x 224 pixels every pooling divides; for other sizes a last row is kept, as the paper's Caffe did (`border="pad"`), so
# images of 17 pixels and more can be pooled five times.

from nas import Space
from nas.blocks import Block, Classifier, Conv, Norm, Pool, Sequential

CHANNELS = (64, 128, 256, 512, 512)
CONVOLUTIONS = {
    "A": (1, 1, 2, 2, 2),
    "A-LRN": (1, 1, 2, 2, 2),
    "B": (2, 2, 2, 2, 2),
    "C": (2, 2, 3, 3, 3),
    "D": (2, 2, 3, 3, 3),
    "E": (2, 2, 4, 4, 4),
}


def vgg(configuration: str) -> Space:
    """Returns VGG in a configuration of table 1: "A", "A-LRN", "B", "C", "D" (VGG-16) or "E" (VGG-19)."""
    stages = []
    for n, (channels, depth) in enumerate(zip(CHANNELS, CONVOLUTIONS[configuration], strict=True), 1):
        layers: list[Block] = [Conv(channels, 3, norm="none")] * depth
        if configuration == "C" and depth == 3:
            layers[2] = Conv(channels, 1, norm="none")
        if configuration == "A-LRN" and n == 1:
            layers.append(Norm("local_response"))
        stages.append(Sequential(*layers, Pool("max", 2), name=f"stage{n}"))
    head = Classifier(hidden=(4096, 4096), dropout=(0.0, 0.5, 0.5), pool="none")
    return Space(Sequential(*stages, head), input_shape=(3, 224, 224), classes=1000, border="pad")


NETWORKS = {
    "vgg-a": vgg("A"),
    "vgg-a-lrn": vgg("A-LRN"),
    "vgg-b": vgg("B"),
    "vgg-c": vgg("C"),
    "vgg-d": vgg("D"),
    "vgg-e": vgg("E"),
}
