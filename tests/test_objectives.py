"""Objectives and constraints."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import NasError, ObjectiveError, UnknownNameError
from nas.objectives import OBJECTIVES, Constraint, Objective, constraint, objective, objectives

SUFFIXES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def test_losses_are_smaller_for_better() -> None:
    assert objective("val_accuracy").loss(0.9) < objective("val_accuracy").loss(0.8)
    assert objective("params").loss(10) < objective("params").loss(11)
    for known in OBJECTIVES.values():
        assert known.about and (known.direction == "maximize") == known.name.startswith(
            ("val_accuracy", "val_balanced", "val_macro")
        )
        assert known.exact != known.name.startswith("val_")


def test_objectives_are_found_in_order() -> None:
    own = Objective("latency", "minimize", "ms")
    assert [o.name for o in objectives(["params", own, "val_accuracy"])] == ["params", "latency", "val_accuracy"]


@pytest.mark.parametrize(
    ("names", "error", "said"),
    [
        ([], ObjectiveError, "no objective given; expected at least one, for example val_accuracy,params"),
        (["params", "macs", "params"], ObjectiveError, "objective 'params' stands 2 times, expected once"),
        (["parms"], UnknownNameError, "unknown objective 'parms'; did you mean 'params'?"),
        (["accuracy"], UnknownNameError, "unknown objective 'accuracy'; did you mean 'val_accuracy'?"),
        (["zzz"], UnknownNameError, "unknown objective 'zzz'; known: activation_memory, depth"),
        ([3], UnknownNameError, "unknown objective '3'"),
    ],
)
def test_objectives_that_make_no_sense(names: list[str], error: type[NasError], said: str) -> None:
    with pytest.raises(error, match=said):
        objectives(names)


def test_a_string_is_no_list_of_objectives() -> None:
    with pytest.raises(ObjectiveError, match=r"got 'params'.*\['params'\]"):
        objectives("params")


@given(st.decimals(0, 1000, places=3), st.sampled_from(sorted(SUFFIXES)), st.sampled_from(["<=", ">=", "<", ">"]))
def test_a_bound_is_exactly_what_is_written(number: object, suffix: str, compare: str) -> None:
    found = constraint(f"params {compare} {number}{suffix}")
    exact = Fraction(str(number)) * SUFFIXES[suffix]
    assert (found.name, found.compare, found.bound) == ("params", compare, float(exact))
    if exact.denominator == 1:
        assert found.holds(int(exact)) is ("=" in compare)


@given(st.integers(1, 10**12))
def test_whole_numbers_next_to_a_bound(number: int) -> None:
    at_most, above = constraint(f"params<={number}"), constraint(f"params>{number}")
    assert at_most.holds(number) and not at_most.holds(number + 1) and at_most.holds(number - 1)
    assert not above.holds(number) and above.holds(number + 1)


@pytest.mark.parametrize(
    ("text", "bound"),
    [("params<=100k", 1e5), ("macs < 2.5M", 2.5e6), ("params<=.5k", 500), ("flops<=1e6", 1e6), ("macs<=3m", 3e6), ("weight_bytes<=64KI", 65536),
     ("params<=2.3M", 2_300_000), ("params<=4.35M", 4_350_000), ("params<=1.001k", 1001)],
)  # fmt: skip
def test_suffixes(text: str, bound: float) -> None:
    assert constraint(text).bound == bound
    assert str(constraint(f" {text} ")) == text


def test_constraints_are_values() -> None:
    assert constraint("params<=1k") == Constraint("params", "<=", 1000.0, "params<=1k")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("params", "cannot be read; expected NAME<=NUMBER, for example params<=100k"),
        ("params==3", "cannot be read"),
        ("params<=many", "cannot be read"),
        ("params<=-3", "cannot be read"),
        ("<=3", "cannot be read"),
        ("params<=3X", "unknown suffix 'X'; expected one of k, M, G, T, Ki, Mi, Gi"),
        ("", "cannot be read"),
    ],
)
def test_constraints_that_cannot_be_read(text: str, said: str) -> None:
    with pytest.raises(ObjectiveError, match=said):
        constraint(text)
