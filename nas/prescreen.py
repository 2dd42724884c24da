"""Prescreening: of several candidates for one proposal, the one is trained that looks most promising before. Knows no torch.

For proposal k the strategy is asked N times about the same history, with generators derived from k. What is new and feasible is
scored without training (`nas.zerocost`), and of these the candidate of the largest promise at equal cost (`nas.promise`) becomes
the proposal. Attempt 0 is the one that a search without screening would have made, and is taken where there is nothing to choose.

Screening judges itself: scores that do not rank what was measured are left out (`nas.promise`), and it ends for good as soon as
none is left, or what was promised does not rank, at equal cost, as accuracy does. Networks that are all promising cannot show that;
so every fifth proposal (`CONTROL`) is the first of the candidates that is new, whatever is promised of it.

Every decision follows from the record, which keeps all candidates with their scores: a resumed search decides as an unbroken one,
and `nas verify` computes every choice again without scoring anything.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nas.attempts import Accepted, Halted, NothingFeasible, next_candidate
from nas.errors import ObjectiveError
from nas.events import Refused
from nas.objectives import on_log_scale
from nas.promise import EXACT, MEAN, Worth, judged_by, promises, useless, worths
from nas.rows import Scored, ScreeningRow
from nas.strategies.base import Exhausted, History, Key, Strategy, Trial, training_key

if TYPE_CHECKING:
    from nas.problem import Candidate, Problem

CONTROL = 5
"""One proposal of so many is not chosen, so that those that are have something to be compared with."""

Score = Callable[[Sequence["Candidate"], Callable[[], bool]], Sequence[Mapping[str, float]]]
"""Returns the scores of candidates, empty where there are none; the second argument is asked whether to give up."""


class Screen:
    """Chooses among candidates; knows what was scored so far.

    Args:
        count: Candidates for each proposal. With 1 there is nothing to choose: it only finds out what the scores are worth.
        problem: One of its objectives must be measured.
        score: Who scores.
        recorded: Of earlier starts, by the proposal's number.

    Attributes:
        off: Why nothing is screened any more; empty while it is.

    Raises:
        ObjectiveError: When every objective is exact, so that there is nothing to look for.
    """

    def __init__(self, count: int, problem: Problem, score: Score, recorded: Iterable[ScreeningRow] = ()) -> None:
        measured = [i for i, objective in enumerate(problem.objectives) if not objective.exact]
        if not measured:
            names = ", ".join(objective.name for objective in problem.objectives)
            raise ObjectiveError(f"prescreen guesses what training would measure, and {names} need none; leave it out")
        self.off = ""
        self._count, self._score, self._measured = count, score, measured[0]
        self._scored: dict[str, Scored] = {}  # by fingerprint, in the order in which they were scored
        self._proposed: dict[int, Scored] = {}  # by number of the proposal
        for row in recorded:
            self._keep(row)

    def next_candidate(
        self,
        problem: Problem,
        strategy: Strategy,
        history: History,
        seed: int,
        *,
        on_refused: Callable[[Refused], None] = lambda event: None,
        halted: Callable[[], bool] = lambda: False,
    ) -> Accepted:
        """Returns the most promising of several candidates; see `nas.attempts.next_candidate` for the arguments.

        Raises:
            NasError, Halted: As that does.
        """
        first = next_candidate(problem, strategy, history, seed, on_refused=on_refused, halted=halted)
        if self.off:
            return first
        judged = self.worths(history)
        verdict = self._worths(self._looked_at(self._trained(history)))
        left_out = useless(verdict)
        if reason := _pointless(verdict, left_out):
            return self._take(first, ScreeningRow(history.proposed, (), off=reason), judged)
        found = [first]
        with suppress(NothingFeasible, Exhausted):  # what there is, is enough
            for attempt in range(1, self._count):
                found.append(
                    next_candidate(problem, strategy, history, seed, attempt=attempt, on_refused=on_refused, halted=halted)
                )
        fresh = _fresh(found, history)
        if not fresh:
            return first
        scored = self._promising(self._scores(problem, [accepted.candidate for accepted in fresh], halted), left_out)
        chosen = 0 if history.proposed % CONTROL == CONTROL - 1 else _most_promising(scored)
        refused = sum((Counter(accepted.rejected) for accepted in found), Counter[str]())
        row = ScreeningRow(history.proposed, tuple(scored), chosen)
        return self._take(replace(fresh[chosen], rejected=dict(refused)), row, judged)

    def _trained(self, history: History) -> list[Trial]:
        """Returns the trials that were scored and measured, in the order in which they ended."""
        return [trial for trial in history.measured() if trial.id in self._proposed and not trial.repeat]

    def _looked_at(self, trials: Sequence[Trial]) -> Sequence[Trial]:
        """Returns those by which scores are judged: up to the 20th, 40th, 80th (and so on) of which something was promised."""
        promised = [place for place, trial in enumerate(trials) if MEAN in self._proposed[trial.id].scores]
        look = judged_by(len(promised))
        return trials[: promised[look - 1] + 1] if look else ()

    def worths(self, history: History) -> list[Worth]:
        """Returns what each score was worth so far; the mean rank, which decides, comes last. Empty before anything was scored."""
        return self._worths(self._trained(history))

    def _worths(self, trials: Sequence[Trial]) -> list[Worth]:
        accuracies = [-trial.losses[self._measured] for trial in trials if trial.losses is not None]
        return worths([self._proposed[trial.id] for trial in trials], accuracies, list(self._scored.values())) if trials else []

    def _scores(self, problem: Problem, candidates: Sequence[Candidate], halted: Callable[[], bool]) -> list[Scored]:
        """Returns the candidates with their scores; networks that were scored before are not scored again.

        Raises:
            Halted: When `halted` says so meanwhile.
        """
        new = {c.fingerprint: c for c in candidates if c.fingerprint not in self._scored}
        found = dict(zip(new, self._score(list(new.values()), halted), strict=True)) if new else {}
        if halted():
            raise Halted
        made = {
            name: Scored(
                name,
                {**found[name], **{cost: candidate.costs[cost] for cost in EXACT if cost in candidate.costs}},
                on_log_scale(o.loss(candidate.costs[o.name]) for o in problem.objectives if o.exact),
            )
            for name, candidate in new.items()
        }
        return [made.get(c.fingerprint) or self._scored[c.fingerprint] for c in candidates]

    def _promising(self, candidates: Sequence[Scored], left_out: Collection[str]) -> list[Scored]:
        """Returns the candidates with what is promised of them; nothing is while too little is known."""
        everything = {**self._scored, **{candidate.fingerprint: candidate for candidate in candidates}}
        promised = promises(list(everything.values()), left_out, {candidate.fingerprint for candidate in candidates})
        if promised is None:
            return list(candidates)
        of = {name: float(value) for name, value in zip(everything, promised, strict=True) if np.isfinite(value)}
        return [replace(c, scores={**c.scores, MEAN: of[c.fingerprint]}) if c.fingerprint in of else c for c in candidates]

    def _take(self, accepted: Accepted, row: ScreeningRow, judged: Sequence[Worth]) -> Accepted:
        self._keep(row)
        return replace(accepted, screening=row, worth=judged[-1].equal_cost if judged else None)

    def _keep(self, row: ScreeningRow) -> None:
        for candidate in row.candidates:
            scores = {name: score for name, score in candidate.scores.items() if name != MEAN}  # promised then, not for good
            self._scored.setdefault(candidate.fingerprint, replace(candidate, scores=scores))
        if row.candidates:
            self._proposed[row.proposal] = row.candidates[row.chosen]
        self.off = self.off or row.off


def _fresh(found: Sequence[Accepted], history: History) -> list[Accepted]:
    """Returns the candidates that are no trials yet, each once."""
    known = {trial.key for trial in (*history.finished, *history.pending)}
    fresh: dict[Key, Accepted] = {}
    for accepted in found:
        key = training_key(accepted.candidate.fingerprint, accepted.candidate.genotype)
        if key not in known:
            fresh.setdefault(key, accepted)
    return list(fresh.values())


def _most_promising(candidates: Sequence[Scored]) -> int:
    """Returns the place of the most promising candidate; 0 where nothing is promised of any."""
    return max(range(len(candidates)), key=lambda i: candidates[i].scores.get(MEAN, -math.inf))


def _pointless(judged: Sequence[Worth], left_out: set[str]) -> str:
    """Returns why screening does not help; empty while it may."""
    if not judged:
        return ""
    *scores, mean = judged
    if MEAN not in left_out and any(worth.name not in left_out for worth in scores):
        return ""
    measured = max(worth.networks for worth in judged)
    what = f"what was promised of {measured} networks" if MEAN in left_out else f"every score of {measured} networks"
    each = ", ".join(f"{worth.name} {worth.equal_cost.tau:+.2f}" for worth in scores if worth.equal_cost)
    promised = f"tau {mean.equal_cost}; " if mean.equal_cost else ""
    return f"{what} does not rank them as accuracy does at equal cost ({promised}{each})"
