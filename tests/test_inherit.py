"""A child takes its parent's weights: exact where shapes match, the most important channels where it has fewer of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from nas import Space
from nas.blocks import (
    Block,
    Cell,
    Classifier,
    Conv,
    GraphBuilder,
    Inception,
    InvertedResidual,
    Node,
    Parallel,
    Pool,
    Repeat,
    Residual,
    SeparableConv,
    Sequential,
    SqueezeExcite,
)
from nas.channels import NEW, taken_over
from nas.checkpoint import save_checkpoint
from nas.errors import EvaluationError
from nas.graph import Graph
from nas.inherit import inherit, inherit_file
from nas.module import compile_source
from nas.source import module_names, write_source

torch.set_num_threads(1)


def graph_of(*blocks: Block) -> Graph:
    return Space(Sequential(*blocks), (2, 8, 8), 3).decode({}).graph


def module_of(graph: Graph, seed: int = 0) -> nn.Module:
    """A network in evaluation mode whose every value is drawn, running statistics too."""
    torch.manual_seed(seed)
    module = compile_source(write_source(graph)).eval()
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.rand_like(value) + 0.5 if "var" in name else torch.randn_like(value) * 0.5)
    return module


def scores_of(graph: Graph, seed: int = 5) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return {name: torch.rand(graph.facts[i].shape[0]) for i, name in module_names(graph).items()}


def without_the_rest(module: nn.Module, child: Graph, parent: Graph, scores: Mapping[str, torch.Tensor]) -> int:
    """Zeroes in the parent what the child does not take: rows of kernels, scales and offsets. Returns how many rows that are."""
    names = module_names(parent)
    ranked = {i: scores[name].double().numpy() for i, name in names.items()}
    dropped = 0
    for taken in taken_over(child, parent, None, ranked):
        if taken.rows is None:
            continue
        assert (taken.rows != NEW).all() and len(set(taken.rows.tolist())) == len(taken.rows)
        gone = sorted(set(range(parent.facts[taken.parent].shape[0])) - set(taken.rows.tolist()))
        dropped += len(gone)
        for name, parameter in module.named_parameters():
            if name.startswith(f"{names[taken.parent]}."):
                with torch.no_grad():
                    parameter[gone] = 0
    return dropped


@dataclass(frozen=True)
class Flat(Block):
    """A classifier behind flattened pixels, with a hidden layer."""

    hidden: int

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        y = graph.activation(graph.linear(graph.flatten(x), self.hidden), "relu")
        return graph.linear(y, graph.classes)


PAIRS: dict[str, tuple[list[Block], list[Block]]] = {
    "a chain": (
        [Conv(16, name="a"), Conv(12), Pool("max", 2), Classifier()],
        [Conv(6, name="a"), Conv(5), Pool("max", 2), Classifier()],
    ),
    "no normalisation": ([Conv(8, norm="none", name="a"), Classifier()], [Conv(3, norm="none", name="a"), Classifier()]),
    "a residual sum": (
        [Conv(16), Residual(16), Residual(16, name="second"), Classifier()],
        [Conv(8), Residual(8), Residual(8, name="second"), Classifier()],
    ),
    "a projected shortcut": ([Conv(8), Residual(16), Classifier()], [Conv(4), Residual(6), Classifier()]),
    "bottlenecks": (
        [Conv(16), Residual(32, bottleneck=True), Residual(32, bottleneck=True, name="b"), Classifier()],
        [Conv(8), Residual(16, bottleneck=True), Residual(16, bottleneck=True, name="b"), Classifier()],
    ),
    "concatenation": ([Conv(8), Inception(32), Conv(16, name="c"), Classifier()], [Conv(8), Inception(16), Conv(7, name="c"), Classifier()]),
    "branches of different width": (
        [Parallel(Conv(12), Conv(8, kernel=1)), Conv(16, name="c"), Classifier()],
        [Parallel(Conv(5), Conv(8, kernel=1)), Conv(16, name="c"), Classifier()],
    ),
    "a sum over a concatenation": (
        [Conv(24), Residual(body=Inception(24)), Classifier()],
        [Conv(16), Residual(body=Inception(16)), Classifier()],
    ),
    "depthwise": (
        [Conv(16), SeparableConv(24), InvertedResidual(24, expansion=3), Classifier()],
        [Conv(8), SeparableConv(12), InvertedResidual(12, expansion=3), Classifier()],
    ),
    "attention": ([Conv(16), SqueezeExcite(4), Classifier()], [Conv(8), SqueezeExcite(2), Classifier()]),
    "linear after flattening": ([Conv(8), Pool("avg", 2), Flat(12)], [Conv(3), Pool("avg", 2), Flat(5)]),
    "preactivation": (
        [Conv(16, norm="none", activation="none"), Residual(16, preactivation=True), Classifier()],
        [Conv(8, norm="none", activation="none"), Residual(8, preactivation=True), Classifier()],
    ),
    "a cell": (
        [Conv(16), Cell(Conv(None, kernel=1), nodes=3), Classifier()],
        [Conv(8), Cell(Conv(None, kernel=1), nodes=3), Classifier()],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_a_child_whose_dropped_channels_are_zero_computes_the_same(name: str) -> None:
    parent, child = (graph_of(*blocks) for blocks in PAIRS[name])
    scores, trained, fresh = scores_of(parent), module_of(parent), module_of(child, seed=1)
    if name == "preactivation":  # a zero channel is not zero behind its offset
        for key, value in trained.state_dict().items():
            if key.startswith("bn") and key.endswith(("bias", "running_mean")):
                value.zero_()
    assert without_the_rest(trained, child, parent, scores) > 0
    x = torch.randn(4, 2, 8, 8)
    before = fresh(x)
    share = inherit(fresh, child, parent, trained.state_dict(), scores=scores)
    assert share == 1.0
    assert not torch.allclose(before, trained(x), atol=1e-3)
    assert torch.allclose(fresh(x), trained(x), atol=1e-5)


def test_an_equal_network_is_copied() -> None:
    graph = graph_of(Conv(8), Residual(8), Inception(16), Classifier())
    trained, fresh = module_of(graph), module_of(graph, seed=1)
    assert inherit(fresh, graph, graph, trained.state_dict()) == 1.0
    assert all(torch.equal(a, b) for a, b in zip(trained.state_dict().values(), fresh.state_dict().values(), strict=True))


def test_without_scores_the_largest_kernels_stay() -> None:
    parent, child = graph_of(Conv(4, norm="none"), Classifier()), graph_of(Conv(2, norm="none"), Classifier())
    trained, fresh = module_of(parent), module_of(child, seed=1)
    with torch.no_grad():
        for row, size in enumerate((1.0, 4.0, 2.0, 3.0)):
            trained.conv1.weight[row] = size
    inherit(fresh, child, parent, trained.state_dict())
    assert fresh.conv1.weight[:, 0, 0, 0].tolist() == [4.0, 3.0]
    assert torch.equal(fresh.linear1.weight, trained.linear1.weight[:, [1, 3]])


def test_a_repetition_taken_out_in_the_middle_leaves_the_others_their_weights() -> None:
    parent = graph_of(Repeat(Residual(4), times=3), Classifier())
    child = graph_of(Repeat(Residual(4), times=2), Classifier())
    trained, fresh = module_of(parent), module_of(child, seed=1)
    with torch.no_grad():  # the second one adds nothing
        names = {parent.labels[i]: name for i, name in module_names(parent).items() if name.startswith("bn")}
        getattr(trained, names["repeat[1]"]).weight.zero_()
        getattr(trained, names["repeat[1]"]).bias.zero_()
    x = torch.randn(4, 2, 8, 8)
    inherit(fresh, child, parent, trained.state_dict(), {"repeat[1]": "repeat[2]"})
    assert torch.allclose(fresh(x), trained(x), atol=1e-5)
    inherit(fresh, child, parent, trained.state_dict())
    assert not torch.allclose(fresh(x), trained(x), atol=1e-3)


def test_a_smaller_kernel_is_the_middle() -> None:
    parent, child = graph_of(Conv(3, kernel=5), Classifier()), graph_of(Conv(3, kernel=3), Classifier())
    trained, fresh = module_of(parent), module_of(child, seed=1)
    with torch.no_grad():
        border = torch.ones(5, 5, dtype=torch.bool)
        border[1:4, 1:4] = False
        trained.conv1.weight[:, :, border] = 0
    inherit(fresh, child, parent, trained.state_dict())
    x = torch.randn(4, 2, 8, 8)
    assert torch.allclose(fresh(x), trained(x), atol=1e-5)


def test_what_has_no_model_stays_as_it_is() -> None:
    parent, child = graph_of(Conv(4), Classifier()), graph_of(Conv(4), Conv(6, name="fresh"), Classifier())
    trained, fresh = module_of(parent), module_of(child, seed=1)
    before = {name: value.clone() for name, value in fresh.state_dict().items()}
    share = inherit(fresh, child, parent, trained.state_dict())
    after = fresh.state_dict()
    assert torch.equal(after["conv1.weight"], trained.conv1.weight)
    assert torch.equal(after["conv2.weight"], before["conv2.weight"])
    assert 0 < share < 0.6


def test_more_channels_take_those_there_are() -> None:
    parent, child = graph_of(Conv(4), Classifier()), graph_of(Conv(6), Classifier())
    trained, fresh = module_of(parent), module_of(child, seed=1)
    before = fresh.state_dict()["conv1.weight"].clone()
    inherit(fresh, child, parent, trained.state_dict())
    assert torch.equal(fresh.conv1.weight[:4], trained.conv1.weight)
    assert torch.equal(fresh.conv1.weight[4:], before[4:])


def test_a_checkpoint_holds_scores_beside_the_weights(tmp_path: Path) -> None:
    parent, child = graph_of(Conv(4, norm="none"), Classifier()), graph_of(Conv(1, norm="none"), Classifier())
    trained, fresh = module_of(parent), module_of(child, seed=1)
    file = tmp_path / "parent.safetensors"
    scores = {"conv1": torch.tensor([0.0, 0.0, 1.0, 0.0]), "linear1": torch.ones(3)}
    save_checkpoint(file, trained, torch.optim.SGD(trained.parameters(), lr=0.1), epochs=1, scores=scores)
    inherit_file(fresh, child, parent, file)
    assert torch.equal(fresh.conv1.weight[0], trained.conv1.weight[2])
    with pytest.raises(EvaluationError, match="is not there"):
        inherit_file(fresh, child, parent, tmp_path / "gone.safetensors")
