"""Importances of a small trained network, against what they are defined as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nas import Space
from nas.blocks import Block, Classifier, Conv, GraphBuilder, Node, Sequential
from nas.data import Dataset, load_data
from nas.graph import Graph, graph_from_json
from nas.images import normaliser, placed
from nas.importance import KINDS, SHARES
from nas.module import compile_source
from nas.ops import Op, Shape
from nas.recipe import Recipe
from nas.scoring import channel_scores
from nas.source import write_source

torch.set_num_threads(1)
RECIPE = Recipe(batch_size=12)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    rng = np.random.default_rng(0)
    splits = {name: (rng.integers(0, 256, (12, 1, 5, 5), dtype=np.uint8), np.arange(12) % 3) for name in ("train", "val", "test")}
    return load_data(splits, cache_dir=tmp_path_factory.mktemp("data"))


def network(*blocks: Block) -> tuple[Graph, nn.Module]:
    graph = Space(Sequential(*blocks), (1, 5, 5), 3).decode({}).graph
    torch.manual_seed(0)
    module = compile_source(write_source(graph)).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    return graph, module


def loss_of(module: nn.Module, dataset: Dataset, off: tuple[str, int] | None = None, scale: float = 1.0) -> float:
    """The loss on all training images; the output channel `off` of a module is multiplied by `scale`."""
    images, labels = (placed(array, torch.device("cpu")) for array in (dataset.images("train"), dataset.labels("train")))
    handle = None
    if off is not None:

        def scaled(part: nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:
            factor = torch.ones(output.shape[1])
            factor[off[1]] = scale
            return output * factor.view(1, -1, *[1] * (output.ndim - 2))

        handle = dict(module.named_modules())[off[0]].register_forward_hook(scaled)
    x = normaliser(dataset, torch.device("cpu"), torch.contiguous_format)(images)
    with torch.no_grad():
        found = F.cross_entropy(module(x), labels).item()
    if handle is not None:
        handle.remove()
    return found


@pytest.mark.parametrize(("norm", "gate"), [("batch", "bn1"), ("none", "conv1")])
def test_taylor_is_the_squared_change_of_the_loss_along_a_gate(dataset: Dataset, norm: str, gate: str) -> None:
    """By finite differences: the loss with a channel a little weaker, behind its normalisation where it has one."""
    graph, module = network(Conv(4, norm=norm), Classifier())
    scores, _ = channel_scores(module, graph, "taylor", dataset, RECIPE)
    step = 1e-2
    for channel in range(4):
        slope = (loss_of(module, dataset, (gate, channel), 1 + step) - loss_of(module, dataset, (gate, channel), 1 - step)) / (
            2 * step
        )
        assert scores["conv1"][channel].item() == pytest.approx(slope**2, rel=0.05, abs=1e-6)


def test_the_weights_before_a_normalisation_say_nothing(dataset: Dataset) -> None:
    """Why the gate lies behind it: twice the kernel is normalised to the same while training."""
    module = network(Conv(4), Classifier())[1]
    module.train()
    images, labels = (placed(array, torch.device("cpu")) for array in (dataset.images("train"), dataset.labels("train")))
    F.cross_entropy(module(normaliser(dataset, torch.device("cpu"), torch.contiguous_format)(images)), labels).backward()
    weight = module.conv1.weight
    assert torch.allclose((weight * weight.grad).flatten(1).sum(1), torch.zeros(4), atol=1e-5)


def test_magnitude_is_relative_to_the_layer(dataset: Dataset) -> None:
    graph, module = network(Conv(3, norm="none"), Classifier())
    with torch.no_grad():
        for row, size in enumerate((1.0, -2.0, 3.0)):
            module.conv1.weight[row] = size
    scores, recorded = channel_scores(module, graph, "magnitude", dataset, RECIPE)
    assert scores["conv1"].tolist() == pytest.approx([0.5, 1.0, 1.5])
    assert recorded["conv1"][SHARES - 1] == 3.0
    assert recorded["conv1"][SHARES:] == [0.1111]  # one of nine weights lies in the middle
    assert len(recorded["linear1"]) == SHARES


def test_the_scale_is_that_of_the_normalisation_behind(dataset: Dataset) -> None:
    graph, module = network(Conv(3), Conv(2, norm="none", name="plain"), Classifier())
    with torch.no_grad():
        module.bn1.weight.copy_(torch.tensor([0.5, -2.0, 0.0]))
    scores, _ = channel_scores(module, graph, "bn-scale", dataset, RECIPE)
    assert scores["conv1"].tolist() == [0.5, 2.0, 0.0]
    assert scores["conv2"].sum().item() == pytest.approx(2)  # none follows: its relative magnitude


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_comes_out_twice_and_the_weights_stay(dataset: Dataset, kind: str) -> None:
    graph, module = network(Conv(4), Conv(None, groups="depthwise", name="deep"), Classifier(dropout=0.5))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    first, second = (channel_scores(module, graph, kind, dataset, Recipe(batch_size=5), seed=3) for _ in range(2))
    assert first[1] == second[1]
    assert set(first[0]) == {"conv1", "conv2", "linear1"}
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())
    assert all((score >= 0).all() for score in first[0].values())


@dataclass(frozen=True)
class Scale(Op):
    """An operation of a user's own: one factor for everything."""

    noun: ClassVar[str] = "scale"
    arity: ClassVar[int] = 1
    helper: ClassVar[str] = (
        "class Scale(nn.Module):\n    def __init__(self) -> None:\n        super().__init__()\n"
        "        self.factor = nn.Parameter(torch.ones(()))\n\n    def forward(self, x):\n        return x * self.factor\n"
    )

    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def params(self, *inputs: Shape) -> int:
        return 1

    def declare(self, *inputs: Shape) -> str:
        return "Scale()"

    def call(self, module: str, *inputs: str) -> str:
        return f"{module}({inputs[0]})"


@dataclass(frozen=True)
class Scaled(Block):
    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        return graph.apply(Scale(), x)


@pytest.mark.parametrize("kind", KINDS)
def test_an_operation_of_ones_own_and_grouped_kernels_matter_too(dataset: Dataset, kind: str) -> None:
    """They are read from the record, where the class is not at hand."""
    graph, module = network(Conv(4), Scaled(), Conv(6, groups=2, name="grouped"), Classifier())
    read = graph_from_json(graph.to_json())
    scores, recorded = channel_scores(module, read, kind, dataset, RECIPE)
    assert set(scores) == {"conv1", "scale1", "conv2", "linear1"}
    assert scores["conv2"].shape == (6,)
    assert scores["scale1"].shape == (4,) and len(set(scores["scale1"].tolist())) == 1
    assert recorded["scale1"][SHARES - 1] > 0
    if kind == "taylor":
        step = 1e-2
        factor = module.scale1.factor
        losses = []
        for value in (1 + step, 1 - step):
            factor.data.fill_(float(value) * 0.5)
            losses.append(loss_of(module, dataset))
        factor.data.fill_(0.5)
        scores, _ = channel_scores(module, read, kind, dataset, RECIPE)
        assert scores["scale1"].sum().item() == pytest.approx(((losses[0] - losses[1]) / (2 * step)) ** 2, rel=0.05, abs=1e-6)


def test_what_is_not_finite_counts_as_nothing(dataset: Dataset) -> None:
    graph, module = network(Conv(2, norm="none"), Classifier())
    with torch.no_grad():
        module.linear1.weight[0, 0] = float("inf")
    _, recorded = channel_scores(module, graph, "taylor", dataset, RECIPE)
    assert all(np.isfinite(numbers).all() for numbers in recorded.values())
