"""Blocks: what search spaces are written with."""

from __future__ import annotations

from nas.blocks.base import Block
from nas.blocks.cell import Cell, Skip, Zeroize
from nas.blocks.classifier import Classifier
from nas.blocks.convolution import Conv, InvertedResidual, SeparableConv, SqueezeExcite
from nas.blocks.inception import Inception
from nas.blocks.nasnet import NasnetCell, NasnetStack, NasnetStep
from nas.blocks.norm import Norm
from nas.blocks.pooling import GlobalPool, Pool
from nas.blocks.residual import Residual
from nas.blocks.resizing import Resize
from nas.blocks.scaled import Scaled
from nas.blocks.structure import Maybe, OneOf, Parallel, Repeat, Sequential, Shared, shared
from nas.builder import GraphBuilder, Node
from nas.errors import BlockError
from nas.ops import Op

BLOCKS: dict[str, type[Block]] = {
    block.__name__: block
    for block in (
        Cell, Classifier, Conv, GlobalPool, Inception, InvertedResidual, Maybe, NasnetCell, NasnetStack, NasnetStep, Norm,
        OneOf, Parallel, Pool, Repeat, Residual, Resize, Scaled, SeparableConv, Sequential, Shared, Skip, SqueezeExcite, Zeroize,
    )
}  # fmt: skip
"""Every block by the name that JSON calls it."""

__all__ = [
    "BLOCKS", "Block", "BlockError", "Cell", "Classifier", "Conv", "GlobalPool", "GraphBuilder", "Inception",
    "InvertedResidual", "Maybe", "NasnetCell", "NasnetStack", "NasnetStep", "Node", "Norm", "OneOf", "Op", "Parallel",
    "Pool", "Repeat", "Residual", "Resize", "Scaled", "SeparableConv", "Sequential", "Shared", "Skip", "SqueezeExcite", "Zeroize",
    "shared",
]  # fmt: skip
