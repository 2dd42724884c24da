"""What a plain function returns, or raises, becomes a measurement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nas.errors import EvaluationError
from nas.evaluators.base import Request
from nas.evaluators.function import CallableEvaluator
from nas.measurement import Outcome
from nas.recipe import Recipe

REQUEST = Request("abc", "net", lambda: "class Network: ...", Recipe(), seed=3, epochs=4)


def test_a_plain_function_is_an_evaluator() -> None:
    with CallableEvaluator(lambda architecture: {"val_accuracy": len(architecture)}) as evaluator:
        assert evaluator.slots == 1
        assert evaluator.collect(None) == []
        evaluator.submit(4, replace(REQUEST, architecture="four"))
        ((ticket, measured),) = evaluator.collect(None)
    assert ticket == 4
    assert (measured.outcome, measured.metrics, measured.epochs) == (Outcome.COMPLETE, {"val_accuracy": 4.0}, 4)
    assert isinstance(measured.metrics["val_accuracy"], float)


def raises(error: Exception) -> Callable[[Any], Mapping[str, float]]:
    def function(architecture: Any) -> Mapping[str, float]:
        raise error

    return function


@pytest.mark.parametrize(
    ("function", "outcome", "words"),
    [
        (raises(ValueError("first\nsecond")), Outcome.CRASHED, "ValueError: first"),
        (raises(KeyError()), Outcome.CRASHED, "KeyError"),
        (raises(MemoryError()), Outcome.OUT_OF_MEMORY, "MemoryError"),
        (lambda a: {"loss": float("nan")}, Outcome.DIVERGED, "metric 'loss' is nan, expected a finite number"),
        (lambda a: {"loss": np.float32("inf")}, Outcome.DIVERGED, "metric 'loss' is np.float32(inf), expected a finite number"),
        (lambda a: {"loss": "0.5"}, Outcome.CRASHED, "metric 'loss' is '0.5', expected a number"),
        (
            lambda a: {"loss": 10**400},
            Outcome.CRASHED,
            "metric 'loss' is no number that a float can hold (OverflowError: int too large to convert to float)",
        ),
        (lambda a: 0.5, Outcome.CRASHED, "an evaluator returns a dict of metrics, got float"),
    ],
)
def test_no_fault_of_a_function_is_an_exception(function: Any, outcome: Outcome, words: str) -> None:
    evaluator = CallableEvaluator(function)
    evaluator.submit(0, REQUEST)
    ((_, measured),) = evaluator.collect(None)
    assert (measured.outcome, measured.error, measured.metrics, measured.epochs) == (outcome, words, {}, 0)


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(EvaluationError, match="got dict"):
        CallableEvaluator({})  # type: ignore[arg-type]
