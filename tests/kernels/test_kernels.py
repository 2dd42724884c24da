"""Tests of nas/kernels/__init__.py: how a network comes to its quicker kernels, and that it trains as before."""

from __future__ import annotations

import ast
import builtins
from contextlib import suppress

import numpy as np
import pytest
import torch

from nas import kernels, load_space
from nas.costs import cost_of
from nas.errors import BlockError
from nas.graph import Graph
from nas.kernels import kernels_words, quick_code
from nas.module import compile_source
from nas.source import write_source

SOURCE = """
import torch.nn.functional as F
from torch import nn

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(x + F.relu(self.conv1(x)) * F.relu6(y), inplace=False)
"""


def small(name: str) -> Graph:
    """Returns the first network of a space that has little to compute."""
    space = load_space(name).bind((1, 28, 28), 10)
    for seed in range(100):
        with suppress(BlockError):  # infeasible
            graph = space.decode(space.sample(np.random.default_rng(seed))).graph
            if cost_of(graph).macs < 3e7:
                return graph
    raise AssertionError(f"{name} has none")


has_numba = pytest.mark.skipif(kernels_words() == "PyTorch", reason="Numba is not installed")


@has_numba
def test_what_is_rewritten() -> None:
    namespace: dict[str, object] = {}
    text = ast.unparse(quick_code(ast.parse(SOURCE), namespace))
    assert "F = _functional" in text and "import torch.nn.functional" not in text
    assert (
        "y = _relu_of(self.bn1, self.conv1(x))" in text
        and "F.relu(x + _relu_of(self.conv1, x) * F.relu6(y), inplace=False)" in text
    )
    assert set(namespace) == {"_functional", "_relu_of"}


@has_numba
@pytest.mark.parametrize("name", ["fashion_small", "mixed", "resnet_like", "mobile_like", "nasnet_cells"])
@pytest.mark.parametrize("bf16", [False, True])
def test_a_step_of_a_network_is_that_of_pytorch(name: str, bf16: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from nas.kernels import layers

    monkeypatch.setattr(layers, "_FEW", 0)
    graph = small(name)
    x = torch.randn(8, 1, 28, 28, generator=torch.Generator().manual_seed(0)).contiguous(memory_format=torch.channels_last)
    gradients, losses = [], []
    for quick in (False, True):
        torch.manual_seed(0)
        network = compile_source(write_source(graph), quick=quick).to(memory_format=torch.channels_last)
        used = {type(module).__module__ for module in network.modules()}
        assert ("nas.kernels.layers" in used) == quick
        torch.manual_seed(0)  # of dropout
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = torch.nn.functional.cross_entropy(network(x).float(), torch.arange(8))
        loss.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
        losses.append(loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=0.03 if bf16 else 1e-4)
    likeness = torch.nn.functional.cosine_similarity(*gradients, dim=0)
    assert likeness > (0.95 if bf16 else 0.9999)


def test_without_numba_a_network_is_compiled_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_layers", lambda: None)
    assert kernels_words() == "PyTorch"
    network = compile_source(SOURCE, quick=True)
    assert type(network.bn1) is torch.nn.BatchNorm2d
    assert network.forward.__globals__["F"] is torch.nn.functional


def test_a_text_that_imports_nothing_as_f_is_compiled_as_it_stands() -> None:
    network = compile_source(SOURCE.replace("import torch.nn.functional as F", "import torch\nF = torch.nn.functional"), quick=True)
    assert network.forward.__globals__["F"] is torch.nn.functional


def test_where_nothing_compiled_can_be_kept_pytorchs_own_are_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a container without a home, whose packages nobody may write to."""

    def refuse(name: str, *arguments: object) -> object:
        if name == "nas.kernels" and arguments[2] == ("layers",):
            raise RuntimeError("cannot cache function: no locator available")
        return imported(name, *arguments)

    imported = builtins.__import__
    kernels._layers.cache_clear()
    monkeypatch.setattr(builtins, "__import__", refuse)
    try:
        assert kernels_words() == "PyTorch"
    finally:
        kernels._layers.cache_clear()
    assert "no locator available" in caplog.text
