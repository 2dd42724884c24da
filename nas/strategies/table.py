"""The strategies by name, and how one is made from a name, a user's file or an object. Loads what is asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from nas.errors import StrategyError, UnknownNameError, brief
from nas.strategies.base import Strategy
from nas.userfile import load_object


class Entry(NamedTuple):
    """Where a strategy stands.

    Attributes:
        module: Module path.
        name: Class in it.
        about: One line for `nas list strategies`.
    """

    module: str
    name: str
    about: str


STRATEGIES: Mapping[str, Entry] = {
    "random": Entry("nas.strategies.random_search", "RandomSearch", "every decision drawn evenly; the line to beat"),
    "evolution": Entry("nas.strategies.evolution", "RegularizedEvolution", "aging evolution by mutation alone (Real et al. 2019)"),
    "exhaustive": Entry("nas.strategies.exhaustive", "Exhaustive", "every genotype of a small space in turn; ends by itself"),
    "local-search": Entry("nas.strategies.local_search", "LocalSearch", "to better neighbours, with restarts (White et al. 2020)"),
    "nsga2": Entry("nas.strategies.nsga2", "NSGA2", "NSGA-II on genotypes, spread over exact costs (Deb et al. 2002)"),
    "surrogate": Entry("nas.strategies.surrogate", "Surrogate", "Gaussian process, exact costs, expected hypervolume improvement"),
    "reinforce": Entry(
        "nas.strategies.reinforce", "Reinforce", "a policy over decisions that learns from rewards (Zoph and Le 2017)"
    ),
    "prune": Entry("nas.strategies.prune", "Prune", "from the largest network down by measured importance, weights kept"),
    "optuna:tpe": Entry("nas.strategies.optuna_samplers", "OptunaTPE", "Optuna's tree-structured Parzen estimator, flat encoding"),
    "optuna:nsga2": Entry("nas.strategies.optuna_samplers", "OptunaNSGA2", "Optuna's NSGA-II, flat encoding"),
    "optuna:nsga3": Entry("nas.strategies.optuna_samplers", "OptunaNSGA3", "Optuna's NSGA-III, flat encoding, for many objectives"),
    "optuna:qmc": Entry("nas.strategies.optuna_samplers", "OptunaQMC", "Optuna's quasi-Monte Carlo: an even cover; learns nothing"),
    "optuna:gp": Entry("nas.strategies.optuna_samplers", "OptunaGP", "Optuna's Gaussian process; seconds a proposal, needs scipy"),
}
"""Every strategy known by name."""

LEFT_OUT: Mapping[str, str] = {
    "optuna:random": "RandomSampler draws every decision evenly, as random does",
    "optuna:bruteforce": "BruteForceSampler goes through the inactive decisions too; exhaustive looks at every genotype once",
    "optuna:grid": "GridSampler takes a grid that is written down; exhaustive goes through the space itself",
    "optuna:partialfixed": "PartialFixedSampler fixes decisions of another sampler; close them in the space, for every strategy",
    "optuna:cmaes": "CmaEsSampler refuses several objectives and leaves categorical decisions to chance",
}
"""Optuna's other samplers, and why each is no strategy by name. Any sampler may be used by a factory of one's own."""

_OWN = Entry("nas.strategies.own_sampler", "OwnSampler", "a sampler of the user's own")

AUTO = "auto"
"""The strategy of a search that names none: no strategy itself, but a choice at the start; see `nas.chosen`."""

AUTO_ABOUT = "the default: exhaustive where the evaluations suffice for every genotype of the space, else surrogate"


def make_strategy(strategy: str | Strategy, **options: Any) -> Strategy:
    """Returns a strategy.

    Args:
        strategy: A name of `STRATEGIES`; `FILE.py:Class` or `module:Class`, a `Strategy` of the user's own; `FILE.py:factory` or
            `module:factory`, which makes an Optuna sampler of the user's own (see `nas.strategies.own_sampler`); or an object.
        options: Settings of its class or factory, such as `population=20`.

    Raises:
        UnknownNameError: When no strategy has that name, or it has no such setting.
        StrategyError: When a setting's value makes no sense, an object comes with options, or what is named is neither.
        SpaceError: When the user's file cannot be loaded.
    """
    if isinstance(strategy, Strategy):
        if options:
            raise StrategyError(f"a strategy object has its settings, but got {', '.join(options)}; set them where it is made")
        return strategy
    if not isinstance(strategy, str):
        raise StrategyError(
            f"strategy is {brief(strategy)}, expected a name, FILE.py:Class, FILE.py:factory (makes a sampler of Optuna's) "
            "or an object of a class that derives from nas.strategies.base.Strategy"
        )
    made = find_strategy(strategy)
    is_class = isinstance(made, type) and issubclass(made, Strategy)
    check_options(strategy, settings_of(made), options)
    try:
        found: Strategy = made(**options) if is_class else _loaded(_OWN)(made, strategy, options)
    except TypeError as error:
        raise StrategyError(f"strategy {strategy!r} cannot be made with {options or 'no settings'}: {error}") from error
    return found


def find_strategy(name: str) -> Callable[..., Any]:
    """Returns the class of a strategy, or the factory of a sampler; see `make_strategy` for the names and what it raises."""
    if name in STRATEGIES:
        return _checked(_loaded(STRATEGIES[name]), name)
    if name == AUTO:
        raise StrategyError(f"{AUTO} is chosen for one search by its space and its limits; name a strategy, such as surrogate")
    if name in LEFT_OUT:
        raise StrategyError(f"{name} is no strategy: {LEFT_OUT[name]}")
    if ":" not in name or name.startswith("optuna:"):
        here = f"optuna:{name}"
        raise UnknownNameError("strategy", name, STRATEGIES, other=here if here in STRATEGIES else "")
    return _checked(load_object(name), name)


def _loaded(entry: Entry) -> Any:
    return getattr(import_module(entry.module), entry.name)


def settings_of(made: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Returns the settings that a class or a factory takes, by name; a factory's seed is none."""
    is_class = isinstance(made, type) and issubclass(made, Strategy)
    return {name: p for name, p in inspect.signature(made).parameters.items() if is_class or name != "seed"}


def check_options(strategy: str, known: Mapping[str, inspect.Parameter], options: Mapping[str, Any]) -> None:
    """Raises UnknownNameError where a setting is not known."""
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        for option in options:
            if option not in known:
                raise UnknownNameError(f"setting of strategy {strategy}", option, known)


def _checked(found: object, name: str) -> Callable[..., Any]:
    if isinstance(found, type) and issubclass(found, Strategy):
        if inspect.isabstract(found):
            raise StrategyError(f"strategy {name!r} lacks {', '.join(sorted(found.__abstractmethods__))}; write it in the class")
        return found
    if callable(found) and (not isinstance(found, type) or _is_sampler(found)):
        _check_seed(found, name)
        return found
    raise StrategyError(
        f"strategy {name!r} is {brief(found)}, expected a class derived from nas.strategies.base.Strategy, or a function "
        "factory(seed, **options) that returns an optuna.samplers.BaseSampler"
    )


def _is_sampler(found: type) -> bool:
    from optuna.samplers import BaseSampler

    return issubclass(found, BaseSampler)


def _check_seed(factory: Callable[..., Any], name: str) -> None:
    known = inspect.signature(factory).parameters.values()
    if not any(p.name == "seed" or p.kind is p.VAR_KEYWORD for p in known):
        raise StrategyError(f"strategy {name!r} takes no seed; write it as factory(seed, **options)")
