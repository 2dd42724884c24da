"""The strategies by name, and how one is made from a name, a user's file or an object. Loads what is asked for."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

from nas.errors import StrategyError, UnknownNameError
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
    "nsga2": Entry("nas.strategies.nsga2", "NSGA2", "the default: NSGA-II on genotypes, spread over exact costs (Deb et al. 2002)"),
    "surrogate": Entry("nas.strategies.surrogate", "Surrogate", "Gaussian process, exact costs, expected hypervolume improvement"),
    "reinforce": Entry(
        "nas.strategies.reinforce", "Reinforce", "a policy over decisions that learns from rewards (Zoph and Le 2017)"
    ),
    "optuna:tpe": Entry("nas.strategies.optuna_samplers", "OptunaTPE", "Optuna's tree-structured Parzen estimator, flat encoding"),
    "optuna:nsga2": Entry("nas.strategies.optuna_samplers", "OptunaNSGA2", "Optuna's NSGA-II, flat encoding"),
    "optuna:gp": Entry("nas.strategies.optuna_samplers", "OptunaGP", "Optuna's Gaussian process; seconds a proposal, needs scipy"),
}
"""Every strategy known by name."""

DEFAULT = "nsga2"
"""The strategy of a search that names none."""


def make_strategy(strategy: str | Strategy = DEFAULT, **options: Any) -> Strategy:
    """Returns a strategy.

    Args:
        strategy: A name of `STRATEGIES`; `FILE.py:Class` or `module:Class`, a `Strategy` of the user's own; or an object.
        options: Settings of its class, such as `population=20`.

    Raises:
        UnknownNameError: When no strategy has that name, or it has no such setting.
        StrategyError: When a setting's value makes no sense, an object comes with options, or what is named is no `Strategy`.
        SpaceError: When the user's file cannot be loaded.
    """
    if isinstance(strategy, Strategy):
        if options:
            raise StrategyError(f"a strategy object has its settings, but got {', '.join(options)}; set them where it is made")
        return strategy
    made = _class(strategy)
    known = inspect.signature(made).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        for option in options:
            if option not in known:
                raise UnknownNameError(f"setting of strategy {strategy}", option, known)
    try:
        return made(**options)
    except TypeError as error:
        raise StrategyError(f"strategy {strategy!r} cannot be made with {options or 'no settings'}: {error}") from error


def _class(name: str) -> type[Strategy]:
    if name in STRATEGIES:
        entry = STRATEGIES[name]
        return _checked(getattr(import_module(entry.module), entry.name), name)
    if ":" not in name or name.startswith("optuna:"):
        raise UnknownNameError("strategy", name, STRATEGIES)
    return _checked(load_object(name), name)


def _checked(found: object, name: str) -> type[Strategy]:
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        raise StrategyError(f"strategy {name!r} is {found!r}, expected a class derived from nas.strategies.base.Strategy")
    if inspect.isabstract(found):
        raise StrategyError(f"strategy {name!r} lacks {', '.join(sorted(found.__abstractmethods__))}; write it in the class")
    return found
