"""From a request of the search to a measurement: what an evaluator is, and the two there are. Knows no torch.

Training happens in worker processes (`nas.executors`); a plain function runs in the process of the search.
"""

from __future__ import annotations

import dataclasses
import inspect
import logging
import math
import numbers
import shutil
import subprocess
import sys
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from nas.device import DETERMINISTIC, check_names
from nas.errors import EvaluationError, RecipeError
from nas.executors.base import CheckJob, Executor, Inheritance, Result, ScoreJob, TrainJob
from nas.executors.local import LocalExecutor
from nas.measurement import Measurement, Outcome, checked_metrics
from nas.processes import cores
from nas.recipe import Recipe, Task

if TYPE_CHECKING:
    from nas.data import Dataset

log = logging.getLogger(__name__)

SCORE_SECONDS = 30.0
"""How long scoring one untrained network may take: a hundred times what it does."""
_PATIENCE = 0.25  # seconds between two questions whether scoring is given up


@dataclass(frozen=True)
class Request:
    """One training segment that the search wants measured.

    Attributes:
        fingerprint: Of the network.
        architecture: What a plain function is called with.
        source: Returns the network's Python text; called only by evaluators that train.
        recipe: Closed.
        seed: Of weights, order, augmentation and dropout.
        epochs: The total that the learning rate schedule is laid out for.
        first_epoch: Epochs trained before.
        last_epoch: Where this segment ends (excluded); None: at `epochs`.
        cycles: Epochs before `epochs` at which a cycle of the learning rate ends, see `nas.train.train`.
        resolutions: Of the images while each cycle lasts, likewise.
        resume_from: Checkpoint of the segment before.
        checkpoint: Where to leave weights; None: nowhere.
        graph: Returns the network's graph as JSON; called only by evaluators that train, and only for the next two.
        inherit: Whose weights it begins with; None: it begins from nothing.
        importance: Which importances are measured at the end (`nas.importance.KINDS`), empty for none.
        data: Folder of the decoded images to train and validate on instead of the evaluator's own.
    """

    fingerprint: str
    architecture: Any
    source: Callable[[], str]
    recipe: Recipe
    seed: int
    epochs: int
    first_epoch: int = 0
    last_epoch: int | None = None
    cycles: tuple[int, ...] = ()
    resolutions: tuple[int, ...] = ()
    resume_from: Path | None = None
    checkpoint: Path | None = None
    graph: Callable[[], str] | None = None
    inherit: Inheritance | None = None
    importance: str = ""
    data: Path | None = None

    @property
    def end(self) -> int:
        """The epoch at which the segment ends."""
        return self.epochs if self.last_epoch is None else self.last_epoch


class Evaluator(ABC):
    """Measures networks, at most `slots` at a time. Every request ends in one measurement; no failure is an exception.

    The loop calls `describe` once, `submit` while slots are free, `collect` for what ended, and `close` at the end.
    """

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many requests are worth having in flight."""

    @abstractmethod
    def submit(self, ticket: int, request: Request) -> None:
        """Takes a request; `ticket` is the caller's name for it.

        Raises:
            EvaluationError: When nothing can be evaluated at all (no such device, unreadable data).
        """

    @abstractmethod
    def collect(self, timeout: float | None) -> list[tuple[int, Measurement]]:
        """Returns what ended, waiting for the first at most `timeout` seconds (None: for ever); empty when none did.

        Raises:
            EvaluationError: When nothing can be evaluated at all.
        """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Returns what the record should know of where it ran, as plain JSON."""

    def score(self, requests: Sequence[Request], given_up: Callable[[], bool] = lambda: False) -> list[dict[str, float]]:
        """Returns the scores of untrained networks by name, the same for the same network; nothing is trained.

        Whoever can overrides this. It is called while a slot is free, and may use all that are.

        Args:
            requests: What would be trained.
            given_up: Asked often; when it says so, what is known so far is returned.

        Returns:
            One entry a request, empty where there is no score.

        Raises:
            EvaluationError: When this evaluator gives no scores.
        """
        raise EvaluationError(f"{type(self).__name__} scores no networks that are not trained; leave prescreen out")

    def close(self) -> None:  # noqa: B027 - an evaluator without processes has nothing to do
        """Kills what is in flight; a second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class TrainingEvaluator(Evaluator):
    """Trains each network briefly, in one single-threaded worker process a slot.

    Workers start in the background while the search prepares its first candidates; the first `submit` (or `describe`) waits
    until one of them has found device, data and metrics in order and, on a CPU, has tried for half a second which precision is
    quicker. A candidate that crashes is not tried again.

    Args:
        dataset: Decoded images; the test images are never read.
        task: What is measured.
        workers: How many; None: one for each core this process may use, on CUDA two (not tried).
        device: `auto` (CUDA where it is, else CPU), `cpu`, `cuda` or `mps`.
        precision: `auto`, `fp32`, `bf16` or `deterministic`.
        reason: How this precision was found, in words, where it is not `auto`.
        kind: Sources of networks of the kind that will be evaluated: with them precisions are tried.
        deadline: Seconds after which an evaluation is killed; None: never.
        executor: Where jobs run; None: in worker processes on this machine. It is closed with the evaluator.
        threads: Of the processor, for each evaluation. More than one is quicker on idle cores only, and changes the figures.

    Raises:
        UnknownNameError: When device or precision is not known.
        EvaluationError: When `workers` or `deadline` makes no sense.
    """

    def __init__(
        self,
        dataset: Dataset,
        task: Task | None = None,
        *,
        workers: int | None = None,
        device: str = "auto",
        precision: str = "auto",
        reason: str = "asked for",
        kind: Sequence[str] = (),
        deadline: float | None = None,
        executor: Executor | None = None,
        threads: int = 1,
    ) -> None:
        check_names(device, precision)
        if workers is not None and workers < 1:
            raise EvaluationError(f"workers is {workers}, expected at least 1")
        if deadline is not None and not deadline > 0:
            raise EvaluationError(f"deadline is {deadline} s, expected a number above 0")
        if precision == DETERMINISTIC and threads != 1:
            raise EvaluationError(f"threads is {threads}, expected 1 where training is deterministic; leave one of them out")
        if executor is None:
            device = found_device(device)
        self._task = {"name": (task or Task()).name, "metrics": [_absolute(metric) for metric in (task or Task()).metrics]}
        self._data = str(dataset.folder)
        self._device, self._precision, self._deadline, self._threads = device, precision, deadline, threads
        self._executor = executor or LocalExecutor(workers or default_workers(device, threads))
        self._check(list(kind))
        self._facts: dict[str, str] | None = None
        self._reason = "" if precision == "auto" else reason
        self._checkpoints: dict[int, str] = {}
        self._last_score = _CHECK
        self._ended: list[Result] = []

    @property
    def slots(self) -> int:
        return self._executor.slots

    def submit(self, ticket: int, request: Request) -> None:
        if request.recipe.open_fields():
            raise RecipeError(f"recipe is open in {', '.join(request.recipe.open_fields())}; expected a closed one")
        facts = self._settled()
        job = TrainJob(
            source=request.source(),
            recipe=dataclasses.asdict(request.recipe),
            task=self._task,
            data=self._data if request.data is None else str(request.data.absolute()),
            epochs=request.epochs,
            first_epoch=request.first_epoch,
            last_epoch=request.end,
            cycles=request.cycles,
            resolutions=request.resolutions,
            seed=request.seed,
            device=facts["device"],
            precision=facts["precision"],
            resume_from=None if request.resume_from is None else str(request.resume_from.absolute()),
            checkpoint=None if request.checkpoint is None else str(request.checkpoint.absolute()),
            deadline=self._deadline,
            graph=request.graph() if request.graph and (request.inherit or request.importance) else "",
            inherit=request.inherit,
            importance=request.importance,
            threads=self._threads,
        )
        self._checkpoints[ticket] = "" if request.checkpoint is None else str(request.checkpoint)
        self._executor.submit(ticket, job)

    def collect(self, timeout: float | None) -> list[tuple[int, Measurement]]:
        self._settled()
        ended, self._ended = self._ended, []
        ended += self._executor.collect(0.0 if ended else timeout)
        while ended and timeout is None and all(result.ticket < 0 for result in ended):  # scores that nobody waits for any more
            ended = self._executor.collect(None)
        return [(result.ticket, self._measurement(result)) for result in ended if result.ticket >= 0]

    def score(self, requests: Sequence[Request], given_up: Callable[[], bool] = lambda: False) -> list[dict[str, float]]:
        """Scores networks in the workers that are free (`nas.zerocost`); one that crashes or hangs there has no score.

        Trainings that end meanwhile are kept for `collect`.
        """
        self._settled()
        waiting: dict[int, int] = {}
        for place, request in enumerate(requests):
            self._last_score -= 1
            waiting[self._last_score] = place
            job = ScoreJob(source=request.source(), data=self._data, seed=request.seed, deadline=SCORE_SECONDS)
            self._executor.submit(self._last_score, job)
        found: list[dict[str, float]] = [{} for _ in requests]
        while waiting and not given_up():
            for result in self._executor.collect(_PATIENCE):
                if result.ticket >= 0:
                    self._ended.append(result)
                elif result.ticket in waiting:  # others were given up
                    found[waiting.pop(result.ticket)] = dict(result.done.metrics)
        return found

    def describe(self) -> dict[str, Any]:
        facts = self._settled()
        return {"evaluator": "training", **facts, "workers": self.slots, "threads": self._threads}

    def close(self) -> None:
        self._executor.close()

    def _check(self, networks: list[str]) -> None:
        """Asks a worker whether everything is in order; one of the networks may end it, which says nothing of the others."""
        self._tried = bool(networks)
        job = CheckJob(
            task=self._task,
            data=self._data,
            device=self._device,
            precision=self._precision,
            networks=networks,
            threads=self._threads,
        )
        self._executor.submit(_CHECK, job)

    def _settled(self) -> dict[str, str]:
        """Device, precision and versions, waiting for the first worker to tell them; it was asked before anything else."""
        while self._facts is None:
            for result in self._executor.collect(None):
                if result.done.outcome is not Outcome.COMPLETE and self._tried:
                    log.info("device and data are checked again, with none of the networks tried: %s", result.done.error)
                    self._check([])
                    continue
                if result.done.outcome is not Outcome.COMPLETE:
                    self.close()
                    raise EvaluationError(result.done.error)
                self._facts = result.done.facts | ({"precision_reason": self._reason} if self._reason else {})
        return self._facts

    def _measurement(self, result: Result) -> Measurement:
        done, checkpoint = result.done, self._checkpoints.pop(result.ticket)
        return Measurement(
            outcome=done.outcome,
            metrics=done.metrics,
            curve=result.curve,
            epochs=done.epochs,
            seconds=done.seconds,
            error=done.error,
            checkpoint=checkpoint if done.outcome is Outcome.COMPLETE else "",
            importances=done.importances,
            inherited=done.inherited,
        )


_CHECK = -1
"""Ticket of the job that is run before all requests; scores have those below it."""


class CallableEvaluator(Evaluator):
    """Measures with a plain function `f(architecture) -> dict of metrics`, in the process of the search, one at a time.

    Args:
        function: Called with `Request.architecture`, and where it has a parameter `epochs`, with how many there are to be. What it
            raises makes the outcome "crashed" (a MemoryError: "out of memory"), a metric that is not finite makes it "diverged".
    """

    def __init__(self, function: Callable[..., Mapping[str, float]]) -> None:
        if not callable(function):
            raise EvaluationError(f"an evaluator is a function of the architecture, got {type(function).__name__}")
        self._function = function
        self._takes_epochs = takes_epochs(function)
        self._waiting: list[tuple[int, Request]] = []

    @property
    def slots(self) -> int:
        return 1

    def submit(self, ticket: int, request: Request) -> None:
        self._waiting.append((ticket, request))

    def collect(self, timeout: float | None) -> list[tuple[int, Measurement]]:
        """Calls the function for everything submitted; it cannot be interrupted, so `timeout` is not kept."""
        waiting, self._waiting = self._waiting, []
        return [(ticket, self._measured(request)) for ticket, request in waiting]

    def describe(self) -> dict[str, Any]:
        name = getattr(self._function, "__qualname__", type(self._function).__qualname__)
        return {"evaluator": f"{getattr(self._function, '__module__', '')}.{name}", "workers": 1}

    def close(self) -> None:
        self._waiting.clear()

    def _measured(self, request: Request) -> Measurement:
        begin = time.perf_counter()
        metrics: dict[str, float] = {}
        error = ""
        try:
            epochs = {"epochs": request.end} if self._takes_epochs else {}
            returned = self._function(request.architecture, **epochs)
        except Exception as raised:
            outcome = Outcome.OUT_OF_MEMORY if isinstance(raised, MemoryError) else Outcome.CRASHED
            error = f"{type(raised).__name__}: {next(iter(str(raised).splitlines()), '')}".rstrip(": ")
            log.info("%s: %s: %s\n%s", request.fingerprint, outcome, error, traceback.format_exc())
        else:
            outcome = Outcome.COMPLETE
            try:
                metrics = checked_metrics(returned)
            except ValueError as wrong:
                outcome, error = Outcome.DIVERGED if _has_infinite(returned) else Outcome.CRASHED, str(wrong)
        reached = request.end if outcome is Outcome.COMPLETE else request.first_epoch
        return Measurement(outcome, metrics, epochs=reached, seconds=time.perf_counter() - begin, error=error)


def takes_epochs(function: Callable[..., Any]) -> bool:
    """Returns whether a function has a parameter `epochs`."""
    try:
        return "epochs" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # some functions written in C tell nothing of their parameters
        return False


def _has_infinite(returned: object) -> bool:
    values = returned.values() if isinstance(returned, Mapping) else ()
    return any(isinstance(value, numbers.Real) and not math.isfinite(value) for value in values)


def found_device(device: str) -> str:
    """Returns the device that a name stands for: `auto` is CUDA where it is, else CPU."""
    return ("cuda" if _cuda_is_there() else "cpu") if device == "auto" else device


def default_workers(device: str, threads: int = 1) -> int:
    """Returns how many trainings of so many threads fill the cores this process may use; on an accelerator at most two, because
    small networks leave it idle."""
    return max(1, (cores() if device == "cpu" else min(2, cores())) // threads)


def _cuda_is_there() -> bool:
    """Asks torch in a process of its own, and only where something looks like an accelerator: asking takes seconds."""
    if not (Path("/proc/driver/nvidia").exists() or Path("/dev/kfd").exists() or shutil.which("nvidia-smi")):
        return False
    question = "import sys, torch; sys.exit(0 if torch.cuda.is_available() else 1)"
    return subprocess.run([sys.executable, "-c", question], capture_output=True, check=False).returncode == 0


def _absolute(metric: str) -> str:
    """Makes the path in `FILE.py:function` independent of the folder a worker runs in."""
    file, colon, function = metric.rpartition(":")
    return f"{Path(file).absolute()}:{function}" if colon else metric
