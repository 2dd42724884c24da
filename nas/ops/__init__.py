"""Primitive operations: what graphs consist of, and what a block of one's own may put into them."""

from __future__ import annotations

from nas.ops.base import Facts, Op, Pair, Shape, Window
from nas.ops.layers import ACTIVATIONS, Activation, BatchNorm, Conv2d, Dropout, Linear, LocalResponseNorm
from nas.ops.pooling import AdaptivePool2d, Pool2d
from nas.ops.recorded import RecordedOp
from nas.ops.resizing import Resize2d
from nas.ops.wiring import Add, Concat, Crop, Flatten, Identity, Input, Multiply, Pad, Subsample, Zero

OPS: dict[str, type[Op]] = {
    op.__name__: op
    for op in (
        Input, Identity, Zero, Conv2d, Linear, BatchNorm, LocalResponseNorm, Activation, Dropout, Pool2d, AdaptivePool2d,
        Flatten, Add, Multiply, Concat, Subsample, Pad, Crop, Resize2d,
    )
}  # fmt: skip
"""Every operation that a graph's JSON can name; others are kept as `RecordedOp`."""

__all__ = [
    "ACTIVATIONS", "OPS", "Activation", "AdaptivePool2d", "Add", "BatchNorm", "Concat", "Conv2d", "Crop", "Dropout", "Facts",
    "Flatten", "Identity", "Input", "Linear", "LocalResponseNorm", "Multiply", "Op", "Pad", "Pair", "Pool2d", "RecordedOp",
    "Resize2d", "Shape", "Subsample", "Window", "Zero",
]  # fmt: skip
