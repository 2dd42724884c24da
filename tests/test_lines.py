"""Numbers and rows as text."""

from __future__ import annotations

import pytest

from nas.lines import aligned, counted, number, spell_seconds


@pytest.mark.parametrize(
    ("value", "text"), [(1234567, "1,234,567"), (2.0, "2"), (0.81234, "0.8123"), (1e-9, "1e-09"), (None, ""), (float("nan"), "")]
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.123, "0.123 s"), (12.3, "12 s"), (99, "99 s"), (100, "2 min"), (3600, "60 min"), (11100, "3 h 05 min")]
)
def test_lengths_of_time(seconds: float, text: str) -> None:
    assert spell_seconds(seconds) == text


def test_nouns_are_counted() -> None:
    assert [counted(n, "epoch") for n in (0, 1, 2, 1234)] == ["0 epochs", "1 epoch", "2 epochs", "1,234 epochs"]
    assert [counted(n, "class", "classes") for n in (1, 2)] == ["1 class", "2 classes"]


def test_numbers_stand_right_and_words_left() -> None:
    assert aligned([["name", "params"], ["a", 12], ["bcd", 3456]]) == "name  params\na         12\nbcd    3,456"


def test_rows_may_be_ragged_and_indented() -> None:
    assert aligned([["a"], ["b", "c"]], indent="  ") == "  a\n  b  c"
    assert aligned([]) == ""
