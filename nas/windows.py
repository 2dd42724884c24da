"""What windows do at the border: plans a convolution or a pooling, with what stands around it, for an input of known shape.

A window misfits when a real pixel lies beyond the last window, `(out - 1) * stride - padding + span - 1 < n - 1`, for kernels
at least as large as the stride (a 1x1 convolution of stride 2 leaves pixels out by intent). The border rule says what then.
Plans are remembered: a search asks for the same ones again and again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from nas.errors import BlockError, did_you_mean
from nas.ops import ACTIVATIONS, Activation, BatchNorm, Conv2d, Dropout, LocalResponseNorm, Op, Pad, Pair, Pool2d, Shape
from nas.ops.base import PADDING_MODES, out_size, span
from nas.ops.pooling import POOLS

Border = Literal["error", "warn", "floor", "pad"]
Size = int | tuple[int, int]
Padding = int | tuple[int, int] | Literal["same", "valid"]

NORMS = ("none", "batch", "local_response")


def pair(size: Size) -> Pair:
    """Returns (vertical, horizontal) for one number or two.

    Raises:
        BlockError: When it is neither.
    """
    if type(size) is int:
        return (size, size)
    if isinstance(size, tuple) and len(size) == 2 and all(type(s) is int for s in size):
        return size
    raise BlockError(f"got size {size!r}, expected a whole number or a pair (vertical, horizontal)")


_INTERNED: dict[Op, Op] = {}


def interned(op: Op) -> Op:
    """Returns one object for equal operations: it remembers what it costs for which shapes."""
    if len(_INTERNED) > 100_000:
        _INTERNED.clear()
    return _INTERNED.setdefault(op, op)


def check_known(kind: str, name: object, known: Sequence[str]) -> None:
    """Passes a name that is among those known.

    Raises:
        BlockError: When it is not; names the nearest.
    """
    if name not in known:
        raise BlockError(f"unknown {kind} {name!r}{did_you_mean(str(name), known)}")


def norm_ops(kind: str) -> tuple[Op, ...]:
    """Returns the operations of a normalisation by name; none for "none".

    Raises:
        BlockError: When the name is not known.
    """
    check_known("norm", kind, NORMS)
    if kind == "none":
        return ()
    return (interned(BatchNorm() if kind == "batch" else LocalResponseNorm()),)


def activation_ops(kind: str) -> tuple[Op, ...]:
    """Returns the operations of an activation by name; none for "none".

    Raises:
        BlockError: When the name is not known.
    """
    check_known("activation", kind, (*ACTIVATIONS, "none"))
    return () if kind == "none" else (interned(Activation(kind)),)


def dropout_ops(share: float) -> tuple[Op, ...]:
    """Returns the operations of a dropout; none for a share of 0.

    Raises:
        BlockError: When the share is none.
    """
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
        raise BlockError(f"dropout is {share!r}, expected a share from 0 to below 1")
    return (interned(Dropout(float(share))),) if share else ()


def _positive(name: str, sizes: Pair) -> Pair:
    if min(sizes) < 1:
        raise BlockError(f"{name} is {sizes}, expected at least 1 along both axes")
    return sizes


def _padding(shape: Shape, kernel: Pair, stride: Pair, dilation: Pair, padding: Padding) -> tuple[Pair, Pair]:
    """Returns padding on each side, and what is to be padded below and on the right beyond that."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding != "same":
        if isinstance(padding, str):
            raise BlockError(f"padding is {padding!r}, expected a number, a pair, 'same' or 'valid'")
        sides = pair(padding)
        if min(sides) < 0:
            raise BlockError(f"padding is {sides}, expected at least 0 along both axes")
        return sides, (0, 0)
    reach = (span(kernel[0], dilation[0]), span(kernel[1], dilation[1]))
    return ((reach[0] - 1) // 2, (reach[1] - 1) // 2), ((reach[0] - 1) % 2, (reach[1] - 1) % 2)


def _left_over(sides: Pair, more: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Pair:
    """Returns how many real pixels lie beyond the last window, along both axes; `more` are zeros below and on the right."""
    left = []
    for n, extra, k, s, p, d in zip(sides, more, kernel, stride, padding, dilation, strict=True):
        out = out_size(n + extra, k, s, p, d)
        last = (out - 1) * s - p + span(k, d) - 1
        left.append(max(0, n - 1 - last) if k >= s and out > 0 else 0)  # no window at all is another error
    return (left[0], left[1])


def _misfit(what: str, sides: Pair, left: Pair, border: Border) -> str:
    text = f"{what} on {sides[0]} x {sides[1]} pixels leaves {left[0]} row(s) and {left[1]} column(s) over"
    if border == "error":
        raise BlockError(f"{text}; change size, stride or padding, or give the space border='floor' (leave them out) or 'pad'")
    return text if border == "warn" else ""


@lru_cache(100_000, typed=True)
def conv_plan(
    shape: Shape, channels: int, kernel: Size, stride: Size, padding: Padding, dilation: Size, groups: int | str, bias: bool | None,
    padding_mode: str, norm: str, activation: str, dropout: float, border: Border,
) -> tuple[tuple[Op, ...], str]:  # fmt: skip
    """Returns the operations of a convolution on an input of this shape, and what is to be noted about its windows.

    The arguments are those of `GraphBuilder.conv`.

    Raises:
        BlockError: When it cannot be applied.
    """
    if type(channels) is not int or channels < 1:
        raise BlockError(f"channels is {channels!r}, expected a whole number of at least 1")
    if len(shape) != 3:
        raise BlockError(f"convolution needs an input (channels, height, width), got {shape}; put it before the classifier")
    check_known("padding_mode", padding_mode, PADDING_MODES)
    k, s, d = _positive("kernel", pair(kernel)), _positive("stride", pair(stride)), _positive("dilation", pair(dilation))
    number = shape[0] if groups == "depthwise" else groups
    if type(number) is not int or number < 1:
        raise BlockError(f"groups is {groups!r}, expected a whole number of at least 1 or 'depthwise'")
    p, more = _padding(shape, k, s, d, padding)
    ops: list[Op] = []
    sides, note = (shape[1], shape[2]), ""
    left = _left_over(sides, more, k, s, p, d) if s != (1, 1) else (0, 0)
    if any(left):
        note = _misfit(f"convolution with kernel {kernel}, stride {stride}, padding {padding}", sides, left, border)
        if border == "pad":
            missing = [s[i] - (sides[i] + more[i] + 2 * p[i] - span(k[i], d[i])) % s[i] if left[i] else 0 for i in (0, 1)]
            more = (more[0] + missing[0], more[1] + missing[1])
    if any(more) and padding_mode == "zeros":
        ops.append(interned(Pad((0, more[1], 0, more[0]))))
    elif any(more):  # all sides at once: what lies beyond one side is read from the image itself
        ops.append(interned(Pad((p[1], p[1] + more[1], p[0], p[0] + more[0]), 0, padding_mode)))
        p, padding_mode = (0, 0), "zeros"
    with_bias = norm != "batch" if bias is None else bool(bias)
    ops.append(interned(Conv2d(channels, k, s, p, d, number, with_bias, padding_mode)))
    ops += [*norm_ops(norm), *activation_ops(activation), *dropout_ops(dropout)]
    return tuple(ops), note


@lru_cache(100_000, typed=True)
def pool_plan(
    shape: Shape, kind: str, kernel: Size, stride: Size, padding: Padding, ceil: bool, border: Border
) -> tuple[tuple[Op, ...], str]:
    """Returns the operations of a pooling on an input of this shape, and what is to be noted about its windows.

    The arguments are those of `GraphBuilder.pool`.

    Raises:
        BlockError: When it cannot be applied.
    """
    check_known("pooling", kind, POOLS)
    if len(shape) != 3:
        raise BlockError(f"pooling needs an input (channels, height, width), got {shape}; put it before the classifier")
    k, s = _positive("kernel", pair(kernel)), _positive("stride", pair(stride))
    p, more = _padding(shape, k, s, (1, 1), padding)
    sides, note = (shape[1], shape[2]), ""
    if s != (1, 1) and not ceil:
        left = _left_over(sides, more, k, s, p, (1, 1))
        if any(left):
            note = _misfit(f"{kind} pooling with kernel {kernel}, stride {stride}, padding {padding}", sides, left, border)
            ceil = border == "pad"
    ops: tuple[Op, ...] = ()
    if any(more):
        ops, ceil = _even_same(kind, sides, k, s, p, more, ceil)
    return (*ops, interned(Pool2d(kind, k, s, p, ceil))), note


def _even_same(
    kind: str, sides: Pair, kernel: Pair, stride: Pair, padding: Pair, more: Pair, ceil: bool
) -> tuple[tuple[Op, ...], bool]:
    """Returns what stands before a pooling with an even kernel and padding "same", and whether it keeps a partly filled window.

    One more row or column below or on the right must not count: it lies beyond the image. As a rule the last window is only
    partly filled; where it has to be full, pixels are put there that change nothing.

    Raises:
        BlockError: When there are no such pixels.
    """
    axes = tuple(zip(sides, kernel, stride, padding, more, strict=True))
    wanted = [out_size(n + m, k, s, p, ceil=ceil) for n, k, s, p, m in axes]
    fits = all(n + 2 * p >= k for n, k, _, p, _ in axes)
    for last in (ceil, not ceil):
        if fits and [out_size(n, k, s, p, ceil=last) for n, k, s, p, _ in axes] == wanted:
            return (), last
    if any((size - 1) * s - p >= n for size, (n, _, s, p, _) in zip(wanted, axes, strict=True)):
        raise BlockError(f"{kind} pooling with padding='same' and ceil=True gets a window without a pixel; leave ceil out")
    if kind == "avg" and any(m and k > 2 for _, k, _, _, m in axes):
        raise BlockError(
            f"avg pooling with kernel {kernel}, stride {stride} cannot keep the image's size without counting what lies beyond it; "
            "use an odd kernel, or a number as padding"
        )
    return (interned(Pad((0, more[1], 0, more[0]), 0, "zeros" if kind == "l2" else "replicate")),), ceil
