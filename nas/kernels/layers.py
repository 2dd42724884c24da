"""Batch normalisation, ReLU and pooling on a CPU by the loops of `nas.kernels.loops`: what PyTorch's own give, to rounding."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nas.kernels import loops

_LAST = torch.channels_last
_FEW = 2**11
"""Values of a channel below which PyTorch's own kernels are as quick, since calling others takes time of its own."""


def _fits(x: Tensor, *dtypes: torch.dtype) -> bool:
    """Returns whether a feature map is one that the loops know, and are quicker on."""
    return (
        x.dtype in dtypes
        and x.device.type == "cpu"
        and x.ndim == 4
        and x.numel() >= _FEW * x.shape[1]
        and x.is_contiguous(memory_format=_LAST)
    )


def _flat(x: Tensor) -> NDArray[Any]:
    """Returns the values of a feature map, `(N, C, H, W)`, where they lie: channels last, so in the order (N, H, W, C)."""
    values = x.detach().as_strided((x.numel(),), (1,))
    return values.numpy() if x.dtype == torch.float32 else values.view(torch.uint16).numpy()


class _BatchNorm(torch.autograd.Function):
    """Normalisation over a batch (Ioffe and Szegedy 2015, algorithm 1) that ends at a floor; its mean and variance are written into
    `statistics`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, floor: float, statistics: Tensor) -> Tensor:
        y, scale = torch.empty_like(x), weight.detach().numpy()
        mean, variance, inverse = statistics.numpy()
        loops.batch_norm(_flat(x), scale, bias.detach().numpy(), eps, floor, _flat(y), mean, variance, inverse)
        ctx.save_for_backward(x, y if floor > -math.inf else x)
        ctx.floor, ctx.channels = floor, (scale, mean, inverse)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, y = ctx.saved_tensors
        out, of_weight, of_bias = torch.empty_like(x), torch.empty(x.shape[1]), torch.empty(x.shape[1])
        gradients, into = _flat(gradient.contiguous(memory_format=_LAST)), (_flat(out), of_weight.numpy(), of_bias.numpy())
        loops.batch_norm_gradient(gradients, _flat(x), _flat(y), ctx.floor, *ctx.channels, *into)
        return out, of_weight, of_bias, None, None, None


class BatchNorm2d(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d`; see `quicken`."""

    def forward(self, x: Tensor, then_relu: bool = False) -> Tensor:
        if self._quick(x):
            return self._normalised(x, 0.0 if then_relu else -math.inf)
        return relu(super().forward(x)) if then_relu else super().forward(x)

    def _quick(self, x: Tensor) -> bool:
        return (
            self.training
            and self.affine
            and self.running_mean is not None
            and self.momentum is not None
            and self.weight.dtype == torch.float32
            and _fits(x, torch.float32, torch.bfloat16)
        )

    def _normalised(self, x: Tensor, floor: float) -> Tensor:
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        statistics = torch.empty(3, x.shape[1])
        y = _BatchNorm.apply(x, self.weight, self.bias, self.eps, floor, statistics)  # type: ignore[no-untyped-call]
        count = x.numel() // x.shape[1]
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(statistics[0], self.momentum)
        self.running_var.lerp_(statistics[1] * (count / (count - 1)), self.momentum)  # of a sample, as PyTorch has it
        return y  # type: ignore[no-any-return]


def quicken(network: nn.Module) -> None:
    """Makes every `torch.nn.BatchNorm2d` in a network, in place, one of ours: they hold the same and do the same."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = BatchNorm2d


class _Relu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = torch.empty_like(x)
        loops.relu(_flat(x), _flat(y))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        out = torch.empty_like(y)
        loops.relu_gradient(_flat(gradient.contiguous(memory_format=_LAST)), _flat(y), _flat(out))
        return out


def relu(x: Tensor, inplace: bool = False) -> Tensor:
    """`torch.nn.functional.relu`."""
    if inplace or not _fits(x, torch.bfloat16):
        return F.relu(x, inplace)
    return _Relu.apply(x)  # type: ignore[no-any-return, no-untyped-call]


def relu_of(layer: nn.Module, *inputs: Tensor) -> Tensor:
    """Returns `relu(layer(...))`; in one pass where the layer is batch normalisation, and no hook wants to see what it gives."""
    if type(layer) is BatchNorm2d and not layer._forward_hooks:
        return layer(*inputs, then_relu=True)  # type: ignore[no-any-return]
    return relu(layer(*inputs))


def _window(
    x: Tensor, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> tuple[tuple[int, ...], Tensor]:
    """Returns the sizes that the loops of pooling take, and room for what comes out."""
    images, channels, *sides = x.shape
    out = [(side + 2 * p - k) // s + 1 for side, k, s, p in zip(sides, kernel, stride, padding, strict=True)]
    y = torch.empty((images, channels, *out), dtype=x.dtype, memory_format=_LAST)
    return (*sides, channels, *kernel, *stride, *padding, images), y


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *window: tuple[int, int]) -> Tensor:
        sizes, y = _window(x, *window)
        ctx.sizes = (*sizes[:6], *sizes[7:])  # without the stride across, which is 1
        loops.max_pool(_flat(x), _flat(y), *ctx.sizes)
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, y = ctx.saved_tensors
        out = torch.empty_like(x)
        loops.max_pool_gradient(_flat(gradient.contiguous(memory_format=_LAST)), _flat(x), _flat(y), _flat(out), *ctx.sizes)
        return out, None, None, None


class _AvgPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *window: tuple[int, int]) -> Tensor:
        sizes, y = _window(x, *window)
        loops.avg_pool(_flat(x), _flat(y), *sizes)
        ctx.like, ctx.sizes = (x.shape, x.dtype), sizes
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        shape, dtype = ctx.like
        out = torch.empty(shape, dtype=dtype, memory_format=_LAST)
        loops.avg_pool_gradient(_flat(gradient.contiguous(memory_format=_LAST)), _flat(out), *ctx.sizes)
        return out, None, None, None


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _windows(x: Tensor, kernel_size: Any, stride: Any, padding: Any) -> tuple[tuple[int, int], ...] | None:
    """Returns kernel, stride and padding of a pooling that the loops know; None for others, and those that PyTorch refuses."""
    kernel, padding = _pair(kernel_size), _pair(padding)
    stride = kernel if stride is None else _pair(stride)
    known = min(stride) > 0 and all(
        0 <= 2 * p <= k <= side + 2 * p for k, p, side in zip(kernel, padding, x.shape[-2:], strict=True)
    )
    return (kernel, stride, padding) if known and _fits(x, torch.bfloat16) else None


def max_pool2d(x: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, **more: Any) -> Tensor:
    """`torch.nn.functional.max_pool2d`; ours is quicker where windows lie one column apart."""
    windows = None if more else _windows(x, kernel_size, stride, padding)
    if windows is None or windows[1][1] > 1:
        pooled: Tensor = F.max_pool2d(x, kernel_size, stride, padding, **more)
        return pooled
    return _MaxPool.apply(x, *windows)  # type: ignore[no-any-return, no-untyped-call]


def avg_pool2d(x: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, **more: Any) -> Tensor:
    """`torch.nn.functional.avg_pool2d`; ours leaves padding out of the mean."""
    windows = _windows(x, kernel_size, stride, padding) if not more.keys() - {"count_include_pad"} else None
    if windows is None or (more.get("count_include_pad", True) and max(windows[2]) > 0):
        return F.avg_pool2d(x, kernel_size, stride, padding, **more)
    return _AvgPool.apply(x, *windows)  # type: ignore[no-any-return, no-untyped-call]


class Functional(ModuleType):
    """`torch.nn.functional`, with ours for some of PyTorch's own."""

    relu = staticmethod(relu)
    max_pool2d = staticmethod(max_pool2d)
    avg_pool2d = staticmethod(avg_pool2d)

    def __getattr__(self, name: str) -> Any:
        return getattr(F, name)
