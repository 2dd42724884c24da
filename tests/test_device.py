"""Tests of nas/device.py."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas.device import algorithms, check_names, default_workers, memory, quick_on, settle
from nas.errors import EvaluationError, UnknownNameError


def test_names_are_checked() -> None:
    with pytest.raises(UnknownNameError, match="unknown device 'cda'; did you mean 'cuda'"):
        check_names("cda", "auto")
    with pytest.raises(UnknownNameError, match="unknown precision 'half'"):
        check_names("cpu", "half")


def test_a_trial_decides_the_precision() -> None:
    found = settle("cpu", "auto", seconds=0.0)
    assert found.device == "cpu"
    assert found.precision in ("fp32", "bf16")
    assert found.reason.startswith("trial: bf16 ")


def test_what_is_asked_for_is_taken() -> None:
    assert settle("cpu", "fp32").precision == "fp32"
    assert settle("cpu", "bf16").reason == "asked for"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_cuda_auto_is_the_cpu_and_cuda_is_refused() -> None:
    assert settle("auto", "fp32").device == "cpu"
    with pytest.raises(EvaluationError, match="device 'cuda' is not there"):
        settle("cuda", "auto")


class Slow(nn.Module):
    """A network that is slower in one of the precisions."""

    def __init__(self, in_bf16: bool) -> None:
        super().__init__()
        self.linear, self.in_bf16 = nn.Linear(12, 2), in_bf16

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.linear(x.flatten(1))
        for _ in range(3000 if self.in_bf16 == (out.dtype == torch.bfloat16) else 1):
            out = out + 1
        return out


@pytest.mark.parametrize("in_bf16", [True, False])
def test_the_trial_is_of_the_networks_that_are_given(in_bf16: bool) -> None:
    found = settle("cpu", "auto", networks=[Slow(in_bf16), Slow(in_bf16)], input_shape=(3, 2, 2), seconds=0.3)
    assert found.precision == ("fp32" if in_bf16 else "bf16")
    assert found.reason.endswith("images/s on 2 networks of the kind")


def test_a_network_that_fails_is_left_out_of_the_trial() -> None:
    broken = nn.Linear(5, 5)
    found = settle("cpu", "auto", networks=[broken, Slow(True)], input_shape=(3, 2, 2), seconds=0.1)
    assert (found.precision, found.reason.endswith("on 1 network of the kind")) == ("fp32", True)
    assert settle("cpu", "auto", networks=[broken], input_shape=(3, 2, 2), seconds=0.0).reason.endswith("on a small network")


def test_deterministic_algorithms_are_on_while_they_are_asked_for() -> None:
    for precision, expected in (("deterministic", True), ("fp32", False)):
        with algorithms(precision):
            assert torch.are_deterministic_algorithms_enabled() == expected
        assert not torch.are_deterministic_algorithms_enabled()
    with pytest.raises(ZeroDivisionError), algorithms("deterministic"):
        raise ZeroDivisionError
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_kernels_of_ones_own_are_for_one_thread_of_a_cpu() -> None:
    assert quick_on("cpu", "bf16", 1) and quick_on("cpu", "fp32", 1)
    assert not any((quick_on("cuda", "bf16", 1), quick_on("cpu", "deterministic", 1), quick_on("cpu", "bf16", 2)))


def test_one_worker_a_core_and_at_least_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.processes.cores", lambda: 6)
    assert [default_workers("cpu"), default_workers("cpu", 2), default_workers("cpu", 4), default_workers("cpu", 9)] == [6, 3, 1, 1]
    assert [default_workers("cuda"), default_workers("cuda", 2), default_workers("cuda", 4)] == [2, 2, 1]


def test_memory_is_told_where_it_is_known() -> None:
    whole = memory("cpu")
    assert whole is None or 2**26 < whole < 2**50
    assert memory("mps") is None
