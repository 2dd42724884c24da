"""Model-guided search: a Gaussian process of what is measured, exact costs, and the largest expected hypervolume improvement.

The first trials are spread over what a network costs (`nas.spread`). After that, each proposal is the candidate that is expected to
enlarge the hypervolume of the front most. Its costs are known before training, so only its accuracy is uncertain, and the
expectation has a closed form (`nas.surrogates.improvement`); with accuracy alone as objective it is expected improvement.

* **The model** is a Gaussian process over decisions, costs and the graph (`nas.surrogates.model`). A failed trial counts as the
  median of the measured ones: enough to turn away from where failures are, too little to bend the model. An interrupted one
  says nothing and is left out.
* **Candidates** are fresh samples, mutations and crossovers of good trials, and mutations of the best among them (two more rounds).
  What is refused, known, or under way is not among them.
* **Several workers**: the model takes its own expectation for the result of a trial under way (kriging believer), so that it is
  sure of what lies near it and the next proposal looks elsewhere. The front is that of what was measured: an expectation taken
  into it would hide what is as good at other costs.
* **Several measured objectives** are joined to one, for each proposal with other random weights (augmented Chebyshev function;
  Knowles 2006, "ParEGO", equation 2); exact ones stay as they are. Without a measured objective the improvement is exact.
* **Thousands of trials**: from `points` on, the model is made from the best half of so many and as many spread over the rest.
* **Earlier runs** (`warmed`): what their models predict is a trend of this one, whose slope this search's points decide
  (`nas.surrogates.earlier`), and their best networks are candidates. Every other of the first trials is chosen by it.
* **A small space** in which no candidate is new is looked through in turn until nothing is left (`nas.surrogates.candidates.Rest`).

In the family of Jones, Schonlau and Welch 1998, "Efficient Global Optimization of Expensive Black-Box Functions" (expected
improvement), and of Emmerich, Deutz and Klinkenberg 2011 (hypervolume).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nas.measurement import Outcome
from nas.pareto import crowded_order, non_dominated
from nas.problem import Rejected
from nas.spread import Costs, log_costs, loneliest, newcomers
from nas.strategies.base import Earlier, Fold, History, Key, Proposal, Strategy, Trial, check_whole, key_of
from nas.surrogates.candidates import Candidates, Rest
from nas.surrogates.earlier import Lessons, lessons
from nas.surrogates.features import Sheet
from nas.surrogates.improvement import Steps
from nas.surrogates.model import Learner, Model, Nothing, representatives

if TYPE_CHECKING:
    from nas.problem import Problem

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

_GOOD = 20
"""Trials that candidates descend from, or the whole front where that is larger."""
_ROUNDS = 2
"""Times that the best candidates are mutated once more,"""
_BEST = 6
"""so many of them,"""
_CHILDREN = 4
"""each so often."""
_BEYOND = 0.1
"""How far the reference point lies behind the worst values, as a share of their range."""


@dataclass
class Memory:
    """What the finished trials come to.

    Attributes:
        known: Keys of all finished trials.
        spread: Log costs of all finished trials.
        trials: The measured and the failed ones, each training once.
        costs: Exact losses of each of these.
        measured: Measured losses of each; NaN where it failed.
        lessons: What earlier runs teach, once there is a learner.
        learner: Features of each trial, and what was learnt from them; None before the first.
        rest: What is left where chance finds nothing new.
    """

    known: set[Key] = field(default_factory=set)
    spread: list[Costs] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    costs: list[tuple[float, ...]] = field(default_factory=list)
    measured: list[tuple[float, ...]] = field(default_factory=list)
    lessons: Lessons = field(default_factory=Lessons)
    learner: Learner | None = None
    rest: Rest = field(default_factory=Rest)


@dataclass
class Surrogate(Strategy):
    """Expected hypervolume improvement under a Gaussian process.

    Args:
        initial: Measured trials, spread over the costs, before the first model.
        pool: Random candidates looked at for each of these.
        candidates: Looked at for each later proposal, before the rounds of mutation.
        points: Trials that the model is made from at most; its time grows with their cube.
    """

    initial: int = 10
    pool: int = 16
    candidates: int = 96
    points: int = 500

    def __post_init__(self) -> None:
        for name, least in {"initial": 2, "pool": 1, "candidates": 1, "points": 10}.items():
            check_whole("surrogate", name, getattr(self, name), least)
        self._fold = Fold(Memory, self._take_in)
        self._earlier: tuple[Earlier, ...] = ()

    def warmed(self, earlier: Sequence[Earlier]) -> Surrogate:
        """Returns the same strategy with what earlier runs measured."""
        warm = replace(self)
        warm._earlier = tuple(earlier)
        return warm

    def propose(self, problem: Problem, history: History, rng: np.random.Generator) -> Proposal:
        """Returns one of the spread first candidates, then the one of the largest expected improvement.

        Raises:
            Exhausted: When a space that can be looked through has nothing left.
        """
        now = self._fold.over(problem, history.finished)
        running = {trial.key for trial in history.pending}
        ranked = _best_first(now)
        if len(ranked) >= self.initial or (self._earlier and history.proposed % 2):
            found = self._improving(problem, now, ranked, history.pending, running, rng)
        else:
            found = self._spread(problem, now, history.pending, running, rng)
        return found or now.rest.proposal(problem, now.known, running, rng)

    def _spread(
        self, problem: Problem, now: Memory, pending: Sequence[Trial], running: set[Key], rng: np.random.Generator
    ) -> Proposal | None:
        """Returns the sample that lies farthest from everything so far; None where no sample is new."""
        brood = newcomers(problem, lambda: Proposal(problem.space.sample(rng)), self.pool, (now.known, running))
        if key_of(problem, brood[0].genotype) in now.known | running:
            return None
        return loneliest(problem, brood, [*now.spread, *(log_costs(problem, trial) for trial in pending)])

    def _improving(
        self,
        problem: Problem,
        now: Memory,
        ranked: Places,
        pending: Sequence[Trial],
        running: set[Key],
        rng: np.random.Generator,
    ) -> Proposal | None:
        """Returns the candidate of the largest expected improvement; None where no candidate is new."""
        learner = self._learner(now, problem)
        believed = Candidates(problem, learner.sheet, set())
        for trial in pending:
            believed.add(Proposal(trial.genotype))
        chosen = representatives(ranked, len(now.trials), self.points)
        model = _model(now, learner, problem, chosen, rng).believing(believed.rows)

        candidates = Candidates(problem, learner.sheet, now.known | running)
        for genotype in now.lessons.favourites:
            candidates.add(Proposal(genotype, operator="earlier"))
        candidates.vary([now.trials[i] for i in ranked[: _parents(now, ranked)]], self.candidates, rng)
        if not candidates.proposals:
            return None
        steps = _steps(now, chosen, candidates, model)
        score = _improvement(steps, model, candidates, 0)
        for _ in range(_ROUNDS):
            looked_at = len(score)
            candidates.mutate(np.argsort(-score, kind="stable")[:_BEST].tolist(), _CHILDREN, rng)
            score = np.concatenate([score, _improvement(steps, model, candidates, looked_at)])
        return candidates.proposals[int(np.argmax(score))]

    def _take_in(self, now: Memory, problem: Problem, trial: Trial) -> None:
        """Folds one more finished trial in."""
        now.spread.append(log_costs(problem, trial))
        key = trial.key
        fresh = key not in now.known
        now.known.add(key)
        if not fresh or trial.outcome is Outcome.INTERRUPTED:
            return
        try:
            candidate, exact = problem.consider(trial.genotype), problem.exact_losses(trial.genotype)
        except Rejected:
            return  # it can be costed no more
        learner = self._learner(now, problem)
        learner.rows.append(learner.sheet.row(candidate, grow=True))
        measured = [i for i in range(len(problem.objectives)) if i not in exact]
        now.trials.append(trial)
        now.costs.append(tuple(exact.values()))
        now.measured.append(tuple([np.nan if trial.losses is None else trial.losses[i] for i in measured]))

    def _learner(self, now: Memory, problem: Problem) -> Learner:
        """Returns the learner of this search; the first one knows what earlier runs teach."""
        if now.learner is None:
            sheet = Sheet(problem.space.decisions())
            now.lessons = lessons(self._earlier, problem, sheet, self.points)
            now.learner = Learner(sheet, earlier=now.lessons.models)
        return now.learner


def _best_first(now: Memory) -> Places:
    """Returns the places of the measured trials by the crowded comparison."""
    places = np.array([i for i, trial in enumerate(now.trials) if trial.losses is not None], dtype=np.int64)
    return places[crowded_order(_losses(now, places))] if len(places) else places


def _losses(now: Memory, places: Places) -> Floats:
    return np.array([now.trials[i].losses for i in places], dtype=np.float64)


def _parents(now: Memory, ranked: Places) -> int:
    """Returns how many of the best trials have children."""
    return max(_GOOD, int(non_dominated(_losses(now, ranked)).sum())) if len(ranked) else 0


def _model(now: Memory, learner: Learner, problem: Problem, chosen: Places, rng: np.random.Generator) -> Model | Nothing:
    """Returns the model of what is measured; several objectives are joined with weights drawn now."""
    many = sum(not objective.exact for objective in problem.objectives)
    if many == 0:
        return Nothing(len(chosen))
    measured = np.array(now.measured, dtype=np.float64).reshape(-1, many)  # (n, k)
    return learner.model(measured, rng.dirichlet(np.ones(many)) if many > 1 else np.ones(1), chosen)


def _steps(now: Memory, chosen: Places, candidates: Candidates, model: Model | Nothing) -> Steps:
    """Returns the front of the trials that the model is made from, the failed ones left out."""
    stands = np.array([now.trials[i].losses is not None for i in chosen], dtype=np.bool_)
    costs = _matrix([*(now.costs[i] for i in chosen), *candidates.costs])
    known, heights = costs[: len(chosen)][stands], model.heights[: len(chosen)][stands]
    worst = np.vstack([known, costs[len(chosen) :]])
    scale = heights if len(heights) else model.predict(candidates.rows)[0]  # before the first result, earlier runs alone speak
    return Steps(known, heights, _behind(worst), float(_behind(scale[:, None])[0]))


def _behind(points: Floats) -> Floats:
    """Returns the reference point of `(n, m)`: somewhat worse than the worst."""
    span = np.ptp(points, axis=0)
    return np.asarray(points.max(axis=0) + _BEYOND * np.where(span > 0, span, 1.0), dtype=np.float64)


def _improvement(steps: Steps, model: Model | Nothing, candidates: Candidates, start: int) -> Floats:
    """Returns the expected improvement of the candidates from `start` on."""
    if start == len(candidates.proposals):
        return np.zeros(0)
    mean, deviation = model.predict(candidates.rows[start:])
    return steps.improvement(_matrix(candidates.costs[start:]), mean, deviation)


def _matrix(costs: list[tuple[float, ...]]) -> Floats:
    return np.array(costs, dtype=np.float64).reshape(len(costs), len(costs[0]))
