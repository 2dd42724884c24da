"""An Optuna study in memory that mirrors a history: what Optuna's samplers look at. Proposes nothing.

Every decision that can ever be active is a parameter, suggested as a position in its domain (an index, or a share in [0, 1] of a
continuum): a fixed-length vector. Those that the others leave inactive are told too, and do not matter to the network. What a
sampler would remember by itself is read back from the record: `Trial.notes` holds the positions, the generation a genetic sampler
counted the trial to, and the trials that generation descends from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import TrialState, create_trial

from nas.domains import Domain, Integer, Value
from nas.strategies.base import Genotype, History, Trial

if TYPE_CHECKING:
    from nas.problem import Problem


class Encoding:
    """The fixed-length vector of a space.

    Args:
        decisions: Path to domain, every decision that can ever be active, in order.
    """

    def __init__(self, decisions: Mapping[str, Domain]) -> None:
        self.decisions = dict(decisions)
        self.distributions = {path: _distribution(domain) for path, domain in decisions.items() if domain.size != 1}

    def positions(self, trial: Trial) -> dict[str, float]:
        """Returns the position of every decision with a choice: the trial's own, the noted one where inactive, else the first."""
        noted: Sequence[float] = trial.notes.get("positions", [0] * len(self.distributions))
        found = dict(zip(self.distributions, noted, strict=True))
        for path, value in trial.genotype.items():
            if path in found:
                found[path] = self.decisions[path].where(value)
        return found

    def assignment(self, positions: Mapping[str, float]) -> dict[str, Value]:
        """Returns a value for every decision."""
        return {path: domain.at(positions.get(path, 0)) for path, domain in self.decisions.items()}

    def moved(self, positions: Mapping[str, float], genotype: Genotype) -> dict[str, float]:
        """Returns the positions with those of a genotype in place."""
        return {path: self.decisions[path].where(genotype[path]) if path in genotype else at for path, at in positions.items()}


def _distribution(domain: Domain) -> BaseDistribution:
    if domain.size is None:
        return FloatDistribution(0.0, 1.0)
    if isinstance(domain, Integer):
        return IntDistribution(0, domain.size - 1)
    return CategoricalDistribution(tuple(range(domain.size)))


class Mirror:
    """A study in memory that holds what a history holds, in the order of the proposals.

    Args:
        problem: Whose decisions and objectives it has.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.encoding = Encoding(problem.space.decisions())
        self.study = optuna.create_study(directions=["minimize"] * len(problem.objectives))
        self.number: dict[int, int] = {}
        self.descent: dict[int, tuple[int, ...]] = {}
        self._finished: list[Trial] = []
        self._running: dict[int, Trial] = {}

    def leads_to(self, problem: Problem, history: History) -> bool:
        """Returns whether the history only adds to what is mirrored, so that catching up gives what starting anew would."""
        told = len(self._finished)
        if problem is not self.problem or list(history.finished[:told]) != self._finished:
            return False
        later = {trial.id: trial for trial in (*history.finished[told:], *history.pending)}
        if any(i not in later or later[i].genotype != trial.genotype for i, trial in self._running.items()):
            return False
        return all(i in self._running or i > max(self.number, default=-1) for i in later)

    def catch_up(self, history: History) -> None:
        """Takes in what the history holds beyond what is mirrored."""
        ended = history.finished[len(self._finished) :]
        done = {trial.id for trial in ended}
        for trial in sorted((*ended, *history.pending), key=lambda trial: trial.id):
            if trial.id not in self.number:
                self._add(trial, _values(trial), trial.id in done)
            elif trial.id in done:
                self._tell(trial, _values(trial))
        self._finished.extend(ended)
        self._running = {trial.id: trial for trial in history.pending}

    def _add(self, trial: Trial, values: Sequence[float] | None, ended: bool) -> None:
        state = TrialState.RUNNING if not ended else TrialState.FAIL if values is None else TrialState.COMPLETE
        attributes = trial.notes.get("system_attrs", {})
        params: dict[str, Any] = dict(self.encoding.positions(trial))
        self.number[trial.id] = len(self.study.get_trials(deepcopy=False))
        self.study.add_trial(
            create_trial(
                state=state,
                values=values if ended else None,
                params=params,
                distributions=self.encoding.distributions,
                system_attrs=dict(attributes),
            )
        )
        for generation in (g for key, g in attributes.items() if key.endswith(":generation")):
            self.descent.setdefault(generation, tuple(trial.notes.get("descent", ())))

    def _tell(self, trial: Trial, values: Sequence[float] | None) -> None:
        state = TrialState.FAIL if values is None else TrialState.COMPLETE
        self.study.tell(self.number[trial.id], values, state=state)

    def ask(self, sampler: BaseSampler) -> tuple[dict[str, float], dict[str, Any]]:
        """Returns what a sampler suggests (positions) and what it wants to find again (system attributes).

        The study keeps a failed trial of it, which no sampler looks at.
        """
        self.study.sampler = sampler
        asked = self.study.ask(fixed_distributions=self.encoding.distributions)
        attributes = self.study.get_trials(deepcopy=False)[asked.number].system_attrs
        kept = {key: value for key, value in attributes.items() if key.endswith(":generation")}
        self.study.tell(asked, state=TrialState.FAIL)
        return dict(asked.params), kept


def _values(trial: Trial) -> Sequence[float] | None:
    """Returns the losses a sampler may be told: none that is infinite or no number."""
    return trial.losses if trial.losses is not None and all(map(math.isfinite, trial.losses)) else None
