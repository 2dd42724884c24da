"""NASNet's cells, normal and reduction, with chosen inputs and operations, for small images of any size."""

# What it holds: a stem, then stages of a normal cell with a reduction cell between them. Each of a cell's five steps takes two
# values made before (the outputs of the two cells before are the first two), applies an operation to each and adds; what no step
# takes is the cell's output, side by side. All normal cells decide alike, all reduction cells too (Zoph et al. 2018, "Learning
# Transferable Architectures for Scalable Image Recognition", section 3). The operations are those of NASNet-A: identity,
# separable convolutions applied twice, 3x3 average and max pooling. A search decides the two cells, and how wide and deep the
# network is.
#
# Its size: 94,324,872,414,179,566,037,237,760,000 genotypes. Those drawn at random for 28 x 28 grey images have 3k to 0.4M
# parameters, half of them below 54k, and 1M to 53M multiply-adds, half of them below 12M; 68 % have at most 100k parameters.
#
# What a search costs: a network has hundreds of small operations, so an epoch takes longer than its multiply-adds suggest. Three
# with 2M to 3.5M multiply-adds took one CPU core 43 to 51 seconds for an epoch of 10,000 images of 28 x 28 pixels, while other
# work shared the machine. `nas profile nasnet_cells --data DATA` measures the seconds a candidate takes on your machine and your
# images.

from nas import Space, choice, integer
from nas.blocks import Classifier, Conv, NasnetCell, NasnetStack, OneOf, Pool, SeparableConv, Sequential, Skip


def separable(kernel: int) -> SeparableConv:
    """ReLU, depthwise and 1x1 convolution, batch normalisation, and the same again."""
    return SeparableConv(None, kernel, order="act-conv-norm", twice=True, name=f"sep{kernel}x{kernel}")


operation = OneOf(
    Skip(name="identity"),
    separable(3),
    separable(5),
    separable(7),
    Pool("avg", 3, 1, "same", name="avg3x3"),
    Pool("max", 3, 1, "same", name="max3x3"),
)
space = Space(
    body=Sequential(
        Conv(channels=choice(8, 16, 32), activation="none", name="stem"),
        NasnetStack(
            normal=NasnetCell(operation, steps=5),
            reduction=NasnetCell(operation, steps=5),
            channels=choice(4, 8, 12, 16),
            repeats=integer(1, 2),
            stages=choice(2, 3),
            name="cells",
        ),
        Classifier(dropout=choice(0.0, 0.2)),
    ),
)
