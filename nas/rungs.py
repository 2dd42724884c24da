"""What the rungs of a search showed: how many networks each has, and whether brief training ranks them as longer training does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from nas.correlation import Agreement, kendall
from nas.lines import counted
from nas.rows import EvaluationRow
from nas.run import Run
from nas.schedule import fewest_networks


@dataclass(frozen=True)
class RungFacts:
    """One rung of a search.

    Attributes:
        epochs: After how many its networks were measured.
        networks: How many were.
        front: How many of them are on its own Pareto front.
        objective: What is compared with the rung below: the first objective that is measured.
        agreement: Of the ranks by it there and here, over the networks that were measured at both; None at the lowest rung, and
            where they are too few.
    """

    epochs: int
    networks: int
    front: int
    objective: str
    agreement: Agreement | None


def rung_facts(run: Run) -> list[RungFacts]:
    """Returns the rungs of a run from the lowest to the top."""
    at: dict[int, dict[int, EvaluationRow]] = {rung: {} for rung in run.rungs}
    for row in run.rows()[1]:
        if row.measurement.outcome.measured and row.to_epoch in at:
            at[row.to_epoch][row.proposal] = row
    objective = next((o.name for o in run.objectives if not o.exact), "")
    below: list[Agreement | None] = [None, *(_agreement(at[a], at[b], objective) for a, b in pairwise(run.rungs))]
    return [
        RungFacts(rung, len(at[rung]), len(run.front(rung)), objective, agreement)
        for rung, agreement in zip(run.rungs, below, strict=True)
    ]


def _agreement(lower: Mapping[int, EvaluationRow], upper: Mapping[int, EvaluationRow], objective: str) -> Agreement | None:
    both = [(lower[trial], upper[trial]) for trial in upper if objective]
    one, other = ([rows[i].measurement.metrics[objective] for rows in both] for i in (0, 1))
    return kendall(one, other)


def rung_words(run: Run) -> list[str]:
    """Returns lines on the rungs of a run; none where all networks were trained for equally long."""
    if len(run.rungs) == 1:
        return []
    facts = rung_facts(run)
    counts = ", ".join(f"{fact.networks} after {counted(fact.epochs, 'epoch')}" for fact in facts)
    lines = [f"networks measured: {counts}; the front is that of {counted(run.top, 'epoch')}"]
    if not facts[-1].networks:
        needed = fewest_networks(run.rungs)
        why = f"that takes {needed} networks" if facts[0].networks < needed else "the search ended before"
        lines.append(f"none reached {run.rungs[-1]} epochs: {why}")
    for lower, fact in pairwise(facts):
        if fact.networks:
            lines.append(f"{fact.objective} after {lower.epochs} and after {fact.epochs} epochs: {agreement_words(fact)}")
    return lines


def agreement_words(fact: RungFacts) -> str:
    """Returns what the agreement of a rung with the one below says of brief training."""
    if fact.agreement is None:
        return f"too few went on to say whether they rank alike ({fact.networks})"
    if fact.agreement.low > 0:
        verdict = "the briefer training can be trusted to rank"
    elif fact.agreement.high < 0:
        verdict = "the briefer training misleads: begin with more epochs"
    else:
        verdict = "nothing is sure about the briefer training"
    return f"Kendall's tau {fact.agreement}, of the best, which went on: {verdict}"
