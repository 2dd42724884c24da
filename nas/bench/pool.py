"""Runs all repeats of a bench on all cores: one worker process a core, fed one repeat at a time. Nothing is pickled."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from nas.bench.contestants import Contestant
from nas.bench.protocol import Protocol, Repeat
from nas.bench.worker import Answer, Task, answer
from nas.errors import NasError
from nas.processes import ask, cores, start_worker


def run_all(
    table: Path,
    protocol: Protocol,
    contestants: Sequence[Contestant],
    repeats: int,
    *,
    workers: int | None = None,
    on_done: Callable[[int, int], None] = lambda done, total: None,
    on_repeat: Callable[[str, int, Repeat], None] | None = None,
    there: Collection[tuple[str, int]] = (),
) -> dict[str, list[Repeat]]:
    """Returns the repeats of each contestant by its label, in the order of their numbers.

    Args:
        table: Path of the TOML.
        protocol: The same for all.
        contestants: Who takes part.
        repeats: How many each.
        workers: Processes; None: one a core. With one, everything runs in this process.
        on_done: Told how many of how many repeats are done.
        on_repeat: Given each repeat as it ends, with the label of its contestant and its number.
        there: Labels and numbers of repeats that are not to be made.

    Raises:
        NasError: What the first repeat that fails says.
    """
    # repeat by repeat, so that a look at the first ones compares all contestants
    tasks = [Task(str(table), protocol, who, repeat) for repeat in range(repeats) for who in contestants]
    tasks = [task for task in tasks if (task.contestant.label, task.repeat) not in there]
    workers = min(workers or cores(), max(len(tasks), 1))
    found: dict[int, Repeat] = {}
    for i, done in _alone(tasks) if workers == 1 else _together(tasks, workers):
        if done.repeat is None:
            raise NasError(f"{tasks[i].contestant.label}, repeat {tasks[i].repeat}: {done.error}")
        found[i] = done.repeat
        if on_repeat is not None:
            on_repeat(tasks[i].contestant.label, tasks[i].repeat, done.repeat)
        on_done(len(found), len(tasks))
    return {who.label: [found[i] for i, task in enumerate(tasks) if task.contestant is who] for who in contestants}


def _alone(tasks: Sequence[Task]) -> Iterator[tuple[int, Answer]]:
    for i, task in enumerate(tasks):
        yield i, answer(task)


def _together(tasks: Sequence[Task], workers: int) -> Iterator[tuple[int, Answer]]:
    """Yields the answers of worker processes as they come; ends the processes in any case."""
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    answers: queue.SimpleQueue[tuple[int, Answer]] = queue.SimpleQueue()
    for i in range(len(tasks)):
        waiting.put(i)
    processes = [start_worker("nas.bench.worker") for _ in range(workers)]
    try:
        for process in processes:
            threading.Thread(target=_feed, args=(process, tasks, waiting, answers), daemon=True).start()
        for _ in tasks:
            yield _next(answers)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _next(answers: queue.SimpleQueue[tuple[int, Answer]]) -> tuple[int, Answer]:
    """Waits for an answer in small portions, because not every system interrupts a wait for Ctrl-C."""
    while True:
        with contextlib.suppress(queue.Empty):
            return answers.get(timeout=0.2)


def _feed(
    process: subprocess.Popen[bytes],
    tasks: Sequence[Task],
    waiting: queue.SimpleQueue[int],
    answers: queue.SimpleQueue[tuple[int, Answer]],
) -> None:
    """Gives one worker a task after the other until none waits, or it is gone."""
    with contextlib.suppress(queue.Empty):
        while True:
            i = waiting.get_nowait()
            try:
                line = ask(process, msgspec.json.encode(tasks[i]))
            except ChildProcessError as error:
                answers.put((i, Answer(error=str(error))))
                return
            answers.put((i, msgspec.json.decode(line, type=Answer)))
