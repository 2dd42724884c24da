"""What a primitive operation is: one frozen class, with its output shape, its exact costs and its PyTorch source text.

Nothing here touches a tensor. A shape is a tuple without the batch axis: `(channels, height, width)` or `(features,)`.
Multiply-adds (MACs) are counted for convolutions and linear layers; everything else goes into `other_flops`.

An operation of one's own is a frozen dataclass that derives from `Op` and is given to `GraphBuilder.apply`; nothing needs
to be registered:

    @dataclass(frozen=True)
    class ChannelShuffle(Op):
        groups: int

        def shape(self, x):
            return x

        def call(self, module, x):
            return f"F.channel_shuffle({x}, {self.groups})"
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, fields
from math import prod
from typing import ClassVar, NamedTuple

from nas.errors import BlockError, did_you_mean

Shape = tuple[int, ...]
Pair = tuple[int, int]


PADDING_MODES = ("zeros", "reflect", "replicate", "circular")
"""What may stand beyond the border of an image."""


class Window(NamedTuple):
    """The window that an operation slides over its input: what receptive fields are computed from."""

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair = (1, 1)


class Facts(NamedTuple):
    """What one operation is for given input shapes. All numbers are exact integers.

    Attributes:
        shape: Output shape.
        params: Trainable values.
        buffers: Values that are stored but not trained.
        macs: Multiply-adds for one image (convolutions and linear layers).
        other_flops: Everything else (normalisation, activation, pooling, addition), for one image.
        identity: Whether it gives back its only input unchanged.
        volume: Values in the output.
        token: Text that is equal for operations that do the same only.
    """

    shape: Shape
    params: int
    buffers: int
    macs: int
    other_flops: int
    identity: bool
    volume: int
    token: str


@dataclass(frozen=True)
class Op(ABC):
    """A primitive operation.

    Class attributes:
        noun: Start of the names of its modules in generated source.
        arity: How many inputs it takes; None: any number from 1 on.
        random: Two copies of it on the same input differ while training (dropout), so they are never merged.
        commutative: The order of its inputs does not matter.
        helper: Source text that a generated file needs before its network (a class or a function), if any.
    """

    noun: ClassVar[str] = "node"
    arity: ClassVar[int | None] = None
    random: ClassVar[bool] = False
    commutative: ClassVar[bool] = False
    helper: ClassVar[str] = ""

    @abstractmethod
    def shape(self, *inputs: Shape) -> Shape:
        """Returns the output shape.

        Raises:
            BlockError: When it cannot be applied to inputs of these shapes.
        """

    def params(self, *inputs: Shape) -> int:
        """Returns the number of trainable values."""
        return 0

    def buffers(self, *inputs: Shape) -> int:
        """Returns the number of stored values that are not trained."""
        return 0

    def macs(self, *inputs: Shape) -> int:
        """Returns the multiply-adds of convolutions and linear layers for one image."""
        return 0

    def other_flops(self, *inputs: Shape) -> int:
        """Returns the remaining floating-point operations for one image."""
        return 0

    def window(self) -> Window | None:
        """Returns the sliding window, or None where each output sees one place of the input."""
        return None

    def declare(self, *inputs: Shape) -> str:
        """Returns the expression that makes its module (`nn.Conv2d(3, 8, 3)`), empty where it needs none."""
        return ""

    @abstractmethod
    def call(self, module: str, *inputs: str) -> str:
        """Returns the expression that computes it.

        Args:
            module: How its module is reached (`self.conv1`), empty where `declare` gives none.
            inputs: Expressions of its inputs; each is to be used once.
        """

    def is_identity(self, *inputs: Shape) -> bool:
        """Returns whether it gives back its only input unchanged."""
        return False

    def token(self, *inputs: Shape) -> str:
        """Returns class and fields as text; for operations defined outside this package also a digest of their source text."""
        text = f"{type(self).__name__}({', '.join(repr(getattr(self, f.name)) for f in fields(self))})"
        if type(self).__module__.startswith("nas.ops."):
            return text
        called = self.call("self.op", *(f"x{i}" for i in range(len(inputs))))
        computed = "\0".join((self.helper, self.declare(*inputs), called))
        return f"{text}#{hashlib.sha256(computed.encode()).hexdigest()[:16]}"

    def facts(self, *inputs: Shape) -> Facts:
        """Returns shape and costs for inputs of these shapes; remembered, as searches ask the same again and again.

        Raises:
            BlockError: When it cannot be applied to them, or takes another number of inputs.
        """
        known: dict[tuple[Shape, ...], Facts] = self.__dict__.setdefault("_facts", {})
        found = known.get(inputs)
        if found is None:
            if self.arity is not None and len(inputs) != self.arity:
                raise BlockError(f"{type(self).__name__} takes {self.arity} input(s), got {len(inputs)}")
            shape = self.shape(*inputs)
            found = Facts(
                shape,
                self.params(*inputs),
                self.buffers(*inputs),
                self.macs(*inputs),
                self.other_flops(*inputs),
                self.is_identity(*inputs),
                prod(shape),
                self.token(*inputs),
            )
            known[inputs] = found
        return found


def span(kernel: int, dilation: int) -> int:
    """Returns how many neighbouring pixels a dilated kernel reaches over."""
    return (kernel - 1) * dilation + 1


def out_size(n: int, kernel: int, stride: int, padding: int, dilation: int = 1, ceil: bool = False) -> int:
    """Returns the output size along one axis (Dumoulin and Visin 2016, relationship 14); below 1 where no window fits.

    Args:
        n: Pixels of the input.
        kernel, stride, dilation: Of the window, in pixels.
        padding: Pixels on each side.
        ceil: A window that starts inside the input or its left padding counts although it ends beyond.
    """
    free = n + 2 * padding - span(kernel, dilation)
    size = (-(-free // stride) if ceil else free // stride) + 1
    if ceil and (size - 1) * stride >= n + padding:
        size -= 1
    return size


def square(pair: Pair) -> str:
    """Returns a pair as source text: one number where both are equal."""
    return str(pair[0]) if pair[0] == pair[1] else str(pair)


def image(shape: Shape, op: str) -> tuple[int, int, int]:
    """Returns `shape` as `(channels, height, width)`.

    Raises:
        BlockError: When it is flat.
    """
    if len(shape) != 3:
        raise BlockError(f"{op} needs an input (channels, height, width), got {shape}; put it before the classifier")
    return shape[0], shape[1], shape[2]


def beyond(mode: str, padding: Pair, sides: Pair) -> None:
    """Checks that an image is large enough for what is to stand beyond its border.

    Args:
        mode: One of `PADDING_MODES`; "reflect" and "circular" take their pixels from the image, and each of them once.
        padding: Pixels along both axes.
        sides: Height and width of the image.

    Raises:
        BlockError: When the image is too small.
    """
    if mode in ("reflect", "circular") and any(p > n - (mode == "reflect") for p, n in zip(padding, sides, strict=True)):
        most = tuple(n - (mode == "reflect") for n in sides)
        raise BlockError(
            f"{mode} padding of {square(padding)} needs a larger image than {sides[0]} x {sides[1]} pixels, which allow "
            f"{square((most[0], most[1]))}; use padding mode 'zeros' or 'replicate', or fewer strides and poolings before it"
        )


def at_least(least: int, op: str, **sizes: int | tuple[int, ...]) -> None:
    """Checks the sizes of an operation, which a file may have got wrong.

    Raises:
        BlockError: Naming the first that is below `least`.
    """
    for name, size in sizes.items():
        if (min(size) if isinstance(size, tuple) else size) < least:
            raise BlockError(f"{op}: {name} is {size}, expected at least {least}")


def one_of(known: Iterable[str], op: str, **names: str) -> None:
    """Checks the names in an operation's fields.

    Raises:
        BlockError: Naming the first that is not known, and the nearest that is.
    """
    known = tuple(known)
    for name, value in names.items():
        if value not in known:
            raise BlockError(f"{op}: unknown {name} {value!r}{did_you_mean(value, known)}")
