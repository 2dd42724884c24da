"""Regularised evolution: Algorithm 1 of Real et al. 2019, line by line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nas.strategies.base import History
from nas.strategies.evolution import RegularizedEvolution


def test_the_first_population_is_random(lab: Any) -> None:
    trials = lab.grow(lab.problem(["val_accuracy"]), RegularizedEvolution(population=6, tournament=2), 9)
    assert [trial.operator for trial in trials] == ["sample"] * 6 + ["mutate"] * 3


def test_failures_do_not_count_towards_the_population(lab: Any) -> None:
    strategy = RegularizedEvolution(population=4, tournament=2)
    trials = lab.grow(lab.problem(["val_accuracy"]), strategy, 9, fails=lambda number: number in (1, 2))
    assert [trial.operator for trial in trials] == ["sample"] * 6 + ["mutate"] * 3


def test_only_the_youngest_are_parents_and_a_full_tournament_finds_the_best_of_them(lab: Any) -> None:
    """Ageing: however good it is, a model dies when P younger ones have been trained."""
    problem = lab.problem(["val_accuracy"])
    trials = lab.grow(problem, RegularizedEvolution(population=5, tournament=2), 30)
    everyone = RegularizedEvolution(population=5, tournament=200)  # 200 draws of 5 miss one with a chance of 1e-19
    for end in range(5, 31):
        record = trials[:end]
        parent = lab.propose(problem, everyone, History(record)).parents
        assert parent == (min(record[-5:], key=lambda trial: trial.losses).id,)


def test_a_tournament_of_one_draws_every_living_model_evenly(lab: Any) -> None:
    problem = lab.problem(["val_accuracy"])
    trials = lab.grow(problem, RegularizedEvolution(population=4), 8)
    strategy, rng = RegularizedEvolution(population=4, tournament=1), np.random.default_rng(0)
    parents = [strategy.propose(problem, History(trials), rng).parents[0] for _ in range(400)]
    assert all(70 < parents.count(number) < 130 for number in (4, 5, 6, 7))


def test_a_child_is_one_mutation_away(lab: Any) -> None:
    """One change may insert a repetition; the values themselves change at one decision otherwise."""
    problem = lab.problem(["val_accuracy"])
    trials = lab.grow(problem, RegularizedEvolution(population=4, tournament=2), 40)
    by_id = {trial.id: trial.genotype for trial in trials}
    pairs = [(by_id[trial.parents[0]], trial.genotype) for trial in trials if trial.parents]
    same_shape = [(a, b) for a, b in pairs if a.keys() == b.keys()]
    assert len(same_shape) > 10
    assert all(sum(a[path] != b[path] for path in a) == 1 for a, b in same_shape)


def test_with_several_objectives_rank_then_crowding_decide(lab: Any) -> None:
    problem = lab.problem()
    trials = lab.grow(problem, RegularizedEvolution(population=5), 5)
    losses = [(3.0, 3.0), (2.0, 2.0), (0.0, 4.0), (1.0, 2.9), (4.0, 0.0)]  # the first is dominated; 2 and 4 are the front's ends
    record = [replace(trial, losses=values) for trial, values in zip(trials, losses, strict=True)]
    everyone = RegularizedEvolution(population=5, tournament=200)
    assert lab.propose(problem, everyone, History(record)).parents == (2,)
    pair, rng = RegularizedEvolution(population=5, tournament=2), np.random.default_rng(0)
    parents = [pair.propose(problem, History(record), rng).parents[0] for _ in range(300)]
    assert parents.count(0) < 30 < parents.count(4)  # the worst wins only against itself: 1 of 25
