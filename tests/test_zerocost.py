"""Zero-cost scores: small networks by hand, what must not change them, and what has no score."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas import Space
from nas.blocks import Block, Classifier, Conv, GraphBuilder, Node, Sequential
from nas.data import load_data
from nas.module import compile_source
from nas.ops import Op, Shape
from nas.source import write_source
from nas.zerocost import NoScore, agreement, jacob_cov, minibatch, naswot, synflow, zero_cost_scores

torch.set_num_threads(1)


def network(*blocks: Block, seed: int = 0) -> nn.Module:
    graph = Space(Sequential(*blocks, Classifier()), (1, 6, 6), 3).decode({}).graph
    torch.manual_seed(seed)
    return compile_source(write_source(graph))


def images(count: int = 8, seed: int = 0) -> Tensor:
    return torch.randn(count, 1, 6, 6, generator=torch.Generator().manual_seed(seed))


class Given(nn.Module):
    """Layers of given weights, with something between them."""

    def __init__(self, *weights: list[list[float]], between: nn.Module | None = None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(len(w[0]), len(w), bias=False) for w in weights)
        for layer, weight in zip(self.layers, weights, strict=True):
            layer.weight.data = torch.tensor(weight)
        self.between = between or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        for i, layer in enumerate(self.layers):
            x = layer(self.between(x) if i else x.flatten(1))
        return x


# ---- synflow


def test_synflow_of_a_linear_network_by_hand() -> None:
    """|W1| 1 = (3, 7); the flow is 5 * 3 + 6 * 7 = 57, and each layer's weights share it out: the sum over two layers is 114."""
    flow = synflow(Given([[1.0, -2.0], [-3.0, 4.0]], [[5.0, -6.0]]), (1, 1, 2))
    assert flow == pytest.approx(math.log(114))


@pytest.mark.parametrize("between", [nn.ReLU(), nn.ReLU6(), nn.GELU(), nn.SiLU(), nn.Tanh(), nn.BatchNorm1d(2), nn.Dropout(0.5)])
def test_activations_normalisation_and_dropout_do_not_change_the_flow(between: nn.Module) -> None:
    flow = synflow(Given([[1.0, -2.0], [-3.0, 4.0]], [[5.0, -6.0]], between=between), (1, 1, 2))
    assert flow == pytest.approx(math.log(114))


def test_functional_activations_are_seen_too() -> None:
    module = network(Conv(4, activation="relu6", norm="none"), Conv(4, activation="hardswish", norm="none"))
    plain = network(Conv(4, activation="relu", norm="none"), Conv(4, activation="relu", norm="none"))
    assert synflow(module, (1, 6, 6)) == synflow(plain, (1, 6, 6))


def test_the_signs_of_weights_do_not_matter_to_the_flow() -> None:
    module, other = network(Conv(4), Conv(3)), network(Conv(4), Conv(3))
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.neg_()
    assert synflow(module, (1, 6, 6)) == synflow(other, (1, 6, 6))


def test_a_flow_too_large_for_float32_is_a_number() -> None:
    deep = Given([[1e30]], [[1e30]], [[1e30]])
    assert synflow(deep, (1, 1, 1)) == pytest.approx(math.log(3) + 90 * math.log(10), rel=1e-6)


def test_no_flow_is_no_score() -> None:
    with pytest.raises(NoScore, match="nothing flows"):
        synflow(Given([[0.0, 0.0]], [[1.0]]), (1, 1, 2))
    with pytest.raises(NoScore, match="more flows"):
        synflow(Given(*[[[1e38]]] * 9), (1, 1, 1))
    with pytest.raises(NoScore, match="no weights"):
        synflow(nn.Flatten(), (1, 1, 2))


# ---- codes


def test_the_kernel_of_codes_by_hand() -> None:
    """Codes 110, 100, 001: the first two agree on 2 of 3, the first and the third on 0, the last two on 1."""
    values = torch.tensor([[1.0, 2.0, -1.0], [3.0, -1.0, 0.0], [-1.0, 0.0, 5.0]])
    kernel = agreement(values)
    assert kernel.tolist() == [[3, 2, 0], [2, 3, 1], [0, 1, 3]]
    assert naswot(kernel) == pytest.approx(math.log(3 * (9 - 1) - 2 * 6))


def test_naswot_of_a_tiny_network_by_hand() -> None:
    """Two units see the sign of two pixels: codes 11, 10, 00 of three images, wherever the activation is written."""
    weights = [[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]
    x = torch.tensor([[2.0, 3.0], [1.0, -1.0], [-4.0, -0.5]]).view(3, 1, 1, 2)
    expected = math.log(np.linalg.det([[2, 1, 0], [1, 2, 1], [0, 1, 2]]))
    for between in (nn.ReLU(), nn.ReLU(inplace=True), nn.SiLU(), nn.ReLU6()):
        assert zero_cost_scores(Given(*weights, between=between), x).scores["naswot"] == pytest.approx(expected)


def test_codes_do_not_depend_on_the_order_of_images_nor_on_the_scale_of_weights() -> None:
    x = images()
    plain = zero_cost_scores(network(Conv(8, norm="none"), Conv(8, norm="none")), x).scores
    turned = zero_cost_scores(network(Conv(8, norm="none"), Conv(8, norm="none")), x.flip(0)).scores
    larger = network(Conv(8, norm="none"), Conv(8, norm="none"))
    with torch.no_grad():
        for parameter in larger.parameters():
            parameter.mul_(8.0)
    assert plain["naswot"] == pytest.approx(turned["naswot"])
    assert plain["jacob_cov"] == pytest.approx(turned["jacob_cov"], rel=1e-4)
    assert set(plain) == {"synflow", "naswot", "jacob_cov"}
    assert zero_cost_scores(larger, x).scores["jacob_cov"] == pytest.approx(plain["jacob_cov"], rel=0.2)


def test_equal_images_have_no_score() -> None:
    look = zero_cost_scores(network(Conv(8)), images()[[0, 1, 2, 3, 3]])
    assert look.missing["naswot"] == "it does not tell all images apart"
    assert "synflow" in look.scores


def test_a_network_without_activations_has_no_codes() -> None:
    look = zero_cost_scores(network(Conv(4, activation="none")), images())
    assert look.missing["naswot"] == "it has no activations"
    assert "synflow" in look.scores


# ---- gradients


def test_jacob_cov_by_hand() -> None:
    """Correlations 1 and -1 of two rows have eigenvalues 2 and 0, those of two unrelated rows 1 and 1."""
    k = 1e-5
    opposite = torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    assert jacob_cov(opposite) == pytest.approx(-(math.log(2 + k) + 1 / (2 + k) + math.log(k) + 1 / k), rel=1e-6)
    unrelated = torch.tensor([[1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]])
    assert jacob_cov(unrelated) == pytest.approx(-2 * (math.log(1 + k) + 1 / (1 + k)))


def test_a_constant_gradient_is_no_score() -> None:
    with pytest.raises(NoScore, match="constant"):
        jacob_cov(torch.ones(2, 4))


# ---- whole networks


def test_the_same_seed_gives_the_same_scores_and_another_one_others() -> None:
    first, again, other = (zero_cost_scores(network(Conv(8), Conv(8), seed=seed), images()).scores for seed in (0, 0, 1))
    assert first == again
    assert all(first[name] != other[name] for name in first)


def test_dropout_draws_nothing() -> None:
    blocks = Conv(8), Conv(8, dropout=0.5)
    torch.manual_seed(1)
    first, second = zero_cost_scores(network(*blocks), images()).scores, zero_cost_scores(network(*blocks), images()).scores
    plain = zero_cost_scores(network(Conv(8), Conv(8)), images()).scores
    assert first == second == plain


@dataclass(frozen=True)
class Awkward(Op):
    """An operation of a user's own that knows no float64."""

    noun: ClassVar[str] = "awkward"
    helper: ClassVar[str] = '''
def awkward(x: torch.Tensor) -> torch.Tensor:
    """Takes float32 alone."""
    if x.dtype != torch.float32:
        raise TypeError("float32 alone\\nand nothing else")
    return x.relu()
'''

    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def call(self, module: str, *inputs: str) -> str:
        return f"awkward({inputs[0]})"


@dataclass(frozen=True)
class AwkwardBlock(Block):
    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        return graph.apply(Awkward(), x)


def test_what_fails_costs_one_score_and_says_why() -> None:
    look = zero_cost_scores(network(Conv(8, activation="none"), AwkwardBlock()), images())
    assert look.missing == {"synflow": "TypeError: float32 alone"}
    assert set(look.scores) == {"naswot", "jacob_cov"}  # x.relu() of a user's own is seen


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to")])
def test_memory_that_ran_out_is_no_reason_but_an_outcome(error: Exception) -> None:
    class Large(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise error

    with pytest.raises(type(error)):
        zero_cost_scores(Large(), images())


def test_squeeze_and_excitation_has_a_flow() -> None:
    @dataclass(frozen=True)
    class Gate(Block):
        def expand(self, graph: GraphBuilder, x: Node) -> Node:
            s = graph.conv(graph.global_avg_pool(x), channels=x.channels, kernel=1, activation="sigmoid")
            return graph.multiply(x, s)

    look = zero_cost_scores(network(Conv(8), Gate(), Conv(8), Gate()), images())
    assert look.missing == {}


def test_the_minibatch_is_drawn_by_the_seed_from_the_training_images(tmp_path: object) -> None:
    rng = np.random.default_rng(0)
    splits = {name: (rng.integers(0, 256, (20, 1, 4, 4), dtype=np.uint8), np.arange(20) % 2) for name in ("train", "val", "test")}
    dataset = load_data(splits, cache_dir=tmp_path)
    first, again, other = (minibatch(dataset, seed, 8) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.shape == (8, 1, 4, 4)
    assert len(minibatch(dataset, 0)) == 20
    assert abs(float(minibatch(dataset, 0).mean())) < 0.05


def test_a_reference_of_synflow_with_biases() -> None:
    """Biases take part in the flow, made positive, and are not counted, as in the published code."""
    module = network(Conv(4, norm="none"), Conv(3, norm="none"))
    weights = {name: value.detach().double().abs() for name, value in module.state_dict().items()}
    kernels = [weights[f"{name}.weight"].requires_grad_(True) for name in ("conv1", "conv2", "linear1")]
    x = torch.ones(1, 1, 6, 6, dtype=torch.float64)
    x = F.conv2d(x, kernels[0], weights["conv1.bias"], padding=1)
    x = F.conv2d(x, kernels[1], weights["conv2.bias"], padding=1)
    flow = F.linear(x.mean((2, 3)), kernels[2], weights["linear1.bias"]).sum()
    total = sum(float((k.detach() * g).sum()) for k, g in zip(kernels, torch.autograd.grad(flow, kernels), strict=True))
    assert synflow(module, (1, 6, 6)) == pytest.approx(math.log(total))
