"""History, Fold, and what is said of settings."""

from __future__ import annotations

from typing import Any

import pytest

from nas.errors import StrategyError
from nas.measurement import Outcome
from nas.strategies.base import Fold, History, Trial, check_share
from nas.strategies.nsga2 import NSGA2
from nas.strategies.reinforce import Reinforce


def trials(count: int, mark: str = "a") -> list[Trial]:
    return [Trial(i, {"x": i}, f"{mark}{i}", (float(i),) if i % 3 else None, Outcome.COMPLETE) for i in range(count)]


def counting() -> tuple[Fold[list[str]], list[str]]:
    steps: list[str] = []

    def step(state: list[str], problem: Any, trial: Trial) -> None:
        steps.append(trial.fingerprint)
        state.append(trial.fingerprint)

    return Fold(list, step), steps


def test_a_history_counts_what_was_proposed_and_what_was_measured() -> None:
    history = History(trials(7), trials(2))
    assert history.proposed == 9
    assert [trial.id for trial in history.measured()] == [1, 2, 4, 5]


def test_a_fold_takes_each_trial_once() -> None:
    fold, steps = counting()
    problem: Any = object()
    record = trials(4)
    fold.over(problem, record[:2])
    fold.over(problem, record[:2])
    assert fold.over(problem, record) == ["a0", "a1", "a2", "a3"]
    assert steps == ["a0", "a1", "a2", "a3"]


def test_a_fold_forgets_what_is_not_in_the_history() -> None:
    fold, _ = counting()
    problem: Any = object()
    record, other = trials(4), trials(4, "b")
    fold.over(problem, record)
    assert fold.over(problem, record[:3]) == ["a0", "a1", "a2"]
    assert fold.over(problem, [other[0], *record[1:]]) == ["b0", "a1", "a2", "a3"]
    assert fold.over(problem, []) == []


def test_a_fold_forgets_another_problem() -> None:
    fold, steps = counting()
    fold.over(object(), trials(2))  # type: ignore[arg-type]
    fold.over(object(), trials(2))  # type: ignore[arg-type]
    assert steps == ["a0", "a1"] * 2


@pytest.mark.parametrize(("value", "whole"), [(0, True), (1, True), (0.5, False), (0, False)])
def test_a_share_is_passed(value: float, whole: bool) -> None:
    check_share("strategy", "setting", value, whole=whole)
    with pytest.raises(StrategyError):
        check_share("strategy", "setting", value + 1.5, whole=whole)


@pytest.mark.parametrize("value", [True, "0.5", None, -0.1, 1.1, float("nan")])
def test_what_is_no_share_is_refused(value: Any) -> None:
    with pytest.raises(StrategyError, match=f"nsga2: crossover is {value!r}, expected a share from 0 to 1$"):
        NSGA2(crossover=value)


def test_a_share_that_must_not_be_whole() -> None:
    with pytest.raises(StrategyError, match=r"reinforce: decay is 1, expected a share from 0 to below 1$"):
        Reinforce(decay=1)
