"""What a search tells, counted: what the live display and the closing words show. Draws nothing, reads no clock."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from nas.budget import Budget
from nas.events import (
    BaselineEvaluated,
    Ended,
    Evaluated,
    Event,
    FrontMoved,
    FrontPoint,
    Promoted,
    Proposed,
    Refused,
    Repeated,
    Screened,
    Started,
    TrainedAgain,
    TrainsAgain,
)


@dataclass
class Tally:
    """The state of a search, folded from its events.

    Attributes:
        folder: The run folder.
        budget: What may be spent, in totals.
        proposed: Candidates that became proposals in this start, repeats included.
        repeated: Those of them that were evaluated before.
        refused: Candidates refused before they became a proposal, by constraint.
        failed: Evaluations that ended without a result, by outcome.
        first_error: What the first of them said.
        evaluations: Distinct networks that ended, over all starts.
        before: Those of earlier starts.
        epochs: Epochs trained, over all starts.
        elapsed: Seconds spent when the last event came, over all starts.
        seconds_before: Seconds earlier starts took.
        promoted: Times that a network went on to its next rung in this start.
        measured: How many networks were measured after so many epochs in this start, by epochs.
        front: The Pareto front, best in the first objective first; of the highest rung where there are several.
        front_epochs: After how many epochs its networks were measured, where there are several rungs; else 0.
        moved: Seconds spent when the front last moved.
        baselines: Those trained in this start.
        promise: How far what was promised of untrained networks ranks what was measured, in words; empty where nothing is known.
        unscreened: Why nothing is screened any more; empty where something is, or never was.
        again: How far training near the front again has come; empty where it has not begun.
        reason: Why the search ended; empty while it runs.
    """

    folder: str = ""
    budget: Budget | None = None
    proposed: int = 0
    repeated: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    first_error: str = ""
    evaluations: int = 0
    before: int = 0
    epochs: int = 0
    elapsed: float = 0.0
    seconds_before: float = 0.0
    promoted: int = 0
    measured: Counter[int] = field(default_factory=Counter)
    front: tuple[FrontPoint, ...] = ()
    front_epochs: int = 0
    moved: float = 0.0
    baselines: list[BaselineEvaluated] = field(default_factory=list)
    promise: str = ""
    unscreened: str = ""
    again: str = ""
    reason: str = ""

    def take(self, event: Event) -> None:
        """Takes one event in."""
        match event:
            case Started():
                self.folder, self.budget, self.epochs = event.folder, event.budget, event.epochs
                self.evaluations = self.before = event.evaluations
                self.elapsed = self.seconds_before = self.moved = event.seconds
            case BaselineEvaluated():
                self.baselines.append(event)
            case Refused():
                self.refused[event.reason] += 1
            case Proposed():
                self.proposed += 1
            case Screened(worth=worth, off=off):
                self.promise = f"promise ranks at equal cost by tau {worth}" if worth and not off else ""
                self.unscreened = f"prescreening is off: {off}" if off else ""
            case Promoted():
                self.promoted += 1
            case Repeated():
                self.proposed += 1
                self.repeated += 1
            case Evaluated():
                self._end(event)
            case FrontMoved():
                self.front, self.front_epochs, self.moved = event.front, event.epochs, event.elapsed
                self.elapsed = max(self.elapsed, event.elapsed)
            case TrainsAgain():
                self.again = str(event)
            case TrainedAgain():
                self.again = f"training again: {event.done} of {event.planned} done"
                self.elapsed, self.epochs = event.elapsed, self.epochs + event.epochs
            case Ended():
                self.reason, self.evaluations, self.elapsed = event.reason, event.evaluations, event.elapsed

    def _end(self, event: Evaluated) -> None:
        self.evaluations, self.elapsed = event.evaluations, event.elapsed
        self.epochs += event.epochs - event.from_epoch
        if event.outcome.measured:
            self.measured[event.epochs] += 1
        else:
            self.failed[str(event.outcome)] += 1
            self.first_error = self.first_error or f"{event.fingerprint[:7]}: {event.error or event.outcome}"

    def per_minute(self, elapsed: float) -> float:
        """Returns evaluations a minute in this start, when `elapsed` seconds were spent over all starts."""
        spent = elapsed - self.seconds_before
        return 60 * (self.evaluations - self.before) / spent if spent > 0 else 0.0

    def remaining(self, elapsed: float) -> float | None:
        """Returns the seconds until the first limit of the budget is reached at this pace; None while that cannot be said."""
        if self.budget is None:
            return None
        spent, done = elapsed - self.seconds_before, self.evaluations - self.before
        left = []
        if self.budget.seconds is not None:
            left.append(self.budget.seconds - elapsed)
        if self.budget.evaluations is not None and done:
            left.append((self.budget.evaluations - self.evaluations) * spent / done)
        if self.budget.epochs_total is not None and done and self.epochs:
            left.append((self.budget.epochs_total - self.epochs) * spent / (done * self.epochs / self.evaluations))
        return max(0.0, min(left)) if left else None

    @property
    def overrun(self) -> float:
        """Seconds by which this start went over its time, because what was being trained was waited for; 0 where it did not."""
        limit = self.budget.seconds if self.budget else None
        return max(0.0, self.elapsed - limit) if limit is not None and self.seconds_before < limit else 0.0

    def counts(self) -> str:
        """Returns in words what became of the candidates of this start."""
        on = f"{self.promoted} trained on, " if self.promoted else ""
        return (
            f"{self.proposed} proposed, {self.repeated} repeated, {self.refused.total()} rejected{_by(self.refused)}, "
            f"{on}{self.failed.total()} failed{_by(self.failed)}"
        )


def _by(counts: Counter[str]) -> str:
    return f" ({', '.join(f'{n} {name}' for name, n in counts.most_common(3))})" if counts else ""
