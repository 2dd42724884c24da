"""Every kind of block in one space, for small images of any size."""

# What it holds: a stem, then two to four stages; each of one to four blocks of any kind (plain and separable convolution, basic,
# bottleneck and inverted residual block, Inception module, parallel branches, a cell that decides alike wherever it stands),
# perhaps squeeze-and-excitation, and perhaps a pooling. Strides in the blocks halve the image where no pooling does. Instead of
# stages it may be a small stack of NASNet cells. Where the other spaces each follow one paper, this one asks which kind of block
# pays on the images at hand.
#
# Its size: 36,566,464,790,130,938,974,972,817,334,140,076,698,112 genotypes. Of those drawn at random for 28 x 28 grey images one
# in six is infeasible (too many strides and poolings, a padded shortcut to fewer channels, a cell that drops every path); the rest
# has 2k to 0.4M parameters, half of them below 37k, and 0.2M to 161M multiply-adds, half of them below 4.1M; 80 % have at most
# 100k parameters.
#
# What a search costs: three networks with 2M to 5M multiply-adds took one CPU core 19 to 24 seconds for an epoch of 10,000 images
# of 28 x 28 pixels, while other work shared the machine. `nas profile mixed --data DATA` measures the seconds a candidate takes on
# your machine and your images.

from nas import Space, choice, integer
from nas.blocks import (
    Cell,
    Classifier,
    Conv,
    GlobalPool,
    Inception,
    InvertedResidual,
    Maybe,
    NasnetCell,
    NasnetStack,
    Norm,
    OneOf,
    Parallel,
    Pool,
    Repeat,
    Residual,
    SeparableConv,
    Sequential,
    Skip,
    SqueezeExcite,
    Zeroize,
    shared,
)  # fmt: skip

light = OneOf(Zeroize(), Skip(), Conv(None, kernel=choice(1, 3), order="act-conv-norm"), Pool("avg", 3, 1, "same"))
block = OneOf(
    Conv(channels=choice(16, 32, 64), kernel=choice(3, 5, (1, 3), (3, 1)), stride=choice(1, 2)),
    SeparableConv(channels=choice(16, 32, 64), kernel=choice(3, 5), stride=choice(1, 2)),
    Residual(channels=choice(16, 32, 64), stride=choice(1, 2), bottleneck=choice(False, True), shortcut=choice("pad", "project")),
    InvertedResidual(channels=choice(16, 32, 64), stride=choice(1, 2), expansion=choice(1, 3, 6), squeeze=choice(0, 4)),
    Inception(width=choice(16, 32, 64), large=choice("5x5", "3x3 twice"), factorised=choice(0, 3, 7)),
    Parallel(Conv(channels=choice(8, 16, 32)), Pool(kernel=3, stride=1, padding="same"), merge="concat"),
    shared("cell", Cell(light, nodes=3)),
)
stage = Sequential(
    Repeat(block, times=integer(1, 4), name="blocks"),
    Maybe(SqueezeExcite(ratio=choice(4, 8))),
    Maybe(Pool(kind=choice("max", "avg", "l2"), kernel=2)),
)
cells = NasnetStack(
    normal=NasnetCell(OneOf(Skip(), SeparableConv(None, order="act-conv-norm"), Pool("avg", 3, 1, "same")), steps=3),
    reduction=NasnetCell(OneOf(Skip(), SeparableConv(None, order="act-conv-norm"), Pool("max", 3, 1, "same")), steps=3),
    channels=choice(4, 8, 16),
    repeats=integer(1, 2),
    name="cells",
)
space = Space(
    border="pad",
    body=Sequential(
        Conv(channels=choice(8, 16, 32), kernel=3, name="stem"),
        OneOf(Repeat(stage, times=integer(2, 4), name="stage"), cells, name="body"),
        Maybe(Norm(activation="relu")),
        OneOf(
            GlobalPool(kind="avg"), GlobalPool(kind="max", name="max"), GlobalPool(kind="avg", size=2, name="quarters"), name="pool"
        ),
        Classifier(hidden=choice((), (64,)), dropout=choice(0.0, 0.2), pool="none"),
    ),
)
