"""Budgets as users write them."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from nas.budget import Budget, duration, parse_budget, stored_budget
from nas.errors import RunError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30min", 1800), ("4h", 14400), ("1h30min", 5400), ("2d", 172800), ("1.5m", 90), ("45", 45)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


def test_a_plus_means_on_top_of_what_was_spent() -> None:
    spent = (7, 20, 100.0)
    assert parse_budget("+4h").after(*spent) == Budget(seconds=14500.0)
    assert parse_budget("4h").after(*spent) == Budget(seconds=14400.0)
    assert parse_budget(evaluations="+3", epochs_total="30").after(*spent) == Budget(10, 30)
    assert parse_budget("+1min", evaluations=3, epochs_total="+30").after(*spent) == Budget(3, 50, 160.0)


def test_a_budget_in_words() -> None:
    assert str(parse_budget(evaluations=1)) == "1 evaluation"
    assert str(parse_budget("+30min", evaluations=2000)) == "2,000 evaluations, 30 min more (whichever comes first)"


def test_an_earlier_start_gives_its_budget_back() -> None:
    for budget in (parse_budget("+4h", evaluations="+3"), Budget(5)):
        assert stored_budget(json.loads(json.dumps(asdict(budget)))) == budget
    flag = {"evaluations": None, "epochs_total": None, "seconds": 60.0, "extra": True}
    assert stored_budget(flag) == Budget(seconds=60.0, extra=("seconds",))


@pytest.mark.parametrize("text", ["", "many", "3.5", "1e3", "++3", "+", "3 4"])
def test_a_number_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(RunError, match="expected a whole number such as 50, or \\+50 on top of what was spent"):
        parse_budget(evaluations=text)


def test_a_deadline_is_called_one() -> None:
    with pytest.raises(RunError, match=r"deadline 'soon' cannot be read; expected a time such as 90s, 30min or 4h$"):
        duration("soon", "deadline")


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
    for text in ("0", "+0", "-1"):
        with pytest.raises(RunError, match="expected a whole number of at least 1"):
            parse_budget(evaluations=text)
    with pytest.raises(RunError, match="no budget given"):
        parse_budget()
