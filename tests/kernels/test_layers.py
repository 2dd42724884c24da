"""Tests of nas/kernels: what PyTorch gives, to rounding, in both formats, for many shapes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

layers = pytest.importorskip("nas.kernels.layers", reason="Numba is not installed")

SHAPES = [(4, 1, 5, 7), (3, 3, 9, 4), (2, 17, 6, 6), (5, 64, 3, 3), (2, 1100, 2, 3), (700, 8, 14, 14)]
WINDOWS = [
    (2, 1, 0),
    (3, 1, 1),
    (3, 2, 1),
    (2, 2, 0),
    ((1, 3), 1, (0, 1)),
    ((3, 1), (2, 1), 0),
    ((2, 3), (1, 2), (1, 1)),
    (3, 3, 0),
]
DTYPES = [torch.float32, torch.bfloat16]


@pytest.fixture(autouse=True)
def every_size_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "_FEW", 0)


def images(shape: tuple[int, ...], dtype: torch.dtype, seed: int = 0) -> Tensor:
    """Values of which many are equal, so that maxima tie."""
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).mul(4).round().div(4) + 1.5
    return values.to(dtype).contiguous(memory_format=torch.channels_last)


def both(ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor], x: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Returns output and gradient of the input, ours and theirs; theirs in float64."""
    mine, other = x.clone().requires_grad_(), x.double().contiguous(memory_format=torch.channels_last).requires_grad_()
    outs = ours(mine), theirs(other)
    assert outs[0].dtype == x.dtype and outs[0].shape == outs[1].shape
    assert outs[0].is_contiguous(memory_format=torch.channels_last)
    gradient = torch.randn(outs[0].shape, generator=torch.Generator().manual_seed(1)).to(x.dtype)  # of another layout
    (first,) = torch.autograd.grad(outs[0], mine, gradient)
    (second,) = torch.autograd.grad(outs[1], other, gradient.double())
    return [(outs[0].double(), outs[1]), (first.double(), second)]


def near(pairs: list[tuple[Tensor, Tensor]], dtype: torch.dtype) -> None:
    for ours, theirs in pairs:
        tolerance = 2e-5 if dtype == torch.float32 else 2**-7
        assert torch.allclose(ours, theirs, rtol=tolerance, atol=tolerance * max(1.0, theirs.abs().max().item()))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("then_relu", [False, True])
def test_batch_normalisation(shape: tuple[int, ...], dtype: torch.dtype, then_relu: bool) -> None:
    ours, theirs = nn.BatchNorm2d(shape[1]), nn.BatchNorm2d(shape[1]).double()
    with torch.no_grad():
        for name in ("weight", "bias"):
            values = torch.randn(shape[1], generator=torch.Generator().manual_seed(2))
            getattr(ours, name).copy_(values)
            getattr(theirs, name).copy_(values)
    layers.quicken(ours)
    assert type(ours) is layers.BatchNorm2d and ours._quick(images(shape, dtype))
    x = images(shape, dtype) + 30  # the mean is far from 0
    found = both(lambda x: ours(x, then_relu), lambda x: F.relu(theirs(x)) if then_relu else theirs(x), x)
    far = found[0][0].abs() > 0.05 if then_relu else torch.ones(1, dtype=torch.bool)
    kept = [(torch.where(far, a, 0.0), torch.where(far, b, 0.0)) for a, b in found]  # at the kink either side is right
    near(kept if then_relu else found, dtype)
    assert ours.num_batches_tracked == 1
    near([(ours.running_mean.double(), theirs.running_mean), (ours.running_var.double(), theirs.running_var)], torch.float32)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_of_weight_and_bias(dtype: torch.dtype) -> None:
    ours, theirs, x = nn.BatchNorm2d(5), nn.BatchNorm2d(5).double(), images((6, 5, 4, 4), dtype)
    layers.quicken(ours)
    gradient = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    ours(x).backward(gradient)
    theirs(x.double()).backward(gradient.double())
    near([(ours.weight.grad.double(), theirs.weight.grad), (ours.bias.grad.double(), theirs.bias.grad)], torch.float32)


def test_long_sums_lose_nothing() -> None:
    """Half a million values a channel, whose mean is a thousand deviations from 0."""
    x = (torch.randn(64, 2, 64, 64, generator=torch.Generator().manual_seed(0)) + 1000).contiguous(
        memory_format=torch.channels_last
    )
    norm = nn.BatchNorm2d(2)
    layers.quicken(norm)
    norm(x)
    assert torch.allclose(norm.running_var, 0.9 + 0.1 * x.double().var((0, 2, 3)).float(), rtol=1e-4)
    assert torch.allclose(norm.running_mean, 0.1 * x.double().mean((0, 2, 3)).float(), rtol=1e-6)


@pytest.mark.parametrize("layer", [nn.BatchNorm2d(3, affine=False), nn.BatchNorm2d(3, momentum=None), nn.BatchNorm2d(3).double()])
def test_what_we_do_not_know_is_left_to_pytorch(layer: nn.BatchNorm2d) -> None:
    x = images((4, 3, 5, 5), torch.float32).to(layer.running_mean.dtype)
    expected = type(layer)(3, affine=layer.affine, momentum=layer.momentum).to(x.dtype)(x)
    layers.quicken(layer)
    assert not layer._quick(x)
    assert torch.equal(layer(x), expected)


def test_when_it_is_evaluated_running_statistics_count() -> None:
    norm, x = nn.BatchNorm2d(3), images((4, 3, 5, 5), torch.float32)
    norm(x)
    norm.eval()
    expected = norm(x)
    layers.quicken(norm)
    assert torch.equal(norm(x), expected) and torch.equal(layers.relu_of(norm, x), F.relu(expected))


def test_hooks_see_what_the_layer_takes_and_gives() -> None:
    norm, x = nn.BatchNorm2d(3), images((4, 3, 5, 5), torch.float32)
    layers.quicken(norm)
    taken: list[Tensor] = []
    given: list[Tensor] = []
    before = norm.register_forward_pre_hook(lambda module, inputs: taken.append(inputs[0]))
    layers.relu_of(norm, x)
    after = norm.register_forward_hook(lambda module, inputs, output: given.append(output))
    out = layers.relu_of(norm, x)
    assert len(taken) == 2 and given[0].min() < 0 <= out.min() and torch.equal(out, F.relu(given[0]))
    before.remove()
    after.remove()


@pytest.mark.parametrize("shape", SHAPES)
def test_relu(shape: tuple[int, ...]) -> None:
    for ours, theirs in both(layers.relu, F.relu, images(shape, torch.bfloat16) - 2):
        assert torch.equal(ours, theirs)


def fits(shape: tuple[int, ...], window: tuple[Any, Any, Any]) -> bool:
    kernel, padding = (value if isinstance(value, tuple) else (value, value) for value in (window[0], window[2]))
    return all(2 * p <= k <= side + 2 * p for k, p, side in zip(kernel, padding, shape[2:], strict=True))


@pytest.mark.parametrize(("shape", "window"), [(shape, window) for shape in SHAPES for window in WINDOWS if fits(shape, window)])
def test_pooling(shape: tuple[int, ...], window: tuple[int, int, int]) -> None:
    x = images(shape, torch.bfloat16)
    for ours, theirs in both(lambda x: layers.max_pool2d(x, *window), lambda x: F.max_pool2d(x, *window), x)[:1]:
        assert torch.equal(ours, theirs)
    mine, other = x.clone().requires_grad_(), x.float().contiguous().requires_grad_()  # in this layout theirs goes row by row
    gradient = torch.randn(F.max_pool2d(x, *window).shape, generator=torch.Generator().manual_seed(1)).bfloat16()
    layers.max_pool2d(mine, *window).backward(gradient)
    F.max_pool2d(other, *window).backward(gradient.float())
    near([(mine.grad.double(), other.grad.double())], torch.bfloat16)
    near(
        both(
            lambda x: layers.avg_pool2d(x, *window, count_include_pad=False),
            lambda x: F.avg_pool2d(x, *window, count_include_pad=False),
            x,
        ),
        torch.bfloat16,
    )


def test_of_equal_values_the_first_has_the_gradient() -> None:
    x = torch.ones(1, 2, 3, 3, dtype=torch.bfloat16).contiguous(memory_format=torch.channels_last).requires_grad_()
    layers.max_pool2d(x, 3, 1, padding=1).sum().backward()
    assert x.grad[0, 0].tolist() == [[4, 2, 0], [2, 1, 0], [0, 0, 0]]


def test_what_is_no_number_stays_so() -> None:
    x = images((2, 4, 6, 6), torch.bfloat16)
    x[0, 1, 2, 3] = math.nan
    x[1, 2, 0, 0] = -math.nan
    for ours, theirs in (
        (layers.relu(x), F.relu(x)),
        (layers.max_pool2d(x, 3, 1, padding=1), F.max_pool2d(x, 3, 1, padding=1)),
        (layers.avg_pool2d(x, 2), F.avg_pool2d(x, 2)),
    ):
        assert torch.equal(ours.isnan(), theirs.isnan()) and ours.isnan().any()
    norm = nn.BatchNorm2d(4)
    layers.quicken(norm)
    assert layers.relu_of(norm, x).isnan().any((0, 2, 3)).tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    "call",
    [
        lambda f, x: f.max_pool2d(x, 2, 2, ceil_mode=True),
        lambda f, x: f.max_pool2d(x, 2, 1, dilation=2),
        lambda f, x: f.avg_pool2d(x, 3, 1, padding=1),
        lambda f, x: f.avg_pool2d(x, 2, ceil_mode=True),
        lambda f, x: f.avg_pool2d(x, 2, 2, divisor_override=1),
        lambda f, x: f.relu6(x),
        lambda f, x: f.relu(x[:, :2]),
        lambda f, x: f.relu(x.contiguous()),
        lambda f, x: f.relu(x.flatten(1)),
    ],
)
def test_all_else_is_pytorchs(call: Callable[[object, Tensor], Tensor]) -> None:
    x = images((2, 4, 7, 7), torch.bfloat16)
    assert torch.equal(call(layers.Functional("functional"), x), call(F, x))


def test_what_pytorch_refuses_is_refused() -> None:
    x = images((2, 4, 3, 3), torch.bfloat16)
    for kernel, padding in ((4, 0), (2, 2)):
        with pytest.raises(RuntimeError):
            layers.max_pool2d(x, kernel, 1, padding)


def test_rounding_is_to_the_nearest_and_of_two_to_the_even_one() -> None:
    """Means of two bfloat16 values next to each other lie halfway."""
    bits = np.arange(0x3F00, 0x4000, dtype=np.uint16)
    pairs = torch.from_numpy(np.stack([bits, bits + 1], 1)).view(torch.bfloat16)  # (256, 2)
    x = pairs.reshape(256, 1, 1, 2).contiguous(memory_format=torch.channels_last)
    assert torch.equal(layers.avg_pool2d(x, (1, 2)).flatten(), pairs.float().mean(1).bfloat16())
