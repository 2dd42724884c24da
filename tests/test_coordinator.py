"""The loop with a real space and a plain function: budgets, repeats, refusals, failures, kills."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.attempts import MAX_REFUSED, NothingFeasible
from nas.blocks import Classifier, Conv, Repeat, Sequential
from nas.budget import Budget
from nas.coordinator import search_loop
from nas.domains import choice, integer
from nas.errors import EvaluationError, RunError, StrategyError
from nas.evaluators.base import Evaluator, Request
from nas.evaluators.function import CallableEvaluator
from nas.events import Ended, Evaluated, Event, FrontMoved, Proposed, Refused, Repeated, Started
from nas.limits import MAX_REPEATS
from nas.measurement import Measurement, Outcome
from nas.problem import Problem
from nas.record import Record
from nas.space import Space
from nas.strategies.base import History, Proposal, Strategy
from nas.strategies.evolution import RegularizedEvolution
from nas.strategies.random_search import RandomSearch

BODY = Sequential(
    Repeat(Conv(channels=choice(1, 2, 3, 4, 5, 6), kernel=choice(1, 3)), times=integer(1, 3), name="body"), Classifier()
)
SPACE = Space(BODY, input_shape=(1, 4, 4), classes=2)
SMALL = Space(Sequential(Conv(channels=choice(1, 2, 3)), Classifier()), input_shape=(1, 4, 4), classes=2)


def accuracy(architecture: Any) -> dict[str, float]:
    return {"val_accuracy": int(architecture.fingerprint[:6], 16) % 1000 / 1000}


class Slots(Evaluator):
    """Several at a time, ended in an order of its own."""

    def __init__(self, slots: int, order: Callable[[list[int]], int] = min) -> None:
        self._slots, self._order = slots, order
        self.waiting: dict[int, Request] = {}
        self.most = 0

    @property
    def slots(self) -> int:
        return self._slots

    def submit(self, ticket: int, request: Request) -> None:
        self.waiting[ticket] = request
        self.most = max(self.most, len(self.waiting))

    def collect(self, timeout: float | None) -> list[tuple[int, Measurement]]:
        ticket = self._order(list(self.waiting))
        request = self.waiting.pop(ticket)
        return [(ticket, Measurement(Outcome.COMPLETE, accuracy(request.architecture), epochs=request.end, seconds=0.1))]

    def describe(self) -> dict[str, Any]:
        return {}


def run(
    folder: Path, *, evaluator: Evaluator | None = None, space: Space = SPACE, strategy: Strategy | None = None, **options: Any
) -> tuple[str, list[Event]]:
    """Searches in `folder`; returns the reason and the events."""
    events: list[Event] = []
    problem = Problem(space, ["val_accuracy", "params"], options.pop("constraints", ()))
    options = {"budget": Budget(evaluations=20), "on_event": events.append, **options}
    with Record(folder, {}) as record:
        reason = search_loop(problem, strategy or RandomSearch(), evaluator or CallableEvaluator(accuracy), record, **options)
    return reason, events


def rows(folder: Path) -> tuple[list[Any], list[Any]]:
    """The rows of a run, times apart."""
    with Record(folder, {}) as record:
        proposals, evaluations, _ = record.rows()
    return (
        [replace(row, created=0.0) for row in proposals],
        [replace(row, ended=0.0, measurement=replace(row.measurement, seconds=0.0)) for row in evaluations],
    )


def of(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize("slots", [1, 3, 7])
def test_evaluations_are_counted_exactly(tmp_path: Path, slots: int) -> None:
    evaluator = Slots(slots)
    reason, events = run(tmp_path, evaluator=evaluator)
    proposals, evaluations = rows(tmp_path)
    assert reason == "the budget of 20 evaluations is spent"
    assert len(evaluations) == len({row.fingerprint for row in evaluations}) == 20
    assert evaluator.most == slots
    assert len(proposals) == 20 + len(of(events, Repeated))
    assert [row.id for row in proposals] == list(range(len(proposals)))
    assert all(row.finished is not None for row in proposals)


def test_epochs_are_counted_exactly(tmp_path: Path) -> None:
    reason, _ = run(tmp_path, evaluator=Slots(4), budget=Budget(epochs_total=32), epochs=3)
    assert reason.startswith("the budget of 32 epochs is spent (30 used")
    assert sum(row.to_epoch for row in rows(tmp_path)[1]) == 30


def test_time_ends_it_and_what_is_in_flight_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("nas.record.time.monotonic", lambda: now[0])

    class Slow(Slots):
        def collect(self, timeout: float | None) -> list[tuple[int, Measurement]]:
            now[0] += 10
            return super().collect(timeout)

    reason, _ = run(tmp_path, evaluator=Slow(2), budget=Budget(seconds=35))
    assert reason == "the budget of 35 s is spent"
    assert len(rows(tmp_path)[1]) == 5
    run(tmp_path, evaluator=Slow(2), budget=Budget(seconds=35))
    assert len(rows(tmp_path)[1]) == 5
    run(tmp_path, evaluator=Slow(2), budget=Budget(seconds=65))
    assert len(rows(tmp_path)[1]) == 8


def test_events_tell_what_the_record_holds(tmp_path: Path) -> None:
    problem = Problem(SPACE, ["val_accuracy", "params"])
    told = []
    with Record(tmp_path / "run", {}) as record:

        def check(event: Event) -> None:
            with_rows = record._connection.in_transaction
            told.append((event, with_rows))

        search_loop(problem, RandomSearch(), CallableEvaluator(accuracy), record, budget=Budget(5), on_event=check)
    assert not any(open_transaction for event, open_transaction in told if not isinstance(event, Refused))
    kinds = [type(event) for event, _ in told if not isinstance(event, Repeated)]
    assert kinds[0] is Started and kinds[-1] is Ended
    assert kinds.count(Evaluated) == kinds.count(Proposed) == 5
    front = [event for event, _ in told if isinstance(event, FrontMoved)][-1].front
    assert [p.losses for p in front] == sorted(p.losses for p in front)


def test_refused_candidates_are_counted_by_reason(tmp_path: Path) -> None:
    _, events = run(tmp_path, constraints=["params<=100"])
    refused = of(events, Refused)
    assert refused and all(event.reason == "params<=100" and event.values["params"] > 100 for event in refused)
    proposals = rows(tmp_path)[0]
    assert sum(row.rejected.get("params<=100", 0) for row in proposals) == len(refused)


def test_a_constraint_that_nothing_keeps_says_the_smallest_value(tmp_path: Path) -> None:
    with pytest.raises(
        NothingFeasible, match=rf"keeps the constraint params<=3: {MAX_REFUSED:,} .* the smallest params seen is 7; loosen"
    ):
        run(tmp_path, constraints=["params<=3"])
    with pytest.raises(NothingFeasible, match="the largest params seen is"):
        run(tmp_path, constraints=["params>=1M"])


def test_a_space_that_is_exhausted_ends_the_search(tmp_path: Path) -> None:
    reason, events = run(tmp_path, space=SMALL)
    assert "the space seems exhausted" in reason
    assert len(rows(tmp_path)[1]) == 3
    again, _ = run(tmp_path, space=SMALL)
    assert again == reason
    assert len(rows(tmp_path)[0]) == len(of(events, Repeated)) + 3 >= MAX_REPEATS


def test_an_exhausted_space_waits_for_what_is_pending(tmp_path: Path) -> None:
    run(tmp_path, space=SMALL, evaluator=Slots(5))
    proposals, evaluations = rows(tmp_path)
    assert len(evaluations) == 3
    assert all(row.finished is not None for row in proposals)


class Recorder(Strategy):
    """Random search that writes down what it was shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[list[tuple[Any, ...]], list[int]]] = []

    def propose(self, problem: Problem, history: History, rng: np.random.Generator) -> Proposal:
        finished = [(t.id, t.losses, t.repeat, t.outcome) for t in history.finished]
        self.shown.append((finished, [t.id for t in history.pending]))
        return Proposal(problem.space.sample(rng), operator="sample", notes={"n": (1, 2)})


def test_a_strategy_is_told_of_repeats(tmp_path: Path) -> None:
    strategy = Recorder()
    run(tmp_path, space=SMALL, strategy=strategy, budget=Budget(3))
    finished = strategy.shown[-1][0]
    losses = {}
    proposals = rows(tmp_path)[0]
    for number, loss, repeat, outcome in finished:
        assert outcome is Outcome.COMPLETE
        assert repeat == (proposals[number].fingerprint in losses)
        assert losses.setdefault(proposals[number].fingerprint, loss) == loss


def test_notes_look_the_same_before_and_after_the_record(tmp_path: Path) -> None:
    seen: list[Any] = []

    class Notes(Recorder):
        def propose(self, problem: Problem, history: History, rng: np.random.Generator) -> Proposal:
            seen.extend(trial.notes for trial in history.finished)
            return super().propose(problem, history, rng)

    run(tmp_path, strategy=Notes(), budget=Budget(3))
    run(tmp_path, strategy=Notes(), budget=Budget(5))
    assert seen and all(notes == {"n": [1, 2]} for notes in seen)


@pytest.mark.parametrize("strategy", [RandomSearch(), RegularizedEvolution(population=4, tournament=2)])
def test_a_search_that_goes_on_equals_an_unbroken_one(tmp_path: Path, strategy: Strategy) -> None:
    run(tmp_path / "unbroken", strategy=strategy, budget=Budget(30))
    for count in (1, 7, 8, 30):
        run(tmp_path / "broken", strategy=strategy, budget=Budget(count))
    assert rows(tmp_path / "unbroken") == rows(tmp_path / "broken")


def test_a_stop_leaves_what_is_in_flight_for_the_next_start(tmp_path: Path) -> None:
    run(tmp_path / "unbroken", budget=Budget(12))
    calls: list[str] = []

    def judged(architecture: Any) -> dict[str, float]:
        calls.append(architecture.fingerprint)
        return accuracy(architecture)

    class Reluctant(CallableEvaluator):
        def collect(self, timeout: float | None) -> list[tuple[int, Measurement]]:
            return [] if len(calls) == 5 else super().collect(timeout)

    reason, events = run(
        tmp_path / "run",
        evaluator=Reluctant(judged),
        budget=Budget(12),
        stopped=lambda: "stopped by hand" if len(calls) == 5 else "",
    )
    assert reason == "stopped by hand" and of(events, Ended)[0].reason == "stopped by hand"
    _, events = run(tmp_path / "run", evaluator=CallableEvaluator(judged), budget=Budget(12))
    assert len(calls) == len(set(calls)) == 12
    assert rows(tmp_path / "unbroken") == rows(tmp_path / "run")


def test_what_a_stop_broke_off_is_no_result_and_is_evaluated_by_the_next_start(tmp_path: Path) -> None:
    calls: list[str] = []
    stop = ""

    def broken_off(architecture: Any) -> dict[str, float]:
        nonlocal stop
        calls.append(architecture.fingerprint)
        if len(calls) == 3:
            stop = "stopped by hand"
            raise RuntimeError("broken off by the signal")
        return accuracy(architecture)

    reason, events = run(tmp_path / "run", evaluator=CallableEvaluator(broken_off), budget=Budget(6), stopped=lambda: stop)
    proposals, evaluations = rows(tmp_path / "run")
    [pending] = [row for row in proposals if row.fingerprint == calls[2] and row.repeat_of is None]
    assert reason == "stopped by hand" and len(of(events, Evaluated)) == len(evaluations) == 2
    assert pending.finished is None and pending.id not in {row.proposal for row in evaluations}

    stop = ""
    run(tmp_path / "run", evaluator=CallableEvaluator(broken_off), budget=Budget(6), stopped=lambda: stop)
    assert calls[3] == calls[2]
    run(tmp_path / "unbroken", budget=Budget(6))
    assert rows(tmp_path / "run") == rows(tmp_path / "unbroken")


class Died(BaseException):
    """Stands for a kill: nothing after it runs in the loop."""


@pytest.mark.parametrize("slots", [1, 4])
def test_a_death_at_any_moment_loses_nothing_that_was_told(tmp_path: Path, slots: int) -> None:
    budget = Budget(25)
    run(tmp_path / "unbroken", budget=budget)
    rng = np.random.default_rng(0)
    told: dict[int, tuple[float, ...] | None] = {}
    deaths = 0
    while True:
        left = int(rng.integers(1, 12))

        def tell(event: Event) -> None:
            nonlocal left
            left -= 1
            if isinstance(event, Evaluated):
                told[event.trial] = event.losses
            if left == 0:
                raise Died

        record = Record(tmp_path / "run", {})
        evaluator = Slots(slots, order=lambda tickets: int(rng.choice(tickets))) if slots > 1 else CallableEvaluator(accuracy)
        try:
            search_loop(Problem(SPACE, ["val_accuracy", "params"]), RandomSearch(), evaluator, record, budget=budget, on_event=tell)
            record.close()
            break
        except Died:
            deaths += 1
            record.abandon()
    proposals, evaluations = rows(tmp_path / "run")
    assert deaths > 3
    assert len(evaluations) == len({row.proposal for row in evaluations}) == 25
    costs = {row.fingerprint: row for row in evaluations}
    for trial, losses in told.items():
        assert losses is not None
        assert costs[proposals[trial].fingerprint].measurement.metrics["val_accuracy"] == -losses[0]
    if slots == 1:
        assert (proposals, evaluations) == rows(tmp_path / "unbroken")


def test_what_breaks_the_process_twice_is_not_tried_a_third_time(tmp_path: Path) -> None:
    class Segfault(CallableEvaluator):
        def collect(self, timeout: float | None) -> list[tuple[int, Measurement]]:
            if any(ticket == 3 for ticket, _ in self._waiting):
                raise Died
            return super().collect(timeout)

    for start in range(2):
        with pytest.raises(Died):
            run(tmp_path, evaluator=Segfault(accuracy), budget=Budget(8), faulted=start > 0)
    reason, _ = run(tmp_path, evaluator=Segfault(accuracy), budget=Budget(8), faulted=True)
    evaluations = rows(tmp_path)[1]
    assert reason == "the budget of 8 evaluations is spent"
    assert [row.measurement.outcome for row in evaluations if row.proposal == 3] == [Outcome.CRASHED]
    assert len(evaluations) == 8


def test_a_failure_is_a_row_and_not_the_end(tmp_path: Path) -> None:
    def fails(architecture: Any) -> Mapping[str, float]:
        if int(architecture.fingerprint, 16) % 2:
            raise ValueError("no luck")
        return accuracy(architecture)

    _, events = run(tmp_path, evaluator=CallableEvaluator(fails))
    outcomes = [row.measurement.outcome for row in rows(tmp_path)[1]]
    assert len(outcomes) == 20 and set(outcomes) == {Outcome.COMPLETE, Outcome.CRASHED}
    assert {event.error for event in of(events, Evaluated)} == {"", "ValueError: no luck"}


def test_an_objective_that_nobody_measures_ends_the_search_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(
        EvaluationError, match="objective 'val_accuracy' was not measured; the evaluator and the costs give score, params"
    ):
        run(tmp_path, evaluator=CallableEvaluator(lambda architecture: {"score": 1.0}))
    assert rows(tmp_path)[1] == []


def test_an_objective_that_is_missing_once_is_a_failure(tmp_path: Path) -> None:
    count = iter(range(100))
    run(tmp_path, evaluator=CallableEvaluator(lambda a: accuracy(a) if next(count) != 4 else {}))
    failed = [row for row in rows(tmp_path)[1] if row.measurement.outcome is Outcome.CRASHED]
    assert [row.proposal for row in failed] and "was not measured" in failed[0].measurement.error


def test_a_metric_with_the_name_of_an_exact_cost_overrides_nothing(tmp_path: Path) -> None:
    count = iter(range(100))
    clash = {"val_accuracy": 1.0, "params": -1.0}
    _, events = run(tmp_path, evaluator=CallableEvaluator(lambda a: clash if next(count) == 4 else accuracy(a)), budget=Budget(8))
    with Record(tmp_path, {}) as record:
        _, evaluations, costs = record.rows()
    [failed] = [row for row in evaluations if row.measurement.outcome is Outcome.CRASHED]
    assert failed.measurement.error.startswith("metric 'params' has the name of an exact cost")
    assert "params" not in failed.measurement.metrics
    [told] = [event for event in of(events, Evaluated) if event.losses is None]
    assert told.values["params"] == costs[failed.fingerprint]["params"] and "\n" not in told.error
    assert all(point.values["params"] > 0 for point in of(events, FrontMoved)[-1].front)


def test_an_evaluator_that_always_measures_an_exact_cost_ends_the_search_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="metric 'macs' has the name of an exact cost; return it under another name"):
        run(tmp_path, evaluator=CallableEvaluator(lambda architecture: {**accuracy(architecture), "macs": 3}))
    assert rows(tmp_path)[1] == []


def test_a_space_that_changed_under_a_pending_trial_is_refused(tmp_path: Path) -> None:
    class Dies(CallableEvaluator):
        def collect(self, timeout: float | None) -> list[tuple[int, Measurement]]:
            raise Died

    with pytest.raises(Died):
        run(tmp_path, evaluator=Dies(accuracy))
    with pytest.raises(RunError, match=r"trial 0 of .* is another network now"):
        run(tmp_path, space=replace(SPACE, classes=3))


class Weights(Slots):
    """Leaves weights, as training does."""

    def collect(self, timeout: float | None) -> list[tuple[int, Measurement]]:
        path = self.waiting[min(self.waiting)].checkpoint
        assert path is not None
        path.parent.mkdir(exist_ok=True)
        path.write_text("weights")
        [(ticket, measurement)] = super().collect(timeout)
        return [(ticket, replace(measurement, checkpoint=str(path)))]


def test_only_the_weights_of_the_front_are_kept(tmp_path: Path) -> None:
    _, events = run(tmp_path, evaluator=Weights(2))
    (tmp_path / "weights" / "left.safetensors.123.tmp").write_text("half")
    _, later = run(tmp_path, evaluator=Weights(2), budget=Budget(25))
    front = {point.fingerprint[:16] for point in of(events + later, FrontMoved)[-1].front}
    assert {path.name[:16] for path in (tmp_path / "weights").iterdir()} == front
    kept = [row for row in rows(tmp_path)[1] if row.fingerprint[:16] in front]
    assert all((tmp_path / row.measurement.checkpoint).is_file() for row in kept)


class Heir(Strategy):
    """Each network inherits the weights of the one before; wants no others."""

    importance = "magnitude"

    def propose(self, problem: Problem, history: History, rng: np.random.Generator) -> Proposal:
        last = history.finished[-1].id if history.finished else None
        genotype = {"body.times": 1, "body[0].channels": 6 - history.proposed, "body[0].kernel": 3}
        return Proposal(genotype, inherit_from=last, aligned={} if last is None else {"body[0]": "body[0]"})

    def keeps(self, problem: Problem, history: History) -> list[int]:
        return [trial.id for trial in history.finished[-1:] if trial.importances]


class Scored(Weights):
    """Says what it was asked, and which parents' weights were there; measures importances; a parent is larger and never better."""

    def __init__(self) -> None:
        super().__init__(1)
        self.asked: list[Request] = []
        self.there: list[bool] = []

    def submit(self, ticket: int, request: Request) -> None:
        super().submit(ticket, request)
        self.asked.append(request)
        self.there.append(request.inherit is not None and Path(request.inherit.weights).is_file())

    def collect(self, timeout: float | None) -> list[tuple[int, Measurement]]:
        inherited = 0.5 if self.there[-1] else None
        [(ticket, found)] = super().collect(timeout)
        return [(ticket, replace(found, metrics={"val_accuracy": 0.5}, importances={"conv1": (1.0,)}, inherited=inherited))]


def test_a_network_inherits_the_weights_of_another_one_which_are_kept_for_it(tmp_path: Path) -> None:
    first = Scored()
    run(tmp_path, strategy=Heir(), evaluator=first, budget=Budget(3))
    second = Scored()
    run(tmp_path, strategy=Heir(), evaluator=second, budget=Budget(4))  # goes on as if nothing had been
    asked = first.asked + second.asked
    assert first.there + second.there == [False, True, True, True]
    assert [request.importance for request in asked] == ["magnitude"] * 4
    graphs = [request.graph() for request in asked if request.graph is not None]
    assert [request.inherit and request.inherit.graph for request in asked] == [None, *graphs[:-1]]
    assert asked[1].inherit is not None and asked[1].inherit.aligned == {"body[0]": "body[0]"}
    proposals, evaluations = rows(tmp_path)
    assert [row.inherit_from for row in proposals] == [None, 0, 1, 2]
    assert [row.measurement.inherited for row in evaluations] == [None, 0.5, 0.5, 0.5]
    assert [dict(row.measurement.importances) for row in evaluations] == [{"conv1": [1.0]}] * 4
    assert len(list((tmp_path / "weights").iterdir())) == 1  # the last one is both the front and what is wanted


def test_a_trial_that_was_not_evaluated_has_no_weights_to_inherit(tmp_path: Path) -> None:
    class Wrong(Strategy):
        def propose(self, problem: Problem, history: History, rng: np.random.Generator) -> Proposal:
            return Proposal(problem.space.sample(rng), inherit_from=7)

    with pytest.raises(StrategyError, match="strategy Wrong lets trial 0 inherit from trial 7, which was not evaluated"):
        run(tmp_path, strategy=Wrong(), evaluator=Scored(), budget=Budget(2))
    assert rows(tmp_path) == ([], [])


def test_a_source_is_kept_where_it_was_asked_for(tmp_path: Path) -> None:
    class Asks(CallableEvaluator):
        def submit(self, ticket: int, request: Request) -> None:
            if ticket % 2:
                request.source()
            super().submit(ticket, request)

    run(tmp_path, evaluator=Asks(accuracy), budget=Budget(6))
    with Record(tmp_path, {}) as record:
        found = dict(record._connection.execute("SELECT n.id, source NOT NULL FROM networks n").fetchall())
        asked = {row.fingerprint for row in record.rows()[0] if row.repeat_of is None and row.id % 2}
    assert sum(found.values()) == len(asked)


def test_the_time_spent_is_written_down_while_nothing_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.coordinator.TOUCH_SECONDS", 0.0)
    commits = []
    monkeypatch.setattr(Record, "commit", lambda self, commit=Record.commit: (commits.append(time.monotonic()), commit(self))[1])

    class Idle(Slots):
        idle = 5

        def collect(self, timeout: float | None) -> list[tuple[int, Measurement]]:
            self.idle -= 1
            return [] if self.idle > 0 else super().collect(timeout)

    run(tmp_path, evaluator=Idle(1), budget=Budget(1))
    assert len(commits) >= 5
