"""Exhaustive search: every genotype of a small space, one after the other, and the end of the search after the last one.

The order is that of the fixed-length encoding (`Space.decisions`): the last decision changes first, each through its values in
the order of its domain; decisions that are not active are passed over. What a proposal follows is the latest proposal of this
strategy, so the record alone says where the search stands. Genotypes that break a constraint and networks that are known, from a
start or because several genotypes describe one network, are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nas.domains import Genotype
from nas.errors import StrategyError
from nas.lines import counted
from nas.strategies.base import (
    ENUMERABLE,
    Exhausted,
    Fold,
    History,
    Key,
    Proposal,
    Strategy,
    Trial,
    Unfinished,
    check_whole,
    key_of,
)
from nas.variation import complete, successor

if TYPE_CHECKING:
    import numpy as np

    from nas.problem import Problem

_OPERATOR = "next"

AT_ONCE = 200
"""Genotypes looked at before somebody may stop the search."""


@dataclass
class Seen:
    """What the finished trials come to.

    Attributes:
        known: Keys of all finished trials.
        latest: The latest of this strategy's own, which is the furthest one; None before the first.
    """

    known: set[Key] = field(default_factory=set)
    latest: Trial | None = None


@dataclass
class Exhaustive(Strategy):
    """Looks at every genotype once.

    Args:
        largest: Genotypes a space may have; a larger one is refused before anything is written.
    """

    largest: int = ENUMERABLE

    def __post_init__(self) -> None:
        check_whole("exhaustive", "largest", self.largest)
        self._fold = Fold(Seen, _take_in)
        self._reached: tuple[Problem, History, Genotype] | None = None  # where it goes on when it is asked the same again

    def check(self, problem: Problem) -> None:
        size = problem.space.size()
        if size > self.largest:
            words = f"{size:,} genotypes" if isinstance(size, int) else "a continuum of genotypes"
            fix = "close some of its decisions, or choose another strategy"
            raise StrategyError(f"exhaustive: the space has {words}, expected at most largest={self.largest:,}; {fix}")

    def propose(self, problem: Problem, history: History, rng: np.random.Generator) -> Proposal:
        """Returns the next feasible genotype whose network is new; the generator is not asked.

        Raises:
            StrategyError: When the space is too large.
            Exhausted: After the last one.
            Unfinished: After every `AT_ONCE` genotypes that were refused or known.
        """
        now = self._fold.over(problem, history.finished)
        known = (now.known, {trial.key for trial in history.pending})
        latest = max(_own(now.latest, *history.pending), key=lambda trial: trial.id, default=None)
        if latest is None:
            self.check(problem)
        genotype = self._next(problem, history, latest)
        for _ in range(AT_ONCE):
            if genotype is None:
                break
            key = key_of(problem, genotype)
            if key is not None and not any(key in keys for keys in known):
                return Proposal(genotype, operator=_OPERATOR)
            genotype = successor(problem.space, genotype)
        if genotype is not None:
            self._reached = (problem, history, genotype)
            raise Unfinished
        every, networks = counted(int(problem.space.size()), "genotype"), len(known[0] | known[1])
        if not networks:
            bounds = ", ".join(constraint.text for constraint in problem.constraints) or "none is given"
            raise Exhausted(f"none of all {every} is feasible (constraints: {bounds}); nas profile shows what the space can reach")
        raise Exhausted(f"all {every} of the space were looked at: {counted(networks, 'network')}")

    def _next(self, problem: Problem, history: History, latest: Trial | None) -> Genotype | None:
        """Returns where to go on: where it was when it was asked the same before, else behind the latest."""
        if self._reached is not None and self._reached[0] is problem and self._reached[1] is history:
            return self._reached[2]
        return complete(problem.space, {}, None) if latest is None else successor(problem.space, latest.genotype)


def _own(*trials: Trial | None) -> list[Trial]:
    return [trial for trial in trials if trial is not None and trial.operator == _OPERATOR]


def _take_in(now: Seen, problem: Problem, trial: Trial) -> None:
    """Folds one more finished trial in."""
    now.known.add(trial.key)
    now.latest = max(_own(now.latest, trial), key=lambda own: own.id, default=None)
