"""Blocks: what search spaces are written with."""

from __future__ import annotations

from nas.blocks.base import Block
from nas.blocks.classifier import Classifier
from nas.blocks.convolution import Conv, GlobalPool, InvertedResidual, Pool, SeparableConv, SqueezeExcite
from nas.blocks.inception import Inception
from nas.blocks.norm import Norm
from nas.blocks.residual import Residual
from nas.blocks.structure import Maybe, OneOf, Parallel, Repeat, Sequential, Shared, shared
from nas.builder import GraphBuilder, Node
from nas.errors import BlockError
from nas.ops import Op

BLOCKS: dict[str, type[Block]] = {
    block.__name__: block
    for block in (
        Classifier, Conv, GlobalPool, Inception, InvertedResidual, Maybe, Norm, OneOf, Parallel, Pool, Repeat, Residual,
        SeparableConv, Sequential, Shared, SqueezeExcite,
    )
}  # fmt: skip
"""Every block by the name that JSON calls it."""

__all__ = [
    "BLOCKS", "Block", "BlockError", "Classifier", "Conv", "GlobalPool", "GraphBuilder", "Inception", "InvertedResidual", "Maybe",
    "Node", "Norm", "OneOf", "Op", "Parallel", "Pool", "Repeat", "Residual", "SeparableConv", "Sequential", "Shared",
    "SqueezeExcite", "shared",
]  # fmt: skip
