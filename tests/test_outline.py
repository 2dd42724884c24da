"""Parts of a graph: every node in one of them, none upstream of itself, in words a reader understands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.builder import GraphBuilder
from nas.errors import UnknownNameError
from nas.graph import Graph
from nas.ops import Add, Conv2d, Input, Pool2d, RecordedOp
from nas.outline import LEVELS, Part, op_words, outline, part_kind, part_words, short_count


def small_graph() -> Graph:
    """Stem, a stage of two branches and a pooling, a classifier."""
    b = GraphBuilder((3, 8, 8), classes=4)
    b.label = "stem"
    x = b.conv(b.input, 8, 3, norm="batch", activation="relu")
    b.label = "stage[0].repeat[0].residual"
    x = b.add(b.conv(x, 8, 3), x)
    b.label = "stage[0].pool"
    x = b.pool(x, "max", 2, 2)
    b.label = "classifier"
    return b.finish(b.linear(b.flatten(b.global_avg_pool(x)), 4))


def test_blocks_in_order() -> None:
    graph = small_graph()
    blocks = ["input", "stem", "stage[0].repeat[0].residual", "stage[0].pool", "classifier"]
    assert [part.label for part in outline(graph)] == blocks
    assert [part.label for part in outline(graph, "stage")] == ["input", "stem", "stage[0]", "classifier"]
    assert [part.nodes for part in outline(graph, "operation")] == [(i,) for i in range(len(graph))]


def test_stage_leaves_out_what_all_paths_share() -> None:
    b = GraphBuilder((3, 8, 8))
    x = b.input
    for label in ("net.a.conv", "net.a.pool", "net.b.conv"):
        b.label = label
        x = b.conv(x, 4, 3)
    assert [part.label for part in outline(b.finish(x), "stage")] == ["input", "net.a", "net.b"]


def test_copies_of_one_block_are_one_stage() -> None:
    b = GraphBuilder((3, 8, 8))
    x = b.input
    for label in ("stem", "dense1[0]", "dense1[1]", "transition", "dense2[0]", "stage[0].conv", "stage[0].pool", "stage[1].conv"):
        b.label = label
        x = b.conv(x, 4, 3)
    stages = ["input", "stem", "dense1", "transition", "dense2", "stage[0]", "stage[1]"]
    assert [part.label for part in outline(b.finish(x), "stage")] == stages


def test_a_stage_that_begins_with_strides_reads_like_its_neighbours() -> None:
    b = GraphBuilder((3, 16, 16))
    x = b.input
    for label, stride in (("a", 1), ("b", 2)):
        b.label = label
        y = b.conv(b.conv(b.conv(x, 4, 1), 4, 3, stride=stride), 8, 1)
        x = b.add(y, b.conv(x, 8, 1, stride=stride))
        x = b.add(b.conv(x, 8, 3), x)
    graph = b.finish(x)
    words = [part_words(graph, part) for part in outline(graph)[1:]]
    assert words == ["3 conv 1x1, 2 conv 3x3, 2 add"] * 2


def test_a_block_that_another_interrupts_shows_as_two() -> None:
    b = GraphBuilder((3, 8, 8))
    x = b.input
    for label in ("a", "b", "a"):
        b.label = label
        x = b.conv(x, 4, 3)
    parts = outline(b.finish(x))
    assert [(part.label, part.nodes) for part in parts] == [("input", (0,)), ("a", (1,)), ("b", (2,)), ("a", (3,))]


def test_x_plus_x_keeps_both_inputs() -> None:
    graph = Graph([Input((2, 4, 4)), Conv2d(2, (1, 1)), Add()], [(), (0,), (1, 1)])
    assert outline(graph, "operation")[2].inputs == (1, 1)
    assert outline(graph, "block")[1].inputs == (0,)


@given(st.integers(0, 2**32 - 1))
def test_parts_partition_any_graph_without_a_circle(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 25))
    inputs: list[tuple[int, ...]] = [()]
    for i in range(1, count):
        inputs.append(tuple(int(s) for s in rng.integers(0, i, rng.integers(1, 4))))
    labels = [str(rng.choice(["", "a.x", "a.y", "b.x", "c"])) for _ in range(count)]
    graph = Graph([Input((1, 4, 4)), *[Add()] * (count - 1)], inputs, labels)
    for level in LEVELS:
        parts = outline(graph, level)
        assert sorted(i for part in parts for i in part.nodes) == list(range(count))
        place = {i: number for number, part in enumerate(parts) for i in part.nodes}
        for number, part in enumerate(parts):
            assert all(place[s] < number for s in part.inputs)
            assert {s for i in part.nodes for s in inputs[i]} - set(part.nodes) == set(part.inputs)


def test_unknown_level() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'block'"):
        outline(small_graph(), "blocks")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("op", "shape", "words"),
    [
        (Conv2d(8, (3, 3), (2, 2)), (3, 8, 8), "conv 3x3, stride 2"),
        (Conv2d(8, (3, 1), groups=8), (8, 8, 8), "depthwise conv 3x1"),
        (Conv2d(8, (3, 3), groups=2, dilation=(2, 2)), (8, 8, 8), "grouped conv 3x3, dilation 2, 2 groups"),
        (Pool2d("avg", (2, 2), (2, 2)), (8, 8, 8), "avg pool 2x2, stride 2"),
        (RecordedOp("Shuffle(4)#abcdef", (8, 8, 8), (0, 0, 0, 0), "", "f({0})"), (8, 8, 8), "Shuffle(4)"),
    ],
)
def test_words_of_operations(op: Conv2d, shape: tuple[int, ...], words: str) -> None:
    assert op_words(op, shape) == words


def test_words_and_kinds_of_parts() -> None:
    graph = small_graph()
    parts = {part.label: part for part in outline(graph)}
    assert part_words(graph, parts["stem"]) == "conv 3x3 + batch norm + relu"
    assert part_words(graph, Part("", tuple(range(len(graph))), (), ())).startswith("input, 2 conv, add, ")
    assert [part_kind(graph, part) for part in parts.values()] == ["input", "conv", "sum", "pool", "linear"]


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (9_999, "9,999"), (12_345, "12.3k"), (999_700, "1M"), (4_560_000, "4.56M"), (7.9e12, "7.9T")]
)
def test_short_counts(number: float, text: str) -> None:
    assert short_count(number) == text
