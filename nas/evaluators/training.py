"""Measuring networks by training them, in worker processes (`nas.executors`). Knows no torch."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.device import DETERMINISTIC, check_names, default_workers, found_device
from nas.errors import EvaluationError, RecipeError
from nas.evaluators.base import Evaluator, Request
from nas.executors.base import CheckJob, Executor, Result, ScoreJob, TrainJob
from nas.executors.local import LocalExecutor
from nas.measurement import Measurement, Outcome
from nas.recipe import Task, batches, slices_of

if TYPE_CHECKING:
    from nas.data import Dataset

log = logging.getLogger(__name__)

SCORE_SECONDS = 30.0
"""How long scoring one untrained network may take: a hundred times what it does."""
_PATIENCE = 0.25  # seconds between two questions whether scoring is given up
SHARE = 0.8
"""Of a device's memory that steps of training may take by the forecast (`nas.memory`); libraries and images want some too."""
_CHECK = -1
"""Ticket of the job that is run before all requests; requests have those above it, scores those below."""


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
        self._data, self._images = str(dataset.folder), dataset.size("train")
        self._device, self._precision, self._deadline, self._threads = device, precision, deadline, threads
        self._executor = executor or LocalExecutor(workers or default_workers(device, threads))
        self._check(list(kind))
        self._facts: dict[str, str] | None = None
        self._reason = "" if precision == "auto" else reason
        self._asked: dict[int, tuple[int, str]] = {}
        self._last_asked, self._last_score = _CHECK, _CHECK
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
            slices=self._slices(request, facts),
        )
        self._last_asked += 1
        self._asked[self._last_asked] = ticket, "" if request.checkpoint is None else str(request.checkpoint)
        self._executor.submit(self._last_asked, job)

    def collect(self, timeout: float | None) -> list[tuple[int, Measurement]]:
        self._settled()
        ended, self._ended = self._ended, []
        ended += self._executor.collect(0.0 if ended else timeout)
        while ended and timeout is None and not any(result.ticket in self._asked for result in ended):  # nobody waits for these
            ended = self._executor.collect(None)
        return [self._measurement(result) for result in ended if result.ticket in self._asked]

    def forget(self) -> None:
        self._asked.clear()

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

    def _slices(self, request: Request, facts: Mapping[str, str]) -> int:
        """Returns in how many parts batches are gone through so that all slots together fit into memory, by the forecast.

        It goes by the memory there is in all, so that it is the same for each segment, and for the same network again.
        """
        if not request.memory or not facts.get("memory"):
            return 1
        batch = batches(self._images, request.recipe.batch_size)[1]
        needed = batch * request.memory * (0.5 if facts["precision"] == "bf16" else 1.0)  # values of two bytes
        return slices_of(batch, math.ceil(needed / (SHARE * int(facts["memory"]) / self.slots)))

    def _measurement(self, result: Result) -> tuple[int, Measurement]:
        done, (ticket, checkpoint) = result.done, self._asked.pop(result.ticket)
        return ticket, Measurement(
            outcome=done.outcome,
            metrics=done.metrics,
            curve=result.curve,
            epochs=max(done.epochs, *(int(entry["epoch"]) for entry in result.curve), 0),  # those before a crash are spent too
            seconds=done.seconds,
            error=done.error,
            checkpoint=checkpoint if done.outcome is Outcome.COMPLETE else "",
            importances=done.importances,
            inherited=done.inherited,
        )


def _absolute(metric: str) -> str:
    """Makes the path in `FILE.py:function` independent of the folder a worker runs in."""
    file, colon, function = metric.rpartition(":")
    return f"{Path(file).absolute()}:{function}" if colon else metric
