"""What a strategy is: a function of the record.

A strategy holds settings and nothing else. Whatever it needs to know it reads from the history it is given, so that every
recorded proposal can be computed again. It may remember what it derived from a history's beginning (a sorted population,
say), as long as forgetting it changes nothing but the time taken.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from nas.domains import Genotype, identity
from nas.errors import NasError, StrategyError
from nas.measurement import Outcome
from nas.pareto import crowded_order

if TYPE_CHECKING:
    import numpy as np

    from nas.problem import Problem

State = TypeVar("State")

ENUMERABLE = 100_000
"""Genotypes of the largest space that is looked through one by one."""

Key = tuple[object, ...]
"""What makes a training new within a run; see `training_key`."""


def training_key(fingerprint: str, genotype: Genotype) -> Key:
    """Returns what makes a training new: the network, and the recipe's fields where the search closes those too."""
    return fingerprint, *((path, identity(value)) for path, value in genotype.items() if path.startswith("recipe."))


def key_of(problem: Problem, genotype: Genotype) -> Key | None:
    """Returns the key of a genotype's training, None where a constraint or a block refuses it."""
    from nas.problem import Rejected  # here, so that listing strategies loads no blocks

    try:
        return training_key(problem.consider(genotype).fingerprint, genotype)
    except Rejected:
        return None


class Exhausted(NasError):
    """Raised by a strategy that has nothing left to propose, now or ever; the message says so in one line.

    Evaluations under way are waited for, and should they bring the strategy to something new, the search goes on.
    """


class Unfinished(Exception):
    """Raised by a strategy that has looked through much and found nothing yet: it is asked again at once, with the same history.

    In between the search can be stopped, which it could not be while a strategy looks through a whole space.
    """


@dataclass(frozen=True)
class Proposal:
    """A candidate, and where it comes from.

    Attributes:
        genotype: Its decisions.
        parents: Ids of the trials it was made from.
        operator: How it was made ("sample", "mutate", "crossover+mutate", ...); kept in the record.
        inherit_from: Id of the trial whose weights it should start from, if any; they are kept while `Strategy.keeps` names it.
        aligned: Path of a block to its path in the network of `inherit_from`, where the two differ (a repetition before it was
            taken out, say), or `nas.alignment.NOWHERE`; weights are copied between equal paths otherwise.
        notes: Plain JSON that the strategy wants back in `Trial.notes` (Optuna's system attributes).
    """

    genotype: Genotype
    parents: tuple[int, ...] = ()
    operator: str = "sample"
    inherit_from: int | None = None
    aligned: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trial:
    """One proposal as the record knows it.

    Attributes:
        id: Number of the proposal, from 0.
        genotype: Its decisions.
        fingerprint: The network they decode to.
        losses: One value an objective, turned so that smaller is better; None while pending or when it failed.
        outcome: How its evaluation ended; None while pending.
        repeat: Whether its result was served from the record.
        parents: Ids of the trials it was made from.
        operator: How it was made.
        notes: What the strategy asked to keep.
        inherit_from: Id of the trial whose weights it starts from, if any.
        importances: Of its channels, by module of its network (`nas.importance`); empty where none were measured.
    """

    id: int
    genotype: Genotype
    fingerprint: str
    losses: tuple[float, ...] | None = None
    outcome: Outcome | None = None
    repeat: bool = False
    parents: tuple[int, ...] = ()
    operator: str = "sample"
    notes: Mapping[str, Any] = field(default_factory=dict)
    inherit_from: int | None = None
    importances: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """What makes its training new; see `training_key`."""
        return training_key(self.fingerprint, self.genotype)


@dataclass(frozen=True)
class History:
    """What a proposal was allowed to see.

    Attributes:
        finished: Trials whose evaluation ended (served repeats and failures included), in the order in which they ended; nothing
            is ever taken out of it or put before its end.
        pending: Trials proposed before and not ended, in the order of their ids.
    """

    finished: Sequence[Trial]
    pending: Sequence[Trial] = ()

    @property
    def proposed(self) -> int:
        """How many proposals were made before this one."""
        return len(self.finished) + len(self.pending)

    def measured(self) -> list[Trial]:
        """Returns the finished trials that have losses, in the order in which they ended."""
        return [trial for trial in self.finished if trial.losses is not None]


@dataclass(frozen=True)
class Earlier:
    """What an earlier run measured, as far as it has a place in the space that is searched now.

    Attributes:
        name: Of the run.
        genotypes: Of the space that is searched now, each once; constraints may refuse them.
        losses: Of each measured objective by its name, one loss a genotype; NaN where the run has none.
        of: How many networks the run measured, those without a place included.
    """

    name: str
    genotypes: tuple[Genotype, ...]
    losses: Mapping[str, tuple[float, ...]]
    of: int


class Strategy(ABC):
    """Proposes candidates. The loop calls `propose` once for each free worker and each rejected candidate.

    The loop checks what comes back (constraints, repeats), so a strategy needs to do so only where it can do better than
    to try again; `Problem.feasible` is there for that.

    Attributes:
        importance: Which importances each training measures for it at its end (`nas.importance.KINDS`); empty for none.
    """

    importance: str = ""

    def check(self, problem: Problem) -> None:  # noqa: B027 - most strategies can search anything
        """Looks, before anything is written, whether it can search this at all.

        Raises:
            StrategyError: When it cannot.
        """

    @abstractmethod
    def propose(self, problem: Problem, history: History, rng: np.random.Generator) -> Proposal:
        """Returns the next candidate.

        Args:
            problem: The space to search, the objectives and the constraints.
            history: What is known so far.
            rng: The only source of randomness; its state depends on the seed and the number of the proposal alone.

        Raises:
            Exhausted: When there is nothing left to propose; the search ends with its message.
            Unfinished: When it wants to be asked again, because its answer takes long.
        """

    def keeps(self, problem: Problem, history: History) -> Collection[int]:
        """Returns ids of trials whose weights a later proposal may inherit, the most wanted first; no more than it needs.

        Weights of other trials are deleted, unless they are on the front.
        """
        return ()

    def likely_parents(self, problem: Problem, history: History) -> Collection[int]:
        """Returns ids of trials that a later proposal may name among its parents, the likeliest first.

        Asked in searches where children inherit on request: the weights of the first of these are kept. By default all measured
        trials, those nearest to the front first (the crowded comparison).
        """
        import numpy as np

        measured = history.measured()
        order = crowded_order(np.array([trial.losses for trial in measured])) if measured else ()
        return [measured[i].id for i in order]

    def described(self) -> tuple[str, Mapping[str, Any]]:
        """Returns what the record calls it, and the settings it was made with: its class, and the fields of its dataclass."""
        cls = type(self)
        known: tuple[Field[Any], ...] = fields(cls) if is_dataclass(cls) else ()
        return f"{cls.__module__}:{cls.__qualname__}", {f.name: getattr(self, f.name) for f in known if f.init}

    def warmed(self, earlier: Sequence[Earlier]) -> Strategy:
        """Returns the same strategy with what earlier runs measured. Whoever can learn from it overrides this.

        Raises:
            StrategyError: When it cannot.
        """
        name = type(self).__qualname__
        raise StrategyError(f"strategy {name} learns nothing from earlier runs; take surrogate, or leave --warm-start out")


def check_whole(strategy: str, setting: str, value: object, least: int = 1) -> None:
    """Passes a setting that is a whole number.

    Raises:
        StrategyError: When it is none, or less than `least`.
    """
    if type(value) is not int or value < least:
        raise StrategyError(f"{strategy}: {setting} is {value!r}, expected a whole number of at least {least}")


def check_share(strategy: str, setting: str, value: object, *, whole: bool = True) -> None:
    """Passes a setting that is a share.

    Args:
        strategy: For the error.
        setting: Likewise.
        value: What was given.
        whole: Whether 1 is one.

    Raises:
        StrategyError: When it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not (0 <= value < 1 or (whole and value == 1)):
        raise StrategyError(f"{strategy}: {setting} is {value!r}, expected a share from 0 to {'' if whole else 'below '}1")


def better_of_two(ranked: Sequence[Trial], rng: np.random.Generator) -> Trial:
    """Returns the better of two drawn trials, which stand best first: the binary tournament."""
    return ranked[int(min(rng.random(), rng.random()) * len(ranked))]


class Fold(Generic[State]):
    """What a strategy derived from the finished trials, carried on from one proposal to the next.

    The state is a function of the trials folded into it: where a history does not begin with just these trials, or another
    problem is asked about, it is derived anew. Each trial is taken in once, so a proposal costs what came since the last one;
    a list that is passed again is trusted to have only grown, any other is compared with what was folded.

    Args:
        start: Makes the state of an empty history.
        step: Takes one more finished trial into the state, in place.
    """

    def __init__(self, start: Callable[[], State], step: Callable[[State, Problem, Trial], None]) -> None:
        self._start, self._step = start, step
        self._problem: Problem | None = None
        self._folded: list[Trial] = []
        self._latest: Sequence[Trial] = ()
        self._state = start()

    def over(self, problem: Problem, finished: Sequence[Trial]) -> State:
        """Returns the state after these trials; it is only to be read."""
        grown = finished is self._latest and len(finished) >= len(self._folded)
        if problem is not self._problem or not (grown or list(finished[: len(self._folded)]) == self._folded):
            self._problem, self._folded, self._state = problem, [], self._start()
        self._latest = finished
        for trial in finished[len(self._folded) :]:
            self._step(self._state, problem, trial)
            self._folded.append(trial)
        return self._state
