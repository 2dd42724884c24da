"""A step of training recorded once and replayed: all its kernels are launched as one CUDA graph.

Small networks spend more time on launching kernels than in them (Gray 2019, "Getting started with CUDA graphs"). What is recorded
reads and writes the same memory each time, so batches are copied into the inputs of the recording, and shapes must not change; a
batch of another shape is recorded anew.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from nas.step import Step

log = logging.getLogger(__name__)

WARM_UP = 3
"""Steps before the recording, in which libraries choose kernels and make their working memory."""
TOLERANCE = 0.01
"""Relative difference between a replayed loss and one of an ordinary step: kernels may add in another order."""

Outputs = tuple[Tensor, ...]
Recorder = Callable[[Callable[[], Outputs]], tuple[Callable[[], None], Outputs]]
"""Takes a step without arguments; returns what replays it, and where its outputs are after each replay."""


@dataclass(frozen=True)
class _Recording:
    inputs: tuple[Tensor, ...]
    replay: Callable[[], None]
    outputs: Outputs


class Replay:
    """Calls a step as `Step` does, by replaying it; where it cannot be recorded, step by step.

    A recording is believed only after it has given the loss that an ordinary step gives from the same weights.

    Args:
        step: What is recorded.
        recorder: Records.

    Attributes:
        works: Whether what was last called is replayed; None before the first call.
    """

    def __init__(self, step: Step, recorder: Recorder | None = None) -> None:
        self.works: bool | None = None
        self._step, self._recorder = step, recorder or recorded_on_cuda
        self._recordings: dict[tuple[object, ...], _Recording | None] = {}

    def __call__(self, *inputs: Tensor) -> Outputs:
        """Returns what the step returns for these; valid until the next call."""
        shapes = tuple([(tensor.shape, tensor.stride(), tensor.dtype) for tensor in inputs])
        if shapes not in self._recordings:
            self._recordings[shapes] = self._recorded(inputs)
        recording = self._recordings[shapes]
        self.works = recording is not None
        if recording is None:
            return self._step(*inputs)
        for own, given in zip(recording.inputs, inputs, strict=True):
            own.copy_(given)
        recording.replay()
        return recording.outputs

    def _recorded(self, inputs: tuple[Tensor, ...]) -> _Recording | None:
        """Records the step and tries the recording; weights, momentum and random numbers are afterwards as they were before."""
        own = tuple([torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device=t.device).copy_(t) for t in inputs])
        try:
            with _undone(self._step):
                replay, outputs = self._recorder(lambda: self._step(*own))
            with _undone(self._step):
                wanted = self._step(*own)[0].clone()
            with _undone(self._step):
                replay()
                found = outputs[0].clone()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            log.info("steps cannot be recorded and are made one by one: %s", next(iter(str(error).splitlines()), ""))
            return None
        if not torch.allclose(found, wanted, rtol=TOLERANCE, atol=0.0):
            log.warning("a replayed step has loss %g, an ordinary one %g: steps are made one by one", found.item(), wanted.item())
            return None
        return _Recording(own, replay, outputs)


@contextmanager
def _undone(step: Step) -> Iterator[None]:
    """Undoes what steps change, however they end; momentum that is new becomes 0, which is what there was."""
    before = {tensor.data_ptr(): tensor.detach().clone() for tensor in step.state()}
    try:
        with torch.random.fork_rng({tensor.device for tensor in before.values() if tensor.is_cuda}):
            yield
    finally:
        with torch.no_grad():
            for tensor in step.state():
                known = before.get(tensor.data_ptr())
                tensor.zero_() if known is None else tensor.copy_(known)


def recorded_on_cuda(step: Callable[[], Outputs]) -> tuple[Callable[[], None], Outputs]:
    """Records a step as a CUDA graph."""
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    with torch.cuda.graph(graph, stream=stream):
        outputs = step()
    return graph.replay, outputs
