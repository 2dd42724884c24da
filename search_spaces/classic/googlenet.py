"""GoogLeNet (Szegedy et al. 2014, "Going Deeper with Convolutions", table 1)."""

# googlenet              the paper's: 5x5 convolutions, local response normalisation, biases
# googlenet-torchvision  batch normalisation everywhere, 3x3 in the place of 5x5, a 2x2 pooling before module 5a, less dropout
#
# The two auxiliary heads are left out: they help the training of the paper and are no part of the network that is used.
# Poolings keep a last window that is only partly filled, in the paper's figures as in torchvision.

from nas import Space
from nas.blocks import Block, Classifier, Conv, Inception, Norm, Pool, Sequential

# table 1: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj
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


def googlenet(torchvision: bool = False) -> Space:
    """Returns GoogLeNet with its nine Inception modules.

    Args:
        torchvision: That library's variant; otherwise the paper's.
    """
    norm, pool = "batch" if torchvision else "none", Pool("max", 3, stride=2)
    normalised: list[Block] = [] if torchvision else [Norm("local_response")]

    def modules(stage: str) -> list[Block]:
        large = "3x3" if torchvision else "5x5"
        return [
            Inception(branches=branches, large=large, norm=norm, name=f"inception{name}")
            for name, branches in MODULES.items()
            if name.startswith(stage)
        ]

    body = Sequential(
        Sequential(Conv(64, 7, stride=2, padding=3, norm=norm), pool, *normalised, name="stage1"),
        Sequential(Conv(64, 1, norm=norm), Conv(192, 3, norm=norm), *normalised, pool, name="stage2"),
        Sequential(*modules("3"), pool, name="stage3"),
        Sequential(*modules("4"), Pool("max", 2) if torchvision else pool, name="stage4"),
        Sequential(*modules("5"), name="stage5"),
        Classifier(dropout=0.2 if torchvision else 0.4),
    )
    return Space(body, input_shape=(3, 224, 224), classes=1000, border="pad")


NETWORKS = {"googlenet": googlenet(), "googlenet-torchvision": googlenet(torchvision=True)}
