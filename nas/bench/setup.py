"""Reads what a bench is asked for, and refuses what makes no sense before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nas.arguments import load_recipe
from nas.bench.contestants import Contestant, contestants
from nas.bench.problem import TableProblem
from nas.bench.protocol import Protocol, problem_of
from nas.bench.reading import read_table
from nas.bench.results import default_marks
from nas.bench.rows import columns
from nas.bench.table import Duplicates
from nas.budget import duration
from nas.errors import DataError, RunError
from nas.library import load_space
from nas.objectives import Objective
from nas.objectives import objectives as as_objectives

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
    _check_seed(seed)
    if evaluations is None and budget is None:
        evaluations = DEFAULT_EVALUATIONS
    seconds = None if budget is None else duration(budget)
    names = tuple(objectives or list(table.objectives)[:2])
    protocol = Protocol(names, evaluations, seconds, seed, duplicates, fidelity, tuple(constraints))
    problem = problem_of(table, protocol)
    cheapest = 0.0 if problem.seconds is None else problem.seconds[problem.feasible_rows].min()
    if seconds is not None and cheapest > seconds:
        raise DataError(f"the simulated budget of {seconds:g} s is below the cheapest evaluation, {cheapest:g} s")
    return Setup(problem, protocol, _who(strategies), _marks(at, evaluations or len(table)))


@dataclass(frozen=True)
class SpaceSetup:
    """A bench with real runs, ready to be made.

    Attributes:
        arguments: Of `nas.search`, the same for all runs.
        decisions: Every decision that can be active, the columns of the rows.
        contestants: Who takes part, each of which can be made.
        seed: Of the whole bench.
        marks: Numbers of evaluations at which shares are told, rising.
        head: Of the rows.
    """

    arguments: Mapping[str, Any]
    decisions: Sequence[str]
    contestants: Sequence[Contestant]
    seed: int
    marks: Sequence[int]
    head: Sequence[str]


def prepare_space(
    space: str,
    strategies: str,
    arguments: Mapping[str, Any],
    *,
    objectives: Sequence[str],
    constraints: Sequence[str],
    evaluations: int,
    seed: int = 0,
    at: Sequence[str] = (),
) -> SpaceSetup:
    """Returns a bench with real runs, ready to be made.

    Args:
        space: Name of a shipped space, FILE.py, FILE.py:NAME or FILE.json.
        strategies: See `nas.bench.contestants.contestants`.
        arguments: Of `nas.search`: how networks are evaluated.
        objectives: What is ranked, the first one first.
        constraints: Bounds on exact costs.
        evaluations: Of each run.
        seed: Of the whole bench.
        at: Numbers of evaluations at which shares are told; empty: the usual ones.

    Raises:
        NasError: When something makes no sense.
    """
    _check_seed(seed)
    if not isinstance(epochs := arguments.get("epochs", 1), int):
        asked = ",".join(map(str, epochs))
        raise RunError(
            f"a bench compares networks that were trained for equally long; give one number of epochs instead of {asked}"
        )
    if arguments.get("data") is None and arguments.get("evaluator") is None:
        raise RunError(f"no data given to train networks of {space} on; name them with --data, or an --evaluator FILE.py:f instead")
    who = _who(strategies)
    opened = load_space(space)
    opened = replace(opened, recipe=load_recipe(arguments.get("recipe")) or opened.recipe)
    decisions = list(opened.decisions())
    own = {name: Objective(name, "minimize", exact=True) for name in arguments.get("costs") or {}}
    names = [o.name for o in as_objectives([own.get(name.removesuffix(":min"), name) for name in objectives])]
    return SpaceSetup(
        {
            **arguments,
            "space": space,
            "objectives": list(objectives),
            "constraints": list(constraints),
            "evaluations": evaluations,
        },
        decisions,
        who,
        seed,
        _marks(at, evaluations),
        columns(decisions, names, space),
    )


def _who(strategies: str) -> list[Contestant]:
    """Returns who takes part, each of which can be made."""
    who = contestants(strategies)
    for one in who:
        one.make()
    return who


def _check_seed(seed: int) -> None:
    if seed < 0:
        raise DataError(f"seed is {seed}, expected a whole number of at least 0")


def _marks(at: Sequence[str], evaluations: int) -> list[int]:
    return marks_of(at, evaluations) or default_marks(evaluations)


def marks_of(at: Sequence[str], most: int | None = None) -> list[int]:
    """Returns the numbers of evaluations that were asked for, rising.

    Args:
        at: As they were written.
        most: Evaluations of a repeat.

    Raises:
        DataError: When one makes no sense.
    """
    upto = "" if most is None else f" to {most}, the evaluations of a repeat"
    for text in at:
        if not text.isdecimal() or int(text) < 1 or (most is not None and int(text) > most):
            raise DataError(f"--at {text!r}: expected a whole number from 1{upto}")
    return sorted({int(text) for text in at})
