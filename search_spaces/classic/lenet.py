"""LeNet-5 (LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition", section II.B, figure 2)."""

# As courses teach it: the 5x5 convolution C3 sees all maps (the paper leaves connections out), subsampling is plain average
# pooling (the paper's has two trained values a map), and the last layer gives logits (the paper's, distances to fixed codes).
# C5 is a 5x5 convolution that meets 5 x 5 pixels at the paper's 32 x 32: the fully connected layer that stands here, which also
# takes what images of 28 x 28 leave.

from nas import Space
from nas.blocks import Classifier, Conv, Pool, Sequential


def lenet() -> Space:
    """Returns LeNet-5: two convolutions with poolings, three fully connected layers."""
    body = Sequential(
        Conv(6, kernel=5, padding="valid", norm="none", activation="tanh", name="c1"),
        Pool("avg", name="s2"),
        Conv(16, kernel=5, padding="valid", norm="none", activation="tanh", name="c3"),
        Pool("avg", name="s4"),
        Classifier(hidden=(120, 84), pool="none", activation="tanh"),
    )
    return Space(body, input_shape=(1, 32, 32), classes=10, border="pad")


NETWORKS = {"lenet-5": lenet()}
