"""A process that runs repeats of a bench: one `Task` a line on standard input, one `Answer` a line on standard output."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec

from nas.bench.contestants import Contestant
from nas.bench.problem import TableProblem
from nas.bench.protocol import Protocol, Repeat, problem_of, run_repeat
from nas.bench.reading import read_table
from nas.errors import NasError


@dataclass(frozen=True)
class Task:
    """One repeat to run.

    Attributes:
        table: Path of its TOML.
        protocol: How.
        contestant: Who.
        repeat: Its number.
    """

    table: str
    protocol: Protocol
    contestant: Contestant
    repeat: int


@dataclass(frozen=True)
class Answer:
    """What became of a task.

    Attributes:
        repeat: What was evaluated; None where it failed.
        error: Why it failed, in one line.
    """

    repeat: Repeat | None = None
    error: str = ""


@lru_cache(1)
def _problem(table: str, protocol: Protocol) -> TableProblem:
    return problem_of(read_table(Path(table)), protocol)


def answer(task: Task) -> Answer:
    """Runs a repeat."""
    try:
        problem = _problem(task.table, task.protocol)
        return Answer(run_repeat(problem, task.contestant.make(), task.protocol, task.repeat))
    except NasError as error:
        return Answer(error=str(error))


def main() -> None:
    """Answers until standard input ends. What a user's strategy prints goes to standard error."""
    with contextlib.suppress(BrokenPipeError), os.fdopen(os.dup(1), "wb") as out:  # nobody waits for the answer any more
        os.dup2(2, 1)
        for line in sys.stdin.buffer:
            out.write(msgspec.json.encode(answer(msgspec.json.decode(line, type=Task))) + b"\n")
            out.flush()


if __name__ == "__main__":
    main()
