"""One proposal: the strategy is asked until a candidate keeps the constraints. Depends on nothing but what is passed in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nas.errors import NasError, StrategyError, brief
from nas.events import Refused
from nas.problem import Rejected
from nas.strategies.base import History, Proposal, Strategy

if TYPE_CHECKING:
    from nas.problem import Candidate, Problem

MAX_REFUSED = 2_000
"""Candidates refused in a row after which the constraints count as impossible to keep."""


class NothingFeasible(NasError):
    """The constraints refused every candidate of a long row; the message says the nearest value seen."""


class Halted(Exception):
    """Proposing was given up, because the search is to stop."""


@dataclass(frozen=True)
class Accepted:
    """A proposal that keeps the constraints, and what was refused on the way to it."""

    proposal: Proposal
    candidate: Candidate
    rejected: Mapping[str, int]


def next_candidate(
    problem: Problem,
    strategy: Strategy,
    history: History,
    seed: int,
    *,
    on_refused: Callable[[Refused], None] = lambda event: None,
    halted: Callable[[], bool] = lambda: False,
) -> Accepted:
    """Asks the strategy until a candidate keeps the constraints. Depends on nothing but its arguments.

    Args:
        problem: Space, objectives, constraints.
        strategy: Who proposes.
        history: What it may see; the number of the proposal is `history.proposed`.
        seed: Seed of the search. All attempts at proposal k draw from one generator, `default_rng([seed, k])`.
        on_refused: Told of each refused candidate.
        halted: Asked before each attempt whether to give up.

    Raises:
        NothingFeasible: After `MAX_REFUSED` refused candidates.
        Halted: When `halted` says so.
        StrategyError: When the strategy fails, or returns something else than a proposal.
    """
    rng = np.random.default_rng([seed, history.proposed])
    refused: Counter[str] = Counter()
    nearest: dict[str, float] = {}
    said: dict[str, str] = {}
    while refused.total() < MAX_REFUSED:
        if halted():
            raise Halted
        proposal = _proposed(problem, strategy, history, rng)
        try:
            return Accepted(proposal, problem.consider(proposal.genotype), dict(refused))
        except Rejected as refusal:
            refused[refusal.reason] += 1
            said[refusal.reason] = str(refusal)
            _remember_nearest(problem, refusal, nearest)
            on_refused(Refused(refusal.reason, refusal.costs))
    reason, count = refused.most_common(1)[0]
    others = f", {count} of them for this" if len(refused) > 1 else ""
    row = f"{MAX_REFUSED} candidates were refused in a row{others}"
    bound = next((constraint for constraint in problem.constraints if constraint.text == reason), None)
    if bound is not None and reason in nearest:
        end = "smallest" if bound.compare.startswith("<") else "largest"
        raise NothingFeasible(
            f"nothing keeps the constraint {reason}: {row}; the {end} {bound.name} seen is {nearest[reason]:g}; loosen it"
        )
    raise NothingFeasible(f"nothing is {reason if bound else 'feasible'}: {row}; the last: {said[reason]}")


def _proposed(problem: Problem, strategy: Strategy, history: History, rng: np.random.Generator) -> Proposal:
    """Asks the strategy once; a user's own may do anything."""
    name = type(strategy).__qualname__
    try:
        proposal: object = strategy.propose(problem, history, rng)
    except NasError:
        raise
    except Exception as error:
        words = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
        raise StrategyError(f"strategy {name} failed at proposal {history.proposed}: {words}") from error
    if isinstance(proposal, Proposal) and isinstance(proposal.genotype, Mapping):
        return proposal
    got = f"a Proposal of {brief(proposal.genotype)}" if isinstance(proposal, Proposal) else brief(proposal)
    raise StrategyError(
        f"strategy {name} returned {got} at proposal {history.proposed}, expected a Proposal(genotype) of decisions to values"
    )


def _remember_nearest(problem: Problem, refusal: Rejected, nearest: dict[str, float]) -> None:
    for constraint in problem.constraints:
        if constraint.text == refusal.reason and constraint.name in refusal.costs:
            closer = min if constraint.compare.startswith("<") else max
            value = refusal.costs[constraint.name]
            nearest[refusal.reason] = closer(nearest.get(refusal.reason, value), value)
