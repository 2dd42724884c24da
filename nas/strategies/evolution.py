"""Regularised (aging) evolution: the oldest dies, a tournament picks the parent, one mutation makes the child.

Real, Aggarwal, Huang and Le 2019, "Regularized Evolution for Image Classifier Architecture Search", Algorithm 1. Line numbers
beside the code are those of the algorithm as printed:

     1  population <- empty queue                  10  while |history| < C:
     2  history <- empty                           11      sample <- empty
     3  while |population| < P:                    12      while |sample| < S:
     4      model.arch <- RANDOMARCHITECTURE()     13          candidate <- random element from population
     5      model.accuracy <- TRAINANDEVAL(arch)   14          add candidate to sample
     6      add model to right of population       15      parent <- highest-accuracy model in sample
     7      add model to history                   16      child.arch <- MUTATE(parent.arch)
                                                   17      child.accuracy <- TRAINANDEVAL(child.arch)
                                                   18      add child to right of population
                                                   19      add child to history
                                                   20      remove dead from left of population

The queue is no state of its own: after every line 20 it is the last P models whose evaluation gave a figure, in the order in
which they ended, and is read from the record as that. With several workers this is the paper's asynchronous form.

With several objectives "highest accuracy" becomes: the lowest non-domination rank within the population, of equal ranks the
largest crowding distance (the crowded comparison of Deb et al. 2002, NSGA-II, section III B). Everything else stays.

On NAS-Bench-201, CIFAR-10, searching the accuracy after 12 epochs, a repeat counted as an evaluation, the best of 100 evaluations
has a mean test accuracy of 93.93 % (500 searches, standard error .02; published 93.92 to 93.95), random search's 93.74.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nas.pareto import crowded_order
from nas.strategies.base import History, Proposal, Strategy, Trial, check_whole

if TYPE_CHECKING:
    from nas.problem import Problem


@dataclass
class RegularizedEvolution(Strategy):
    """Aging evolution by mutation alone.

    Args:
        population: P, models alive. The paper's 100 is meant for 20,000 evaluations; 10 suits some hundreds.
        tournament: S, models drawn (with replacement) to find a parent among. The paper's is 25 of 100.
    """

    population: int = 10
    tournament: int = 3

    def __post_init__(self) -> None:
        for name in ("population", "tournament"):
            check_whole("evolution", name, getattr(self, name))

    def propose(self, problem: Problem, history: History, rng: np.random.Generator) -> Proposal:
        """Returns a random genotype while the first population fills, then a mutated parent."""
        alive = _latest(history, self.population)  # lines 18 and 20
        if len(alive) < self.population:  # line 3
            return Proposal(problem.space.sample(rng))  # line 4
        sample = set(rng.integers(len(alive), size=self.tournament).tolist())  # lines 11 to 14
        best_first = crowded_order(np.array([trial.losses for trial in alive]))
        parent = alive[next(i for i in best_first.tolist() if i in sample)]  # line 15
        return Proposal(problem.space.mutate(parent.genotype, rng), parents=(parent.id,), operator="mutate")  # line 16

    def likely_parents(self, problem: Problem, history: History) -> Collection[int]:
        """Returns those alive, the best first."""
        alive = _latest(history, self.population)
        return [alive[i].id for i in crowded_order(np.array([trial.losses for trial in alive]))] if alive else []


def _latest(history: History, count: int) -> list[Trial]:
    """Returns the last `count` measured trials, oldest first."""
    latest: list[Trial] = []
    for trial in reversed(history.finished):
        if trial.losses is not None:
            latest.append(trial)
            if len(latest) == count:
                break
    return latest[::-1]
