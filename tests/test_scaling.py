"""Networks made deeper and wider: published figures, figures by hand, samples of the shipped spaces, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import nas
from nas.blocks import Block, Classifier, Conv, GraphBuilder, Node, Pool, Repeat, Residual, Scaled, Sequential
from nas.costs import Cost, cost_of
from nas.domains import Choice, Genotype, choice, integer
from nas.errors import BlockError, NasError, SpaceError
from nas.library import networks, shipped
from nas.notation import space_from_json, space_to_json
from nas.scaling import scaling
from nas.space import Architecture, Space


def scaled(network: str | Space | Architecture, repeats: float = 1, width: float = 1) -> Architecture:
    return nas.scale(network, repeats, width).decode({})


# ---- figures


@pytest.mark.parametrize("option", ["", "-b"])
@pytest.mark.parametrize(("small", "repeats", "large"), [(20, 3, 56), (20, 6, 110), (32, 1.4, 44), (110, 1 / 6, 20)])
def test_residual_networks_become_one_another(small: int, repeats: float, large: int, option: str) -> None:
    """3, 5, 7, 9 and 18 blocks a stage: He et al. 2015, section 4.2."""
    known = networks()[f"cifar-resnet-{large}{option}"].decode({})
    assert scaled(f"cifar-resnet-{small}{option}", repeats).fingerprint == known.fingerprint


def test_the_notation_does_not_matter() -> None:
    """A stage written as its first block and a repetition of the others is the same stage."""
    space = nas.load_space("resnet_like").bind((3, 32, 32), 10)
    found = space.decode(space.encode(networks()["cifar-resnet-20"].decode({})))
    assert cost_of(scaled(found, 3).graph).params == 853_018
    assert scaled(found, 3).fingerprint == networks()["cifar-resnet-56"].decode({}).fingerprint


def vgg_params(stages: list[tuple[int, int]], hidden: int) -> int:
    """Returns the parameters of stages of (convolutions, channels) on 224 x 224 pixels, with biases, by hand."""
    total, below = 0, 3
    for depth, channels in stages:
        for _ in range(depth):
            total, below = total + (9 * below + 1) * channels, channels
    return total + (49 * below + 1) * hidden + (hidden + 1) * hidden + (hidden + 1) * 1000


@pytest.mark.parametrize(
    ("repeats", "width", "depths"),
    [(1, 1, (1, 1, 2, 2, 2)), (2, 1, (1, 1, 4, 4, 4)), (3, 0.5, (1, 1, 6, 6, 6)), (1, 2, (1, 1, 2, 2, 2))],
)
def test_vgg_has_the_parameters_of_its_layers(repeats: float, width: float, depths: tuple[int, ...]) -> None:
    channels = [round(c * width) for c in (64, 128, 256, 512, 512)]
    expected = vgg_params(list(zip(depths, channels, strict=True)), round(4096 * width))
    assert cost_of(scaled("vgg-a", repeats, width).graph).params == expected


@pytest.mark.parametrize(("op", "each"), [("nor_conv_1x1", 28_000), ("nor_conv_3x3", 243_040), ("skip_connect", 0)])
@pytest.mark.parametrize("repeats", [1, 3])
def test_the_cells_of_nasbench201_are_stacked(op: str, each: int, repeats: int) -> None:
    """Five cells a stage are 73,306 parameters, and so many for each edge (Dong and Yang 2020); the edges alone grow."""
    space = nas.load_space("nasbench201").bind((3, 32, 32), 10)
    net = space.decode(dict.fromkeys(space.decisions(), op))
    assert cost_of(scaled(net, repeats).written).params == 73_306 + 6 * each * repeats


def test_a_found_stack_is_the_larger_stack() -> None:
    space = nas.load_space("nasnet_cells").bind((3, 32, 32), 10)
    genotype = space.sample(np.random.default_rng(0))
    small, large = ({**genotype, "cells.repeats": n, "cells.channels": c, "stem.channels": 4 * c} for n, c in ((1, 4), (2, 8)))
    assert scaled(space.decode(small), 2, 2).fingerprint == space.decode(large).fingerprint


# ---- laws


@pytest.mark.parametrize("name", networks())
def test_scaled_by_one_it_is_the_same(name: str) -> None:
    assert scaled(name).fingerprint == networks()[name].decode({}).fingerprint


@cache
def opened(name: str) -> Space:
    space = nas.load_space(name)
    return space.bind(space.input_shape or (1, 28, 28), space.classes or 10)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@example(name="nasnet_cells", seed=0, repeats=1.5)
@given(name=st.sampled_from(sorted(shipped())), seed=st.integers(0, 2**32 - 1), repeats=st.sampled_from([1, 1.5, 2, 3]))
def test_samples_of_shipped_spaces_can_be_scaled(name: str, seed: int, repeats: float) -> None:
    space = opened(name)
    genotype = space.sample(np.random.default_rng(seed))
    net = space.decode(genotype)
    try:
        was = cost_of(net.graph)
    except BlockError:
        return
    assert scaled(net).fingerprint == net.fingerprint
    wide = cost(scaled(net, width=2))
    assert wide.params > was.params and wide.macs > was.macs and wide.depth == was.depth
    try:
        found = scaling(net, repeats)
    except SpaceError as error:
        assert "nothing in architecture is repeated" in str(error)
        return
    deep = found.space.decode({})
    now = cost(deep)
    if reads_the_cell_before(genotype):
        assert now.params >= was.params and now.macs >= was.macs and now.depth >= was.depth
        assert repeats == 1 or now.depth > was.depth or name == "nasbench201"  # a cell may hold no convolution
    assert all(few.after >= few.before * repeats for few, _ in found.grown)
    read = space_from_json(space_to_json(found.space))
    assert read == found.space and read.decode({}).fingerprint == deep.fingerprint
    assert scaled(scaled(net, repeats), 1).fingerprint == deep.fingerprint


def reads_the_cell_before(genotype: Genotype) -> bool:
    """Whether no cell of a stack goes unread: normal cells that take only the output of the last but one leave out every second."""
    chosen = [value for path, value in genotype.items() if ".normal." in path and path.endswith("_input")]
    return not chosen or 1 in chosen


def cost(net: Architecture) -> Cost:
    return cost_of(net.graph)


# ---- as a space


STAGE = Sequential(Residual(8, stride=2), Residual(8))
SMALL = Space(Sequential(Conv(8), STAGE, Classifier()), (3, 16, 16), 4, border="floor", name="small")


def test_the_scaled_network_is_a_space_with_nothing_open() -> None:
    found = nas.scale(SMALL, 2, 1.5, input_shape=(3, 32, 48), classes=7)
    assert (found.input_shape, found.classes, found.border, found.size()) == ((3, 32, 48), 7, "floor", 1)
    assert found.body == Sequential(
        Conv(12),
        Sequential(Residual(12, stride=2), Repeat(Residual(12), 3, tied=True, name="residual2"), labels=("residual", "residual2")),
        Classifier(),
    )


def test_a_decision_can_be_opened_in_its_file() -> None:
    text = space_to_json(nas.scale(SMALL, 2)).decode().replace('"times":3', '"times":{"integer":[1,3]}')
    space = space_from_json(text)
    assert dict(space.decisions()) == {"sequential.residual2.times": integer(1, 3)}
    genotypes = [{"sequential.residual2.times": n} for n in (1, 3)]
    assert [space.decode(g).fingerprint for g in genotypes] == [scaled(SMALL).fingerprint, scaled(SMALL, 2).fingerprint]


def test_several_values_are_a_space_of_frozen_cells() -> None:
    found = scaling(SMALL, choice(1, 2, 3), choice(1.0, 1.5))
    space = found.space
    assert space.size() == 6 and list(space.decisions()) == ["scaled.repeats", "scaled.width"]
    assert space_from_json(space_to_json(space)) == space
    for (repeats, width), net in found.scaled.items():
        assert net.fingerprint == scaled(SMALL, repeats, width).fingerprint
        assert net.fingerprint == space.decode({"scaled.repeats": repeats, "scaled.width": width}).fingerprint
    assert [(few.path, few.before, few.after, many.after) for few, many in found.grown] == [("sequential.residual", 2, 2, 6)]
    deeper = nas.scale(space.decode({"scaled.repeats": 2, "scaled.width": 1.5}), 2)  # what a search in it finds
    assert deeper.decode({}).fingerprint == scaled(SMALL, 4, 1.5).fingerprint
    assert dict(nas.scale(SMALL, choice(1, 2)).decisions()) == {"scaled.repeats": Choice((1, 2))}


def test_python_spaces_of_ones_own_blocks() -> None:
    @dataclass(frozen=True)
    class Own(Block):
        channels: int = 4

        def expand(self, graph: GraphBuilder, x: Node) -> Node:
            return graph.conv(x, self.channels)

    space = replace(SMALL, body=Sequential(Repeat(Own(), 2), Classifier()))
    assert nas.scale(space, 2, 2).body == Sequential(Repeat(Own(8), 4, tied=True), Classifier())


# ---- what is refused


@pytest.mark.parametrize(
    ("repeats", "width", "said"),
    [
        (0, 1, "repeats is 0, expected numbers above 0"),
        (1, -1, "width is -1, expected numbers above 0"),
        (float("nan"), 1, "repeats is nan"),
        (True, 1, "repeats is True"),
        ("3", 1, "repeats is '3'"),
        (1, 2000, "width is 2000, expected numbers above 0, at most 1,000"),
        (choice(1, 0), 1, r"repeats is choice\(1, 0\)"),
        (700, 1, "sequential.residual would be repeated 1,400 times, expected at most 1,000"),
    ],
)
def test_factors_that_make_no_sense(repeats: float, width: float, said: str) -> None:
    with pytest.raises(NasError, match=said):
        nas.scale(SMALL, repeats, width)


def test_where_nothing_is_repeated() -> None:
    with pytest.raises(SpaceError, match=r"nothing in lenet-5 is repeated, so repeats=2 cannot be applied.*scale its width alone"):
        nas.scale("lenet-5", 2)
    assert cost_of(scaled("lenet-5", width=2).graph).params > 4 * 50_000


def test_what_cannot_stand_in_the_scaled_network_is_named_with_its_place_and_shape() -> None:
    shrinking = replace(SMALL, body=Sequential(Repeat(Conv(4, 5, padding="valid"), 2, name="convs"), Classifier()))
    with pytest.raises(BlockError, match=r"with repeats=2 and width=1: convs\[3\]: Conv\(.*\) cannot be applied to \(4, 4, 4\)"):
        nas.scale(shrinking, 2)
    with pytest.raises(BlockError, match=r"with repeats=2 and width=1: scaled\.convs\[3\]: Conv\("):
        nas.scale(shrinking, choice(1, 2))
    pooled = replace(SMALL, body=Sequential(*[Pool()] * 4, Repeat(Conv(4), 1), Classifier()), border="error")
    with pytest.raises(BlockError, match=r"pool3: Pool\(.*cannot be applied to \(3, 3, 3\)"):
        nas.scale(pooled, 2, input_shape=(3, 12, 12))


def test_a_graph_alone_does_not_tell_what_repeats(tmp_path: Path) -> None:
    file = tmp_path / "net.json"
    file.write_bytes(networks()["lenet-5"].decode({}).graph.to_json())
    with pytest.raises(SpaceError, match=r"net is known by its graph alone.*name the space, the classic network or the run"):
        nas.scale(file, 2)
    with pytest.raises(SpaceError, match=r"fashion_small is a space of .*draw one with --sample"):
        nas.scale("fashion_small", 2)
    assert nas.scale("fashion_small", 2, sample=1).size() == 1


def test_factors_inside_the_block_are_checked_where_they_are_closed() -> None:
    with pytest.raises(BlockError, match=r"scaled: .*repeats is 0"):
        _ = replace(SMALL, body=Scaled(SMALL.body, repeats=choice(0, 1))).decode({"scaled.repeats": 0}).graph
