"""A child takes its parent's weights: exact where shapes match, the most important channels where it has fewer of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from heirs import PAIRS, graph_of, module_of
from torch import nn

from nas.blocks import Classifier, Conv, Inception, Repeat, Residual
from nas.channels import NEW
from nas.checkpoint import save_checkpoint
from nas.errors import EvaluationError
from nas.graph import Graph
from nas.growth import beginning
from nas.inherit import inherit, inherit_file
from nas.source import module_names

torch.set_num_threads(1)


def scores_of(graph: Graph, seed: int = 5) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return {name: torch.rand(graph.facts[i].shape[0]) for i, name in module_names(graph).items()}


def without_the_rest(module: nn.Module, child: Graph, parent: Graph, scores: Mapping[str, torch.Tensor]) -> int:
    """Zeroes in the parent what the child does not take: rows of kernels, scales and offsets. Returns how many rows that are."""
    names = module_names(parent)
    ranked = {i: scores[name].double().numpy() for i, name in names.items()}
    dropped = 0
    for taken in beginning(child, parent, None, ranked).taken:
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
    parent = graph_of(Conv(4), Classifier())
    child = graph_of(Conv(4), Conv(6, name="fresh", activation="silu"), Classifier())
    trained, fresh = module_of(parent), module_of(child, seed=1)
    before = {name: value.clone() for name, value in fresh.state_dict().items()}
    share = inherit(fresh, child, parent, trained.state_dict())
    after = fresh.state_dict()
    assert torch.equal(after["conv1.weight"], trained.conv1.weight)
    assert all(torch.equal(after[name], before[name]) for name in before if name.startswith(("conv2", "bn2")))
    assert 0 < share < 0.6


def test_copies_of_a_channel_share_what_its_reader_gives_it_and_part_ways() -> None:
    parent, child = graph_of(Conv(4), Classifier()), graph_of(Conv(6), Classifier())
    trained, fresh = module_of(parent), module_of(child, seed=1)
    inherit(fresh, child, parent, trained.state_dict(), scores={"conv1": torch.tensor([0.0, 3.0, 1.0, 2.0])})
    assert torch.equal(fresh.conv1.weight[:4], trained.conv1.weight)
    assert torch.equal(fresh.conv1.weight[4:], trained.conv1.weight[[1, 3]])  # the most important ones
    together = fresh.linear1.weight[:, [1, 3]] + fresh.linear1.weight[:, 4:]
    assert torch.allclose(together, trained.linear1.weight[:, [1, 3]])
    ratios = (fresh.linear1.weight[:, 4:] / trained.linear1.weight[:, [1, 3]]).mean(0)
    assert ((ratios > 0.2) & (ratios < 0.8)).all() and (ratios - 0.5).abs().min() > 0.001
    fresh.train()
    torch.nn.functional.cross_entropy(fresh(torch.randn(16, 2, 8, 8)), torch.arange(16) % 3).backward()
    assert not torch.allclose(fresh.conv1.weight.grad[1], fresh.conv1.weight.grad[4], rtol=0.01)


def test_the_seed_says_how_copies_share() -> None:
    parent, child = graph_of(Conv(4), Classifier()), graph_of(Conv(6), Classifier())
    trained = module_of(parent).state_dict()
    found = []
    for seed in (0, 0, 1):
        fresh = module_of(child, seed=1)
        inherit(fresh, child, parent, trained, seed=seed)
        found.append(fresh.linear1.weight)
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_normalisation_that_passes_on_does_so_while_training_too() -> None:
    parent, child = graph_of(Conv(4), Classifier()), graph_of(Conv(4), Conv(4, name="new"), Residual(6), Classifier())
    trained, images = module_of(parent), torch.randn(64, 2, 8, 8)
    differences = []
    for sample in (None, images):
        fresh = module_of(child, seed=1)
        inherit(fresh, child, parent, trained.state_dict(), images=sample)
        with torch.no_grad():
            assert torch.allclose(fresh(images), trained.eval()(images), atol=1e-5)
            differences.append((fresh.train()(images) - trained.train()(images)).abs().max().item())
    assert differences[0] > 0.1 > 1e-3 > differences[1]


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
