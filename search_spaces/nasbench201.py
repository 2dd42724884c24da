"""The cells of NAS-Bench-201 in the benchmark's own network, for images of any size."""

# What it holds: one cell of four values, an operation on each of its six edges, repeated five times at 16 channels, five times at
# 32 and five times at 64, every cell deciding alike; residual blocks that halve the image stand between (Dong and Yang 2020,
# "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", section 2.1). Operations carry the benchmark's
# names, so that its strings are read off a genotype edge by edge: |op~0|+|op~0|op~1|+|op~0|op~1|op~2| are the edges 0-1, 0-2, 1-2,
# 0-3, 1-3 and 2-3.
#
# Its size: 15,625 genotypes. A few drop every path and are infeasible; the others are 5,259 different networks. As written, one
# for 32 x 32 colour images in ten classes has 73,306 parameters, 28,000 more for each 1x1 convolution and 243,040 more for each
# 3x3 convolution among its six edges.
#
# What a search costs: with 3x3 convolutions on all edges a network takes 220M multiply-adds for such an image: minutes of training
# on a CPU core. `nas profile nasbench201 --data DATA` measures the seconds a candidate takes on your machine and your images.

from nas import Space
from nas.blocks import Cell, Classifier, Conv, Norm, OneOf, Parallel, Pool, Repeat, Sequential, Skip, Zeroize, shared


def relu_conv_bn(channels: int | None, kernel: int, stride: int = 1, name: str = "") -> Conv:
    """The benchmark's order of layers: ReLU, convolution, batch normalisation."""
    return Conv(channels, kernel, stride, order="act-conv-norm", name=name)


def cells() -> Repeat:
    """Five cells in a row; all cells of the network decide alike."""
    operation = OneOf(
        Zeroize(name="none"),
        Skip(name="skip_connect"),
        relu_conv_bn(None, 1, name="nor_conv_1x1"),
        relu_conv_bn(None, 3, name="nor_conv_3x3"),
        Pool("avg", 3, 1, "same", name="avg_pool_3x3"),
    )
    return Repeat(shared("cell", Cell(operation, nodes=4)), times=5, name="cells")


def reduction(channels: int) -> Parallel:
    """The residual block between two stages; its shortcut averages two by two pixels, then projects."""
    body = Sequential(relu_conv_bn(channels, 3, 2), relu_conv_bn(channels, 3), name="body")
    halve = Pool("avg", 2, ceil=True)  # as many pixels as the body where their number is odd
    shortcut = Sequential(halve, Conv(channels, 1, norm="none", activation="none", bias=False), name="shortcut")
    return Parallel(body, shortcut, merge="add", name=f"reduction{channels}")


space = Space(
    body=Sequential(
        Conv(16, activation="none", name="stem"),
        Sequential(cells(), name="stage16"),
        reduction(32),
        Sequential(cells(), name="stage32"),
        reduction(64),
        Sequential(cells(), name="stage64"),
        Norm(activation="relu"),
        Classifier(),
    ),
)
