"""Exact costs against networks whose figures are known, and against brute force."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_graphs import CONV, IMAGE, labelled, random_graph

from nas.blocks import Conv
from nas.costs import Cost, Field, cost_of, receptive_fields
from nas.errors import GraphError
from nas.graph import Graph
from nas.ops import (
    ACTIVATIONS,
    Activation,
    AdaptivePool2d,
    Add,
    BatchNorm,
    Concat,
    Conv2d,
    Crop,
    Dropout,
    Flatten,
    Identity,
    Input,
    Linear,
    LocalResponseNorm,
    Multiply,
    Op,
    Pad,
    Pool2d,
    Resize2d,
    Subsample,
    Zero,
)  # fmt: skip
from nas.space import Space
from nas.windows import Padding

TABLE = Path(__file__).parents[2] / "shared" / "data" / "nb201_c10.csv.gz"


# ---- sums whose figures are known (those of the classic networks: test_classic.py)


def test_the_lectures_small_sums() -> None:
    """(k1 * k2 * C + 1) * N with bias; conv3-64 on RGB without; activations of a layer are H * W * C."""
    assert Conv2d(4, (3, 3)).facts((3, 8, 8)).params == 112
    assert Conv2d(64, (3, 3), (1, 1), (1, 1), bias=False).facts((3, 224, 224)).params == 1_728
    assert Conv2d(64, (3, 3), (1, 1), (1, 1)).facts((3, 224, 224)).volume == 224 * 224 * 64
    assert Conv2d(96, (11, 11), (4, 4)).facts((3, 227, 227)).shape == (96, 55, 55)


# ---- against brute force and by hand


@given(st.integers(0, 2**32))
def test_sums_and_depth(seed: int) -> None:
    graph = random_graph(np.random.default_rng(seed), 12)
    cost = cost_of(graph)
    assert cost.params == sum(f.params for f in graph.facts) and cost.macs == sum(f.macs for f in graph.facts)
    assert cost.other_flops == sum(f.other_flops for f in graph.facts)
    assert cost.values == sum(f.volume for f in graph.facts)
    assert cost.weight_bytes == 4 * sum(f.params + f.buffers for f in graph.facts)
    found = graph.to_networkx()
    paths = networkx.all_simple_paths(found, 0, graph.output) if graph.output else [[0]]
    assert cost.depth == max((sum(graph.facts[i].macs > 0 for i in path) for path in paths), default=0)


def test_a_chain_by_hand() -> None:
    graph = labelled([Input((1, 4, 4)), Conv2d(8, (1, 1)), Activation("relu"), Flatten(), Linear(2)], [(), (0,), (1,), (2,), (3,)])
    assert cost_of(graph) == Cost(
        params=16 + 258, macs=128 + 256, flops=768, other_flops=128 + 128 + 2, values=16 + 128 + 128 + 128 + 2,
        activation_memory=4 * (128 + 128), training_memory=4 * (16 + 128 + 128 + 128), weight_bytes=4 * (16 + 258), depth=2,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("op", "shapes", "flops"),
    [
        (Conv2d(4, (3, 3)), [(3, 5, 5)], 4 * 9),  # 4 x 3 x 3 values, one offset each
        (Conv2d(4, (3, 3), bias=False), [(3, 5, 5)], 0),
        (Linear(10), [(7,)], 10),
        (Linear(10, False), [(7,)], 0),
        (BatchNorm(), [(3, 5, 5)], 2 * 75),
        (LocalResponseNorm(), [(6, 2, 2)], 13 * 24),
        (LocalResponseNorm(3), [(6, 2, 2)], 9 * 24),
        *[(Activation(kind), [(3, 5, 5)], 75) for kind in ACTIVATIONS],
        (Dropout(0.5), [(3, 5, 5)], 0),
        (Pool2d("max", (2, 2), (2, 2)), [(3, 4, 4)], 3 * 4 * 4),  # 3 x 2 x 2 windows of four pixels
        (Pool2d("avg", (3, 3), (2, 2), (1, 1)), [(1, 5, 5)], 9 * 9),  # 3 x 3 windows of nine, some over the border
        (Pool2d("l2", (2, 2), (2, 2)), [(3, 4, 4)], 2 * 3 * 4 * 4),
        (Pool2d("max", (2, 2), (2, 2), ceil=True), [(1, 3, 3)], 4 * 4),
        (AdaptivePool2d("avg"), [(3, 4, 4)], 3 * 16),
        (AdaptivePool2d("max", (2, 2)), [(3, 4, 4)], 3 * 16),
        (AdaptivePool2d("avg", (2, 1)), [(1, 3, 3)], 6 + 6),  # rows 0 and 1, rows 1 and 2
        (Resize2d((2, 4)), [(3, 4, 4)], 3 * 4 * 2 * (3 + 3)),  # rows stay; of four pixels in reach one lies beyond the border
        (Resize2d((4, 4)), [(3, 4, 4)], 0),
        (Add(), [(3, 5, 5)] * 3, 2 * 75),
        (Multiply(), [(3, 5, 5), (3, 1, 1)], 75),
        (Concat(), [(3, 5, 5)] * 3, 0),
        *[(op, [(3, 4, 4)], 0) for op in (Flatten(), Identity(), Subsample((2, 2)), Crop((2, 2)), Pad((1, 1, 1, 1)), Zero((1,)))],
    ],
    ids=str,
)
def test_other_flops_by_hand(op: Op, shapes: list[tuple[int, ...]], flops: int) -> None:
    assert op.facts(*shapes).other_flops == flops


@pytest.mark.parametrize("seed", range(8))
def test_macs_are_half_of_what_torch_counts(seed: int) -> None:
    """`FlopCounterMode` counts two for each multiply-add of convolutions and matrix products, and nothing else."""
    import torch
    from interpreter import modules, values
    from torch.utils.flop_counter import FlopCounterMode

    graph = random_graph(np.random.default_rng(seed), 12)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        values(graph, torch.zeros(1, *IMAGE), {i: part.eval() for i, part in modules(graph).items()})
    assert counter.get_total_flops() == cost_of(graph).flops


# ---- receptive fields

SIDE = 24


def _sliding(rng: np.random.Generator) -> Op:
    """Returns a convolution, a pooling, a padding or a cut, not square as a rule."""
    k, s, d, more = (tuple(int(n) for n in rng.integers(1, most, 2)) for most in (5, 3, 3, 3))
    p = (int(rng.integers(k[0] // 2 + 1)), int(rng.integers(k[1] // 2 + 1)))
    return [
        Conv2d(1, k, s, p, d, bias=False),  # type: ignore[arg-type]
        Conv2d(1, k, (1, 1), p, d, bias=False),  # type: ignore[arg-type]
        Pool2d("avg", k, s, p, bool(rng.integers(2))),  # type: ignore[arg-type]
        Pool2d("l2", k, (1, 1), p),  # type: ignore[arg-type]
        Subsample(s),  # type: ignore[arg-type]
        Pad((*more, *s)),  # type: ignore[arg-type]
        Crop((int(rng.integers(4, SIDE)), int(rng.integers(4, SIDE)))),
        AdaptivePool2d("avg", (int(rng.integers(1, 7)), 4)),
        Resize2d((int(rng.integers(1, 30)), int(rng.integers(1, 30)))),
    ][int(rng.integers(9))]


def random_windows(rng: np.random.Generator, size: int) -> Graph:
    """Returns a graph of `size` operations that see more than one pixel, joined where two have one shape."""
    ops: list[Op] = [Input((1, SIDE, SIDE))]
    inputs: list[tuple[int, ...]] = [()]
    graph = labelled(ops, inputs)
    while len(graph) <= size:
        new, sources = _sliding(rng), (int(rng.integers(max(0, len(graph) - 3), len(graph))),)
        shape = graph.output_shape
        alike = [i for i in range(len(graph) - 1) if graph.facts[i].shape == shape]
        kind = int(rng.integers(6))
        if kind < 3 and alike:
            new, sources = (Add() if kind else Concat()), (len(graph) - 1, alike[int(rng.integers(len(alike)))])
        elif kind == 3:  # a squeeze and an excitation
            graph = labelled([*graph.ops, AdaptivePool2d("avg")], [*graph.inputs, (len(graph) - 1,)])
            new, sources = Multiply(), (len(graph) - 2, len(graph) - 1)
        try:
            graph = labelled([*graph.ops, new], [*graph.inputs, sources])
        except GraphError:
            pass  # larger than its input
    return graph


def _needed(graph: Graph, node: int, at: int, axis: int) -> tuple[bool, bool]:
    """Walks back from a value; returns whether no window on the way leaves its image, and whether all sizes are regular."""
    inside = regular = True
    ranges = {node: (at, at)}
    for i in range(node, 0, -1):
        if i not in ranges:
            continue
        (low, high), op, m = ranges[i], graph.ops[i], graph.facts[i].shape[1 + axis]
        for s in graph.inputs[i]:
            n, window = graph.facts[s].shape[1 + axis], op.window()
            if n != m and isinstance(op, Multiply):
                seen, regular = (0, n - 1), False
            elif isinstance(op, AdaptivePool2d):
                seen, regular = (low * n // m, -(-(high + 1) * n // m) - 1), regular and n % m == 0
            elif isinstance(op, Crop):
                seen = (low + (n - m) // 2, high + (n - m) // 2)
            elif isinstance(op, Resize2d) and n != m:
                reach = [
                    j for i in (low, high) for j in range(-2 * n, 3 * n) if abs(m * (2 * j + 1) - n * (2 * i + 1)) < 2 * max(n, m)
                ]
                seen = (min(reach), max(reach))
            elif window is None:
                seen = (low, high)
            else:
                first = [j * window.stride[axis] - window.padding[axis] for j in (low, high)]
                seen = (first[0], first[1] + (window.kernel[axis] - 1) * window.dilation[axis])
            inside &= seen[0] >= 0 and seen[1] < n
            known = ranges.get(s, seen)
            ranges[s] = (max(0, min(known[0], seen[0])), min(n - 1, max(known[1], seen[1])))
    return inside, regular


def _jumps_agree(graph: Graph, node: int, fields: list[tuple[Field, Field]], axis: int) -> bool:
    """Returns whether all branches that meet on the way to a node have the same jump, and what is resized a jump of 1."""
    needed = {node}
    for i in range(node, 0, -1):
        if i in needed:
            needed |= set(graph.inputs[i])
    jumps = {i: {fields[s][axis].jump for s in graph.inputs[i]} for i in needed}
    return all(len(jumps[i]) <= 1 and not (isinstance(graph.ops[i], Resize2d) and jumps[i] != {1}) for i in needed)


def test_receptive_fields_are_what_gradients_see() -> None:
    """The gradient of a value is not zero on pixels of its field alone, and from the first to the last of them where it is exact."""
    import torch
    from interpreter import modules, values

    exact = held = joins = resized = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        graph = random_windows(rng, int(rng.integers(1, 8)))
        parts = modules(graph)
        for part in parts.values():
            for parameter in part.parameters():
                torch.nn.init.constant_(parameter, 0.5)
        x = torch.ones(1, 1, SIDE, SIDE, requires_grad=True, dtype=torch.float64)
        found = values(graph, x, {i: part.double() for i, part in parts.items()})
        fields = receptive_fields(graph)
        joins += any(len(sources) > 1 for sources in graph.inputs)
        for node in range(1, len(graph)):
            sides = graph.facts[node].shape[1:]
            for spot in ((0, 0), (sides[0] // 2, sides[1] // 2), (sides[0] - 1, sides[1] - 1)):
                (gradient,) = torch.autograd.grad(found[node][0, 0, *spot], x, retain_graph=True)
                ways = [_needed(graph, node, spot[axis], axis) for axis in (0, 1)]
                for axis in (0, 1):
                    seen = torch.nonzero(gradient[0, 0].abs().amax(1 - axis) > 1e-14).flatten().tolist()
                    field = fields[node][axis]
                    first, last = field.seen(spot[axis])
                    assert not seen or (first <= seen[0] and seen[-1] <= last), (seed, node, spot, axis)
                    held += 1
                    if all(inside for inside, _ in ways) and ways[axis][1] and _jumps_agree(graph, node, fields, axis):
                        assert (seen[0], seen[-1]) == (first, last), (seed, node, spot, axis)
                        exact += 1
                        resized += isinstance(graph.ops[node], Resize2d) or fields[node][axis].jump % 1 != 0
    assert exact > 800 and held > 2000 and joins > 40 and resized > 30, (exact, held, joins, resized)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "field"),
    [
        (2, 1, "same", Field(2, 1, 0.5)),  # one more zero below and on the right
        (4, 1, "same", Field(4, 1, 0.5)),
        (4, 2, "same", Field(4, 2, 0.5)),
        (3, 1, "same", Field(3, 1, 0.0)),
        (3, 1, "valid", Field(3, 1, 1.0)),
        (5, 2, 0, Field(5, 2, 2.0)),
    ],
)
def test_offsets_by_hand(kernel: int, stride: int, padding: Padding, field: Field) -> None:
    graph = Space(Conv(1, kernel, stride, padding, norm="none"), (1, 9, 9), 2, "floor").decode({}).graph
    assert receptive_fields(graph)[graph.output] == (field, field)


def test_receptive_fields_where_branches_meet() -> None:
    ops: list[Op] = [
        Input((1, 20, 20)),
        Conv2d(2, (3, 5), (1, 1), (1, 2)),
        Conv2d(2, (5, 3), (1, 1), (2, 1)),
        Concat(),
        AdaptivePool2d("avg"),
        Flatten(),
        Linear(3),
    ]
    graph = labelled(ops, [(), (0,), (0,), (1, 2), (3,), (4,), (5,)])
    fields = receptive_fields(graph)
    assert fields[0] == (Field(1, 1, 0.0), Field(1, 1, 0.0))
    assert fields[3] == (Field(5, 1, 0.0), Field(5, 1, 0.0))
    assert fields[4] == fields[6] == (Field(24, 20, 9.5), Field(24, 20, 9.5))


def test_branches_that_look_to_different_sides() -> None:
    """Two kernels of two pixels, one on the right and one on the left: three pixels together, which the larger alone does not say."""
    ops: list[Op] = [Input((1, 8, 8)), Pad((0, 1, 0, 1)), Conv2d(1, (2, 2)), Pad((1, 0, 1, 0)), Conv2d(1, (2, 2)), Add()]
    fields = receptive_fields(labelled(ops, [(), (0,), (1,), (0,), (3,), (2, 4)]))
    assert [fields[i][0] for i in (2, 4, 5)] == [Field(2, 1, 0.5), Field(2, 1, -0.5), Field(3, 1, 0.0)]


def test_a_factor_of_one_pixel_sees_all_and_is_seen_by_all() -> None:
    ops: list[Op] = [Input((1, 9, 9)), AdaptivePool2d("avg"), Multiply(), Conv2d(1, (3, 3), (1, 1), (1, 1))]
    fields = receptive_fields(labelled(ops, [(), (0,), (0, 1), (2,)]))
    assert fields[2][0] == fields[3][0] == Field(9, 0, 4.0)


@pytest.mark.parametrize(
    ("n", "m", "field", "seen"),
    [
        (8, 4, Field(4, 2, Fraction(1, 2)), [(-1, 2), (1, 4), (3, 6), (5, 8)]),
        (6, 4, Field(Fraction(7, 2), Fraction(3, 2), Fraction(1, 4)), [(-1, 1), (1, 3), (2, 4), (4, 6)]),
        (5, 5, Field(1, 1, 0), [(i, i) for i in range(5)]),
        (2, 4, Field(Fraction(5, 2), Fraction(1, 2), Fraction(-1, 4)), [(-1, 0), (0, 1), (0, 1), (1, 2)]),
        (3, 1, Field(5, 3, 1), [(-1, 3)]),
    ],
)
def test_resized_pixels_by_hand(n: int, m: int, field: Field, seen: list[tuple[int, int]]) -> None:
    graph = labelled([Input((1, n, n)), Resize2d((m, m)), Flatten()], [(), (0,), (1,)])
    found = receptive_fields(graph)[1][0]
    assert found == field and [found.seen(i) for i in range(m)] == seen
    assert found.pixels == max(last - first + 1 for first, last in seen)


def test_zeros_see_nothing() -> None:
    ops: list[Op] = [Input((1, 9, 9)), Zero((1, 9, 9)), CONV, Concat(), Conv2d(1, (3, 3), (1, 1), (1, 1))]
    fields = receptive_fields(labelled(ops, [(), (0,), (1,), (0, 2), (3,)]))
    assert [f[0].size for f in fields] == [1, 0, 0, 1, 3]
