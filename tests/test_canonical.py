"""The canonical form: one network, one fingerprint, and never one for two."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import CONV, IMAGE, MEAN, POINTWISE, POOL, RELU, isomorphic, labelled, random_graph, relabelled, with_detours

from nas.canonical import canonical, fingerprint, simplify
from nas.costs import cost_of
from nas.errors import BlockError
from nas.graph import Graph, graph_from_json
from nas.ops import (
    Activation,
    AdaptivePool2d,
    Add,
    BatchNorm,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    Identity,
    Input,
    Linear,
    Multiply,
    Op,
    Pool2d,
    Shape,
    Zero,
)  # fmt: skip
from nas.source import write_source

SEEDS = st.integers(0, 2**32 - 1)


def _random(seed: int, largest: int = 14) -> Graph:
    """Returns a random graph whose output depends on its input."""
    rng = np.random.default_rng(seed)
    while True:
        graph = random_graph(rng, int(rng.integers(1, largest)))
        try:
            canonical(graph)
            return graph
        except BlockError:
            continue


def _graph(*nodes: tuple[Op, tuple[int, ...]]) -> Graph:
    return labelled([Input(IMAGE), *(op for op, _ in nodes)], [(), *(sources for _, sources in nodes)])


# ---- equal networks are found equal


@given(SEEDS)
def test_order_of_writing_does_not_matter(seed: int) -> None:
    graph = _random(seed)
    plain, digest = canonical(graph)
    other, same = canonical(relabelled(graph, np.random.default_rng(seed)))
    assert same == digest
    assert write_source(other) == write_source(plain)
    assert (other.ops, other.inputs, other.facts) == (plain.ops, plain.inputs, plain.facts)
    other.lint()


@given(SEEDS)
def test_detours_do_not_matter(seed: int) -> None:
    graph, rng = _random(seed), np.random.default_rng(seed)
    longer = with_detours(graph, rng)
    longer.lint()
    assert canonical(relabelled(longer, rng))[1] == canonical(graph)[1]


@given(SEEDS)
def test_a_simplified_graph_is_its_own_simplified_graph(seed: int) -> None:
    plain, digest = canonical(_random(seed))
    plain.lint()
    again, same = canonical(plain)
    assert same == digest
    assert (again.ops, again.inputs, again.labels, again.output) == (plain.ops, plain.inputs, plain.labels, plain.output)
    read = graph_from_json(plain.to_json())
    assert canonical(read)[1] == digest and (read.ops, read.inputs, read.facts) == (plain.ops, plain.inputs, plain.facts)


@given(SEEDS)
def test_simplifying_never_adds_cost(seed: int) -> None:
    graph = _random(seed)
    before, after = cost_of(graph), cost_of(simplify(graph))
    assert after.params <= before.params and after.macs <= before.macs and after.depth <= before.depth


# ---- and never different ones


@given(st.lists(SEEDS, min_size=2, max_size=12, unique=True), st.integers(2, 7))
@settings(max_examples=60)
def test_equal_fingerprints_are_exactly_isomorphism(seeds: list[int], size: int) -> None:
    graphs = [_random(seed, size) for seed in seeds]
    graphs += [relabelled(graphs[0], np.random.default_rng(0))]
    found = [canonical(graph) for graph in graphs]
    for i, (a, digest) in enumerate(found):
        for b, other in found[:i]:
            assert (digest == other) == isomorphic(a, b)


@given(SEEDS, SEEDS)
def test_one_changed_edge_or_operation_is_seen(seed: int, change: int) -> None:
    graph, rng = _random(seed, 10), np.random.default_rng(change)
    ops, inputs = list(graph.ops), list(graph.inputs)
    i = int(rng.integers(1, len(graph)))
    if rng.random() < 0.5:
        ops[i] = CONV if len(inputs[i]) == 1 else Add() if isinstance(ops[i], Multiply) else ops[i]
    else:
        slot = int(rng.integers(len(inputs[i])))
        inputs[i] = (*inputs[i][:slot], int(rng.integers(i)), *inputs[i][slot + 1 :])
    try:
        near = labelled(ops, inputs, graph.output)
        found = canonical(near)
    except Exception:
        return  # shapes no longer agree, or the output no longer depends on the input
    assert (found[1] == fingerprint(graph)) == isomorphic(found[0], simplify(graph))


def test_one_branch_twice_is_not_two_equal_branches() -> None:
    twice = _graph((CONV, (0,)), (Add(), (1, 1)))
    two = _graph((CONV, (0,)), (CONV, (0,)), (Add(), (1, 2)))
    assert fingerprint(twice) != fingerprint(two)
    assert cost_of(simplify(two)).params == 2 * cost_of(simplify(twice)).params


def test_one_branch_twice_deep_inside_is_seen() -> None:
    """The halves look alike to each node, downwards and upwards: only the whole tells them apart."""
    own = _graph((CONV, (0,)), (CONV, (0,)), (RELU, (1,)), (POOL, (2,)), (Multiply(), (3, 4)))
    common = _graph((CONV, (0,)), (CONV, (0,)), (RELU, (1,)), (POOL, (1,)), (Multiply(), (3, 4)))
    assert fingerprint(own) != fingerprint(common)


def test_a_branch_without_weights_twice_is_one() -> None:
    twice = _graph((POOL, (0,)), (RELU, (1,)), (Add(), (2, 2)))
    two = _graph((POOL, (0,)), (POOL, (0,)), (RELU, (1,)), (RELU, (2,)), (Add(), (3, 4)))
    assert fingerprint(twice) == fingerprint(two)


def test_two_dropouts_are_never_one() -> None:
    once = _graph((Dropout(0.5), (0,)), (Add(), (1, 1)))
    two = _graph((Dropout(0.5), (0,)), (Dropout(0.5), (0,)), (Add(), (1, 2)))
    assert fingerprint(once) != fingerprint(two)


def test_x_plus_x_is_not_x() -> None:
    prints = [fingerprint(_graph((Add(), (0,) * n), (CONV, (1,)))) for n in range(1, 5)]
    assert len(set(prints)) == 4
    assert prints[0] == fingerprint(_graph((CONV, (0,))))
    assert (
        fingerprint(_graph((Multiply(), (0, 0)))) != fingerprint(_graph((Add(), (0, 0)))) != fingerprint(_graph((Concat(), (0, 0))))
    )


def test_sums_are_unordered_and_concatenations_are_not() -> None:
    head = ((RELU, (0,)), (POOL, (0,)))
    for op, same in ((Add(), True), (Multiply(), True), (Concat(), False)):
        ab, ba = (fingerprint(_graph(*head, (op, pair))) for pair in ((1, 2), (2, 1)))
        assert (ab == ba) is same


def test_a_concatenation_of_equal_branches_keeps_its_order() -> None:
    """Two equal branches may be swapped as a whole, but not across two concatenations."""
    head = ((CONV, (0,)), (CONV, (0,)), (Concat(), (1, 2)))
    along = _graph(*head, (Concat(), (1, 2)), (Add(), (3, 4)))
    against = _graph(*head, (Concat(), (2, 1)), (Add(), (3, 4)))
    swapped = _graph((CONV, (0,)), (CONV, (0,)), (Concat(), (2, 1)), (Concat(), (1, 2)), (Add(), (3, 4)))
    assert fingerprint(along) != fingerprint(against)
    assert fingerprint(swapped) == fingerprint(against)


def _ring(first: int, nodes: list[tuple[Op, tuple[int, ...]]], sources: list[int], length: int, join: Op) -> list[int]:
    """Joins each of `length` sources with the next one, around a ring; returns the joints."""
    ring = sources[first : first + length]
    joints = []
    for i, s in enumerate(ring):
        nodes.append((join, (s, ring[(i + 1) % length])))
        joints.append(len(nodes))
    return joints


def _rings(lengths: list[int], rng: random.Random, join: Op, collect: Op) -> Graph:
    """Convolutions side by side, joined around rings of these lengths, all joints collected by one operation."""
    nodes: list[tuple[Op, tuple[int, ...]]] = [(CONV, (0,)) for _ in range(sum(lengths))]
    sources = list(range(1, len(nodes) + 1))
    rng.shuffle(sources)
    joints, first = [], 0
    for length in lengths:
        joints += _ring(first, nodes, sources, length, join)
        first += length
    rng.shuffle(joints)
    return _graph(*nodes, (collect, tuple(joints)))


@pytest.mark.parametrize(("join", "collect"), [(Multiply(), Add()), (Add(), Multiply())])
def test_a_six_ring_is_not_two_three_rings(join: Op, collect: Op) -> None:
    rng = random.Random(0)
    six = {fingerprint(_rings([6], rng, join, collect)) for _ in range(10)}
    threes = {fingerprint(_rings([3, 3], rng, join, collect)) for _ in range(10)}
    assert len(six) == len(threes) == 1 and six != threes


def test_rings_side_by_side_have_one_fingerprint_each() -> None:
    """Every node of every ring looks alike, so the order in which ties are broken must not show."""
    rng = random.Random(1)
    found = {}
    for lengths in ([6, 3, 3], [3, 3, 3, 3], [6, 6], [4, 4, 4], [4, 8], [12], [5, 7], [3, 4, 5]):
        found[tuple(lengths)] = {fingerprint(_rings(rng.sample(lengths, len(lengths)), rng, Multiply(), Add())) for _ in range(6)}
    assert all(len(prints) == 1 for prints in found.values())
    assert len(set.union(*found.values())) == len(found)


def test_strongly_regular_joints_are_told_apart() -> None:
    """The 4 x 4 rook's graph and the Shrikhande graph, as products of 16 convolutions, differ in nothing that refinement sees."""
    cells = [(i, j) for i in range(4) for j in range(4)]
    steps = {(0, 1), (0, 3), (1, 0), (3, 0), (1, 1), (3, 3)}
    near = {
        "rook": lambda a, b: (a[0] == b[0]) != (a[1] == b[1]),
        "shrikhande": lambda a, b: ((a[0] - b[0]) % 4, (a[1] - b[1]) % 4) in steps,
    }
    rng, prints = random.Random(2), {}
    for name, linked in near.items():
        found = set()
        for _ in range(3):
            shuffled = rng.sample(cells, 16)
            nodes: list[tuple[Op, tuple[int, ...]]] = [(CONV, (0,))] * 16
            nodes += [(Multiply(), (i + 1, j + 1)) for i in range(16) for j in range(i) if linked(shuffled[i], shuffled[j])]
            assert len(nodes) == 16 + 48
            found.add(fingerprint(_graph(*nodes, (Add(), tuple(range(17, 65))))))
        prints[name] = found
    assert all(len(found) == 1 for found in prints.values()), {name: len(found) for name, found in prints.items()}
    assert prints["rook"] != prints["shrikhande"]


# ---- rules of simplifying


def test_nested_sums_and_concatenations_are_one() -> None:
    parts = ((CONV, (0,)), (POOL, (0,)), (RELU, (0,)))
    for op in (Add(), Concat()):
        flat = fingerprint(_graph(*parts, (op, (1, 2, 3))))
        assert fingerprint(_graph(*parts, (op, (1, 2)), (op, (4, 3)))) == flat
        assert fingerprint(_graph(*parts, (op, (2, 3)), (op, (1, 4)))) == flat


def test_a_sum_within_a_concatenation_stays() -> None:
    graph = simplify(_graph((CONV, (0,)), (Add(), (0, 1)), (Concat(), (2, 2))))
    assert [type(op).__name__ for op in graph.ops] == ["Input", "Conv2d", "Add", "Concat"]


def test_the_limit_of_long_sums_does_not_depend_on_the_order_of_writing() -> None:
    """Sums beyond the limit stay as they are written, but whichever way their terms are ordered, in the same way."""
    rng = np.random.default_rng(0)
    for width in (3, 30, 31, 33, 63, 65):
        nodes: list[tuple[Op, tuple[int, ...]]] = [
            (Conv2d(IMAGE[0], (1, 1), padding=(0, 0), groups=g, bias=False), (0,)) for g in (1, 2, 4)
        ]
        nodes += [(Pool2d("max", (2 * k + 1, 1), (1, 1), (k, 0)), (0,)) for k in range(1, 2 * width + 1)]
        nodes += [(Add(), tuple(range(4, 4 + width))), (Add(), tuple(range(4 + width, 4 + 2 * width)))]
        n = len(nodes)
        graph = _graph(*nodes, (Add(), (1, n - 1, 2, n, 3)))
        assert len({fingerprint(relabelled(graph, rng)) for _ in range(5)}) == 1


@pytest.mark.parametrize("layers", [3, 4, 5, 9])
def test_sums_of_hundreds_of_terms_are_one_however_they_are_nested(layers: int) -> None:
    """Three times x, layer upon layer: as x + (x + x), and as x + x + x; two other terms lie about."""

    def stacked(nested: bool, start: int) -> list[tuple[Op, tuple[int, ...]]]:
        nodes: list[tuple[Op, tuple[int, ...]]] = [(CONV, (0,)), (RELU, (0,))]
        x = start
        for _ in range(layers):
            nodes += [(Add(), (x, x)), (Add(), (x, len(nodes) + 1))] if nested else [(Add(), (x, x, x))]
            x = len(nodes)
        return [*nodes, (Add(), (x, 1, 2, 2))]

    assert fingerprint(_graph(*stacked(True, 0))) == fingerprint(_graph(*stacked(False, 0)))
    assert fingerprint(_graph(*stacked(True, 0))) != fingerprint(_graph(*stacked(True, 1)))
    plain = simplify(_graph(*stacked(True, 0)))
    assert canonical(plain)[1] == fingerprint(_graph(*stacked(False, 0)))
    assert sum(len(inputs) for inputs in plain.inputs) <= 64 + 5


@given(SEEDS, st.integers(1, 14))
@settings(max_examples=60)
def test_sums_are_their_terms_however_often_each_stands_in_them(seed: int, layers: int) -> None:
    """Random sums of sums, against the same coefficients in one flat sum of sums, doubled and added digit by digit."""
    rng = np.random.default_rng(seed)
    head: list[tuple[Op, tuple[int, ...]]] = [(CONV, (0,)), (RELU, (0,)), (POOL, (0,))]
    nodes, counts = list(head), {i: np.eye(4, dtype=object)[i] for i in range(4)}
    for _ in range(layers):
        inputs = tuple(int(i) for i in rng.integers(0, len(nodes) + 1, int(rng.integers(2, 5))))
        nodes.append((Add(), inputs))
        counts[len(nodes)] = sum(counts[i] for i in inputs)
    wanted = counts[len(nodes)]
    other = list(head)
    powers, power = {}, dict(enumerate(range(4)))
    for digit in range(max(int(c).bit_length() for c in wanted)):
        for i in range(4):
            if digit:
                other.append((Add(), (power[i], power[i])))
                power[i] = len(other)
            powers[digit, i] = power[i]
    taken = tuple(powers[digit, i] for digit, i in powers if int(wanted[i]) >> digit & 1)
    written, rewritten = _graph(*nodes), _graph(*other, (Add(), taken))
    assert fingerprint(written) == fingerprint(rewritten)
    assert canonical(simplify(written))[1] == fingerprint(written)


def test_operations_on_nothing_are_nothing() -> None:
    plain = fingerprint(_graph((CONV, (0,))))
    dead = ((CONV, (0,)), (Zero(IMAGE), (0,)), (CONV, (2,)), (BatchNorm(), (3,)), (RELU, (4,)))
    assert fingerprint(_graph(*dead, (Add(), (1, 5)))) == plain
    assert fingerprint(_graph(*dead, (Multiply(), (1, 5)), (Add(), (6, 1)))) == plain
    joined = simplify(_graph(*dead, (Concat(), (1, 5))))
    assert [type(op).__name__ for op in joined.ops].count("Zero") == 1
    assert joined.output_shape == (2 * IMAGE[0], *IMAGE[1:])


@pytest.mark.parametrize("last", [CONV, RELU, Identity(), Flatten(), Zero((3,)), Pool2d("avg", (2, 2), (2, 2))])
def test_an_output_that_is_always_zero_is_refused(last: Op) -> None:
    with pytest.raises(BlockError, match="does not depend on the input"):
        canonical(_graph((Zero(IMAGE), (0,)), (last, (1,))))
    with pytest.raises(BlockError, match="does not depend on the input"):
        canonical(_graph((Zero(IMAGE), (0,)), (Multiply(), (0, 1)), (Concat(), (2, 1)), (last, (3,))))


def test_identities_vanish_and_dead_nodes_too() -> None:
    graph = labelled(
        [
            Input(IMAGE),
            Identity(),
            Dropout(0.0),
            Concat(),
            Add(),
            Pool2d("avg", (1, 1), (1, 1)),
            AdaptivePool2d("max", IMAGE[1:]),
            CONV,
            CONV,
        ],
        [(), (0,), (1,), (2,), (3,), (4,), (5,), (6,), (6,)],
        7,
    )
    plain = simplify(graph)
    assert (plain.ops, plain.inputs, plain.labels) == ((Input(IMAGE), CONV), ((), (0,)), ("n0", "n7"))
    assert simplify(_graph((Identity(), (0,)))).ops == (Input(IMAGE),)


def test_a_pooling_of_length_is_no_identity() -> None:
    """The root of one squared value is its absolute value."""
    assert len(simplify(_graph((Pool2d("l2", (1, 1), (1, 1)), (0,))))) == 2


def test_labels_and_notes_are_no_part_of_the_network() -> None:
    ops, inputs = [Input(IMAGE), CONV], [(), (0,)]
    plain, noted = Graph(ops, inputs), Graph(ops, inputs, ["image", "stem"], 1, ["a row is left over"])
    assert fingerprint(plain) == fingerprint(noted)
    assert simplify(noted).labels == ("image", "stem") and simplify(noted).notes == ("a row is left over",)


def test_weights_and_shapes_are_part_of_the_network() -> None:
    prints = set()
    for size in ((1, 28, 28), (3, 28, 28), (1, 32, 32)):
        for channels, kernel, bias, mode in (
            (8, 3, True, "zeros"),
            (8, 3, False, "zeros"),
            (9, 3, True, "zeros"),
            (8, 1, True, "zeros"),
            (8, 3, True, "reflect"),
        ):
            prints.add(fingerprint(Graph([Input(size), Conv2d(channels, (kernel,) * 2, bias=bias, padding_mode=mode)], [(), (0,)])))
    assert len(prints) == 15
    kinds = ["relu", "sigmoid", "tanh", "elu", "gelu", "silu", "relu6", "hardswish"]
    assert len({fingerprint(_graph((Activation(kind), (0,)))) for kind in kinds}) == len(kinds)


# ---- the same numbers come out


@given(SEEDS)
@settings(max_examples=40, deadline=None)
def test_a_simplified_graph_computes_what_was_written(seed: int) -> None:
    """Each node keeps its label, so both graphs can be given the same weights."""
    import torch
    from interpreter import modules, values

    rng = np.random.default_rng(seed)
    graph = with_detours(_random(seed, 10), rng)
    parts = modules(graph)
    by_label = {graph.labels[i]: part.eval() for i, part in parts.items() if graph.labels[i]}
    plain = simplify(graph)
    x = torch.randn(2, *IMAGE, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        written = values(graph, x, parts)[graph.output]
        kept = {i: by_label[plain.labels[i]] for i, facts in enumerate(plain.facts) if facts.params}
        left = values(plain, x, kept)[plain.output]
    assert left.shape[1:] == plain.output_shape
    assert torch.allclose(left, written, rtol=1e-4, atol=1e-5)


# ---- operations of a user's own


@dataclass(frozen=True)
class Shift(Op):
    """Moves the image by some pixels; its function stands in a helper."""

    by: int = 1
    helper = "def shift(x, by):\n    return x.roll(by, -1)\n"

    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def call(self, module: str, *inputs: str) -> str:
        return f"shift({inputs[0]}, {self.by})"


@dataclass(frozen=True)
class Blend(Op):
    """The first input less the second."""

    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def call(self, module: str, *inputs: str) -> str:
        return f"({inputs[0]} - {inputs[1]})"


@dataclass(frozen=True)
class Gate(Op):
    """An operation whose module, not its call, says what it does."""

    maker: str = "nn.Softplus()"

    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def declare(self, *inputs: Shape) -> str:
        return self.maker

    def call(self, module: str, x: str) -> str:  # type: ignore[override]  # a user's class that takes one input
        return f"{module}({x})"


def test_own_operations_are_told_apart_by_their_fields_and_text() -> None:
    other = type("Shift", (Shift,), {"helper": "def shift(x, by):\n    return x.roll(by, -2)\n"})
    prints = [fingerprint(_graph((op, (0,)), (CONV, (1,)))) for op in (Shift(1), Shift(2), other(1))]
    assert len(set(prints)) == 3
    assert fingerprint(_graph((Shift(1), (0,)), (CONV, (1,)))) == prints[0]


def test_own_operations_with_several_inputs_keep_their_order() -> None:
    head = ((RELU, (0,)), (POOL, (0,)))
    assert fingerprint(_graph(*head, (Blend(), (1, 2)))) != fingerprint(_graph(*head, (Blend(), (2, 1))))


@pytest.mark.parametrize(("branches", "depth"), [(24, 1), (8, 3)])
def test_many_equal_branches_are_one_however_they_are_written(branches: int, depth: int) -> None:
    """Without automorphisms to prune by, this would try more orders than there are atoms in anything."""
    chains = [(CONV, (0 if k % depth == 0 else k,)) for k in range(branches * depth)]
    graph = _graph(*chains, (Add(), tuple(depth * (k + 1) for k in range(branches))))
    assert fingerprint(relabelled(graph, np.random.default_rng(0))) == fingerprint(graph)


def test_own_operations_are_told_apart_by_their_module() -> None:
    """Two classes of one name whose calls are alike: what differs is the module they declare."""
    other = type("Gate", (Gate,), {"declare": lambda self, *inputs: "nn.Hardtanh()"})
    assert fingerprint(_graph((Gate(), (0,)))) != fingerprint(_graph((other(), (0,))))


def test_own_operations_survive_in_a_record() -> None:
    graph = simplify(_graph((Shift(3), (0,)), (POOL, (1,)), (Blend(), (1, 2)), (Gate(), (3,)), (MEAN, (4,)), (POINTWISE, (5,))))
    read = graph_from_json(graph.to_json())
    read.lint()
    assert read.facts == graph.facts
    assert fingerprint(read) == fingerprint(graph)
    assert write_source(read) == write_source(graph)
    assert read.to_json() == graph.to_json()


def test_linear_layers_and_flat_values() -> None:
    body = [(Flatten(), (0,)), (Linear(7), (1,)), (BatchNorm(), (2,)), (RELU, (3,)), (Flatten(), (4,)), (Linear(3, False), (5,))]
    plain = simplify(_graph(*body))
    assert [type(op).__name__ for op in plain.ops].count("Flatten") == 1  # flat values are not flattened again
    assert plain.output_shape == (3,)
