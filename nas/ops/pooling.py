"""Pooling: over windows, and to a given size."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from nas.errors import BlockError
from nas.ops.base import Op, Pair, Shape, Window, at_least, image, one_of, out_size, square

POOLS = ("max", "avg", "l2")
"""Kinds of pooling over windows."""


@dataclass(frozen=True)
class Pool2d(Op):
    """Pooling over windows: the largest value ("max"), the mean without padding ("avg"), or the root of the sum of squares ("l2").

    Attributes:
        kernel, stride, padding: (vertical, horizontal), in pixels.
        ceil: Keep a last window that is only partly filled.
    """

    kind: str
    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)
    ceil: bool = False
    noun: ClassVar[str] = "pool"
    arity: ClassVar[int] = 1

    def shape(self, *inputs: Shape) -> Shape:
        c, h, w = image(inputs[0], "pooling")
        one_of(POOLS, "pooling", kind=self.kind)
        at_least(1, "pooling", kernel=self.kernel, stride=self.stride)
        at_least(0, "pooling", padding=self.padding)
        for k, p in zip(self.kernel, self.padding, strict=True):
            if 2 * p > k:
                raise BlockError(
                    f"pooling with kernel {square(self.kernel)} allows padding up to half of it, got {square(self.padding)}"
                )
        sides = [
            out_size(n, k, s, p, ceil=self.ceil) for n, k, s, p in zip((h, w), self.kernel, self.stride, self.padding, strict=True)
        ]
        if min(sides) < 1 or h + 2 * self.padding[0] < self.kernel[0] or w + 2 * self.padding[1] < self.kernel[1]:
            raise BlockError(
                f"pooling with kernel {square(self.kernel)} does not fit into {h} x {w} pixels; "
                "use a smaller kernel, or fewer strides and poolings before it"
            )
        return (c, *sides)

    def other_flops(self, *inputs: Shape) -> int:
        return prod(self.shape(*inputs)) * prod(self.kernel) * (2 if self.kind == "l2" else 1)

    def window(self) -> Window:
        return Window(self.kernel, self.stride, self.padding)

    def call(self, module: str, *inputs: str) -> str:
        words = [square(self.kernel), square(self.stride)]
        words += [f"padding={square(self.padding)}"] * (self.padding != (0, 0)) + ["ceil_mode=True"] * self.ceil
        if self.kind == "max":
            return f"F.max_pool2d({inputs[0]}, {', '.join(words)})"
        if self.kind == "avg":
            words += ["count_include_pad=False"] * (self.padding != (0, 0))
            return f"F.avg_pool2d({inputs[0]}, {', '.join(words)})"
        # the root has no gradient at zero: F.lp_pool2d gives NaN there
        return f"torch.sqrt(F.avg_pool2d({inputs[0]}.square(), {', '.join(words)}, divisor_override=1).clamp_min(1e-24))"

    def is_identity(self, *inputs: Shape) -> bool:
        one_pixel = inputs[0][1:] == (1, 1) or (self.kernel == (1, 1) and self.padding == (0, 0))
        return self.kind != "l2" and one_pixel and self.shape(*inputs) == inputs[0]


@dataclass(frozen=True)
class AdaptivePool2d(Op):
    """Pooling to a given size, each output over its share of the input; size (1, 1) is global pooling (Lin et al. 2013)."""

    kind: str
    size: Pair = (1, 1)
    noun: ClassVar[str] = "pool"
    arity: ClassVar[int] = 1

    def shape(self, *inputs: Shape) -> Shape:
        one_of(("max", "avg"), "global pooling", kind=self.kind)
        at_least(1, "global pooling", size=self.size)
        return (image(inputs[0], "global pooling")[0], *self.size)

    def other_flops(self, *inputs: Shape) -> int:
        c, *sides = inputs[0]
        rows, columns = (sum(-(-(i + 1) * n // m) - i * n // m for i in range(m)) for n, m in zip(sides, self.size, strict=True))
        return c * rows * columns

    def call(self, module: str, *inputs: str) -> str:
        return f"F.adaptive_{self.kind}_pool2d({inputs[0]}, {square(self.size)})"

    def is_identity(self, *inputs: Shape) -> bool:
        return inputs[0][1:] == self.size
