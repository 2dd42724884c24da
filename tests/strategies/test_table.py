"""Strategies by name, from a user's file, as objects."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from nas.errors import NasError, StrategyError, UnknownNameError
from nas.strategies.base import History, Strategy
from nas.strategies.nsga2 import NSGA2
from nas.strategies.table import AUTO, LEFT_OUT, STRATEGIES, make_strategy

MINE = '''
from nas.strategies.base import Proposal, Strategy

class Second(Strategy):
    """Proposes the second of two draws."""

    def propose(self, problem, history, rng):
        problem.space.sample(rng)
        return Proposal(problem.space.sample(rng))

class Unfinished(Strategy):
    pass

class Greedy:
    pass

NUMBER = 3

def tpe(seed, startup=5):
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed, n_startup_trials=startup)

def unseeded(startup):
    pass

def nothing(seed):
    return NUMBER

def broken(seed, depth=1):
    return 1 / (depth - 1)
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(MINE, encoding="utf-8")
    return path


def test_auto_is_a_choice_and_no_strategy() -> None:
    assert AUTO not in STRATEGIES
    with pytest.raises(StrategyError, match=r"auto is chosen for one search .*; name a strategy"):
        make_strategy(AUTO)


@pytest.mark.parametrize("name", LEFT_OUT)
def test_the_other_samplers_of_optuna_are_left_out_for_a_reason(name: str) -> None:
    assert name not in STRATEGIES
    with pytest.raises(StrategyError, match=f"^{name} is no strategy: [A-Z].*Sampler "):
        make_strategy(name)


def test_every_sampler_of_optuna_is_listed_or_left_out() -> None:
    """A new one in a new Optuna has to be decided upon."""
    import optuna

    from nas.optuna_strategy import OptunaStrategy, quiet

    known = {cls for cls in vars(optuna.samplers).values() if isinstance(cls, type) and not inspect.isabstract(cls)}
    made = [make_strategy(name) for name in STRATEGIES if name.startswith("optuna:")]
    with quiet():
        samplers = [strategy.sampler(0) for strategy in made if isinstance(strategy, OptunaStrategy)]
    listed = {next(base for base in type(sampler).__mro__ if base in known) for sampler in samplers}
    assert len(listed) == len(made)
    assert {cls.__name__ for cls in known - listed} == {reason.split()[0] for reason in LEFT_OUT.values()}


def test_settings_reach_the_strategy() -> None:
    assert make_strategy("nsga2", population=7) == NSGA2(population=7)
    assert make_strategy("nsga2", population=7) != NSGA2()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nsga4", "unknown strategy 'nsga4'; did you mean 'nsga2'?"),
        ("nsga3", "unknown strategy 'nsga3'; nsga3 is called 'optuna:nsga3' here"),
        ("optuna:tep", "unknown strategy 'optuna:tep'; did you mean 'optuna:tpe'?"),
        ("zzz", f"unknown strategy 'zzz'; known: {', '.join(sorted(STRATEGIES))}"),
    ],
)
def test_an_unknown_name_gives_the_nearest(name: str, message: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        make_strategy(name)
    assert str(caught.value) == message


def test_an_unknown_setting_gives_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown setting of strategy nsga2 'popluation'; did you mean 'population'"):
        make_strategy("nsga2", popluation=7)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("nsga2", {"population": 0}),
        ("nsga2", {"population": 2.0}),
        ("nsga2", {"crossover": 1.5}),
        ("nsga2", {"crossover": "often"}),
        ("nsga2", {"brood": True}),
        ("evolution", {"tournament": 0}),
        ("evolution", {"population": "ten"}),
        ("evolution", {"population": True}),
        ("exhaustive", {"largest": 0}),
        ("local-search", {"starts": 0}),
        ("local-search", {"starts": 1.5}),
        ("reinforce", {"rate": -1}),
        ("reinforce", {"rate": float("nan")}),
        ("reinforce", {"entropy": "much"}),
        ("reinforce", {"decay": 1.0}),
        ("reinforce", {"bins": 1}),
        ("optuna:nsga2", {"population": 1}),
        ("optuna:tpe", {"startup": 0}),
        ("optuna:tpe", {"multivariate": "yes"}),
        ("optuna:tpe", {"multivariate": 1}),
        ("optuna:tpe", {"candidates": 0}),
        ("optuna:nsga2", {"crossover_prob": 1.5}),
        ("optuna:nsga2", {"swapping_prob": None}),
        ("optuna:nsga3", {"mutation_prob": "often"}),
        ("optuna:nsga3", {"population": 2.5}),
        ("optuna:nsga3", {"divisions": 0}),
        ("optuna:qmc", {"sequence": "lattice"}),
        ("optuna:gp", {"deterministic": "no"}),
    ],
)
def test_a_senseless_setting_is_refused_by_name(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(StrategyError, match=rf"^{name}: {next(iter(options))} is .*, expected ") as caught:
        make_strategy(name, **options)
    assert "\n" not in str(caught.value)


def test_a_users_own_class(file: Path, lab: Any) -> None:
    strategy = make_strategy(f"{file}:Second")
    assert isinstance(strategy, Strategy)
    proposal = lab.propose(lab.problem(), strategy, History(()))
    lab.space.decode(proposal.genotype)


def test_what_is_no_strategy_is_refused(file: Path) -> None:
    for name in ("Greedy", "NUMBER"):
        with pytest.raises(
            StrategyError, match=r"expected a class derived from .*Strategy, or a function factory\(seed, \*\*options\)"
        ):
            make_strategy(f"{file}:{name}")
    with pytest.raises(StrategyError, match="lacks propose"):
        make_strategy(f"{file}:Unfinished")
    with pytest.raises(UnknownNameError, match="did you mean 'Second'"):
        make_strategy(f"{file}:Secnd")


def test_a_users_own_sampler(file: Path, lab: Any) -> None:
    strategy = make_strategy(f"{file}:tpe", startup=2)
    called, options = strategy.described()
    assert called.endswith(":tpe") and options == {"startup": 2}
    trials = lab.grow(lab.problem(), strategy, 4)
    assert {trial.operator for trial in trials} <= {"tpe", "tpe+mutate"}
    assert isinstance(make_strategy("optuna.samplers:TPESampler", n_startup_trials=3), Strategy)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tpe", {"statrup": 2}, "unknown setting of strategy .*tpe 'statrup'; did you mean 'startup'"),
        ("tpe", {"seed": 2}, "unknown setting of strategy .*tpe 'seed'"),
        ("unseeded", {}, r"takes no seed; write it as factory\(seed, \*\*options\)"),
        ("nothing", {}, "returned 3, expected an optuna.samplers.BaseSampler"),
        ("broken", {"depth": 1}, "cannot be called with seed, depth: ZeroDivisionError: division by zero"),
    ],
)
def test_a_factory_that_makes_no_sampler_is_told(file: Path, name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(NasError, match=message) as caught:
        make_strategy(f"{file}:{name}", **options)
    assert "\n" not in str(caught.value)


def test_an_object_is_taken_as_it_is() -> None:
    mine = NSGA2(population=5)
    assert make_strategy(mine) is mine
    with pytest.raises(StrategyError, match="has its settings, but got population"):
        make_strategy(mine, population=6)


@pytest.mark.parametrize("given", [NSGA2, object(), 3])
def test_what_is_no_strategy_is_told_what_would_be_one(given: Any) -> None:
    with pytest.raises(StrategyError, match=r"^strategy is .*, expected a name, FILE.py:Class, FILE.py:factory .* or an object of"):
        make_strategy(given)
