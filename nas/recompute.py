"""Recomputes the proposals of a run from what each of them had seen (`nas verify RUN`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nas.attempts import NothingFeasible, next_candidate
from nas.domains import Genotype, identity
from nas.ledger import Ledger, climbed, replay_steps
from nas.prescreen import Screen
from nas.promise import EXACT, MEAN
from nas.rows import EvaluationRow, ProposalRow, ScreeningRow
from nas.schedule import Ladder, Promotion
from nas.strategies.base import Exhausted, Strategy

if TYPE_CHECKING:
    from nas.problem import Candidate, Problem
    from nas.run import Run


@dataclass(frozen=True)
class Mismatch:
    """A recorded proposal that comes out otherwise.

    Attributes:
        trial: Its number.
        what: What differs: a decision's path, "parents", "operator", "fingerprint", "inherit_from", "aligned",
            "rejected", "repeat_of", "screening" or "promotion".
        recorded: What the record says.
        computed: What came out now.
    """

    trial: int
    what: str
    recorded: Any
    computed: Any

    def __str__(self) -> str:
        return f"trial {self.trial}: {self.what} is {self.recorded!r} in the record, computed now it is {self.computed!r}"


def verify(run: Run, problem: Problem, strategy: Strategy) -> list[Mismatch]:
    """Computes every recorded proposal again and compares; a promotion has to be of one that was among the best of its rung then.

    Needs the space, and a strategy that draws all its randomness from the generator it is given; evaluates nothing.

    Args:
        run: The record.
        problem: Made from the same space, objectives and constraints.
        strategy: With the same settings.

    Returns:
        One entry for each proposal or promotion that differs, empty when the record can be trusted.
    """
    proposals, evaluations, costs = run.rows()
    ledger = Ledger(run.objectives)
    seed = int(run.settings["seed"])
    screenings = {row.proposal: row for row in run.screenings()}
    screen = _recorded_screen(int(run.settings.get("prescreen", 0)), problem, screenings.values())
    found = []
    for row in replay_steps(ledger, proposals, evaluations, costs):
        mismatch = _compare(row, screenings.get(row.id), problem, strategy, seed, ledger, screen)
        if mismatch is not None:
            found.append(mismatch)
    return found + _wrong_promotions(run, evaluations, costs)


def _wrong_promotions(run: Run, evaluations: Sequence[EvaluationRow], costs: Mapping[str, Mapping[str, float]]) -> list[Mismatch]:
    """Returns the promotions of networks that were not among the best of their rung when that was decided."""
    found = []

    def check(ladder: Ladder, promotion: Promotion) -> None:
        if not ladder.may(promotion):
            went = f"from {promotion.from_epoch} to {promotion.to_epoch} epochs"
            found.append(Mismatch(promotion.trial, "promotion", went, "none: it was not among the best then"))

    climbed(run.objectives, evaluations, costs, run.rungs, run.promotions(), check)
    return found


def _recorded_screen(count: int, problem: Problem, screenings: Iterable[ScreeningRow]) -> Screen | None:
    """Returns a screen that takes every score from the record."""
    scores = {candidate.fingerprint: candidate.scores for row in screenings for candidate in row.candidates}

    def recorded(candidates: Sequence[Candidate], given_up: object) -> list[Mapping[str, float]]:
        known = [scores.get(candidate.fingerprint, {}) for candidate in candidates]
        return [{name: value for name, value in found.items() if name not in (*EXACT, MEAN)} for found in known]

    return Screen(count, problem, recorded) if count else None


def _compare(
    row: ProposalRow,
    screening: ScreeningRow | None,
    problem: Problem,
    strategy: Strategy,
    seed: int,
    ledger: Ledger,
    screen: Screen | None,
) -> Mismatch | None:
    history = ledger.history()
    if history.proposed != row.id or len(history.finished) != row.seen:
        return Mismatch(row.id, "seen", row.seen, len(history.finished))
    try:
        accepted = (screen.next_candidate if screen else next_candidate)(problem, strategy, history, seed)
    except (NothingFeasible, Exhausted) as problem_found:
        return Mismatch(row.id, "genotype", dict(row.genotype), str(problem_found))
    proposal = accepted.proposal
    if path := _first_difference(row.genotype, proposal.genotype):
        return Mismatch(row.id, path, row.genotype.get(path), proposal.genotype.get(path))
    now = replace(
        row,
        fingerprint=accepted.candidate.fingerprint,
        parents=tuple(proposal.parents),
        operator=proposal.operator,
        inherit_from=proposal.inherit_from,
        aligned=dict(proposal.aligned),
        rejected=dict(accepted.rejected),
        repeat_of=ledger.first((accepted.candidate.fingerprint, row.recipe)),
    )
    for name in ("fingerprint", "parents", "operator", "inherit_from", "aligned", "rejected", "repeat_of"):
        if getattr(now, name) != getattr(row, name):
            return Mismatch(row.id, name, getattr(row, name), getattr(now, name))
    return None if accepted.screening == screening else Mismatch(row.id, "screening", screening, accepted.screening)


def _first_difference(recorded: Genotype, computed: Genotype) -> str:
    for path in dict.fromkeys([*recorded, *computed]):
        if path not in recorded or path not in computed or identity(recorded[path]) != identity(computed[path]):
            return path
    return ""
