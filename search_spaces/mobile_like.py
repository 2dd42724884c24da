"""Separable and inverted residual blocks with squeeze-and-excitation, for small devices and images of any size."""

# What it holds: a stem that may halve the image, then two to five stages of one kind of block each, depthwise separable
# (Howard et al. 2017, "MobileNets") or inverted residual (Sandler et al. 2018, "MobileNetV2"; with squeeze-and-excitation as in
# MobileNetV3, Howard et al. 2019). The first block of a stage carries its stride; a last 1x1 convolution may widen
# what the classifier sees. It is the space for a budget of parameters or multiply-adds:
# `--constraint "params<=50k" --constraint "macs<=5M"`.
#
# Its size: 1,287,512,873,520,332,323,656,859,421,088,000 genotypes. Those drawn at random for 28 x 28 grey images have 2k
# to 0.8M parameters, half of them below 82k, and 0.1M to 151M multiply-adds, half of them below 4.6M; 56 % have at most 100k
# parameters.
#
# What a search costs: that makes it the quickest of the shipped spaces to search. `nas profile mobile_like --data DATA`
# measures the seconds a candidate takes on your machine and your images.

from nas import Space, choice, integer
from nas.blocks import Classifier, Conv, InvertedResidual, Maybe, OneOf, Repeat, SeparableConv, Sequential

space = Space(
    border="floor",
    body=Sequential(
        Conv(channels=choice(8, 16, 24, 32), kernel=3, stride=choice(1, 2), name="stem"),
        Repeat(
            OneOf(
                Sequential(
                    SeparableConv(channels=choice(16, 24, 32, 64, 128), kernel=choice(3, 5), stride=choice(1, 2), name="first"),
                    Repeat(SeparableConv(channels=choice(16, 24, 32, 64, 128)), times=integer(0, 2), name="more"),
                    name="separable",
                ),
                Repeat(
                    InvertedResidual(
                        channels=choice(16, 24, 32, 64, 96),
                        kernel=choice(3, 5),
                        stride=choice(1, 2),
                        expansion=choice(1, 3, 6),
                        squeeze=choice(0, 4),
                    ),
                    times=integer(1, 3),
                    name="inverted",
                ),
            ),
            times=integer(2, 5),
            name="stage",
        ),
        Maybe(Conv(channels=choice(128, 256, 512, 1280), kernel=1, activation="relu6", name="last")),
        Classifier(dropout=choice(0.0, 0.2)),
    ),
)
