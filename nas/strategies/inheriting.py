"""A search in which children begin with a parent's weights, whatever strategy proposes them.

A proposal that names parents inherits from the one that shares most with it, of those whose weights are kept: of the likeliest
`MOST_KEPT` trials that the strategy may still take parents from (`Strategy.likely_parents`). Blocks that moved with the number of
repetitions are found again (`nas.kinship`). A strategy that says itself who inherits from whom, as `prune` does, is left alone.

A child is trained longer in effect than a network without parents, and the longer the line the more so: accuracies of such a
search compare networks less fairly, which is why it happens on request alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from nas.kinship import aligned_paths, share_taken
from nas.measurement import Outcome
from nas.problem import Rejected
from nas.strategies.base import Fold, History, Key, Proposal, Strategy, Trial, training_key
from nas.weights import MOST_KEPT

if TYPE_CHECKING:
    import numpy as np

    from nas.problem import Candidate, Problem


@dataclass
class Trained:
    """What the finished trials come to.

    Attributes:
        first: The trial that was trained, by the key of its training; those without weights too.
        key: Of each trial, repeats included, by id.
    """

    first: dict[Key, Trial] = field(default_factory=dict)
    key: dict[int, Key] = field(default_factory=dict)

    def original(self, number: int) -> Trial | None:
        """Returns the trial whose weights stand for another one's, None where it left none."""
        found = self.first.get(self.key[number]) if number in self.key else None
        return found if found is not None and found.outcome is Outcome.COMPLETE else None


@dataclass
class Inheriting(Strategy):
    """Proposes what another strategy does, and says whose weights it begins with.

    Args:
        strategy: Who proposes.
    """

    strategy: Strategy

    def __post_init__(self) -> None:
        self.importance = self.strategy.importance
        self._fold = Fold(Trained, _take_in)

    def propose(self, problem: Problem, history: History, rng: np.random.Generator) -> Proposal:
        """Returns what the strategy proposes, with the parent that shares most with it."""
        proposal = self.strategy.propose(problem, history, rng)
        if proposal.inherit_from is not None or not proposal.parents:
            return proposal
        now = self._fold.over(problem, history.finished)
        try:
            child = problem.consider(proposal.genotype)
        except Rejected:
            return proposal
        if training_key(child.fingerprint, proposal.genotype) in now.first:
            return proposal  # its result is known
        kept = set(self.keeps(problem, history))
        parents = {trial.id: trial for number in proposal.parents if (trial := now.original(number)) and trial.id in kept}
        found = [_taken(problem, child, parent) for parent in parents.values()]
        best = max(found, key=lambda entry: entry[0], default=None)
        if best is None or not best[0]:
            return proposal
        return replace(proposal, inherit_from=best[1].inherit_from, aligned=best[1].aligned)

    def keeps(self, problem: Problem, history: History) -> Collection[int]:
        """Returns the trials that the strategy may inherit from, or may take parents from."""
        return self.strategy.keeps(problem, history) or list(islice(self._likely(problem, history), MOST_KEPT))

    def likely_parents(self, problem: Problem, history: History) -> Collection[int]:
        return self.strategy.likely_parents(problem, history)

    def _likely(self, problem: Problem, history: History) -> Iterator[int]:
        now = self._fold.over(problem, history.finished)
        originals = map(now.original, self.strategy.likely_parents(problem, history))
        yield from dict.fromkeys(trial.id for trial in originals if trial is not None)


def _taken(problem: Problem, child: Candidate, parent: Trial) -> tuple[float, Proposal]:
    """Returns the share of a child's values that a parent gives it, and how."""
    graph = problem.consider(parent.genotype).graph
    aligned = aligned_paths(child.graph, graph, child.genotype, parent.genotype)
    share = share_taken(child.graph, graph, aligned)
    return share, Proposal(child.genotype, inherit_from=parent.id, aligned=aligned)


def _take_in(now: Trained, problem: Problem, trial: Trial) -> None:
    """Folds one more finished trial in."""
    now.key[trial.id] = trial.key
    now.first.setdefault(trial.key, trial)
