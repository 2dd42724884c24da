"""Residual networks, basic and bottleneck, with and without squeeze-and-excitation, for images of any size."""

# What it holds: a stem, then two to four stages; each begins with a residual block that may halve the image and changes the
# width, and goes on with up to four blocks of that stage's kind (He et al. 2015, "Deep Residual Learning", table 1 and section
# 4.2; pre-activation: He et al. 2016, "Identity Mappings"; squeeze-and-excitation: Hu et al. 2018).
#
# Its size: 276,935,932,502,028,800 genotypes. Of those drawn at random for 28 x 28 grey images two in five are infeasible (a
# padded shortcut cannot lead to fewer channels), and the rest has 4k to 7M parameters, half of them above 0.6M; 14 % have at
# most 100k.
#
# What a search costs: half of them take more than 133M multiply-adds an image: minutes of training on a CPU core; a
# constraint on macs keeps a search short. `nas profile resnet_like --data DATA` measures the seconds a candidate takes on
# your machine and your images.

from nas import Space, choice, integer
from nas.blocks import Classifier, Conv, Repeat, Residual, Sequential

space = Space(
    border="floor",
    body=Sequential(
        Conv(channels=choice(8, 16, 32, 64), kernel=3, name="stem"),
        Repeat(
            Sequential(
                Residual(
                    channels=choice(16, 32, 64, 128, 256),
                    stride=choice(1, 2),
                    bottleneck=choice(False, True),
                    shortcut=choice("project", "pad"),
                    name="first",
                ),
                Repeat(
                    Residual(bottleneck=choice(False, True), squeeze=choice(0, 4)),
                    times=integer(0, 4),
                    name="more",
                ),
            ),
            times=integer(2, 4),
            name="stage",
        ),
        Classifier(dropout=choice(0.0, 0.2)),
    ),
)
