"""Structural NSGA-II: selection as printed, and the four things that are set for short searches."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pytest

from nas.budget import Budget
from nas.coordinator import search_loop
from nas.evaluators.function import CallableEvaluator
from nas.pareto import crowding, hypervolume, ranks
from nas.record import Record
from nas.strategies.base import History, Trial
from nas.strategies.nsga2 import NSGA2
from nas.strategies.random_search import RandomSearch


def parents_of(strategy: NSGA2, problem: Any, record: list[Trial]) -> list[int]:
    """The population, seen from outside: who is drawn as a parent."""
    rng = np.random.default_rng(0)
    drawn = [strategy.propose(problem, History(record), rng).parents for _ in range(200)]
    return sorted({number for parents in drawn for number in parents})


def best(record: list[Trial], count: int) -> list[Trial]:
    """Section III B and C, written without `crowded_order`."""
    losses = np.array([trial.losses for trial in record])
    rank = ranks(losses)
    distance = np.zeros(len(record))
    for front in set(rank.tolist()):
        distance[rank == front] = crowding(losses[rank == front])
    return sorted(record, key=lambda trial: (rank[record.index(trial)], -distance[record.index(trial)]))[:count]


def distinct(record: list[Trial]) -> list[Trial]:
    first: dict[Any, Trial] = {}
    for trial in record:
        first.setdefault(trial.key, trial)
    return list(first.values())


def test_the_papers_scheme_selects_among_parents_and_a_whole_generation(lab: Any) -> None:
    problem = lab.problem()
    strategy = NSGA2(population=4, initial=4, offspring=4, brood=1, pool=1)
    record = distinct(lab.grow(problem, strategy, 14))[:12]
    population: list[Trial] = []
    for generation in range(0, 12, 4):
        population = best(population + record[generation : generation + 4], 4)
        drawn = parents_of(strategy, problem, record[: generation + 4])
        assert drawn == sorted(trial.id for trial in population)
        assert parents_of(strategy, problem, record[: generation + 6]) == drawn  # half a generation changes nothing


def test_steady_state_selects_after_every_child(lab: Any) -> None:
    problem = lab.problem()
    strategy = NSGA2(population=4, initial=6, brood=1, pool=1)
    record = distinct(lab.grow(problem, strategy, 20))
    population = best(record[:6], 4)
    for end in range(6, len(record)):
        population = best([*population, record[end]], 4)
        if end % 4 == 0:
            assert parents_of(strategy, problem, record[: end + 1]) == sorted(trial.id for trial in population)


def test_the_first_trials_are_spread_over_the_cost(lab: Any) -> None:
    problem = lab.problem()

    def widest_gap(strategy: Any, seed: int) -> float:
        sizes = sorted(math.log(trial.losses[1]) for trial in lab.grow(problem, strategy, 12, seed=seed))
        return max(b - a for a, b in pairwise(sizes)) + 1 / (sizes[-1] - sizes[0])

    assert mean(widest_gap(NSGA2(), s) for s in range(5)) < mean(widest_gap(RandomSearch(), s) for s in range(5))


def test_the_first_trial_is_a_cheap_one(lab: Any) -> None:
    problem = lab.problem()
    cheap = problem.costs(lab.propose(problem, NSGA2(), History(())).genotype)["params"]
    drawn = [problem.costs(problem.space.sample(np.random.default_rng(s)))["params"] for s in range(40)]
    assert cheap <= np.quantile(drawn, 0.25)


def test_workers_are_spread_too(lab: Any) -> None:
    """What is pending has a place on the cost axis like what has ended."""
    problem, rng = lab.problem(), np.random.default_rng(0)
    first = lab.trial_of(problem, 0, NSGA2().propose(problem, History(()), rng))
    second = NSGA2().propose(problem, History((), (first,)), np.random.default_rng(0))
    assert problem.costs(second.genotype)["params"] > 4 * problem.costs(first.genotype)["params"]


def test_failures_keep_their_place_on_the_cost_axis(lab: Any) -> None:
    """Where the big ones run out of memory, the spread start does not go on asking for big ones."""
    problem = lab.problem()
    trials = lab.grow(problem, NSGA2(), 16, fails=lambda number: True)
    sizes = [problem.costs(trial.genotype)["params"] for trial in trials]
    assert len(set(sizes)) > 12


def test_no_network_is_proposed_twice(lab: Any) -> None:
    problem = lab.problem()
    trials = lab.grow(problem, NSGA2(population=4, initial=4), 60, workers=3)
    assert len({trial.key for trial in trials}) == len(trials)


def test_one_network_with_another_recipe_is_new(lab: Any) -> None:
    problem = lab.problem()
    a = lab.propose(problem, NSGA2(), History(()))
    trial = lab.trial_of(problem, 0, a)
    other = replace(trial, genotype={**trial.genotype, "recipe.lr": 0.05})
    assert trial.key != other.key
    assert trial.key == replace(trial, id=5, operator="mutate").key


def test_a_repeat_is_no_second_parent(lab: Any) -> None:
    problem = lab.problem()
    strategy = NSGA2(population=4, initial=4, brood=1)
    record = lab.grow(problem, strategy, 6)
    repeated = [*record, *(replace(record[0], id=i, repeat=True) for i in (6, 7, 8))]
    assert set(parents_of(strategy, problem, repeated)) <= {0, 1, 2, 3, 4, 5}


def test_a_refused_candidate_is_left_to_the_loop_at_once(lab: Any) -> None:
    """Hopeless constraints cost one candidate a question, not a pool."""
    problem = lab.problem(constraints=["params<1"])
    looked: list[Any] = []
    real = problem.consider

    def consider(genotype: Any) -> Any:
        looked.append(genotype)
        return real(genotype)

    problem.consider = consider
    NSGA2().propose(problem, History(()), np.random.default_rng(0))
    assert len(looked) == 1


def test_a_space_of_known_networks_still_gives_an_answer(lab: Any) -> None:
    from nas import Space
    from nas.blocks import Classifier, Conv, Sequential
    from nas.domains import choice
    from nas.problem import Problem

    tiny = Space(Sequential(Conv(channels=choice(2, 4), kernel=1), Classifier()), input_shape=(1, 4, 4), classes=2)
    problem = Problem(tiny, ["val_accuracy", "params"])
    trials = lab.grow(problem, NSGA2(initial=2, population=2), 6)
    assert len({trial.fingerprint for trial in trials[:2]}) == 2  # both networks first, then repeats for the loop to serve


def test_a_small_population_finds_every_network_of_a_small_space(lab: Any, tmp_path: Path) -> None:
    """Once the children of four parents are all known, networks that are drawn at random lead on."""
    problem = lab.problem(space=lab.tiny)
    for seed in range(3):
        with Record(tmp_path / str(seed), {}) as record:
            evaluator = CallableEvaluator(lambda architecture: {"val_accuracy": 0.5})
            search_loop(problem, NSGA2(population=4, initial=4), evaluator, record, budget=Budget(1_000), seed=seed)
            assert record.spent()[0] == 21


@pytest.mark.parametrize("count", [25, 50])
def test_it_beats_random_search(lab: Any, count: int) -> None:
    """Median share of the reached volume over five seeds; scales are those of all trials together."""
    problem = lab.problem()

    def volume(strategy: Any, seed: int) -> float:
        trials = lab.grow(problem, strategy, count, seed=seed)
        return hypervolume([(t.losses[0], math.log(t.losses[1])) for t in trials], (0.0, math.log(20_000)))

    ours = sorted(volume(NSGA2(), seed) for seed in range(5))
    random = sorted(volume(RandomSearch(), seed) for seed in range(5))
    assert ours[2] > random[2]
