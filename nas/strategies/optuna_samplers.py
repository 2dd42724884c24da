"""Optuna's samplers by name: those that serve several objectives and categorical decisions.

These are TPE, NSGA-II, NSGA-III, the Gaussian process and quasi-Monte Carlo; `LEFT_OUT` in `nas/strategies/table.py` says why each
other one is none of them. How they are asked stands in `nas/optuna_strategy.py`; a sampler of one's own in
`nas/strategies/own_sampler.py`.

Akiba et al. 2019, "Optuna: A Next-generation Hyperparameter Optimization Framework"; Watanabe 2023, "Tree-Structured Parzen
Estimator"; Deb et al. 2002, "NSGA-II"; Deb and Jain 2014, "NSGA-III".
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIIISampler, NSGAIISampler, QMCSampler, TPESampler
from optuna.trial import FrozenTrial

from nas.errors import StrategyError
from nas.optuna_strategy import OptunaStrategy
from nas.strategies.base import History, Proposal, check_share, check_whole

if TYPE_CHECKING:
    import numpy as np

    from nas.problem import Problem


def _need_scipy(name: str) -> None:
    if find_spec("scipy") is None:
        raise StrategyError(f"{name} needs scipy, which is not installed; install it with: pip install scipy")


def _check_flag(strategy: str, setting: str, value: object, *others: object) -> None:
    if not isinstance(value, bool) and value not in others:
        words = ", ".join(["true", *("none" for _ in others)])
        raise StrategyError(f"{strategy}: {setting} is {value!r}, expected {words} or false")


@dataclass
class OptunaTPE(OptunaStrategy):
    """Tree-structured Parzen estimator.

    Args:
        startup: Random trials before the first estimate.
        candidates: Drawn from the estimate of the good trials for each suggestion.
        multivariate: Estimate decisions jointly; None leaves it to Optuna (jointly with one objective alone).
    """

    startup: int = 10
    candidates: int = 24
    multivariate: bool | None = None
    name: ClassVar[str] = "optuna:tpe"

    def __post_init__(self) -> None:
        check_whole(self.name, "startup", self.startup)
        check_whole(self.name, "candidates", self.candidates)
        _check_flag(self.name, "multivariate", self.multivariate, None)

    def sampler(self, seed: int) -> BaseSampler:
        """Returns a TPE sampler; what is pending counts as bad (constant liar), so that workers do not crowd."""
        return TPESampler(
            seed=seed,
            n_startup_trials=self.startup,
            n_ei_candidates=self.candidates,
            multivariate=self.multivariate,
            constant_liar=True,
        )


class _AllParameters(BaseSampler):
    """Spares a genetic sampler looking for the parameters that all trials share: here they share them all."""

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Returns the parameters of the first trial, none where the one asked for is the first."""
        return study.get_trials(deepcopy=False)[0].distributions


class FlatNSGAII(_AllParameters, NSGAIISampler):
    """Optuna's NSGA-II where every trial has every parameter."""


class FlatNSGAIII(_AllParameters, NSGAIIISampler):
    """Optuna's NSGA-III where every trial has every parameter."""


@dataclass
class OptunaNSGA2(OptunaStrategy):
    """Optuna's NSGA-II on the fixed-length vector.

    Args:
        population: Trials in a generation.
        crossover_prob: Share of children with two parents.
        swapping_prob: Share of decisions that such a child takes from its second parent.
        mutation_prob: Share of decisions that are drawn anew; None: one a child.
    """

    population: int = 20
    crossover_prob: float = 0.9
    swapping_prob: float = 0.5
    mutation_prob: float | None = None
    name: ClassVar[str] = "optuna:nsga2"

    def __post_init__(self) -> None:
        check_whole(self.name, "population", self.population, 2)
        for setting in ("crossover_prob", "swapping_prob", "mutation_prob"):
            value = getattr(self, setting)
            if setting != "mutation_prob" or value is not None:
                check_share(self.name, setting, value)

    def settings(self) -> dict[str, Any]:
        """Returns what Optuna calls the settings."""
        return {
            "population_size": self.population,
            "crossover_prob": self.crossover_prob,
            "swapping_prob": self.swapping_prob,
            "mutation_prob": self.mutation_prob,
        }

    def sampler(self, seed: int) -> BaseSampler:
        """Returns an NSGA-II sampler, which finds its generations in the record."""
        return FlatNSGAII(seed=seed, **self.settings())


@dataclass
class OptunaNSGA3(OptunaNSGA2):
    """Optuna's NSGA-III on the fixed-length vector, for three objectives and more.

    Args:
        population: Trials in a generation.
        crossover_prob: Share of children with two parents.
        swapping_prob: Share of decisions that such a child takes from its second parent.
        mutation_prob: Share of decisions that are drawn anew; None: one a child.
        divisions: Parts that an objective is divided into by the reference points.
    """

    divisions: int = 3
    name: ClassVar[str] = "optuna:nsga3"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self.name, "divisions", self.divisions)

    def sampler(self, seed: int) -> BaseSampler:
        """Returns an NSGA-III sampler, which finds its generations in the record."""
        return FlatNSGAIII(seed=seed, dividing_parameter=self.divisions, **self.settings())


@dataclass
class OptunaQMC(OptunaStrategy):
    """Optuna's quasi-Monte Carlo: a scrambled sequence that covers the space more evenly than random draws; learns nothing.

    Args:
        sequence: `sobol` or `halton`.
    """

    sequence: str = "sobol"
    name: ClassVar[str] = "optuna:qmc"
    one_seed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.sequence not in ("sobol", "halton"):
            raise StrategyError(f"{self.name}: sequence is {self.sequence!r}, expected sobol or halton")
        _need_scipy(self.name)

    def sampler(self, seed: int) -> BaseSampler:
        """Returns a QMC sampler, which finds its place in the sequence in the record."""
        return QMCSampler(seed=seed, qmc_type=self.sequence, scramble=True)


@dataclass
class OptunaGP(OptunaStrategy):
    """Gaussian process with log expected (hypervolume) improvement; seconds a proposal beyond some dozens of trials.

    Args:
        startup: Random trials before the first fit.
        deterministic: Whether the same network would be measured alike each time: no noise is fitted then.
    """

    startup: int = 10
    deterministic: bool = False
    name: ClassVar[str] = "optuna:gp"

    def __post_init__(self) -> None:
        check_whole(self.name, "startup", self.startup)
        _check_flag(self.name, "deterministic", self.deterministic)
        _need_scipy(self.name)

    def sampler(self, seed: int) -> BaseSampler:
        """Returns a GP sampler."""
        return GPSampler(seed=seed, n_startup_trials=self.startup, deterministic_objective=self.deterministic)

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
