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
from dataclasses import dataclass, fields
from functools import cached_property
from math import prod
from typing import ClassVar, NamedTuple

from nas.errors import BlockError

Shape = tuple[int, ...]
Pair = tuple[int, int]


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
    """

    shape: Shape
    params: int
    buffers: int
    macs: int
    other_flops: int
    identity: bool
    volume: int


@dataclass(frozen=True)
class Op(ABC):
    """A primitive operation.

    Class attributes:
        noun: Start of its variable names in generated source.
        random: Two copies of it on the same input differ while training (dropout), so they are never merged.
        commutative: The order of its inputs does not matter.
        helper: Source text that a generated file needs before its network (a class or a function), if any.
    """

    noun: ClassVar[str] = "node"
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

    @cached_property
    def token(self) -> str:
        """Class and fields as text; for operations defined outside this package also a digest of what they compute."""
        text = f"{type(self).__name__}({', '.join(repr(getattr(self, f.name)) for f in fields(self))})"
        if type(self).__module__.startswith("nas.ops."):
            return text
        names = [f"x{i}" for i in range(8)]
        arity = next((n for n in range(1, 9) if _calls(self, names[:n])), 1)
        computed = self.helper + (self.call("self.op", *names[:arity]) if _calls(self, names[:arity]) else "")
        return f"{text}#{hashlib.sha256(computed.encode()).hexdigest()[:16]}"

    def facts(self, *inputs: Shape) -> Facts:
        """Returns shape and costs for inputs of these shapes; remembered, as searches ask the same again and again."""
        known: dict[tuple[Shape, ...], Facts] = self.__dict__.setdefault("_facts", {})
        found = known.get(inputs)
        if found is None:
            shape = self.shape(*inputs)
            found = Facts(
                shape,
                self.params(*inputs),
                self.buffers(*inputs),
                self.macs(*inputs),
                self.other_flops(*inputs),
                self.is_identity(*inputs),
                prod(shape),
            )
            known[inputs] = found
        return found


def _calls(op: Op, names: list[str]) -> bool:
    try:
        op.call("self.op", *names)
    except TypeError:
        return False
    return True


def span(kernel: int, dilation: int) -> int:
    """Returns how many neighbouring pixels a dilated kernel reaches over."""
    return (kernel - 1) * dilation + 1


def out_size(n: int, kernel: int, stride: int, padding: int, dilation: int = 1, ceil: bool = False) -> int:
    """Returns the output size along one axis (Dumoulin and Visin 2016, relationship 14).

    With `ceil`, a window that starts inside the input or its left padding counts although it ends beyond.
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
