"""Candidates to choose from: new, feasible, with what is known of each before training.

The improvement a model expects has many peaks over a space of networks, and no gradient. As in White, Neiswanger and Savani 2021,
"BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture Search", section 4, it is looked for among
mutations of the best networks so far, here with crossovers and fresh samples beside them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nas.domains import Genotype
from nas.lines import counted
from nas.problem import Rejected
from nas.strategies.base import ENUMERABLE, Exhausted, Key, Proposal, Trial, better_of_two, key_of, training_key
from nas.variation import complete, successor

if TYPE_CHECKING:
    import numpy as np

    from nas.problem import Problem
    from nas.surrogates.features import Row, Sheet


@dataclass
class Candidates:
    """Candidates, each network once.

    Attributes:
        problem: Says what is feasible and what it costs.
        sheet: Makes features.
        known: Keys of what is no candidate any more.
        proposals: The candidates.
        costs: Exact losses of each, in the order of the objectives.
        rows: Features of each.
    """

    problem: Problem
    sheet: Sheet
    known: set[Key]
    proposals: list[Proposal] = field(default_factory=list)
    costs: list[tuple[float, ...]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def add(self, proposal: Proposal) -> None:
        """Takes a proposal in, unless it is refused or known."""
        genotype = proposal.genotype
        try:
            candidate = self.problem.consider(genotype)
        except Rejected:
            return
        key = training_key(candidate.fingerprint, genotype)
        if key in self.known:
            return
        self.known.add(key)
        self.proposals.append(proposal)
        self.costs.append(tuple(self.problem.exact_losses(genotype).values()))
        self.rows.append(self.sheet.row(candidate))

    def vary(self, good: Sequence[Trial], count: int, rng: np.random.Generator) -> None:
        """Adds fresh samples (a quarter), mutations (half) and mutated crossovers (a quarter).

        Args:
            good: Trials to descend from, best first; the better of two drawn ones is taken. Without any, all are fresh samples.
            count: How many are made; fewer are added where some are refused or known.
            rng: Draws.
        """
        space = self.problem.space
        for i in range(count):
            if not good:
                self.add(Proposal(space.sample(rng)))
                continue
            mother, father = better_of_two(good, rng), better_of_two(good, rng)
            if i % 4 == 0:
                self.add(Proposal(space.sample(rng)))
            elif i % 4 == 1:
                child = space.mutate(space.crossover(mother.genotype, father.genotype, rng), rng)
                self.add(Proposal(child, parents=(mother.id, father.id), operator="crossover+mutate"))
            else:
                self.add(Proposal(space.mutate(mother.genotype, rng), parents=(mother.id,), operator="mutate"))

    def mutate(self, best: Collection[int], children: int, rng: np.random.Generator) -> None:
        """Adds mutations of candidates.

        Args:
            best: Their places.
            children: How many of each.
            rng: Draws.
        """
        for proposal in [self.proposals[i] for i in best]:
            for _ in range(children):
                child = self.problem.space.mutate(proposal.genotype, rng)
                self.add(Proposal(child, parents=proposal.parents, operator=proposal.operator.removesuffix("+mutate") + "+mutate"))


@dataclass
class Rest:
    """What is left of a small space where chance finds nothing new: its genotypes in turn, until the last.

    Attributes:
        at: All genotypes up to this one are known or refused, for good; a note to save time. None: before the first.
    """

    at: Genotype | None = None

    def proposal(self, problem: Problem, known: set[Key], running: set[Key], rng: np.random.Generator) -> Proposal:
        """Returns the next feasible genotype whose network is new; of a large space a sample, which the loop deals with.

        Args:
            problem: Says what is feasible.
            known: Keys of what has ended.
            running: Keys of what is under way.
            rng: Draws the sample.

        Raises:
            Exhausted: When nothing is left.
        """
        space = problem.space
        if space.size() > ENUMERABLE:
            return Proposal(space.sample(rng))
        genotype: Genotype | None = complete(space, {}, None) if self.at is None else self.at
        for_good = True
        while genotype is not None:
            key = key_of(problem, genotype)
            for_good = for_good and (key is None or key in known)
            if for_good:
                self.at = genotype
            elif key is not None and key not in known and key not in running:
                return Proposal(genotype, operator="next")
            genotype = successor(space, genotype)
        networks = counted(len(known | running), "network")
        raise Exhausted(f"all {counted(int(space.size()), 'genotype')} of the space were looked at: {networks}")
