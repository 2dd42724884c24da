"""The formulas of a lecture on convolutional networks, in numpy and float64: what every convolution and pooling is compared with.

Written to be read beside the lecture: each function carries its formula, none is fast, none imports anything of this package.

Letters. `X[n, c, y, x]`: images. `K[o, c, u, v]`: kernels, `o` counts output channels. `b[o]`: offsets. `Y[n, o, i, j]`: output.
`G = dL/dY`: the gradient that comes from above, of the shape of `Y`. `s`: stride, `d`: dilation, `(h, w)`: kernel size; in code
each is a pair (vertical, horizontal). `X~`: `X` with what stands beyond its border. Indices start at 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Pair = tuple[int, int]
Sides = tuple[int, int, int, int]
"""Pixels beyond the border: above, below, left, right."""
Mode = Literal["zeros", "reflect", "replicate", "circular"]


# ---- sizes


def output_size(n: int, k: int, s: int = 1, p: int = 0, d: int = 1, ceil: bool = False) -> int:
    """How many windows there are along an axis: `floor((n + 2p - (d(k - 1) + 1)) / s) + 1`.

    Valid windows have p = 0: `floor((n - k) / s) + 1`, and `n - k + 1` for s = 1. With `ceil`, a last window that is only partly
    filled counts too, unless it would start beyond the input and its padding on the left.
    """
    free = n + 2 * p - (d * (k - 1) + 1)
    size = free // s + 1
    if ceil and free % s and size * s < n + p:
        size += 1
    return size


def same_padding(k: int, d: int = 1) -> Pair:
    """Padding (before, behind) that gives `n` values for stride 1, and `ceil(n / s)` for stride s.

    Together `d(k - 1)`; where that is odd (an even kernel) one more stands behind.
    """
    both = d * (k - 1)
    return both // 2, both - both // 2


def skipped(n: int, k: int, s: int, p: int = 0, d: int = 1) -> int:
    """How many values of the padded input lie behind the last window: `(n + 2p - (d(k - 1) + 1)) mod s`.

    The stride is valid in the lecture's sense when it is 0.
    """
    return (n + 2 * p - (d * (k - 1) + 1)) % s


# ---- what stands beyond the border


def border(n: int, before: int, behind: int, mode: Mode = "zeros") -> NDArray[np.int64]:
    """Which pixel of an axis of `n` stands at each place of the padded axis; -1 where a zero stands.

    At place t in [-before, n + behind):  zeros: t where 0 <= t < n;  replicate: min(max(t, 0), n - 1);
    reflect: |t|, and 2(n - 1) - t behind;  circular: t mod n.
    """
    t = np.arange(-before, n + behind)
    if mode == "zeros":
        return np.where((t >= 0) & (t < n), t, -1)
    if mode == "replicate":
        return np.clip(t, 0, n - 1)
    if mode == "reflect":
        return np.where(t >= n, 2 * (n - 1) - t, np.abs(t))
    return t % n


def pad(x: Array, sides: Sides, mode: Mode = "zeros", value: float = 0.0) -> Array:
    """X~: `X` with `sides` pixels around it; `value` is what zeros are for other purposes (-inf below a maximum)."""
    rows, columns = border(x.shape[2], *sides[:2], mode), border(x.shape[3], *sides[2:], mode)
    padded = x[:, :, rows][:, :, :, columns].copy()
    padded[:, :, rows < 0] = value
    padded[:, :, :, columns < 0] = value
    return padded


def pad_gradient(g: Array, sides: Sides, mode: Mode, size: Pair) -> Array:
    """dL/dX from dL/dX~: each pixel gathers the gradients of all places that it stands at."""
    rows, columns = border(size[0], *sides[:2], mode), border(size[1], *sides[2:], mode)
    found = np.zeros((*g.shape[:2], *size))
    for at, row in enumerate(rows):
        for to, column in enumerate(columns):
            if row >= 0 and column >= 0:
                found[:, :, row, column] += g[:, :, at, to]
    return found


# ---- convolution


def cross_correlation(x: Array, k: Array, stride: Pair = (1, 1), dilation: Pair = (1, 1)) -> Array:
    """What deep learning calls convolution, of an input that is padded already, in one group of channels.

    `Y[n, o, i, j] = sum_c sum_u sum_v X~[n, c, i s + u d, j s + v d] K[o, c, u, v]`
    """
    high = output_size(x.shape[2], k.shape[2], stride[0], 0, dilation[0])
    wide = output_size(x.shape[3], k.shape[3], stride[1], 0, dilation[1])
    y = np.zeros((x.shape[0], k.shape[0], high, wide))
    for u in range(k.shape[2]):
        for v in range(k.shape[3]):
            seen = x[:, :, u * dilation[0] :: stride[0], v * dilation[1] :: stride[1]][:, :, :high, :wide]
            y += np.einsum("ncij,oc->noij", seen, k[:, :, u, v])
    return y


def flipped(k: Array) -> Array:
    """K turned by 180 degrees, input and output channels exchanged: `K'[c, o, u, v] = K[o, c, h - 1 - u, w - 1 - v]`."""
    return k[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)


def full_convolution(g: Array, k: Array, dilation: Pair = (1, 1)) -> Array:
    """Convolution over all places where kernel and input touch: cross-correlation with the flipped kernel, padded to the full.

    `Z[n, c, y, x] = sum_o sum_u sum_v G[n, o, y - u d, x - v d] K[o, c, u, v]`, with `G` zero outside.
    """
    reach = ((k.shape[2] - 1) * dilation[0], (k.shape[3] - 1) * dilation[1])
    return cross_correlation(pad(g, (reach[0], reach[0], reach[1], reach[1])), flipped(k), dilation=dilation)


def spread(g: Array, stride: Pair) -> Array:
    """`G` with `s - 1` zeros between neighbours: what a stride does to a gradient on its way back."""
    found = np.zeros((*g.shape[:2], (g.shape[2] - 1) * stride[0] + 1, (g.shape[3] - 1) * stride[1] + 1))
    found[:, :, :: stride[0], :: stride[1]] = g
    return found


def _grouped(groups: int, *arrays: tuple[Array, int]) -> Iterator[tuple[Array, ...]]:
    """Yields the part of each array that belongs to each group; numbers are the axes along which they are cut."""
    yield from zip(*(np.split(array, groups, axis) for array, axis in arrays), strict=True)


def convolution(
    x: Array, k: Array, b: Array | None = None, *, stride: Pair = (1, 1), sides: Sides = (0, 0, 0, 0), mode: Mode = "zeros",
    dilation: Pair = (1, 1), groups: int = 1,
) -> Array:  # fmt: skip
    """`Y = X~ * K + b`: each group of input channels is cross-correlated with its own kernels."""
    parts = _grouped(groups, (pad(x, sides, mode), 1), (k, 0))
    y = np.concatenate([cross_correlation(xg, kg, stride, dilation) for xg, kg in parts], axis=1)
    return y if b is None else y + b[None, :, None, None]


def kernel_gradient(
    x: Array, g: Array, size: Pair, *, stride: Pair = (1, 1), sides: Sides = (0, 0, 0, 0), mode: Mode = "zeros",
    dilation: Pair = (1, 1), groups: int = 1,
) -> Array:  # fmt: skip
    """dL/dK is the cross-correlation of the input with the gradient from above; stride and dilation exchange their parts.

    `dL/dK[o, c, u, v] = sum_n sum_i sum_j G[n, o, i, j] X~[n, c, i s + u d, j s + v d]`
    """
    found = []
    for xg, gg in _grouped(groups, (pad(x, sides, mode), 1), (g, 1)):
        both = cross_correlation(xg.transpose(1, 0, 2, 3), gg.transpose(1, 0, 2, 3), dilation, stride)  # (c, o, u, v)
        found.append(both[:, :, : size[0], : size[1]].transpose(1, 0, 2, 3))  # skipped pixels make it larger
    return np.concatenate(found)


def input_gradient(
    g: Array, k: Array, size: Pair, *, stride: Pair = (1, 1), sides: Sides = (0, 0, 0, 0), mode: Mode = "zeros",
    dilation: Pair = (1, 1), groups: int = 1,
) -> Array:  # fmt: skip
    """dL/dX is the full convolution of the gradient from above, spread by the stride, with the kernel.

    `dL/dX~[n, c, y, x] = sum_o sum_u sum_v G^[n, o, y - u d, x - v d] K[o, c, u, v]`, `G^[.., i s, j s] = G[.., i, j]`
    """
    full = np.zeros((g.shape[0], k.shape[1] * groups, size[0] + sides[0] + sides[1], size[1] + sides[2] + sides[3]))
    found = np.concatenate([full_convolution(spread(gg, stride), kg, dilation) for gg, kg in _grouped(groups, (g, 1), (k, 0))], 1)
    full[:, :, : found.shape[2], : found.shape[3]] = found  # pixels behind the last window have no part in the loss
    return pad_gradient(full, sides, mode, size)


def bias_gradient(g: Array) -> Array:
    """`dL/db[o] = sum_n sum_i sum_j G[n, o, i, j]`"""
    return np.asarray(g.sum((0, 2, 3)))


# ---- convolution as one matrix product


def columns(x: Array, size: Pair, stride: Pair = (1, 1), dilation: Pair = (1, 1)) -> Array:
    """im2col: one column a window, one row a kernel weight, of an input that is padded already.

    `M[n, (c h + u) w + v, i W' + j] = X~[n, c, i s + u d, j s + v d]`, W' windows in a row
    """
    high = output_size(x.shape[2], size[0], stride[0], 0, dilation[0])
    wide = output_size(x.shape[3], size[1], stride[1], 0, dilation[1])
    rows = [
        x[:, c, u * dilation[0] :: stride[0], v * dilation[1] :: stride[1]][:, :high, :wide].reshape(x.shape[0], -1)
        for c in range(x.shape[1])
        for u in range(size[0])
        for v in range(size[1])
    ]
    return np.stack(rows, 1)


def columns_gradient(m: Array, shape: tuple[int, ...], size: Pair, stride: Pair = (1, 1), dilation: Pair = (1, 1)) -> Array:
    """col2im: each pixel of X~ gathers the gradients of all entries of `columns` that it was copied to."""
    found = np.zeros(shape)
    wide = output_size(shape[3], size[1], stride[1], 0, dilation[1])
    for row in range(m.shape[1]):
        c, u, v = row // (size[0] * size[1]), row // size[1] % size[0], row % size[1]
        for window in range(m.shape[2]):
            i, j = window // wide, window % wide
            found[:, c, i * stride[0] + u * dilation[0], j * stride[1] + v * dilation[1]] += m[:, row, window]
    return found


def matrix_convolution(x: Array, k: Array, stride: Pair = (1, 1), dilation: Pair = (1, 1)) -> Array:
    """`Y = K M`: kernels as rows times windows as columns; the same as `cross_correlation`."""
    size = (k.shape[2], k.shape[3])
    y = k.reshape(k.shape[0], -1) @ columns(x, size, stride, dilation)
    return np.asarray(y.reshape(x.shape[0], k.shape[0], output_size(x.shape[2], size[0], stride[0], 0, dilation[0]), -1))


def matrix_gradients(x: Array, k: Array, g: Array, stride: Pair = (1, 1), dilation: Pair = (1, 1)) -> tuple[Array, Array]:
    """(dL/dX~, dL/dK) of the matrix product: `dL/dK = sum_n G M^T`, `dL/dM = K^T G`."""
    size, flat = (k.shape[2], k.shape[3]), g.reshape(*g.shape[:2], -1)
    m = columns(x, size, stride, dilation)
    to_k = (flat @ m.transpose(0, 2, 1)).sum(0).reshape(k.shape)
    return columns_gradient(k.reshape(k.shape[0], -1).T @ flat, x.shape, size, stride, dilation), to_k


# ---- pooling


Windows = list[list[slice]]
"""The real pixels of each window: rows of each output row, columns of each output column."""


def sliding(size: Pair, kernel: Pair, stride: Pair, sides: Sides = (0, 0, 0, 0), ceil: bool = False) -> Windows:
    """Window i of an axis holds pixels `i s - p` to `i s - p + k - 1`, as far as there are any; sizes as in `output_size`."""
    found: Windows = []
    for axis, n in enumerate(size):
        before, behind, k, s = sides[2 * axis], sides[2 * axis + 1], kernel[axis], stride[axis]
        full = n + before + behind - k
        starts = list(range(-before, full + 1 - before, s))
        if ceil and full % s and starts[-1] + s < n:
            starts.append(starts[-1] + s)
        found.append([slice(max(0, start), min(n, max(0, start + k))) for start in starts])
    return found


def shares(size: Pair, to: Pair) -> Windows:
    """Pooling to a given size: output i of m holds pixels `floor(i n / m)` to `ceil((i + 1) n / m) - 1`; global for m = 1."""
    return [[slice(i * n // m, -(-(i + 1) * n // m)) for i in range(m)] for n, m in zip(size, to, strict=True)]


def pool(x: Array, kind: str, windows: Windows) -> Array:
    """Pooling of each channel by itself, over the real pixels R of each window.

    max: `max_R X`;  avg: `(1 / |R|) sum_R X` (padding is not counted);  l2: `sqrt(sum_R X^2)`
    """
    rows, cols = windows
    y = np.zeros((*x.shape[:2], len(rows), len(cols)))
    for i, row in enumerate(rows):
        for j, column in enumerate(cols):
            r = x[:, :, row, column]
            if kind == "max":
                y[:, :, i, j] = r.max((2, 3))
            elif kind == "avg":
                y[:, :, i, j] = r.mean((2, 3))
            else:
                y[:, :, i, j] = np.sqrt((r**2).sum((2, 3)))
    return y


def pool_gradient(x: Array, g: Array, kind: str, windows: Windows) -> Array:
    """dL/dX: what each window gives back to its real pixels R, summed where windows overlap.

    max: `G` to the first largest pixel, row by row;  avg: `G / |R|` to each;  l2: `G X / Y` (0 where Y is 0)
    """
    found = np.zeros_like(x)
    rows, cols = windows
    y = pool(x, kind, windows)
    for i, row in enumerate(rows):
        for j, column in enumerate(cols):
            r, above, out = x[:, :, row, column], g[:, :, i, j, None, None], y[:, :, i, j, None, None]
            if kind == "max":
                first = r.reshape(*r.shape[:2], -1).argmax(2)
                here = np.arange(r.shape[2] * r.shape[3]) == first[:, :, None]
                found[:, :, row, column] += above * here.reshape(r.shape)
            elif kind == "avg":
                found[:, :, row, column] += above / (r.shape[2] * r.shape[3])
            else:
                found[:, :, row, column] += above * np.divide(r, out, out=np.zeros_like(r), where=out > 0)
    return found


# ---- images at another size


def triangle(n: int, m: int) -> Array:
    """`W[i, j]`, `(m, n)`: what pixel j weighs in pixel i of an axis that goes from n to m pixels.

    The middle of output i lies at `c = (i + 1/2) n / m`, that of pixel j at `j + 1/2`. With `r = max(1, n / m)`:
    `w[i, j] = max(0, 1 - |j + 1/2 - c| / r)`, and `W[i, j] = w[i, j] / sum_j w[i, j]` over the pixels that there are.
    """
    middle = (np.arange(m)[:, None] + 0.5) * n / m
    weights = np.maximum(0.0, 1 - np.abs(np.arange(n) + 0.5 - middle) / max(1.0, n / m))
    return np.asarray(weights / weights.sum(1, keepdims=True))


def resize(x: Array, size: Pair) -> Array:
    """`Y = V X W^T` of each channel, V for the rows and W for the columns."""
    return np.asarray(triangle(x.shape[2], size[0]) @ x @ triangle(x.shape[3], size[1]).T)


def resize_gradient(g: Array, size: Pair) -> Array:
    """`dL/dX = V^T G W`; `size`: of X."""
    return np.asarray(triangle(size[0], g.shape[2]).T @ g @ triangle(size[1], g.shape[3]))


# ---- normalisation


def local_response(x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    """`Y[c] = X[c] / (k + (alpha / size) sum_{c'} X[c']^2)^beta`, c' from `c - floor(size / 2)`, `size` channels, as far as there are.

    Krizhevsky et al. 2012, section 3.3, writes alpha for what is alpha / size here.
    """
    found = np.empty_like(x)
    for c in range(x.shape[1]):
        near = x[:, max(0, c - size // 2) : max(0, c - size // 2 + size)]
        found[:, c] = x[:, c] / (k + alpha / size * (near**2).sum(1)) ** beta
    return found


def batch_normalisation(x: Array, gamma: Array, beta: Array, epsilon: float = 1e-5) -> Array:
    """`Y = gamma (X - mean) / sqrt(variance + epsilon) + beta`, mean and (biased) variance over images and pixels of a channel."""
    mean, variance = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    return np.asarray(gamma[None, :, None, None] * (x - mean) / np.sqrt(variance + epsilon) + beta[None, :, None, None])
