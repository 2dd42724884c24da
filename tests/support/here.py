"""An executor that runs jobs in this process, one after another: real training without starting processes."""

from __future__ import annotations

from collections.abc import Callable

from nas.executors.base import Done, Executor, Job, Result
from nas.perform import perform


class Here(Executor):
    """Runs a job when its result is asked for.

    Args:
        slots: How many jobs it says it runs at a time.
        before: Called with each job; what it returns is the end of that job instead.
    """

    def __init__(self, slots: int = 2, before: Callable[[Job], Done | None] = lambda job: None) -> None:
        self.slots = slots
        self.done: list[Job] = []
        self._before = before
        self._waiting: list[tuple[int, Job]] = []

    def submit(self, ticket: int, job: Job) -> None:
        self._waiting.append((ticket, job))

    def collect(self, timeout: float | None) -> list[Result]:
        if not self._waiting:
            return []
        ticket, job = self._waiting.pop(0)
        curve: list[dict[str, float]] = []
        end = self._before(job) or perform(job, lambda entry: curve.append(entry.entry))
        self.done.append(job)
        return [Result(ticket, end, tuple(curve))]

    def close(self) -> None:
        self._waiting.clear()
