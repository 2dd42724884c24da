"""Which strategy a search goes by: the named one, the one that its run began with, or the one that `auto` chooses at the start.

`auto` chooses once. The record holds what it chose, so going on with a run never chooses again. The rule:

* `exhaustive` where nothing but a number of evaluations (or of epochs) ends the search, and it suffices for every genotype of the
  space: then each of them is looked at once, and the search says that it has seen them all. With a limit in time the search
  may end before that, and the first genotypes in order are no fair sample of a space.
* `surrogate` otherwise, and wherever there are earlier runs to learn from. On `fashion_small` with Fashion-MNIST (25 networks
  of one epoch each; accuracy, parameters and FLOPs; three paired repeats) its front covered a hypervolume of 0.751 in the mean,
  that of `random` 0.576, of `optuna:nsga2` 0.549, of `optuna:tpe` 0.509. On NAS-Bench-201 (accuracy, parameters; 20 repeats) it
  had 0.995 of the exact front's hypervolume after 100 evaluations, `nsga2` 0.989, `random` 0.980. The model is made from at most
  `points` trials, so that a proposal costs about 0.2 s of one core at 1,000 trials of `fashion_small` and 0.3 s at 10,000. Where
  evaluations end more often than that, all workers together, name `nsga2`, whose proposals cost 1 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.errors import RunError, StrategyError
from nas.lines import counted
from nas.run import Run, run_in
from nas.strategies.base import ENUMERABLE
from nas.strategies.table import AUTO, make_strategy

if TYPE_CHECKING:
    from nas.budget import Budget
    from nas.space import Space
    from nas.strategies.base import Strategy


@dataclass(frozen=True)
class Chosen:
    """The strategy of a search.

    Attributes:
        strategy: The strategy.
        named: What `search` takes for it: a name, an address, or the object.
        options: Its settings, as `search` takes them.
        reason: Why `auto` chose it; empty where it was named.
    """

    strategy: Strategy
    named: str | Strategy
    options: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""


def given_strategy(strategy: str | Strategy, options: Mapping[str, Any], folder: str | Path | None) -> Chosen | None:
    """Returns the strategy that is named, or for `auto` the one of the run in the folder; None where `choose` has to say.

    Args:
        strategy: What `nas.search` takes.
        options: Its settings.
        folder: The run folder.

    Raises:
        NasError: When there is no such strategy, or it cannot be made.
    """
    if strategy != AUTO:
        return Chosen(make_strategy(strategy, **options), strategy, options)
    if options:
        raise StrategyError(f"strategy {AUTO} takes no settings, got {', '.join(options)}; name the strategy that they belong to")
    run = run_in(folder)
    return None if run is None else _begun_with(run)


def _begun_with(run: Run) -> Chosen:
    """Returns the strategy of a run."""
    begun: Mapping[str, Any] = run.starts()[-1]["options"]
    if "strategy" in begun.get("objects", ()):
        raise RunError(f"{run.folder} was started from Python with a strategy object; give it again as strategy=...")
    recorded = run.settings["strategy"]
    arguments = begun.get("arguments") or {}
    named = arguments.get("strategy", recorded["name"])
    options = (arguments.get("strategy_options") if "strategy" in arguments else recorded["options"]) or {}
    return Chosen(make_strategy(named, **options), named, options, "this run began with it")


def choose(space: Space, budget: Budget, epochs: float, *, learns: bool = False) -> Chosen:
    """Returns what `auto` chooses for a search that begins; see the head of this module for the rule.

    Args:
        space: With its recipe.
        budget: What may be spent.
        epochs: Of each network, on average.
        learns: Whether there are earlier runs to learn from.
    """
    if learns:
        return _made("surrogate", "it learns from the earlier runs")
    size, most = space.size(), _evaluations(budget, epochs)
    words = counted(size, "genotype") if isinstance(size, int) else "a continuum"
    if most is None:
        return _made("surrogate", f"no number of evaluations says that all of {words} will be seen")
    if size > most:
        return _made("surrogate", f"{words}, only {counted(most, 'evaluation')}")
    if size > ENUMERABLE:
        return _made("surrogate", f"{words}, too many to look at each")
    return _made("exhaustive", f"{counted(most, 'evaluation')} suffice for {words}")


def _evaluations(budget: Budget, epochs: float) -> int | None:
    """Returns how many networks will be evaluated unless the space ends before; None where time may end it."""
    limits = [budget.evaluations, None if budget.epochs_total is None else int(budget.epochs_total // epochs)]
    known = [limit for limit in limits if limit is not None]
    return min(known) if known and budget.seconds is None else None


def _made(name: str, reason: str) -> Chosen:
    return Chosen(make_strategy(name), name, {}, reason)
