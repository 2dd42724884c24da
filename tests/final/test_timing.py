"""How many epochs fit into a time, and which training goes on next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nas.final.timing import SEGMENT_SECONDS, epochs_within, next_training, segment_epochs, time_needed


def test_a_segment_takes_about_half_a_minute_and_at_least_an_epoch() -> None:
    assert [segment_epochs(seconds) for seconds in (0.0, 0.3, 10.0, 29.0, 3600.0)][1:] == [100, 3, 1, 1]
    assert segment_epochs(0.0) > 1000


def test_the_longest_goes_on_first() -> None:
    assert next_training([5.0, 9.0, 9.0], [True, True, True]) == 1
    assert next_training([5.0, 9.0, 9.0], [True, False, False]) == 0
    assert next_training([0.0, 9.0], [True, False]) is None


def test_three_trainings_on_two_slots_take_turns() -> None:
    """One after another they would take two rounds, 2,400 s; the work of 3,600 s on two slots can be done in 1,800."""
    alone = 120 * 10.0
    assert time_needed([120] * 3, [10.0] * 3, 2) <= 1.5 * alone + SEGMENT_SECONDS
    assert time_needed([120], [10.0], 2) == alone
    assert time_needed([], [], 2) == 0


@given(
    trainings=st.lists(st.tuples(st.integers(0, 60), st.floats(0.5, 100)), max_size=7),
    slots=st.integers(1, 4),
)
def test_the_end_comes_within_a_segment_of_the_earliest(trainings: list[tuple[int, float]], slots: int) -> None:
    epochs, seconds = [e for e, _ in trainings], [s for _, s in trainings]
    work = [e * s for e, s in trainings]
    least = max([sum(work) / slots, *work], default=0.0)
    longest = max([segment_epochs(s) * s for s in seconds], default=0.0)
    needed = time_needed(epochs, seconds, slots)
    assert least <= needed * (1 + 1e-9) and needed <= least + longest + 1e-6


def test_as_many_epochs_as_fit() -> None:
    assert epochs_within(3600, [60.0, 60.0], 2) == 60
    assert epochs_within(3600, [60.0, 60.0], 1) == 30
    assert epochs_within(3600, [60.0, 60.0], 1, most=10) == 10
    assert epochs_within(59, [60.0], 2) == 0
    assert epochs_within(1e9, [1.0], 1) == 200
