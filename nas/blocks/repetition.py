"""Repetitions taken apart and put together: what a block repeats one by one, and how repetitions are written."""

from __future__ import annotations

from typing import NamedTuple

from nas.blocks.base import Block
from nas.blocks.structure import Repeat, Sequential


class Unit(NamedTuple):
    """One repetition: the option that stands in it (".conv"), and the block."""

    suffix: str
    block: Block


def repetitions(block: Block) -> list[Unit]:
    """Returns what a repetition repeats, one by one; none where the block is none. A closed one has labels "[0]", "[1]", ..."""
    if isinstance(block, Repeat):
        return [Unit("", block.body)] * block.times
    if isinstance(block, Sequential) and block.labels and all(label.startswith("[") for label in block.labels):
        return [Unit(label.partition("]")[2], part) for label, part in zip(block.labels, block.blocks, strict=True)]
    return []


def split(block: Block) -> tuple[Block | None, tuple[tuple[str, Block], ...]]:
    """Returns a block without the poolings at its end, None where it is one, and these with their labels."""
    if not isinstance(block, Sequential):
        return (None if block.unstrided() is None else block), ()
    n = len(block.blocks)
    while n and block.blocks[n - 1].unstrided() is None:
        n -= 1
    if block.blocks and not n:
        return None, ()
    pooling = tuple(zip(block.labels[n:], block.blocks[n:], strict=True))
    return (block.with_fields(blocks=block.blocks[:n], labels=block.labels[:n]) if pooling else block), pooling


def joined(head: Block, pooling: tuple[tuple[str, Block], ...]) -> Block:
    """Returns a sequence with its poolings at its end again."""
    assert isinstance(head, Sequential)
    labels, blocks = zip(*pooling, strict=True)
    return head.with_fields(blocks=(*head.blocks, *blocks), labels=(*head.labels, *labels))


def repeated(block: Block, times: int, label: str) -> Block:
    """Returns a repetition under this label; opened again, its copies decide alike."""
    return Repeat(block, times, tied=True, name=label if label.replace("_", "a").replace("-", "a").isalnum() else "")


def rewritten(name: str, units: list[Unit]) -> Block:
    """Returns repetitions as they are written: once where all are the same block."""
    if all(unit == units[0] for unit in units):
        return Repeat(units[0].block, len(units), tied=True, name=name)
    labels = tuple([f"[{i}]{unit.suffix}" for i, unit in enumerate(units)])
    return Sequential(*[unit.block for unit in units], name=name, labels=labels)
