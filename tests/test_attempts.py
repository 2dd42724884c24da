"""One proposal: what a strategy does wrong is told in one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nas.attempts import Accepted, next_candidate
from nas.blocks import Classifier, Conv, Sequential
from nas.domains import choice
from nas.errors import GenotypeError, ObjectiveError, StrategyError
from nas.measurement import Outcome
from nas.problem import Problem
from nas.space import Space
from nas.strategies.base import History, Proposal, Strategy, Trial

PROBLEM = Problem(Space(Sequential(Conv(channels=choice(1, 2)), Classifier()), (1, 4, 4), 2), ["val_accuracy", "params"])
GENOTYPE = {"conv.channels": 1}
SEEN = History([Trial(0, GENOTYPE, "f" * 32, (-0.5, 3.0), Outcome.COMPLETE)])


class Mine(Strategy):
    """Returns or raises what it was given."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def propose(self, problem: Problem, history: History, rng: np.random.Generator) -> Proposal:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


def ask(answer: Any) -> Accepted:
    return next_candidate(PROBLEM, Mine(answer), SEEN, 0)


def test_what_a_strategy_raises_is_told_in_one_line() -> None:
    with pytest.raises(StrategyError, match=r"^strategy Mine failed at proposal 1: ValueError: two lines$") as caught:
        ask(ValueError("two\n  lines"))
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(StrategyError, match=r"failed at proposal 1: KeyError: 'a'$"):
        ask(KeyError("a"))
    with pytest.raises(StrategyError, match=r"failed at proposal 1: ValueError$"):
        ask(ValueError())


@pytest.mark.parametrize("error", [ObjectiveError("in words"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error_in_words_and_a_signal_pass_through(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        ask(error)
    assert caught.value is error


@pytest.mark.parametrize(
    ("answer", "got"),
    [
        (None, "None"),
        (GENOTYPE, r"\{'conv.channels': 1\}"),
        (Proposal(None), "a Proposal of None"),  # type: ignore[arg-type]
        (Proposal([1, 2]), r"a Proposal of \[1, 2\]"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_proposal_is_told(answer: Any, got: str) -> None:
    with pytest.raises(
        StrategyError, match=rf"^strategy Mine returned {got} at proposal 1, expected a Proposal\(genotype\)"
    ) as caught:
        ask(answer)
    assert "\n" not in str(caught.value)


def test_a_genotype_of_another_space_keeps_its_own_words() -> None:
    with pytest.raises(GenotypeError):
        ask(Proposal({"conv.chanels": 1}))


def test_a_proposal_is_accepted() -> None:
    assert ask(Proposal(GENOTYPE)).candidate.costs["params"] > 0
