"""What an evaluator is asked, and what it may answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas.blocks import Classifier, Conv, Sequential
from nas.domains import choice, real
from nas.errors import EvaluationError, RunError
from nas.jobs import Job, Training, checked, revived
from nas.measurement import Measurement, Outcome
from nas.objectives import objectives
from nas.problem import Candidate, Problem
from nas.recipe import Recipe
from nas.rows import ProposalRow
from nas.space import Space

SPACE = Space(Sequential(Conv(channels=choice(1, 2, 3)), Classifier()), input_shape=(1, 4, 4), classes=2)
OBJECTIVES = objectives(["val_accuracy", "params"])
COSTS = {"params": 7.0, "macs": 9.0}
TRAINING = Training(seed=0, epochs=9, recipe=Recipe(), data="")


def candidate(space: Space) -> Candidate:
    return Problem(space, ["val_accuracy"]).consider(space.sample(np.random.default_rng(0)))


def row_of(found: Candidate) -> ProposalRow:
    return ProposalRow(5, found.fingerprint, "r", found.genotype)


def test_a_request_says_all_that_an_evaluator_needs() -> None:
    found, training = candidate(SPACE), Training(seed=3, epochs=4, recipe=Recipe(lr=0.5), data="d")
    asked: list[str] = []

    def source() -> str:
        asked.append("asked")
        return "text"

    request = Job(row_of(found), found).request(training, source, Path("weights/x"))
    assert (request.fingerprint, request.architecture) == (found.fingerprint, found.architecture)
    assert (request.seed, request.epochs, request.first_epoch, request.end) == (3, 4, 0, 4)
    assert (request.recipe.lr, request.checkpoint, asked) == (0.5, Path("weights/x"), [])
    assert request.source() == "text"


def test_an_architecture_with_a_recipe_of_its_own_is_trained_by_it() -> None:
    space = Space(SPACE.body, SPACE.input_shape, SPACE.classes, recipe=Recipe(lr=real(0.1, 0.2)))
    assert 0.1 <= Training(0, 1, Recipe(lr=0.5), "").recipe_of(candidate(space)).lr <= 0.2


def test_a_proposal_is_revived_while_it_is_the_same_network() -> None:
    problem, found = Problem(SPACE, ["val_accuracy"]), candidate(SPACE)
    job = revived(row_of(found), problem, Path("runs/a"))
    assert job.resumed and job.candidate.fingerprint == found.fingerprint
    with pytest.raises(RunError, match=r"trial 5 of .*a is refused now \(params is .*\); its costs or its space changed"):
        revived(row_of(found), Problem(SPACE, ["val_accuracy"], ["params<=1"]), Path("runs/a"))
    other = Space(SPACE.body, SPACE.input_shape, classes=3)
    with pytest.raises(RunError, match=r"trial 5 of .*a is another network now .*choose another folder"):
        revived(row_of(found), Problem(other, ["val_accuracy"]), Path("runs/a"))


@pytest.mark.parametrize(
    ("metrics", "kept", "said"),
    [
        ({"val_accuracy": 0.5, "score": 1.0}, {"val_accuracy": 0.5, "score": 1.0}, ""),
        (
            {"score": 1.0},
            {"score": 1.0},
            "objective 'val_accuracy' was not measured; the evaluator and the costs give score, params",
        ),
        ({"val_accuracy": 0.5, "macs": 1.0}, {"val_accuracy": 0.5}, "metric 'macs' has the name of an exact cost"),
        ({"macs": 1.0}, {}, "metric 'macs' has the name of an exact cost"),
    ],
)
def test_an_answer_without_an_objective_or_with_the_name_of_a_cost_is_none(
    metrics: dict[str, float], kept: dict[str, float], said: str
) -> None:
    answer = Measurement(Outcome.COMPLETE, metrics, epochs=1, seconds=2.0)
    found = checked(answer, TRAINING, 1, COSTS, OBJECTIVES, first=False)
    assert dict(found.metrics) == kept and found.error.startswith(said) and found.seconds == 2.0
    assert found.outcome is (Outcome.CRASHED if said else Outcome.COMPLETE)
    if said:
        with pytest.raises(EvaluationError, match=r"exact cost|was not measured"):
            checked(answer, TRAINING, 1, COSTS, OBJECTIVES, first=True)


def test_a_failure_stays_what_it_is_and_overrides_no_cost() -> None:
    failed = Measurement(Outcome.TIMED_OUT, {"params": 1.0, "score": 2.0}, error="too late")
    found = checked(failed, TRAINING, 1, COSTS, OBJECTIVES, first=True)
    assert (found.outcome, found.error, dict(found.metrics)) == (Outcome.TIMED_OUT, "too late", {"score": 2.0})


def test_with_rungs_a_result_after_other_epochs_is_none() -> None:
    answer, rungs = Measurement(Outcome.COMPLETE, {"val_accuracy": 0.5}, epochs=2), replace(TRAINING, cycles=(1, 3))
    assert checked(answer, TRAINING, 3, COSTS, OBJECTIVES, first=False).outcome is Outcome.COMPLETE
    found = checked(answer, rungs, 3, COSTS, OBJECTIVES, first=False)
    assert (found.outcome, found.error) == (
        Outcome.CRASHED,
        "measured after 2 epochs, asked for after 3: unequal epochs are not compared",
    )
    assert checked(answer, rungs, 2, COSTS, OBJECTIVES, first=False) == answer
