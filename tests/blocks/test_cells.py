"""Cells: what they compute, how they are counted and decided, and what does not fit into them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from nas.blocks import (
    Block,
    Cell,
    Classifier,
    Conv,
    Maybe,
    NasnetCell,
    NasnetStack,
    NasnetStep,
    OneOf,
    Pool,
    Repeat,
    SeparableConv,
    Sequential,
    Skip,
    SqueezeExcite,
    Zeroize,
    shared,
)  # fmt: skip
from nas.costs import cost_of
from nas.domains import choice, integer
from nas.errors import BlockError, SpaceError
from nas.graph import Graph
from nas.notation import space_from_json, space_to_json
from nas.ops import Concat, Conv2d, Pool2d
from nas.space import Space
from nas.variation import same

SHAPE = (8, 12, 12)
SKIP, MEAN, LARGEST = Skip(), Pool("avg", 3, 1, "same"), Pool("max", 3, 1, "same")
RELU_CONV = Conv(None, 1, order="act-conv-norm")


def graph(block: Block, shape: tuple[int, int, int] = SHAPE) -> Graph:
    return Space(block, shape, 10).decode({}).graph


def kinds(found: Graph) -> list[str]:
    return [type(op).__name__ for op in found.ops[1:]]


# ---- operations on edges


def test_edges_are_in_the_order_of_the_values_they_lead_to() -> None:
    cell = Cell(OneOf(Zeroize(), Skip()), nodes=4)
    assert cell.labels == ("edge0-1", "edge0-2", "edge1-2", "edge0-3", "edge1-3", "edge2-3")
    space = Space(Sequential(cell, Classifier()), SHAPE, 2)
    assert list(space.decisions()) == [f"cell.{label}.block" for label in cell.labels]
    assert [Cell(Skip(), nodes=n).blocks for n in (2, 3)] == [(Skip(),), (Skip(),) * 3]


def test_a_value_is_the_sum_of_its_edges() -> None:
    """Value 1 is the mean, value 2 input and twice value 1, the output a convolution of value 2."""
    chosen = Cell(MEAN, SKIP, SKIP, Zeroize(), Zeroize(), RELU_CONV, nodes=4)
    found = graph(chosen)
    assert kinds(found) == ["Pool2d", "Add", "Activation", "Conv2d", "BatchNorm"]
    assert graph(Cell(SKIP, nodes=2)).ops == graph(SKIP).ops
    assert cost_of(found).params == 8 * 8 + 16
    assert cost_of(Space(Cell(RELU_CONV, nodes=3), SHAPE, 2).decode({}).written).params == 3 * (8 * 8 + 16)


def test_a_cell_without_a_path_is_infeasible() -> None:
    for cell in (Cell(Zeroize()), Cell(Zeroize(), Zeroize(), RELU_CONV, nodes=3)):
        with pytest.raises(BlockError, match="does not depend on the input"):
            graph(cell)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Cell(), "Cell: got 0 operations, expected one for all edges, or 6 for those between 4 values"),
        (lambda: Cell(SKIP, SKIP), "got 2 operations"),
        (lambda: Cell(SKIP, nodes=1), "nodes is 1, expected from 2 to 20"),
        (lambda: Cell(SKIP, nodes=choice(3, 4)), "nodes cannot be left open; use OneOf"),
        (lambda: Cell(Maybe(SKIP)), r"not left out by Maybe\(...\); use OneOf\(Zeroize\(\)"),
        (lambda: Cell(OneOf(SKIP, shared("a", Maybe(MEAN)))), "not left out by Maybe"),
        (lambda: Cell(3), "got 3 of type int, expected blocks"),
        (lambda: NasnetCell(), "got no operation, expected one"),
        (lambda: NasnetCell(SKIP, steps=0), "steps is 0, expected a whole number from 1 to 20"),
        (lambda: NasnetCell(SKIP, SKIP), r"got Skip\(.*\) of type Skip, expected one operation, or steps"),
        (lambda: NasnetCell(3), "got 3 of type int, expected one operation, or steps"),
    ],
)
def test_cells_that_make_no_sense_are_refused_where_they_are_written(build: object, said: str) -> None:
    with pytest.raises(SpaceError, match=said) as caught:
        build()  # type: ignore[operator]
    assert "\n" not in str(caught.value)


STEP = NasnetStep(0, SKIP, 1, SKIP)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (Cell(Conv(4)), r"edge0-1 makes \(4, 12, 12\) of \(8, 12, 12\).*channels=None"),
        (Cell(Pool()), r"edge0-1 makes \(8, 6, 6\) of \(8, 12, 12\)"),
        (Sequential(Classifier(), Cell(RELU_CONV)), "put it before the classifier"),
        (NasnetStep(-1, SKIP, 0, SKIP), "left_input is -1"),
        (NasnetCell(NasnetStep(0, SKIP, 2, SKIP)), "right_input is 2, expected one of the values before this step: 0 to 1"),
        (NasnetCell(NasnetStep(0, Pool(), 1, SKIP)), r"left makes \(8, 6, 6\) of \(8, 12, 12\) at stride 1.*padding='same'"),
        (NasnetCell(NasnetStep(0, SKIP, 1, Conv(5))), r"right makes \(5, 12, 12\)"),
        (NasnetStack(SKIP, NasnetCell(STEP), 8), "normal is Skip, expected a NasnetCell"),
        (NasnetStack(NasnetCell(STEP), Sequential(), 8), "reduction is Sequential, expected a NasnetCell"),
        (NasnetStack(NasnetCell(STEP), NasnetCell(STEP), 0), "channels is 0, expected at least 1"),
        (NasnetStack(NasnetCell(STEP), NasnetCell(STEP), 8, repeats=0), "repeats is 0"),
        (NasnetStack(NasnetCell(STEP), NasnetCell(STEP), 8, stages=0), "stages is 0"),
        (NasnetStack(NasnetCell(STEP, NasnetStep(0, Pool(), 1, SKIP)), NasnetCell(STEP), 8), r"stage0\[0\].step1|left makes"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(block: Block, said: str) -> None:
    with pytest.raises(BlockError, match=said) as caught:
        graph(block)
    assert "\n" not in str(caught.value)


def test_an_error_deep_in_a_stack_names_its_place() -> None:
    wrong = NasnetCell(STEP, NasnetStep(0, SqueezeExcite(0), 1, SKIP))
    with pytest.raises(BlockError, match=r"^cells.stage0\[0\].step1.left: SqueezeExcite\(ratio=0\) cannot be applied"):
        graph(Sequential(NasnetStack(wrong, wrong, 8, name="cells")))


# ---- chosen inputs


def test_inputs_are_ordinary_decisions() -> None:
    space = Space(Sequential(NasnetCell(OneOf(SKIP, MEAN), steps=3, name="normal"), Classifier()), SHAPE, 2)
    assert list(space.decisions())[:4] == [
        "normal.step0.left_input", "normal.step0.left.block", "normal.step0.right_input", "normal.step0.right.block",
    ]  # fmt: skip
    assert [space.decisions()[f"normal.step{i}.left_input"].size for i in range(3)] == [2, 3, 4]
    assert space.size() == (2 * 2) ** 2 * (3 * 2) ** 2 * (4 * 2) ** 2


def test_what_no_step_takes_is_the_output() -> None:
    two = NasnetCell(STEP, NasnetStep(0, MEAN, 1, LARGEST))
    chained = NasnetCell(STEP, NasnetStep(2, MEAN, 2, LARGEST))
    assert graph(two).output_shape == (16, 12, 12) and isinstance(graph(two).ops[-1], Concat)
    assert graph(chained).output_shape == SHAPE
    joined = NasnetCell(NasnetStep(0, SKIP, 1, SKIP, merge="concat"), NasnetStep(2, SKIP, 1, SKIP))
    assert graph(joined).output_shape == SHAPE
    assert cost_of(graph(joined)).params == 2 * (64 + 16) + 16 * 8 + 16, "a 1x1 convolution brings concatenated channels back"


def test_stages_double_channels_and_halve_the_image() -> None:
    cell = NasnetCell(STEP)
    stack = NasnetStack(cell, cell, channels=4, repeats=2, stages=3)
    found = graph(stack, (3, 28, 28))
    assert found.output_shape == (16, 7, 7) and kinds(found)[-1] == "Activation"
    assert graph(stack, (3, 25, 27)).output_shape == (16, 7, 7)
    labels = set(Space(Sequential(stack, Classifier()), (3, 28, 28), 2).decode({}).written.labels)
    assert {"nasnetstack.stage0[0].step0.left", "nasnetstack.reduction2.step0.right", "nasnetstack.stage2[1]"} <= labels


@pytest.mark.parametrize(
    ("operation", "convolutions", "poolings"),
    [
        (SKIP, [(1, 2)], []),
        (MEAN, [], [(3, 2)]),
        (RELU_CONV, [(1, 2)], []),
        (SeparableConv(None, 5, order="act-conv-norm", twice=True), [(5, 2), (1, 1), (5, 1), (1, 1)], []),
        (Sequential(SKIP, Conv(None, (1, 3)), Conv(None, (3, 1))), [((1, 3), 2), ((3, 1), 1)], []),
        (shared("a", MEAN), [], [(3, 2)]),
    ],
)
def test_operations_on_the_inputs_of_a_reduction_cell_have_its_stride(
    operation: Block, convolutions: list[object], poolings: list[object]
) -> None:
    """Its own where an operation has one, else that of a 1x1 convolution behind it; later values are halved already."""
    normal = NasnetCell(STEP)
    reduction = NasnetCell(NasnetStep(0, operation, 0, operation), NasnetStep(2, MEAN, 2, MEAN))
    written = Space(NasnetStack(normal, reduction, 8, repeats=1, stages=2), SHAPE, 2).decode({}).written
    assert written.output_shape == (16, 6, 6)

    def windows(side: str, kind: type) -> list[object]:
        pairs = [
            (op.kernel, op.stride)
            for op, label in zip(written.ops, written.labels, strict=True)
            if isinstance(op, kind) and f"reduction1.step0{side}" in label
        ]
        return [tuple(p[0] if p[0] == p[1] else p for p in pair) for pair in pairs]

    assert windows("", Conv2d) == convolutions * 2
    assert windows(".left", Pool2d) == windows(".right", Pool2d) == poolings


# ---- everything else goes through the ordinary machinery


def _spaces() -> list[Space]:
    edge = OneOf(Zeroize(), SKIP, Conv(None, kernel=choice(1, 3), order="act-conv-norm"), MEAN)
    step = OneOf(SKIP, SeparableConv(None, kernel=choice(3, 5), order="act-conv-norm"), MEAN)
    stack = NasnetStack(
        NasnetCell(step, steps=3), NasnetCell(step, steps=2), choice(4, 6), integer(1, 2), choice(1, 2), name="cells"
    )
    return [
        Space(Sequential(Conv(8), Repeat(shared("cell", Cell(edge, nodes=3)), 2), Classifier()), (3, 12, 12), 4),
        Space(Sequential(Conv(8), Repeat(Cell(edge, nodes=3), integer(1, 2)), Classifier()), (3, 12, 12), 4),
        Space(Sequential(stack, Classifier()), (3, 12, 12), 4),
        Space(Sequential(Repeat(NasnetCell(step, steps=2), 2, tied=True), Classifier()), (3, 12, 12), 4),
    ]


@pytest.mark.parametrize("space", _spaces())
def test_sampled_mutated_crossed_written_read_and_encoded(space: Space) -> None:
    rng, pool, tried = np.random.default_rng(0), [], 0
    while tried < 12:
        genotype = space.sample(rng) if len(pool) < 4 else space.crossover(pool[tried % 4], space.mutate(pool[-1], rng), rng)
        try:
            digest = space.decode(genotype).fingerprint
        except BlockError as error:
            assert "does not depend on the input" in str(error)
            continue
        tried += 1
        pool.append(genotype)
        architecture = space.decode(genotype)
        assert space.decode(space.encode(architecture)).fingerprint == digest
        read = space_from_json(space_to_json(architecture))
        assert read.decode({}).fingerprint == digest and read.size() == 1
        for near, _ in zip(space.neighbours(genotype), range(5), strict=False):
            assert not same(near, genotype) and space.decode(near)
    assert space_from_json(space_to_json(space)) == space


def test_all_cells_of_a_small_space_are_counted_and_found() -> None:
    options = ("zeroize", "skip", "conv")
    space = Space(Sequential(Cell(OneOf(Zeroize(), SKIP, RELU_CONV), nodes=3), Classifier()), SHAPE, 2)
    prints = set()
    for values in product(options, repeat=3):
        architecture = space.decode(dict(zip(space.decisions(), values, strict=True)))
        try:
            prints.add(architecture.fingerprint)
        except BlockError:
            continue
        assert space.contains(architecture)
    assert space.size() == 27 and 1 < len(prints) < 27
