"""Operations that have no weights and compute nothing but where values go: input, sums, concatenation, padding, cropping."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from nas.errors import BlockError
from nas.ops.base import PADDING_MODES, Op, Pair, Shape, Window, at_least, beyond, image, one_of


def _same_shapes(op: str, inputs: tuple[Shape, ...]) -> None:
    if not inputs:
        raise BlockError(f"{op} needs at least one input, got none")
    for other in inputs[1:]:
        if other != inputs[0]:
            raise BlockError(f"{op} needs inputs of one shape, got {inputs[0]} and {other}")


def _checked(op: str, size: Shape) -> Shape:
    if not size or min(size) < 1:
        raise BlockError(f"{op}: size is {size}, expected (channels, height, width) or (features,), each at least 1")
    return size


@dataclass(frozen=True)
class Input(Op):
    """The image that enters the network."""

    size: Shape
    noun: ClassVar[str] = "x"
    arity: ClassVar[int] = 0

    def shape(self, *inputs: Shape) -> Shape:
        return _checked("input", self.size)

    def call(self, module: str, *inputs: str) -> str:
        return "x"


@dataclass(frozen=True)
class Identity(Op):
    """Passes its input on."""

    arity: ClassVar[int] = 1

    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def call(self, module: str, *inputs: str) -> str:
        return inputs[0]

    def is_identity(self, *inputs: Shape) -> bool:
        return True


@dataclass(frozen=True)
class Zero(Op):
    """No connection: zeros of a given shape, whatever comes in.

    In a simplified graph an operation on zeros is zeros too (an operation on nothing is nothing), and a sum leaves them out.
    """

    size: Shape
    noun: ClassVar[str] = "zeros"
    arity: ClassVar[int] = 1

    def shape(self, *inputs: Shape) -> Shape:
        return _checked("zeros", self.size)

    def call(self, module: str, *inputs: str) -> str:
        return f"{inputs[0]}.new_zeros(({inputs[0]}.shape[0], {', '.join(map(str, self.size))}))"


@dataclass(frozen=True)
class Flatten(Op):
    """Lays all values of an image in one row."""

    noun: ClassVar[str] = "flat"
    arity: ClassVar[int] = 1

    def shape(self, *inputs: Shape) -> Shape:
        return (prod(inputs[0]),)

    def call(self, module: str, *inputs: str) -> str:
        return f"torch.flatten({inputs[0]}, 1)"

    def is_identity(self, *inputs: Shape) -> bool:
        return len(inputs[0]) == 1


@dataclass(frozen=True)
class Add(Op):
    """The sum of inputs of one shape; the same input may stand in it several times."""

    noun: ClassVar[str] = "sum"
    commutative: ClassVar[bool] = True

    def shape(self, *inputs: Shape) -> Shape:
        _same_shapes("addition", inputs)
        return inputs[0]

    def other_flops(self, *inputs: Shape) -> int:
        return (len(inputs) - 1) * prod(inputs[0])

    def call(self, module: str, *inputs: str) -> str:
        return " + ".join(inputs)

    def is_identity(self, *inputs: Shape) -> bool:
        return len(inputs) == 1


@dataclass(frozen=True)
class Multiply(Op):
    """The product of its inputs, value by value; a `(channels, 1, 1)` input is spread over the image."""

    noun: ClassVar[str] = "product"
    commutative: ClassVar[bool] = True

    def shape(self, *inputs: Shape) -> Shape:
        if not inputs:
            raise BlockError("multiplication needs at least one input, got none")
        largest = max(inputs, key=prod)
        for other in inputs:
            if other != largest and not (len(largest) == 3 and other == (largest[0], 1, 1)):
                raise BlockError(f"multiplication needs inputs of one shape or (channels, 1, 1), got {largest} and {other}")
        return largest

    def other_flops(self, *inputs: Shape) -> int:
        return (len(inputs) - 1) * prod(self.shape(*inputs))

    def call(self, module: str, *inputs: str) -> str:
        return " * ".join(inputs)

    def is_identity(self, *inputs: Shape) -> bool:
        return len(inputs) == 1


@dataclass(frozen=True)
class Concat(Op):
    """Inputs side by side along the channels, in order."""

    noun: ClassVar[str] = "cat"

    def shape(self, *inputs: Shape) -> Shape:
        _same_shapes("concatenation", tuple((1, *shape[1:]) for shape in inputs))
        return (sum(shape[0] for shape in inputs), *inputs[0][1:])

    def call(self, module: str, *inputs: str) -> str:
        return f"torch.cat([{', '.join(inputs)}], 1)"

    def is_identity(self, *inputs: Shape) -> bool:
        return len(inputs) == 1


@dataclass(frozen=True)
class Subsample(Op):
    """Keeps every n-th pixel along both axes (the shortcut A of He et al. 2015, section 4.2)."""

    stride: Pair
    noun: ClassVar[str] = "sub"
    arity: ClassVar[int] = 1

    def shape(self, *inputs: Shape) -> Shape:
        c, h, w = image(inputs[0], "subsampling")
        at_least(1, "subsampling", stride=self.stride)
        return (c, -(-h // self.stride[0]), -(-w // self.stride[1]))

    def window(self) -> Window:
        return Window((1, 1), self.stride, (0, 0))

    def call(self, module: str, *inputs: str) -> str:
        return f"{inputs[0]}[:, :, :: {self.stride[0]}, :: {self.stride[1]}]"

    def is_identity(self, *inputs: Shape) -> bool:
        return self.shape(*inputs) == inputs[0]


@dataclass(frozen=True)
class Pad(Op):
    """Puts pixels around an image (left, right, top, bottom), and channels of zeros behind the existing ones.

    Attributes:
        pixels: How many on each side.
        channels: New ones.
        mode: What the pixels are: zeros, reflect, replicate or circular.
    """

    pixels: tuple[int, int, int, int] = (0, 0, 0, 0)
    channels: int = 0
    mode: str = "zeros"
    noun: ClassVar[str] = "pad"
    arity: ClassVar[int] = 1

    def shape(self, *inputs: Shape) -> Shape:
        c, h, w = image(inputs[0], "padding")
        left, right, top, bottom = self.pixels
        at_least(0, "padding", pixels=self.pixels, channels=self.channels)
        one_of(PADDING_MODES, "padding", mode=self.mode)
        if self.mode != "zeros" and self.channels:
            raise BlockError(f"padding adds channels of zeros only, got mode={self.mode!r} and channels={self.channels}")
        beyond(self.mode, (max(top, bottom), max(left, right)), (h, w))
        return (c + self.channels, h + top + bottom, w + left + right)

    def call(self, module: str, *inputs: str) -> str:
        mode = "" if self.mode == "zeros" else f', mode="{self.mode}"'
        return f"F.pad({inputs[0]}, {(*self.pixels, 0, self.channels) if self.channels else self.pixels}{mode})"

    def token(self, *inputs: Shape) -> str:
        return f"Pad({self.pixels}, {self.channels}{'' if self.mode == 'zeros' else ', ' + repr(self.mode)})"

    def is_identity(self, *inputs: Shape) -> bool:
        return not any(self.pixels) and not self.channels

    def window(self) -> Window:
        left, _, top, _ = self.pixels
        return Window((1, 1), (1, 1), (top, left))


@dataclass(frozen=True)
class Crop(Op):
    """Keeps the middle of an image: `size` is (height, width)."""

    size: Pair
    noun: ClassVar[str] = "crop"
    arity: ClassVar[int] = 1

    def shape(self, *inputs: Shape) -> Shape:
        c, h, w = image(inputs[0], "cropping")
        at_least(1, "cropping", size=self.size)
        if self.size[0] > h or self.size[1] > w:
            raise BlockError(f"cropping to {self.size[0]} x {self.size[1]} needs a larger input, got {h} x {w} pixels")
        return (c, *self.size)

    def call(self, module: str, *inputs: str) -> str:
        return f"center_crop({inputs[0]}, {self.size[0]}, {self.size[1]})"

    helper: ClassVar[str] = '''def center_crop(x: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Keeps the middle of images `(N, C, H, W)`."""
    top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
    return x[:, :, top : top + height, left : left + width]
'''

    def is_identity(self, *inputs: Shape) -> bool:
        return inputs[0][1:] == self.size
