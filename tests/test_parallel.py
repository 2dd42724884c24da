"""Trainings side by side, with an evaluator that answers what a test says."""

from __future__ import annotations

from typing import Any

from nas.evaluators.base import Evaluator, Request
from nas.measurement import Measurement, Outcome
from nas.parallel import train_each
from nas.recipe import Recipe


class Answers(Evaluator):
    """Gives back, at each look, those tickets that were listed for it."""

    slots = 2

    def __init__(self, *looks: dict[int, Outcome]) -> None:
        self.looks, self.asked = list(looks), 0

    def submit(self, ticket: int, request: Request) -> None:
        self.asked += 1

    def collect(self, timeout: float | None) -> list[tuple[int, Measurement]]:
        return [(ticket, Measurement(outcome)) for ticket, outcome in self.looks.pop(0).items()]

    def describe(self) -> dict[str, Any]:
        return {}


def run(evaluator: Answers, stop_after: int = 99) -> tuple[list[str], int]:
    """Returns what ended, and how often it was told that time passes."""
    ended: list[str] = []
    waits: list[int] = []
    looks = len(evaluator.looks)
    train_each(
        "abcd",
        lambda item: Request(item, item, str, Recipe(), 0, 1),
        evaluator,
        began=lambda running: None,
        ended=lambda item, measurement: ended.append(f"{item} {measurement.outcome}"),
        stopped=lambda: "stop" if looks - len(evaluator.looks) >= stop_after else "",
        waited=lambda: waits.append(1),
    )
    return ended, len(waits)


def test_all_are_trained_and_time_is_told_while_nothing_ends() -> None:
    done = Outcome.COMPLETE
    evaluator = Answers({}, {1: done}, {}, {2: done, 3: done}, {4: done})
    assert run(evaluator) == (["a complete", "b complete", "c complete", "d complete"], 5)
    assert evaluator.asked == 4


def test_all_in_flight_are_told_of_before_one_more_is_begun_and_nothing_follows_a_refusal() -> None:
    done, told = Outcome.COMPLETE, []
    evaluator = Answers({2: done}, {1: done})

    def request(item: str) -> Request | None:
        return None if item == "c" else Request(item, item, str, Recipe(), 0, 1)

    def began(running: list[str]) -> None:
        told.append((list(running), evaluator.asked))

    ended: list[str] = []
    train_each("abcd", request, evaluator, began=began, ended=lambda item, _: ended.append(item), stopped=str)
    assert told == [(["a"], 0), (["a", "b"], 1)]
    assert ended == ["b", "a"]


def test_a_stop_keeps_what_ended_but_for_what_it_may_have_ended_itself() -> None:
    evaluator = Answers({1: Outcome.COMPLETE, 2: Outcome.INTERRUPTED}, {3: Outcome.COMPLETE})
    assert run(evaluator, stop_after=1)[0] == ["a complete"]
    assert evaluator.asked == 2
