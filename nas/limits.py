"""When a search ends: at a limit of its budget, in an exhausted space, or because it is asked to. Only looks, changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nas.budget import Budget
from nas.ledger import Ledger
from nas.lines import counted, spell_seconds

MAX_REPEATS = 1_000
"""Proposals in a row that repeat an earlier network after which the space counts as exhausted."""


@dataclass(frozen=True)
class Limits:
    """The limits of one search.

    Attributes:
        budget: In totals over all starts.
        epochs: Of each training.
        ledger: What was spent.
        elapsed: Returns the seconds spent, over all starts.
        stopped: Returns why somebody wants the search to end now, empty while nobody does.
    """

    budget: Budget
    epochs: int
    ledger: Ledger
    elapsed: Callable[[], float]
    stopped: Callable[[], str]

    def reached(self, running: int) -> str:
        """Returns which limit allows no further job beside `running` ones, empty when none does."""
        if reason := self.stopped():
            return reason
        budget, ledger = self.budget, self.ledger
        if budget.evaluations is not None and ledger.evaluations + running >= budget.evaluations:
            return f"the budget of {counted(budget.evaluations, 'evaluation')} is spent"
        if budget.epochs_total is not None and ledger.epochs + (running + 1) * self.epochs > budget.epochs_total:
            used = f"{ledger.epochs:,} used, {self.epochs} a network"
            return f"the budget of {counted(budget.epochs_total, 'epoch')} is spent ({used})"
        if budget.seconds is not None and self.elapsed() >= budget.seconds:
            return f"the budget of {spell_seconds(budget.seconds)} is spent"
        return ""

    def exhausted(self) -> str:
        """Returns that the space seems exhausted, empty while it does not."""
        if self.ledger.tail < MAX_REPEATS:
            return ""
        return f"the last {self.ledger.tail} proposals repeat networks that were evaluated: the space seems exhausted"
