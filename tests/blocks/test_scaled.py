"""Deeper and wider: which repetitions grow, what their further copies are, which channels are multiplied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from nas.blocks import (
    Block,
    Cell,
    Classifier,
    Conv,
    GlobalPool,
    GraphBuilder,
    Inception,
    InvertedResidual,
    NasnetCell,
    NasnetStack,
    NasnetStep,
    Node,
    Norm,
    Parallel,
    Pool,
    Repeat,
    Residual,
    Resize,
    Scaled,
    SeparableConv,
    Sequential,
    Skip,
    SqueezeExcite,
    shared,
)
from nas.blocks.scaled import Grown, deepened, widened
from nas.costs import cost_of
from nas.domains import choice
from nas.errors import BlockError
from nas.space import Architecture, Space

SHAPE = (3, 32, 32)


def net(*blocks: Block) -> Architecture:
    return Architecture(Sequential(*blocks), SHAPE, 4)


def deeper(block: Block, times: float) -> tuple[Block, tuple[Grown, ...]]:
    return deepened(block, times, SHAPE, "error", 4)


A, B = Conv(8), SeparableConv(12)
DOWN, KEPT = Residual(8, stride=2), Residual(8)
STACKED = [
    # a repetition, written or of neighbours that are alike
    (Repeat(A, 2), 3, [A] * 6),
    (Sequential(A, A, B), 2, [A, A, A, A, B]),
    (Sequential(A, Repeat(A, 2), B), 2, [A] * 6 + [B]),
    (Sequential(DOWN, KEPT, KEPT), 3, [DOWN] + [KEPT] * 8),
    (Sequential(Residual(8, stride=2, shortcut="pad"), Repeat(Residual(), 2)), 2, [Residual(8, stride=2, shortcut="pad")] + [KEPT] * 5),
    (Sequential(A, B, A), 2, [A, B, A]),
    (Sequential(Pool(stride=1, padding="same", kernel=3)), 2, [Pool(stride=1, padding="same", kernel=3)]),
    # what differs follows again in its order
    (Sequential(A, B, labels=("[0].conv", "[1].separable")), 2, [A, B, A, B]),
    (Sequential(A, B, labels=("[0]", "[1]")), 1.5, [A, B, A]),
    (Sequential(A, B, B, labels=("[0]", "[1]", "[2]")), 0.5, [A, B]),
    # a stride begins a stage, and its copies have none
    (Repeat(DOWN, 2), 3, [DOWN, KEPT, KEPT] * 2),
    (Repeat(Sequential(DOWN, B), 2), 2, [DOWN, B, KEPT, B] * 2),
    (Sequential(A, DOWN, B, labels=("[0]", "[1]", "[2]")), 2, [A, A, DOWN, B, KEPT, B]),
    # a pooling closes one, and stays alone
    (Repeat(Sequential(A, Pool()), 2), 2, [A, A, Pool()] * 2),
    (Repeat(Sequential(Conv(8), Pool(), Norm()), 1), 2, [Conv(8), Pool(), Norm(), Conv(8), Norm()]),
    (Sequential(A, Pool(), B, labels=("[0]", "[1]", "[2]")), 2, [A, A, Pool(), B, B]),
    # of nested repetitions the inner one grows
    (Repeat(Sequential(Repeat(A, 2), Pool()), 2), 2, [A, A, A, A, Pool()] * 2),
    (shared("x", Repeat(shared("y", A), 2)), 2, [A] * 4),
    # what a cell, a branch or a residual block holds is the cell
    (Repeat(Residual(body=Repeat(Conv(3), 2)), 1), 2, [Residual(body=Repeat(Conv(3), 2))] * 2),
    (Sequential(Parallel(Repeat(A, 2), B)), 2, [Parallel(Repeat(A, 2), B)]),
    (Repeat(Cell(Conv(None), nodes=3), 2), 2, [Cell(Conv(None), nodes=3)] * 4),
    # branches keep the image's size too
    (
        Repeat(Parallel(Conv(4, stride=2), Pool()), 1),
        2,
        [Parallel(Conv(4, stride=2), Pool()), Parallel(Conv(4), Skip())],
    ),
    # a network scaled before
    (Scaled(Repeat(A, 2), 2, 0.5), 2, [Conv(4)] * 8),
    (Repeat(A, 0), 2, []),
]  # fmt: skip


@pytest.mark.parametrize(("block", "times", "blocks"), STACKED)
def test_what_repeats_is_repeated_more_often(block: Block, times: float, blocks: list[Block]) -> None:
    found = Architecture(Sequential(deeper(block, times)[0], Classifier()), SHAPE, 4)
    assert found.fingerprint == net(*blocks, Classifier()).fingerprint
    once = Architecture(Sequential(deeper(block, 1)[0], Classifier()), SHAPE, 4)
    assert once.fingerprint == net(block, Classifier()).fingerprint


def test_each_repetition_is_told_by_its_path() -> None:
    cell = NasnetCell(NasnetStep(0, Skip(), 1, Skip()))
    body = Sequential(
        Conv(8, name="stem"),
        Repeat(Sequential(Repeat(A, 2, name="convs"), Pool()), 2, name="stage"),
        Sequential(DOWN, KEPT, name="last"),
        NasnetStack(cell, cell, 8, repeats=2, stages=1, name="cells"),
    )
    assert deeper(body, 2)[1] == (
        Grown("stage[0].convs", 2, 4),
        Grown("stage[1].convs", 2, 4),
        Grown("last.residual", 2, 4),
        Grown("cells.repeats", 2, 4),
    )


def test_paths_stay_readable() -> None:
    body = Sequential(Conv(8), Conv(8), Pool(), Conv(12), Sequential(A, B, labels=("[0].conv", "[1].separable"), name="stage"))
    found = Space(Sequential(deeper(body, 2)[0], Classifier()), SHAPE, 4).decode({}).graph
    at = dict.fromkeys(found.labels)
    assert [label.removeprefix("sequential.") for label in at][1:-1] == [
        *(f"conv[{i}]" for i in range(4)), "pool", "conv3",
        "stage[0].conv", "stage[1].separable", "stage[2].conv", "stage[3].separable",
    ]  # fmt: skip


def test_a_stack_of_cells_is_the_larger_stack() -> None:
    cell = NasnetCell(NasnetStep(0, SeparableConv(None), 1, Skip()))

    def stack(channels: int, repeats: int) -> NasnetStack:
        return NasnetStack(cell, cell, channels, repeats, 2)

    grown = widened(deeper(stack(8, 2), 3)[0], 1.5)
    assert grown == stack(12, 6)


def test_fractions_are_rounded_up_and_floats_do_no_harm() -> None:
    assert deeper(Repeat(A, 10), 1.1)[1] == (Grown("", 10, 11),)  # 10 * 1.1 is a little above 11
    assert deeper(Repeat(A, 3), 1.1)[1] == (Grown("", 3, 4),)
    assert deeper(Repeat(A, 3), 0.01)[1] == (Grown("", 3, 1),)


def test_what_would_be_repeated_too_often_names_its_place() -> None:
    with pytest.raises(BlockError, match=r"^stage would be repeated 2,000 times, expected at most 1,000"):
        deeper(Sequential(Repeat(A, 20, name="stage")), 100)


@pytest.mark.parametrize(
    ("block", "factor", "wider"),
    [
        (Conv(8, 1), 2, Conv(16, 1)),
        (Conv(None), 2, Conv(None)),
        (Conv(5), 0.5, Conv(3)),
        (Conv(5), 0.01, Conv(1)),
        (Conv(30), 1.1, Conv(33)),
        (Conv(32, groups=8), 1.3, Conv(40, groups=8)),
        (Sequential(Conv(12), Conv(20, groups=4)), 0.3, Sequential(Conv(4), Conv(8, groups=4))),
        (Sequential(Conv(6), Conv(20, groups=4)), 2, Sequential(Conv(12), Conv(40, groups=4))),
        (Conv(8, groups="depthwise"), 2, Conv(16, groups="depthwise")),
        (Inception(width=16), 1.5, Inception(width=24)),
        (Inception(branches=(1, 2, 3, 4, 5, 6)), 2, Inception(branches=(2, 4, 6, 8, 10, 12))),
        (Residual(8, body=Conv(4)), 2, Residual(16, body=Conv(8))),
        (InvertedResidual(8, expansion=3), 2, InvertedResidual(16, expansion=3)),
        (Parallel(Repeat(Conv(4), 2), SqueezeExcite(2)), 2, Parallel(Repeat(Conv(8), 2), SqueezeExcite(2))),
        (Classifier(hidden=(64, 32)), 1.5, Classifier(hidden=(96, 48))),
        (Sequential(GlobalPool(), Norm(), Skip()), 3, Sequential(GlobalPool(), Norm(), Skip())),
    ],
)
def test_every_channel_count_is_multiplied(block: Block, factor: float, wider: Block) -> None:
    assert widened(block, factor) == wider and widened(block, 1) is block


def test_poolings_that_keep_the_size_are_copied() -> None:
    smooth, halve = Pool("avg", 3, 1, "same"), Pool("avg", 3, 2, "same")
    assert smooth.unstrided() == smooth and halve.unstrided() is None is Pool().unstrided() and GlobalPool().unstrided() is None
    assert Resize(8).unstrided() is None
    assert Sequential(halve).unstrided() is None and Sequential().unstrided() == Sequential()
    assert Conv(4, stride=(2, 1)).unstrided() == Conv(4) and Residual(body=halve).unstrided() == Residual(body=Sequential())


@dataclass(frozen=True)
class Dense(Block):
    """A block of a user's own that says how it scales."""

    width_fields: ClassVar[tuple[str, ...]] = ("growth",)
    depth_fields: ClassVar[tuple[str, ...]] = ("layers",)

    growth: int = 4
    layers: int = 2

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        for _ in range(self.layers):
            x = graph.concat(x, graph.conv(x, self.growth))
        return x


def test_a_block_of_ones_own_says_how_it_scales() -> None:
    assert widened(deeper(Sequential(Dense(), Classifier()), 3)[0], 2) == Sequential(Dense(8, 6), Classifier())


# ---- as a block with open factors


def test_the_factors_are_two_ordinary_decisions() -> None:
    frozen = Sequential(Conv(8), Repeat(Residual(), 2), Classifier())
    space = Space(Scaled(frozen, repeats=choice(1, 2), width=choice(1.0, 1.5)), SHAPE, 4)
    assert space.size() == 4 and list(space.decisions()) == ["scaled.repeats", "scaled.width"]
    small, large = (space.decode({"scaled.repeats": d, "scaled.width": w}) for d, w in ((1, 1.0), (2, 1.5)))
    assert small.fingerprint == Architecture(frozen, SHAPE, 4).fingerprint
    assert large.fingerprint == net(Conv(12), *[Residual()] * 4, Classifier()).fingerprint
    assert space.encode(large) == {"scaled.repeats": 2, "scaled.width": 1.5}
    assert cost_of(large.graph).depth == 10


def test_what_is_scaled_may_be_open_too() -> None:
    space = Space(Sequential(Scaled(Repeat(Conv(choice(4, 8)), 2, tied=True), repeats=choice(1, 2)), Classifier()), SHAPE, 4)
    net_ = space.decode({"scaled.body[*].channels": 8, "scaled.repeats": 2})
    assert net_.fingerprint == net(*[Conv(8)] * 4, Classifier()).fingerprint


@pytest.mark.parametrize(
    ("scaled", "said"),
    [
        (Scaled(A, repeats=0), r"^scaled: .* cannot be applied to \(3, 32, 32\): repeats is 0, expected a number above 0"),
        (Scaled(A, width=-1.0), r"width is -1.0, expected a number above 0"),
        (
            Scaled(Repeat(Conv(8, 9, padding="valid"), 3), repeats=2),
            r"^scaled\[3\]: Conv\(.* cannot be applied to \(8, 8, 8\)",
        ),
    ],
)
def test_what_cannot_be_scaled_is_told_with_its_place(scaled: Block, said: str) -> None:
    with pytest.raises(BlockError, match=said):
        _ = net(scaled, Classifier()).graph
