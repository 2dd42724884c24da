"""Searches over several rungs, with plain functions: the record, exact budgets, kills, what a resumed search does."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_loop import SCRIPT, start

from nas.blocks import Classifier, Conv, Repeat, Sequential
from nas.budget import Budget
from nas.coordinator import MAX_FAULTS, search_loop
from nas.domains import choice, integer
from nas.evaluators.base import Evaluator, Request
from nas.evaluators.function import CallableEvaluator
from nas.events import Evaluated, Event, FrontMoved, Promoted
from nas.ledger import climbed
from nas.measurement import Measurement, Outcome
from nas.problem import Problem
from nas.record import Record
from nas.schedule import SPARE, Ladder, Promotion
from nas.space import Space
from nas.strategies.base import History, Proposal, Strategy
from nas.strategies.evolution import RegularizedEvolution
from nas.strategies.random_search import RandomSearch

BODY = Sequential(
    Repeat(Conv(channels=choice(1, 2, 3, 4, 5, 6), kernel=choice(1, 3)), times=integer(1, 3), name="body"), Classifier()
)
SPACE = Space(BODY, input_shape=(1, 4, 4), classes=2)
SMALL = Space(Sequential(Conv(channels=choice(*range(1, 8))), Classifier()), input_shape=(1, 4, 4), classes=2)
RUNGS = (1, 3, 9)


def accuracy(architecture: Any, epochs: int) -> dict[str, float]:
    """Grows with the epochs, for each network in its own way."""
    seed = int(architecture.fingerprint[:6], 16)
    return {"val_accuracy": (seed % 1000 + epochs * (seed % 97)) / 2000}


class Slots(Evaluator):
    """Several at a time, ended in an order of its own; keeps what it was asked."""

    def __init__(self, slots: int, choose: Callable[[list[int]], int] = min) -> None:
        self._slots, self._choose = slots, choose
        self.waiting: dict[int, Request] = {}
        self.asked: list[Request] = []

    @property
    def slots(self) -> int:
        return self._slots

    def submit(self, ticket: int, request: Request) -> None:
        assert ticket not in self.waiting
        self.waiting[ticket] = request
        self.asked.append(request)

    def collect(self, timeout: float | None) -> list[tuple[int, Measurement]]:
        ticket = self._choose(list(self.waiting))
        return [(ticket, self.answer(self.waiting.pop(ticket)))]

    def answer(self, request: Request) -> Measurement:
        metrics = accuracy(request.architecture, request.end)
        checkpoint = ""
        if request.checkpoint is not None:
            if request.first_epoch:
                assert request.resume_from is not None
                assert request.resume_from.read_text() == f"{request.fingerprint} {request.first_epoch}"
            request.checkpoint.parent.mkdir(exist_ok=True)
            request.checkpoint.write_text(f"{request.fingerprint} {request.end}")
            checkpoint = str(request.checkpoint)
        return Measurement(Outcome.COMPLETE, metrics, epochs=request.end, seconds=0.1, checkpoint=checkpoint)

    def describe(self) -> dict[str, Any]:
        return {}


def run(
    folder: Path, *, evaluator: Evaluator | None = None, space: Space = SPACE, strategy: Strategy | None = None, **options: Any
) -> tuple[str, list[Event]]:
    """Searches in `folder`; returns the reason and the events."""
    events: list[Event] = []
    problem = Problem(space, options.pop("objectives", ["val_accuracy", "params"]))
    options = {"budget": Budget(evaluations=30), "on_event": events.append, "epochs": RUNGS, **options}
    with Record(folder, {}) as record:
        reason = search_loop(problem, strategy or RandomSearch(), evaluator or CallableEvaluator(accuracy), record, **options)
    return reason, events


def rows(folder: Path) -> tuple[list[Any], list[Any], list[Any]]:
    """The rows of a run, times apart."""
    with Record(folder, {}) as record:
        (proposals, evaluations, _), promotions = record.rows(), record.promotions()
    return (
        [replace(row, created=0.0) for row in proposals],
        [replace(row, ended=0.0, measurement=replace(row.measurement, seconds=0.0)) for row in evaluations],
        [replace(row, created=0.0) for row in promotions],
    )


def spent(folder: Path) -> int:
    return sum(row.to_epoch - row.from_epoch for row in rows(folder)[1])


def of(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize("slots", [1, 3, 7])
@pytest.mark.parametrize("objectives", [["val_accuracy"], ["val_accuracy", "params"], ["val_accuracy", "params", "macs"]])
def test_a_third_of_each_rung_goes_on_from_where_it_stands(tmp_path: Path, slots: int, objectives: list[str]) -> None:
    evaluator = Slots(slots, random.Random(1).choice)
    reason, events = run(tmp_path, evaluator=evaluator, objectives=objectives)
    _, segments, promotions = rows(tmp_path)
    assert reason == "the budget of 30 evaluations is spent"
    counts = Counter((row.from_epoch, row.to_epoch) for row in segments)
    assert set(counts) == {(0, 1), (1, 3), (3, 9)} and counts[0, 1] == 30
    assert counts[1, 3] >= 10 and counts[3, 9] >= counts[1, 3] // 3  # no fewer than a third; more where better ones came late
    assert len(segments) == len({(row.proposal, row.from_epoch) for row in segments})
    assert {(row.proposal, row.from_epoch, row.to_epoch) for row in promotions} == {
        (row.proposal, row.from_epoch, row.to_epoch) for row in segments if row.from_epoch
    }
    assert [request.cycles for request in evaluator.asked] == [(1, 3)] * len(segments)
    assert {(request.first_epoch, request.end, request.epochs) for request in evaluator.asked} == {(0, 1, 9), (1, 3, 9), (3, 9, 9)}
    assert len(of(events, Promoted)) == len(promotions)
    assert all(row.measurement.metrics == {"val_accuracy": row.measurement.metrics["val_accuracy"]} for row in segments)


def test_every_promotion_was_right_when_it_was_decided(tmp_path: Path) -> None:
    """Derived again from the order of arrivals alone."""
    run(tmp_path, evaluator=Slots(3, random.Random(2).choice))
    proposals, segments, promotions = rows(tmp_path)
    problem = Problem(SPACE, ["val_accuracy", "params"])
    costs = {row.id: problem.consider(row.genotype).costs["params"] for row in proposals}
    by_network = {row.fingerprint: {"params": costs[row.id]} for row in proposals}
    checked = []

    def check(ladder: Ladder, promotion: Promotion) -> None:
        assert promotion in (ladder.next(), ladder.next(closing=True))
        checked.append(promotion)

    climbed(problem.objectives, segments, by_network, RUNGS, promotions, check)
    assert len(checked) == len(promotions) >= 13


class Watcher(RandomSearch):
    """Random search that writes down which losses it was shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[float, ...]] = []

    def propose(self, problem: Problem, history: History, rng: Any) -> Proposal:
        self.shown = [trial.losses for trial in history.finished if trial.losses and not trial.repeat]
        return super().propose(problem, history, rng)


def test_strategies_see_every_network_after_equally_many_epochs(tmp_path: Path) -> None:
    alone, halved = Watcher(), Watcher()
    run(tmp_path / "alone", strategy=alone, epochs=1)
    run(tmp_path / "halved", strategy=halved)
    assert halved.shown == alone.shown and len(halved.shown) == 29
    first = [replace(row, seen=0) for row in rows(tmp_path / "halved")[0]]
    assert first == [replace(row, seen=0) for row in rows(tmp_path / "alone")[0]]


@pytest.mark.parametrize("total", [1, 2, 20, 47, 100])
@pytest.mark.parametrize("slots", [1, 4])
def test_epochs_are_counted_exactly(tmp_path: Path, total: int, slots: int) -> None:
    reason, events = run(tmp_path, evaluator=Slots(slots), budget=Budget(epochs_total=total))
    assert spent(tmp_path) == total
    assert reason == f"the budget of {total} epoch{'s' * (total > 1)} is spent ({total} used, 1 a network)"
    assert sum(event.epochs - event.from_epoch for event in of(events, Evaluated)) == total


class Improving(Slots):
    """Each network is better than the one before, so that more than a third of them deserve to go on; an epoch takes ten seconds."""

    def answer(self, request: Request) -> Measurement:
        first = next(i for i, asked in enumerate(self.asked) if asked.fingerprint == request.fingerprint)
        measured = super().answer(request)
        return replace(measured, metrics={"val_accuracy": first / 1000}, seconds=10.0 * (request.end - request.first_epoch))


@pytest.mark.parametrize("budget", [Budget(epochs_total=150), Budget(seconds=1500.0)])
@pytest.mark.parametrize("slots", [1, 2])
def test_what_is_left_of_a_budget_takes_the_best_that_wait_to_the_top(
    tmp_path: Path, budget: Budget, slots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator = Improving(slots)
    clock = property(lambda record: 10.0 / slots * sum(asked.end - asked.first_epoch for asked in evaluator.asked))
    monkeypatch.setattr(Record, "elapsed", clock)
    run(tmp_path, evaluator=evaluator, objectives=["val_accuracy"], budget=budget)
    _, segments, _ = rows(tmp_path)
    order = {row.proposal: i for i, row in enumerate(row for row in segments if not row.from_epoch)}
    middle = [row.proposal for row in segments if row.to_epoch == 3]
    best = sorted(middle, key=order.__getitem__)[-(len(middle) // 3) :]
    top = {row.proposal for row in segments if row.to_epoch == 9}
    left_out = set(best) - top
    assert best and len(left_out) < slots, (
        "of the best third, however late they came, all but what was in flight when all was spent"
    )
    if budget.epochs_total:
        assert spent(tmp_path) == budget.epochs_total
    else:
        assert budget.seconds is not None and spent(tmp_path) * 10 / slots < budget.seconds + 10 * 6


def test_the_front_is_that_of_the_highest_rung_reached(tmp_path: Path) -> None:
    _, events = run(tmp_path)
    fronts = of(events, FrontMoved)
    assert [event.epochs for event in fronts] == sorted(event.epochs for event in fronts)
    assert {event.epochs for event in fronts} == set(RUNGS)
    segments = [row for row in rows(tmp_path)[1] if row.to_epoch == 9]
    best = max(row.measurement.metrics["val_accuracy"] for row in segments)
    assert max(point.values["val_accuracy"] for point in fronts[-1].front) == best
    assert {point.trial for point in fronts[-1].front} <= {row.proposal for row in segments}
    _, again = run(tmp_path)
    assert of(again, FrontMoved)[0].front == fronts[-1].front


def test_a_space_that_is_exhausted_promotes_what_may_still_go_on(tmp_path: Path) -> None:
    reason, _ = run(tmp_path, space=SMALL, evaluator=Slots(3), epochs=(1, 2))
    assert "the space seems exhausted" in reason
    assert Counter(row.to_epoch for row in rows(tmp_path)[1])[1] == 7
    assert Counter(row.to_epoch for row in rows(tmp_path)[1])[2] >= 3


def test_more_evaluations_later_promote_more(tmp_path: Path) -> None:
    run(tmp_path / "a", strategy=RegularizedEvolution(population=4, tournament=2), budget=Budget(evaluations=12))
    run(tmp_path / "a", strategy=RegularizedEvolution(population=4, tournament=2), budget=Budget(evaluations=30))
    assert Counter(row.to_epoch for row in rows(tmp_path / "a")[1])[3] >= 10


def test_weights_are_kept_while_they_are_needed_and_no_longer(tmp_path: Path) -> None:
    _, events = run(tmp_path, evaluator=Slots(2), budget=Budget(evaluations=120))
    segments = rows(tmp_path)[1]
    files = {path.name for path in (tmp_path / "weights").iterdir()}
    front = of(events, FrontMoved)[-1].front
    last = {row.proposal: row.measurement.checkpoint for row in segments}
    assert {Path(last[point.trial]).name for point in front} <= files
    assert len(files) <= len(front) + 2 * 2 * SPARE < 120
    assert not [name for name in files if name.endswith("-1.safetensors") and name.replace("-1.", "-3.") in files]


class Failing(Slots):
    """Fails wherever it is asked to go on to 3 epochs."""

    def answer(self, request: Request) -> Measurement:
        if request.end == 3:
            return Measurement(Outcome.DIVERGED, epochs=2, seconds=0.1, error="the training loss was nan in epoch 3")
        return super().answer(request)


def test_what_fails_on_the_way_stays_on_its_rung_and_ends_nothing(tmp_path: Path) -> None:
    reason, _ = run(tmp_path, evaluator=Failing(2))
    segments = rows(tmp_path)[1]
    assert reason == "the budget of 30 evaluations is spent"
    outcomes = Counter(row.measurement.outcome for row in segments)
    assert outcomes[Outcome.COMPLETE] == 30 and outcomes[Outcome.DIVERGED] == len(segments) - 30 >= 10
    assert {(row.from_epoch, row.to_epoch) for row in segments} == {(0, 1), (1, 2)}
    assert spent(tmp_path) == len(segments)


class Short(Slots):
    """Says it is complete, after fewer epochs than it was asked for."""

    def answer(self, request: Request) -> Measurement:
        return replace(super().answer(request), epochs=min(request.end, 2))


def test_a_result_after_other_epochs_is_none(tmp_path: Path) -> None:
    run(tmp_path, evaluator=Short(1))
    failed = [row for row in rows(tmp_path)[1] if not row.measurement.outcome.measured]
    assert len(failed) >= 10 and {row.from_epoch for row in failed} == {1}
    assert failed[0].measurement.error == "measured after 2 epochs, asked for after 3: unequal epochs are not compared"


def test_a_promotion_that_breaks_the_process_is_given_up_after_two_times(tmp_path: Path) -> None:
    class Broken(Slots):
        def answer(self, request: Request) -> Measurement:
            if request.end == 9:
                raise MemoryError
            return super().answer(request)

    for _ in range(MAX_FAULTS):
        with pytest.raises(MemoryError):
            run(tmp_path, evaluator=Broken(1), faulted=True)
    reason, _ = run(tmp_path, evaluator=Slots(1), faulted=True)
    assert reason == "the budget of 30 evaluations is spent"
    [given_up] = [row for row in rows(tmp_path)[1] if row.measurement.outcome is Outcome.CRASHED]
    assert (given_up.from_epoch, given_up.to_epoch) == (3, 3)
    assert given_up.measurement.error == f"this process broke down {MAX_FAULTS} times while it was evaluated"


class Stopper:
    """Ends the search after so many answers."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, event: Event) -> None:
        self.left -= isinstance(event, Evaluated)

    def reason(self) -> str:
        return "stopped" if self.left <= 0 else ""


@pytest.mark.parametrize("budget", [Budget(evaluations=25), Budget(epochs_total=61)])
def test_stopped_anywhere_it_ends_with_the_rows_of_an_unbroken_search(tmp_path: Path, budget: Budget) -> None:
    strategy = RegularizedEvolution(population=5, tournament=2)
    run(tmp_path / "unbroken", evaluator=Slots(1), strategy=strategy, budget=budget)
    moments, asked = random.Random(3), list[Request]()
    for _ in range(100):
        stopper, evaluator = Stopper(moments.randint(1, 4)), Slots(1)
        reason, _ = run(
            tmp_path / "stopped", evaluator=evaluator, strategy=strategy, budget=budget, on_event=stopper, stopped=stopper.reason
        )
        asked += evaluator.asked
        if reason != "stopped":
            break
    assert reason.startswith("the budget of")
    assert rows(tmp_path / "stopped") == rows(tmp_path / "unbroken")
    weights = [sorted(path.name for path in (tmp_path / name / "weights").iterdir()) for name in ("stopped", "unbroken")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("budget", [Budget(evaluations=25), Budget(epochs_total=61)])
def test_stopped_with_several_in_flight_nothing_else_is_trained_again(tmp_path: Path, budget: Budget) -> None:
    moments, asked, lost = random.Random(4), Counter[tuple[str, int]](), 0
    for _ in range(100):
        stopper, evaluator = Stopper(moments.randint(1, 5)), Slots(3, moments.choice)
        reason, _ = run(tmp_path, evaluator=evaluator, budget=budget, on_event=stopper, stopped=stopper.reason)
        asked.update((request.fingerprint, request.end) for request in evaluator.asked)
        lost += len(evaluator.waiting)
        if reason != "stopped":
            break
    _, segments, promotions = rows(tmp_path)
    assert asked.keys() == {(row.fingerprint, row.to_epoch) for row in segments}
    assert sum(asked.values()) - len(asked) == lost > 0
    assert len(segments) == len(asked) and sum(row.from_epoch > 0 for row in segments) == len(promotions)
    if budget.epochs_total:
        assert spent(tmp_path) == budget.epochs_total
    else:
        assert sum(row.from_epoch == 0 for row in segments) == 25


HALVING = (
    SCRIPT.replace("def evaluator(architecture):", "def evaluator(architecture, epochs):")
    .replace('"call", architecture.fingerprint,', '"call", architecture.fingerprint, epochs,')
    .replace(" % 1000 / 1000}", " % 1000 / 1000 + epochs * (int(architecture.fingerprint[:6], 16) % 97) / 2000}")
    .replace('"told", event.fingerprint, event.losses[0],', '"told", event.fingerprint, event.epochs, event.losses[0],')
    .replace("evaluations=int(sys.argv[2])", "epochs_total=int(sys.argv[2]), epochs=(1, 3, 9)")
)


@pytest.mark.slow
def test_killed_ten_times_it_ends_with_its_exact_epochs_and_the_rows_of_an_unbroken_search(tmp_path: Path) -> None:
    script, total, moments = tmp_path / "script.py", 90, random.Random(5)
    script.write_text(HALVING)
    told: list[list[str]] = []
    calls: list[tuple[str, str]] = []
    for kill in range(11):
        process = start(script, tmp_path / "killed", total)
        assert process.stdout is not None
        stop_at, lines = moments.randint(1, 9) if kill < 10 else None, list[list[str]]()
        for line in process.stdout:
            lines.append(line.split())
            if len(lines) == stop_at:
                time.sleep(moments.uniform(0.0, 0.01))
                process.kill()
        assert process.wait() == (-signal.SIGKILL if kill < 10 else 0) or os.name == "nt"
        told += [line for line in lines if line[0] == "told" and len(line) == 4]
        calls += [(line[1], line[2]) for line in lines if line[0] == "call" and len(line) == 3]
    assert start(script, tmp_path / "unbroken", total).communicate()[0].count("told")

    from test_loop import rows as read

    from nas.run import Run

    proposals, segments = read(tmp_path / "killed")
    assert sum(row.to_epoch - row.from_epoch for row in segments) == total
    assert len({(row.proposal, row.from_epoch) for row in segments}) == len(segments)
    measured = {(row.fingerprint, row.to_epoch): row.measurement.metrics["val_accuracy"] for row in segments}
    assert {((line[1], int(line[2])), -float(line[3])) for line in told} <= set(measured.items())
    again = Counter(calls)
    assert sum(again.values()) - len(again) <= 10  # at most what was in flight at each kill was trained again
    assert {row.to_epoch for row in segments} == {1, 3, 9}
    assert (proposals, segments) == read(tmp_path / "unbroken")
    assert [replace(row, created=0.0) for row in Run(tmp_path / "killed").promotions()] == [
        replace(row, created=0.0) for row in Run(tmp_path / "unbroken").promotions()
    ]
