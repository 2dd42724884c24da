"""Domains: what they hold, draw and refuse; 1, True and 1.0 are three values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.blocks import Conv
from nas.domains import Choice, Domain, Integer, Real, choice, identity, integer, is_value, real
from nas.errors import SpaceError

PLAIN = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.0, 1.0, -1.5]), st.text(max_size=2))
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=4)


def domains() -> st.SearchStrategy[Domain]:
    choices = st.lists(VALUES, min_size=1, max_size=5, unique_by=identity).map(lambda values: Choice(tuple(values)))
    integers = st.tuples(st.integers(-9, 9), st.integers(0, 9)).map(lambda t: Integer(t[0], t[0] + t[1]))
    bounds = st.tuples(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9), st.booleans())
    return st.one_of(choices, integers, bounds.map(lambda t: Real(min(t[:2]), max(t[:2]), t[2])))


@given(VALUES, VALUES)
def test_identity_is_type_and_value(a: object, b: object) -> None:
    same = repr(a) == repr(b)
    assert (identity(a) == identity(b)) is same  # type: ignore[arg-type]
    if same:
        assert hash(identity(a)) == hash(identity(b))  # type: ignore[arg-type]


def test_one_true_and_one_point_nought_are_three_values() -> None:
    three = Choice((1, True, 1.0, (1,), (True,)))
    assert [three.where(v) for v in three.values] == [0, 1, 2, 3, 4]
    assert not Choice((1,)).holds(True) and not Choice((True,)).holds(1) and not Choice((1.0,)).holds(1)
    assert not Integer(0, 1).holds(True) and not Integer(0, 1).holds(1.0) and not Real(0.0, 1.0).holds(1)


@given(domains(), st.integers(0, 2**32))
def test_what_is_drawn_is_held_and_has_a_place(domain: Domain, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(5):
        value = domain.draw(rng)
        assert domain.holds(value)
        again = domain.at(domain.where(value))
        assert again == pytest.approx(value) if isinstance(domain, Real) else identity(again) == identity(value)
        for other in domain.near(value):
            assert domain.holds(other) and identity(other) != identity(value)
    assert all(domain.holds(value) for value in domain.examples())
    assert domain.draw(np.random.default_rng(seed)) == domain.draw(np.random.default_rng(seed))


@given(domains())
def test_positions_run_through_all_values(domain: Domain) -> None:
    if domain.size is None:
        assert domain.holds(domain.at(0)) and domain.holds(domain.at(1))
        return
    values = [domain.at(i) for i in range(domain.size)]
    assert len({identity(v) for v in values}) == domain.size
    assert [domain.where(v) for v in values] == list(range(domain.size))


def test_draws_are_even() -> None:
    rng = np.random.default_rng(0)
    for domain in (Choice(("a", "b", "c")), Integer(-1, 1)):
        counts = np.bincount([int(domain.where(domain.draw(rng))) for _ in range(6_000)], minlength=3)
        assert ((counts > 1_850) & (counts < 2_150)).all()
    drawn = np.array([real(1e-4, 1.0, log=True)] * 0 + [Real(1e-4, 1.0, True).draw(rng) for _ in range(4_000)])
    assert abs(float(np.mean(drawn < 1e-2)) - 0.5) < 0.03


def test_near_values() -> None:
    assert Choice((1, 2, 3)).near(2) == (1, 3)
    assert Integer(1, 3).near(1) == (2,) and Integer(1, 3).near(2) == (1, 3) and Integer(1, 1).near(1) == ()
    assert Real(0.0, 1.0).near(0.05) == (pytest.approx(0.15),)
    assert Real(0.5, 0.5).near(0.5) == ()
    low, high = Real(0.01, 1.0, True).near(0.1)
    assert math.log(0.1 / low) == pytest.approx(math.log(high / 0.1))  # type: ignore[arg-type,operator]


def test_they_read_as_they_are_written() -> None:
    for domain in (choice(1, "a", None, (1, 2.5)), integer(1, 3), real(0.01, 0.5, log=True), real(1, 2)):
        assert eval(repr(domain)) == domain
    assert isinstance(integer(1, 2), Integer) and integer(1, 1).size == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), [1], {1}, b"x", 1j, np.float64(0.1), np.int64(1), object(), (1, [2])]
)
def test_values_are_plain(value: object) -> None:
    assert not is_value(value)
    with pytest.raises(SpaceError, match="expected None, bool, int, float, str or tuples of them") as caught:
        choice(16, value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: choice(), r"choice\(\) is empty; expected at least one value, for example choice\(16, 32\)"),
        (lambda: choice(1, 2, 1), r"holds 1 more than once"),
        (lambda: choice(Conv(3), Conv(4)), r"to choose between blocks write OneOf\(block, block, ...\)"),
        (lambda: choice(Conv, 3), r"OneOf"),
        (lambda: choice([Conv(3), Conv(4)]), r"OneOf"),
        (lambda: choice([16, 32]), r"choice\(\) got \[16, 32\] of type list; expected .*; write choice\(16, 32\)$"),
        (lambda: choice(range(1, 4)), r"write choice\(1, 2, 3\)$"),
        (lambda: choice([[16], [32]]), r"tuples of them$"),
        (lambda: choice([]), r"tuples of them$"),
        (lambda: choice(choice(1, 2), 3), r"choice\(1, 2\) of type Choice"),
        (lambda: choice(np.zeros((3, 3))), r"of type ndarray"),
        (lambda: integer(3, 1), r"low <= high must hold, but got low=3, high=1; swap them"),
        (lambda: integer(1, 2.0), r"high is 2.0 of type float, expected an int"),
        (lambda: integer(True, 2), r"low is True of type bool, expected an int"),
        (lambda: integer(0, 10**400), r"high is .* expected at most 9,007,199,254,740,992 in size"),
        (lambda: real(0.5, 0.1), r"low <= high must hold, but got low=0.5, high=0.1; swap them"),
        (lambda: real(0.0, 1.0, log=True), r"a log scale needs low > 0, but got low=0.0"),
        (lambda: real(float("nan"), 1.0), r"low is nan, expected a finite number"),
        (lambda: real(0.0, float("inf")), r"high is inf, expected a finite number"),
        (lambda: real("0", 1.0), r"low is '0', expected a finite number"),
        (lambda: real(False, 1.0), r"low is False, expected a finite number"),
        (lambda: real(-1e308, 1e308), r"low is -1e\+308, expected at most"),
        (lambda: real(0, 10**400), r"high is 1000.* expected a finite number"),
    ],
)
def test_what_makes_no_sense_is_told_in_one_line(make: object, said: str) -> None:
    with pytest.raises(SpaceError, match=said) as caught:
        make()  # type: ignore[operator]
    assert "\n" not in str(caught.value)
