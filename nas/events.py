"""What a search tells while it runs: small frozen values, handed to `on_event` after the record holds what they say.

The live display, the log and a notebook read the same events; none of them can slow down or break the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nas.budget import Budget
from nas.correlation import Agreement
from nas.lines import counted
from nas.measurement import Outcome


@dataclass(frozen=True)
class Started:
    """A search starts, or goes on.

    Attributes:
        folder: The run folder.
        budget: What it may spend, in totals.
        evaluations: Distinct networks that ended in earlier starts.
        pending: Proposals of an earlier start that are evaluated again now.
        epochs: Epochs trained in earlier starts.
        seconds: Seconds earlier starts took.
    """

    folder: str
    budget: Budget
    evaluations: int
    pending: int
    epochs: int
    seconds: float

    def __str__(self) -> str:
        goes_on = bool(self.evaluations or self.pending)
        how = f"goes on after {counted(self.evaluations, 'evaluation')}" if goes_on else "starts"
        again = f", {self.pending} in flight {'is' if self.pending == 1 else 'are'} run again" if self.pending else ""
        ends = "; what is being trained when the time is over is finished" if self.budget.seconds is not None else ""
        return f"search in {self.folder} {how}{again}{ends}"


@dataclass(frozen=True)
class Refused:
    """A candidate broke a constraint or was infeasible, and never became a proposal.

    Attributes:
        reason: The constraint as written, or "infeasible".
        values: Its costs, where they are known.
    """

    reason: str
    values: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"refused: {self.reason}"


@dataclass(frozen=True)
class Proposed:
    """A candidate is in the record and its evaluation starts.

    Attributes:
        trial: Its number, from 0.
        fingerprint: Its network.
        operator: How it was made.
        parents: Numbers of the trials it was made from.
        costs: Its exact costs.
        refused: How many candidates before it were refused, by reason.
        again: Whether it was in flight when an earlier start ended.
    """

    trial: int
    fingerprint: str
    operator: str
    parents: tuple[int, ...]
    costs: Mapping[str, float]
    refused: Mapping[str, int]
    again: bool = False

    def __str__(self) -> str:
        parents = f" of {', '.join(map(str, self.parents))}" if self.parents else ""
        return f"trial {self.trial} {self.fingerprint[:7]}: {self.operator}{parents}{' (run again)' if self.again else ''}"


@dataclass(frozen=True)
class Screened:
    """A proposal is one of several candidates that were scored untrained (`nas.prescreen`), or screening ended for good.

    Attributes:
        trial: Number of the proposal.
        candidates: How many were scored.
        worth: How far what was promised ranked what was measured so far, at equal cost; None while that cannot be said.
        off: Why nothing is screened from here on; empty while it is.
    """

    trial: int
    candidates: int
    worth: Agreement | None = None
    off: str = ""

    def __str__(self) -> str:
        if self.off:
            return f"prescreening ends: {self.off}"
        worth = f"; their promise ranks accuracy at equal cost by tau {self.worth}" if self.worth else ""
        return f"trial {self.trial}: one of {counted(self.candidates, 'network')} scored untrained{worth}"


@dataclass(frozen=True)
class Promoted:
    """A network is trained on, to the next rung; the record says so and the training starts.

    Attributes:
        trial: Number of the proposal.
        fingerprint: The network.
        from_epoch: Epochs it was trained for.
        to_epoch: Epochs it will have been trained for.
        again: Whether it was in flight when an earlier start ended.
    """

    trial: int
    fingerprint: str
    from_epoch: int
    to_epoch: int
    again: bool = False

    def __str__(self) -> str:
        again = " (run again)" if self.again else ""
        return f"trial {self.trial} {self.fingerprint[:7]}: goes on from {self.from_epoch} to {self.to_epoch} epochs{again}"


@dataclass(frozen=True)
class Repeated:
    """A proposal is a network that was proposed before: it costs nothing.

    Attributes:
        trial: Its number.
        of: Number of the trial that was, or is being, evaluated.
        fingerprint: The network.
        refused: How many candidates before it were refused, by reason.
    """

    trial: int
    of: int
    fingerprint: str
    refused: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"trial {self.trial} {self.fingerprint[:7]}: repeats trial {self.of}"


@dataclass(frozen=True)
class Evaluated:
    """An evaluation ended and is in the record.

    Attributes:
        trial: Number of the proposal.
        fingerprint: The network.
        outcome: How it ended.
        values: Its exact costs and measured metrics, by name.
        losses: One value an objective, smaller is better; None where it failed.
        epochs: Epochs trained so far.
        seconds: What this segment took.
        error: First line of what went wrong.
        evaluations: Distinct networks that ended so far, this one included.
        elapsed: Seconds spent so far, over all starts.
        objectives: Names of the objectives, in order.
        from_epoch: Epochs trained before this segment.
    """

    trial: int
    fingerprint: str
    outcome: Outcome
    values: Mapping[str, float]
    losses: tuple[float, ...] | None
    epochs: int
    seconds: float
    error: str
    evaluations: int
    elapsed: float
    objectives: tuple[str, ...] = ()
    from_epoch: int = 0

    def __str__(self) -> str:
        values = "".join(f", {name} {self.values[name]:.6g}" for name in self.objectives if name in self.values)
        end = f": {self.error}" if self.error else ""
        on = f", epochs {self.from_epoch} to {self.epochs}" if self.from_epoch else ""
        return f"trial {self.trial} {self.fingerprint[:7]}: {self.outcome} in {self.seconds:.1f} s{on}{values}{end}"


@dataclass(frozen=True)
class BaselineEvaluated:
    """A baseline was trained and is in the record.

    Attributes:
        name: The address it was asked for by.
        fingerprint: The network.
        outcome: How its training ended.
        values: Its exact costs and measured metrics, by name.
        error: First line of what went wrong.
        elapsed: Seconds the search spent so far, over all starts; baselines do not count.
        objectives: Names of the objectives, in order.
    """

    name: str
    fingerprint: str
    outcome: Outcome
    values: Mapping[str, float]
    error: str
    elapsed: float
    objectives: tuple[str, ...] = ()

    def __str__(self) -> str:
        values = "".join(f", {name} {self.values[name]:.6g}" for name in self.objectives if name in self.values)
        return f"baseline {self.name} {self.fingerprint[:7]}: {self.outcome}{values}{f': {self.error}' if self.error else ''}"


@dataclass(frozen=True)
class FrontPoint:
    """One network of the current front.

    Attributes:
        trial: Number of the trial that was evaluated.
        fingerprint: The network.
        losses: One value an objective, smaller is better.
        values: Its exact costs and measured metrics, by name.
    """

    trial: int
    fingerprint: str
    losses: tuple[float, ...]
    values: Mapping[str, float]


@dataclass(frozen=True)
class FrontMoved:
    """The Pareto front changed; at the start of a search that goes on, the front so far.

    Attributes:
        front: Its networks, best in the first objective first.
        elapsed: Seconds spent so far, over all starts.
        epochs: After how many its networks were measured, where that is not the same throughout the run; else 0.
    """

    front: tuple[FrontPoint, ...]
    elapsed: float
    epochs: int = 0

    def __str__(self) -> str:
        after = f" after {counted(self.epochs, 'epoch')}" if self.epochs else ""
        return f"front: {counted(len(self.front), 'network')}{after}"


@dataclass(frozen=True)
class Ended:
    """A search ended.

    Attributes:
        reason: One line: which limit was reached, or what stopped it.
        evaluations: Distinct networks that ended.
        elapsed: Seconds spent, over all starts.
    """

    reason: str
    evaluations: int
    elapsed: float

    def __str__(self) -> str:
        return f"search ends: {self.reason}; {counted(self.evaluations, 'evaluation')}, {self.elapsed:.0f} s"


@dataclass(frozen=True)
class TrainsAgain:
    """The search is over, and networks near the front are trained again.

    Attributes:
        networks: How many are near it.
        trainings: How many trainings are begun now.
        seeds: Seeds in all, that of the search included; 1 where there are no others.
        folds: Folds in all; 0 where there are none.
        why_not: Why not all are begun; empty where they are.
    """

    networks: int
    trainings: int
    seeds: int
    folds: int
    why_not: str = ""

    def __str__(self) -> str:
        how = f"on {self.folds} folds" if self.folds else f"with {counted(self.seeds - 1, 'other seed')}"
        what = f"{counted(self.networks, 'network')} near the front {how}: {counted(self.trainings, 'training')} now"
        return f"training again {what}{f'; {self.why_not}' if self.why_not else ''}"


@dataclass(frozen=True)
class TrainedAgain:
    """A network near the front was trained again, and that is in the record.

    Attributes:
        trial: Number of the proposal.
        fingerprint: The network.
        outcome: How the training ended.
        values: Its exact costs and what this training measured, by name.
        what: "seed 2" or "fold 3".
        epochs: Epochs trained.
        error: First line of what went wrong.
        done: How many of the trainings ended so far, this one included.
        planned: How many there are.
        elapsed: Seconds spent so far, over all starts.
        objectives: Names of the objectives, in order.
    """

    trial: int
    fingerprint: str
    outcome: Outcome
    values: Mapping[str, float]
    what: str
    epochs: int
    error: str
    done: int
    planned: int
    elapsed: float
    objectives: tuple[str, ...] = ()

    def __str__(self) -> str:
        values = "".join(f", {name} {self.values[name]:.6g}" for name in self.objectives if name in self.values)
        end = f": {self.error}" if self.error else ""
        return f"trial {self.trial} {self.fingerprint[:7]} again, {self.what}: {self.outcome}{values}{end}"


Event = (
    Started
    | BaselineEvaluated
    | Refused
    | Proposed
    | Screened
    | Promoted
    | Repeated
    | Evaluated
    | FrontMoved
    | TrainsAgain
    | TrainedAgain
    | Ended
)
"""Any of the above."""
