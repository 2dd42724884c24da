"""Cells whose steps choose their inputs and operations, normal and reduction, and the network stacked from them.

Zoph et al. 2018, "Learning Transferable Architectures for Scalable Image Recognition", section 3 and figures 2 and 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import ClassVar, Literal, cast

from nas.blocks.base import Block, expand_at, join_path
from nas.blocks.structure import Sequential, Several, Shared
from nas.builder import GraphBuilder, Node
from nas.domains import Choice
from nas.errors import BlockError, SpaceError

_MOST_STEPS = 20  # of one cell


@dataclass(frozen=True)
class NasnetStep(Block):
    """One step of a `NasnetCell`: two values made before, an operation on each, and their combination.

    Attributes:
        left_input, right_input: Which values: 0 and 1 are the outputs of the two cells before (0 the earlier one), 2 the first
            step's, and so on.
        left, right: The operations. They keep the number of channels (`channels=None`) and of pixels (stride 1, padding "same").
        merge: "add", or "concat", behind which a 1x1 convolution brings the channels back where a step takes the value.
    """

    left_input: int
    left: Block
    right_input: int
    right: Block
    merge: Literal["add", "concat"] = "add"

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        """Standing alone, it takes `x` for every value."""
        return self.combine(graph, [x] * (1 + max(self.left_input, self.right_input)), x.channels, 1)

    def combine(self, graph: GraphBuilder, values: Sequence[Node], channels: int, stride: int) -> Node:
        """Writes the step into `graph`.

        Args:
            graph: Where it writes.
            values: All values made before.
            channels: Of the step's operations.
            stride: Of operations on the cell's own inputs.
        """
        terms = []
        for side, block, index in (("left", self.left, self.left_input), ("right", self.right, self.right_input)):
            if not 0 <= index < len(values):
                raise BlockError(f"{side}_input is {index}, expected one of the values before this step: 0 to {len(values) - 1}")
            x, s = values[index], stride if index < 2 else 1
            if x.channels != channels:
                x = _fitted(graph, x, channels, 1)
            y = _strided(block, graph, x, side, s)
            if y.shape != (channels, -(-x.height // s), -(-x.width // s)):
                raise BlockError(
                    f"{side} makes {y.shape} of {x.shape} at stride {s}, and an operation of a step keeps channels and pixels; "
                    "give it channels=None, stride=1 and padding='same'"
                )
            terms.append(y)
        return graph.join(terms, self.merge)


@dataclass(frozen=True, init=False)
class NasnetCell(Several):
    """A cell whose steps choose two earlier values and an operation for each; what no step takes is its output, concatenated.

    `NasnetCell(OneOf(Skip(), Conv(None), Pool("avg", 3, 1, "same")), steps=5)` leaves inputs and operations of five steps open;
    their paths are `normal.step0.left_input`, `normal.step0.left.block` and so on. `NasnetCell(NasnetStep(...), ...)` says them.

    Args of its own:
        blocks: One operation for all steps, or the steps themselves.
        steps: How many steps there are, where one operation is given.
    """

    def __init__(self, *blocks: Block, steps: int = 5, name: str = "", labels: tuple[str, ...] = ()) -> None:
        if len(blocks) == 1 and isinstance(blocks[0], Block) and not isinstance(blocks[0], NasnetStep):
            if type(steps) is not int or not 1 <= steps <= _MOST_STEPS:
                raise SpaceError(f"NasnetCell: steps is {steps!r}, expected a whole number from 1 to {_MOST_STEPS}")
            blocks = tuple([_open_step(blocks[0], 2 + i) for i in range(steps)])
        for block in blocks:
            if not isinstance(block, NasnetStep):
                raise SpaceError(f"NasnetCell: got {block!r} of type {type(block).__name__}, expected one operation, or steps")
        if not blocks:
            raise SpaceError("NasnetCell: got no operation, expected one, for example OneOf(Skip(), Conv(None))")
        super().__init__(*blocks, name=name, labels=labels or tuple([b.name or f"step{i}" for i, b in enumerate(blocks)]))

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        """Standing alone, it is a normal cell that takes `x` for both of its inputs, with as many channels a step."""
        return self.combine(graph, x, x, x.channels, 1)

    def combine(self, graph: GraphBuilder, before: Node, x: Node, channels: int, stride: int) -> Node:
        """Writes the cell into `graph`.

        Args:
            graph: Where it writes.
            before: Output of the cell before the last, which may have more pixels than `x`.
            x: Output of the cell before.
            channels: Of each operation.
            stride: 2 in a reduction cell, else 1: operations on the cell's inputs have it.
        """
        steps = cast("tuple[NasnetStep, ...]", self.blocks)
        values = [_fitted(graph, before, channels, -(-before.height // x.height)), _fitted(graph, x, channels, 1)]
        if values[0].shape != values[1].shape:
            raise BlockError(f"the cells before give {before.shape} and {x.shape}, and no stride makes their pixels agree")
        for step, label in zip(steps, self.labels, strict=True):
            with _under(graph, label):
                values.append(step.combine(graph, values, channels, stride))
        taken = {i for step in steps for i in (step.left_input, step.right_input)}
        return graph.concat(*[value for i, value in enumerate(values) if i > 1 and i not in taken])


@dataclass(frozen=True)
class NasnetStack(Block):
    """Stages of normal cells with a reduction cell between stages; each cell takes the outputs of the two before it.

    Normal cells decide alike, reduction cells too (their weights are their own). A reduction cell halves the image, by stride 2
    in the operations on its inputs, and doubles the channels. The output is rectified, as every convolution's input is.

    Attributes:
        normal: A `NasnetCell`, what it leaves open is decided once.
        reduction: Another; not used with one stage.
        channels: Of each operation in the first stage (F in the paper).
        repeats: Normal cells a stage (N in the paper).
        stages: 3 for small images (figure 2, left).
    """

    depth_fields: ClassVar[tuple[str, ...]] = ("repeats",)

    normal: Block
    reduction: Block
    channels: int
    repeats: int = 2
    stages: int = 3

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        for name in ("channels", "repeats", "stages"):
            if getattr(self, name) < 1:
                raise BlockError(f"{name} is {getattr(self, name)}, expected at least 1")
        normal, reduction = _cell("normal", self.normal), _cell("reduction", self.reduction)
        before, channels = x, self.channels
        for stage in range(self.stages):
            if stage:
                channels *= 2
                with _under(graph, f"reduction{stage}"):
                    before, x = x, reduction.combine(graph, before, x, channels, 2)
            for i in range(self.repeats):
                with _under(graph, f"stage{stage}[{i}]"):
                    before, x = x, normal.combine(graph, before, x, channels, 1)
        return graph.activation(x, "relu")


def _open_step(operation: Block, values: int) -> NasnetStep:
    """Returns a step that may take any of so many values and apply what `operation` leaves open."""
    which = cast("int", Choice(tuple(range(values))))
    return NasnetStep(which, operation, which, operation)


def _cell(name: str, block: Block) -> NasnetCell:
    while isinstance(block, Shared):
        block = block.body
    if not isinstance(block, NasnetCell):
        raise BlockError(f"{name} is {type(block).__name__}, expected a NasnetCell")
    return block


@contextmanager
def _under(graph: GraphBuilder, label: str) -> Iterator[None]:
    """Labels what is written inside; after an error the label stays, so that the message names the place."""
    before = graph.label
    graph.label = join_path(before, label)
    yield
    graph.label = before


def _fitted(graph: GraphBuilder, x: Node, channels: int, stride: int) -> Node:
    """Returns `x` with so many channels, one pixel a stride: ReLU, 1x1 convolution, batch normalisation."""
    return graph.conv(graph.activation(x, "relu"), channels, 1, stride, norm="batch")


def _strided(block: Block, graph: GraphBuilder, x: Node, label: str, stride: int) -> Node:
    """Expands an operation with a stride: its own where it has one, else that of a 1x1 convolution behind it."""
    if stride == 1:
        return expand_at(block, graph, x, label)
    taken = _with_stride(block, stride)
    if taken is not None:
        return expand_at(taken, graph, x, label)
    y = expand_at(block, graph, x, label)
    return _fitted(graph, y, y.channels, stride)


def _with_stride(block: Block, stride: int) -> Block | None:
    """Returns the block with a stride in the first part that has one; None where none has."""
    if isinstance(block, Shared):
        return _with_stride(block.body, stride)
    if isinstance(block, Sequential):
        for i, part in enumerate(block.blocks):
            taken = _with_stride(part, stride)
            if taken is not None:
                return block.with_fields(blocks=(*block.blocks[:i], taken, *block.blocks[i + 1 :]))
        return None
    return block.with_fields(stride=stride) if any(f.name == "stride" for f in fields(block)) else None
