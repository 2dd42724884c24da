"""One repeat of a bench: a strategy searches a table as it would search anything, and what it evaluated is written down.

Ledger, limits and attempts are those of a real search, so the generator of proposal k is `default_rng([seed, k])` and a proposal
sees what it would see there, with one evaluation at a time.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field

from nas.attempts import Accepted, NothingFeasible, next_candidate
from nas.bench.kin import kin
from nas.bench.problem import TableProblem
from nas.bench.table import Duplicates, Table
from nas.budget import Budget
from nas.domains import Genotype
from nas.ledger import Ledger
from nas.limits import Limits
from nas.lines import spell_seconds
from nas.measurement import Outcome
from nas.rows import ProposalRow
from nas.strategies.base import Exhausted, Strategy


@dataclass(frozen=True)
class Protocol:
    """How every strategy is run.

    Attributes:
        objectives: Names of the table's objectives, the first one first.
        evaluations: When a repeat ends; None leaves that to `seconds`.
        seconds: Simulated seconds after which it ends; an evaluation that would end later is not made.
        seed: Of the whole bench; repeat r of every strategy has the seed `seed_of(seed, r)`, so that repeats are paired.
        duplicates: What becomes of a repeated network.
        fidelity: Epochs after which a strategy sees results; None: as the table says.
        constraints: What candidates must keep, as text; others are refused before they count.
    """

    objectives: tuple[str, ...]
    evaluations: int | None = None
    seconds: float | None = None
    seed: int = 0
    duplicates: Duplicates = "skip"
    fidelity: int | None = None
    constraints: tuple[str, ...] = ()


@dataclass
class Repeat:
    """What one strategy did in one repeat; the lists have one entry an evaluation, in order.

    Attributes:
        rows: Rows of the table.
        proposals: How many proposals were made until then, repeats included.
        thinking: Seconds the strategy took for the proposals since the last evaluation.
        spent: Simulated seconds until its end; 0 where the table has no cost.
        operators: How it was made.
        alike: Largest share of its decisions that one earlier one has alike, see `nas.bench.kin`; None for the first.
        ended: Why the repeat ended.
    """

    rows: list[int] = field(default_factory=list)
    proposals: list[int] = field(default_factory=list)
    thinking: list[float] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)
    operators: list[str] = field(default_factory=list)
    alike: list[float | None] = field(default_factory=list)
    ended: str = ""

    @property
    def clock(self) -> float:
        """Simulated seconds until now."""
        return self.spent[-1] if self.spent else 0.0

    def add(self, row: int, proposals: int, thinking: float, spent: float, operator: str) -> None:
        """Takes in one more evaluation."""
        self.rows.append(row)
        self.proposals.append(proposals)
        self.thinking.append(thinking)
        self.spent.append(spent)
        self.operators.append(operator)


def problem_of(table: Table, protocol: Protocol) -> TableProblem:
    """Returns a table as a protocol has it searched; see `TableProblem` for what it raises."""
    return TableProblem(table, protocol.objectives, protocol.fidelity, protocol.duplicates, protocol.constraints)


def seed_of(seed: int, repeat: int) -> int:
    """Returns the seed of one repeat: the same for every strategy, another one for each repeat and each bench seed."""
    return int.from_bytes(hashlib.sha256(f"{seed} {repeat}".encode()).digest()[:4], "big")


def run_repeat(problem: TableProblem, strategy: Strategy, protocol: Protocol, repeat: int) -> Repeat:
    """Returns what a strategy evaluates.

    Args:
        problem: See `problem_of`.
        strategy: A new one.
        protocol: The one that the problem was made with.
        repeat: Number of the repeat, from 0.

    Raises:
        NothingFeasible, Exhausted: When not one candidate could be proposed.
        StrategyError: When the strategy fails.
    """
    ledger, found = Ledger(problem.objectives), Repeat()
    seed, skips = seed_of(protocol.seed, repeat), protocol.duplicates == "skip"
    limits = Limits(Budget(protocol.evaluations, None, protocol.seconds), 1, ledger, lambda: found.clock, lambda: "")
    evaluated: list[Genotype] = []
    thought = 0.0
    while not (reason := limits.reached(0) or limits.exhausted()):
        began = time.perf_counter()
        try:
            accepted = next_candidate(problem, strategy, ledger.history(), seed)
        except (NothingFeasible, Exhausted) as nothing:
            if not ledger.proposed:
                raise
            reason = str(nothing)
            break
        thought += time.perf_counter() - began
        proposal, row = accepted.proposal, problem.row(accepted.proposal.genotype)
        first = ledger.first((accepted.candidate.fingerprint, "")) if skips else None
        spent = found.clock + (float(problem.seconds[row]) if problem.seconds is not None else 0.0)
        if first is None and protocol.seconds is not None and spent > protocol.seconds:
            reason = f"the simulated budget of {spell_seconds(protocol.seconds)} is spent"
            break
        number = ledger.proposed
        ledger.propose(_as_recorded(number, accepted, len(ledger.finished), first))
        if first is None:
            ledger.end(number, Outcome.COMPLETE, {**accepted.candidate.costs, **problem.metrics(row)}, 1)
            found.add(row, number + 1, thought, spent, proposal.operator)
            evaluated.append(proposal.genotype)
            thought = 0.0
    found.alike, found.ended = kin(evaluated), reason
    return found


def _as_recorded(number: int, accepted: Accepted, seen: int, repeat_of: int | None) -> ProposalRow:
    """Returns a proposal as the record of a search would hold it."""
    proposal = accepted.proposal
    return ProposalRow(
        id=number,
        fingerprint=accepted.candidate.fingerprint,
        recipe="",
        genotype=proposal.genotype,
        parents=proposal.parents,
        operator=proposal.operator,
        inherit_from=proposal.inherit_from,
        notes=proposal.notes,
        seen=seen,
        repeat_of=repeat_of,
    )
