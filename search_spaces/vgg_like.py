"""Plain stacks of convolutions and poolings, as in VGG, for images of any size."""

# What it holds: two kinds of networks. `own`: two to five stages; each repeats a 3x3 or 1x1 convolution with batch normalisation
# one to four times, of a width that is decided layer by layer, and ends in a 2x2 max pooling; then global pooling or fully
# connected layers. `paper`: the five stages of Simonyan and Zisserman 2014, "Very Deep Convolutional Networks", table 1, without
# normalisation and with its head: configurations A to E are among them.
#
# Its size: 94,755,010,834,167,535,303,936 genotypes. Those drawn at random for 28 x 28 grey images have 15k to 39M parameters,
# half of them above 6M; 3 % have at most 100k.
#
# What a search costs: half of them take more than 235M multiply-adds an image: minutes of training on a CPU core; a
# constraint on macs keeps a search short. `nas profile vgg_like --data DATA` measures the seconds a candidate takes on your
# machine and your images.
#
# A last row that a pooling would leave out is kept, so images of 17 pixels and more can be pooled five times.

from nas import Space, choice, integer
from nas.blocks import Classifier, Conv, Maybe, Norm, OneOf, Pool, Repeat, Sequential


def own() -> Sequential:
    """Batch-normalised stages of any width, and a head of any kind."""
    stage = Sequential(
        Repeat(Conv(channels=choice(16, 32, 64, 128, 256, 512), kernel=choice(3, 1)), times=integer(1, 4), name="convs"),
        Pool(kind="max", kernel=2, stride=2),
    )
    head = Classifier(hidden=choice((), (128,), (512,), (512, 512)), pool=choice("avg", "none"), dropout=choice(0.0, 0.5))
    return Sequential(Repeat(stage, times=integer(2, 5), name="stage"), head, name="own")


def paper() -> Sequential:
    """The paper's five stages without normalisation, and its head: configurations A to E are among them."""
    stages = [
        Sequential(
            Repeat(Conv(channels, 3, norm="none"), times=integer(1, 4), name="convs"),
            Maybe(Conv(channels, 1, norm="none", name="pointwise")) if i > 1 else Maybe(Norm("local_response")),
            Pool(kind="max", kernel=2, stride=2),
            name=f"stage{i + 1}",
        )
        for i, channels in enumerate((64, 128, 256, 512, 512))
    ]
    head = Classifier(hidden=choice((512, 512), (4096, 4096)), pool="none", dropout=(0.0, 0.5, 0.5))
    return Sequential(*stages, head, name="paper")


space = Space(border="pad", body=OneOf(own(), paper(), name="net"))
