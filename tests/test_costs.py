"""Exact costs against networks whose figures are known, and against brute force."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import CONV, IMAGE, POOL, RELU, labelled, random_graph

from nas.blocks import Block, Classifier, Conv, GlobalPool, GraphBuilder, Inception, Node, Pool, Repeat, Residual, Sequential
from nas.costs import Cost, Field, cost_of, receptive_fields
from nas.graph import Graph
from nas.ops import (
    Activation,
    AdaptivePool2d,
    Add,
    Concat,
    Conv2d,
    Crop,
    Flatten,
    Input,
    Linear,
    LocalResponseNorm,
    Op,
    Pad,
    Pool2d,
    Subsample,
)  # fmt: skip
from nas.space import Space

TABLE = Path(__file__).parents[2] / "shared" / "data" / "nb201_c10.csv.gz"


# ---- networks whose figures are known


def conv(channels: int, kernel: int = 3, **more: object) -> Conv:
    return Conv(channels, kernel, **{"norm": "none", **more})  # type: ignore[arg-type]


LENET = Sequential(
    conv(6, 5, padding="valid", activation="tanh"), Pool("avg"), conv(16, 5, padding="valid", activation="tanh"), Pool("avg"),
    conv(120, 5, padding="valid", activation="tanh"), Classifier(hidden=(84,), pool="none", activation="tanh"),
)  # fmt: skip


def alexnet(first: int, padding: int, widths: Sequence[int], groups: int, norm: str, pool: bool) -> Sequential:
    second = dict(groups=groups)
    return Sequential(
        conv(first, 11, stride=4, padding=padding, norm=norm), Pool("max", 3, 2),
        conv(widths[0], 5, norm=norm, **second), Pool("max", 3, 2),
        conv(widths[1]), conv(widths[2], **second), conv(widths[3], **second), Pool("max", 3, 2),
        *([GlobalPool("avg", 6)] if pool else []),
        Classifier(hidden=(4096, 4096), dropout=0.5, pool="none"),
    )  # fmt: skip


def vgg(*depths: int) -> Sequential:
    stages = [Sequential(*[conv(c)] * n, Pool()) for c, n in zip((64, 128, 256, 512, 512), depths, strict=True)]
    return Sequential(*stages, Classifier(hidden=(4096, 4096), dropout=0.5, pool="none"))


def resnet(depths: Sequence[int], bottleneck: bool) -> Sequential:
    widths = [c * (4 if bottleneck else 1) for c in (64, 128, 256, 512)]
    stages = [
        Sequential(Residual(c, stride=1 if i == 0 else 2, bottleneck=bottleneck), Repeat(Residual(c, bottleneck=bottleneck), n - 1))
        for i, (c, n) in enumerate(zip(widths, depths, strict=True))
    ]
    return Sequential(Conv(64, 7, 2, 3), Pool("max", 3, 2, 1), *stages, Classifier())


def cifar_resnet(n: int, shortcut: str) -> Sequential:
    stages = [
        Sequential(Residual(c, stride=s, shortcut=shortcut), Repeat(Residual(c), n - 1)) for c, s in ((16, 1), (32, 2), (64, 2))
    ]  # type: ignore[arg-type]
    return Sequential(Conv(16), *stages, Classifier())


GOOGLENET = Sequential(
    Conv(64, 7, 2, 3), Pool("max", 3, 2, ceil=True), Conv(64, 1), Conv(192), Pool("max", 3, 2, ceil=True),
    *[Inception(branches=b, large="3x3") for b in ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64))], Pool("max", 3, 2, ceil=True),
    *[Inception(branches=b, large="3x3") for b in (
        (192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64), (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128))], Pool("max", 2, 2, ceil=True),
    *[Inception(branches=b, large="3x3") for b in ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128))],
    Classifier(dropout=0.2),
)  # fmt: skip

KNOWN = {
    "LeNet-5": (LENET, (1, 32, 32), 10, 61_706, 416_520),
    "AlexNet of the lecture": (
        alexnet(96, 0, (256, 384, 384, 256), 1, "local_response", False),
        (3, 227, 227),
        1000,
        62_378_344,
        None,
    ),
    "AlexNet of torchvision": (alexnet(64, 2, (192, 384, 256, 256), 1, "none", True), (3, 224, 224), 1000, 61_100_840, 714_188_480),
    "AlexNet of 2012": (
        alexnet(96, 0, (256, 384, 384, 256), 2, "local_response", False),
        (3, 227, 227),
        1000,
        60_965_224,
        724_406_816,
    ),
    "VGG-A": (vgg(1, 1, 2, 2, 2), (3, 224, 224), 1000, 132_863_336, 7_609_090_048),
    "VGG-D": (vgg(2, 2, 3, 3, 3), (3, 224, 224), 1000, 138_357_544, 15_470_264_320),
    "VGG-E": (vgg(2, 2, 4, 4, 4), (3, 224, 224), 1000, 143_667_240, 19_632_062_464),
    "GoogLeNet of torchvision": (GOOGLENET, (3, 224, 224), 1000, 6_624_904, 1_498_376_192),
    "ResNet-18": (resnet((2, 2, 2, 2), False), (3, 224, 224), 1000, 11_689_512, 1_814_073_344),
    "ResNet-50": (resnet((3, 4, 6, 3), True), (3, 224, 224), 1000, 25_557_032, 4_089_184_256),
    "ResNet-20 A": (cifar_resnet(3, "pad"), (3, 32, 32), 10, 269_722, None),
    "ResNet-20 B": (cifar_resnet(3, "project"), (3, 32, 32), 10, 272_474, None),
    "ResNet-56 A": (cifar_resnet(9, "pad"), (3, 32, 32), 10, 853_018, None),
    "ResNet-56 B": (cifar_resnet(9, "project"), (3, 32, 32), 10, 855_770, None),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_networks_have_their_known_figures(name: str) -> None:
    body, shape, classes, params, macs = KNOWN[name]
    border = "floor" if "torchvision" in name else "error"
    architecture = Space(body, shape, classes, border).decode({})
    for graph in (architecture.written, architecture.graph):
        cost = cost_of(graph)
        assert cost.params == params
        assert macs is None or cost.macs == macs
        assert cost.flops == 2 * cost.macs
    assert architecture.graph.output_shape == (classes,)


def test_the_lectures_small_sums() -> None:
    """(k1 * k2 * C + 1) * N with bias; conv3-64 on RGB without; activations of a layer are H * W * C."""
    assert Conv2d(4, (3, 3)).facts((3, 8, 8)).params == 112
    assert Conv2d(64, (3, 3), (1, 1), (1, 1), bias=False).facts((3, 224, 224)).params == 1_728
    assert Conv2d(64, (3, 3), (1, 1), (1, 1)).facts((3, 224, 224)).volume == 224 * 224 * 64
    assert Conv2d(96, (11, 11), (4, 4)).facts((3, 227, 227)).shape == (96, 55, 55)


@dataclass(frozen=True)
class Cell(Block):
    """The cell of NAS-Bench-201 (Dong and Yang 2020): an operation on each of six edges between four values."""

    edges: tuple[str, str, str, str, str, str]

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        values, edges = [x], iter(self.edges)
        for j in (1, 2, 3):
            values.append(graph.add(*[self._edge(graph, values[i], next(edges)) for i in range(j)]))
        return values[3]

    def _edge(self, graph: GraphBuilder, x: Node, kind: str) -> Node:
        if kind == "none":
            return graph.zero(x)
        if kind == "skip_connect":
            return graph.identity(x)
        if kind == "avg_pool_3x3":
            return graph.pool(x, "avg", 3, 1, 1)
        return graph.conv(graph.activation(x, "relu"), x.channels, int(kind[-1]), norm="batch")


@dataclass(frozen=True)
class Reduction(Block):
    """The residual block between the stages of NAS-Bench-201."""

    channels: int

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        y = graph.conv(graph.activation(x, "relu"), self.channels, 3, 2, norm="batch")
        y = graph.conv(graph.activation(y, "relu"), self.channels, 3, norm="batch")
        return graph.add(graph.conv(graph.pool(x, "avg", 2), self.channels, 1, bias=False), y)


@dataclass(frozen=True)
class Ending(Block):
    """Normalises and activates before the head."""

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        return graph.activation(graph.norm(x, "batch"), "relu")


@pytest.mark.skipif(not TABLE.is_file(), reason="the table of NAS-Bench-201 lies beside the checkout, and is not there")
def test_declared_parameters_of_nas_bench_201() -> None:
    with gzip.open(TABLE, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in (rows[i] for i in np.random.default_rng(0).choice(len(rows), 40, replace=False)):
        cell = Cell(tuple(row[e] for e in ("e01", "e02", "e12", "e03", "e13", "e23")))  # type: ignore[arg-type]
        stages = [Repeat(cell, 5), Reduction(32), Repeat(cell, 5), Reduction(64), Repeat(cell, 5)]
        body = Sequential(Conv(16, activation="none"), *stages, Ending(), Classifier())
        assert cost_of(Space(body, (3, 32, 32), 10).decode({}).written).params == int(row["params"])


# ---- against brute force


def brute_peak(graph: Graph) -> int:
    """Returns the peak of live values, running node by node and dropping what nobody needs; flattening makes no copy."""
    alive: dict[int, int] = {}
    storage: dict[int, int] = {}
    peak = 0
    for i, op in enumerate(graph.ops):
        storage[i] = storage[graph.inputs[i][0]] if isinstance(op, Flatten) else i
        alive[storage[i]] = graph.facts[storage[i]].volume
        peak = max(peak, sum(alive.values()))
        needed = {storage[s] for later in range(i + 1, len(graph)) for s in graph.inputs[later] if s <= i}
        for held in list(alive):
            if held not in needed and held != storage.get(graph.output):
                del alive[held]
    return peak


@given(st.integers(0, 2**32))
def test_memory_depth_and_sums(seed: int) -> None:
    graph = random_graph(np.random.default_rng(seed), 12)
    cost = cost_of(graph)
    assert cost.activation_memory == 4 * brute_peak(graph)
    assert cost.training_memory == 4 * sum(f.volume for f in graph.facts)
    assert cost.params == sum(f.params for f in graph.facts) and cost.macs == sum(f.macs for f in graph.facts)
    assert cost.other_flops == sum(f.other_flops for f in graph.facts)
    assert cost.weight_bytes == 4 * sum(f.params + f.buffers for f in graph.facts)
    found = graph.to_networkx()
    paths = networkx.all_simple_paths(found, 0, graph.output) if graph.output else [[0]]
    assert cost.depth == max((sum(graph.facts[i].macs > 0 for i in path) for path in paths), default=0)


def test_memory_of_a_chain_by_hand() -> None:
    graph = labelled([Input((1, 4, 4)), Conv2d(8, (1, 1)), Activation("relu"), Flatten(), Linear(2)], [(), (0,), (1,), (2,), (3,)])
    assert cost_of(graph) == Cost(
        params=16 + 258, macs=128 + 256, flops=768, other_flops=128 + 128 + 2, activation_memory=4 * (128 + 128),
        training_memory=4 * (16 + 128 + 128 + 128 + 2), weight_bytes=4 * (16 + 258), depth=2,
    )  # fmt: skip


def test_a_shortcut_stays_alive() -> None:
    graph = labelled([Input(IMAGE), CONV, RELU, Add()], [(), (0,), (1,), (0, 2)])
    assert cost_of(graph).activation_memory == 4 * 3 * 100


SIDE = 64


def _chain(rng: np.random.Generator) -> list[Op]:
    """Returns convolutions, poolings, paddings and cuts in a row."""
    ops: list[Op] = []
    for _ in range(int(rng.integers(1, 5))):
        k, s, d = int(rng.integers(1, 5)), int(rng.integers(1, 3)), int(rng.integers(1, 3))
        p = int(rng.integers(0, k // 2 + 1))
        kind = int(rng.integers(6))
        if kind <= 2:
            ops.append(Conv2d(1, (k, k), (s, s), (p, p), (d, d), bias=False))
        elif kind == 3:
            ops.append(Pool2d("avg", (k, k), (s, s), (p, p)))
        elif kind == 4:
            ops.append(Subsample((s, s)))
        else:
            ops.append((Pad((1, 0, 2, 1)), Crop((SIDE // 8, SIDE // 8)))[int(rng.integers(2))])
    return ops


@given(st.integers(0, 2**32))
@settings(deadline=None, max_examples=40)
def test_receptive_fields_are_what_gradients_see(seed: int) -> None:
    """The gradient of one value in the middle is not zero on exactly the pixels of its field."""
    import torch
    from interpreter import modules, values

    rng = np.random.default_rng(seed)
    ops = _chain(rng)
    try:
        graph = labelled([Input((1, SIDE, SIDE)), *ops], [(), *((i,) for i in range(len(ops)))])
    except Exception:
        return  # a cut larger than its input
    parts = modules(graph)
    for part in parts.values():
        for parameter in part.parameters():
            torch.nn.init.constant_(parameter, 1.0)
    x = torch.ones(1, 1, SIDE, SIDE, requires_grad=True)
    found = values(graph, x, parts)
    for node in range(1, len(graph)):
        field = receptive_fields(graph)[node]
        _, h, w = graph.facts[node].shape
        row, column = h // 2, w // 2
        (gradient,) = torch.autograd.grad(found[node][0, 0, row, column], x, retain_graph=True)
        for axis, at in ((0, row), (1, column)):
            seen = torch.nonzero(gradient[0, 0].abs().amax(1 - axis)).flatten().tolist()
            centre = field[axis].start + at * field[axis].jump
            low, high = centre - (field[axis].size - 1) / 2, centre + (field[axis].size - 1) / 2
            if any(
                centre - (field[axis].size - f[axis].size) / 2 < f[axis].start
                or centre + (field[axis].size - f[axis].size) / 2
                > f[axis].start + (graph.facts[i].shape[1 + axis] - 1) * f[axis].jump
                for i, f in enumerate(receptive_fields(graph)[:node])
            ):
                continue  # the field reaches beyond the image, or beyond what was cut out of it
            assert (seen[0], seen[-1]) == (low, high)


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
    assert [f.size for f in fields[3]] == [5, 5]
    assert all(f.size >= 20 for f in fields[4] + fields[6])
    assert fields[0] == (Field(1, 1, 0.0), Field(1, 1, 0.0))


def test_the_receptive_field_of_vgg() -> None:
    """212 pixels in front of the classifier (Araujo et al. 2019, table 1)."""
    graph = Space(Sequential(*vgg(2, 2, 3, 3, 3).blocks[:-1]), (3, 224, 224), 2).decode({}).graph
    assert [f.size for f in receptive_fields(graph)[-1]] == [212, 212]


def test_normalisation_and_pooling_stand_in_a_column_of_their_own() -> None:
    graph = labelled([Input(IMAGE), LocalResponseNorm(), POOL, RELU], [(), (0,), (1,), (2,)])
    cost = cost_of(graph)
    assert (cost.params, cost.macs, cost.depth) == (0, 0, 0) and cost.other_flops == 13 * 100 + 9 * 100 + 100
