"""Successive halving by itself: who goes on, who never does, and what is never compared."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import RunError
from nas.pareto import dominates
from nas.schedule import SPARE, Ladder, Promotion, checked_rungs, epochs_each, fewest_networks, raised_rungs

ONE, TWO, THREE = (False,), (False, True), (False, True, True)


def ladder(losses: list[tuple[float, ...] | None], exact: tuple[bool, ...] = ONE, rungs: tuple[int, ...] = (1, 3)) -> Ladder:
    """A ladder on whose lowest rung so many were measured, trial i with the i-th losses."""
    made = Ladder(rungs, exact)
    for trial, loss in enumerate(losses):
        made.measured(trial, rungs[0], loss)
    return made


def promoted(made: Ladder) -> list[int]:
    """Promotes as long as anybody may go on; returns who went, in order."""
    found = []
    while (promotion := made.next()) is not None:
        made.promote(promotion)
        found.append(promotion.trial)
    return found


def test_a_third_of_those_measured_goes_on_the_best_first() -> None:
    losses: list[tuple[float, ...] | None] = [(3.0,), (1.0,), (5.0,), (2.0,), (4.0,), (0.0,)]
    assert [len(promoted(ladder(losses[:n]))) for n in range(7)] == [0, 0, 0, 1, 1, 1, 2]
    assert promoted(ladder(losses)) == [5, 1]
    assert promoted(ladder(losses, rungs=(4, 9))) == [5, 1]  # floor(6 x 4 / 9)
    assert promoted(ladder(losses, rungs=(1,))) == []


def test_of_equal_networks_the_one_that_came_first_goes_on() -> None:
    assert promoted(ladder([(1.0,), (0.0,), (0.0,)])) == [1]
    assert promoted(ladder([(1.0, 5.0), (0.0, 5.0), (0.0, 5.0)], TWO)) == [1]
    twins: list[tuple[float, ...] | None] = [(0.0, 5.0), (0.0, 5.0), (1.0, 9.0), (2.0, 9.0), (3.0, 9.0), (4.0, 9.0)]
    assert promoted(ladder(twins, TWO)) == [0, 1]


def test_better_fronts_go_before_worse_ones() -> None:
    losses: list[tuple[float, ...] | None] = [(0.5, 50.0), (0.1, 60.0), (0.6, 55.0), (0.2, 70.0), (0.9, 90.0), (0.8, 80.0)]
    assert sorted(promoted(ladder(losses, TWO))) == [0, 1]
    three: list[tuple[float, ...] | None] = [(*loss, 1.0) for loss in losses if loss]
    assert sorted(promoted(ladder(three, THREE))) == [0, 1]


def test_of_a_front_that_does_not_fit_goes_on_what_the_hypervolume_can_spare_least() -> None:
    """One of two networks that lie close together, and the ends; the middle of the three costs is far away on a log scale only."""
    losses: list[tuple[float, ...] | None] = [(0.40, 1e3), (0.20, 1e4), (0.195, 1.01e4), (0.10, 1e5)] + [(0.9, 1e6)] * 5
    assert sorted(promoted(ladder(losses, TWO))) in ([0, 1, 3], [0, 2, 3])
    assert sorted(promoted(ladder([loss and (*loss, loss[1]) for loss in losses], THREE))) in ([0, 1, 3], [0, 2, 3])


def test_costs_stand_on_a_logarithmic_scale_and_losses_do_not() -> None:
    """Ten times fewer parameters count alike wherever they are saved."""
    losses: list[tuple[float, ...] | None] = [(0.5, 1e3), (0.3, 9e4), (0.28, 1e5), (0.1, 1e6)]
    bad: list[tuple[float, ...] | None] = [(0.9, 1e7)] * 5
    logarithmic, linear = promoted(ladder(losses + bad, TWO)), promoted(ladder(losses + bad, (False, False)))
    assert sorted(logarithmic) == [0, 1, 3] or sorted(logarithmic) == [0, 2, 3]
    assert 0 in linear and 3 in linear and linear != logarithmic


@pytest.mark.parametrize("failed", [None, (math.nan,)])
def test_what_failed_is_not_counted_and_never_goes_on(failed: tuple[float, ...] | None) -> None:
    assert promoted(ladder([failed, failed, (1.0,), failed, (0.0,)])) == []
    assert promoted(ladder([failed, failed, (1.0,), failed, (0.0,), (2.0,)])) == [4]


def test_an_infinite_loss_is_worse_than_any_other() -> None:
    losses: list[tuple[float, ...] | None] = [(math.inf, 2.0), (0.5, 1.0), (math.inf, 3.0)]
    assert promoted(ladder(losses, TWO)) == [1]
    ends: list[tuple[float, ...] | None] = [(math.inf, 1.0), (0.5, 2.0), (0.4, 3.0)]
    assert len(promoted(ladder(ends, TWO))) == 1


def test_whoever_is_free_looks_from_the_top_downwards() -> None:
    made = ladder([(float(i),) for i in range(12)], rungs=(1, 3, 9))
    assert [made.next() for _ in range(2)] == [Promotion(0, 1, 3)] * 2
    for trial in (0, 1, 2):
        made.promote(Promotion(trial, 1, 3))
        made.measured(trial, 3, (float(-trial),))
    assert made.next() == Promotion(2, 3, 9)
    assert made.next(lambda epochs: epochs <= 2) == Promotion(3, 1, 3)
    assert made.next(lambda epochs: epochs <= 1) is None
    assert made.may(Promotion(2, 3, 9)) and made.may(Promotion(3, 1, 3))
    assert not made.may(Promotion(0, 3, 9)) and not made.may(Promotion(0, 1, 3)) and not made.may(Promotion(4, 1, 3))


def test_the_weights_that_wait_are_few_however_long_the_search() -> None:
    made = Ladder((1, 3, 9), ONE)
    for trial in range(600):
        made.measured(trial, 1, (math.sin(trial * trial),))
        while (promotion := made.next()) is not None:
            made.promote(promotion)
            made.measured(promotion.trial, promotion.to_epoch, (math.cos(promotion.trial),))
        assert all(len(rung.waiting()) < 2 * SPARE for rung in made.rungs)
    assert len(made.rungs[0].trials) == 600 and len(made.rungs[1].trials) >= 200 and len(made.rungs[2].trials) >= 600 // 9 - 2


def test_however_much_a_search_improves_no_more_than_a_third_goes_on_until_it_closes() -> None:
    made = Ladder((1, 3), ONE)
    early: list[int] = []
    for trial in range(60):
        made.measured(trial, 1, (-float(trial),))
        while (promotion := made.next()) is not None:
            made.promote(promotion)
            early.append(promotion.trial)
        assert len(early) == (trial + 1) // 3
    late: list[int] = []
    waiting = {promotion.trial for promotion in made.overdue()}
    while (promotion := made.next(closing=True)) is not None:
        made.promote(promotion)
        late.append(promotion.trial)
    assert waiting == set(late) and made.overdue() == []
    assert late == sorted(late, reverse=True) and set(late) <= set(range(40, 60)) - set(early)  # of the best third
    assert 0 < len(late) <= SPARE and made.next() is None


def test_overdue_is_who_waits_for_the_top_alone() -> None:
    made = Ladder((1, 3, 9), ONE)
    for trial in range(9):
        made.measured(trial, 1, (float(trial),))
    for trial in (0, 1, 2):
        made.promote(Promotion(trial, 1, 3))
        made.measured(trial, 3, (float(trial),))
    made.promote(Promotion(2, 3, 9))  # the worst of them, say while it was the only one
    assert made.overdue() == [Promotion(0, 3, 9)] and made.next() is None
    made.measured(9, 1, (-1.0,))
    assert made.overdue() == [Promotion(0, 3, 9)], "who waits below does not come to the top in time"
    assert made.next(closing=True, to_top=True) == Promotion(0, 3, 9)
    made.promote(Promotion(0, 3, 9))
    assert made.next(closing=True, to_top=True) is None and made.next(closing=True) == Promotion(9, 1, 3)


def test_what_was_given_up_stays_so() -> None:
    made = ladder([(float(i),) for i in range(2 * SPARE)])
    assert list(made.waiting()) == list(range(SPARE))
    before = set(made.waiting())
    for trial in range(100, 200):
        made.measured(trial, 1, (1000.0,))
    assert set(promoted(made)) <= before | set(range(100, 200))


losses_of = st.integers(1, 3).flatmap(
    lambda m: st.tuples(
        st.lists(st.booleans(), min_size=m, max_size=m),
        st.lists(
            st.none() | st.lists(st.sampled_from([0.0, 1.0, 2.0, 5.0, math.inf, math.nan]), min_size=m, max_size=m), max_size=60
        ),
    )
)


@given(losses_of, st.sampled_from([(1, 3, 9), (1, 2), (2, 3, 4), (5,)]), st.integers(0, 200), st.randoms(use_true_random=False))
def test_nobody_climbs_twice_and_unequal_epochs_are_never_compared(
    drawn: tuple[list[bool], list[list[float] | None]], rungs: tuple[int, ...], budget: int, random: object
) -> None:
    exact, rows = drawn
    made, at, spent, steps = Ladder(rungs, exact), dict[int, int](), 0, list[Promotion]()
    running: list[Promotion] = []
    arrivals = {rung: list[tuple[int, tuple[float, ...]]]() for rung in rungs}
    happened: list[Callable[[Ladder], None]] = []
    pending = list(enumerate(rows))

    def arrive(trial: int, epochs: int, losses: list[float] | None) -> None:
        at[trial] = epochs
        made.measured(trial, epochs, losses)
        happened.append(lambda other: other.measured(trial, epochs, losses))
        if losses is not None and not any(map(math.isnan, losses)):
            arrivals[epochs].append((trial, tuple(losses)))

    while True:
        closing = not pending and random.random() < 0.8  # type: ignore[attr-defined]
        promotion = made.next(lambda epochs, spent=spent: spent + epochs <= budget, closing=closing)
        if promotion is not None and len(running) < 3:
            assert at[promotion.trial] == promotion.from_epoch  # it stands there now, so it never goes there twice
            assert made.may(promotion)
            same = arrivals[promotion.from_epoch]
            losses = dict(same)[promotion.trial]
            better = [other for trial, other in same if dominates(other, losses)]
            assert len(better) < len(same) * promotion.from_epoch // promotion.to_epoch
            made.promote(promotion)
            happened.append(lambda other, promotion=promotion: other.promote(promotion))
            at[promotion.trial] = -1
            spent += promotion.to_epoch - promotion.from_epoch
            running.append(promotion)
            steps.append(promotion)
        elif running and (len(running) == 3 or random.random() < 0.5 or not pending):  # type: ignore[attr-defined]
            ended = running.pop(random.randrange(len(running)))  # type: ignore[attr-defined]
            arrive(ended.trial, ended.to_epoch, rows[ended.trial] if random.random() < 0.9 else None)  # type: ignore[attr-defined]
        elif pending and spent + rungs[0] <= budget:
            spent += rungs[0]
            trial, losses_of_it = pending.pop(0)
            arrive(trial, rungs[0], losses_of_it)
        elif not running:
            break
        else:
            pending.clear()
    assert spent <= budget
    assert len({(step.trial, step.to_epoch) for step in steps}) == len(steps)
    assert {(step.from_epoch, step.to_epoch) for step in steps} <= set(pairwise(rungs))
    again = Ladder(rungs, exact)
    for happen in happened:
        happen(again)
    assert (again.next(), again.next(closing=True)) == (made.next(), made.next(closing=True))


@pytest.mark.parametrize(("epochs", "rungs"), [(3, (3,)), ((1, 3, 9), (1, 3, 9)), ([2, 5], (2, 5))])
def test_rungs_are_a_number_or_rising_ones(epochs: object, rungs: tuple[int, ...]) -> None:
    assert checked_rungs(epochs) == rungs  # type: ignore[arg-type]


@pytest.mark.parametrize("epochs", [0, -1, (), (3, 1), (1, 1), (0, 2), True, 1.5, "1,3", None, (1, 2.0)])
def test_what_is_no_ladder_is_refused(epochs: object) -> None:
    with pytest.raises(RunError, match="expected a whole number of at least 1, or rising ones such as 1,3,9"):
        checked_rungs(epochs)  # type: ignore[arg-type]


def test_rungs_are_raised_where_an_epoch_is_short() -> None:
    assert raised_rungs((1, 3, 9), 10_000) == (1, 3, 9)
    assert raised_rungs((1, 3, 9), 50) == (2, 3, 9)
    assert raised_rungs((1, 3, 9), 25) == (4, 9)
    assert raised_rungs((1, 3, 9), 1) == (9,)
    assert raised_rungs((1,), 1) == (1,)


def test_a_network_costs_its_own_epochs_and_its_share_of_the_higher_rungs() -> None:
    assert epochs_each((3,)) == 3
    assert epochs_each((1, 3, 9)) == pytest.approx(1 + 2 / 3 + 6 / 9)


@pytest.mark.parametrize(("rungs", "needed"), [((3,), 1), ((1, 3, 9), 9), ((2, 3), 2), ((1, 4, 10), 12), ((10, 15, 20), 3)])
def test_so_many_networks_and_no_fewer_bring_one_to_the_top(rungs: tuple[int, ...], needed: int) -> None:
    assert fewest_networks(rungs) == needed
    for networks in (needed - 1, needed):
        ladder = Ladder(rungs, [False])
        for trial in range(networks):
            ladder.measured(trial, rungs[0], [trial])
        while promotion := ladder.next(closing=True):
            ladder.promote(promotion)
            ladder.measured(promotion.trial, promotion.to_epoch, [promotion.trial])
        assert bool(ladder.rungs[-1].trials) == (networks == needed)
