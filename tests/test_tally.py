"""A search counted from its events."""

from __future__ import annotations

import pytest

from nas.budget import Budget
from nas.events import Ended, Evaluated, Event, FrontMoved, FrontPoint, Proposed, Refused, Repeated, Started
from nas.measurement import Outcome
from nas.tally import Tally


def evaluated(number: int, elapsed: float, outcome: Outcome = Outcome.COMPLETE, error: str = "", epochs: int = 2) -> Event:
    losses = (0.5,) if outcome.measured else None
    return Evaluated(number, f"{number:032x}", outcome, {"val_loss": 0.5}, losses, epochs, 1.0, error, number + 1, elapsed)


def tally_of(*events: Event) -> Tally:
    tally = Tally()
    for event in events:
        tally.take(event)
    return tally


def test_candidates_are_counted_by_what_became_of_them() -> None:
    tally = tally_of(
        Started("runs/x", Budget(evaluations=4), 0, 0, 0, 0.0),
        Refused("params<=1k"),
        Refused("params<=1k"),
        Refused("infeasible"),
        Proposed(0, "a", "sample", (), {}, {}),
        Proposed(1, "b", "sample", (), {}, {}),
        evaluated(0, 10.0),
        evaluated(1, 20.0, Outcome.CRASHED, "ValueError: first"),
        Repeated(2, 0, "a"),
        Proposed(3, "c", "mutate", (0,), {}, {}),
        evaluated(3, 30.0, Outcome.DIVERGED, "second"),
    )
    assert tally.counts() == "4 proposed, 1 repeated, 3 rejected (2 params<=1k, 1 infeasible), 2 failed (1 crashed, 1 diverged)"
    assert tally.first_error.endswith("ValueError: first")
    assert tally.epochs == 6


def test_the_front_and_when_it_moved() -> None:
    point = FrontPoint(0, "a", (0.5,), {"val_loss": 0.5})
    tally = tally_of(Started("r", Budget(seconds=60), 0, 0, 0, 0.0), FrontMoved((point,), 12.0), evaluated(0, 30.0))
    assert (tally.front, tally.moved, tally.elapsed) == ((point,), 12.0, 30.0)


def test_pace_and_end_count_this_start_alone() -> None:
    tally = tally_of(
        Started("r", Budget(evaluations=110), 100, 0, 200, 1000.0), *(evaluated(100 + i, 1006.0 + 6 * i) for i in range(5))
    )
    assert tally.per_minute(1030.0) == pytest.approx(10.0)
    assert tally.remaining(1030.0) == pytest.approx(30.0)


def test_the_first_limit_ends_the_search() -> None:
    tally = tally_of(Started("r", Budget(evaluations=1000, epochs_total=20, seconds=500), 0, 0, 0, 0.0), evaluated(0, 10.0))
    assert tally.remaining(10.0) == pytest.approx(90.0)  # 18 epochs are left, 2 take 10 seconds
    assert tally_of(Started("r", Budget(seconds=500), 0, 0, 0, 0.0)).remaining(100.0) == pytest.approx(400.0)
    assert tally_of(Started("r", Budget(seconds=570), 0, 0, 0, 70.0)).remaining(100.0) == pytest.approx(470.0)


def test_what_was_waited_for_when_the_time_was_over() -> None:
    assert tally_of(Started("r", Budget(seconds=60), 0, 0, 0, 0.0), evaluated(0, 90.0)).overrun == 30.0
    assert tally_of(Started("r", Budget(seconds=60), 0, 0, 0, 0.0), evaluated(0, 50.0)).overrun == 0.0
    assert tally_of(Started("r", Budget(evaluations=1), 0, 0, 0, 0.0), evaluated(0, 90.0)).overrun == 0.0
    assert tally_of(Started("r", Budget(seconds=60), 1, 0, 2, 90.0), Ended("spent", 1, 91.0)).overrun == 0.0  # spent before


def test_nothing_is_foretold_before_the_first_end() -> None:
    assert tally_of(Started("r", Budget(evaluations=5), 0, 0, 0, 0.0)).remaining(3.0) is None
    assert Tally().remaining(1.0) is None
    assert Tally().per_minute(0.0) == 0.0


def test_the_end_says_why() -> None:
    tally = tally_of(Started("r", Budget(evaluations=1), 0, 0, 0, 0.0), Ended("the budget is spent", 1, 4.0))
    assert (tally.reason, tally.evaluations, tally.elapsed) == ("the budget is spent", 1, 4.0)
