"""Asynchronous successive halving over several objectives: which network is trained on, and for how long.

Networks climb a ladder of rungs, numbers of epochs such as 1, 3 and 9. All begin at the lowest. Of the n that were measured at a
rung, the best floor(n / ratio) may go on to the next one, the ratio being that of the two numbers of epochs; whoever is free looks
from the top downwards for one that has not yet gone on (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning",
algorithm 2), so that nobody waits for stragglers.

In that algorithm a network that once was among the best may go on even after better ones have pushed it out; with several
objectives and a strategy that improves, twice as many went on as should. Here at most floor(n / ratio) go on while the search
proposes; when it has ended, those of the best that still wait follow. Where a limit of time or epochs would then leave nothing for
them, what brings the best that wait (`Ladder.overdue`) to the top is kept of it, and they go on before anything new is begun.

The best are those on the first fronts, and on a front that does not fit whole those that its hypervolume can spare least
(`nas.pareto.contribution_order`), with exact costs on a logarithmic scale; Schmucker et al. 2021, "Multi-objective Asynchronous
Successive Halving", compare ways to do so. What was measured after different numbers of epochs is never compared.

What a rung decides depends on the order in which networks arrived there and went on, and on nothing else. Knows no torch and no
record.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from nas.errors import RunError
from nas.objectives import on_log_scale
from nas.pareto import contribution_order, ranks

SPARE = 12
"""After so many arrivals on a rung, and again after as many, all that have not gone on but the best so many are given up for good,
with their weights, which otherwise would pile up with the search: never do twice as many wait."""

LEAST_STEPS = 100
"""Optimiser steps of a rung at least: what has hardly begun to learn says nothing of what it will come to."""


@dataclass(frozen=True)
class Promotion:
    """A network goes on from one rung to the next.

    Attributes:
        trial: Its number.
        from_epoch: Where it stands.
        to_epoch: Where it goes.
    """

    trial: int
    from_epoch: int
    to_epoch: int

    @property
    def between(self) -> tuple[int, int]:
        """Where it stands and where it goes."""
        return self.from_epoch, self.to_epoch


class Rung:
    """The networks that were measured after so many epochs.

    Args:
        epochs: How many.
        following: Epochs of the next rung; None at the top.
        exact: Of each objective, whether it is an exact cost.

    Attributes:
        epochs: As given.
        trials: Who was measured here, in the order of arrival.
    """

    def __init__(self, epochs: int, following: int | None, exact: Sequence[bool]) -> None:
        self.epochs, self.trials = epochs, list[int]()
        self._following, self._exact = following, tuple(exact)
        self._points: list[tuple[float, ...]] = []
        self._ranked: list[int] = []  # places in `trials` of those that were not given up
        self._on: set[int] = set()  # trials that went on
        self._fronts: list[list[int]] | None = None  # places in `trials`, best front first

    @property
    def quota(self) -> int:
        """How many may have gone on by now."""
        return 0 if self._following is None else len(self.trials) * self.epochs // self._following

    def arrive(self, trial: int, losses: Sequence[float]) -> None:
        """Takes in a network that was measured here; now and then those that fell too far behind are given up."""
        self.trials.append(trial)
        if self._following is None:
            return  # nobody goes on from here
        logged = on_log_scale(losses)
        self._ranked.append(len(self.trials) - 1)
        self._points.append(tuple(log if exact else loss for log, loss, exact in zip(logged, losses, self._exact, strict=True)))
        self._fronts = None
        if len(self.trials) % SPARE == 0:
            self._give_up()

    def overdue(self) -> list[int]:
        """Returns those of the best that wait and would go on were nothing new proposed any more; the better fronts first."""
        return [trial for trial in self.best(self.quota) if trial not in self._on]

    def go_on(self, trial: int) -> None:
        """Notes that a network has gone on."""
        self._on.add(trial)

    def best(self, count: int) -> list[int]:
        """Returns the best so many trials that were not given up, the better fronts first."""
        found: list[int] = []
        for front in self._by_front():
            room = count - len(found)
            if room <= 0:
                break
            found += front if len(front) <= room else self._ordered(front)[:room]
        return [self.trials[place] for place in found]

    def promotable(self, closing: bool = False) -> int | None:
        """Returns the best trial that may go on now; None where there is none.

        Args:
            closing: Whether nothing new is proposed any more: then all of the best may, however many went on before.
        """
        if not closing and len(self._on) >= self.quota:
            return None
        allowed = set(self.overdue())
        for front in self._by_front() if allowed else ():
            waiting = [place for place in front if self.trials[place] in allowed]
            if waiting:
                return self.trials[waiting[0] if len(waiting) == 1 else next(p for p in self._ordered(front) if p in waiting)]
        return None

    def waiting(self) -> list[int]:
        """Returns the trials that may still go on, now or later, in the order of arrival."""
        return [self.trials[place] for place in self._ranked if self.trials[place] not in self._on]

    def _give_up(self) -> None:
        """Keeps the best `SPARE` of those that wait."""
        kept: list[int] = []
        for front in self._by_front():
            waiting = [place for place in front if self.trials[place] not in self._on]
            if len(waiting) > SPARE - len(kept):
                waiting = [place for place in self._ordered(front) if place in waiting][: SPARE - len(kept)]
            kept += waiting
        self._ranked = [place for place in self._ranked if self.trials[place] in self._on or place in kept]
        self._fronts = None

    def _by_front(self) -> list[list[int]]:
        if self._fronts is None:
            self._fronts = []
            points = [self._points[place] for place in self._ranked]
            for place, rank in zip(self._ranked, ranks(points).tolist() if points else (), strict=True):
                self._fronts += [[] for _ in range(rank + 1 - len(self._fronts))]
                self._fronts[rank].append(place)
        return self._fronts

    def _ordered(self, front: Sequence[int]) -> list[int]:
        return [front[i] for i in contribution_order([self._points[place] for place in front]).tolist()]


class Ladder:
    """Where every network of a search stands.

    Args:
        rungs: Epochs, rising; one rung alone promotes nobody.
        exact: Of each objective, whether it is an exact cost.

    Attributes:
        rungs: From the lowest to the top.
    """

    def __init__(self, rungs: Sequence[int], exact: Sequence[bool]) -> None:
        self.rungs = tuple(Rung(here, there, exact) for here, there in zip(rungs, (*rungs[1:], None), strict=True))

    def measured(self, trial: int, epochs: int, losses: Sequence[float] | None) -> None:
        """Takes in that a network was measured after so many epochs; without losses, or with a NaN among them, it climbs no more.

        Args:
            trial: Its number.
            epochs: One of the rungs.
            losses: One an objective, smaller is better.
        """
        if losses is not None and not any(map(math.isnan, losses)):
            self._at(epochs).arrive(trial, losses)

    def promote(self, promotion: Promotion) -> None:
        """Notes that a network goes on."""
        self._at(promotion.from_epoch).go_on(promotion.trial)

    def next(
        self, fits: Callable[[int], bool] = lambda epochs: True, *, closing: bool = False, to_top: bool = False
    ) -> Promotion | None:
        """Returns who goes on next, None where nobody may.

        Args:
            fits: Whether so many epochs more may be spent.
            closing: Whether nothing new is proposed any more.
            to_top: Whether to the top rung alone.
        """
        for here, there in self._steps(to_top):
            if fits(there.epochs - here.epochs) and (trial := here.promotable(closing)) is not None:
                return Promotion(trial, here.epochs, there.epochs)
        return None

    def overdue(self) -> list[Promotion]:
        """Returns who would still come to the top, were nothing new proposed any more; lower rungs count for nothing by then."""
        return [Promotion(trial, here.epochs, there.epochs) for here, there in self._steps(to_top=True) for trial in here.overdue()]

    def may(self, promotion: Promotion) -> bool:
        """Returns whether a network may go on now, were the epochs of others not enough."""
        here = next((rung for rung, there in pairwise(self.rungs) if (rung.epochs, there.epochs) == promotion.between), None)
        return here is not None and promotion.trial in here.best(here.quota) and promotion.trial in here.waiting()

    def waiting(self) -> Iterable[int]:
        """Returns the trials whose weights are needed while they may still go on."""
        return [trial for rung in self.rungs for trial in rung.waiting()]

    def _steps(self, to_top: bool) -> list[tuple[Rung, Rung]]:
        """Returns each rung and the next one from the top downwards; or only the step to the top."""
        steps = list(pairwise(self.rungs))
        return steps[-1:] if to_top else steps[::-1]

    def _at(self, epochs: int) -> Rung:
        return next(rung for rung in self.rungs if rung.epochs == epochs)


def checked_rungs(epochs: int | Sequence[int]) -> tuple[int, ...]:
    """Returns the rungs that a user asks for; a single number is a ladder of one.

    Raises:
        RunError: When they are no rising whole numbers.
    """
    rungs = (epochs,) if isinstance(epochs, int) else tuple(epochs) if isinstance(epochs, list | tuple) else ()
    whole = all(type(rung) is int and rung >= 1 for rung in rungs)
    if not rungs or not whole or any(a >= b for a, b in pairwise(rungs)):
        raise RunError(f"epochs is {epochs!r}, expected a whole number of at least 1, or rising ones such as 1,3,9")
    return rungs


def least_epochs(steps: int) -> int:
    """Returns the fewest epochs that have `LEAST_STEPS`, where one has so many steps."""
    return -(-LEAST_STEPS // steps)


def raised_rungs(rungs: Sequence[int], steps: int) -> tuple[int, ...]:
    """Returns rungs none of which is too short to learn from; those that coincide become one, and the top stays where it is.

    Args:
        rungs: In epochs, rising.
        steps: Optimiser steps of an epoch.
    """
    least = least_epochs(steps)
    return tuple(sorted({min(max(rung, least), rungs[-1]) for rung in rungs}))


def epochs_each(rungs: Sequence[int]) -> float:
    """Returns the epochs that a network costs on average, those that stay below included."""
    return rungs[0] + sum(
        (there - here) * rungs[0] / there for here, there in pairwise(rungs)
    )  # one in there / rungs[0] gets there


def fewest_networks(rungs: Sequence[int]) -> int:
    """Returns how many networks must begin so that one of them comes to the top."""
    needed = 1
    for here, there in reversed(list(pairwise(rungs))):
        needed = -(-needed * there // here)
    return needed
