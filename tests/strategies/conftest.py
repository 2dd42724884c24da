"""A small problem and a history grown by a quick evaluator, shared by the tests of the strategies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nas import Space, choice, integer, real
from nas.blocks import Classifier, Conv, OneOf, Pool, Repeat, Sequential
from nas.ledger import losses_of
from nas.measurement import Outcome
from nas.problem import Problem, Rejected
from nas.recipe import Recipe
from nas.strategies.base import Exhausted, History, Proposal, Strategy, Trial

SPACE = Space(
    input_shape=(1, 8, 8),
    classes=4,
    border="floor",
    body=Sequential(
        Conv(channels=choice(4, 8), kernel=3, name="stem"),
        Repeat(
            OneOf(Conv(channels=choice(4, 8, 16), kernel=choice(1, 3)), Pool(kind=choice("max", "avg"), kernel=2, stride=1)),
            times=integer(1, 4),
        ),
        Classifier(),
    ),
    recipe=Recipe(lr=real(0.01, 0.5, log=True)),
)

FINITE = replace(SPACE, recipe=None)
"""The same without its continuum: 9,360 genotypes."""

TINY = Space(
    Sequential(
        Conv(channels=choice(1, 2, 3), name="stem"),
        Repeat(Conv(channels=2, kernel=choice(1, 3)), times=integer(0, 2)),
        Classifier(),
    ),
    (1, 4, 4),
    2,
)
"""21 genotypes, as many networks."""


def make_problem(
    objectives: Sequence[str] = ("val_accuracy", "params"), constraints: Sequence[str] = (), space: Space = SPACE
) -> Problem:
    return Problem(space, objectives, constraints)


def noise(text: str) -> float:
    """A number in [0, 1) that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48


def losses(problem: Problem, proposal: Proposal) -> tuple[float, ...]:
    """A quick evaluator: accuracy rises with the logarithm of the size, and scatters."""
    candidate = problem.consider(proposal.genotype)
    accuracy = 0.1 * np.log10(1 + candidate.costs["params"]) + 0.2 * noise(candidate.fingerprint)
    values = {**candidate.costs, "val_accuracy": float(accuracy), "val_loss": float(1 - accuracy)}
    found = losses_of(problem.objectives, values, Outcome.COMPLETE)
    assert found is not None
    return found


def propose(problem: Problem, strategy: Strategy, history: History, seed: int = 0) -> Proposal:
    """Asks as the loop does: again, with the same generator, until the constraints are kept."""
    rng = np.random.default_rng([seed, history.proposed])
    for _ in range(500):
        proposal = strategy.propose(problem, history, rng)
        try:
            problem.consider(proposal.genotype)
        except Rejected:
            continue
        return proposal
    raise AssertionError("no feasible proposal among 500")


def grow(
    problem: Problem,
    strategy: Strategy,
    count: int,
    *,
    seed: int = 0,
    workers: int = 1,
    fails: Callable[[int], bool] = lambda number: False,
    watch: Callable[[History, Proposal], None] = lambda history, proposal: None,
) -> list[Trial]:
    """Runs a search of `count` proposals; with several workers the last of those in flight ends first.

    A strategy with nothing to propose while something is in flight is asked again when that has ended, as the loop does.

    Args:
        problem: What is searched.
        strategy: Who proposes.
        count: Proposals.
        seed: Of the search.
        workers: Proposals in flight at a time.
        fails: Which trials fail.
        watch: Told of each proposal and the history it saw.
    """
    finished: list[Trial] = []
    pending: list[tuple[Trial, tuple[float, ...]]] = []

    def ends(place: int) -> None:
        ended, values = pending.pop(place)
        finished.append(end(ended, None if fails(ended.id) else values))

    for number in range(count):
        while True:
            history = History(finished, tuple(trial for trial, _ in pending))
            try:
                proposal = propose(problem, strategy, history, seed)
                break
            except Exhausted:
                if not pending:
                    raise
                ends(-1)
        watch(History(tuple(finished), history.pending), proposal)
        trial = trial_of(problem, number, proposal)
        pending.append((trial, losses(problem, proposal)))
        if len(pending) >= workers:
            ends(-1 if number % 3 else 0)
    return finished


def trial_of(problem: Problem, number: int, proposal: Proposal) -> Trial:
    return Trial(
        number,
        proposal.genotype,
        problem.consider(proposal.genotype).fingerprint,
        parents=proposal.parents,
        operator=proposal.operator,
        notes=proposal.notes,
    )


def end(trial: Trial, values: tuple[float, ...] | None) -> Trial:
    outcome = Outcome.CRASHED if values is None else Outcome.COMPLETE
    return replace(trial, losses=values, outcome=outcome)


@pytest.fixture
def lab() -> Any:
    """The functions above, under one name."""
    functions = {"problem": make_problem, "propose": propose, "grow": grow, "losses": losses, "trial_of": trial_of, "end": end}
    return SimpleNamespace(**functions, space=SPACE, finite=FINITE, tiny=TINY)
