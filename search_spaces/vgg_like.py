"""Plain stacks of convolutions and poolings, as in VGG, for images of any size."""

# What it holds: two to five stages; each repeats a 3x3 or 1x1 convolution one to four times, doubles or keeps a width that is
# decided stage by stage, and ends in a 2x2 max pooling; then global pooling or fully connected layers (Simonyan and Zisserman
# 2014, "Very Deep Convolutional Networks", table 1).
#
# Its size: 94,755,010,834,167,535,238,400 genotypes. Of those drawn at random for 28 x 28 grey images a quarter is infeasible
# (a fifth halving does not fit), and the rest has 35k to 14M parameters, half of them above 0.9M; 3 % have at most 100k.
#
# What a search costs: half of them take more than 106M multiply-adds an image: minutes of training on a CPU core; a
# constraint on macs keeps a search short. `nas profile vgg_like --data DATA` measures the seconds a candidate takes on your
# machine and your images.
#
# Four or five halvings need images of 16 or 32 pixels: smaller ones make such genotypes infeasible, and they are drawn again.

from nas import Space, choice, integer
from nas.blocks import Classifier, Conv, Pool, Repeat, Sequential

space = Space(
    border="floor",
    body=Sequential(
        Repeat(
            Sequential(
                Repeat(
                    Conv(channels=choice(16, 32, 64, 128, 256, 512), kernel=choice(3, 1)),
                    times=integer(1, 4),
                    name="convs",
                ),
                Pool(kind="max", kernel=2, stride=2),
            ),
            times=integer(2, 5),
            name="stage",
        ),
        Classifier(
            hidden=choice((), (128,), (512,), (512, 512)),
            pool=choice("avg", "none"),
            dropout=choice(0.0, 0.5),
        ),
    ),
)
