"""An Optuna study in memory that mirrors a history: what Optuna's samplers look at. Proposes nothing.

Every decision that can ever be active is a parameter, suggested as a position in its domain (an index, or a share in [0, 1] of a
continuum): a fixed-length vector. Those that the others leave inactive are told too, and do not matter to the network.

A study here is a function of the record alone. Trial k of the search is trial k of the study; the one that a sampler is asked for
is taken out again, with all that the sampler wrote into the study. What it wrote (system attributes of its trial and of the
study: generations, populations, places in a sequence) is kept in `Trial.notes` and put back when that trial is mirrored. A
sampler's `after_trial` is never called, since the record does not say in which order it would have been.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from nas.domains import Domain, Genotype, Integer, Value
from nas.strategies.base import History, Trial

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


_Attributes = tuple[Mapping[str, Any], Mapping[str, Any]]
"""System attributes and user attributes of a study."""


class _Storage(InMemoryStorage):
    """One study in memory, whose latest trial can be taken out again."""

    def take_out(self, trial: int, attributes: _Attributes) -> None:
        """Makes the latest trial undone, and the attributes of the study what they were.

        Args:
            trial: Its id.
            attributes: Those of the study before that trial.
        """
        study, _ = self._trial_id_to_study_id_and_number.pop(trial)
        info = self._studies[study]
        info.trials.pop()
        info.system_attrs, info.user_attrs = map(dict, attributes)
        self._max_trial_id -= 1


class Mirror:
    """A study in memory that holds what a history holds, in the order of the proposals.

    Attributes:
        problem: Whose decisions and objectives it has.
        encoding: Of its space.
        number: Trial of the search to trial of the study.
        seed: The first seed noted in the record; None where none is.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.encoding = Encoding(problem.space.decisions())
        self.number: dict[int, int] = {}
        self.seed: int | None = None
        self._storage = _Storage()
        self._study = optuna.create_study(storage=self._storage, directions=["minimize"] * len(problem.objectives))
        self._finished: list[Trial] = []
        self._running: dict[int, Trial] = {}

    def trials(self) -> list[FrozenTrial]:
        """Returns the trials of the study."""
        return self._study.get_trials(deepcopy=False)

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
                self._end(trial, _values(trial))
        self._finished.extend(ended)
        self._running = {trial.id: trial for trial in history.pending}

    def _add(self, trial: Trial, values: Sequence[float] | None, ended: bool) -> None:
        state = TrialState.RUNNING if not ended else TrialState.FAIL if values is None else TrialState.COMPLETE
        self.number[trial.id] = len(self.number)
        self._study.add_trial(
            create_trial(
                state=state,
                values=values if ended else None,
                params=dict(self.encoding.positions(trial)),
                distributions=self.encoding.distributions,
                system_attrs=dict(trial.notes.get("system_attrs", {})),
            )
        )
        for key, value in trial.notes.get("study_attrs", {}).items():
            self._storage.set_study_system_attr(self._study._study_id, key, value)
        for key, value in trial.notes.get("user_attrs", {}).items():
            self._storage.set_study_user_attr(self._study._study_id, key, value)
        if self.seed is None:
            self.seed = trial.notes.get("seed")

    def _end(self, trial: Trial, values: Sequence[float] | None) -> None:
        state = TrialState.FAIL if values is None else TrialState.COMPLETE
        self._storage.set_trial_state_values(self.trials()[self.number[trial.id]]._trial_id, state, values)

    def ask(self, sampler: BaseSampler) -> tuple[dict[str, float], dict[str, dict[str, Any]]]:
        """Returns what a sampler suggests, and what it wants to find again; the study is as before.

        Returns:
            Positions by path; and for `Trial.notes`: the system attributes of its trial (`system_attrs`), those it set in the
            study (`study_attrs`), and its user attributes there (`user_attrs`), each where there are any.

        Raises:
            ValueError: When it suggests what the space does not hold, or wants to keep what JSON cannot hold.
        """
        before, known = self._attributes(), len(self.number)
        self._study.sampler = sampler
        try:
            suggested = dict(self._study.ask(fixed_distributions=self.encoding.distributions).params)
            own = self.trials()[known].system_attrs
            after = self._attributes()
        finally:
            for left in self.trials()[known:]:
                self._storage.take_out(left._trial_id, before)
        for path, distribution in self.encoding.distributions.items():
            if not distribution._contains(distribution.to_internal_repr(suggested[path])):
                raise ValueError(f"{path} is {suggested[path]!r}, expected a value of {distribution}")
        system, user = (
            {key: value for key, value in now.items() if key not in was or was[key] != value}
            for was, now in zip(before, after, strict=True)
        )
        kept = {key: value for key, value in own.items() if not key.startswith(_TOLD_ANYWAY)}
        notes = {"system_attrs": kept, "study_attrs": system, "user_attrs": user}
        return suggested, {name: _as_json(found) for name, found in notes.items() if found}

    def _attributes(self) -> _Attributes:
        study = self._study._study_id
        return self._storage.get_study_system_attrs(study), self._storage.get_study_user_attrs(study)


_TOLD_ANYWAY = ("tpe:relative_params", "gp:relative_params")
"""Attributes in which a trial under way tells others its parameters: every trial here has them all."""


def _as_json(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns attributes as the record will give them back."""
    for key, value in attributes.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"attribute {key!r} cannot be kept as JSON: {error}") from None
    found: dict[str, Any] = json.loads(json.dumps(dict(attributes)))
    return found


def _values(trial: Trial) -> Sequence[float] | None:
    """Returns the losses a sampler may be told: none that is infinite or no number."""
    return trial.losses if trial.losses is not None and all(map(math.isfinite, trial.losses)) else None
