"""When a search ends, and what it says then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas.budget import Budget
from nas.ledger import Ledger
from nas.limits import MAX_FAILED, MAX_REPEATS, Limits
from nas.measurement import Outcome
from nas.objectives import objectives
from nas.rows import ProposalRow


def limits(budget: Budget, *, evaluated: int = 0, repeats: int = 0, seconds: float = 0.0, stopped: str = "") -> Limits:
    """Limits after so many evaluations of 3 epochs, then so many repeats of the first."""
    ledger = Ledger(objectives(["params"]))
    for number in range(evaluated):
        ledger.propose(ProposalRow(number, str(number), "r", {}))
        ledger.end(number, Outcome.COMPLETE, {"params": number}, 3)
    for number in range(evaluated, evaluated + repeats):
        ledger.propose(ProposalRow(number, "0", "r", {}, repeat_of=0))
    return Limits(budget, 3, ledger, lambda: seconds, lambda: stopped)


@pytest.mark.parametrize("budget", [Budget(epochs_total=18), Budget(epochs_total=18, evaluations=500)])
def test_epochs_that_are_never_spent_are_no_search_without_end(budget: Budget) -> None:
    found = limits(budget)
    for number in range(MAX_FAILED):
        assert found.reached(0) == ""
        found.ledger.propose(ProposalRow(number, str(number), "r", {}))
        found.ledger.end(number, Outcome.CRASHED, {}, 0)
    expected = (
        "" if budget.evaluations else "all 100 trainings failed within their first epoch, which spends none: run.log says why"
    )
    assert found.reached(0) == expected


@pytest.mark.parametrize(
    ("budget", "allowed", "said"),
    [
        (Budget(evaluations=6), 2, "the budget of 6 evaluations is spent"),
        (Budget(epochs_total=18), 2, "the budget of 18 epochs is spent (12 used, 3 a network)"),
        (Budget(epochs_total=20), 2, "the budget of 20 epochs is spent (12 used, 3 a network)"),
        (Budget(evaluations=6, epochs_total=12), 0, "the budget of 12 epochs is spent (12 used, 3 a network)"),
    ],
)
def test_what_is_in_flight_counts(budget: Budget, allowed: int, said: str) -> None:
    found = limits(budget, evaluated=4)
    assert [found.reached(running) for running in range(allowed)] == [""] * allowed
    assert found.reached(allowed) == found.reached(allowed + 1) == said


def test_time_ends_it_whatever_is_in_flight() -> None:
    assert limits(Budget(seconds=90), seconds=89.9).reached(100) == ""
    assert limits(Budget(seconds=90), seconds=90.0).reached(0).startswith("the budget of ")


def test_what_others_still_need_leaves_room_for_a_new_network_or_not() -> None:
    """Of 30 epochs 9 are spent, of 100 seconds 60; a new network takes 3 epochs."""
    epochs = limits(Budget(epochs_total=30), evaluated=3, seconds=60)
    assert not epochs.ends_with(12, 1e9, 6) and epochs.ends_with(13, 0.0, 6) and epochs.ends_with(12, 0.0, 7)
    clock = limits(Budget(seconds=100), evaluated=3, seconds=60)
    assert not clock.ends_with(10**6, 39.0, 0) and clock.ends_with(0, 40.0, 0)
    kept = replace(clock, reserved=lambda: (0, 10.0))
    assert not kept.ends_with(0, 29.0, 0) and kept.ends_with(0, 30.0, 0)
    assert not limits(Budget(evaluations=5), evaluated=3).ends_with(10**6, 1e9, 0)


def test_who_asks_to_stop_comes_first() -> None:
    assert limits(Budget(1), evaluated=1, stopped="stopped by hand").reached(0) == "stopped by hand"


def test_a_space_counts_as_exhausted_after_many_repeats_in_a_row() -> None:
    assert limits(Budget(5), evaluated=1, repeats=MAX_REPEATS - 1).exhausted() == ""
    said = limits(Budget(5), evaluated=1, repeats=MAX_REPEATS).exhausted()
    assert said == f"the last {MAX_REPEATS} proposals repeat networks that were evaluated: the space seems exhausted"


def test_what_is_reserved_is_left_and_said() -> None:
    kept = replace(limits(Budget(epochs_total=20), evaluated=4), reserved=lambda: (5, 0.0))
    assert kept.reached(0) == ""
    assert kept.reached(1) == "the budget of 20 epochs is spent (12 used, 3 a network, 5 epochs of it kept to train the best again)"
    late = replace(limits(Budget(seconds=90), seconds=60.0), reserved=lambda: (0, 30.0))
    assert late.reached(0) == "the budget of 90 s is spent, 30 s of it kept to train the best again"
    assert replace(late, elapsed=lambda: 59.0).reached(0) == ""
