"""Spaces as JSON: there and back without loss, and strict on the way back."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_spaces import spaces

from nas.blocks import (
    BLOCKS,
    Block,
    Cell,
    Classifier,
    Conv,
    GlobalPool,
    GraphBuilder,
    Inception,
    InvertedResidual,
    Maybe,
    NasnetCell,
    NasnetStack,
    NasnetStep,
    Node,
    Norm,
    OneOf,
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
    Zeroize,
    shared,
)  # fmt: skip
from nas.domains import choice, integer, real
from nas.errors import NasError, SpaceError
from nas.notation import space_from_json, space_to_json
from nas.recipe import Recipe
from nas.space import Space

QUICK = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@given(spaces(), st.integers(0, 2**32))
@QUICK
def test_spaces_and_networks_survive(found: Space, seed: int) -> None:
    text = space_to_json(found)
    read = space_from_json(text)
    assert read == found and space_to_json(read) == text
    assert (list(read.decisions().items()), read.size()) == (list(found.decisions().items()), found.size())
    architecture = found.decode(found.sample(np.random.default_rng(seed)))
    closed = space_from_json(space_to_json(architecture))
    assert closed.size() == 1
    assert closed.decode({}).fingerprint == architecture.fingerprint
    assert [label for label in closed.decode({}).graph.labels] == list(architecture.graph.labels)


EVERYTHING = Space(
    Sequential(
        Conv(
            choice(4, 8), kernel=choice(3, (1, 3)), padding=choice("same", 1, (0, 1)), bias=choice(None, True, False), name="stem"
        ),
        OneOf(
            SeparableConv(8),
            InvertedResidual(8, expansion=choice(1, 6)),
            Inception(width=16),
            Inception(branches=(1, 2, 3, 4, 5, 6)),
        ),
        Norm(activation=choice("none", "relu")),
        Maybe(SqueezeExcite(ratio=integer(2, 4))),
        Repeat(
            Residual(body=Sequential(Conv(choice(2, 3)), Maybe(Pool(kernel=3, stride=1, padding=1)))),
            times=integer(0, 2),
            tied=True,
            name="body",
        ),
        Parallel(Conv(4), shared("a", Conv(choice(2, 3))), merge="concat", fix="crop"),
        shared("a", Conv(choice(2, 3))),
        Cell(OneOf(Zeroize(), Skip(), Conv(None, kernel=choice(1, 3))), nodes=3),
        NasnetStack(
            NasnetCell(OneOf(Skip(), Pool(stride=1, padding="same")), steps=2),
            shared("b", NasnetCell(NasnetStep(choice(0, 1), Conv(None), 1, Skip(), merge=choice("add", "concat")))),
            channels=2,
            repeats=1,
            stages=2,
        ),
        Scaled(Repeat(Conv(4), 2), repeats=2, width=1.5),
        Resize(size=(4, 3)),
        GlobalPool(size=(2, 1)),
        Classifier(hidden=choice((), (8, 4)), dropout=choice(0.0, 0.5)),
    ),
    input_shape=(3, 9, 9),
    classes=4,
    border="floor",
    recipe=Recipe(lr=real(0.01, 0.5, log=True), flip=None, batch_size=choice(32, 64)),
)


def test_every_block_is_written_and_read() -> None:
    assert {type(block).__name__ for block in EVERYTHING.body.walk()} == set(BLOCKS)
    read = space_from_json(space_to_json(EVERYTHING))
    assert read == EVERYTHING
    rng = np.random.default_rng(0)
    for _ in range(20):
        genotype = EVERYTHING.sample(rng)
        assert read.decode(genotype).fingerprint == EVERYTHING.decode(genotype).fingerprint
        assert space_from_json(space_to_json(EVERYTHING.decode(genotype))).recipe == EVERYTHING.decode(genotype).recipe


def test_defaults_are_left_out_and_values_keep_their_type() -> None:
    data = json.loads(space_to_json(Space(Sequential(Conv(4, dropout=0.0), Conv(4, bias=False)))))
    assert data["body"] == {
        "block": "Sequential",
        "blocks": [{"block": "Conv", "channels": 4}, {"block": "Conv", "channels": 4, "bias": False}],
    }

    @dataclass(frozen=True)
    class Loose(Block):
        value: object = None

        def expand(self, graph: GraphBuilder, x: Node) -> Node:
            return x

    values = (None, True, 1, 1.0, "1", (1, (True, 1.0)), ())
    for value in values:
        read = space_from_json(space_to_json(Space(Loose(value=value))), [Loose]).body
        assert repr(read.value) == repr(value)  # type: ignore[attr-defined]
    whole = Space(Loose(value=choice(*values)))
    assert repr(space_from_json(space_to_json(whole), [Loose])) == repr(whole)


def test_own_blocks_go_by_their_class_name() -> None:
    @dataclass(frozen=True)
    class Mine(Block):
        width: int

        def expand(self, graph: GraphBuilder, x: Node) -> Node:
            return x

    text = space_to_json(Space(Sequential(Mine(choice(1, 2)), name="net")))
    assert space_from_json(text, [Mine]).body == Sequential(Mine(choice(1, 2)), name="net")
    with pytest.raises(SpaceError, match=r"unknown block 'Mine'.*give classes of your own to `blocks`"):
        space_from_json(text)


def test_what_json_cannot_tell_is_refused() -> None:
    @dataclass(frozen=True)
    class Holder(Block):
        what: object = None

        def expand(self, graph: GraphBuilder, x: Node) -> Node:
            return x

    for value in ({"a": 1}, [1], b"x", 1j, float("nan"), np.int64(3)):
        with pytest.raises(SpaceError, match="cannot be written as JSON") as caught:
            space_to_json(Space(Holder(what=value)))
        assert "\n" not in str(caught.value)


def nested(depth: int) -> str:
    return '{"format":1,"body":' + '{"block":"Sequential","blocks":[' * depth + "]}" * depth + "}"


CONV = '{"block":"Conv","channels":4}'


def body(text: str) -> str:
    return f'{{"format":1,"body":{text}}}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "this is no space"),
        (b"\xff", "this is no space"),
        ('"\ud800"', "this is no space"),
        ("[]", "a space is an object, got list"),
        ("{}", "has format None, expected 1"),
        ('{"format":2,"body":{}}', "has format 2, expected 1"),
        ('{"format":1}', "body is None, expected a block such as"),
        ('{"format":1,"boddy":3}', "unknown key 'boddy'; did you mean 'body'"),
        (body("3"), "body is 3, expected a block"),
        (body('{"block":"Conw","channels":4}'), "unknown block 'Conw'; did you mean 'Conv'"),
        (body('{"block":"Conv","chanels":4}'), r"body \(Conv\): unknown key 'chanels'; did you mean 'channels'"),
        (body('{"block":"Conv"}'), r"body \(Conv\): lacks 'channels'"),
        (body('{"block":"Conv","channels":"4"}'), "field 'channels' is '4' of type str, expected int"),
        (body('{"block":"Conv","channels":4.0}'), "field 'channels' is 4.0 of type float, expected int"),
        (body('{"block":"Conv","channels":true}'), "field 'channels' is True of type bool, expected int"),
        (body('{"block":"Conv","channels":4,"name":5}'), "name=5, expected letters"),
        (body('{"block":"Conv","channels":4,"name":"a.b"}'), "name='a.b', expected letters"),
        (body('{"block":"Conv","channels":{"choice":[]}}'), r"body.channels: choice\(\) is empty"),
        (body('{"block":"Conv","channels":{"choice":[4,4]}}'), "holds 4 more than once"),
        (body('{"block":"Conv","channels":{"choice":[4,"8"]}}'), "field 'channels' is '8' of type str"),
        (body(f'{{"block":"Conv","channels":{{"choice":[{CONV}]}}}}'), "to choose between blocks write OneOf"),
        (body('{"block":"Conv","channels":{"choise":[4,8]}}'), r"body.channels is .*expected a block, {'choice'"),
        (body('{"block":"Conv","channels":{"choice":[4],"extra":1}}'), "body.channels is"),
        (body('{"block":"Conv","channels":{"integer":[8,4]}}'), "low <= high must hold"),
        (body('{"block":"Conv","channels":{"integer":[4]}}'), "body.channels is"),
        (body('{"block":"Conv","channels":{"integer":[1,' + "9" * 400 + "]}}"), "high is 999.*expected at most"),
        (body('{"block":"Conv","channels":{"integer":[true,4]}}'), "low is True of type bool, expected an int"),
        (body('{"block":"Conv","channels":4,"dropout":{"real":[0.0,true]}}'), "high is True, expected a finite number"),
        (body('{"block":"Conv","channels":4,"dropout":{"real":[0.1,0.5],"log":1}}'), "body.dropout is"),
        (body('{"block":"Conv","channels":4,"dropout":{"real":[0.0,0.5],"log":true}}'), "a log scale needs low > 0"),
        (body('{"block":"Pool","kind":"mean"}'), "field 'kind' is 'mean' of type str, expected one of 'max', 'avg', 'l2'"),
        (body('{"block":"Sequential","blocks":3}'), r"body.blocks is 3, expected a list of blocks"),
        (body('{"block":"Sequential","blocks":[3]}'), "got 3 of type int, expected blocks"),
        (body(f'{{"block":"Sequential","blocks":[{CONV},{CONV}],"labels":["a","a"]}}'), "expected a different one for each"),
        (body(f'{{"block":"Sequential","blocks":[{CONV}],"labels":[1]}}'), "field 'labels'"),
        (body(f'{{"block":"OneOf","blocks":[{CONV},{CONV}],"labels":["a"]}}'), "expected a different one for each"),
        (body('{"block":"OneOf","blocks":[]}'), "expected at least 1"),
        (body(f'{{"block":"Parallel","blocks":[{CONV}],"merge":"sum"}}'), "field 'merge' is 'sum'"),
        (body(f'{{"block":"Parallel","blocks":[{CONV}],"merge":{{"choice":["add","concat"]}}}}'), "cannot be left open"),
        (body(f'{{"block":"Repeat","body":{CONV},"times":-1}}'), "times is -1, expected from 0"),
        (body(f'{{"block":"Repeat","body":{CONV},"times":{{"integer":[0,1000000000]}}}}'), r"expected from 0 to 1,000"),
        (body(f'{{"block":"Repeat","body":{CONV},"times":{{"real":[0,1]}}}}'), "field 'times' is real"),
        (body(f'{{"block":"Repeat","body":{CONV},"times":2,"tied":{{"choice":[true,false]}}}}'), "tied cannot be left open"),
        (body('{"block":"Repeat","body":3,"times":2}'), "field 'body' is 3 of type int, expected Block"),
        (body(f'{{"block":"Shared","key":"","body":{CONV}}}'), "name is ''|key"),
        (body(f'{{"block":"Shared","key":"a.b","body":{CONV}}}'), "'a.b', expected letters"),
        (body(f'{{"block":"Sequential","blocks":[{{"block":"Shared","key":"a","body":{CONV}}},{{"block":"Shared","key":"a","body":{{"block":"Pool"}}}}]}}'),
         "stands for two different blocks"),
        ('{"format":1,"body":' + CONV + ',"input_shape":[1,28]}', r"input_shape is \(1, 28\), expected"),
        ('{"format":1,"body":' + CONV + ',"input_shape":' + "[" * 500 + "]" * 500 + "}", "input_shape is|nested too deeply"),
        ('{"format":1,"body":' + CONV + ',"classes":"ten"}', "classes is 'ten', expected"),
        ('{"format":1,"body":' + CONV + ',"border":"flor"}', "border is 'flor', expected one of"),
        ('{"format":1,"body":' + CONV + ',"border":["floor"]}', "border is"),
        ('{"format":1,"body":' + CONV + ',"recipe":3}', "recipe is 3, expected an object or null"),
        ('{"format":1,"body":' + CONV + ',"recipe":{"learning_rate":1}}', "recipe: unknown key 'learning_rate'"),
        ('{"format":1,"body":' + CONV + ',"recipe":{"lr":"x"}}', "recipe field 'lr' is 'x', expected"),
        ('{"format":1,"body":' + CONV + ',"recipe":{"lr":{"choice":[0.1,"x"]}}}', "recipe field 'lr' is choice"),
        (nested(5_000), "nested"),
        (nested(400), "nested"),
        (nested(120), "nested more than 100 deep"),
    ],
)  # fmt: skip
def test_what_is_no_space_is_refused_in_one_line(text: str | bytes, said: str) -> None:
    with pytest.raises(SpaceError, match=said) as caught:
        space_from_json(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_nesting_within_the_limit_is_read_and_used() -> None:
    found = space_from_json(nested(40))
    assert found.size() == 1 and space_from_json(space_to_json(found)) == found


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=6),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(st.text(max_size=6), st.sampled_from(["block", "choice", "integer", "real", "log", "blocks", "name"])),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=8,
)


def places(data: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Returns the path of every value inside JSON data."""
    found = [path] if path else []
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        found += places(value, (*path, key))
    return found


@given(st.data())
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_changed_json_is_read_or_refused(data: st.DataObject) -> None:
    """One place of a good text becomes something else, or moves: a NasError or a space that can be written again."""
    changed = json.loads(space_to_json(EVERYTHING))
    paths = places(changed)
    path = data.draw(st.sampled_from(paths))
    holder, other = changed, changed
    for step in path[:-1]:
        holder = holder[step]
    for step in data.draw(st.sampled_from(paths)):
        other = other[step]
    holder[path[-1]] = json.loads(json.dumps(other)) if data.draw(st.booleans()) else data.draw(JSON)
    try:
        found = space_from_json(json.dumps(changed))
    except NasError as error:
        assert "\n" not in str(error)
        return
    assert space_from_json(space_to_json(found)) == found
    assert found.size() >= 0
    try:
        found.bind((3, 9, 9), 4).decode(found.sample(np.random.default_rng(0))).graph
    except NasError as error:
        assert "\n" not in str(error)
