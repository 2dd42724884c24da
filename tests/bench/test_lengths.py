"""Repeats of unequal length: what is cut, left out or carried forward, and that it is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nas.bench.known import Trajectory
from nas.bench.lengths import common, cut, early, even, heirs, within, without_unfinished

SPENT = "the budget of 9 evaluations is spent"
EMPTY = "all 9 genotypes of the space were looked at: 6 networks"


def repeat(evaluations: int, ended: str = SPENT) -> Trajectory:
    values = np.arange(2.0 * evaluations).reshape(-1, 2)
    blank = np.full(evaluations, np.nan)
    n = range(1, evaluations + 1)
    spent = np.array([10.0 * i for i in n])
    return Trajectory(values, values, list(n), list(n), blank, blank, ["sample"] * evaluations, spent, [()] * evaluations, 0, ended)


@pytest.mark.parametrize(
    ("ended", "by_itself"),
    [(SPENT, False), (EMPTY, True), ("", False), ("stopped by SIGTERM", False), ("the simulated budget of 1 h is spent", False)],
)
def test_who_ended_by_itself(ended: str, by_itself: bool) -> None:
    assert repeat(3, ended).ended_by_itself is by_itself


def test_the_first_evaluations_of_a_repeat() -> None:
    whole = replace(repeat(5), heirs=(1, 3))
    first = whole.first(3)
    assert (len(first), first.searched.shape, len(first.cells), first.spent is not None and len(first.spent)) == (3, (3, 2), 3, 3)
    assert (list(first.heirs), first.ended) == ([1], "")
    assert whole.first(5) is whole


def test_what_came_after_the_number_asked_for_is_left_out() -> None:
    found, notes = cut({"a": [repeat(9), repeat(8)]}, 8)
    assert [len(one) for one in found["a"]] == [8, 8]
    assert notes == ["Asked for are 8 evaluations, and 1 repeat of them holds up to 9: what came later is left out of all figures."]
    assert cut({"a": [repeat(8)]}, 8)[1] == []


def test_unfinished_repeats_wait_while_others_are_whole() -> None:
    found, notes = without_unfinished({"a": [repeat(9), repeat(2)], "b": [repeat(4, EMPTY)], "c": [repeat(5)]}, 9)
    assert {label: [len(one) for one in of] for label, of in found.items()} == {"a": [9], "b": [4]}
    assert "a (2 of 9 evaluations), c (5 of 9 evaluations)" in notes[0]
    assert without_unfinished({"a": [repeat(2)]}, 9)[1] == []


def test_unequal_lengths_are_cut_to_what_all_have() -> None:
    found, notes = even({"a": [repeat(6), repeat(7)], "b": [repeat(10)]})
    assert {label: [len(one) for one in of] for label, of in found.items()} == {"a": [6, 6], "b": [6]}
    assert "(a 6 to 7, b 10): every figure is of the first 6 evaluations" in notes[0]
    assert even({"a": [repeat(6)], "b": [repeat(6)]})[1] == []


def test_who_ended_by_itself_makes_nobody_shorter() -> None:
    both = {"a": [repeat(10), repeat(10)], "b": [repeat(6, EMPTY), repeat(6, EMPTY)]}
    assert common(both) == 10
    assert even(both) == (both, [])
    assert early(both) == [
        "b ended by itself after 6 evaluations in 2 of 2 repeats; what it had is carried forward, since it would have found nothing "
        f"more: {EMPTY}."
    ]
    assert common({"b": [repeat(6, EMPTY), repeat(4, EMPTY)]}) == 6


def test_simulated_budgets_are_cut_to_the_smallest() -> None:
    found, notes = within({"a": [repeat(3)], "b": [repeat(6)]}, 45.0)
    assert [len(of[0]) for of in found.values()] == [3, 4]
    assert "the first 45 s of each repeat" in notes[0]
    assert within({"a": [repeat(3)]}, 45.0)[1] == []


def test_inherited_weights_are_told() -> None:
    found = heirs({"prune": [replace(repeat(4), heirs=(1, 2)), replace(repeat(4), heirs=(3,))], "random": [repeat(4)]})
    assert found == ["3 networks inherited weights (3 of prune's): their accuracies include their parents' training."]
    assert heirs({"random": [repeat(4)]}) == []
