"""A bench with real runs: one ordinary run folder for each strategy and repeat, several made at a time, each with one worker.

One worker, because then a run is deterministic and its pair in another strategy had the same conditions; what is faster is to make
several runs at a time. A run that is there already is gone on with, or taken as it is where it has all its evaluations.
"""

from __future__ import annotations

import contextlib
import hashlib
import queue
import re
import subprocess
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import msgspec

from nas.bench.contestants import Contestant
from nas.bench.protocol import seed_of
from nas.bench.runner import Answer, make
from nas.bench.stopping import BenchStopped
from nas.errors import NasError, RunError
from nas.interrupts import Interrupts
from nas.processes import ask, start_worker
from nas.run import Run, open_run

_POLL = 0.2  # seconds a signal may wait
_PATIENCE = 60.0  # seconds a run may take to write down what it has


@dataclass(frozen=True)
class Plan:
    """One run of a bench.

    Attributes:
        label: Of its strategy.
        repeat: Its number, from 0.
        folder: Where it is kept.
        arguments: Of `nas.search`, plain values only.
    """

    label: str
    repeat: int
    folder: Path
    arguments: Mapping[str, Any]


def plans(who: Sequence[Contestant], repeats: int, seed: int, folder: Path, arguments: Mapping[str, Any]) -> list[Plan]:
    """Returns every run of a bench, repeat by repeat, so that a look at the first ones compares all strategies.

    Args:
        who: The strategies.
        repeats: Of each.
        seed: Of the whole bench; repeat r of every strategy has the seed `seed_of(seed, r)`.
        folder: Of the bench.
        arguments: Of `nas.search`, the same for all runs.
    """
    safe = prefixes([one.label for one in who])
    return [
        Plan(
            one.label,
            repeat,
            folder / f"{safe[one.label]}-{repeat}",
            {
                **arguments,
                "strategy": one.name,
                "strategy_options": dict(one.options) or None,
                "seed": seed_of(seed, repeat),
                "workers": 1,
                "out": str(folder / f"{safe[one.label]}-{repeat}"),
            },
        )
        for repeat in range(repeats)
        for one in who
    ]


def prefixes(labels: Sequence[str]) -> dict[str, str]:
    """Returns what the names of its folders begin with for each label, different ones even where case does not count."""
    found: dict[str, str] = {}
    for label in labels:
        name = re.sub(r"[^A-Za-z0-9_=.]+", "-", label).strip("-.")[:60] or "strategy"
        if name.casefold() in {other.casefold() for other in found.values()}:
            name += f"-{hashlib.sha256(label.encode()).hexdigest()[:6]}"
        found[label] = name
    return found


def run_plans(todo: Sequence[Plan], workers: int, on_done: Callable[[Plan, Run], None]) -> None:
    """Makes all runs, or goes on with those that are there.

    Args:
        todo: The runs.
        workers: How many at a time; with one, everything happens in this process.
        on_done: Told of each run as it ends, in the order of endings.

    Raises:
        NasError: What the first run that fails says.
        KeyboardInterrupt: After a signal, when everything is written.
    """
    left = []
    for plan in todo:
        if is_done(plan):
            on_done(plan, open_run(plan.folder))
        else:
            left.append(plan)
    workers = min(workers, len(left))
    with contextlib.closing(_alone(left) if workers <= 1 else _together(left, workers)) as ended:
        for plan, error in ended:
            if error:
                raise NasError(f"{plan.label}, repeat {plan.repeat}: {error}")
            on_done(plan, open_run(plan.folder))


def is_done(plan: Plan) -> bool:
    """Returns whether a run is there, of the same settings, with all its evaluations."""
    try:
        run = open_run(plan.folder)
    except RunError:
        return False
    before = run.starts()[-1]["options"]["arguments"]
    wanted = msgspec.to_builtins({name: value for name, value in plan.arguments.items() if name in before and name != "workers"})
    same = all(before[name] == value for name, value in wanted.items()) and _task(plan) in (
        None,
        list(run.settings["task"]["metrics"]),
    )
    return same and len(run.rows()[1]) >= int(plan.arguments["evaluations"])


def _task(plan: Plan) -> list[str] | None:
    task = plan.arguments.get("task")
    return None if task is None else list((asdict(task) if is_dataclass(task) and not isinstance(task, type) else task)["metrics"])


def _alone(todo: Sequence[Plan]) -> Generator[tuple[Plan, str]]:
    for plan in todo:
        yield plan, make(plan.arguments).error


def _together(todo: Sequence[Plan], workers: int) -> Generator[tuple[Plan, str]]:
    """Yields each run with its error, if any, as they end; on any other way out stops what is under way; it keeps what it has."""
    waiting: queue.SimpleQueue[Plan] = queue.SimpleQueue()
    ended: queue.SimpleQueue[tuple[Plan, str]] = queue.SimpleQueue()
    for plan in todo:
        waiting.put(plan)
    crew = [_Crew(waiting, ended) for _ in range(workers)]
    with Interrupts() as interrupts:
        try:
            for _ in todo:
                while True:
                    if interrupts.signal:
                        raise BenchStopped(interrupts.signal)
                    with contextlib.suppress(queue.Empty):
                        yield ended.get(timeout=_POLL)
                        break
        finally:
            for one in crew:
                one.stop()
            for one in crew:
                one.wait(_PATIENCE)


class _Crew:
    """Makes one run after the other, each in a process of its own, until none waits."""

    def __init__(self, waiting: queue.SimpleQueue[Plan], ended: queue.SimpleQueue[tuple[Plan, str]]) -> None:
        self._waiting, self._ended = waiting, ended
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Asks the run under way to write down what it has and end; starts none."""
        with self._lock:
            self._stopping = True
            if self._process is not None and self._process.stdin is not None:
                with contextlib.suppress(OSError):
                    self._process.stdin.close()

    def wait(self, seconds: float) -> None:
        """Waits until it has, and kills it where that takes too long."""
        self._thread.join(seconds)
        if self._thread.is_alive() and self._process is not None:
            self._process.kill()

    def _work(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                plan = self._waiting.get_nowait()
                with self._lock:
                    if self._stopping:
                        return
                    self._process = process = start_worker("nas.bench.runner")
                self._ended.put((plan, self._made(process, plan)))

    def _made(self, process: subprocess.Popen[bytes], plan: Plan) -> str:
        """Returns why a run failed, empty where it did not."""
        try:
            line = ask(process, msgspec.json.encode(plan.arguments))
        except ChildProcessError as error:
            return str(error)
        process.wait()
        return msgspec.json.decode(line, type=Answer).error
