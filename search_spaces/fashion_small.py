"""Small residual, inception and plain networks for 28 x 28 grey images in ten classes."""

# What it holds: a stem, then two to four stages, each of one to three blocks (a convolution, a residual block or an Inception
# module) and a pooling that halves the image.
#
# Its size: 16,397,004,358,499,400 genotypes. About two thirds of those drawn at random have at most 100,000 parameters; half take
# more than 19M multiply-adds.
#
# What a search costs: 25 networks of at most 7.5M multiply-adds, trained for one epoch each on the embedded images, took four
# minutes on two CPU cores that other work shared. `nas profile fashion_small --data DATA` measures the seconds a candidate takes
# on your machine and your images.

from nas import Space, choice, integer
from nas.blocks import Classifier, Conv, Inception, OneOf, Pool, Repeat, Residual, Sequential

space = Space(
    input_shape=(1, 28, 28),
    classes=10,
    border="floor",  # three halvings of 28 leave a row over (7 -> 3): it is left out
    body=Sequential(
        Conv(channels=choice(8, 16, 32), kernel=3, name="stem"),
        Repeat(
            Sequential(
                Repeat(
                    OneOf(
                        Conv(channels=choice(16, 32, 64), kernel=choice(3, 5)),
                        Residual(channels=choice(16, 32, 64), bottleneck=choice(False, True)),
                        Inception(width=choice(16, 32, 64)),
                    ),
                    times=integer(1, 3),
                ),
                Pool(kind=choice("max", "avg"), kernel=2, stride=2),
            ),
            times=integer(2, 4),
            name="stage",
        ),
        Classifier(dropout=choice(0.0, 0.2)),
    ),
)
