"""Measured time and memory of inference, each measurement in a process of its own. Knows no torch, but its process does.

`Stopwatch` starts `python -m nas.stopwatch`, which imports torch once, runs nothing in it, and forks a child for each measurement,
so that no measurement warms or fills the memory of another, and one that is killed for want of memory ends itself alone. Where
forking is missing or unsafe (Windows, macOS), and on CUDA, it measures itself, one after another.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from nas.errors import EvaluationError, UnknownNameError
from nas.processes import worker_environment

if TYPE_CHECKING:
    import torch

DEVICES = ("cpu", "cuda")
WARM_UP = 2
"""Calls before the clock runs: the first ones choose kernels and touch fresh memory."""
AT_LEAST = 3
"""Timed calls of a network so slow that `seconds` are over before."""


@dataclass(frozen=True)
class Timing:
    """What inference on one batch of random images took.

    Attributes:
        batch: Images.
        calls: Seconds of every timed call, in order.
        peak_bytes: On CUDA the most that PyTorch had allocated, weights and images included; on a CPU by how much the process's
            resident memory grew at most, which holds the libraries' working memory too. None where it cannot be measured.
        processor: Share of the timed seconds that the process had each of its threads' processor, 1 on an idle machine; clearly
            less with one thread says that other work held it and the times are too long. None on CUDA.
        error: Why there is no measurement, in one line; empty where there is one.
    """

    batch: int
    calls: tuple[float, ...] = ()
    peak_bytes: int | None = None
    processor: float | None = None
    error: str = ""

    @property
    def seconds(self) -> float:
        """The median call."""
        return statistics.median(self.calls)


class Stopwatch:
    """Measures networks one after another; close it, or use it as a context.

    Args:
        device: `cpu` or `cuda`.
        threads: Of the processor, for each operation.

    Raises:
        UnknownNameError: When the device is not known.
        EvaluationError: When it is not there, or `threads` makes no sense.
    """

    def __init__(self, device: str = "cpu", threads: int = 1) -> None:
        if device not in DEVICES:
            raise UnknownNameError("device to measure on", device, DEVICES)
        if threads < 1:
            raise EvaluationError(f"threads is {threads}, expected at least 1")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "nas.stopwatch", device, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=worker_environment(threads),
        )
        hello = self._heard()
        if "error" in hello:
            self.close()
            raise EvaluationError(hello["error"])
        self.machine: str = hello["machine"]
        """Device, threads, precision and version of torch, in words."""

    def measure(self, source: str, input_shape: tuple[int, ...], batch: int, *, repeats: int = 10, seconds: float = 3.0) -> Timing:
        """Times a network in evaluation mode, in float32, on random images and with random weights.

        Args:
            source: Python text that defines `class Network(nn.Module)`; it is executed.
            input_shape: `(channels, height, width)`.
            batch: Images a call.
            repeats: Timed calls, after `WARM_UP` ones.
            seconds: No further call is begun when the timed ones took so long, but there are `AT_LEAST` three
                of them, or `repeats` where that is less.

        Returns:
            The measurement, or why there is none.

        Raises:
            EvaluationError: When the measuring process itself is gone.
        """
        job = {"source": source, "shape": [batch, *input_shape], "repeats": repeats, "seconds": seconds}
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            pass  # its end is told below
        answer = self._heard()
        calls = tuple(answer.get("calls", ()))
        return Timing(batch, calls, answer.get("peak"), answer.get("processor"), answer.get("error", ""))

    def close(self) -> None:
        """Ends the process; a second call does nothing."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):  # a job that a process gone before did not take
                    stream.close()
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _heard(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise EvaluationError(f"the process that measures ended with exit code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


# ---- the process that measures


def main(device: str, threads: int) -> None:
    """Serves measurements until standard input ends."""
    import torch

    inbox, outbox = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)  # whatever a network prints cannot break into the answers
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # random weights may lead there, trained ones do not; denormal numbers are many times slower
    forks = device == "cpu" and hasattr(os, "fork") and sys.platform != "darwin"
    _say(outbox, _hello(device, threads))
    for line in inbox:
        job = json.loads(line)
        _say(outbox, _forked(job, device) if forks else _measured(job, device, resident=False))


def _say(outbox: BinaryIO, answer: Mapping[str, Any]) -> None:
    outbox.write(json.dumps(answer).encode() + b"\n")
    outbox.flush()


def _hello(device: str, threads: int) -> dict[str, str]:
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        return {"error": "device 'cuda' is not there: this torch finds no CUDA device; measure on the cpu"}
    where = torch.cuda.get_device_name() if device == "cuda" else f"{_processor()}, {threads} thread{'s' if threads > 1 else ''}"
    return {"machine": f"{where}, float32, PyTorch {torch.__version__}"}


def _processor() -> str:
    """Returns what the system calls its processor."""
    import platform

    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _forked(job: Mapping[str, Any], device: str) -> dict[str, Any]:
    """Measures in a forked child; one that dies leaves a word."""
    from nas.executors.worker import verdict
    from nas.processes import oom_kills, prefer_for_oom

    kills, (source, target) = oom_kills(), os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            prefer_for_oom()
            os.write(target, json.dumps(_measured(job, device, resident=True)).encode())
        finally:
            os._exit(0)
    os.close(target)
    with os.fdopen(source, "rb") as stream:
        said = stream.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    answer: dict[str, Any] = json.loads(said) if said else {"error": verdict(code, oom_kills() > kills)[1]}
    return answer


def _measured(job: Mapping[str, Any], device: str, resident: bool) -> dict[str, Any]:
    """Builds the network and runs it; whatever that raises is the answer."""
    import torch

    from nas.module import compile_source
    from nas.perform import first_line

    try:
        with torch.inference_mode():
            _load_libraries()
            before = _start_of_memory(device, resident)
            module = compile_source(job["source"]).to(device).eval()
            images = torch.randn(job["shape"], device=device)
            calls, processor = _timed(module, images, job["repeats"], job["seconds"])
            return {"calls": calls, "peak": _peak(device, before), "processor": processor if device == "cpu" else None}
    except Exception as error:  # a network that cannot be measured must not keep the others from it
        return {"error": first_line(error)}


def _load_libraries() -> None:
    """Runs one small operation of each kind, so that threads and kernels' own memory are there before a network is looked at."""
    import torch
    import torch.nn.functional as F

    x = F.conv2d(torch.randn(1, 16, 32, 32), torch.randn(32, 16, 3, 3), padding=1)
    x = F.batch_norm(x, torch.zeros(32), torch.ones(32))
    F.linear(F.max_pool2d(F.relu(x), 2).flatten(1), torch.randn(16, 32 * 16 * 16))


def _timed(module: torch.nn.Module, images: torch.Tensor, repeats: int, seconds: float) -> tuple[list[float], float]:
    """Returns the seconds of each call, and which share of them this process had its processors."""
    import torch

    calls: list[float] = []
    spent = 0.0
    for call in range(WARM_UP + repeats):
        begin, processor = time.perf_counter(), time.process_time()
        module(images)
        if images.is_cuda:
            torch.cuda.synchronize()
        if call >= WARM_UP:
            calls.append(time.perf_counter() - begin)
            spent += time.process_time() - processor
        if len(calls) >= AT_LEAST and sum(calls) > seconds:
            break
    return calls, min(1.0, spent / (sum(calls) * torch.get_num_threads()))


def _start_of_memory(device: str, resident: bool) -> int | None:
    """Returns the bytes in use before a network is built; None where nobody can tell."""
    import torch

    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if resident else None
    except OSError:
        return None


def _peak(device: str, before: int | None) -> int | None:
    """Returns the most bytes in use since, beyond those before."""
    import torch

    if before is None:
        return None
    if device == "cuda":
        return torch.cuda.max_memory_allocated() - before
    import resource  # which Windows has not; there nothing is known from before

    return max(0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
