"""What is open while a search runs: its record, its log and its evaluator, each closed on every way out. Searches nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.device import DETERMINISTIC, LARGEST_TRIED, found_device
from nas.errors import NasError, RunError
from nas.evaluators.base import Evaluator
from nas.evaluators.function import CallableEvaluator
from nas.evaluators.training import TrainingEvaluator
from nas.events import Event, Refused
from nas.problem import Problem, Rejected
from nas.recipe import Task
from nas.record import Record

if TYPE_CHECKING:
    from nas.data import Dataset

Function = Callable[..., Mapping[str, float]]
"""A user's own evaluator: `f(architecture) -> dict of metrics`, or `f(architecture, epochs)`."""

LOG = "run.log"


@contextmanager
def recorded(folder: Path, settings: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[Record]:
    """Opens the record; where the search fails, says so in it as far as the disk allows."""
    record = Record(folder, settings, options)
    try:
        yield record
    except BaseException as error:
        record.rollback()
        with suppress(NasError):
            record.close(f"failed: {type(error).__name__}: {error}"[:500])
        raise


@contextmanager
def logged(folder: Path) -> Iterator[Callable[[Event], None]]:
    """Writes what happens, and what the package logs meanwhile, into the run folder."""
    try:
        handler: logging.Handler = _QuietHandler(folder / LOG, encoding="utf-8")
    except OSError as problem:
        raise RunError(f"{folder / LOG} cannot be written: {problem.strerror}; choose a folder you can write to") from None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger, level = logging.getLogger("nas"), logging.getLogger("nas").level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)

    def log(event: Event) -> None:
        if not isinstance(event, Refused):
            logger.info("%s", event)

    try:
        yield log
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        handler.close()


class _QuietHandler(logging.FileHandler):
    """A full disk must not be told a thousand times: the record tells it once, in words."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Drops the line."""


@contextmanager
def evaluating(
    function: Evaluator | Function | None,
    dataset: Dataset | None,
    task: Task | None,
    workers: int | None,
    device: str,
    deadline: float | None,
    record: Record,
    problem: Problem,
    deterministic: bool = False,
) -> Iterator[Evaluator]:
    """Yields who evaluates; closes it where it was made here, else has it let go of what is in flight.

    Args:
        function: Who evaluates; None: training.
        dataset: What is trained on, None where nothing is.
        task: What is measured.
        workers: Evaluations at a time.
        device: Where.
        deadline: Seconds an evaluation may take.
        record: Says which precision an earlier start measured to be the quicker one.
        problem: Its networks are those with which precisions are tried.
        deterministic: Whether to train in fp32 by deterministic algorithms.
    """
    if isinstance(function, Evaluator):
        try:
            yield function
        finally:
            function.forget()  # what is in flight after a stop is proposed again by the next search, under the same numbers
        return
    if function is not None:
        with CallableEvaluator(function) as judge:
            yield judge
        return
    assert dataset is not None
    device = found_device(device)
    told = [options["evaluator"] for options in record.options_before if "evaluator" in options]  # not of starts that failed early
    before = next((facts for facts in told if "precision" in facts and facts["device"] == device), None)
    precision, reason = "auto", ""
    if deterministic:
        precision, reason = DETERMINISTIC, "asked for"
    elif before is not None:  # measured once a run: it changes the figures
        reason = _AS_AT_FIRST + str(before.get("precision_reason") or "asked for").removeprefix(_AS_AT_FIRST)
        precision = str(before["precision"])
    kind = typical_sources(problem) if precision == "auto" else ()
    with TrainingEvaluator(
        dataset, task, workers=workers, device=device, precision=precision, reason=reason, kind=kind, deadline=deadline
    ) as trainer:
        yield trainer


def typical_sources(problem: Problem) -> list[str]:
    """Returns the sources of up to three feasible networks of a space, none of which takes long to try; always the same ones."""
    rng, found = np.random.default_rng(0), []
    for _ in range(_DRAWS):
        with suppress(Rejected):
            candidate = problem.consider(problem.space.sample(rng))
            if candidate.costs["macs"] <= LARGEST_TRIED:
                found.append(candidate.source())
        if len(found) == _TRIED:
            break
    return found


_AS_AT_FIRST = "as at first, "
_DRAWS, _TRIED = 100, 3
