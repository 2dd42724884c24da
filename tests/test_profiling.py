"""What a space holds, as far as it is known before anything is trained."""

from __future__ import annotations

import numpy as np
import pytest

from nas.blocks import Classifier, Conv, Pool, Sequential
from nas.costs import cost_of
from nas.domains import choice
from nas.errors import ObjectiveError
from nas.evaluators.base import Evaluator, Request
from nas.measurement import Measurement, Outcome
from nas.problem import Problem
from nas.profiling import measure_seconds, profile_space
from nas.recipe import Recipe
from nas.space import Space

SPACE = Space(Sequential(Conv(channels=choice(200, 400)), Pool(kernel=choice(2, 16)), Classifier()), (1, 8, 8), 3)


@pytest.mark.parametrize(
    ("constraints", "said"),
    [
        (["params<=3"], r"none of 40 candidates is valid: params<=3 holds for none; the smallest params seen is 2,803$"),
        (["params>=1M"], r"params>=1M holds for none; the largest params seen is 5,603$"),
        (["share<=0.1"], r"share<=0\.1 holds for none; the smallest share seen is 0\.25$"),
    ],
)
def test_what_no_candidate_keeps_is_told_with_the_nearest_value(constraints: list[str], said: str) -> None:
    space = Space(Sequential(Conv(channels=choice(200, 400)), Classifier()), (1, 8, 8), 3)
    problem = Problem(space, ["params"], constraints, {"share": lambda graph: 0.25})
    with pytest.raises(ObjectiveError, match=said):
        profile_space(problem, np.random.default_rng(0), samples=40)


def test_what_cannot_be_built_is_told_by_the_block() -> None:
    space = Space(Sequential(Conv(2), Pool(kernel=choice(16, 17)), Classifier()), (1, 8, 8), 3)
    with pytest.raises(ObjectiveError, match=r"none of 5 candidates is valid: pool: .*does not fit into 8 x 8"):
        profile_space(Problem(space, ["params"]), np.random.default_rng(0), samples=5)


def test_shares_of_valid_and_rejected_candidates() -> None:
    profile, valid = profile_space(Problem(SPACE, ["params"]), np.random.default_rng(0), samples=60)
    assert profile.valid * 60 == len(valid) == 60 - profile.rejected["infeasible"]
    assert [candidate.costs["macs"] for candidate in valid] == sorted(candidate.costs["macs"] for candidate in valid)
    assert "does not fit" in profile.example


class Quick(Evaluator):
    """Takes a fixed time for any network, and some for each of its multiply-adds."""

    def __init__(self, seconds: float, slope: float = 0.0) -> None:
        self.seconds, self.slope = seconds, slope
        self.waiting: list[tuple[int, float]] = []

    @property
    def slots(self) -> int:
        return 2

    def submit(self, ticket: int, request: Request) -> None:
        self.waiting.append((ticket, self.seconds + self.slope * cost_of(request.architecture.graph).macs))

    def describe(self) -> dict[str, object]:
        return {}

    def collect(self, timeout: float | None) -> list[tuple[int, Measurement]]:
        ticket, seconds = self.waiting.pop()
        return [(ticket, Measurement(Outcome.COMPLETE, epochs=1, seconds=seconds))]


@pytest.mark.parametrize("seconds", [0.0123, 2.0, 123.0])
def test_seconds_of_a_candidate_are_those_of_its_epochs_however_quick(seconds: float) -> None:
    profile, valid = profile_space(Problem(SPACE, ["params"]), np.random.default_rng(0), samples=60)
    timed = measure_seconds(profile, valid, Quick(seconds), Recipe(), epochs=3)
    assert timed.seconds["mean"] == pytest.approx(3 * seconds, rel=0.01)


def test_larger_networks_take_longer() -> None:
    profile, valid = profile_space(Problem(SPACE, ["params"]), np.random.default_rng(0), samples=60)
    timed = measure_seconds(profile, valid, Quick(20.0, 1e-4), Recipe(), epochs=1.5)
    expected = [1.5 * (20.0 + 1e-4 * candidate.costs["macs"]) for candidate in valid]
    assert timed.seconds["0"] == pytest.approx(expected[0], rel=0.01) and timed.seconds["1"] == pytest.approx(
        expected[-1], rel=0.01
    )
    assert timed.seconds["mean"] == pytest.approx(np.mean(expected), rel=0.01)
    assert expected[-1] > 1.2 * expected[0]
