"""Loops over the values of feature maps, compiled by Numba: every value is read and written once a pass, by vector instructions.

Arrays of values are flat, in the order (N, H, W, C): channels last. They are float32, or uint16 for bfloat16, which NumPy does not
know: the upper half of a float32. Arithmetic is in float32, long sums in float64. PyTorch's own kernels loop over the channels
innermost, which takes longest where there are few; here what belongs to channels (scale, mean) is tiled, channel by channel again
and again, so that the innermost loop is long.

Compiled code is kept beside this file, or in the user's cache folder where that cannot be written to.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import float32, float64, int64, njit, types, uint16, void
from numba.extending import intrinsic

_ROW = 1024
"""Values of a tiled row, about."""
_CHUNK = 128
"""Rows that are summed in float32 before the sum is added to one in float64."""
_INT, _FLOAT = ir.IntType(32), ir.FloatType()


@intrinsic
def _load(typing: Any, value: Any) -> Any:
    """Returns a stored value as float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if value == types.float32:
            return arguments[0]
        return builder.bitcast(builder.shl(builder.zext(arguments[0], _INT), ir.Constant(_INT, 16)), _FLOAT)

    return types.float32(value), generate


@intrinsic
def _store(typing: Any, array: Any, value: Any) -> Any:
    """Returns a float32 as an array stores it; bfloat16 is rounded to the nearest, to the even one of two."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if array.dtype == types.float32:
            return arguments[1]
        bits = builder.bitcast(arguments[1], _INT)
        odd = builder.and_(builder.lshr(bits, ir.Constant(_INT, 16)), ir.Constant(_INT, 1))
        rounded = builder.add(builder.add(bits, ir.Constant(_INT, 0x7FFF)), odd)
        return builder.trunc(builder.lshr(rounded, ir.Constant(_INT, 16)), ir.IntType(16))

    return array.dtype(array, types.float32), generate


def _compiled(*kinds: str, formats: tuple[Any, ...] = (uint16,)) -> Any:
    """Compiles a function for bfloat16, or for formats given; kinds of its arguments: "values", "channels", "number", "size"."""

    def signature(values: Any) -> Any:
        known = {"values": values[::1], "channels": float32[::1], "number": float64, "size": int64}
        return void(*(known[kind] for kind in kinds))

    return njit([signature(values) for values in formats], cache=True, error_model="numpy", fastmath={"contract"})


_BOTH = (uint16, float32)
"""Of what is quicker in float32, too."""


@njit(cache=True)
def _tiled(values: Any) -> Any:
    """Returns one value a channel, again and again."""
    row = np.empty(len(values) * -(-_ROW // len(values)), np.float32)
    for i in range(len(row)):
        row[i] = values[i % len(values)]
    return row


@njit(cache=True)
def _folded(row: Any, into: Any) -> None:
    """Adds a tiled row up, channel by channel."""
    for i in range(len(row)):
        into[i % len(into)] += row[i]


@_compiled("values", "channels", "channels", "number", "number", "values", "channels", "channels", "channels", formats=_BOTH)
def batch_norm(x: Any, weight: Any, bias: Any, eps: float, floor: float, y: Any, mean: Any, variance: Any, inverse: Any) -> None:
    """Writes `x`, normalised over the batch, times `weight` plus `bias`, and not below `floor`, into `y`; and mean, variance and
    1 / deviation of each channel."""
    channels, count = len(weight), len(x) // len(weight)
    for j in range(channels):
        mean[j] = _load(x[j])  # of values less something close to their mean, squares lose no digits
    pivot = _tiled(mean)
    width = len(pivot)
    some, more = np.zeros(width, np.float32), np.zeros(width, np.float32)
    total, squares = np.zeros(channels), np.zeros(channels)
    for begin in range(0, len(x), _CHUNK * width):
        some[:] = 0
        more[:] = 0
        for at in range(begin, min(begin + _CHUNK * width, len(x)), width):
            row = x[at : at + width]
            for j in range(len(row)):
                value = _load(row[j]) - pivot[j]
                some[j] += value
                more[j] += value * value
        _folded(some, total)
        _folded(more, squares)
    scale, shift = np.empty(channels, np.float32), np.empty(channels, np.float32)
    for j in range(channels):
        offset = total[j] / count
        mean[j] += offset
        variance[j] = max(squares[j] / count - offset * offset, 0.0)
        inverse[j] = 1 / np.sqrt(variance[j] + eps)
        scale[j] = weight[j] * inverse[j]
        shift[j] = bias[j] - mean[j] * scale[j]
    scales, shifts, least = _tiled(scale), _tiled(shift), np.float32(floor)
    for at in range(0, len(x), width):
        row, into = x[at : at + width], y[at : at + width]
        for j in range(len(row)):
            value = _load(row[j]) * scales[j] + shifts[j]
            into[j] = _store(into, least if value <= least else value)


@_compiled(
    "values", "values", "values", "number", "channels", "channels", "channels", "values", "channels", "channels", formats=_BOTH
)
def batch_norm_gradient(
    gradient: Any, x: Any, y: Any, floor: float, weight: Any, mean: Any, inverse: Any, out: Any, of_weight: Any, of_bias: Any
) -> None:
    """Writes the gradients of `x` (into `out`), weight and bias of `batch_norm`; nothing comes from where `y` is at `floor`."""
    channels, count = len(weight), len(x) // len(weight)
    means, least, zero = _tiled(mean), np.float32(floor), np.float32(0)
    width = len(means)
    some, more = np.zeros(width, np.float32), np.zeros(width, np.float32)
    total, products = np.zeros(channels), np.zeros(channels)
    for begin in range(0, len(x), _CHUNK * width):
        some[:] = 0
        more[:] = 0
        for at in range(begin, min(begin + _CHUNK * width, len(x)), width):
            row, gradients, results = x[at : at + width], gradient[at : at + width], y[at : at + width]
            for j in range(len(row)):
                value = _load(gradients[j]) if _load(results[j]) > least else zero
                some[j] += value
                more[j] += value * (_load(row[j]) - means[j])
        _folded(some, total)
        _folded(more, products)
    # weight / deviation * (gradient - mean gradient - normalised x * mean of gradient * normalised x), as a * gradient + b * x + c
    a, b, c = np.empty(channels, np.float32), np.empty(channels, np.float32), np.empty(channels, np.float32)
    for j in range(channels):
        of_weight[j] = products[j] * inverse[j]
        of_bias[j] = total[j]
        a[j] = weight[j] * inverse[j]
        b[j] = -a[j] * inverse[j] * inverse[j] * products[j] / count
        c[j] = -a[j] * total[j] / count - b[j] * mean[j]
    slopes, tilts, shifts = _tiled(a), _tiled(b), _tiled(c)
    for at in range(0, len(x), width):
        row, gradients, results, into = x[at : at + width], gradient[at : at + width], y[at : at + width], out[at : at + width]
        for j in range(len(row)):
            value = _load(gradients[j]) if _load(results[j]) > least else zero
            into[j] = _store(into, value * slopes[j] + _load(row[j]) * tilts[j] + shifts[j])


@_compiled("values", "values")
def relu(x: Any, y: Any) -> None:
    """Writes `max(x, 0)` into `y`; what is no number stays so."""
    zero = np.float32(0)
    for i in range(len(x)):
        y[i] = 0 if _load(x[i]) <= zero else x[i]


@_compiled("values", "values", "values")
def relu_gradient(gradient: Any, y: Any, out: Any) -> None:
    """Writes the gradient into `out` where `y` is above 0, else 0."""
    zero = np.float32(0)
    for i in range(len(y)):
        out[i] = gradient[i] if _load(y[i]) > zero else 0


_WINDOWS = ("size",) * 10
"""Height, width and channels of the input; kernel, stride and padding, each down and across; images. Windows never end outside of
the padded input, and each covers some of the input itself."""
_MAX_WINDOWS = ("size",) * 9
"""Likewise, without the stride across: windows of maxima lie one column apart."""

# Pooling goes across first and down afterwards. Across, columns stand `padding` values apart from the edges of their rows; where
# windows are one apart, a whole row is one run of values, else each window's channels are one.


@njit(cache=True)
def _runs(ow: int, sw: int, c: int) -> tuple[int, int]:
    """Returns how many runs a row of windows has, and how many values each."""
    return (1, ow * c) if sw == 1 else (ow, c)


@njit(cache=True)
def _padded(x: Any, rows: Any, length: int, padding: int) -> None:
    """Writes the rows of the image with which `x` begins between their paddings."""
    for r in range(len(rows)):
        stored, inside = x[r * length :][:length], rows[r, padding:]
        for j in range(len(stored)):
            inside[j] = _load(stored[j])


@njit(cache=True)
def _across(rows: Any, best: Any, c: int, kw: int) -> None:
    """Writes into `best`, (h, ow * c), the maxima of windows that lie one apart across padded rows."""
    for r in range(len(rows)):
        into = best[r]
        into[:] = rows[r, : len(into)]
        for d in range(1, kw):
            other = rows[r, d * c :][: len(into)]
            for j in range(len(into)):
                value, held = other[j], into[j]
                into[j] = held if held >= value or held != held else value


@_compiled("values", "values", *_MAX_WINDOWS)
def max_pool(x: Any, y: Any, h: int, w: int, c: int, kh: int, kw: int, sh: int, ph: int, pw: int, images: int) -> None:
    """Writes the maximum of each window into `y`; of one with a value that is no number, none."""
    oh, ow = (h + 2 * ph - kh) // sh + 1, w + 2 * pw - kw + 1
    rows, best = np.full((h, (w + 2 * pw) * c), -np.inf, np.float32), np.empty((h, ow * c), np.float32)
    total = np.empty(ow * c, np.float32)
    for image in range(images):
        _padded(x[image * h * w * c :], rows, w * c, pw * c)
        _across(rows, best, c, kw)
        for i in range(oh):
            total[:] = -np.inf
            for r in range(max(i * sh - ph, 0), min(i * sh - ph + kh, h)):
                other = best[r]
                for j in range(len(total)):
                    value, held = other[j], total[j]
                    total[j] = held if held >= value or held != held else value
            into = y[(image * oh + i) * ow * c :][: ow * c]
            for j in range(len(total)):
                into[j] = _store(into, total[j])


@_compiled("values", "values", "values", "values", *_MAX_WINDOWS)
def max_pool_gradient(
    gradient: Any, x: Any, y: Any, out: Any, h: int, w: int, c: int, kh: int, kw: int, sh: int, ph: int, pw: int, images: int
) -> None:
    """Writes the gradient of `x` into `out`: that of a window goes to the first of its values, row by row, that is the maximum."""
    oh, ow = (h + 2 * ph - kh) // sh + 1, w + 2 * pw - kw + 1
    rows, best = np.full((h, (w + 2 * pw) * c), -np.inf, np.float32), np.empty((h, ow * c), np.float32)
    found, of_best = np.empty_like(rows), np.empty_like(best)
    passed = np.empty(ow * c, np.float32)
    zero = np.float32(0)
    for image in range(images):
        found[:] = 0
        of_best[:] = 0
        _padded(x[image * h * w * c :], rows, w * c, pw * c)
        _across(rows, best, c, kw)
        for i in range(oh):
            begin = (image * oh + i) * ow * c
            maxima, gradients = y[begin : begin + ow * c], gradient[begin : begin + ow * c]
            for j in range(len(passed)):
                passed[j] = _load(gradients[j])
            for r in range(max(i * sh - ph, 0), min(i * sh - ph + kh, h)):
                held, taken = best[r], of_best[r]
                for j in range(len(passed)):
                    hit = held[j] == _load(maxima[j])
                    taken[j] += passed[j] if hit else zero
                    passed[j] = zero if hit else passed[j]
        for r in range(h):
            left, held = of_best[r], best[r]
            for d in range(kw):
                values, taken = rows[r, d * c :][: len(left)], found[r, d * c :][: len(left)]
                for j in range(len(left)):
                    hit = values[j] == held[j]
                    taken[j] += left[j] if hit else zero
                    left[j] = zero if hit else left[j]
            into, inside = out[(image * h + r) * w * c :][: w * c], found[r, pw * c :]
            for j in range(len(into)):
                into[j] = _store(into, inside[j])


@njit(cache=True)
def _share(rows: int, k: int, w: int, kw: int, sw: int, pw: int) -> Any:
    """Returns what each value counts in the mean of the window number `k`, which covers so many rows of the image."""
    return np.float32(1) / np.float32(rows * (min(k * sw - pw + kw, w) - max(k * sw - pw, 0)))


@_compiled("values", "values", *_WINDOWS)
def avg_pool(x: Any, y: Any, h: int, w: int, c: int, kh: int, kw: int, sh: int, sw: int, ph: int, pw: int, images: int) -> None:
    """Writes the mean of each window into `y`; padding counts for nothing."""
    oh, ow = (h + 2 * ph - kh) // sh + 1, (w + 2 * pw - kw) // sw + 1
    row, total = np.zeros((w + 2 * pw) * c, np.float32), np.empty(ow * c, np.float32)
    inside = row[pw * c : (pw + w) * c]
    runs, length = _runs(ow, sw, c)
    for image in range(images):
        for i in range(oh):
            inside[:] = 0
            top, bottom = max(i * sh - ph, 0), min(i * sh - ph + kh, h)
            for r in range(top, bottom):
                stored = x[(image * h + r) * w * c :][: w * c]
                for j in range(len(stored)):
                    inside[j] += _load(stored[j])
            total[:] = 0
            for run in range(runs):
                into = total[run * c :][:length]
                for d in range(kw):
                    other = row[(run * sw + d) * c :][:length]
                    for j in range(len(into)):
                        into[j] += other[j]
            for k in range(ow):
                share = _share(bottom - top, k, w, kw, sw, pw)
                into, of = y[((image * oh + i) * ow + k) * c :][:c], total[k * c :][:c]
                for j in range(len(of)):
                    into[j] = _store(into, of[j] * share)


@_compiled("values", "values", *_WINDOWS)
def avg_pool_gradient(
    gradient: Any, out: Any, h: int, w: int, c: int, kh: int, kw: int, sh: int, sw: int, ph: int, pw: int, images: int
) -> None:
    """Writes the gradient of what was averaged into `out`."""
    oh, ow = (h + 2 * ph - kh) // sh + 1, (w + 2 * pw - kw) // sw + 1
    found, row = np.empty((h, w * c), np.float32), np.empty((w + 2 * pw) * c, np.float32)
    shares, inside = np.empty(ow * c, np.float32), row[pw * c : (pw + w) * c]
    runs, length = _runs(ow, sw, c)
    for image in range(images):
        found[:] = 0
        for i in range(oh):
            top, bottom = max(i * sh - ph, 0), min(i * sh - ph + kh, h)
            for k in range(ow):
                share = _share(bottom - top, k, w, kw, sw, pw)
                into, gradients = shares[k * c :][:c], gradient[((image * oh + i) * ow + k) * c :][:c]
                for j in range(len(gradients)):
                    into[j] = _load(gradients[j]) * share
            row[:] = 0
            for run in range(runs):
                of = shares[run * c :][:length]
                for d in range(kw):
                    taken = row[(run * sw + d) * c :][:length]
                    for j in range(len(of)):
                        taken[j] += of[j]
            for r in range(top, bottom):
                taken = found[r]
                for j in range(len(taken)):
                    taken[j] += inside[j]
        for r in range(h):
            into, of = out[(image * h + r) * w * c :][: w * c], found[r]
            for j in range(len(into)):
                into[j] = _store(into, of[j])
