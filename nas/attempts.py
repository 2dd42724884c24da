"""One proposal: the strategy is asked until a candidate keeps the constraints. Depends on nothing but what is passed in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nas.correlation import Agreement
from nas.errors import NasError, StrategyError, brief
from nas.events import Refused
from nas.lines import counted
from nas.problem import Rejected, nearest_seen
from nas.rows import ScreeningRow
from nas.strategies.base import History, Proposal, Strategy, Unfinished

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
    """A proposal that keeps the constraints, and what was refused on the way to it.

    Attributes:
        proposal: What the strategy said.
        candidate: What it decodes to.
        rejected: How many candidates were refused before it, by reason.
        screening: What it was chosen from; None where there was no choice (`nas.prescreen`).
        worth: How far such choices agreed with the accuracies measured so far; None while that cannot be said.
    """

    proposal: Proposal
    candidate: Candidate
    rejected: Mapping[str, int]
    screening: ScreeningRow | None = None
    worth: Agreement | None = None


def next_candidate(
    problem: Problem,
    strategy: Strategy,
    history: History,
    seed: int,
    *,
    attempt: int = 0,
    on_refused: Callable[[Refused], None] = lambda event: None,
    halted: Callable[[], bool] = lambda: False,
) -> Accepted:
    """Asks the strategy until a candidate keeps the constraints. Depends on nothing but its arguments.

    Args:
        problem: Space, objectives, constraints.
        strategy: Who proposes.
        history: What it may see; the number of the proposal is `history.proposed`.
        seed: Seed of the search. Whatever is refused, proposal k is drawn from one generator, `default_rng([seed, k])`;
        attempt: where another candidate for the same proposal is wanted, from `default_rng([seed, k, attempt])`.
        on_refused: Told of each refused candidate.
        halted: Asked before each attempt whether to give up.

    Raises:
        NothingFeasible: After `MAX_REFUSED` refused candidates.
        Halted: When `halted` says so.
        Exhausted: When the strategy has nothing left to propose.
        StrategyError: When the strategy fails, or returns something else than a proposal.
    """
    rng = np.random.default_rng([seed, history.proposed, *([attempt] if attempt else [])])
    refused: list[Rejected] = []
    while len(refused) < MAX_REFUSED:
        if halted():
            raise Halted
        try:
            proposal = _proposed(problem, strategy, history, rng)
        except Unfinished:
            continue
        try:
            return Accepted(proposal, problem.consider(proposal.genotype), dict(Counter(r.reason for r in refused)))
        except Rejected as refusal:
            refused.append(refusal.with_traceback(None))
            on_refused(Refused(refusal.reason, refusal.costs))
    raise NothingFeasible(_nothing_feasible(problem, refused))


def _nothing_feasible(problem: Problem, refused: Sequence[Rejected]) -> str:
    """Returns one line on why everything was refused: the commonest reason, with the nearest value seen."""
    reasons = Counter(r.reason for r in refused)
    reason, count = reasons.most_common(1)[0]
    others = f", {count} of them for this" if len(reasons) > 1 else ""
    row = f"{counted(len(refused), 'candidate')} refused in a row{others}"
    if nearest := nearest_seen(problem.constraints, reason, refused):
        return f"nothing keeps the constraint {reason}: {row}; {nearest}; loosen it"
    return f"nothing is feasible: {row}; the last: {[r for r in refused if r.reason == reason][-1]}"


def _proposed(problem: Problem, strategy: Strategy, history: History, rng: np.random.Generator) -> Proposal:
    """Asks the strategy once; a user's own may do anything."""
    inner = strategy
    while isinstance(behind := getattr(inner, "strategy", None), Strategy):  # what leads it on is not at fault
        inner = behind
    name = type(inner).__qualname__
    try:
        proposal: object = strategy.propose(problem, history, rng)
    except (NasError, Unfinished):
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
