"""What a candidate looks like to a model."""

from __future__ import annotations

import numpy as np
import pytest

from nas import Space, choice, integer, real
from nas.blocks import Classifier, Conv, OneOf, Pool, Repeat, Sequential
from nas.problem import Candidate, Problem
from nas.recipe import Recipe
from nas.surrogates.features import Sheet, decision_features, network_features

SPACE = Space(
    input_shape=(1, 8, 8),
    classes=4,
    body=Sequential(
        Repeat(OneOf(Conv(channels=choice(4, 8, 16)), Pool(kind=choice("max", "avg"), kernel=3, stride=1)), times=integer(1, 3)),
        Classifier(),
    ),
    recipe=Recipe(lr=real(0.01, 0.1, log=True)),
)


def genotype(*blocks: object) -> dict[str, object]:
    """A genotype with convolutions of these channels, and poolings of these kinds."""
    found: dict[str, object] = {"repeat.times": len(blocks)}
    for i, block in enumerate(blocks):
        kind = "pool" if isinstance(block, str) else "conv"
        found[f"repeat[{i}].block"] = kind
        found[f"repeat[{i}].{kind}.{'kind' if kind == 'pool' else 'channels'}"] = block
    return {**found, "recipe.lr": 0.1}


def considered(*blocks: object) -> Candidate:
    return Problem(SPACE, ["val_accuracy", "params"]).consider(genotype(*blocks))  # type: ignore[arg-type]


def test_decisions_of_one_place_are_one_group_and_numbers_have_an_order() -> None:
    found = decision_features(genotype(4, 16, "avg"), SPACE.decisions())  # type: ignore[arg-type]
    channels = {name: value for (group, name), value in found.items() if group == "repeat[].conv.channels"}
    assert channels == {
        "repeat[0].conv.channels": 0.0,
        "repeat[0].conv.channels is active": 1.0,
        "repeat[1].conv.channels": 1.0,
        "repeat[1].conv.channels is active": 1.0,
    }
    assert found["repeat.times", "repeat.times"] == 1.0
    assert found["recipe.lr", "recipe.lr"] == pytest.approx(1.0)


def test_values_are_counted_wherever_they_stand() -> None:
    def counts(*blocks: object) -> dict[object, float]:
        found = decision_features(genotype(*blocks), SPACE.decisions())  # type: ignore[arg-type]
        return {column: value for column, value in found.items() if column[0].startswith("how many")}

    assert counts(4, "max", 8) == counts(8, 4, "max")
    assert sorted(counts(4, 4, "max").values()) == [1.0, 1.0, 2.0, 2.0]  # a pool, its kind, two convolutions, their width


def test_of_a_network_its_costs_and_operations() -> None:
    candidate = considered(4, 16, "avg")
    found = network_features(candidate)
    assert found["cost params", ""] == pytest.approx(np.log1p(candidate.costs["params"]))
    assert found["nodes Pool2d", ""] == pytest.approx(np.log1p(1))
    assert found["last width", ""] == pytest.approx(np.log(16))


def test_rows_have_the_columns_that_were_there_when_they_were_made() -> None:
    sheet = Sheet(SPACE.decisions())
    first = sheet.row(considered(4), grow=True)
    columns = len(sheet.groups)
    assert len(first) == columns
    assert len(sheet.row(considered(4, "max", 8))) == columns == len(sheet.groups)
    second = sheet.row(considered(4, "max", 8), grow=True)
    assert len(second) == len(sheet.groups) > columns
    assert second[:columns].tolist() == sheet.row(considered(4, "max", 8))[:columns].tolist()
    assert first.dtype == np.float32
