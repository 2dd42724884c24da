"""Strategies by name, from a user's file, as objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas.errors import StrategyError, UnknownNameError
from nas.strategies.base import History, Strategy
from nas.strategies.nsga2 import NSGA2
from nas.strategies.table import DEFAULT, STRATEGIES, make_strategy

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
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(MINE, encoding="utf-8")
    return path


def test_the_default_is_known() -> None:
    assert DEFAULT in STRATEGIES
    assert isinstance(make_strategy(), NSGA2)


def test_settings_reach_the_strategy() -> None:
    assert make_strategy("nsga2", population=7) == NSGA2(population=7)
    assert make_strategy("nsga2", population=7) != NSGA2()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nsga3", "unknown strategy 'nsga3'; did you mean 'nsga2'?"),
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
    with pytest.raises(StrategyError, match="expected a class derived from"):
        make_strategy(f"{file}:Greedy")
    with pytest.raises(StrategyError, match="lacks propose"):
        make_strategy(f"{file}:Unfinished")
    with pytest.raises(UnknownNameError, match="did you mean 'Second'"):
        make_strategy(f"{file}:Secnd")


def test_an_object_is_taken_as_it_is() -> None:
    mine = NSGA2(population=5)
    assert make_strategy(mine) is mine
    with pytest.raises(StrategyError, match="has its settings, but got population"):
        make_strategy(mine, population=6)
