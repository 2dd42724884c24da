"""What earlier runs teach: models of what they measured, and the networks that they would begin with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nas.blocks import Classifier, Conv, Repeat, Sequential
from nas.domains import choice, integer
from nas.problem import Problem
from nas.space import Space
from nas.strategies.base import Earlier
from nas.surrogates.earlier import lessons
from nas.surrogates.features import Sheet

SPACE = Space(
    Sequential(Repeat(Conv(channels=choice(2, 4, 8), kernel=choice(1, 3)), times=integer(1, 3)), Classifier()),
    input_shape=(1, 8, 8),
    classes=3,
)


def a_run(count: int = 30, **losses: tuple[float, ...]) -> Earlier:
    """Loss falls with the size."""
    rng = np.random.default_rng(0)
    genotypes = {tuple(g.items()): g for g in (SPACE.sample(rng) for _ in range(4 * count))}
    chosen = tuple(genotypes.values())[:count]
    problem = Problem(SPACE, ["params"])
    return Earlier("a", chosen, losses or {"val_accuracy": tuple(-math.log(problem.costs(g)["params"]) for g in chosen)}, count)


def taught(problem: Problem, *runs: Earlier, points: int = 500) -> Any:
    return lessons(runs, problem, Sheet(problem.space.decisions()), points)


def test_a_model_predicts_what_an_earlier_run_would_have_measured() -> None:
    problem, run = Problem(SPACE, ["val_accuracy", "params"]), a_run()
    sheet = Sheet(SPACE.decisions())
    (model,) = lessons([run], problem, sheet, 500).models
    rng = np.random.default_rng(7)
    new = [problem.consider(SPACE.sample(rng)) for _ in range(40)]
    expected = model.mean([sheet.row(candidate) for candidate in new])
    assert np.corrcoef(expected, [-math.log(candidate.costs["params"]) for candidate in new])[0, 1] > 0.9


def test_favourites_are_the_front_of_what_the_constraints_admit() -> None:
    problem = Problem(SPACE, ["val_accuracy", "params"], ["params<=300"])
    found = taught(problem, a_run()).favourites
    assert 0 < len(found) <= 20
    assert all(problem.feasible(genotype) for genotype in found)
    alone = Problem(SPACE, ["val_accuracy"])
    sizes = [alone.costs(genotype)["params"] for genotype in taught(alone, a_run()).favourites]
    assert sizes == sorted(sizes, reverse=True)


def test_a_model_learns_from_what_the_constraints_refuse() -> None:
    tight = Problem(SPACE, ["val_accuracy", "params"], ["params<=60"])
    (model,) = taught(tight, a_run()).models
    assert len(model.rows) == 30


def test_each_run_and_each_measured_objective_has_its_model() -> None:
    problem = Problem(SPACE, ["val_accuracy", "val_loss", "params"])
    both = a_run(5, val_accuracy=(-1.0, -2.0, -3.0, -4.0, math.nan), val_loss=(1.0,) * 5)
    found = taught(problem, both, a_run(5, val_loss=(1.0, 2.0, 3.0, 4.0, 5.0)))
    assert [len(model.rows) for model in found.models] == [4, 5, 5]
    assert len(found.favourites) == 4  # of the run that measured all, where it did
    assert taught(Problem(SPACE, ["params"]), both).models == []


@pytest.mark.parametrize("points", [10, 12])
def test_a_model_is_made_from_so_many_points_at_most(points: int) -> None:
    (model,) = taught(Problem(SPACE, ["val_accuracy"]), a_run(), points=points).models
    assert len(model.rows) == points
