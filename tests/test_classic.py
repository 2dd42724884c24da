"""The classic networks: every published figure to the integer, for graphs and for modules, and what becomes of other images."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest

import nas
from nas.addresses import find_network
from nas.blocks import Conv
from nas.canonical import canonical
from nas.cli import main
from nas.costs import cost_of, receptive_fields
from nas.errors import BlockError
from nas.graph import Graph
from nas.library import load_file, networks, papers
from nas.notation import space_from_json, space_to_json
from nas.ops import Conv2d, Dropout, Linear, LocalResponseNorm, Pool2d

CLASSIC = Path(__file__).parents[1] / "search_spaces" / "classic"

# Trainable values and multiply-adds of convolutions and linear layers for one image of the network's own size; None where no
# integer is published. VGG, ResNet and the variants of torchvision: its documentation; CIFAR: the 0.27M to 1.7M of He et al.
# 2015, table 6, as counted by their re-implementations; GoogLeNet: BVLC's Caffe model without auxiliary heads.
OPTION_B = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
"""Trainable values of two projections with their normalisation."""

FIGURES: dict[str, tuple[int, int | None]] = {
    "lenet-5": (61_706, 416_520),
    "alexnet": (62_378_344, None),
    "alexnet-torchvision": (61_100_840, 714_188_480),
    "alexnet-2012": (60_965_224, 724_406_816),
    "vgg-a": (132_863_336, 7_609_090_048),
    "vgg-a-lrn": (132_863_336, 7_609_090_048),
    "vgg-b": (133_047_848, None),
    "vgg-c": (138_357_544 - 8 * (256**2 + 2 * 512**2), None),
    "vgg-d": (138_357_544, 15_470_264_320),
    "vgg-e": (143_667_240, 19_632_062_464),
    "googlenet": (6_998_552, None),
    "googlenet-torchvision": (6_624_904, 1_498_376_192),
    "resnet-18": (11_689_512, 1_814_073_344),
    "resnet-34": (21_797_672, None),
    "resnet-50": (25_557_032, 4_089_184_256),
    "resnet-101": (44_549_160, None),
    "resnet-152": (60_192_808, None),
    "cifar-resnet-20": (269_722, None),
    "cifar-resnet-32": (464_154, None),
    "cifar-resnet-44": (658_586, None),
    "cifar-resnet-56": (853_018, None),
    "cifar-resnet-110": (1_727_962, None),
    "cifar-resnet-20-b": (272_474, None),
    "cifar-resnet-32-b": (464_154 + OPTION_B, None),
    "cifar-resnet-44-b": (658_586 + OPTION_B, None),
    "cifar-resnet-56-b": (855_770, None),
    "cifar-resnet-110-b": (1_727_962 + OPTION_B, None),
}

GIGA = {"vgg-b": 11.308, "resnet-34": 3.664, "resnet-101": 7.801, "resnet-152": 11.514}
"""Multiply-adds as torchvision's documentation rounds them."""

names = pytest.mark.parametrize("name", FIGURES)


@cache
def graph_of(name: str) -> Graph:
    return find_network(name).graph


def test_the_names() -> None:
    assert list(networks()) == list(papers()) and set(networks()) == set(FIGURES)
    assert all(space.name == name and not space.decisions() for name, space in networks().items())
    assert all("et al." in paper or "Simonyan and Zisserman" in paper for paper in papers().values())


def test_they_are_listed_with_what_they_cost_and_their_paper(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "networks", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {name: about["params"] for name, about in listed.items()} == {name: params for name, (params, _) in FIGURES.items()}
    assert all(listed[name]["macs"] == macs for name, (_, macs) in FIGURES.items() if macs)
    assert main(["list", "networks"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(FIGURES) and max(map(len, lines)) <= 120
    (line,) = [line for line in lines if line.startswith("vgg-d ")]
    assert "138,357,544" in line and line.endswith("VGG (Simonyan and Zisserman 2014, table 1)")


@names
def test_published_figures(name: str) -> None:
    params, macs = FIGURES[name]
    network = find_network(name)
    for graph in (network.written, network.graph):
        cost = cost_of(graph)
        assert cost.params == params and cost.flops == 2 * cost.macs
        assert macs is None or cost.macs == macs
    assert network.graph.output_shape == (networks()[name].classes,)
    assert not network.written.notes
    if name in GIGA:
        assert round(cost_of(network.graph).macs / 1e9, 3) == GIGA[name]


@names
def test_the_compiled_module_has_them_too(name: str) -> None:
    from meta import module_figures

    graph = graph_of(name)
    cost = cost_of(graph)
    assert module_figures(graph, images=2) == ((2, *graph.output_shape), cost.params, 2 * cost.flops)


@names
def test_they_are_written_and_read(name: str) -> None:
    space = networks()[name]
    assert space_from_json(space_to_json(space)) == space
    assert canonical(graph_of(name))[1] == nas.fingerprint(name)


# ---- what the papers say beyond sums


def field(graph: Graph, node: int) -> int:
    vertical, horizontal = receptive_fields(graph)[node]
    assert vertical.size == horizontal.size
    return vertical.size


def last(graph: Graph, kind: type) -> int:
    return max(i for i, op in enumerate(graph.ops) if isinstance(op, kind))


def test_receptive_fields() -> None:
    """Araujo et al. 2019, "Computing Receptive Fields of Convolutional Neural Networks", table 1, with ResNet's both ways."""
    assert field(graph_of("vgg-d"), last(graph_of("vgg-d"), Pool2d)) == 212
    assert field(graph_of("alexnet"), last(graph_of("alexnet"), Pool2d)) == 195
    resnet = load_file(CLASSIC / "resnet.py").resnet
    fields = {at: nas.build_graph(resnet(50, stride_at=at)) for at in ("middle", "first")}
    assert {at: field(graph, last(graph, Conv2d)) for at, graph in fields.items()} == {"middle": 427, "first": 483}
    assert nas.cost(fields["middle"]).params == nas.cost(fields["first"]).params
    assert nas.cost(fields["first"]).macs == 3_857_973_248  # "3.8 x 10^9" in the paper's table 1
    assert nas.fingerprint(fields["middle"]) == nas.fingerprint("resnet-50")


def test_activations_of_vgg_d() -> None:
    """What the lecture adds up for VGG-16: 15.2M values and 138M parameters; conv3-64 on RGB has 1,728 weights."""
    from nas.table import layer_table

    rows = layer_table(graph_of("vgg-d"))
    assert sum(row["values"] for row in rows) == 15_237_608 and sum(row["weights"] for row in rows) == 138_344_128
    assert [row["weights"] for row in rows if row["weights"]] == [
        1_728, 36_864, 73_728, 147_456, 294_912, 589_824, 589_824, 1_179_648, *[2_359_296] * 5, 102_760_448, 16_777_216, 4_096_000,
    ]  # fmt: skip
    assert [row["label"] for row in rows if row["exceeds_input"]] == ["classifier.fc1", "classifier.fc2", "classifier.fc3"]


def test_normalisation_and_dropout_stand_where_the_papers_have_them() -> None:
    for name, before in (("alexnet", "Pool2d"), ("alexnet-2012", "Activation"), ("vgg-a-lrn", "Activation"), ("googlenet", None)):
        graph = graph_of(name)
        found = [
            type(graph.ops[graph.inputs[i][0]]).__name__ for i, op in enumerate(graph.ops) if isinstance(op, LocalResponseNorm)
        ]
        assert found == ([before] * (1 if name == "vgg-a-lrn" else 2) if before else ["Pool2d", "Activation"])
    for name, dropped in (("alexnet-2012", [4096, 4096]), ("alexnet-torchvision", [9216, 4096]), ("vgg-d", [4096, 4096])):
        graph = graph_of(name)
        assert [facts.shape[0] for op, facts in zip(graph.ops, graph.facts, strict=True) if isinstance(op, Dropout)] == dropped
        assert sum(isinstance(op, Linear) for op in graph.ops) == 3


def test_alexnet_takes_the_papers_224_pixels_with_padding() -> None:
    graph = nas.build_graph("alexnet-2012", input_shape=(3, 224, 224))
    assert graph.facts[last(graph, Pool2d)].shape == (256, 6, 6) and nas.cost(graph).params == 60_965_224


# ---- other images

TOO_SMALL = {
    "alexnet": r"pool3: Pool\(kernel=3, stride=2\) cannot be applied to \(256, 1, 1\)",
    "alexnet-2012": r"pool3: Pool\(kernel=3, stride=2\) cannot be applied to \(256, 1, 1\)",
    "alexnet-torchvision": r"pool2: Pool\(kernel=3, stride=2\) cannot be applied to \(192, 2, 2\)",
    "googlenet": r"stage4\.pool: Pool\(kernel=3, stride=2\) cannot be applied to \(832, 1, 1\)",
    "googlenet-torchvision": r"stage4\.pool: Pool\(\) cannot be applied to \(832, 1, 1\)",
}
"""Those that cannot be made for 28 x 28 pixels: block, path and shape that the message names."""

QUICK = ("lenet-5", "cifar-resnet-20", "cifar-resnet-32-b", "resnet-18")
"""Small ones of those that can; the others take a step where slow tests are run."""


@names
def test_made_for_28_x_28_grey_images_in_ten_classes(name: str) -> None:
    if name in TOO_SMALL:
        with pytest.raises(BlockError, match=f"^{TOO_SMALL[name]}: pooling with kernel . does not fit") as caught:
            find_network(name, input_shape=(1, 28, 28), classes=10)
        assert "\n" not in str(caught.value)
        return
    graph = find_network(name, input_shape=(1, 28, 28), classes=10).graph
    assert (graph.input_shape, graph.output_shape) == ((1, 28, 28), (10,))
    own = [(type(op), op) for op in graph_of(name).ops if isinstance(op, Conv2d)]
    assert sorted(map(repr, own)) == sorted(repr((type(op), op)) for op in graph.ops if isinstance(op, Conv2d))


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in FIGURES if n not in TOO_SMALL]
)
def test_a_step_of_training(name: str) -> None:
    import torch

    torch.set_num_threads(1)
    module = nas.compile(name, input_shape=(1, 28, 28), classes=10)
    images, labels = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.arange(4)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.01)
    before = [p.detach().clone() for p in module.parameters()]
    torch.nn.functional.cross_entropy(module(images), labels).backward()
    optimiser.step()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in module.parameters())
    moved = [not torch.equal(old, new) for old, new in zip(before, module.parameters(), strict=True)]
    assert any(moved)  # not all: the first steps hardly reach the lowest layers of VGG-C to E, as their authors found


def test_a_family_of_ones_own_stands_beside_them(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from nas.blocks import Classifier, Conv, Sequential\nnet = Sequential(Conv(8), Classifier())\n", encoding="utf-8"
    )
    found = find_network(f"{tmp_path / 'mine.py'}:net", input_shape=(1, 28, 28), classes=10)
    assert found.architecture is not None and isinstance(next(iter(found.architecture.body.children())), Conv)
    assert re.fullmatch(r"[0-9a-f]{32}", found.fingerprint)
