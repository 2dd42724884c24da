"""The columns of a table as a space: what can be decided is a row, and every row can be decided."""

from __future__ import annotations

import numpy as np
import pytest

from nas.bench.columns import column_space, values_of
from nas.domains import Choice
from nas.errors import GenotypeError
from nas.space import Space

DEEP = values_of([("1", "x", ""), ("2", "x", "x"), ("2", "x", "y"), ("2", "y", "x"), ("2", "y", "y")])
"""A second layer only where the depth is 2."""


def deep() -> Space:
    return column_space(["depth", "op1", "op2"], DEEP, "deep")


def test_whole_numbers_are_numbers_and_all_else_is_text() -> None:
    assert values_of([("1", "01", "", "a"), ("-20", "2", "3", "1")]) == ((1, "01", "", "a"), (-20, "2", 3, "1"))


def test_decisions_have_the_names_and_values_of_columns() -> None:
    assert deep().decisions() == {"depth": Choice((1, 2)), "op1": Choice(("x", "y")), "op2": Choice(("x", "y"))}
    assert deep().size() == 5


def test_whatever_is_drawn_changed_or_crossed_is_a_row() -> None:
    space, rng = deep(), np.random.default_rng(0)
    seen = set()
    a = space.sample(rng)
    for _ in range(300):
        b = space.sample(rng)
        made = (a, b, space.mutate(a, rng), space.crossover(a, b, rng), *space.neighbours(b))
        for genotype in made:
            assert tuple(genotype.get(name, "") for name in ("depth", "op1", "op2")) in DEEP
            space.decode(genotype)
        seen.update(tuple(genotype.items()) for genotype in made)
        a = b
    assert len(seen) == 5


def test_an_empty_cell_is_no_decision_where_nothing_else_is_there() -> None:
    space = deep()
    assert space.project({"depth": 1, "op1": "x", "op2": "y"}) == {"depth": 1, "op1": "x"}
    with pytest.raises(GenotypeError, match="'op2' is not active"):
        space.decode({"depth": 1, "op1": "x", "op2": "y"})


def test_an_empty_cell_beside_others_is_a_value() -> None:
    space = column_space(["a", "b"], values_of([("x", ""), ("x", "k"), ("y", "k")]), "t")
    assert space.decisions() == {"a": Choice(("x", "y")), "b": Choice(("", "k"))}
    assert {tuple(space.sample(np.random.default_rng(i)).values()) for i in range(40)} == {("x", ""), ("x", "k"), ("y", "k")}


def test_a_combination_that_is_no_row_is_refused() -> None:
    space = column_space(["a", "b"], values_of([("x", "k"), ("y", "l")]), "t")
    with pytest.raises(GenotypeError, match="'b' is 'l', expected one of"):
        space.decode({"a": "x", "b": "l"})
    assert space.project({"a": "x", "b": "l"}) == {"a": "x", "b": "l"}  # as a sampler of fixed length may suggest
