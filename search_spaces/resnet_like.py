"""Residual networks, basic and bottleneck, with and without squeeze-and-excitation, for images of any size."""

# What it holds: two kinds of networks. `own`: a stem, then two to four stages; each begins with a residual block that may halve
# the image and changes the width, and goes on with up to four blocks (He et al. 2015, "Deep Residual Learning"; squeeze-and-
# excitation: Hu et al. 2018). `paper`: the networks of He et al. 2015, section 4.2 (`cifar`) and table 1 (`basic` and
# `bottleneck`), with other depths of their stages in between.
#
# Its size: 276,935,932,502,031,024 genotypes. Of those drawn at random for 28 x 28 grey images one in five is infeasible (a padded
# shortcut cannot lead to fewer channels), and the rest has 20k to 58M parameters, half of them above 2.8M; 5 % have at most 100k.
#
# What a search costs: half of them take more than 85M multiply-adds an image: minutes of training on a CPU core; a
# constraint on macs keeps a search short. `nas profile resnet_like --data DATA` measures the seconds a candidate takes on
# your machine and your images.

from nas import Space, choice, integer
from nas.blocks import Classifier, Conv, OneOf, Pool, Repeat, Residual, Sequential


def own() -> Sequential:
    """Stages of any width, each of basic or bottleneck blocks."""
    stage = Sequential(
        Residual(
            channels=choice(16, 32, 64, 128, 256),
            stride=choice(1, 2),
            bottleneck=choice(False, True),
            shortcut=choice("project", "pad"),
            name="first",
        ),
        Repeat(Residual(bottleneck=choice(False, True), squeeze=choice(0, 4)), times=integer(0, 4), name="more"),
    )
    stem = Conv(channels=choice(8, 16, 32, 64), kernel=3, name="stem")
    return Sequential(stem, Repeat(stage, times=integer(2, 4), name="stage"), name="own")


def cifar() -> Sequential:
    """Section 4.2: three stages of basic blocks; 20, 32, 44, 56 and 110 layers are among them, with shortcut A or B."""
    stages = [
        Sequential(
            Residual(channels, stride=stride, shortcut=choice("pad", "project"), name="first"),
            Repeat(Residual(channels), times=choice(2, 4, 6, 8, 17), name="more"),
            name=f"stage{channels}",
        )
        for channels, stride in ((16, 1), (32, 2), (64, 2))
    ]
    return Sequential(Conv(16, 3, name="stem"), *stages, name="cifar")


def imagenet(bottleneck: bool, more: tuple[tuple[int, ...], ...]) -> Sequential:
    """Table 1: a 7x7 convolution and a pooling that quarter the image, then four stages.

    Args:
        bottleneck: 50, 101 and 152 layers have bottlenecks, four times as wide; 18 and 34 have basic blocks.
        more: Numbers of blocks behind a stage's first, stage by stage.
    """
    stages = [
        Sequential(
            Residual(c, stride=1 if i == 0 else 2, bottleneck=bottleneck, stride_at=choice("middle", "first"), name="first")
            if bottleneck
            else Residual(c, stride=1 if i == 0 else 2, name="first"),
            Repeat(Residual(c, bottleneck=bottleneck), times=choice(*more[i]), name="more"),
            name=f"conv{i + 2}",
        )
        for i, c in enumerate([c * 4 if bottleneck else c for c in (64, 128, 256, 512)])
    ]
    stem = Sequential(Conv(64, 7, stride=2, padding=3), Pool("max", 3, stride=2, padding=1), name="stem")
    return Sequential(stem, *stages, name="bottleneck" if bottleneck else "basic")


paper = OneOf(
    cifar(),
    imagenet(False, ((1, 2), (1, 3), (1, 5), (1, 2))),
    imagenet(True, ((2,), (3, 7), (5, 22, 35), (2,))),
    name="paper",
)
space = Space(border="floor", body=Sequential(OneOf(own(), paper, name="net"), Classifier(dropout=choice(0.0, 0.2))))
