"""Where training runs and in which precision: both are chosen by looking, never guessed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from nas.errors import EvaluationError, UnknownNameError

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class Settings:
    """A device and a precision that were found to work.

    Attributes:
        device: `cpu`, `cuda` or `mps`.
        precision: `fp32`, or `bf16`: automatic mixed precision with channels-last memory.
        reason: How the precision was found, in words.
    """

    device: str
    precision: str
    reason: str


def check_names(device: str, precision: str) -> None:
    """Raises UnknownNameError when a name is not known; loads no torch."""
    if device not in DEVICES:
        raise UnknownNameError("device", device, DEVICES)
    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)


def settle(device: str, precision: str, *, seconds: float = 0.5) -> Settings:
    """Replaces "auto" by what this machine does best. MPS is taken only when it is named.

    Call it in a process that may touch the accelerator: CUDA must not be touched in one that forks later.

    Args:
        device: One of `DEVICES`.
        precision: One of `PRECISIONS`; "auto" on a CPU trains a small network for about `seconds` in each way.
        seconds: Wall-clock seconds of the trial.

    Raises:
        UnknownNameError: When a name is not known.
        EvaluationError: When the device is not there.
    """
    import torch

    check_names(device, precision)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise EvaluationError("device 'cuda' is not there: this torch finds no CUDA device; use --device cpu")
    if device == "mps" and not torch.backends.mps.is_available():
        raise EvaluationError("device 'mps' is not there: this torch finds no Metal device; use --device cpu")
    if precision != "auto":
        return Settings(device, precision, "asked for")
    if device == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
        return Settings(device, "bf16" if able else "fp32", "the device has bf16" if able else "the device has no bf16")
    if device == "mps":
        return Settings(device, "fp32", "bf16 was not tried on MPS")
    rates = _trial(seconds)
    reason = f"trial: bf16 {rates['bf16']:.0f}, fp32 {rates['fp32']:.0f} images/s on a small network"
    return Settings(device, max(rates, key=lambda name: rates[name]), reason)


def _trial(seconds: float) -> dict[str, float]:
    """Images a second in each precision; the two take turns, so that other load hits both alike."""
    steps = {name: _small_step(name) for name in ("fp32", "bf16")}
    for step in steps.values():
        step()  # the first call chooses kernels
    fastest = dict.fromkeys(steps, float("inf"))
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or fastest["bf16"] == float("inf"):
        for name, step in steps.items():
            begin = time.perf_counter()
            step()
            fastest[name] = min(fastest[name], time.perf_counter() - begin)
    return {name: _TRIAL_IMAGES / best for name, best in fastest.items()}


_TRIAL_IMAGES = 32


def _small_step(precision: str) -> Callable[[], None]:
    """Returns a function that runs a small convolutional network forth and back on `(32, 16, 28, 28)` random images."""
    import torch
    from torch import nn

    layout = torch.channels_last if precision == "bf16" else torch.contiguous_format
    layers: list[nn.Module] = []
    for channels in (16, 32):
        layers += [nn.Conv2d(16, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
    module = nn.Sequential(*layers)
    for weight in module.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=layout)
    images = torch.randn(_TRIAL_IMAGES, 16, 28, 28).contiguous(memory_format=layout)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            out = module(images)
        out.float().mean().backward()

    return step
