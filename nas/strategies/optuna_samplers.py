"""Optuna's samplers, told the record and asked for one more: three strategies over the mirror in `nas/optuna_mirror.py`.

Nothing is kept between two proposals but the mirror, and each proposal gets a new sampler with a seed of its own.

Akiba et al. 2019, "Optuna: A Next-generation Hyperparameter Optimization Framework"; Watanabe 2023, "Tree-Structured Parzen
Estimator"; Deb et al. 2002, "NSGA-II".
"""

from __future__ import annotations

import logging
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, TPESampler
from optuna.trial import FrozenTrial

from nas.errors import StrategyError
from nas.optuna_mirror import Mirror
from nas.strategies.base import Genotype, History, Proposal, Strategy, check_whole, key_of

if TYPE_CHECKING:
    import numpy as np

    from nas.problem import Problem

_STEPS = 16
"""Mutations tried on a suggestion that is refused or known."""


class OptunaStrategy(Strategy):
    """What the three have in common: mirror the record, ask a new sampler, read the answer."""

    name: ClassVar[str]

    _mirror: Mirror | None = None

    @abstractmethod
    def sampler(self, seed: int, mirror: Mirror) -> BaseSampler:
        """Returns a new sampler.

        Args:
            seed: The only source of its randomness.
            mirror: The study it will be asked in, caught up.
        """

    def propose(self, problem: Problem, history: History, rng: np.random.Generator) -> Proposal:
        """Returns the sampler's suggestion without its inactive decisions, mutated where it is refused or nothing new."""
        if self._mirror is None or not self._mirror.leads_to(problem, history):
            with _quiet():
                self._mirror = Mirror(problem)
        mirror = self._mirror
        with _quiet():
            mirror.catch_up(history)
            sampler = self.sampler(int(rng.integers(2**32)), mirror)
            positions, attributes = mirror.ask(sampler)
        suggested = problem.space.project(mirror.encoding.assignment(positions))
        genotype, steps = _walked(problem, suggested, history, rng)
        positions = mirror.encoding.moved(positions, genotype)
        notes: dict[str, Any] = {"positions": [positions[path] for path in mirror.encoding.distributions]}
        if attributes:
            notes["system_attrs"] = attributes
        if isinstance(sampler, ReplayedNSGAII) and sampler.descent:
            notes["descent"] = list(sampler.descent)
        return Proposal(genotype, operator=f"{self.name}+mutate" if steps else self.name, notes=notes)


def _walked(problem: Problem, suggested: Genotype, history: History, rng: np.random.Generator) -> tuple[Genotype, int]:
    """Returns the first feasible new network on a walk of mutations from a suggestion, and the number of steps to it.

    Samplers are told of no refused candidate, since none becomes a trial; asked again, they would go on suggesting the like.
    Where the walk finds none, the suggestion itself is returned, for the loop to refuse or to serve from the record.
    """
    known = {trial.key for trial in (*history.finished, *history.pending)}
    genotype = suggested
    for step in range(_STEPS + 1):
        key = key_of(problem, genotype)
        if key is not None and key not in known:
            return genotype, step
        genotype = problem.space.mutate(genotype, rng)
    return suggested, 0


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences Optuna's log and the warnings about its experimental parts, for as long as it is asked."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)


@dataclass
class OptunaTPE(OptunaStrategy):
    """Tree-structured Parzen estimator.

    Args:
        startup: Random trials before the first estimate.
        multivariate: Estimate decisions jointly; None leaves it to Optuna (jointly with one objective alone).
    """

    startup: int = 10
    multivariate: bool | None = None
    name: ClassVar[str] = "optuna:tpe"

    def __post_init__(self) -> None:
        check_whole(self.name, "startup", self.startup)
        if self.multivariate not in (None, True, False):
            raise StrategyError(f"optuna:tpe: multivariate is {self.multivariate!r}, expected True, False or None")

    def sampler(self, seed: int, mirror: Mirror) -> BaseSampler:
        """Returns a TPE sampler; what is pending counts as bad (constant liar), so that workers do not crowd."""
        return TPESampler(seed=seed, n_startup_trials=self.startup, multivariate=self.multivariate, constant_liar=True)


@dataclass
class OptunaNSGA2(OptunaStrategy):
    """Optuna's NSGA-II on the fixed-length vector.

    Args:
        population: Trials in a generation.
    """

    population: int = 20
    name: ClassVar[str] = "optuna:nsga2"

    def __post_init__(self) -> None:
        check_whole(self.name, "population", self.population, 2)

    def sampler(self, seed: int, mirror: Mirror) -> BaseSampler:
        """Returns an NSGA-II sampler that finds its generations in the record."""
        return ReplayedNSGAII(mirror, population_size=self.population, seed=seed)


class ReplayedNSGAII(NSGAIISampler):
    """NSGA-II whose parent populations come from the record.

    Optuna selects the parents of a generation when its first trial is asked for and keeps them in the study. Here that trial
    notes them, so a trial that ends late changes nothing and every proposal can be computed again.

    Attributes:
        descent: Ids of the trials whose children were asked for; empty in generation 0.
    """

    def __init__(self, mirror: Mirror, **settings: Any) -> None:
        super().__init__(**settings)
        self._mirror = mirror
        self.descent: tuple[int, ...] = ()

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Returns all parameters: every trial has them all, so there is no need to intersect."""
        return self._mirror.encoding.distributions

    def get_parent_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        """Returns the trials that a generation descends from."""
        if generation == 0:
            return []
        number = self._mirror.number
        noted = self._mirror.descent.get(generation, ())
        if not noted or any(i not in number for i in noted):
            ids = {at: i for i, at in number.items()}
            noted = tuple(sorted(ids[parent.number] for parent in self.select_parent(study, generation)))
        self.descent = noted
        trials = study.get_trials(deepcopy=False)
        return [trials[number[i]] for i in noted]


@dataclass
class OptunaGP(OptunaStrategy):
    """Gaussian process with log expected (hypervolume) improvement; seconds a proposal beyond some dozens of trials.

    Args:
        startup: Random trials before the first fit.
    """

    startup: int = 10
    name: ClassVar[str] = "optuna:gp"

    def __post_init__(self) -> None:
        check_whole(self.name, "startup", self.startup)
        if find_spec("scipy") is None:
            raise StrategyError("optuna:gp needs scipy, which is not installed; install it with: pip install scipy")

    def sampler(self, seed: int, mirror: Mirror) -> BaseSampler:
        """Returns a GP sampler."""
        return GPSampler(seed=seed, n_startup_trials=self.startup)

    def propose(self, problem: Problem, history: History, rng: np.random.Generator) -> Proposal:
        """Returns the sampler's suggestion, computed by one thread: workers keep the other cores busy, and threads that wait
        for each other on a busy machine take ten times as long."""
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return super().propose(problem, history, rng)
        finally:
            torch.set_num_threads(before)
