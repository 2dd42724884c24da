"""When a search ends: at a limit of its budget, in an exhausted space, or because it is asked to. Only looks, changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nas.budget import Budget
from nas.ledger import Ledger
from nas.lines import counted, spell_seconds

MAX_REPEATS = 1_000
"""Proposals in a row that repeat an earlier network after which the space counts as exhausted."""
MAX_FAILED = 100
"""Failures after which a search that is to spend epochs, and spends none, gives up."""


@dataclass(frozen=True)
class Limits:
    """The limits of one search.

    Attributes:
        budget: In totals over all starts.
        epochs: Of each network's first training.
        ledger: What was spent.
        elapsed: Returns the seconds spent, over all starts.
        stopped: Returns why somebody wants the search to end now, empty while nobody does.
        reserved: Returns the epochs and seconds that the search leaves for what comes after it.
    """

    budget: Budget
    epochs: int
    ledger: Ledger
    elapsed: Callable[[], float]
    stopped: Callable[[], str]
    reserved: Callable[[], tuple[int, float]] = lambda: (0, 0.0)

    def reached(self, running: int, epochs: int | None = None) -> str:
        """Returns which limit allows no further network, empty when none does.

        Args:
            running: New networks in flight.
            epochs: Epochs in flight, those of networks that are trained on too; None: there are none of these.
        """
        if reason := self.stopped():
            return reason
        budget, ledger = self.budget, self.ledger
        if budget.evaluations is not None and ledger.evaluations + running >= budget.evaluations:
            return f"the budget of {counted(budget.evaluations, 'evaluation')} is spent"
        if not self.fits(self.epochs, running * self.epochs if epochs is None else epochs):
            used = f"{ledger.epochs:,} used, {self.epochs} a network{self._reserved_words(0)}"
            return f"the budget of {counted(budget.epochs_total or 0, 'epoch')} is spent ({used})"
        return self.over()

    def over(self) -> str:
        """Returns why nothing at all may be started any more, empty while something may."""
        if reason := self.stopped():
            return reason
        budget, ledger = self.budget, self.ledger
        if budget.evaluations is None and budget.seconds is None and not ledger.epochs and ledger.segments >= MAX_FAILED:
            return f"all {ledger.segments} trainings failed within their first epoch, which spends none: run.log says why"
        limit = budget.seconds
        if limit is not None and self.elapsed() >= limit - self.reserved()[1]:
            return f"the budget of {spell_seconds(limit)} is spent{self._reserved_words(1)}"
        return ""

    def fits(self, epochs: int, running: int) -> bool:
        """Returns whether so many epochs may be started beside those that are running."""
        total = self.budget.epochs_total
        return total is None or self.ledger.epochs + running + epochs + self.reserved()[0] <= total

    def cut_short(self) -> bool:
        """Returns whether there is a limit, of time or epochs, that can end a search while networks wait to go on."""
        return self.budget.seconds is not None or self.budget.epochs_total is not None

    def ends_with(self, epochs: int, seconds: float, running: int) -> bool:
        """Returns whether a new network, begun now, would leave less than so many epochs or seconds to those that are to go on.

        Args:
            epochs: That these take.
            seconds: That these take, on all slots together.
            running: Epochs in flight.
        """
        limit = self.budget.seconds
        late = limit is not None and self.elapsed() + seconds >= limit - self.reserved()[1]
        return late or not self.fits(self.epochs + epochs, running)

    def _reserved_words(self, which: int) -> str:
        """Returns what is kept of the budget, of epochs (0) or time (1); empty where nothing is."""
        epochs, seconds = self.reserved()
        kept = spell_seconds(seconds) if which else counted(epochs, "epoch")
        return f", {kept} of it kept to train the best again" if (seconds if which else epochs) else ""

    def exhausted(self) -> str:
        """Returns that the space seems exhausted, empty while it does not."""
        if self.ledger.tail < MAX_REPEATS:
            return ""
        return f"the last {self.ledger.tail} proposals repeat networks that were evaluated: the space seems exhausted"
