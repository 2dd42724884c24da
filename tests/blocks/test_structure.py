"""Blocks that hold blocks: what they make of each other, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nas.blocks import Block, Classifier, Conv, Maybe, OneOf, Parallel, Pool, Repeat, Residual, Sequential, shared
from nas.domains import choice, integer
from nas.errors import BlockError, SpaceError
from nas.graph import Graph
from nas.space import Space

TINY = Conv(3)


def graph(*blocks: Block, **decisions: object) -> Graph:
    genotype = {path.replace("__", "."): value for path, value in decisions.items()}
    return Space(Sequential(*blocks, Classifier()), (1, 6, 6), 2).decode(genotype).graph  # type: ignore[arg-type]


def prints(*blocks: Block) -> str:
    return Space(Sequential(*blocks, Classifier()), (1, 6, 6), 2).decode({}).fingerprint


def test_siblings_have_distinct_steps() -> None:
    block = Sequential(Conv(1), Conv(2, name="conv2"), Conv(3), Pool(), Conv(4), Sequential(), Residual(name="conv4"))
    assert block.labels == ("conv", "conv2", "conv3", "pool", "conv5", "sequential", "conv4")
    assert OneOf(
        shared("a", Conv(1)),
        Conv(2),
        shared(
            "b",
            Pool(),
        ),
    ).labels == ("conv", "conv2", "pool")


def test_sequences_and_repetitions_are_only_notation() -> None:
    assert (
        prints(TINY, TINY, TINY)
        == prints(Repeat(TINY, 3))
        == prints(Sequential(TINY, Sequential(TINY), Sequential()), Repeat(TINY, 1))
    )
    assert prints(Repeat(TINY, 0)) == prints() == prints(Repeat(Sequential(), 7))
    assert prints(Repeat(Repeat(TINY, 2), 2)) == prints(Repeat(TINY, 4)) == prints(Repeat(TINY, 4, tied=True))
    assert prints(shared("a", TINY), shared("a", TINY)) == prints(TINY, TINY)
    assert prints(Parallel(TINY)) == prints(Parallel(TINY, merge="add")) == prints(TINY)


def test_decisions_are_tied_and_weights_are_not() -> None:
    tied = graph(Repeat(Conv(choice(2, 3)), 3, tied=True), **{"repeat[*].channels": 3})
    assert [f.params for f in tied.facts if f.macs][:-1] == [27, 81, 81]


def test_options_and_parts_left_out() -> None:
    blocks = (OneOf(Conv(3), Conv(5, name="wide"), Pool()), Maybe(Conv(4)))
    assert [f.shape[0] for f in graph(*blocks, **{"oneof.block": "wide", "maybe.present": True}).facts if f.macs] == [5, 4, 2]
    assert [f.shape[0] for f in graph(*blocks, **{"oneof.block": "pool", "maybe.present": False}).facts if f.macs] == [2]


def test_branches_are_joined_by_the_declared_rule() -> None:
    assert graph(Parallel(Conv(3), Conv(4))).facts[-3].shape == (7, 1, 1)
    assert graph(Parallel(Conv(3), Conv(3), merge="add")).facts[-3].shape == (3, 1, 1)
    assert graph(Parallel(Conv(3), Conv(4), merge="add", fix="pad")).facts[-3].shape == (4, 1, 1)
    assert graph(Parallel(Sequential(Conv(3), Pool()), Conv(4), fix="crop")).facts[-3].shape == (7, 1, 1)
    with pytest.raises(BlockError, match=r"parallel: .*branch 1 gives \(3, 6, 6\) and branch 2 gives \(4, 6, 6\)"):
        graph(Parallel(Conv(3), Conv(4), merge="add"))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Sequential(Conv), r"Sequential: got .*expected blocks; a class is not a block: write Conv\(...\)"),
        (lambda: Sequential(3), "got 3 of type int, expected blocks"),
        (lambda: Sequential([Conv(3)]), r"Sequential: got \[.*\] of type list, expected blocks"),
        (lambda: Sequential(Conv(3, name="a"), Pool(name="a")), "two blocks side by side have the name 'a'; give each its own"),
        (lambda: OneOf(), "OneOf: got 0 blocks, expected at least 1"),
        (lambda: Parallel(), "Parallel: got 0 blocks, expected at least 1"),
        (lambda: Parallel(Conv(3), merge="sum"), "field 'merge' is 'sum' of type str, expected one of 'concat', 'add'"),
        (lambda: Parallel(Conv(3), fix="stretch"), "field 'fix' is 'stretch'"),
        (lambda: Parallel(Conv(3), merge=choice("add", "concat")), r"cannot be left open; use OneOf\(Parallel"),
        (lambda: Repeat(Conv(3), -1), "times is -1, expected from 0 to 1,000"),
        (lambda: Repeat(Conv(3), integer(-1, 2)), r"times is integer\(-1, 2\), expected from 0"),
        (lambda: Repeat(Conv(3), choice(1, 5_000)), r"times is choice\(1, 5000\), expected from 0 to 1,000"),
        (lambda: Repeat(Conv(3), 10**9), "times is 1000000000, expected"),
        (lambda: Repeat(Conv(3), 2.0), "field 'times' is 2.0 of type float, expected int"),
        (lambda: Repeat(Conv, 2), "field 'body' is .* expected Block"),
        (lambda: Repeat(Conv(3), 2, tied=choice(True, False)), "tied cannot be left open"),
        (lambda: Maybe(3), "field 'body' is 3 of type int, expected Block"),
        (lambda: Maybe(Conv), "field 'body'"),
        (lambda: shared("", Conv(3)), "the name is '', expected letters"),
        (lambda: shared("a.b", Conv(3)), r"the name is 'a.b', expected letters"),
        (lambda: shared(3, Conv(3)), "the name is 3, expected letters"),
        (lambda: shared("a", Conv), "shared: got .*expected blocks"),
    ],
)
def test_what_makes_no_sense_is_told_when_it_is_written(make: Callable[[], Block], said: str) -> None:
    with pytest.raises(SpaceError, match=said) as caught:
        make()
    assert "\n" not in str(caught.value)
