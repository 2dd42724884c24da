"""The graph: order, lint, networkx, and JSON that is either read or refused in one line."""

from __future__ import annotations

import json

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import CONV, IMAGE, RELU, labelled, random_graph

from nas.errors import BlockError, GraphError
from nas.graph import Graph, graph_from_json
from nas.ops import Add, Concat, Conv2d, Facts, Input, Linear, Op


def test_a_graph_tells_shapes_and_users() -> None:
    graph = labelled([Input(IMAGE), CONV, Add(), Concat()], [(), (0,), (1, 1), (1, 2)], 2)
    assert (len(graph), graph.input_shape, graph.output_shape) == (4, IMAGE, IMAGE)
    assert graph.consumers() == [[1], [2, 2, 3], [3], []]
    graph.lint()


@pytest.mark.parametrize(
    ("ops", "inputs", "output", "said"),
    [
        ([], [], None, "starts with its Input node"),
        ([CONV], [(0,)], None, "starts with its Input node"),
        ([Input(IMAGE)], [(0,)], None, "starts with its Input node, and that has no inputs"),
        ([Input(IMAGE), CONV], [()], None, "2 operations, 1 tuples"),
        ([Input(IMAGE)], [], None, "1 operations, 0 tuples"),
        ([Input(IMAGE), CONV], [(), ()], None, r"node 1 \(Conv2d\) has no inputs"),
        ([Input(IMAGE), Input(IMAGE)], [(), (0,)], None, r"node 1 \(Input\) has no inputs"),
        ([Input(IMAGE), CONV], [(), (1,)], None, r"node 1 \(Conv2d\) uses node 1; expected one before it, from 0 to 0"),
        ([Input(IMAGE), CONV], [(), (-1,)], None, r"uses node -1"),
        ([Input(IMAGE), CONV], [(), (0,)], 2, "the output is node 2; expected one from 0 to 1"),
        ([Input(IMAGE), CONV], [(), (0,)], -1, "the output is node -1"),
        ([Input(IMAGE), Linear(3)], [(), (0,)], None, r"node 1 \(Linear\): a linear layer needs a flat input"),
        ([Input(IMAGE), Add(), Conv2d(1), Add()], [(), (0,), (0,), (1, 2)], None, r"node 3 \(Add\): .*one shape"),
        ([Input(IMAGE), CONV], [(), (0, 0)], None, r"Conv2d takes 1 input\(s\), got 2"),
    ],
)
def test_contradictions_are_named(ops: list[Op], inputs: list[tuple[int, ...]], output: int | None, said: str) -> None:
    with pytest.raises(GraphError, match=said) as caught:
        Graph(ops, inputs, None, output)
    assert "\n" not in str(caught.value)


def test_lint_finds_facts_that_are_not_so() -> None:
    right = labelled([Input(IMAGE), CONV], [(), (0,)])
    wrong = Graph(right.ops, right.inputs, None, None, (), [right.facts[0], Facts(IMAGE, 1, 0, 0, 0, False, 1, "")])
    with pytest.raises(GraphError, match=r"node 1 \(Conv2d\) says"):
        wrong.lint()


@given(st.integers(0, 2**32))
def test_networkx_sees_every_use_of_a_value(seed: int) -> None:
    graph = random_graph(np.random.default_rng(seed), 9)
    found = graph.to_networkx()
    assert networkx.is_directed_acyclic_graph(found) and found.graph["output"] == graph.output
    for i in range(len(graph)):
        slots = {slot: s for s, _, data in found.in_edges(i, data=True) for slot in data["slots"]}
        assert tuple(slots[k] for k in sorted(slots)) == graph.inputs[i]
        assert found.nodes[i] == {
            "op": graph.ops[i], "shape": graph.facts[i].shape, "params": graph.facts[i].params, "macs": graph.facts[i].macs,
            "label": graph.labels[i],
        }  # fmt: skip


@given(st.integers(0, 2**32), st.lists(st.text(max_size=5), max_size=2))
def test_json_gives_the_graph_back(seed: int, notes: list[str]) -> None:
    made = random_graph(np.random.default_rng(seed), 9)
    graph = Graph(made.ops, made.inputs, made.labels, seed % len(made), notes)
    text = graph.to_json()
    read = graph_from_json(text)
    assert (read.ops, read.inputs, read.labels, read.output, read.notes, read.facts) == (
        graph.ops, graph.inputs, graph.labels, graph.output, graph.notes, graph.facts,
    )  # fmt: skip
    assert read.to_json() == text == graph_from_json(text.decode()).to_json()


def test_json_writes_equal_operations_once_and_unequal_ones_apart() -> None:
    ops = [Input(IMAGE), *(Conv2d(3, (1, 1), bias=bias) for bias in (False, False, True, False))]
    assert ops[1] is not ops[2]
    written = json.loads(labelled(ops, [(), (0,), (1,), (2,), (3,)]).to_json())
    assert [place for place, _, _ in written["nodes"]] == [0, 1, 1, 2, 1]
    assert [entry.get("bias") for entry in written["ops"]] == [None, False, True]


TEXT = labelled([Input(IMAGE), CONV, RELU, Add()], [(), (0,), (1,), (0, 2)]).to_json()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "this is no graph"),
        (b"\xff\xfe", "this is no graph"),
        (b'"\xff"', "this is no graph"),
        ('"\ud800"', "this is no graph"),
        (b"[1, 2]", "expected an object with `format`"),
        (b"null", "expected an object"),
        (b"[" * 100_000, "this is no graph"),
        (TEXT.replace(b'"format":1', b'"format":2'), "has format 2, expected 1"),
        (TEXT.replace(b'"format":1', b'"format":"1\\n2"'), "has format '1"),
        (TEXT.replace(b'"Activation"', b'"Activaton"'), "unknown operation 'Activaton'; did you mean 'Activation'"),
        (TEXT.replace(b'"kind"', b'"knd"'), "unknown field 'knd'; did you mean 'kind'"),
        (TEXT.replace(b'"relu"', b'"rleu"'), "unknown kind 'rleu'; did you mean 'relu'"),
        (TEXT.replace(b'"relu"', b"3"), "field 'kind' is 3, expected str"),
        (TEXT.replace(b',"kind":"relu"', b""), "lacks field 'kind'"),
        (TEXT.replace(b'"kernel":[3,3]', b'"kernel":[3,3,3]'), r"field 'kernel' is \[3, 3, 3\], expected Pair"),
        (TEXT.replace(b'"kernel":[3,3]', b'"kernel":[3,true]'), "field 'kernel'"),
        (TEXT.replace(b'"kernel":[3,3]', b'"kernel":[3,1e3]'), "field 'kernel'"),
        (TEXT.replace(b'"kernel":[3,3]', b'"kernel":[0,3]'), r"kernel is \(0, 3\), expected at least 1"),
        (TEXT.replace(b'"groups":1', b'"groups":0'), "groups is 0, expected at least 1"),
        (TEXT.replace(b'"channels":4', b'"channels":' + b"9" * 40), "field 'channels' is 99999"),
        (TEXT.replace(b'"channels":4', b'"channels":' + b"9" * 4_999), "this is no graph|field 'channels'"),
        (TEXT.replace(b'"bias":false', b'"bias":0'), "field 'bias' is 0, expected bool"),
        (TEXT.replace(b'"padding_mode":"zeros"', b'"padding_mode":"zeros\\", device=\\"meta"'), "unknown padding_mode"),
        (TEXT.replace(b'"size":[4,5,5]', b'"size":[4,-5,5]'), "size is"),
        (TEXT.replace(b'"size":[4,5,5]', b'"size":' + b"[" * 900 + b"]" * 900), "expected Shape|nested too deeply"),
        (TEXT.replace(b"[1,[0]", b"[9,[0]"), r"node 1 is \[9, \[0\]"),
        (TEXT.replace(b"[1,[0]", b"[true,[0]"), r"node 1 is \[True, \[0\]"),
        (TEXT.replace(b"[1,[0]", b"[1,[0.0]"), r"node 1 is"),
        (TEXT.replace(b"[1,[0]", b"[1,[5]"), "node 1 .* uses node 5"),
        (TEXT.replace(b'"output":3', b'"output":7'), "the output is node 7"),
        (TEXT.replace(b'"output":3', b'"output":true'), "the graph's output is True"),
        (TEXT.replace(b'"output":3', b'"output":' + b"[" * 900 + b"]" * 900), "the graph's output is"),
        (TEXT.replace(b'"notes":[]', b'"notes":3'), "the graph's notes are 3|the graph's output"),
    ],
)
def test_what_is_no_graph_is_refused_in_one_line(text: bytes | str, said: str) -> None:
    assert text != TEXT
    with pytest.raises(GraphError, match=said) as caught:
        graph_from_json(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=6),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=4)),
    max_leaves=8,
)


def places(data: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Returns the path of every value inside JSON data."""
    found = [path]
    if isinstance(data, dict):
        for key, value in data.items():
            found += places(value, (*path, key))
    elif isinstance(data, list):
        for i, value in enumerate(data):
            found += places(value, (*path, i))
    return found


@given(st.data())
@settings(max_examples=300)
def test_changed_json_is_read_or_refused(data: st.DataObject) -> None:
    """One place of a good text becomes something else: nothing but a GraphError comes of it, or a graph that holds together."""
    changed = json.loads(TEXT)
    path = data.draw(st.sampled_from(places(changed)))
    value = data.draw(JSON)
    if not path:
        changed = value
    else:
        holder = changed
        for step in path[:-1]:
            holder = holder[step]
        if data.draw(st.booleans()) or isinstance(holder, list):
            holder[path[-1]] = value
        else:
            holder[data.draw(st.text(max_size=4))] = value
    try:
        graph = graph_from_json(json.dumps(changed))
    except GraphError as error:
        assert "\n" not in str(error)
    else:
        graph.lint()


@given(st.binary(max_size=40))
def test_bytes_are_read_or_refused(text: bytes) -> None:
    with pytest.raises(GraphError):
        graph_from_json(text)


def test_an_operation_that_cannot_be_applied_is_named_with_its_node() -> None:
    with pytest.raises(GraphError) as caught:
        labelled([Input((1, 2, 2)), Conv2d(1, (3, 3))], [(), (0,)])
    assert isinstance(caught.value.__cause__, BlockError) and "node 1 (Conv2d)" in str(caught.value)
