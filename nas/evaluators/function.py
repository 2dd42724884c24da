"""Measuring networks with a plain function, in the process of the search."""

from __future__ import annotations

import inspect
import logging
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from nas.errors import EvaluationError
from nas.evaluators.base import Evaluator, Request
from nas.measurement import Measurement, NotFinite, Outcome, checked_metrics

log = logging.getLogger(__name__)


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

    def forget(self) -> None:
        self._waiting.clear()

    def close(self) -> None:
        self.forget()

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
                outcome, error = Outcome.DIVERGED if isinstance(wrong, NotFinite) else Outcome.CRASHED, str(wrong)
        reached = request.end if outcome is Outcome.COMPLETE else request.first_epoch
        return Measurement(outcome, metrics, epochs=reached, seconds=time.perf_counter() - begin, error=error)


def takes_epochs(function: Callable[..., Any]) -> bool:
    """Returns whether a function has a parameter `epochs`."""
    try:
        return "epochs" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # some functions written in C tell nothing of their parameters
        return False
