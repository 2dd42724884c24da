"""Measured time and memory: what is counted, and what becomes of a network that cannot be measured."""

from __future__ import annotations

import os
import sys

import pytest

from nas.errors import EvaluationError, UnknownNameError
from nas.stopwatch import AT_LEAST, Stopwatch, Timing

COUNTS = """
import time
import torch
class Network(torch.nn.Module):
    calls = 0
    def forward(self, x):
        Network.calls += 1
        assert not self.training and not torch.is_grad_enabled() and x.shape == (2, 1, 8, 8)
        if Network.calls > {limit}:
            raise RuntimeError("called too often")
        self.held = torch.ones({bytes}, dtype=torch.uint8)
        print("a network that prints")
        if {asleep}:
            time.sleep(0.05)
        return x
"""


def counts(limit: int, bytes: int = 1, asleep: bool = False) -> str:
    return COUNTS.format(limit=limit, bytes=bytes, asleep=asleep)


def test_unknown_devices_and_threads_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"'cud'.*did you mean 'cuda'"):
        Stopwatch("cud")
    with pytest.raises(EvaluationError, match="threads is 0"):
        Stopwatch("cpu", 0)


def test_the_median_stands_for_a_batch() -> None:
    assert Timing(4, (1.0, 9.0, 2.0)).seconds == 2.0


@pytest.mark.slow
def test_measurements() -> None:
    with Stopwatch("cpu", 1) as watch:
        assert "1 thread, float32, PyTorch" in watch.machine
        few = watch.measure(counts(limit=2 + 5), (1, 8, 8), 2, repeats=5)
        assert few.error == "" and len(few.calls) == 5 and min(few.calls) > 0
        assert few.processor is not None and 0 < few.processor <= 1
        asleep = watch.measure(counts(limit=99, asleep=True), (1, 8, 8), 2, repeats=3)
        assert asleep.processor is not None and asleep.processor < 0.9
        assert len(watch.measure(counts(limit=2 + 2), (1, 8, 8), 2, repeats=2).calls) == 2
        slow = watch.measure(counts(limit=2 + AT_LEAST), (1, 8, 8), 2, repeats=100, seconds=0.0)
        assert slow.error == "" and len(slow.calls) == AT_LEAST
        assert "called too often" in watch.measure(counts(limit=4), (1, 8, 8), 2).error
        assert "defines no class Network" in watch.measure("", (1, 8, 8), 2).error
        if sys.platform == "linux":
            large = watch.measure(counts(limit=99, bytes=200_000_000), (1, 8, 8), 2, repeats=3)
            assert few.peak_bytes is not None and large.peak_bytes is not None
            assert few.peak_bytes < 100e6 and 200e6 <= large.peak_bytes < 600e6
        if hasattr(os, "fork") and sys.platform != "darwin":
            killed = watch.measure("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", (1, 8, 8), 2)
            assert "SIGKILL" in killed.error and not killed.calls
            again = watch.measure(counts(limit=99), (1, 8, 8), 2, repeats=3)
            assert len(again.calls) == 3


@pytest.mark.slow
def test_a_measuring_process_that_is_gone_is_told() -> None:
    with pytest.raises(EvaluationError, match="the process that measures ended with exit code"), Stopwatch() as watch:
        watch._process.kill()
        watch._process.wait()
        watch.measure(counts(limit=99), (1, 8, 8), 2)


@pytest.mark.slow
def test_a_device_that_is_not_there() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("it is there")
    with pytest.raises(EvaluationError, match="finds no CUDA device"):
        Stopwatch("cuda")
