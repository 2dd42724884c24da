"""Reads what a bench is asked for, and refuses what makes no sense before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.bench.contestants import Contestant, contestants
from nas.bench.problem import TableProblem
from nas.bench.protocol import Protocol, problem_of
from nas.bench.reading import read_table
from nas.bench.results import default_marks
from nas.bench.table import Duplicates
from nas.budget import duration
from nas.errors import DataError

DEFAULT_EVALUATIONS = 100


@dataclass(frozen=True)
class Setup:
    """A bench ready to run.

    Attributes:
        problem: The table with its objectives.
        protocol: How every strategy is run.
        contestants: Who takes part, each of which can be made.
        marks: Numbers of evaluations at which shares are told, rising.
    """

    problem: TableProblem
    protocol: Protocol
    contestants: Sequence[Contestant]
    marks: Sequence[int]


def prepare(
    path: Path,
    strategies: str,
    *,
    objectives: Sequence[str] = (),
    evaluations: int | None = None,
    budget: str | None = None,
    seed: int = 0,
    duplicates: Duplicates = "skip",
    fidelity: int | None = None,
    constraints: Sequence[str] = (),
    at: Sequence[str] = (),
) -> Setup:
    """Returns a bench ready to run.

    Args:
        path: TOML of the table.
        strategies: See `nas.bench.contestants.contestants`.
        objectives: Names; empty: the table's first two.
        evaluations: Of each repeat; None: 100 where there is no budget.
        budget: Simulated time of each repeat.
        seed: Of the whole bench.
        duplicates: What becomes of a repeated network.
        fidelity: Epochs after which results are seen.
        constraints: What candidates must keep, such as "params<=500k".
        at: Numbers of evaluations at which shares are told; empty: the usual ones.

    Raises:
        NasError: When something makes no sense.
    """
    table = read_table(path)
    if budget is not None and table.spec.cost is None:
        raise DataError(f"{path} has no [cost], which a simulated budget needs; use --evaluations instead")
    if seed < 0:
        raise DataError(f"seed is {seed}, expected a whole number of at least 0")
    if evaluations is None and budget is None:
        evaluations = DEFAULT_EVALUATIONS
    seconds = None if budget is None else duration(budget)
    names = tuple(objectives or list(table.objectives)[:2])
    protocol = Protocol(names, evaluations, seconds, seed, duplicates, fidelity, tuple(constraints))
    problem = problem_of(table, protocol)
    cheapest = 0.0 if problem.seconds is None else problem.seconds[problem.feasible_rows].min()
    if seconds is not None and cheapest > seconds:
        raise DataError(f"the simulated budget of {seconds:g} s is below the cheapest evaluation, {cheapest:g} s")
    who = contestants(strategies)
    for one in who:
        one.make()
    return Setup(problem, protocol, who, _marks(at, evaluations or len(table)))


def _marks(at: Sequence[str], evaluations: int) -> list[int]:
    for text in at:
        if not text.isdecimal() or not 1 <= int(text) <= evaluations:
            raise DataError(f"--at {text!r}: expected a whole number from 1 to {evaluations}, the evaluations of a repeat")
    return sorted({int(text) for text in at}) or default_marks(evaluations)
