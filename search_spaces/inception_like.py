"""Inception modules between poolings, as in GoogLeNet, for images of any size."""

# What it holds: a stem of one or two convolutions, then two or three stages of one to five Inception modules whose width, third
# branch and 1x1 reductions are open, each stage followed by a 3x3 pooling of stride 2 (Szegedy et al. 2014, "Going Deeper with
# Convolutions", table 1; two 3x3 instead of one 5x5: Szegedy et al. 2015, figure 5).
#
# Its size: 940,273,367,665,596,518,400 genotypes. Those drawn at random for 28 x 28 grey images have 19k to 4.8M parameters,
# half of them above 0.6M; 4 % have at most 100k.
#
# What a search costs: half of them take more than 205M multiply-adds an image: minutes of training on a CPU core; a
# constraint on macs keeps a search short. `nas profile inception_like --data DATA` measures the seconds a candidate takes on
# your machine and your images.

from nas import Space, choice, integer
from nas.blocks import Classifier, Conv, Inception, Pool, Repeat, Sequential

space = Space(
    border="floor",
    body=Sequential(
        Repeat(Conv(channels=choice(16, 32, 64), kernel=choice(3, 5)), times=integer(1, 2), name="stem"),
        Repeat(
            Sequential(
                Repeat(
                    Inception(width=choice(32, 64, 128, 256), large=choice("5x5", "3x3 twice"), reduce=choice(True, False)),
                    times=integer(1, 5),
                    name="modules",
                ),
                Pool(kind=choice("max", "avg"), kernel=3, stride=2, padding=1),
            ),
            times=integer(2, 3),
            name="stage",
        ),
        Classifier(dropout=choice(0.0, 0.4)),
    ),
)
