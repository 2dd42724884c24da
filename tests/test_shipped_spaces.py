"""Every shipped space: what is said of 200 sampled networks before a tensor exists is what PyTorch then finds."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nas.blocks import (
    BLOCKS,
    Block,
    Classifier,
    Conv,
    GlobalPool,
    InvertedResidual,
    NasnetCell,
    NasnetStack,
    NasnetStep,
    Pool,
    Residual,
    SeparableConv,
    Sequential,
    Skip,
)  # fmt: skip
from nas.canonical import canonical
from nas.costs import cost_of
from nas.errors import BlockError
from nas.graph import graph_from_json
from nas.library import load_file, load_space, shipped
from nas.notation import space_from_json, space_to_json
from nas.source import module_names, write_source
from nas.space import Architecture, Space
from nas.variation import same

SAMPLES = 200
SHAPES = {"fashion_small": (1, 28, 28)}
spaces = pytest.mark.parametrize("name", sorted(shipped()))


@cache
def _space(name: str) -> Space:
    space = load_space(name)
    return space.bind(space.input_shape or SHAPES.get(name, (3, 32, 32)), space.classes or 10)


@cache
def _samples(name: str) -> tuple[tuple[dict[str, object], Architecture], ...]:
    """Returns 200 feasible networks with their genotypes."""
    space, rng = _space(name), np.random.default_rng(0)
    found: list[tuple[dict[str, object], Architecture]] = []
    for _ in range(20 * SAMPLES):
        genotype = space.sample(rng)
        architecture = space.decode(genotype)
        try:
            _ = architecture.graph
        except BlockError:
            continue
        found.append((dict(genotype), architecture))
        if len(found) == SAMPLES:
            return tuple(found)
    raise AssertionError(f"{name}: fewer than one sample in twenty is feasible")


@spaces
def test_each_space_says_what_it_is(name: str) -> None:
    space = _space(name)
    text = shipped()[name].read_text(encoding="utf-8")
    assert text.startswith('"""')
    size = space.size()
    assert isinstance(size, int) and size > 10**4
    assert f"{size:,}" in text, f"the head of {name}.py should say its size, {size:,} genotypes"


@spaces
def test_graphs_genotypes_and_descriptions_survive_their_journeys(name: str) -> None:
    space = _space(name)
    read = space_from_json(space_to_json(space))
    assert read == space and read.size() == space.size() and list(read.decisions()) == list(space.decisions())
    for genotype, architecture in _samples(name):
        graph = architecture.graph
        graph.lint()
        architecture.written.lint()
        again = graph_from_json(graph.to_json())
        assert (again.ops, again.inputs, again.labels, again.output, again.facts, again.notes) == (
            graph.ops, graph.inputs, graph.labels, graph.output, graph.facts, graph.notes,
        )  # fmt: skip
        assert canonical(again)[1] == architecture.fingerprint
        assert genotype.keys() <= space.decisions().keys()
        wire = {path: tuple(v) if isinstance(v, list) else v for path, v in json.loads(json.dumps(genotype)).items()}
        assert same(wire, genotype) and read.decode(wire).fingerprint == architecture.fingerprint
        closed = space_from_json(space_to_json(architecture))
        assert closed.size() == 1 and closed.decode({}).fingerprint == architecture.fingerprint


@spaces
def test_encoding_gives_back_the_network(name: str) -> None:
    space = _space(name)
    for genotype, architecture in _samples(name)[:60]:
        encoded = space.encode(architecture)
        assert space.decode(encoded).fingerprint == architecture.fingerprint, genotype


CONTAINED = {
    "vgg_like": (["vgg-a", "vgg-a-lrn", "vgg-b", "vgg-c", "vgg-d", "vgg-e"], (1, 28, 28)),
    "resnet_like": (
        [f"cifar-resnet-{depth}{suffix}" for depth in (20, 32, 44, 56, 110) for suffix in ("", "-b")]
        + [f"resnet-{depth}" for depth in (18, 34, 50, 101, 152)],
        (1, 28, 28),
    ),
    "inception_like": (["googlenet", "googlenet-torchvision"], (3, 64, 64)),
}
"""Classics by the space that contains them, and images on which they stand."""


def _is_found(space: Space, net: Architecture) -> None:
    assert space.contains(net), space.why_not(net)
    assert space.decode(space.encode(net)).fingerprint == net.fingerprint


@pytest.mark.parametrize(("name", "classic"), [(name, classic) for name, (nets, _) in CONTAINED.items() for classic in nets])
def test_spaces_contain_their_classics(name: str, classic: str) -> None:
    folder, shape = shipped()[name].parent / "classic", CONTAINED[name][1]
    found = [nets[classic] for file in sorted(folder.glob("*.py")) if classic in (nets := load_file(file).NETWORKS)]
    assert len(found) == 1
    _is_found(load_space(name).bind(shape, 7), replace(found[0], input_shape=shape, classes=7).decode({}))


def test_a_small_mobilenet_is_contained() -> None:
    """The plan of Sandler et al. 2018, table 2, for small images: t, c, n, s."""
    blocks = [
        InvertedResidual(c, stride=s if i == 0 else 1, expansion=t)
        for t, c, n, s in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 2, 2), (6, 96, 1, 1))
        for i in range(n)
    ]
    body = Sequential(Conv(32), *blocks, Conv(1280, 1, activation="relu6", name="last"), Classifier(dropout=0.2))
    _is_found(load_space("mobile_like").bind((3, 32, 32), 10), Space(body, (3, 32, 32), 10).decode({}))


def test_nasnet_a_is_contained() -> None:
    """Zoph et al. 2018, figure 4: 0 is the cell before the last, 1 the last."""

    def sep(kernel: int) -> Block:
        return SeparableConv(None, kernel, order="act-conv-norm", twice=True)

    same, mean, largest = Skip(), Pool("avg", 3, 1, "same"), Pool("max", 3, 1, "same")
    normal = NasnetCell(
        NasnetStep(1, sep(5), 0, sep(3)), NasnetStep(0, sep(5), 0, sep(3)), NasnetStep(1, mean, 0, same),
        NasnetStep(0, mean, 0, mean), NasnetStep(1, sep(3), 1, same),
    )  # fmt: skip
    reduction = NasnetCell(
        NasnetStep(1, sep(5), 0, sep(7)), NasnetStep(1, largest, 0, sep(7)), NasnetStep(1, mean, 0, sep(5)),
        NasnetStep(3, same, 2, mean), NasnetStep(2, sep(3), 1, largest),
    )  # fmt: skip
    body = Sequential(Conv(32, activation="none"), NasnetStack(normal, reduction, channels=8, repeats=2, stages=3), Classifier())
    space = load_space("nasnet_cells").bind((1, 28, 28), 10)
    net = Space(body, (1, 28, 28), 10).decode({})
    _is_found(space, net)
    assert space.encode(net)["cells.reduction.step4.right.block"] == "max3x3"
    stem = Space(Sequential(Conv(33, activation="none"), *body.blocks[1:]), (1, 28, 28), 10).decode({})
    assert "channels is choice(8, 16, 32), the network has 33" in space.why_not(stem)


def test_the_mixed_space_has_every_block() -> None:
    assert {type(block).__name__ for block in load_space("mixed").body.walk()} == set(BLOCKS) - {"Scaled", "Resize"}  # no kinds
    residual = [Residual(c, stride=s) for c, s in ((16, 1), (16, 1), (32, 2), (32, 1), (64, 2), (64, 1))]
    body = Sequential(Conv(16, name="stem"), *residual, GlobalPool(), Classifier(pool="none"))
    _is_found(load_space("mixed").bind((3, 32, 32), 10), Space(body, (3, 32, 32), 10).decode({}))


OUTSIDE = """
import sys, types
import numpy as np
import torch

torch.set_num_threads(1)
folder, count = sys.argv[1], int(sys.argv[2])
image = torch.from_numpy(np.load(f"{folder}/image.npy"))
found = []
for i in range(count):
    module = types.ModuleType(f"net{i}")
    with open(f"{folder}/net{i}.py", encoding="utf-8") as file:
        exec(compile(file.read(), file.name, "exec"), module.__dict__)
    torch.manual_seed(i)
    network = module.Network().eval()
    with torch.no_grad():
        found.append(network(image).numpy())
assert not any(name.split(".")[0] == "nas" for name in sys.modules)
np.save(f"{folder}/outputs.npy", np.stack(found))
"""
"""Runs exported files where this package cannot be imported."""


@pytest.mark.slow
@spaces
def test_torch_finds_the_same_shapes_costs_and_outputs(name: str, tmp_path: Path) -> None:
    """The exported text runs in a process of its own; here the graph is evaluated node by node with equal weights, and measured."""
    import torch
    from interpreter import values
    from torch.utils.flop_counter import FlopCounterMode

    from nas.module import compile_source

    torch.set_num_threads(1)
    shape = _space(name).input_shape
    assert shape is not None
    image = np.random.default_rng(0).standard_normal((1, *shape)).astype(np.float32)
    np.save(tmp_path / "image.npy", image)
    graphs = [architecture.graph for _, architecture in _samples(name)]
    for i, graph in enumerate(graphs):
        (tmp_path / f"net{i}.py").write_text(write_source(graph), encoding="utf-8")
    command = [sys.executable, "-I", "-c", OUTSIDE, str(tmp_path), str(len(graphs))]
    expected = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as outside:
        for i, graph in enumerate(graphs):
            torch.manual_seed(i)
            module = compile_source(write_source(graph)).eval()
            parts = {j: getattr(module, attribute) for j, attribute in module_names(graph).items()}
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                found = values(graph, torch.from_numpy(image), parts)
            cost = cost_of(graph)
            assert [tuple(value.shape[1:]) for value in found] == [facts.shape for facts in graph.facts]
            assert counter.get_total_flops() == cost.flops == 2 * cost.macs
            assert sum(p.numel() for p in module.parameters()) == cost.params
            assert 4 * sum(p.numel() for p in (*module.parameters(), *module.buffers())) == cost.weight_bytes
            for j, part in parts.items():
                assert sum(p.numel() for p in part.parameters()) == graph.facts[j].params
                assert sum(p.numel() for p in part.buffers()) == graph.facts[j].buffers
            expected.append(found[graph.output].numpy())
        _, errors = outside.communicate(timeout=300)
    assert outside.returncode == 0, errors
    np.testing.assert_allclose(np.load(tmp_path / "outputs.npy"), np.stack(expected), rtol=1e-5, atol=1e-5)


def test_the_known_size_of_fashion_small() -> None:
    space = _space("fashion_small")
    assert space.size() == 16_397_004_358_499_400
    assert len(space.decisions()) == 83
