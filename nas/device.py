"""Where training runs and in which precision: both are chosen by looking, never guessed."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nas import processes
from nas.errors import EvaluationError, UnknownNameError

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger(__name__)

DEVICES = ("auto", "cpu", "cuda", "mps")
DETERMINISTIC = "deterministic"
PRECISIONS = ("auto", "fp32", "bf16", DETERMINISTIC)


@dataclass(frozen=True)
class Settings:
    """A device and a precision that were found to work.

    Attributes:
        device: `cpu`, `cuda` or `mps`.
        precision: `fp32`; `bf16`, which is autocast; or `deterministic`, fp32 by algorithms that give the same bits each time.
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


def quick_on(device: str, precision: str, threads: int) -> bool:
    """Returns whether networks are trained with the kernels of `nas.kernels` there; not where figures must be PyTorch's own, and
    not on several threads, since these have one."""
    return device == "cpu" and precision != DETERMINISTIC and threads == 1


def found_device(device: str) -> str:
    """Returns the device that a name stands for: `auto` is CUDA where it is, else CPU."""
    return ("cuda" if _cuda_is_there() else "cpu") if device == "auto" else device


def default_workers(device: str, threads: int = 1) -> int:
    """Returns how many trainings of so many threads fill the cores this process may use; on an accelerator at most two, because
    small networks leave it idle."""
    fitting = max(1, processes.cores() // threads)
    return fitting if device == "cpu" else min(2, fitting)


def _cuda_is_there() -> bool:
    """Asks torch in a process of its own, and only where something looks like an accelerator: asking takes seconds."""
    if not (Path("/proc/driver/nvidia").exists() or Path("/dev/kfd").exists() or shutil.which("nvidia-smi")):
        return False
    question = "import sys, torch; sys.exit(0 if torch.cuda.is_available() else 1)"
    return subprocess.run([sys.executable, "-c", question], capture_output=True, check=False).returncode == 0


def wants_memory(error: BaseException) -> bool:
    """Returns whether an exception says that memory ran out, which has many names: on a CPU torch raises a plain RuntimeError."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WANT_OF_MEMORY)


_WANT_OF_MEMORY = ("can't allocate memory", "out of memory", "bad_alloc")
"""How allocators outside Python put it."""


def memory(device: str) -> int | None:
    """Returns the bytes of memory that a device has in all; None where that is not known."""
    if device == "cpu":
        return processes.memory()
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[1])
    return None


@contextmanager
def algorithms(precision: str) -> Iterator[None]:
    """Has torch use deterministic algorithms alone where the precision says so; what has none raises RuntimeError there."""
    import torch

    before = torch.are_deterministic_algorithms_enabled()
    if precision == DETERMINISTIC:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts; it is refused otherwise
    torch.use_deterministic_algorithms(precision == DETERMINISTIC or before)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def settle(
    device: str,
    precision: str,
    *,
    networks: Sequence[nn.Module] = (),
    input_shape: tuple[int, int, int] = (1, 28, 28),
    seconds: float = 0.5,
) -> Settings:
    """Replaces "auto" by what this machine does best. MPS is taken only when it is named.

    Call it in a process that may touch the accelerator: CUDA must not be touched in one that forks later.

    Args:
        device: One of `DEVICES`.
        precision: One of `PRECISIONS`; "auto" on a CPU trains networks for about `seconds` in each way.
        networks: Of the kind that will be trained, on the CPU; what is quicker depends on it (depthwise convolutions may lose in
            bf16 where others win). None, or none that works: a small network of plain convolutions.
        input_shape: Of their images.
        seconds: Of processor time for the trial; of several networks no further one is tried after it.

    Returns:
        The device, the precision, and why this one.

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
    rates, tried = _trial(networks, input_shape, seconds)
    what = f"{tried} network{'s' * (tried != 1)} of the kind"
    if not tried:
        (rates, _), what = _trial([_small()], (16, 28, 28), seconds), "a small network"
    reason = f"trial: bf16 {rates['bf16']:.0f}, fp32 {rates['fp32']:.0f} images/s on {what}"
    return Settings(device, max(rates, key=lambda name: rates[name]), reason)


def _trial(networks: Sequence[nn.Module], shape: tuple[int, int, int], seconds: float) -> tuple[dict[str, float], int]:
    """Returns images a second of processor time in each precision, and over how many networks; other load hits neither.

    The two precisions take turns, and the quickest step of each counts.
    """
    spent = dict.fromkeys(("fp32", "bf16"), 0.0)
    end, tried = _clock() + seconds, 0
    for place, network in enumerate(networks):
        if tried and _clock() > end:
            break
        steps = {precision: _stepper(network, shape, precision) for precision in spent}
        try:
            for step in steps.values():
                step()  # the first call chooses kernels
        except Exception as error:  # a network that cannot be trained says nothing of precision; training will tell of it
            log.info("the trial of precisions leaves a network out: %s: %s", type(error).__name__, error)
            continue
        fastest = dict.fromkeys(steps, float("inf"))
        share = _clock() + (end - _clock()) / (len(networks) - place)
        while fastest["bf16"] == float("inf") or _clock() < share:
            for precision, step in steps.items():
                begin = _clock()
                step()
                fastest[precision] = min(fastest[precision], _clock() - begin)
        spent = {precision: total + fastest[precision] for precision, total in spent.items()}
        tried += 1
    return {precision: tried * _TRIAL_IMAGES / max(total, 1e-9) for precision, total in spent.items()}, tried


LARGEST_TRIED = 300_000_000
"""Multiply-adds an image of the largest network that precisions are tried with, so that a trial stays short."""

_TRIAL_IMAGES = 32


def _clock() -> float:
    """Seconds of this thread's processor time, which other load does not touch; of the wall where several threads work, or on
    Windows, whose clock of a thread ticks 64 times a second."""
    import torch

    return time.perf_counter() if sys.platform == "win32" or torch.get_num_threads() > 1 else time.thread_time()


def _small() -> nn.Module:
    """Returns a small network of plain convolutions for images of 16 channels."""
    from torch import nn

    layers: list[nn.Module] = []
    for channels in (16, 32):
        layers += [nn.Conv2d(16, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
    return nn.Sequential(*layers)


def _stepper(module: nn.Module, shape: tuple[int, int, int], precision: str) -> Callable[[], None]:
    """Returns a function that runs a network forth and back on random images, as training does on a CPU."""
    import torch

    from nas.images import layout, moved  # loads torch

    place = torch.device("cpu")
    moved(module, place, precision).train()
    images = torch.empty(_TRIAL_IMAGES, *shape, memory_format=layout(place, precision)).copy_(torch.randn(_TRIAL_IMAGES, *shape))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            out = module(images)
        out.float().mean().backward()

    return step
