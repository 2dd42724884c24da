"""Optuna's samplers, told the record and asked for one more: strategies over the mirror in `nas/optuna_mirror.py`.

By name there are those of Optuna's samplers that serve several objectives and categorical decisions: TPE, NSGA-II, NSGA-III, the
Gaussian process, and quasi-Monte Carlo; `LEFT_OUT` in `nas/strategies/table.py` says why each other one is none of them. A sampler
of one's own is a function in a file, `--strategy FILE.py:factory`:

    def factory(seed, **options):
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, **options)

It is called once a proposal, with another seed each time and the settings that were given (`--strategy-option NAME=VALUE`), and
returns a new `optuna.samplers.BaseSampler`; a class derived from that serves as well. The study that its sampler sees minimises,
and holds every proposal so far as a trial of the same number: complete, failed, or running. Its parameters are all decisions of the
space by path: the index of a value (categorical, or an int for a range of whole numbers), or a share from 0 to 1 of a continuum;
decisions that the others leave inactive are among them. What a sampler keeps in itself is forgotten, what it keeps in system
attributes of its trial and of the study, or in user attributes of the study, is recorded and comes back: so a search that is
resumed equals an unbroken one, generations included.

Akiba et al. 2019, "Optuna: A Next-generation Hyperparameter Optimization Framework"; Watanabe 2023, "Tree-Structured Parzen
Estimator"; Deb et al. 2002, "NSGA-II"; Deb and Jain 2014, "NSGA-III".
"""

from __future__ import annotations

import logging
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIIISampler, NSGAIISampler, QMCSampler, TPESampler
from optuna.trial import FrozenTrial

from nas.errors import StrategyError, brief
from nas.lines import counted
from nas.optuna_mirror import Mirror
from nas.strategies.base import Genotype, History, Proposal, Strategy, check_whole, key_of
from nas.userfile import said

if TYPE_CHECKING:
    import numpy as np

    from nas.problem import Problem

_STEPS = 16
"""Mutations tried on a suggestion that is refused or known."""


class OptunaStrategy(Strategy):
    """What all have in common: mirror the record, ask a new sampler, read the answer.

    Attributes:
        name: Its name in `nas.strategies.table.STRATEGIES`.
        one_seed: Whether all samplers of a search get the seed of the first, which the record keeps.
    """

    name: ClassVar[str]
    one_seed: ClassVar[bool] = False

    _mirror: Mirror | None = None

    @property
    def title(self) -> str:
        """What proposals and errors say."""
        return self.name

    @abstractmethod
    def sampler(self, seed: int) -> BaseSampler:
        """Returns a new sampler.

        Args:
            seed: The only source of its randomness.
        """

    def propose(self, problem: Problem, history: History, rng: np.random.Generator) -> Proposal:
        """Returns the sampler's suggestion without its inactive decisions, mutated where it is refused or nothing new.

        Raises:
            StrategyError: When the sampler fails.
        """
        if self._mirror is None or not self._mirror.leads_to(problem, history):
            with _quiet():
                self._mirror = Mirror(problem)
        mirror, seed = self._mirror, int(rng.integers(2**32))
        with _quiet():
            mirror.catch_up(history)
            if self.one_seed and mirror.seed is not None:
                seed = mirror.seed
            try:
                positions, notes = mirror.ask(self.sampler(seed))
            except StrategyError:
                raise
            except Exception as error:
                where = f"proposal {history.proposed}, {counted(len(problem.objectives), 'objective')}"
                raise StrategyError(
                    f"sampler {self.title} failed ({where}): {said(error).rstrip('.')}; mend it, or choose another"
                ) from error
        suggested = problem.space.project(mirror.encoding.assignment(positions))
        genotype, steps = _walked(problem, suggested, history, rng)
        positions = mirror.encoding.moved(positions, genotype)
        kept: dict[str, Any] = {"positions": [positions[path] for path in mirror.encoding.distributions], **notes}
        if self.one_seed:
            kept["seed"] = seed
        return Proposal(genotype, operator=f"{self.title}+mutate" if steps else self.title, notes=kept)


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


def _check_share(strategy: str, setting: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise StrategyError(f"{strategy}: {setting} is {value!r}, expected a share from 0 to 1")


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
                _check_share(self.name, setting, value)

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


def _need_scipy(name: str) -> None:
    if find_spec("scipy") is None:
        raise StrategyError(f"{name} needs scipy, which is not installed; install it with: pip install scipy")


@dataclass
class OwnSampler(OptunaStrategy):
    """A sampler of the user's own; see the head of this module.

    Args:
        factory: `factory(seed, **options)` that returns a new sampler.
        address: Where it was found, such as "FILE.py:factory".
        options: Settings it is called with.
    """

    factory: Callable[..., object]
    address: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with _quiet():
            self.sampler(0)

    @property
    def title(self) -> str:
        """The name of the factory."""
        return str(self._made().__qualname__)

    def described(self) -> tuple[str, Mapping[str, Any]]:
        """Returns module and name of the factory, and the settings it is called with."""
        made = self._made()
        return f"{made.__module__}:{made.__qualname__}", self.options

    def _made(self) -> Any:
        return self.factory if hasattr(self.factory, "__qualname__") else type(self.factory)

    def sampler(self, seed: int) -> BaseSampler:
        """Returns what the factory makes.

        Raises:
            StrategyError: When it fails, or makes no sampler.
        """
        try:
            made = self.factory(seed=seed, **self.options)
        except Exception as error:
            words = ", ".join(["seed", *self.options])
            raise StrategyError(f"strategy {self.address!r} cannot be called with {words}: {said(error)}") from error
        if not isinstance(made, BaseSampler):
            raise StrategyError(f"strategy {self.address!r} returned {brief(made)}, expected an optuna.samplers.BaseSampler")
        return made
