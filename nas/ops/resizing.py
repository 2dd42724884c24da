"""Images at another size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nas.ops.base import Op, Pair, Shape, at_least, image


@dataclass(frozen=True)
class Resize2d(Op):
    """An image at another size: each pixel the mean of those around its place, weighted by a triangle.

    Along an axis from `n` to `m` pixels, pixel `i` lies at `c = (i + 1/2) n / m`, and pixel `j` of the input weighs
    `max(0, 1 - |j + 1/2 - c| / r)` with `r = max(1, n / m)`, divided by the sum of these weights inside the image. That is bilinear
    interpolation, and where the image becomes smaller no pixel is left out (plain bilinear interpolation and strides leave
    some out, so that fine patterns turn into others). Pillow and torchvision resize photos by the same rule. Weights add up
    to 1: a normalised image stays normalised, and an image of its own size is given back as it is.

    Attributes:
        size: (height, width), in pixels.
    """

    size: Pair
    noun: ClassVar[str] = "resized"
    arity: ClassVar[int] = 1
    helper: ClassVar[str] = '''def resize(x: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Images `(N, C, H, W)` at another size: bilinear, without leaving pixels out where they become smaller."""
    if width == 1 < height:  # PyTorch 2.13 gives wrong values on CPU
        return resize(x.transpose(2, 3), 1, height).transpose(2, 3)
    exact = x if x.dtype == torch.float64 else x.float()  # on CPU no other types are known
    return F.interpolate(exact, (height, width), mode="bilinear", antialias=True).to(x.dtype)
'''

    def shape(self, *inputs: Shape) -> Shape:
        at_least(1, "resizing", size=self.size)
        return (image(inputs[0], "resizing")[0], *self.size)

    def other_flops(self, *inputs: Shape) -> int:
        """Returns two operations for each weight: first along rows, then along columns; an axis that stays costs nothing."""
        c, h, w = inputs[0]
        height, width = self.size
        return 2 * c * (h * _weights(w, width) + width * _weights(h, height))

    def call(self, module: str, *inputs: str) -> str:
        return f"resize({inputs[0]}, {self.size[0]}, {self.size[1]})"

    def is_identity(self, *inputs: Shape) -> bool:
        return inputs[0][1:] == self.size


def _weights(n: int, m: int) -> int:
    """Returns how many weights of an axis are not zero, over all `m` pixels of the output; 0 where nothing is to be done."""
    if n == m:
        return 0
    total, reach = 0, 2 * max(n, m)  # in units of 1 / 2m of a pixel
    for i in range(m):
        centre = n * (2 * i + 1) - m
        first, last = (centre - reach) // (2 * m) + 1, -(-(centre + reach) // (2 * m)) - 1
        total += min(n - 1, last) - max(0, first) + 1
    return total
