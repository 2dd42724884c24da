"""A search that starts from known networks: their genotypes are proposed first, the rest is another strategy's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.domains import Genotype
from nas.strategies.base import History, Proposal, Strategy

if TYPE_CHECKING:
    import numpy as np

    from nas.problem import Problem


@dataclass
class StartFrom(Strategy):
    """Proposes given genotypes in their order, then whatever another strategy makes of the history they began.

    Args:
        starts: Genotypes of the space, by the name of the network each describes.
        strategy: Who goes on.
    """

    starts: Mapping[str, Genotype]
    strategy: Strategy

    def __post_init__(self) -> None:
        self.importance = self.strategy.importance

    def propose(self, problem: Problem, history: History, rng: np.random.Generator) -> Proposal:
        """Returns the next start, else what the strategy proposes."""
        if history.proposed < len(self.starts):
            name, genotype = list(self.starts.items())[history.proposed]
            return Proposal(genotype, operator=f"start {name}")
        return self.strategy.propose(problem, history, rng)

    def keeps(self, problem: Problem, history: History) -> Collection[int]:
        return self.strategy.keeps(problem, history)

    def likely_parents(self, problem: Problem, history: History) -> Collection[int]:
        return self.strategy.likely_parents(problem, history)
