"""Containment: what a space decodes to, it also finds again; what it does not hold, it says why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_spaces import TooMany, genotypes, spaces

from nas.blocks import (
    Block,
    Classifier,
    Conv,
    GraphBuilder,
    Inception,
    Maybe,
    Node,
    OneOf,
    Parallel,
    Pool,
    Repeat,
    Residual,
    Sequential,
    shared,
)
from nas.domains import choice, integer
from nas.errors import GenotypeError, SpaceError
from nas.space import Architecture, Space

SEEDS = st.integers(0, 2**32 - 1)
QUICK = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])


def space(*blocks: Block, **more: object) -> Space:
    return Space(Sequential(*blocks, Classifier()), **{"input_shape": (1, 8, 8), "classes": 2, **more})  # type: ignore[arg-type]


def net(*blocks: Block, **more: object) -> Architecture:
    return space(*blocks, **more).decode({})


@given(spaces(), SEEDS)
@QUICK
def test_encoding_leads_back_to_the_network(found: Space, seed: int) -> None:
    architecture = found.decode(found.sample(np.random.default_rng(seed)))
    genotype = found.encode(architecture)
    assert found.decode(genotype).fingerprint == architecture.fingerprint
    assert found.contains(architecture) and found.why_not(architecture) == ""
    assert found.encode(found.decode(genotype)) == genotype, "the first match is its own first match"


@given(spaces(), spaces(), SEEDS)
@QUICK
def test_containment_is_what_enumeration_finds(found: Space, other: Space, seed: int) -> None:
    """`contains` may err to one side only: what it finds is there (matching is of trees, so it may miss a network written otherwise)."""
    architecture = other.decode(other.sample(np.random.default_rng(seed)))
    try:
        listed = {found.decode(genotype).fingerprint for genotype in genotypes(found, 60)}
    except TooMany:
        return
    if found.contains(architecture):
        assert architecture.fingerprint in listed
        assert found.decode(found.encode(architecture)).fingerprint == architecture.fingerprint
    else:
        assert found.why_not(architecture)
        with pytest.raises(GenotypeError, match="the space does not contain the network: "):
            found.encode(architecture)


@given(spaces())
@settings(QUICK, max_examples=30)
def test_a_space_contains_all_its_networks(found: Space) -> None:
    try:
        for genotype in genotypes(found, 40):
            assert found.contains(found.decode(genotype)), genotype
    except TooMany:
        pass


CONV = Conv(channels=choice(4, 8), kernel=choice(3, 5))


@pytest.mark.parametrize(
    ("open_blocks", "closed_blocks", "genotype"),
    [
        ((CONV,), (Conv(8),), {"conv.channels": 8, "conv.kernel": 3}),
        ((Repeat(CONV, times=integer(0, 3)),), (Sequential(Conv(8), Sequential(Conv(4))),), {
            "repeat.times": 2, "repeat[0].channels": 8, "repeat[0].kernel": 3, "repeat[1].channels": 4, "repeat[1].kernel": 3}),
        ((Maybe(CONV), CONV), (Conv(4),), {"maybe.present": False, "conv.channels": 4, "conv.kernel": 3}),
        ((Maybe(CONV), Maybe(CONV)), (Conv(4),), {
            "maybe.present": False, "maybe2.present": True, "maybe2.conv.channels": 4, "maybe2.conv.kernel": 3}),
        ((OneOf(Conv(4), CONV),), (Conv(4),), {"oneof.block": "conv"}),
        ((shared("a", CONV), Pool(), shared("a", CONV)), (Conv(4), Pool(), Conv(4)), {"@a.channels": 4, "@a.kernel": 3}),
        ((Repeat(CONV, times=choice(1, 2), tied=True),), (Conv(4, 5), Conv(4, 5)), {
            "repeat.times": 2, "repeat[*].channels": 4, "repeat[*].kernel": 5}),
        ((Parallel(CONV, Maybe(Pool(kernel=3, stride=1, padding=1))),), (Parallel(Conv(4), Sequential()),), None),
        ((Residual(body=Sequential(CONV, Maybe(CONV))),), (Residual(body=Conv(4)),), {
            "residual.body.conv.channels": 4, "residual.body.conv.kernel": 3, "residual.body.maybe.present": False}),
        ((Residual(channels=choice(4, 8), expansion=choice(4, 2)),), (Residual(channels=8, expansion=3),), {
            "residual.channels": 8, "residual.expansion": 4}),  # without a bottleneck the expansion does not matter
        ((Conv(channels=4, padding=choice("same", "valid")),), (Conv(4, padding=1),), {"conv.padding": "same"}),
    ],
)  # fmt: skip
def test_networks_are_found_by_the_first_match(
    open_blocks: tuple[Block, ...], closed_blocks: tuple[Block, ...], genotype: dict[str, object] | None
) -> None:
    found, architecture = space(*open_blocks), net(*closed_blocks)
    if genotype is None:
        assert not found.contains(architecture)
    else:
        assert found.encode(architecture) == genotype
        assert found.decode(genotype).fingerprint == architecture.fingerprint  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("open_blocks", "closed_blocks", "said"),
    [
        ((CONV,), (Conv(16),), r"conv.channels is choice\(4, 8\), the network has 16 in block 1"),
        ((CONV, CONV), (Conv(4), Conv(8, 7)), r"conv2.kernel is choice\(3, 5\), the network has 7 in block 2"),
        ((CONV,), (Conv(4, norm="none"),), r"conv.norm is 'batch', the network has 'none' in block 1 \(Conv\)"),
        ((CONV,), (Pool(),), r"conv: the space has Conv, the network's block 1 is Pool"),
        ((Repeat(CONV, times=integer(1, 2)),), (Conv(4), Conv(4), Conv(4)), r"block 3|Classifier.* Conv"),
        ((CONV, CONV), (Conv(4),), r"conv2: the space has Conv, the network's block 2 is Classifier"),
        ((shared("a", CONV), shared("a", CONV)), (Conv(4), Conv(8)), r"@a.channels .* in block 2; it is already 4"),
    ],
)
def test_the_first_decision_that_fails_is_named(
    open_blocks: tuple[Block, ...], closed_blocks: tuple[Block, ...], said: str
) -> None:
    import re

    reason = space(*open_blocks).why_not(net(*closed_blocks))
    assert re.search(said, reason), reason
    assert "\n" not in reason


def test_other_images_or_classes_are_another_matter() -> None:
    assert "the space is for (1, 8, 8) and 2 classes, the network for (3, 8, 8) and 2" in space(CONV).why_not(
        net(Conv(4), input_shape=(3, 8, 8))
    )
    assert "5 classes" not in space(CONV, classes=None).why_not(net(Conv(4), classes=5))
    assert space(CONV, classes=None, input_shape=None).contains(net(Conv(4), classes=5, input_shape=(3, 9, 9)))


def test_border_rules_count_where_they_change_the_network() -> None:
    pooled = (Pool(kernel=3, stride=2),)
    assert space(*pooled, border="floor").contains(net(*pooled, border="warn"))
    assert not space(*pooled, border="floor").contains(net(*pooled, border="pad"))
    assert not space(*pooled).contains(net(*pooled, border="floor"))
    assert space(Conv(4), border="pad").contains(net(Conv(4), border="floor"))


def test_a_network_within_many_encodings_is_found_quickly() -> None:
    """Repetitions nested over overlapping choices: the number of encodings grows exponentially."""
    found = space(Repeat(Repeat(OneOf(CONV, Conv(channels=choice(4, 16))), times=integer(0, 4)), times=integer(1, 4)))
    architecture = net(*[Conv(4)] * 9)
    assert found.decode(found.encode(architecture)).fingerprint == architecture.fingerprint
    assert not found.contains(net(*[Conv(4)] * 17))


def test_deep_networks_are_found() -> None:
    found = space(Repeat(Sequential(CONV, Maybe(Pool(kernel=3, stride=1, padding=1))), times=integer(1, 400)))
    architecture = net(*[Conv(4), Pool(kernel=3, stride=1, padding=1)] * 300)
    assert found.decode(found.encode(architecture)).fingerprint == architecture.fingerprint


def test_many_ways_to_fail_are_not_tried_one_by_one() -> None:
    found = space(*[Maybe(Conv(channels=choice(4, 8))) for _ in range(40)], Conv(16))
    assert found.contains(net(*[Conv(4)] * 20, Conv(16)))
    assert "block 21" in found.why_not(net(*[Conv(4)] * 20, Conv(32)))


def test_search_without_end_is_given_up_in_one_line() -> None:
    """Each shared decision that is taken or not makes another case."""
    found = space(*[Maybe(shared(f"k{i}", Conv(channels=choice(4, 8)))) for i in range(30)], Conv(16))
    with pytest.raises(SpaceError, match="in too many ways to try them all"):
        found.contains(net(*[Conv(4)] * 15, Conv(32)))


def test_branches_that_may_be_left_out() -> None:
    many = Maybe(Conv(channels=choice(*range(1, 60)), kernel=choice(1, 3, 5)))
    found = space(Parallel(many, OneOf(many, Pool(kernel=3, stride=1, padding=1)), Conv(4)))
    for branches in (
        (Conv(4),),
        (Conv(50, 5), Conv(4)),
        (Pool(kernel=3, stride=1, padding=1), Conv(4)),
        (Conv(9), Conv(8, 1), Conv(4)),
    ):
        architecture = net(Parallel(*branches))
        assert found.decode(found.encode(architecture)).fingerprint == architecture.fingerprint
    assert not found.contains(net(Parallel(Conv(9), Conv(5))))


def test_tied_decisions_that_do_not_matter_in_the_first_place() -> None:
    """Where bottleneck is False the expansion is free, and must be chosen so that the tied second place can match."""

    @dataclass(frozen=True)
    class Turned(Block):
        """Uses its second field on small images only."""

        first: int = 1
        second: int = 1

        def expand(self, graph: GraphBuilder, x: Node) -> Node:
            return graph.conv(x, self.first if x.height > 4 else self.second)

    cell = Turned(first=choice(1, 2, 3), second=choice(4, 5, 6))
    found = space(shared("cell", cell), Pool(), shared("cell", cell))
    architecture = net(Conv(2, norm="none", activation="none"), Pool(), Conv(6, norm="none", activation="none"))
    assert found.encode(architecture) == {"@cell.first": 2, "@cell.second": 6}


def test_own_blocks_that_hold_several_blocks() -> None:
    @dataclass(frozen=True)
    class Chain(Block):
        parts: tuple[Block, ...] = ()

        def expand(self, graph: GraphBuilder, x: Node) -> Node:
            for part in self.parts:
                x = part.expand(graph, x)
            return x

    found = space(Chain(parts=(CONV, Maybe(CONV), Inception(width=choice(8, 16)))))
    for genotype in genotypes(found, 100):
        architecture = found.decode(genotype)
        assert found.decode(found.encode(architecture)).fingerprint == architecture.fingerprint
