"""Tests of nas/device.py."""

from __future__ import annotations

import pytest
import torch

from nas.device import check_names, settle
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
