"""Operations with weights, normalisation and activation, and dropout."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from nas.errors import BlockError
from nas.ops.base import PADDING_MODES, Op, Pair, Shape, Window, at_least, beyond, image, one_of, out_size, square


@dataclass(frozen=True)
class Conv2d(Op):
    """Cross-correlation with learned kernels (LeCun et al. 1998).

    Attributes:
        channels: Output channels.
        kernel, stride, padding, dilation: (vertical, horizontal), in pixels.
        groups: Groups of channels that do not see each other.
        bias: One learned offset an output channel.
        padding_mode: What stands beyond the border: zeros, reflect, replicate or circular.
    """

    channels: int
    kernel: Pair = (3, 3)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    bias: bool = True
    padding_mode: str = "zeros"
    noun: ClassVar[str] = "conv"
    arity: ClassVar[int] = 1

    def shape(self, *inputs: Shape) -> Shape:
        c, h, w = image(inputs[0], "convolution")
        self._check()
        if c % self.groups or self.channels % self.groups:
            raise BlockError(
                f"convolution with groups={self.groups} needs channels that it divides, got {c} in and {self.channels} out"
            )
        sides = [
            out_size(n, k, s, p, d)
            for n, k, s, p, d in zip((h, w), self.kernel, self.stride, self.padding, self.dilation, strict=True)
        ]
        if min(sides) < 1:
            raise BlockError(
                f"convolution with kernel {square(self.kernel)}, padding {square(self.padding)} does not fit into {h} x {w} "
                "pixels; use a smaller kernel, more padding, or fewer strides and poolings before it"
            )
        beyond(self.padding_mode, self.padding, (h, w))
        return (self.channels, *sides)

    def _check(self) -> None:
        at_least(
            1,
            "convolution",
            channels=self.channels,
            kernel=self.kernel,
            stride=self.stride,
            dilation=self.dilation,
            groups=self.groups,
        )
        at_least(0, "convolution", padding=self.padding)
        one_of(PADDING_MODES, "convolution", padding_mode=self.padding_mode)

    def params(self, *inputs: Shape) -> int:
        return self.channels * (inputs[0][0] // self.groups) * prod(self.kernel) + self.channels * self.bias

    def macs(self, *inputs: Shape) -> int:
        return prod(self.shape(*inputs)) * (inputs[0][0] // self.groups) * prod(self.kernel)

    def other_flops(self, *inputs: Shape) -> int:
        return prod(self.shape(*inputs)) * self.bias

    def window(self) -> Window:
        return Window(self.kernel, self.stride, self.padding, self.dilation)

    def declare(self, *inputs: Shape) -> str:
        words = [str(inputs[0][0]), str(self.channels), square(self.kernel)]
        for name, value, default in (
            ("stride", self.stride, (1, 1)),
            ("padding", self.padding, (0, 0)),
            ("dilation", self.dilation, (1, 1)),
        ):
            if value != default:
                words.append(f"{name}={square(value)}")
        words += [f"groups={self.groups}"] * (self.groups != 1) + ["bias=False"] * (not self.bias)
        words += [f'padding_mode="{self.padding_mode}"'] * (self.padding_mode != "zeros")
        return f"nn.Conv2d({', '.join(words)})"

    def call(self, module: str, *inputs: str) -> str:
        return f"{module}({inputs[0]})"


@dataclass(frozen=True)
class Linear(Op):
    """A fully connected layer on a flat input."""

    features: int
    bias: bool = True
    noun: ClassVar[str] = "linear"
    arity: ClassVar[int] = 1

    def shape(self, *inputs: Shape) -> Shape:
        if len(inputs[0]) != 1:
            raise BlockError(f"a linear layer needs a flat input (features,), got {inputs[0]}; flatten it first")
        at_least(1, "linear layer", features=self.features)
        return (self.features,)

    def params(self, *inputs: Shape) -> int:
        return (inputs[0][0] + self.bias) * self.features

    def macs(self, *inputs: Shape) -> int:
        return inputs[0][0] * self.features

    def other_flops(self, *inputs: Shape) -> int:
        return self.features * self.bias

    def declare(self, *inputs: Shape) -> str:
        return f"nn.Linear({inputs[0][0]}, {self.features}{'' if self.bias else ', bias=False'})"

    def call(self, module: str, *inputs: str) -> str:
        return f"{module}({inputs[0]})"


@dataclass(frozen=True)
class BatchNorm(Op):
    """Batch normalisation with learned scale and offset (Ioffe and Szegedy 2015); two operations a value at inference."""

    noun: ClassVar[str] = "bn"
    arity: ClassVar[int] = 1

    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def params(self, *inputs: Shape) -> int:
        return 2 * inputs[0][0]

    def buffers(self, *inputs: Shape) -> int:
        return 2 * inputs[0][0] + 1

    def other_flops(self, *inputs: Shape) -> int:
        return 2 * prod(inputs[0])

    def declare(self, *inputs: Shape) -> str:
        return f"nn.BatchNorm{2 if len(inputs[0]) == 3 else 1}d({inputs[0][0]})"

    def call(self, module: str, *inputs: str) -> str:
        return f"{module}({inputs[0]})"


@dataclass(frozen=True)
class LocalResponseNorm(Op):
    """Local response normalisation across channels, with the constants of Krizhevsky et al. 2012, section 3.3.

    PyTorch divides `alpha` by `size`: 5e-4 is the paper's 1e-4 for five channels.
    """

    size: int = 5
    alpha: float = 5e-4
    beta: float = 0.75
    k: float = 2.0
    noun: ClassVar[str] = "lrn"
    arity: ClassVar[int] = 1

    def shape(self, *inputs: Shape) -> Shape:
        image(inputs[0], "local response normalisation")
        at_least(1, "local response normalisation", size=self.size)
        return inputs[0]

    def other_flops(self, *inputs: Shape) -> int:
        return (2 * self.size + 3) * prod(inputs[0])

    def call(self, module: str, *inputs: str) -> str:
        return f"F.local_response_norm({inputs[0]}, {self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k})"


ACTIVATIONS = {
    "relu": "F.relu({})",
    "sigmoid": "torch.sigmoid({})",
    "tanh": "torch.tanh({})",
    "elu": "F.elu({})",
    "gelu": "F.gelu({})",
    "silu": "F.silu({})",
    "relu6": "F.relu6({})",
    "hardswish": "F.hardswish({})",
}
"""Name of each activation and its source text."""


@dataclass(frozen=True)
class Activation(Op):
    """A function applied to each value by itself; one operation a value is counted."""

    kind: str
    arity: ClassVar[int] = 1

    @property
    def noun(self) -> str:  # type: ignore[override]  # an activation is called by its kind
        return self.kind

    def shape(self, *inputs: Shape) -> Shape:
        one_of(ACTIVATIONS, "activation", kind=self.kind)
        return inputs[0]

    def other_flops(self, *inputs: Shape) -> int:
        return prod(inputs[0])

    def call(self, module: str, *inputs: str) -> str:
        return ACTIVATIONS[self.kind].format(inputs[0])


@dataclass(frozen=True)
class Dropout(Op):
    """Sets a share of the values to zero while training (Srivastava et al. 2014)."""

    share: float
    noun: ClassVar[str] = "drop"
    arity: ClassVar[int] = 1
    random: ClassVar[bool] = True

    def shape(self, *inputs: Shape) -> Shape:
        if not 0 <= self.share < 1:
            raise BlockError(f"dropout: share is {self.share}, expected from 0 to below 1")
        return inputs[0]

    def call(self, module: str, *inputs: str) -> str:
        return f"F.dropout({inputs[0]}, {self.share}, self.training)"

    def is_identity(self, *inputs: Shape) -> bool:
        return self.share == 0
