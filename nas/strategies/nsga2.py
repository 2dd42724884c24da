"""NSGA-II on genotypes: non-dominated sorting, crowding, and children that cross and mutate along decision paths.

Deb, Pratap, Agarwal and Meyarivan 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II". Kept as printed are the
crowded comparison (section III B), the binary tournament and the elitist survival of the best P of parents and children (main
loop, section III C). What a genotype is made of differs, and four things are set for searches of 25 to some hundred trainings:

* **Children come one at a time.** `offspring=1` replaces after every evaluation (Nebro and Durillo 2009, "On the effect of
  applying a steady-state selection scheme in the multi-objective genetic algorithm NSGA-II"), so a good network is a parent at
  once and no worker waits for a generation; `offspring=population` is the paper's own scheme.
* **The first trials are spread over what a network costs.** Costs are exact before training, so of `pool` random candidates the
  one is taken that is farthest, in the logarithm of its exact costs, from all taken before: the first front reaches from
  the smallest to the largest networks at once, where plain drawing would give ten of much the same size.
* **Of a brood of children the one that fills the widest gap is trained**: again the farthest in log cost, here from the latest
  `memory` trials. Accuracy stays what selection decides by; cost need not be learnt. After `broods` trials the axis is filled
  and children are taken as they come, which then does as well and costs a quarter.
* **A child that is no new network is passed over**, since its training is known; where all of a brood are known, random
  candidates take its place, so that a small population comes to the end of a small space.

What each is worth, measured on NAS-Bench-Macro / NAS-Bench-201 (accuracy and parameters, mean share of the exact front's
hypervolume after 50 evaluations, 40 seeds, standard error about .002): random search .911 / .969; the paper's scheme
(`pool=1, brood=1, offspring=10`) .932 / .974; children one at a time .936 / .978; with the spread start .968 / .975; with broods
as well .983 / .978. The defaults were chosen on the same two tables, with other seeds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from nas.pareto import crowded_order
from nas.spread import Costs, log_costs, loneliest, newcomers
from nas.strategies.base import Fold, History, Key, Proposal, Strategy, Trial, better_of_two, check_share, check_whole

if TYPE_CHECKING:
    from nas.problem import Problem


@dataclass
class Population:
    """What the finished trials come to.

    Attributes:
        parents: The best P trials, best first by the crowded comparison; empty while the first trials run.
        children: Measured since `parents` was last selected.
        known: Keys of all finished trials, failed ones included.
        costs: Log costs of the latest finished trials, failed ones included.
    """

    parents: list[Trial] = field(default_factory=list)
    children: list[Trial] = field(default_factory=list)
    known: set[Key] = field(default_factory=set)
    costs: deque[Costs] = field(default_factory=deque)


@dataclass
class NSGA2(Strategy):
    """Structural NSGA-II; any number of objectives, one included.

    Args:
        population: P, trials that may become parents.
        initial: Trials spread over the costs before the first child.
        offspring: Measured children between two selections: 1 is steady-state, `population` the paper's.
        crossover: Share of children with two parents; every child is mutated once (a value, an operation, or a repetition).
        pool: Random candidates looked at for each of the first trials.
        brood: Children looked at for each later one,
        broods: as long as fewer trials than this have ended; then one.
        memory: Latest trials whose costs a candidate keeps its distance from.
    """

    population: int = 10
    initial: int = 10
    offspring: int = 1
    crossover: float = 0.5
    pool: int = 16
    brood: int = 4
    broods: int = 300
    memory: int = 50

    def __post_init__(self) -> None:
        for name in ("population", "initial", "offspring", "pool", "brood", "broods", "memory"):
            check_whole("nsga2", name, getattr(self, name))
        check_share("nsga2", "crossover", self.crossover)
        self._fold = Fold(lambda: Population(costs=deque(maxlen=self.memory)), self._take_in)

    def propose(self, problem: Problem, history: History, rng: np.random.Generator) -> Proposal:
        """Returns one of the spread first candidates, then children of the population."""
        now = self._fold.over(problem, history.finished)

        def sample() -> Proposal:
            return Proposal(problem.space.sample(rng))

        def child() -> Proposal:
            return self._child(problem, now.parents, rng)

        known = (now.known, {trial.key for trial in history.pending})
        brood = newcomers(problem, child if now.parents else sample, self._size(problem, now), known, otherwise=sample)
        return loneliest(problem, brood, [*now.costs, *(log_costs(problem, trial) for trial in history.pending)])

    def _size(self, problem: Problem, now: Population) -> int:
        """Returns how many candidates to choose from; without an exact cost there is nothing to choose by."""
        if not any(objective.exact for objective in problem.objectives):
            return 1
        if not now.parents:
            return self.pool
        return self.brood if len(now.known) < self.broods else 1

    def _child(self, problem: Problem, parents: Sequence[Trial], rng: np.random.Generator) -> Proposal:
        """Makes a child (section III C: selection, recombination, mutation)."""
        mother = better_of_two(parents, rng)
        genotype, operator = mother.genotype, "mutate"
        ancestors: tuple[int, ...] = (mother.id,)
        if rng.random() < self.crossover:
            father = better_of_two(parents, rng)
            genotype = problem.space.crossover(genotype, father.genotype, rng)
            ancestors, operator = (mother.id, father.id), "crossover+mutate"
        return Proposal(problem.space.mutate(genotype, rng), parents=ancestors, operator=operator)

    def _take_in(self, now: Population, problem: Problem, trial: Trial) -> None:
        """Folds one more finished trial in, and selects when there are children enough."""
        now.costs.append(log_costs(problem, trial))
        key = trial.key
        if trial.losses is not None and key not in now.known:
            now.children.append(trial)
        now.known.add(key)
        if len(now.children) >= (self.offspring if now.parents else self.initial):
            both = now.parents + now.children  # R_t = P_t + Q_t
            now.parents = [both[i] for i in crowded_order(np.array([t.losses for t in both]))[: self.population]]  # P_(t+1)
            now.children = []
