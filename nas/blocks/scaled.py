"""Deeper and wider: what a found network repeats is repeated more often, and every channel count is multiplied.

Zoph et al. 2018, "Learning Transferable Architectures for Scalable Image Recognition", section 3: a cell found in a small
network is stacked into a larger one. Tan and Le 2019, "EfficientNet", section 3.3: depth and width grow by factors of their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import NamedTuple

from nas.blocks.base import Block, expand_at, join_path
from nas.blocks.repetition import Unit, joined, repeated, repetitions, rewritten, split
from nas.blocks.structure import Sequential, Shared
from nas.builder import GraphBuilder, Node
from nas.canonical import fingerprint
from nas.errors import BlockError, NasError
from nas.ops import Shape
from nas.windows import Border

LARGEST_FACTOR = 1_000
_MOST_TIMES = 1_000  # as of `Repeat`


@dataclass(frozen=True)
class Scaled(Block):
    """A network, or a part of it, stacked deeper and made wider; both factors may be open, and so may what stands in it.

    What repeats is repeated so many times as often, rounded up: a `Repeat` (one without another `Repeat` in it), the normal
    cells of a `NasnetStack`, and neighbours that are alike but for a stride of the first, as in the stages of VGG and ResNet.
    Repetitions that differ follow one another again in their order. Further copies keep the image's size: their strides are 1 and
    they leave poolings out, so that a network gets no more stages. What stands inside a cell, a branch or a residual block is
    the cell, and stays.

    Attributes:
        body: What is scaled.
        repeats: How many times as often each repetition is repeated, above 0.
        width: How many times as many channels there are, above 0; what a block's `width_fields` name, rounded to the
            nearest number that keeps channels divisible by groups. The outputs of a classifier stay.
    """

    body: Block
    repeats: float = 1
    width: float = 1

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        for name in ("repeats", "width"):
            if not 0 < getattr(self, name) <= LARGEST_FACTOR:
                raise BlockError(f"{name} is {getattr(self, name)}, expected a number above 0, at most {LARGEST_FACTOR:,}")
        body, _ = deepened(self.body, self.repeats, x.shape, graph.border, graph.classes)
        return expand_at(widened(body, self.width), graph, x, "")


class Grown(NamedTuple):
    """One repetition: where it stands, and how often it was and is repeated."""

    path: str
    before: int
    after: int


def widened(block: Block, factor: float) -> Block:
    """Returns a closed block with `factor` times as many channels, where its fields and those of the blocks in it say how many.

    A channel count stays divisible by what it shares with the groups of the convolutions, and is at least 1.
    """
    counts = [getattr(part, "groups", 1) for part in block.walk()]
    groups = math.lcm(*[n for n in counts if type(n) is int and n > 0])

    def channels(value: object) -> object:
        if isinstance(value, tuple):
            return tuple([channels(v) for v in value])
        if type(value) is not int:
            return value
        step = math.gcd(value, groups)
        return max(1, math.floor(round(value * factor / step, 9) + 0.5)) * step if step else value

    def change(part: Block) -> Block:
        own = {f.name: getattr(part, f.name) for f in fields(part) if f.name in part.width_fields}
        new = {name: channels(value) for name, value in own.items()}
        return part.with_parts(change).with_fields(**new) if new != own else part.with_parts(change)

    return block if factor == 1 else change(block)


def deepened(
    block: Block, times: float, shape: Shape, border: Border, classes: int, path: str = ""
) -> tuple[Block, tuple[Grown, ...]]:
    """Returns a closed block whose repetitions are repeated `times` as often, and which ones they are; see `Scaled`.

    Args:
        block: A network or a part of it.
        times: Above 0; what it gives is rounded up.
        shape: What enters the block.
        border: What a window that leaves real pixels over does.
        classes: Of the network.
        path: Where the block stands.

    Raises:
        BlockError: When it cannot be applied to this shape, or would be repeated too often.
    """
    deepener = _Deepener(times, border, classes)
    return deepener.grow(block, shape, path), tuple(deepener.grown)


class _Deepener:
    """Walks along the trunk: through sequences and repetitions, never into a cell, a branch or a residual block."""

    def __init__(self, times: float, border: Border, classes: int) -> None:
        self.times, self.border, self.classes = times, border, classes
        self.grown: list[Grown] = []

    def grow(self, block: Block, shape: Shape, path: str) -> Block:
        """Returns what stands at `path`, deeper."""
        block = self._plain(block, shape)
        units = repetitions(block)
        if units:
            return self._repetition(block, units, shape, path)
        if isinstance(block, Sequential):
            return self._sequence(block, shape, path)
        counts = {name: getattr(block, name) for name in block.depth_fields}
        return block.with_fields(**{name: self._more(n, f"{path}.{name}") for name, n in counts.items()}) if counts else block

    def _plain(self, block: Block, shape: Shape) -> Block:
        """Returns the block itself instead of one that only stands for it."""
        while isinstance(block, Shared | Scaled):
            if isinstance(block, Scaled):
                deeper, _ = deepened(block.body, block.repeats, shape, self.border, self.classes)
                block = widened(deeper, block.width)
            else:
                block = block.body
        return block

    def _more(self, n: int, path: str) -> int:
        after = math.ceil(round(n * self.times, 9))
        if after > _MOST_TIMES:
            raise BlockError(f"{path} would be repeated {after:,} times, expected at most {_MOST_TIMES:,}; give a smaller factor")
        self.grown.append(Grown(path, n, after))
        return after

    def _after(self, block: Block, shape: Shape, path: str) -> Shape:
        graph = GraphBuilder(shape, self.border, self.classes)
        return expand_at(block, graph, graph.input, path).shape

    # ---- repetitions as they are written

    def _repetition(self, block: Block, units: list[Unit], shape: Shape, path: str) -> Block:
        if any(_repeats(unit.block) for unit in units):
            inner = []
            for i, unit in enumerate(units):
                place = f"{path}[{i}]{unit.suffix}"
                inner.append(Unit(unit.suffix, self.grow(unit.block, shape, place)))
                shape = self._after(unit.block, shape, place)
            return rewritten(block.name, inner)
        plain = []
        for i, unit in enumerate(units):
            plain.append(Unit(unit.suffix, self._plain(unit.block, shape)))
            shape = self._after(unit.block, shape, f"{path}[{i}]{unit.suffix}")
        return rewritten(block.name, self._stacked(plain, path))

    def _stacked(self, units: list[Unit], path: str) -> list[Unit]:
        """Returns the repetitions followed by copies, stage by stage: a stride begins a stage, a pooling at the end closes it."""
        found: list[Unit] = []
        stage: list[Unit] = []
        counted = len(self.grown)

        def close(pooling: tuple[tuple[str, Block], ...] = ()) -> None:
            for j in range(self._more(len(stage), path) if stage else 0):
                suffix, block = stage[j % len(stage)]
                found.append(Unit(suffix, block if j < len(stage) else block.unstrided() or Sequential()))
            if pooling:
                last = found.pop()
                found.append(Unit(last.suffix, joined(last.block, pooling)))
            stage.clear()

        for suffix, block in units:
            head, pooling = split(block)
            if head is None:
                close()
                found.append(Unit(suffix, block))
                continue
            if stage and head.unstrided() != head:
                close()
            stage.append(Unit(suffix, head))
            if pooling:
                close(pooling)
        close()
        self.grown[counted:] = [Grown(path, len(units), len(found))] if len(self.grown) > counted else []
        return found

    # ---- neighbours that are alike

    def _sequence(self, block: Sequential, shape: Shape, path: str) -> Block:
        parts: list[tuple[str, Block]] = []
        for run in self._runs(block, shape, path):
            place = join_path(path, run.labels[0])
            if len(run.labels) == 1:
                parts.append((run.labels[0], self.grow(run.parts[0], run.enters, place)))
                continue
            n = self._more(len(run.units), place)
            first, last = run.units[0], run.units[-1]
            if first == last:
                parts.append((run.labels[0], repeated(last, n, run.labels[0])))
            else:
                parts += [(run.labels[0], first), (run.labels[1], repeated(last, n - 1, run.labels[1]))][: min(n, 2)]
        return block.with_fields(blocks=tuple([part for _, part in parts]), labels=tuple([label for label, _ in parts]))

    def _runs(self, block: Sequential, shape: Shape, path: str) -> Iterator[_Run]:
        """Yields the parts of a sequence, neighbours that repeat one another together."""
        run: _Run | None = None
        for label, written in zip(block.labels, block.blocks, strict=True):
            part = self._plain(written, shape)
            after = self._after(part, shape, join_path(path, label))
            units = _alike_units(part)
            if run is not None and units and self._continues(run, units, shape, after):
                run.labels.append(label)
                run.parts.append(part)
                run.units += units
            else:
                if run is not None:
                    yield run
                run = _Run([label], [part], units, shape, after)
            shape = after
        if run is not None:
            yield run

    def _continues(self, run: _Run, units: list[Block], shape: Shape, after: Shape) -> bool:
        if not run.units or shape != run.leaves or after != shape or split(run.units[0])[1]:
            return False
        first = run.units[0].unstrided()
        if first is None or any(unit.unstrided() != unit for unit in units):
            return False
        known = self._print(first, shape)
        unseen = (*run.units[1:], *units) if len(run.parts) == 1 else units
        return known is not None and all(unit == first or self._print(unit, shape) == known for unit in unseen)

    def _print(self, block: Block, shape: Shape) -> str | None:
        """Returns the identity of a block that keeps this shape and has layers with weights; None for any other."""
        graph = GraphBuilder(shape, self.border, self.classes)
        try:
            y = expand_at(block, graph, graph.input, "")
            found = graph.finish(y)
            return fingerprint(found) if y.shape == shape and any(fact.macs for fact in found.facts) else None
        except NasError:
            return None


@dataclass
class _Run:
    """Neighbours that repeat one another; most have one part only.

    Attributes:
        labels, parts: As the sequence holds them.
        units: The repetitions in them; none where the first part cannot be continued.
        enters, leaves: The shapes before the first part and behind it.
    """

    labels: list[str]
    parts: list[Block]
    units: list[Block]
    enters: Shape
    leaves: Shape


def _repeats(block: Block) -> bool:
    """Returns whether a repetition is written in what the trunk passes through here."""
    if isinstance(block, Shared | Scaled):
        return _repeats(block.body)
    return bool(block.depth_fields or repetitions(block)) or (isinstance(block, Sequential) and any(map(_repeats, block.blocks)))


def _alike_units(part: Block) -> list[Block]:
    """Returns what may be one run with its neighbours: the part itself, or what it repeats; none where more is repeated in it."""
    units = [unit.block for unit in repetitions(part)] or [part]
    return [] if any(map(_repeats, units)) else units
