"""Canonical labelling of graphs that look alike from many sides: many copies of a module, regular joints, cells."""

from __future__ import annotations

import random

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import CONV, IMAGE, POINTWISE, RELU, isomorphic, labelled, relabelled

from nas.blocks import Classifier, Conv, NasnetCell, NasnetStack, NasnetStep, Pool, SeparableConv, Sequential
from nas.canonical import canonical, fingerprint
from nas.graph import Graph
from nas.labelling import Inputs, Labelling
from nas.ops import Add, Concat, Dropout, Input, Multiply, Op
from nas.space import Space

SEEDS = st.integers(0, 2**32 - 1)


def _modules(rng: np.random.Generator, wiring: np.random.Generator) -> Graph:
    """Returns copies of one random module side by side, joined at the end.

    A node may use what another copy made: the next one, the one after that, or, as `wiring` draws it, any, each used once. So all
    copies look alike, but are rarely alike.
    """
    copies, size = int(rng.integers(2, 5)), int(rng.integers(2, 5))
    ops: list[Op] = [Input(IMAGE)]
    inputs: list[Inputs] = [()]
    for place in range(size):
        op = (CONV, CONV, POINTWISE, RELU, Dropout(0.1), Multiply(), Concat())[int(rng.integers(7 if place else 3))]
        first = int(rng.integers(place)) if place else -1
        second = int(rng.integers(place)) if place else -1
        across = wiring.permutation(copies) if rng.random() < 0.5 else np.roll(range(copies), int(rng.integers(copies)))
        for copy in range(copies):
            own = 1 + 2 * (first * copies + copy) + 1 if place else 0
            other = 1 + 2 * (second * copies + int(across[copy])) + 1 if place else 0
            ops += [op, POINTWISE if isinstance(op, Concat) else CONV]
            inputs += [(own, other) if isinstance(op, Multiply | Concat) else (own,), (len(ops) - 2,)]
    last = [1 + 2 * ((size - 1) * copies + copy) + 1 for copy in range(copies)]
    ops.append((Add(), Multiply(), Concat())[int(rng.integers(3))])
    inputs.append(tuple(last))
    return labelled(ops, inputs)


def _joints(graph: networkx.Graph, rng: random.Random) -> Graph:
    """Returns a network of one convolution for each vertex and one product for each edge, in random order."""
    vertices, edges = list(graph.nodes), list(graph.edges)
    rng.shuffle(vertices)
    rng.shuffle(edges)
    place = {vertex: i for i, vertex in enumerate(vertices, 1)}
    products: list[Inputs] = [(place[a], place[b]) for a, b in edges]
    ends = range(len(vertices) + 1, len(vertices) + len(edges) + 1)
    ops = [Input(IMAGE), *[CONV] * len(vertices), *[Multiply()] * len(edges), Add()]
    return labelled(ops, [(), *[(0,)] * len(vertices), *products, tuple(ends)])


def _twisted(base: networkx.Graph, twist: bool) -> networkx.Graph:
    """Returns the graph of Cai, Fuerer and Immerman 1992 over a cubic graph: twisted or not, refinement sees no difference."""
    graph = networkx.Graph()
    for vertex in base:
        for bits in range(8):
            if bits.bit_count() % 2 == 0:
                graph.add_edges_from(((vertex, bits), (vertex, to, bits >> k & 1)) for k, to in enumerate(base[vertex]))
    for k, (a, b) in enumerate(base.edges):
        graph.add_edges_from(((a, b, bit), (b, a, bit ^ (twist and k == 0))) for bit in (0, 1))
    return graph


def _cells(operation: SeparableConv | Pool, steps: int) -> Graph:
    """Returns eight of NASNet's cells in a row with one operation everywhere, all steps on the two cells before."""
    cell = NasnetCell(*[NasnetStep(0, operation, 1, operation)] * steps)
    stack = NasnetStack(cell, cell, channels=4, repeats=2, stages=3)
    return Space(Sequential(Conv(8), stack, Classifier()), (3, 32, 32), 10).decode({}).graph


@given(SEEDS, SEEDS)
@settings(max_examples=60)
def test_copies_of_a_module_in_any_order(seed: int, other: int) -> None:
    graph = _modules(np.random.default_rng(seed), np.random.default_rng(other))
    plain, digest = canonical(graph)
    again, same = canonical(relabelled(graph, np.random.default_rng(other)))
    assert same == digest
    assert (again.ops, again.inputs) == (plain.ops, plain.inputs)


@given(SEEDS, st.lists(SEEDS, min_size=2, max_size=5))
@settings(max_examples=60)
def test_copies_of_a_module_wired_otherwise(seed: int, wirings: list[int]) -> None:
    """Equal fingerprints are exactly isomorphism where most graphs look alike to each node."""
    found = [canonical(_modules(np.random.default_rng(seed), np.random.default_rng(wiring))) for wiring in wirings]
    for i, (a, digest) in enumerate(found):
        for b, other in found[:i]:
            assert (digest == other) == isomorphic(a, b)


@given(st.sampled_from([(2, 8), (2, 11), (3, 8), (3, 10), (4, 9)]), st.lists(SEEDS, min_size=2, max_size=5))
@settings(max_examples=60)
def test_regular_joints_are_told_apart(kind: tuple[int, int], seeds: list[int]) -> None:
    graphs = [networkx.random_regular_graph(*kind, seed=seed) for seed in seeds]
    rng = random.Random(seeds[0])
    prints = [fingerprint(_joints(graph, rng)) for graph in graphs]
    assert prints == [fingerprint(_joints(graph, rng)) for graph in graphs]
    for i, digest in enumerate(prints):
        for j in range(i):
            assert (digest == prints[j]) == networkx.is_isomorphic(graphs[i], graphs[j])


@pytest.mark.parametrize("base", [networkx.complete_graph(4), networkx.cubical_graph()], ids=["tetrahedron", "cube"])
def test_twisted_joints_are_told_apart(base: networkx.Graph) -> None:
    rng = random.Random(0)
    prints = [{fingerprint(_joints(_twisted(base, twist), rng)) for _ in range(3)} for twist in (False, True)]
    assert len(prints[0]) == len(prints[1]) == 1 and prints[0] != prints[1]


@pytest.mark.parametrize("operation", [SeparableConv(None, 5, order="act-conv-norm", twice=True), Pool("avg", 3, 1, "same")])
def test_cells_of_equal_operations_in_any_order(operation: SeparableConv | Pool) -> None:
    graph = _cells(operation, 3)
    assert fingerprint(relabelled(graph, np.random.default_rng(0))) == fingerprint(graph)


class _Counted(Labelling):
    """Counts how often a node's neighbours are looked at."""

    looks = 0

    def _signature(self, i: int, colours: list[int]) -> Inputs:
        self.looks += 1
        return super()._signature(i, colours)


def _counted(graph: Graph) -> _Counted:
    search = _Counted([facts.token for facts in graph.facts], [op.commutative for op in graph.ops], graph.inputs)
    search.best()
    return search


def test_symmetry_is_not_tried_out() -> None:
    """Dozens of pairs of equal nodes, each of which may be swapped alone: one labelling, and no class is looked at in vain."""
    cells = _cells(SeparableConv(None, 5, order="act-conv-norm", twice=True), 5)
    branches = labelled(
        [Input(IMAGE), *[CONV] * 300, Add()], [(), *[(0 if k % 3 == 0 else k,) for k in range(300)], tuple(range(3, 301, 3))]
    )
    for graph in (cells, branches):
        search = _counted(graph)
        assert search.leaves == 1
        assert search.looks < 10 * len(graph)


def test_fingerprints_in_records_stay_as_they_are() -> None:
    """Runs keep these: another choice among labellings would make their networks unknown."""
    rng = random.Random(0)
    graphs = {
        "petersen": _joints(networkx.petersen_graph(), rng),
        "cycles": _joints(networkx.disjoint_union(networkx.cycle_graph(3), networkx.cycle_graph(5)), rng),
        "cubic": _joints(networkx.cubical_graph(), rng),
        "frucht": _joints(networkx.frucht_graph(), rng),
        "twisted": _joints(_twisted(networkx.complete_graph(4), True), rng),
        "modules": _modules(np.random.default_rng(5), np.random.default_rng(5)),
    }
    assert {name: fingerprint(graph)[:12] for name, graph in graphs.items()} == {
        "petersen": "3b60d542f190",
        "cycles": "7d732f8d2c0e",
        "cubic": "3e251fb8d03e",
        "frucht": "de4f7227e956",
        "twisted": "12b7d60da4b6",
        "modules": "cfb637dfc995",
    }
