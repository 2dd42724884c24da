"""Budgets as users write them."""

from __future__ import annotations

import pytest

from nas.budget import Budget, duration, parse_budget
from nas.errors import RunError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30min", 1800), ("4h", 14400), ("1h30min", 5400), ("2d", 172800), ("1.5m", 90), ("45", 45)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


def test_a_plus_means_on_top_of_what_was_spent() -> None:
    assert parse_budget("+4h").seconds_limit(100.0) == 14500.0
    assert parse_budget("4h").seconds_limit(100.0) == 14400.0
    assert parse_budget(evaluations=3).seconds_limit(100.0) == float("inf")


@pytest.mark.parametrize("text", ["", "soon", "30 parsecs", "-5min", "5min3", "h"])
def test_what_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(RunError, match="expected a time such as 90s, 30min"):
        parse_budget(text)


@pytest.mark.parametrize(
    "wrong", [{"evaluations": 0}, {"evaluations": -1}, {"epochs_total": 0}, {"evaluations": True}, {"evaluations": 1.5}]
)
def test_a_budget_of_nothing_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(RunError, match="expected a whole number of at least 1"):
        Budget(**wrong)


def test_zero_seconds_and_no_limit_at_all_are_refused() -> None:
    with pytest.raises(RunError, match="expected more than 0"):
        parse_budget("0min")
    with pytest.raises(RunError, match="no budget given"):
        parse_budget()
