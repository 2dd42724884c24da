"""Random search: every decision drawn evenly from its domain, whatever was measured before.

Bergstra and Bengio 2012, "Random Search for Hyper-Parameter Optimization". The line every other strategy is measured against
(Li and Talwalkar 2019, "Random Search and Reproducibility for Neural Architecture Search").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.strategies.base import History, Proposal, Strategy

if TYPE_CHECKING:
    import numpy as np

    from nas.problem import Problem


@dataclass
class RandomSearch(Strategy):
    """Draws each candidate at random from the space."""

    def propose(self, problem: Problem, history: History, rng: np.random.Generator) -> Proposal:
        """Returns a genotype drawn at random; the history is not looked at."""
        return Proposal(problem.space.sample(rng))
