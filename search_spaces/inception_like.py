"""Inception modules between poolings, as in GoogLeNet, for images of any size."""

# What it holds: two kinds of networks. `own`: a stem of one or two convolutions, then two or three stages of one to five Inception
# modules whose width, third branch and 1x1 reductions are open, each stage followed by a 3x3 pooling of stride 2 (two 3x3 instead
# of one 5x5: Szegedy et al. 2015, figure 5). `paper`: GoogLeNet (Szegedy et al. 2014, "Going Deeper with Convolutions", table 1),
# whose modules and some of whose poolings may be left out: its own 32-fold reduction needs images of 33 pixels and more.
#
# Its size: 1,410,410,051,498,394,796,032 genotypes. Of those drawn at random for 28 x 28 grey images one in eight is infeasible
# (too many poolings), and the rest has 38k to 5.3M parameters, half of them above 1.5M; 2 % have at most 100k.
#
# What a search costs: half of them take more than 69M multiply-adds an image: minutes of training on a CPU core; a
# constraint on macs keeps a search short. `nas profile inception_like --data DATA` measures the seconds a candidate takes on
# your machine and your images.

from typing import Literal

from nas import Space, choice, integer
from nas.blocks import Block, Classifier, Conv, Inception, Maybe, Norm, OneOf, Pool, Repeat, Sequential

# Szegedy et al. 2014, table 1: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def own() -> Sequential:
    """Stages of modules of any width."""
    module = Inception(width=choice(32, 64, 128, 256), large=choice("5x5", "3x3 twice"), reduce=choice(True, False))
    stage = Sequential(
        Repeat(module, times=integer(1, 5), name="modules"), Pool(kind=choice("max", "avg"), kernel=3, stride=2, padding=1)
    )
    stem = Repeat(Conv(channels=choice(16, 32, 64), kernel=choice(3, 5)), times=integer(1, 2), name="stem")
    return Sequential(stem, Repeat(stage, times=integer(2, 3), name="stage"), name="own")


def googlenet(norm: Literal["none", "batch"], large: Literal["5x5", "3x3"], name: str) -> Sequential:
    """GoogLeNet with modules that may be left out: the paper's, or torchvision's with batch normalisation and small kernels."""
    pool = Pool("max", 3, stride=2)
    normalised: list[Block] = [Norm("local_response")] if norm == "none" else []

    def modules(stage: str) -> list[Block]:
        return [
            Maybe(Inception(branches=branches, large=large, norm=norm, name=f"module{n}"), name=f"has{n}")
            for n, branches in MODULES.items()
            if n.startswith(stage)
        ]

    return Sequential(
        Sequential(Conv(64, 7, stride=2, padding=3, norm=norm), Maybe(pool, name="has"), *normalised, name="stage1"),
        Sequential(Conv(64, 1, norm=norm), Conv(192, 3, norm=norm), *normalised, pool, name="stage2"),
        Sequential(*modules("3"), pool, name="stage3"),
        Sequential(*modules("4"), Maybe(OneOf(pool, Pool("max", 2, name="small"), name="last"), name="has"), name="stage4"),
        Sequential(*modules("5"), name="stage5"),
        name=name,
    )


paper = OneOf(googlenet("none", "5x5", "plain"), googlenet("batch", "3x3", "normalised"), name="paper")
space = Space(border="pad", body=Sequential(OneOf(own(), paper, name="net"), Classifier(dropout=choice(0.0, 0.2, 0.4))))
