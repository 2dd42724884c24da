"""What strategy and record cost a search beside the evaluations: milliseconds and bytes an evaluation, as a search grows.

The evaluator is a toy, so everything measured is ours: proposing, decoding, costing, fingerprinting, and writing it down with one
flush an evaluation. Beside it, in the same run: one bare SQLite commit of one row on the same disk (no search that keeps what it
acknowledged can be quicker), and Optuna's NSGA-II with its storage in memory, which keeps nothing. `--folder /dev/shm` leaves the
disk out. What a proposal takes in memory is counted in a second search, which that slows down.

    python benchmarks/record.py [--count 10000] [--strategy nsga2] [--optuna 1000] [--memory 4000] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import gc
import math
import sqlite3
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nas import Space
from nas.budget import Budget
from nas.coordinator import search_loop
from nas.domains import Genotype
from nas.evaluators.function import CallableEvaluator
from nas.events import Evaluated, Event
from nas.library import load_space
from nas.problem import Candidate, Problem
from nas.record import Record
from nas.strategies.base import History, Proposal, Strategy
from nas.strategies.table import STRATEGIES, make_strategy


class TimedProblem(Problem):
    """A problem that measures how long it takes to decode, build, cost and fingerprint."""

    seconds = 0.0

    def consider(self, genotype: Genotype) -> Candidate:
        began = time.perf_counter()
        try:
            return super().consider(genotype)
        finally:
            self.seconds += time.perf_counter() - began


class TimedStrategy(Strategy):
    """A strategy that measures how long another one takes, what it asks of the problem apart."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        self.seconds = 0.0

    def propose(self, problem: Problem, history: History, rng: np.random.Generator) -> Proposal:
        assert isinstance(problem, TimedProblem)
        began, building = time.perf_counter(), problem.seconds
        try:
            return self.strategy.propose(problem, history, rng)
        finally:
            self.seconds += time.perf_counter() - began - (problem.seconds - building)


def toy(architecture: Any) -> dict[str, float]:
    """Returns an accuracy that grows with the logarithm of the parameters, and luck drawn from the fingerprint."""
    params = sum(facts.params for facts in architecture.graph.facts)
    return {"val_accuracy": 0.6 + 0.06 * math.log10(params) + 0.05 * int(architecture.fingerprint[:8], 16) / 16**8}


class Row(NamedTuple):
    """Means over the evaluations since the row before: milliseconds, of these our own, and proposals; bytes over all."""

    evaluations: int
    each: float
    strategy: float
    record: float
    proposals: float
    size: float


def own(space: Space, folder: Path, strategy: str, count: int, marks: Sequence[int]) -> list[Row]:
    """Searches and returns a row at every mark."""
    problem = TimedProblem(space, ["val_accuracy", "params"])
    timed = TimedStrategy(make_strategy(strategy))
    rows: list[Row] = []
    last = [0, time.perf_counter(), 0.0, 0.0, 0]

    def tell(event: Event) -> None:
        if isinstance(event, Evaluated) and event.evaluations in marks:
            found = [event.evaluations, time.perf_counter(), problem.seconds, timed.seconds, event.trial + 1]
            many, seconds, building, proposing, proposals = (new - old for new, old in zip(found, last, strict=True))
            each, record = (value / many * 1e3 for value in (seconds, seconds - building - proposing))
            strategy = proposing / many * 1e3
            rows.append(Row(event.evaluations, each, strategy, record, proposals / many, size(folder) / event.evaluations))
            last[:] = found

    with Record(folder, {}) as record:
        search_loop(problem, timed, CallableEvaluator(toy), record, budget=Budget(count), on_event=tell)
    return rows


def memory(space: Space, folder: Path, strategy: str, count: int) -> float:
    """Returns the bytes that a proposal adds to what Python holds, over the second half of a search, when most caches are full."""
    held: list[tuple[int, int]] = []

    def tell(event: Event) -> None:
        if isinstance(event, Evaluated) and event.evaluations in (count // 2, count):
            gc.collect()
            held.append((event.trial, tracemalloc.get_traced_memory()[0]))

    tracemalloc.start()
    try:
        with Record(folder, {}) as record:
            problem = Problem(space, ["val_accuracy", "params"])
            search_loop(problem, make_strategy(strategy), CallableEvaluator(toy), record, budget=Budget(count), on_event=tell)
    finally:
        tracemalloc.stop()
    (first, before), (last, after) = held
    return (after - before) / (last - first)


def size(folder: Path) -> int:
    """Returns the bytes of the run folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def bare_commit(folder: Path, count: int = 1000) -> float:
    """Returns the milliseconds of one flushed commit of one row of 500 bytes, as a mean."""
    with closing(sqlite3.connect(folder / "bare.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, value BLOB)")
        return timed(lambda: connection.execute("INSERT INTO rows (value) VALUES (?)", (b"x" * 500,)), count)


def optuna_in_memory(space: Space, count: int) -> float:
    """Returns Optuna's milliseconds a trial: the same decisions, nothing decoded, nothing kept."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=optuna.samplers.NSGAIISampler(seed=0))
    sizes = {path: domain.size for path, domain in space.decisions().items() if domain.size and domain.size > 1}

    def one() -> None:
        trial = study.ask()
        drawn = [trial.suggest_int(path, 0, size - 1) for path, size in sizes.items()]
        study.tell(trial, (float(sum(drawn) % 97), float(sum(drawn))))

    return timed(one, count)


def timed(function: Callable[[], object], count: int) -> float:
    """Returns the mean milliseconds of one call."""
    began = time.perf_counter()
    for _ in range(count):
        function()
    return (time.perf_counter() - began) / count * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--strategy", default="nsga2", choices=sorted(STRATEGIES))
    parser.add_argument("--folder", help="where the run is written; a temporary one where nothing is given")
    parser.add_argument("--optuna", type=int, default=1_000, help="trials of Optuna's NSGA-II; 0 leaves it out")
    parser.add_argument(
        "--memory", type=int, default=4_000, help="evaluations of the search whose memory is counted; 0 leaves it out"
    )
    arguments = parser.parse_args()
    space = load_space("fashion_small")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        commits = [bare_commit(folder)]
        marks = [*(mark for mark in (100, 1_000, 2_000, 5_000, 10_000) if mark < arguments.count), arguments.count]
        print(f"fashion_small, {arguments.strategy}, {arguments.count} evaluations of a toy, one worker")
        print("evaluations   ms each   of which strategy   record and loop   proposals each   bytes each")
        rows = own(space, folder / "run", arguments.strategy, arguments.count, marks)
        for many, each, proposing, record, proposals, bytes_ in rows:
            print(f"{many:11,}   {each:7.2f}   {proposing:17.2f}   {record:15.2f}   {proposals:14.2f}   {bytes_:10,.0f}")
        print(f"after a clean stop: {size(folder / 'run') / arguments.count:,.0f} bytes an evaluation")
        (folder / "bare.db").unlink()
        commits.append(bare_commit(folder))
        commit = statistics.mean(commits)
        print(f"one bare SQLite commit on this disk: {commit:.2f} ms (before and after: {commits[0]:.2f}, {commits[1]:.2f})")
        if arguments.memory:
            taken = memory(space, folder / "memory", arguments.strategy, arguments.memory)
            print(f"in memory: {taken:,.0f} bytes a proposal, over the second half of {arguments.memory:,} evaluations")
        ours = rows[-1].strategy + rows[-1].record
        print(f"strategy, record and loop: {ours:.2f} ms, {ours / commit:.2f} times a bare commit")
    if arguments.optuna:
        trial = optuna_in_memory(space, arguments.optuna)
        print(f"Optuna's NSGA-II in memory, {arguments.optuna:,} trials of the same decisions: {trial:.2f} ms a trial")


if __name__ == "__main__":
    main()
