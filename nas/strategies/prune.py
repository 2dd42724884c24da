"""Pruning: from the largest network of the space down to the smallest, taking out what matters least, with the weights kept.

The walk begins at the largest feasible network, or at the networks that the search starts from, and goes on as network pruning
does (Molchanov et al. 2017, "Pruning Convolutional Neural Networks for Resource Efficient Inference", section 2):

     1  evaluate the network, and measure the importance of its channels (`nas.importance`)
     2  take the least important thing out: channels, a smaller kernel, a repetition, a branch, an operation for a cheaper one
     3  the smaller network takes over the weights of what is left (`nas.inherit`), and is trained briefly: go on with line 1

What may be taken out is what the space leaves open, and decisions differ in size. So "least important" is by what is saved:
importance lost over the sum of the logarithms of the ratios of exact costs, as Molchanov et al. regularise by FLOPs.
A child is what so many steps leave as it takes to save the share `shrink` of the first exact cost, one at least.

When the walk has arrived at the bottom it is widened, level by level from the top: of each level's networks the one with the
fewest children gets its next least important child. A parallel worker does the same while the walk waits for a result.

Where nothing measures importances (a function instead of training, a table of results), the results have to say what matters. Of
the networks that nothing dominates so far the one with the fewest children gets its next child, one step smaller. A step is judged
by how much worse the first objective was where it was taken before, over what it saves; one that was never taken is judged
harmless, and of several such the one that saves most comes first.

The search ends when every network that steps lead to is known. Nothing is drawn at random.

On NAS-Bench-201, CIFAR-10, 100 evaluations of accuracy and parameters reach a share of .990 of the exact front's hypervolume, on
NAS-Bench-Macro .999, without importances and weights; random search .980 and .952 (mean of 5).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from math import inf, isfinite
from operator import attrgetter
from typing import TYPE_CHECKING

from nas.descent import largest
from nas.importance import check_kind
from nas.lines import counted
from nas.pareto import front_with
from nas.pruning import Cut, Cuts
from nas.strategies.base import Exhausted, Fold, History, Key, Proposal, Strategy, Trial, check_share, check_whole, training_key

if TYPE_CHECKING:
    import numpy as np

    from nas.problem import Problem

_REMEMBERED = 8
"""Networks whose cuts are remembered; those that are forgotten are found again."""

_Levels = dict[int, dict[int, Trial]]


@dataclass
class Walk:
    """What the finished trials come to.

    Attributes:
        level: How many proposals lead to each trial, by id.
        width: How many trials of a level did not fail.
        children: How many of its children did not fail, by id.
        known: Keys of all trials.
        scored: Whether importances were measured.
        front: Measured trials that no other one dominates.
        first: The first loss of each measured trial, by id.
        effects: Of each step that a child was made by alone: the sum of what it added to the first loss, and how often.
        open: Trials that may have a child left, by level and id: measured ones, and those that failed. Taking one out is a note to
            save time, found again when it is lost.
        cuts: What may be taken out of a trial's network, by id; likewise.
    """

    level: dict[int, int] = field(default_factory=dict)
    width: Counter[int] = field(default_factory=Counter)
    children: Counter[int] = field(default_factory=Counter)
    known: set[Key] = field(default_factory=set)
    scored: bool = False
    front: list[Trial] = field(default_factory=list)
    first: dict[int, float] = field(default_factory=dict)
    effects: dict[str, tuple[float, int]] = field(default_factory=dict)
    open: tuple[_Levels, _Levels] = field(default_factory=lambda: ({}, {}))
    cuts: OrderedDict[int, Cuts] = field(default_factory=OrderedDict)

    def effect(self, cut: Cut) -> float:
        """Returns what the step of a cut added to the first loss where it was taken, for what it saves; 0 if it never was."""
        total, count = self.effects.get(cut.words[0], (0.0, 0))
        return total / count / cut.saved if count else 0.0

    def close(self, trial: Trial) -> None:
        """Takes a trial out of those that may have a child left."""
        levels, level = self.open[trial.losses is None], self.level[trial.id]
        del levels[level][trial.id]
        if not levels[level]:
            del levels[level]


@dataclass
class Prune(Strategy):
    """A walk from the largest network to the smallest.

    Args:
        importance: What tells what matters: "taylor", "magnitude" or "bn-scale"; see `nas.importance`.
        beam: Children that each level of the walk gets before it goes on.
        shrink: Share of the first exact cost that a child at least saves, as long as anything is left to take out; 0: single steps,
            as they are taken without importances.
    """

    importance: str = "taylor"
    beam: int = 1
    shrink: float = 0.1

    def __post_init__(self) -> None:
        check_kind("prune", self.importance)
        check_whole("prune", "beam", self.beam)
        check_share("prune", "shrink", self.shrink, whole=False)
        self._fold = Fold(Walk, _take_in)

    def propose(self, problem: Problem, history: History, rng: np.random.Generator) -> Proposal:
        """Returns the largest network at first, then the next child of the walk; the generator is asked only for a beginning.

        Raises:
            StrategyError: When the problem has no exact cost.
            Exhausted: When nothing smaller is left, or nothing that ended has a child left.
        """
        if not history.proposed:
            genotype = largest(problem, rng)
            return Proposal(problem.space.sample(rng) if genotype is None else genotype, operator="largest")
        walk = self._fold.over(problem, history.finished)
        running = {trial.key for trial in history.pending}
        for parent in (self._by_level if walk.scored else _by_results)(walk, history):
            cut = self._cut(problem, walk, parent, running)
            if cut is not None:
                return Proposal(
                    cut.genotype,
                    parents=(parent.id,),
                    operator="prune",
                    inherit_from=parent.id if parent.importances else None,
                    aligned=cut.aligned,
                    notes={"steps": list(cut.words)},
                )
        what = counted(len(walk.known | running), "network")
        raise Exhausted(f"nothing smaller is left: all networks of the space were looked at that removals lead to, {what}")

    def keeps(self, problem: Problem, history: History) -> Collection[int]:
        """Returns the trials that may get a child, in the order in which they would."""
        levels = self._fold.over(problem, history.finished).open[0]
        first = [max(levels)] if levels else []
        order = dict.fromkeys([*first, *sorted(levels)])
        return [trial.id for level in order for trial in levels[level].values() if trial.importances]

    def _by_level(self, walk: Walk, history: History) -> Iterator[Trial]:
        """Yields the trials that may have a child left, the next to get one first: measured ones, then those that failed."""
        children = Counter(trial.parents[0] for trial in history.pending if trial.parents)
        width = walk.width + Counter(walk.level[trial.parents[0]] + 1 for trial in history.pending if trial.parents)
        for levels in walk.open:
            narrow = [level for level in sorted(levels) if width[level + 1] < self.beam]
            wide = sorted(levels.keys() - narrow, key=lambda level: (width[level + 1], level))
            for level in (*narrow, *wide):
                trials = list(levels[level].values())
                yield from sorted(trials, key=lambda trial: (walk.children[trial.id] + children[trial.id], trial.id))

    def _cut(self, problem: Problem, walk: Walk, parent: Trial, running: set[Key]) -> Cut | None:
        """Returns the next child of a trial; None where all are known or running."""
        if parent.id not in walk.cuts:
            walk.cuts[parent.id] = Cuts(problem, parent.genotype, parent.importances, self.shrink if walk.scored else 0.0)
        walk.cuts.move_to_end(parent.id)
        if len(walk.cuts) > _REMEMBERED:
            walk.cuts.popitem(last=False)
        waits = False
        cuts = walk.cuts[parent.id]
        for cut in cuts if walk.scored else sorted(cuts, key=walk.effect):
            key = training_key(cut.fingerprint, cut.genotype)
            if key in running:
                waits = True
            elif key not in walk.known:
                return cut
        if not waits:
            walk.close(parent)
        return None


def _by_results(walk: Walk, history: History) -> Iterator[Trial]:
    """Yields the trials that may have a child left: first those that nothing dominates, the one with the fewest children first."""
    children = walk.children + Counter(trial.parents[0] for trial in history.pending if trial.parents)
    best = {trial.id for trial in walk.front}

    def order(trial: Trial) -> tuple[bool, int, int]:
        return trial.id not in best, children[trial.id], trial.id

    for levels in walk.open:
        yield from sorted((trial for level in levels.values() for trial in level.values()), key=order)


def _take_in(walk: Walk, problem: Problem, trial: Trial) -> None:
    """Folds one more finished trial in."""
    walk.known.add(trial.key)
    if trial.repeat:
        return
    parent = trial.parents[0] if trial.parents else None
    level = walk.level[trial.id] = 0 if parent is None else walk.level.get(parent, -1) + 1
    walk.open[trial.losses is None].setdefault(level, {})[trial.id] = trial
    if trial.losses is None:
        return
    walk.scored = walk.scored or bool(trial.importances)
    walk.width[level] += 1
    walk.first[trial.id] = trial.losses[0]
    walk.front = front_with(walk.front, trial, attrgetter("losses"))
    if parent is not None:
        walk.children[parent] += 1
        steps = trial.notes.get("steps", ())
        change = trial.losses[0] - walk.first.get(parent, inf)
        if len(steps) == 1 and isfinite(change):
            total, count = walk.effects.get(steps[0], (0.0, 0))
            walk.effects[steps[0]] = (total + change, count + 1)
