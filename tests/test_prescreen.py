"""Searches that score candidates untrained, with a plain function for training and another one for the scores."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from nas.blocks import Classifier, Conv, Repeat, Sequential
from nas.budget import Budget
from nas.coordinator import search_loop
from nas.correlation import kendall
from nas.costs import cost_of
from nas.database import open_writer
from nas.domains import choice, integer
from nas.errors import EvaluationError, ObjectiveError, RunError
from nas.evaluators.base import Request
from nas.evaluators.function import CallableEvaluator
from nas.events import Event, Screened
from nas.loop import search
from nas.problem import Problem
from nas.progress import Progress, closing_words
from nas.promise import ENOUGH, MEAN, Worth, recorded_worths
from nas.rebuild import rebuild
from nas.recompute import verify
from nas.record import Record
from nas.rows import ScreeningRow
from nas.run import open_run
from nas.screened import screening_table, screening_words
from nas.space import Space
from nas.strategies.base import Strategy
from nas.strategies.random_search import RandomSearch
from nas.tally import Tally

BODY = Sequential(
    Repeat(Conv(channels=choice(1, 2, 3, 4, 5, 6), kernel=choice(1, 3)), times=integer(1, 3), name="body"), Classifier()
)
SPACE = Space(BODY, input_shape=(1, 4, 4), classes=2)
SMALL = Space(Sequential(Conv(channels=choice(1, 2, 3)), Classifier()), input_shape=(1, 4, 4), classes=2)


def quality(fingerprint: str) -> float:
    return int(fingerprint[:6], 16) % 1000 / 1000


def accuracy(architecture: Any) -> dict[str, float]:
    return {"val_accuracy": quality(architecture.fingerprint)}


def exactly(request: Request) -> dict[str, float]:
    return {"a": quality(request.fingerprint), "b": quality(request.fingerprint)}


class Scoring(CallableEvaluator):
    """Knows the quality of a network without training, or what `score` makes of it."""

    def __init__(self, score: Callable[[Request], Mapping[str, float]] | None = None) -> None:
        super().__init__(accuracy)
        self._score_of = score or exactly
        self.asked: list[list[str]] = []

    def score(self, requests: Sequence[Request], given_up: Callable[[], bool] = lambda: False) -> list[dict[str, float]]:
        self.asked.append([request.fingerprint for request in requests])
        return [dict(self._score_of(request)) for request in requests]


class Died(BaseException):
    """Stands for SIGKILL."""


def run(
    folder: Path,
    *,
    evaluator: CallableEvaluator | None = None,
    strategy: Strategy | None = None,
    space: Space = SPACE,
    **options: Any,
) -> tuple[str, list[Event]]:
    events: list[Event] = []
    problem = Problem(space, options.pop("objectives", ["val_accuracy", "params"]), options.pop("constraints", ()))
    options = {"budget": Budget(evaluations=20), "prescreen": 10, "on_event": events.append, **options}
    with Record(folder, {}) as record:
        return search_loop(problem, strategy or RandomSearch(), evaluator or Scoring(), record, **options), events


def rows(folder: Path) -> tuple[list[Any], list[Any], list[ScreeningRow]]:
    """The rows of a run, times apart."""
    with Record(folder, {}) as record:
        proposals, evaluations, _ = record.rows()
        screenings = record.screenings()
    return (
        [replace(row, created=0.0) for row in proposals],
        [replace(row, ended=0.0, measurement=replace(row.measurement, seconds=0.0)) for row in evaluations],
        screenings,
    )


def accuracies(folder: Path) -> list[float]:
    return [row.measurement.metrics["val_accuracy"] for row in rows(folder)[1]]


def _judged(folder: Path) -> list[Worth]:
    _, evaluations, screenings = rows(folder)
    return recorded_worths(Problem(SPACE, ["val_accuracy", "params"]).objectives, screenings, evaluations)


def of(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


# ---- what is chosen


def test_the_most_promising_of_ten_is_trained_and_networks_stay_as_small(tmp_path: Path) -> None:
    run(tmp_path / "plain", prescreen=0, budget=Budget(40))
    run(tmp_path / "screened", budget=Budget(40))
    plain, screened = np.mean(accuracies(tmp_path / "plain")), np.mean(accuracies(tmp_path / "screened"))
    assert plain < 0.6 and screened > 0.7
    sizes = []
    for name in ("plain", "screened"):
        with Record(tmp_path / name, {}) as record:
            proposals, _, costs = record.rows()
        sizes.append(np.mean([math.log(costs[row.fingerprint]["params"]) for row in proposals]))
    assert abs(sizes[0] - sizes[1]) < 0.6  # small networks are fewer, and each is trained once


def test_scores_that_follow_size_choose_the_largest_only_where_size_is_free(tmp_path: Path) -> None:
    def size(request: Request) -> dict[str, float]:
        return {"a": cost_of(request.architecture.graph).params + quality(request.fingerprint)}

    means = []
    for objectives in (["val_accuracy", "params"], ["val_accuracy"]):
        folder = tmp_path / "-".join(objectives)
        run(folder, evaluator=Scoring(size), objectives=objectives, budget=Budget(15))
        with Record(folder, {}) as record:
            proposals, _, costs = record.rows()
        means.append(np.mean([costs[row.fingerprint]["params"] for row in proposals]))
    assert means[1] > 1.5 * means[0]


def test_one_candidate_changes_nothing_and_finds_out_what_the_scores_are_worth(tmp_path: Path) -> None:
    run(tmp_path / "plain", prescreen=0)
    _, events = run(tmp_path / "scored", prescreen=1)
    assert rows(tmp_path / "plain")[:2] == rows(tmp_path / "scored")[:2]
    assert [len(row.candidates) for row in rows(tmp_path / "scored")[2]] == [1] * 20
    judged = {worth.name: worth.equal_cost for worth in _judged(tmp_path / "scored")}
    assert judged["a"] is not None and judged["a"].low > 0.3 and judged["a"].count == 20
    worth = of(events, Screened)[-1].worth
    assert worth is not None and worth.count == 11  # nine networks before anything can be promised


def test_a_network_is_scored_once_and_a_known_one_is_no_candidate(tmp_path: Path) -> None:
    evaluator = Scoring()
    run(tmp_path, evaluator=evaluator, space=SMALL, budget=Budget(3))
    proposals, evaluations, screenings = rows(tmp_path)
    assert len(proposals) == len(evaluations) == 3
    asked = [name for names in evaluator.asked for name in names]
    assert len(asked) == len(set(asked)) == 3
    assert [len(row.candidates) for row in screenings] == [3, 2, 1]


def test_where_nothing_is_scored_the_first_candidate_is_taken(tmp_path: Path) -> None:
    """As when every job that scores crashes."""
    run(tmp_path, evaluator=Scoring(lambda request: {}), objectives=["val_accuracy"], budget=Budget(5))
    assert [row.chosen for row in rows(tmp_path)[2]] == [0] * 5


def test_a_candidate_without_scores_is_not_chosen(tmp_path: Path) -> None:
    def some(request: Request) -> dict[str, float]:
        return {"a": 1.0} if quality(request.fingerprint) < 0.3 else {}

    run(tmp_path, evaluator=Scoring(some), objectives=["val_accuracy"], budget=Budget(8))
    assert max(accuracies(tmp_path)[2:]) < 0.3  # before, too few have a score


def test_refused_candidates_of_all_attempts_are_counted(tmp_path: Path) -> None:
    run(tmp_path / "screened", constraints=["params<=150"], budget=Budget(4))
    refused = [sum(row.rejected.values()) for row in rows(tmp_path / "screened")[0]]
    run(tmp_path / "plain", constraints=["params<=150"], budget=Budget(4), prescreen=0)
    assert sum(refused) > 3 * sum(sum(row.rejected.values()) for row in rows(tmp_path / "plain")[0])


def test_a_stop_while_scoring_leaves_no_proposal(tmp_path: Path) -> None:
    stopped = ""

    class Stopped(Scoring):
        def score(self, requests: Sequence[Request], given_up: Callable[[], bool] = lambda: False) -> list[dict[str, float]]:
            nonlocal stopped
            if len(self.asked) == 3:
                stopped = "stopped"
                assert given_up()
                return [{} for _ in requests]
            return super().score(requests, given_up)

    reason, _ = run(tmp_path / "run", evaluator=Stopped(), stopped=lambda: stopped)
    assert reason == "stopped"
    assert len(rows(tmp_path / "run")[0]) == 3
    run(tmp_path / "run")
    run(tmp_path / "unbroken")
    assert rows(tmp_path / "run") == rows(tmp_path / "unbroken")


def test_what_needs_no_training_needs_no_guess(tmp_path: Path) -> None:
    with pytest.raises(ObjectiveError, match="params, macs need none"):
        run(tmp_path, objectives=["params", "macs"])


def test_an_evaluator_that_cannot_score_says_so(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="leave prescreen out"):
        run(tmp_path, evaluator=CallableEvaluator(accuracy))


# ---- off and on again


def backwards(request: Request) -> dict[str, float]:
    return {"a": -quality(request.fingerprint)}


def test_screening_that_does_not_help_ends_aloud_and_for_good(tmp_path: Path) -> None:
    evaluator = Scoring(backwards)
    _, events = run(tmp_path / "run", evaluator=evaluator, budget=Budget(ENOUGH + 10))
    (ended,) = [event for event in of(events, Screened) if event.off]
    assert ENOUGH <= ended.trial < ENOUGH + 10, "as soon as something was promised of enough networks"
    assert "networks does not rank them as accuracy does at equal cost (tau -" in str(ended)
    proposals, _, screenings = rows(tmp_path / "run")
    assert [row.proposal for row in screenings] == list(range(ended.trial + 1))
    assert len(proposals) >= ENOUGH + 10
    asked = len(evaluator.asked)
    run(tmp_path / "run", evaluator=evaluator, budget=Budget(ENOUGH + 20))
    assert len(evaluator.asked) == asked
    assert len(rows(tmp_path / "run")[2]) == ended.trial + 1


def test_screening_that_helps_goes_on(tmp_path: Path) -> None:
    _, events = run(tmp_path, budget=Budget(ENOUGH + 15))
    assert not [event for event in of(events, Screened) if event.off]
    assert len(rows(tmp_path)[2]) == ENOUGH + 15
    assert str(of(events, Screened)[-1]).startswith("trial 34: ")
    worth = of(events, Screened)[-1].worth
    assert worth is not None and worth.low > 0.2


@pytest.mark.parametrize("score", [None, backwards])
def test_a_search_that_died_again_and_again_equals_an_unbroken_one(tmp_path: Path, score: Any) -> None:
    budget, rng, deaths = Budget(ENOUGH + 6), np.random.default_rng(0), 0

    def evaluator() -> Scoring:
        return Scoring(score) if score else Scoring()

    run(tmp_path / "unbroken", evaluator=evaluator(), budget=budget)
    while True:
        left = int(rng.integers(1, 25))

        def tell(event: Event) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Died

        record = Record(tmp_path / "run", {})
        problem = Problem(SPACE, ["val_accuracy", "params"])
        try:
            search_loop(problem, RandomSearch(), evaluator(), record, budget=budget, on_event=tell, prescreen=10)
            record.close()
            break
        except Died:
            deaths += 1
            record.abandon()
    assert deaths > 3
    assert rows(tmp_path / "run") == rows(tmp_path / "unbroken")


STRATEGIES = ("random", "evolution", "local-search", "nsga2", "surrogate", "reinforce", "optuna:tpe", "optuna:nsga2", "exhaustive")


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_can_be_screened_and_computed_again(tmp_path: Path, name: str) -> None:
    for count in (6, 14):
        found = search(SPACE, evaluator=Scoring(), strategy=name, prescreen=3, evaluations=count, epochs=1, out=tmp_path)
    assert verify(found, *rebuild(found)) == []
    assert sum(len(row.candidates) for row in found.screenings()) >= (14 if name == "exhaustive" else 21)


def test_networks_that_climb_rungs_are_judged_where_all_are_measured(tmp_path: Path) -> None:
    for count in (8, 24):
        found = search(SPACE, evaluator=Scoring(), strategy="random", prescreen=4, evaluations=count, epochs=[1, 3], out=tmp_path)
    assert found.scores().set_index("score").loc["a", "networks"] == 24
    assert len(found.rows()[1]) > 24
    assert verify(found, *rebuild(found)) == []


def test_a_changed_choice_is_found(tmp_path: Path) -> None:
    search(SPACE, evaluator=Scoring(), strategy="random", prescreen=5, evaluations=12, out=tmp_path)
    connection = open_writer(tmp_path)
    connection.execute("UPDATE screenings SET chosen = (chosen + 1) % 4 WHERE proposal = 11")
    connection.close()
    mismatches = verify(open_run(tmp_path), *rebuild(open_run(tmp_path)))
    assert [(mismatch.trial, mismatch.what) for mismatch in mismatches] == [(11, "screening")]


# ---- as users meet it


def test_it_is_a_setting_of_the_run(tmp_path: Path) -> None:
    found = search(SPACE, evaluator=Scoring(), strategy="random", prescreen=4, evaluations=5, out=tmp_path)
    assert found.settings["prescreen"] == 4
    with pytest.raises(RunError, match="prescreen = 4, now it is not set"):
        search(SPACE, evaluator=Scoring(), strategy="random", evaluations=6, out=tmp_path)


@pytest.mark.parametrize(
    ("count", "evaluator", "words"),
    [(-1, Scoring(), "prescreen is -1, expected how many"), (2.5, Scoring(), "prescreen is 2.5"), (4, accuracy, "has no images")],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(tmp_path: Path, count: Any, evaluator: Any, words: str) -> None:
    with pytest.raises(RunError, match=words):
        search(SPACE, evaluator=evaluator, strategy="random", prescreen=count, evaluations=5, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_the_scores_were_worth_is_told_in_words_and_as_a_table(tmp_path: Path) -> None:
    found = search(SPACE, evaluator=Scoring(), strategy="random", prescreen=3, evaluations=12, out=tmp_path)
    assert screening_words(found).startswith(
        "prescreening: 12 proposals, each one of 3 networks scored untrained; their promise ranks"
    )
    assert [name for name, _, _ in screening_table(found)] == ["a", "b", "params", "depth", MEAN]
    table = found.scores().set_index("score")
    assert table.loc["a", "networks"] == 12
    assert table.loc["a", "equal_cost_low"] > 0
    plain = search(SPACE, evaluator=accuracy, strategy="random", evaluations=3, out=tmp_path / "plain")
    assert screening_words(plain) == ""
    assert plain.scores().empty


def test_a_search_whose_screening_ended_says_when(tmp_path: Path) -> None:
    found = search(SPACE, evaluator=Scoring(backwards), strategy="random", prescreen=5, evaluations=ENOUGH + 10, out=tmp_path)
    assert screening_words(found).splitlines()[1].startswith("prescreening ended at trial 2")


@pytest.mark.parametrize(("score", "told"), [(exactly, "promise ranks at equal cost by tau +"), (backwards, "prescreening ends: ")])
def test_the_display_the_closing_words_and_the_report_tell_it(tmp_path: Path, score: Any, told: str) -> None:
    text = io.StringIO()
    progress = Progress(Console(file=text, width=200), clock=iter(range(10_000)).__next__)
    with progress.shown():
        found = search(
            SPACE,
            evaluator=Scoring(score),
            strategy="random",
            prescreen=5,
            evaluations=ENOUGH + 10,
            out=tmp_path,
            progress=progress,
        )
    assert "prescreen    5 candidates scored untrained" in text.getvalue()
    assert told in text.getvalue()
    assert screening_words(found) in closing_words(found, progress.tally)
    page = found.report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Scores of untrained networks" in page and MEAN in page


def test_a_terminal_shows_what_a_promise_is_worth_until_screening_is_off() -> None:
    tally = Tally()
    tally.take(Screened(1, 10))
    assert (tally.promise, tally.unscreened) == ("", "")
    tally.take(Screened(12, 10, kendall([1, 2, 3, 4], [1, 2, 4, 3])))
    assert tally.promise.startswith("promise ranks at equal cost by tau +0.67 [")
    tally.take(Screened(20, 0, None, "it does not help"))
    assert (tally.promise, tally.unscreened) == ("", "prescreening is off: it does not help")
