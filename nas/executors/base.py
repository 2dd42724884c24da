"""Jobs, what comes back, how both travel, and what an executor is. Knows no torch.

A message is four bytes of length (big-endian) and that many bytes of JSON. Nothing between processes is a pickle.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, BinaryIO, Self

import msgspec

from nas.measurement import Outcome

_LENGTH = struct.Struct(">I")


class Inheritance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose weights a network begins with.

    Attributes:
        weights: The parent's checkpoint; one that is missing leaves the network as it was made.
        graph: The parent's graph as JSON text.
        aligned: Path of a block of the network to its path in the parent, where the two differ.
    """

    weights: str
    graph: str
    aligned: dict[str, str] = {}


class TrainJob(msgspec.Struct, tag="train", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One training segment, in values that any process understands.

    Attributes:
        source: Python text that defines `class Network(nn.Module)`.
        recipe: Fields of a closed `nas.recipe.Recipe`.
        task: Fields of a `nas.recipe.Task`.
        data: Folder of the decoded data set.
        epochs, first_epoch, last_epoch, cycles, resolutions, seed, device, precision, resume_from, checkpoint: As `nas.train.train`
            takes them.
        deadline: Seconds after which it is killed; None: never.
        graph: The network's graph as JSON text; empty where neither of the next two is asked for.
        inherit: Whose weights it begins with.
        importance: Which importances are measured at the end (`nas.importance.KINDS`), empty for none.
        threads: Of the processor.
        slices: Parts that each batch is gone through in, see `nas.train.train`.
    """

    source: str
    recipe: dict[str, Any]
    task: dict[str, Any]
    data: str
    epochs: int
    first_epoch: int
    last_epoch: int
    seed: int
    device: str
    precision: str
    cycles: tuple[int, ...] = ()
    resolutions: tuple[int, ...] = ()
    resume_from: str | None = None
    checkpoint: str | None = None
    deadline: float | None = None
    graph: str = ""
    inherit: Inheritance | None = None
    importance: str = ""
    threads: int = 1
    slices: int = 1


class UnseenJob(msgspec.Struct, tag="unseen", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Measures a finished network on the test images (`nas.unseen`); only final training asks for it.

    Attributes:
        source, recipe, task, data, device, deadline: As in a `TrainJob`.
        weights: Checkpoint of the end of its training.
    """

    source: str
    recipe: dict[str, Any]
    task: dict[str, Any]
    data: str
    weights: str
    device: str
    deadline: float | None = None


class ScoreJob(msgspec.Struct, tag="score", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for the zero-cost scores of an untrained network (`nas.zerocost`); answered in `Done.metrics`, those that there are.

    Attributes:
        source, data, seed, deadline: As in a `TrainJob`; the weights are those that its training would begin with.
    """

    source: str
    data: str
    seed: int
    deadline: float | None = None


class CheckJob(msgspec.Struct, tag="check", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks whether device, data and metrics are there, and which precision is quicker; answered in `Done.facts`.

    Attributes:
        task, data, device, precision, deadline, threads: As in a `TrainJob`.
        networks: Sources of networks that precisions are tried with.
    """

    task: dict[str, Any]
    data: str
    device: str
    precision: str
    networks: list[str] = []
    deadline: float | None = 120.0
    threads: int = 1


class Hello(msgspec.Struct, tag="hello", frozen=True):
    """The first thing a worker says: it is ready for jobs.

    Attributes:
        torch: Version of torch.
        forks: Whether each job gets a process of its own; otherwise the worker is replaced after a job that failed.
    """

    torch: str
    forks: bool


class EpochEnded(msgspec.Struct, tag="epoch", frozen=True):
    """One entry of a job's curve, sent when the epoch ended: what is known of a job that is killed later."""

    entry: dict[str, float]


class Done(msgspec.Struct, tag="done", frozen=True):
    """The end of a job.

    Attributes:
        outcome, metrics, epochs, seconds, error, importances, inherited: As in `nas.measurement.Measurement`.
        traceback: All of it, for the log.
        facts: What a `CheckJob` found; why a `ScoreJob` gave no score of a name.
    """

    outcome: Outcome
    metrics: dict[str, float] = {}
    epochs: int = 0
    seconds: float = 0.0
    error: str = ""
    traceback: str = ""
    facts: dict[str, str] = {}
    importances: dict[str, list[float]] = {}
    inherited: float | None = None


Job = TrainJob | CheckJob | UnseenJob | ScoreJob
Message = Job | Hello | EpochEnded | Done
_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def encode(message: Message) -> bytes:
    """Returns a message as it travels, its length in front."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


def read_message(stream: BinaryIO) -> Message | None:
    """Waits for one message; None at the end of the stream, even in the middle of a message."""
    head = _read_exactly(stream, _LENGTH.size)
    body = None if head is None else _read_exactly(stream, _LENGTH.unpack(head)[0])
    return None if body is None else _decoder.decode(body)


def _read_exactly(stream: BinaryIO, count: int) -> bytes | None:
    found = b""
    while len(found) < count:
        part = stream.read(count - len(found))
        if not part:
            return None
        found += part
    return found


class Unpacker:
    """Cuts messages out of bytes that arrive in any portions."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yields every message that is complete with `data`."""
        self._rest += data
        while len(self._rest) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._rest)[0]
            if len(self._rest) < end:
                return
            body, self._rest = self._rest[_LENGTH.size : end], self._rest[end:]
            yield _decoder.decode(body)


class Result(msgspec.Struct, frozen=True):
    """What an executor hands back for one job: its end, and the epochs that were seen to end, even of a job that died."""

    ticket: int
    done: Done
    curve: tuple[Mapping[str, float], ...] = ()


class Executor(ABC):
    """Runs jobs, at most `slots` at a time; a job that crashes ends itself alone, and is never retried by the executor."""

    slots: int

    @abstractmethod
    def submit(self, ticket: int, job: Job) -> None:
        """Takes a job and returns at once; `ticket` is the caller's name for it."""

    @abstractmethod
    def collect(self, timeout: float | None) -> list[Result]:
        """Returns jobs that ended, waiting for the first of them at most `timeout` seconds (None: for ever).

        Raises:
            EvaluationError: When no worker can be started.
        """

    @abstractmethod
    def close(self) -> None:
        """Kills what is in flight and ends all workers; a second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
