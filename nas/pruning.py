"""What may be taken out of one network, the least important first: single steps, and several at once.

A step is judged by the importance it loses over what it saves, the sum of the logarithms of the ratios of exact costs. Where no
importances were measured, the step that saves most comes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from nas.descent import Step, cost_names, saved, steps_down, through
from nas.domains import Genotype
from nas.errors import StrategyError
from nas.importance import Importances, lost
from nas.problem import Candidate, Problem


@dataclass(frozen=True)
class Cut:
    """A network with something taken out.

    Attributes:
        genotype: Its decisions.
        fingerprint: Its identity.
        aligned: Path of a block to its path in the network that was cut, where the two differ.
        words: What was taken out, step by step.
        lost: Importance that is gone.
        saved: Sum of the logarithms of the ratios of costs.
    """

    genotype: Genotype
    fingerprint: str
    aligned: Mapping[str, str]
    words: tuple[str, ...] = ()
    lost: float = 0.0
    saved: float = 0.0


class Cuts:
    """All cuts of one network that are worth making, found when they are asked for and remembered.

    Iterating gives first, for each step, the network that is left when steps are added to it until the share `shrink` is saved;
    then, where that took several, what the step leaves alone. Each network comes once.

    Args:
        problem: Space, constraints and costs.
        genotype: Of the network.
        importances: Of its channels, by module; empty where none were measured.
        shrink: Share of the first cost.

    Raises:
        StrategyError: When the problem has no exact cost.
    """

    def __init__(self, problem: Problem, genotype: Genotype, importances: Importances, shrink: float) -> None:
        self._problem, self._importances, self._shrink = problem, importances, shrink
        whole = problem.consider(genotype)
        self._whole = Cut(genotype, whole.fingerprint, {})
        self._names = cost_names(problem, whole.costs)
        if not self._names:
            raise StrategyError("prune needs an exact cost to make networks smaller by; add one to the objectives, such as params")
        self._found: list[Cut] = []
        self._coming = self._all()

    def __iter__(self) -> Iterator[Cut]:
        yield from self._found
        for cut in self._coming:
            self._found.append(cut)
            yield cut

    def _all(self) -> Iterator[Cut]:
        singles = self._after(self._whole)
        seen: set[str] = set()
        for cut in chain(map(self._enough, singles), singles) if self._shrink else singles:
            if cut.fingerprint not in seen:
                seen.add(cut.fingerprint)
                yield cut

    def _enough(self, cut: Cut) -> Cut:
        """Adds the least important steps until enough is saved, or nothing is left to take out."""
        name, costs = self._names[0], self._problem.costs
        while costs(cut.genotype)[name] > (1 - self._shrink) * costs(self._whole.genotype)[name]:
            more = self._after(cut)
            if not more:
                break
            cut = more[0]
        return cut

    def _after(self, cut: Cut) -> list[Cut]:
        """Returns what one more step leaves, the least important first; of several ways to one network the first."""
        whole = self._problem.consider(self._whole.genotype)
        found: dict[str, tuple[float, Cut]] = {}
        for step in steps_down(self._problem, cut.genotype):
            more = self._added(cut, step, whole)
            gain, price = more.saved - cut.saved, more.lost - cut.lost
            rank = price / gain if self._importances else -gain
            other = found.get(more.fingerprint)
            if other is None or rank < other[0]:
                found[more.fingerprint] = (rank, more)
        return [more for _, more in sorted(found.values(), key=lambda entry: entry[0])]

    def _added(self, cut: Cut, step: Step, whole: Candidate) -> Cut:
        candidate = step.candidate
        aligned = through(cut.aligned, step.aligned, candidate.graph.labels)
        gone = lost(self._importances, candidate.graph, whole.graph, aligned) if self._importances else 0.0
        gain = saved(self._names, candidate.costs, whole.costs)
        return Cut(candidate.genotype, candidate.fingerprint, aligned, (*cut.words, step.words), gone, gain)
