"""AlexNet (Krizhevsky et al. 2012, "ImageNet Classification with Deep Convolutional Neural Networks", section 3)."""

# alexnet              the lecture's: one group, pooling before local response normalisation
# alexnet-2012         the paper's: two groups (one a GPU) in the second, fourth and fifth convolution, normalisation first
# alexnet-torchvision  Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks": narrower, no
#                      normalisation, pooled to 6 x 6 pixels
#
# The paper says 224 x 224 pixels, but its 55 x 55 need 227 (or padding: `border="pad"` gives that to images of 224). Windows
# that end beyond the image are kept, as the first implementations did; torchvision's variant leaves them out.

from nas import Space
from nas.blocks import Block, Classifier, Conv, GlobalPool, Norm, Pool, Sequential


def alexnet(order: tuple[str, ...] = ("pool", "norm"), groups: int = 1) -> Space:
    """Returns AlexNet with five convolutions.

    Args:
        order: What follows the first two convolutions.
        groups: Of channels in the second, fourth and fifth convolution.
    """
    steps: dict[str, Block] = {"pool": Pool("max", 3, stride=2), "norm": Norm("local_response")}
    behind = [steps[step] for step in order]
    body = Sequential(
        Conv(96, 11, stride=4, padding=0, norm="none", name="conv1"),
        *behind,
        Conv(256, 5, groups=groups, norm="none", name="conv2"),
        *behind,
        Conv(384, 3, norm="none", name="conv3"),
        Conv(384, 3, groups=groups, norm="none", name="conv4"),
        Conv(256, 3, groups=groups, norm="none", name="conv5"),
        steps["pool"],
        Classifier(hidden=(4096, 4096), dropout=(0.0, 0.5, 0.5), pool="none"),
    )
    return Space(body, input_shape=(3, 227, 227), classes=1000, border="pad")


def alexnet_torchvision() -> Space:
    """Returns the variant that torchvision has."""
    pool = Pool("max", 3, stride=2)
    body = Sequential(
        Conv(64, 11, stride=4, padding=2, norm="none", name="conv1"),
        pool,
        Conv(192, 5, norm="none", name="conv2"),
        pool,
        Conv(384, 3, norm="none", name="conv3"),
        Conv(256, 3, norm="none", name="conv4"),
        Conv(256, 3, norm="none", name="conv5"),
        pool,
        GlobalPool("avg", size=6),
        Classifier(hidden=(4096, 4096), dropout=(0.5, 0.5, 0.0), pool="none"),
    )
    return Space(body, input_shape=(3, 224, 224), classes=1000, border="floor")


NETWORKS = {
    "alexnet": alexnet(),
    "alexnet-2012": alexnet(order=("norm", "pool"), groups=2),
    "alexnet-torchvision": alexnet_torchvision(),
}
