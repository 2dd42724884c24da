"""Families that are not shipped, each in a user's file of at most 60 lines: DenseNet (the worked example), SqueezeNet, MobileNetV2."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

import nas
from nas.addresses import find_network
from nas.costs import cost_of
from nas.library import load_object, load_space, own_blocks

DENSENET = Path(__file__).parents[1] / "scripts" / "densenet.py"
FAMILIES = Path(__file__).parent / "families"

# parameters to the integer, and multiply-adds in millions, as torchvision's documentation has them
KNOWN = {
    f"{DENSENET}:densenet_121": (7_978_856, 2834),
    f"{DENSENET}:densenet_169": (14_149_480, 3360),
    f"{FAMILIES / 'squeezenet.py'}": (1_248_424, 819),
    f"{FAMILIES / 'mobilenet_v2.py'}": (3_504_872, 301),
}
networks = pytest.mark.parametrize("address", KNOWN, ids=lambda address: Path(address).name)


@networks
def test_published_figures(address: str) -> None:
    params, macs = KNOWN[address]
    network = find_network(address)
    for graph in (network.written, network.graph):
        cost = cost_of(graph)
        assert cost.params == params
        assert round(cost.macs / 1e6) == macs


@networks
def test_at_most_60_lines_and_nothing_but_what_is_public(address: str) -> None:
    text = Path(address.partition(".py")[0] + ".py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    imported = {node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}
    assert imported <= {"__future__", "dataclasses", "nas", "nas.blocks"}


@networks
def test_the_compiled_module_has_as_many(address: str) -> None:
    from meta import module_figures

    graph = find_network(address).graph
    cost = cost_of(graph)
    assert module_figures(graph) == ((1, *graph.output_shape), cost.params, cost.flops)


def test_the_worked_example_is_a_space_too(tmp_path: Path) -> None:
    space = load_space(DENSENET).bind((1, 28, 28), 10)
    assert set(own_blocks(space)) == {"DenseLayer", "Transition"}
    rng = np.random.default_rng(0)
    for genotype in (space.sample(rng) for _ in range(20)):
        assert nas.build_graph(space, genotype).output_shape == (10,)
    small = find_network(f"{DENSENET}:small", input_shape=(1, 28, 28), classes=10)
    assert small.architecture is not None and space.contains(small.architecture)
    run = nas.search(space, evaluator=lambda a: {"val_accuracy": 1 / len(a.graph)}, evaluations=5, out=tmp_path / "run")
    assert len(run.trials()) == 5


def test_the_worked_example_trains() -> None:
    import torch

    torch.set_num_threads(1)
    module = nas.compile(load_object(f"{DENSENET}:small"), input_shape=(1, 28, 28), classes=10)
    images, labels = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.arange(4)
    torch.nn.functional.cross_entropy(module(images), labels).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in module.parameters())
