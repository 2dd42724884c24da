"""Every convolution and pooling that the blocks can make, against the lecture's formulas: forward, and backward to all it learns.

A block goes the product's own way (space, graph, source text, compiled module) and computes in float64; `reference` is numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import reference as ref
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import Array

from nas.blocks import Conv, GlobalPool, Pool, Resize
from nas.errors import BlockError
from nas.ops.base import PADDING_MODES
from nas.ops.pooling import POOLS
from nas.space import Space
from nas.windows import Border, pair

if TYPE_CHECKING:
    from torch import nn

Gradients = dict[str, Array]
"""What a block computes, by name: `y`, and the gradients of `sum(g * y)` with respect to `x`, `weight` and `bias`."""
CLOSE = 1e-11
"""Largest difference allowed; float64 sums of some hundred terms of size one differ by 1e-13, l2 pooling of zeros gives 1e-12."""


@dataclass(frozen=True)
class Case:
    """A block on an input of some shape, with what its space says of borders."""

    block: Conv | Pool | GlobalPool | Resize
    shape: tuple[int, int, int]
    border: Border = "floor"


def network(case: Case) -> nn.Module:
    """Returns the block as the package trains it, in float64."""
    from nas.module import compile_source
    from nas.source import write_source

    return compile_source(write_source(Space(case.block, case.shape, 2, case.border).decode({}).graph)).double()


def computed(case: Case, x: Array, draw: Callable[[tuple[int, ...]], Array]) -> tuple[Gradients, Gradients, Array]:
    """Returns what PyTorch computes, the weights, and the gradient from above that was drawn."""
    import torch

    module = network(case)
    parameters = {name.rsplit(".")[-1]: p for name, p in module.named_parameters()}
    for parameter in parameters.values():
        parameter.data = torch.from_numpy(draw(tuple(parameter.shape)))
    image = torch.from_numpy(x.copy()).requires_grad_()
    y = module(image)
    g = draw(tuple(y.shape))
    (y * torch.from_numpy(g)).sum().backward()
    found = {"y": y.detach().numpy(), "x": image.grad.numpy() if image.grad is not None else np.zeros_like(x)}
    found |= {name: p.grad.numpy() for name, p in parameters.items() if p.grad is not None}
    return found, {name: p.detach().numpy() for name, p in parameters.items()}, g


# ---- what the formulas say


def sides_of(block: Conv | Pool) -> ref.Sides:
    """Returns what stands around the image before a border rule adds to it: above, below, left, right."""
    kernel, dilation = pair(block.kernel), pair(getattr(block, "dilation", 1))
    if block.padding == "same":
        above, left = (ref.same_padding(k, d) for k, d in zip(kernel, dilation, strict=True))
        return (*above, *left)
    p, q = (0, 0) if block.padding == "valid" else pair(block.padding)  # type: ignore[arg-type]
    return (p, p, q, q)


def filled(sides: ref.Sides, size: ref.Pair, kernel: ref.Pair, stride: ref.Pair, dilation: ref.Pair) -> ref.Sides:
    """Returns the sides with as much more below and on the right as keeps real pixels from being left over (border "pad")."""
    found = list(sides)
    for axis in (0, 1):
        before, behind = found[2 * axis : 2 * axis + 2]
        left = ref.skipped(size[axis] + before + behind, kernel[axis], stride[axis], 0, dilation[axis])
        if left > behind and kernel[axis] >= stride[axis]:
            found[2 * axis + 1] += stride[axis] - left
    return (found[0], found[1], found[2], found[3])


def convolved(case: Case, x: Array, weights: Gradients, g: Array, by: Any = ref) -> Gradients:
    """Returns what the formulas say of a convolution; `by` holds them."""
    block = case.block
    assert isinstance(block, Conv)
    sides, size = sides_of(block), case.shape[1:]
    if case.border == "pad":
        sides = filled(sides, size, pair(block.kernel), pair(block.stride), pair(block.dilation))
    options: dict[str, Any] = dict(
        stride=pair(block.stride), sides=sides, mode=block.padding_mode, dilation=pair(block.dilation),
        groups=case.shape[0] if block.groups == "depthwise" else block.groups,
    )  # fmt: skip
    k = weights["weight"]
    found = {
        "y": by.convolution(x, k, weights.get("bias"), **options),
        "x": by.input_gradient(g, k, size, **options),
        "weight": by.kernel_gradient(x, g, pair(block.kernel), **options),
    }
    return found | ({"bias": by.bias_gradient(g)} if "bias" in weights else {})


def pooled(case: Case, x: Array, weights: Gradients, g: Array, by: Any = ref) -> Gradients:
    """Returns what the formulas say of a pooling."""
    block, size = case.block, case.shape[1:]
    if isinstance(block, GlobalPool):
        windows = by.shares(size, pair(block.size))  # of l2 too: one pixel is all its blocks make
    else:
        assert isinstance(block, Pool)
        kernel = pair(block.kernel)
        stride = kernel if block.stride is None else pair(block.stride)
        windows = by.sliding(size, kernel, stride, sides_of(block), block.ceil or misfits(case))
    return {"y": by.pool(x, block.kind, windows), "x": by.pool_gradient(x, g, block.kind, windows)}


def resized(case: Case, x: Array, weights: Gradients, g: Array, by: Any = ref) -> Gradients:
    """Returns what the formulas say of an image at another size."""
    assert isinstance(case.block, Resize)
    return {"y": by.resize(x, pair(case.block.size)), "x": by.resize_gradient(g, case.shape[1:])}


def misfits(case: Case) -> bool:
    """Returns whether border "pad" fills up the windows of a pooling."""
    block = case.block
    assert isinstance(block, Pool)
    kernel, sides = pair(block.kernel), sides_of(block)
    stride = kernel if block.stride is None else pair(block.stride)
    return case.border == "pad" and filled(sides, case.shape[1:], kernel, stride, (1, 1)) != sides  # type: ignore[arg-type]


def difference(case: Case, seed: int = 0, by: Any = ref) -> float:
    """Returns the largest difference between PyTorch and the formulas, over outputs and all gradients; infinite where shapes differ.

    Poolings get whole numbers, so that windows have several largest values.
    """
    rng = np.random.default_rng(seed)
    shape = (2, *case.shape)
    x = rng.integers(-3, 3, shape).astype(float) if isinstance(case.block, Pool | GlobalPool) else rng.standard_normal(shape)
    found, weights, g = computed(case, x, rng.standard_normal)
    says = convolved if isinstance(case.block, Conv) else resized if isinstance(case.block, Resize) else pooled
    wanted = says(case, x, weights, g, by)
    if {name: array.shape for name, array in found.items()} != {name: array.shape for name, array in wanted.items()}:
        return float("inf")
    return max(float(abs(found[name] - wanted[name]).max()) for name in wanted)


# ---- a grid over all that is small


SIZES = ((6, 7), (5, 5))
PLAIN = Conv(4, norm="none", activation="none")


def convolutions() -> Iterator[Case]:
    """Yields every kernel with every stride, padding and dilation; then every border's content, grouping and offset."""
    for kernel, stride, padding, dilation in product(
        (1, 2, 3, 4, 5, (1, 3), (3, 2)), (1, 2, 3, (2, 1)), (0, 1, (2, 0), "same", "valid"), (1, 2, (1, 2))
    ):
        for size in SIZES:
            yield Case(replace(PLAIN, kernel=kernel, stride=stride, padding=padding, dilation=dilation), (2, *size))  # type: ignore[arg-type]
    for mode, kernel, stride, padding, border in product(PADDING_MODES, (2, 3, 4, 5), (1, 2, 3), (1, "same"), ("floor", "pad")):
        yield Case(replace(PLAIN, kernel=kernel, stride=stride, padding=padding, padding_mode=mode), (2, 6, 7), border)  # type: ignore[arg-type]
    for groups, channels, bias, stride in product((1, 2, 4, "depthwise"), (4, 8), (True, False), (1, 2)):
        yield Case(replace(PLAIN, channels=channels, groups=groups, bias=bias, stride=stride), (4, 5, 6))  # type: ignore[arg-type]


def poolings() -> Iterator[Case]:
    """Yields every pooling with every kernel, stride, padding, last window and border rule; then pooling to a size."""
    for kind, kernel, stride, padding, ceil, border in product(
        POOLS, (1, 2, 3, 4, (2, 3)), (None, 1, 2, (3, 1)), (0, 1, "same", "valid"), (False, True), ("floor", "pad")
    ):
        for size in SIZES:
            yield Case(Pool(kind, kernel, stride, padding, ceil), (2, *size), border)  # type: ignore[arg-type]
    for kind, to, size in product(("avg", "max", "l2"), (1, 2, (2, 3), (5, 7), 8), SIZES):
        yield Case(GlobalPool(kind, to), (2, *size))  # type: ignore[arg-type]


def resizings() -> Iterator[Case]:
    """Yields every size to every other one, up to three times as small and as large."""
    for n, m in product(range(1, 10), range(1, 13)):
        yield Case(Resize((m, max(1, 12 - m))), (2, n, 5))


def applies(case: Case) -> bool:
    try:
        Space(case.block, case.shape, 2, case.border).decode({}).graph
    except BlockError:
        return False
    return True


@pytest.mark.parametrize(("cases", "at_least"), [(convolutions, 950), (poolings, 1700), (resizings, 108)])
def test_the_grid(cases: Callable[[], Iterator[Case]], at_least: int) -> None:
    tried = [case for case in cases() if applies(case)]
    wrong = [(case, far) for case in tried if (far := difference(case)) > CLOSE]
    assert not wrong, f"{len(wrong)} of {len(tried)}: {wrong[:5]}"
    assert len(tried) >= at_least


# ---- and anything else

small = st.integers(1, 6)
sizes = st.one_of(small, st.tuples(small, small))
strides = st.one_of(st.integers(1, 4), st.tuples(st.integers(1, 4), st.integers(1, 4)))
paddings = st.one_of(st.sampled_from(["same", "valid"]), st.integers(0, 3), st.tuples(st.integers(0, 3), st.integers(0, 3)))
shapes = st.tuples(st.sampled_from([2, 4, 6]), st.integers(3, 12), st.integers(3, 12))
borders = st.sampled_from(["floor", "pad"])
any_conv = st.builds(
    Conv, channels=st.sampled_from([2, 4, 12]), kernel=sizes, stride=strides, padding=paddings, dilation=strides,
    groups=st.sampled_from([1, 2, "depthwise"]), bias=st.booleans(), padding_mode=st.sampled_from(PADDING_MODES),
    norm=st.just("none"), activation=st.just("none"),
)  # fmt: skip
any_pool = st.one_of(
    st.builds(Pool, st.sampled_from(POOLS), sizes, st.one_of(st.none(), strides), paddings, st.booleans()),
    st.builds(GlobalPool, st.sampled_from(("avg", "max", "l2")), st.sampled_from([1, 1, 2, (3, 5)])),
)


any_resize = st.builds(Resize, st.one_of(st.integers(1, 30), st.tuples(st.integers(1, 30), st.integers(1, 30))))


@given(st.builds(Case, st.one_of(any_conv, any_pool, any_resize), shapes, borders), st.integers(0, 99))
@settings(deadline=None, max_examples=300)
def test_whatever_a_block_says(case: Case, seed: int) -> None:
    if applies(case):
        assert difference(case, seed) <= CLOSE


# ---- formulas that are wrong are told apart


def turned(k: Array) -> Array:
    return k[:, :, ::-1, ::-1]


def last_maximum(x: Array, g: Array, kind: str, windows: ref.Windows) -> Array:
    back = [[slice(n - w.stop, n - w.start) for w in reversed(axis)] for axis, n in zip(windows, x.shape[2:], strict=True)]
    return turned(ref.pool_gradient(turned(x), turned(g), kind, back))


def sides_swapped(x: Array, k: Array, b: Array | None = None, *, sides: ref.Sides, **options: Any) -> Array:
    return ref.convolution(x, k, b, sides=(sides[1], sides[0], sides[3], sides[2]), **options)


def padding_counted(x: Array, kind: str, windows: ref.Windows) -> Array:
    area = max(r.stop - r.start for r in windows[0]) * max(c.stop - c.start for c in windows[1])
    real = np.array([[(r.stop - r.start) * (c.stop - c.start) for c in windows[1]] for r in windows[0]])
    return ref.pool(x, kind, windows) * real / area


def line(n: int, m: int) -> Array:
    """Weights of the two pixels next to each place: bilinear interpolation that leaves pixels out."""
    weights = np.maximum(0.0, 1 - np.abs(np.arange(n) + 0.5 - (np.arange(m)[:, None] + 0.5) * n / m))
    return weights / weights.sum(1, keepdims=True)


SMALLER = Case(Resize((4, 5)), (2, 9, 11))
EVEN = Case(replace(PLAIN, kernel=(2, 4), stride=2, groups=2), (4, 6, 7))
SQUARE = Case(replace(PLAIN, stride=2, padding=1, dilation=2), (2, 7, 7))
MEAN = Case(Pool("avg", 3, 2, 1), (2, 6, 6))
LARGEST = Case(Pool("max", 3, 2, 1), (2, 6, 6))
WRONG: dict[str, tuple[Case, dict[str, Callable[..., Any]]]] = {
    "a kernel flipped forward": (SQUARE, {"convolution": lambda x, k, b=None, **o: ref.convolution(x, turned(k), b, **o)}),
    "a kernel not flipped backward": (SQUARE, {"input_gradient": lambda g, k, n, **o: ref.input_gradient(g, turned(k), n, **o)}),
    "a kernel's gradient flipped": (SQUARE, {"kernel_gradient": lambda x, g, n, **o: turned(ref.kernel_gradient(x, g, n, **o))}),
    "no stride on the way back": (
        SQUARE,
        {"input_gradient": lambda g, k, n, **o: ref.input_gradient(g, k, n, **{**o, "stride": (1, 1)})},
    ),
    "a mean for the offsets": (SQUARE, {"bias_gradient": lambda g: g.mean((0, 2, 3))}),
    "another pixel of padding": (EVEN, {"convolution": sides_swapped}),
    "groups in another order": (EVEN, {"convolution": lambda x, k, b=None, **o: ref.convolution(x[:, ::-1], k, b, **o)}),
    "zeros for mirrored pixels": (
        replace(SQUARE, block=replace(SQUARE.block, padding_mode="reflect")),
        {"input_gradient": lambda g, k, n, **o: ref.input_gradient(g, k, n, **{**o, "mode": "zeros"})},
    ),
    "the last largest pixel": (LARGEST, {"pool_gradient": last_maximum}),
    "padding that counts": (MEAN, {"pool": padding_counted}),
    "a sum for the mean on the way back": (MEAN, {"pool_gradient": lambda x, g, kind, w: ref.pool_gradient(x, 9 * g, kind, w)}),
    "no root": (Case(Pool("l2", 2), (2, 6, 6)), {"pool": lambda x, kind, w: ref.pool(x, kind, w) ** 2}),
    "one window too few": (
        Case(Pool("max", 2, ceil=True), (2, 5, 5)),
        {"sliding": lambda n, k, s, p, ceil: ref.sliding(n, k, s, p)},
    ),
    "shares that do not overlap": (
        Case(GlobalPool("avg", 2), (2, 5, 5)),
        {"shares": lambda n, m: [[slice(i * a // b, (i + 1) * a // b) for i in range(b)] for a, b in zip(n, m, strict=True)]},
    ),
    "pixels left out": (SMALLER, {"resize": lambda x, size: line(x.shape[2], size[0]) @ x @ line(x.shape[3], size[1]).T}),
    "a gradient resized as an image": (SMALLER, {"resize_gradient": ref.resize}),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_formula_is_told_apart(name: str) -> None:
    case, wrong = WRONG[name]
    assert difference(case) <= CLOSE
    assert difference(case, by=SimpleNamespace(**{**vars(ref), **wrong})) > 0.01


# ---- normalisation


def test_batch_normalisation_in_training() -> None:
    rng = np.random.default_rng(0)
    case = Case(replace(PLAIN, kernel=1, norm="batch"), (2, 4, 5))
    found, weights = normalised(case, x := rng.standard_normal((3, 2, 4, 5)))
    y = ref.convolution(x, weights["conv1.weight"])
    assert np.allclose(found, ref.batch_normalisation(y, weights["bn1.weight"], weights["bn1.bias"]), atol=CLOSE)


def test_local_response_normalisation_with_the_papers_constants() -> None:
    """n = 5 channels, alpha = 1e-4 on each square, beta = 0.75, k = 2 (Krizhevsky et al. 2012, section 3.3)."""
    case = Case(Conv(8, 1, norm="local_response", activation="none"), (2, 4, 5))
    found, weights = normalised(case, x := 30 * np.random.default_rng(0).standard_normal((3, 2, 4, 5)))
    y = ref.convolution(x, weights["conv1.weight"], weights["conv1.bias"])
    assert np.allclose(found, ref.local_response(y, 5, 5 * 1e-4, 0.75, 2.0), atol=CLOSE)
    assert not np.allclose(found, y / 2**0.75, atol=1e-3), "the constants show"


def normalised(case: Case, x: Array) -> tuple[Array, Gradients]:
    """Returns what PyTorch computes while training, and the weights."""
    import torch

    module = network(case).train()
    with torch.no_grad():
        return module(torch.from_numpy(x)).numpy(), {name: p.numpy() for name, p in module.named_parameters()}
