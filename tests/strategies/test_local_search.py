"""Local search: Algorithm 1 of White et al. 2020, its archive with several objectives, and several workers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nas.strategies.base import History, Trial
from nas.strategies.local_search import LocalSearch
from nas.variation import same

RNG = np.random.default_rng(0)


def is_neighbour(space: Any, centre: Trial, genotype: Any) -> bool:
    return any(same(genotype, other) for other in space.neighbours(centre.genotype))


def test_one_objective_goes_from_better_to_better_and_starts_anew_at_an_optimum(lab: Any) -> None:
    """Replayed by hand, with one start: each neighbour is one of the best of its descent, each start comes when none is left."""
    problem = lab.problem(["val_accuracy"], space=lab.tiny)
    trials = lab.grow(problem, LocalSearch(starts=1), 21)
    assert {trial.operator for trial in trials} == {"sample", "neighbour"}
    known: set[Any] = set()
    best: Trial | None = None
    for trial in trials:
        left = (
            [] if best is None else [g for g in lab.tiny.neighbours(best.genotype) if problem.consider(g).fingerprint not in known]
        )
        if trial.operator == "sample":
            assert not left
            best = trial
        else:
            assert best is not None and trial.parents == (best.id,) and is_neighbour(lab.tiny, best, trial.genotype)
            assert trial.fingerprint not in known
            best = min(best, trial, key=lambda one: one.losses)
        known.add(trial.fingerprint)
    assert len(known) > 12
    assert sum(trial.operator == "sample" for trial in trials) > 1


def test_a_descent_begins_from_the_best_of_its_starts(lab: Any) -> None:
    problem = lab.problem(["val_accuracy"])
    trials = lab.grow(problem, LocalSearch(starts=5), 6)
    assert [trial.operator for trial in trials] == ["sample"] * 5 + ["neighbour"]
    assert trials[5].parents == (min(trials[:5], key=lambda trial: trial.losses).id,)


def test_several_objectives_step_from_any_network_that_nothing_dominates(lab: Any) -> None:
    problem = lab.problem()
    trials = lab.grow(problem, LocalSearch(starts=4), 12)
    losses = [(0.0, 3.0), (1.0, 2.0), (2.0, 1.0), (3.0, 0.0), (1.0, 3.0), (2.0, 2.0)]
    history = [replace(trial, losses=loss, parents=(), notes={}) for trial, loss in zip(trials[:6], losses, strict=True)]
    parents = {LocalSearch(starts=4).propose(problem, History(history), np.random.default_rng(i)).parents for i in range(60)}
    assert parents == {(trial.id,) for trial in history[:4]}


def test_a_better_neighbour_takes_the_place_of_all_it_dominates(lab: Any) -> None:
    problem = lab.problem()
    trials = lab.grow(problem, LocalSearch(starts=2), 4)
    history = [
        replace(trial, losses=loss) for trial, loss in zip(trials, [(2.0, 2.0), (1.0, 3.0), (1.0, 1.0), (1.0, 1.0)], strict=True)
    ]
    assert {LocalSearch(starts=2).propose(problem, History(history), np.random.default_rng(i)).parents for i in range(20)} == {(2,)}


def test_workers_get_different_neighbours_and_starts(lab: Any) -> None:
    problem = lab.problem(["val_accuracy"], space=lab.tiny)
    strategy = LocalSearch(starts=1)
    pending: list[Trial] = []
    for number in range(12):
        proposal = strategy.propose(problem, History((), tuple(pending)), np.random.default_rng([0, number]))
        pending.append(lab.trial_of(problem, number, proposal))
    assert len({trial.fingerprint for trial in pending}) == 12


def test_neighbours_that_run_are_waited_for_and_a_late_one_goes_on_with_its_descent(lab: Any) -> None:
    """All neighbours run, so a start is made; then one of them turns out better, and the start does not end its descent."""
    problem, strategy = lab.problem(["val_accuracy"], space=lab.tiny), LocalSearch(starts=1)
    first = lab.end(lab.trial_of(problem, 0, strategy.propose(problem, History(()), RNG)), (5.0,))
    running: list[Trial] = []
    while True:
        proposal = strategy.propose(problem, History([first], tuple(running)), RNG)
        running.append(lab.trial_of(problem, len(running) + 1, proposal))
        if not proposal.parents:
            break
    *neighbours, start = running
    assert len(neighbours) >= 3 and start.notes == {"moves": 1}
    better, other = lab.end(neighbours[0], (4.0,)), lab.end(start, (4.5,))
    history = [first, better, other]
    assert strategy.propose(problem, History(history, tuple(neighbours[1:])), RNG).parents in ((better.id,), ())
    fresh = LocalSearch(starts=1)
    assert {fresh.propose(problem, History(history), np.random.default_rng(i)).parents for i in range(20)} == {(better.id,)}


def test_a_start_that_fails_is_made_again(lab: Any) -> None:
    problem = lab.problem(["val_accuracy"], space=lab.tiny)
    trials = lab.grow(problem, LocalSearch(starts=1), 5, fails=lambda number: True)
    assert [trial.operator for trial in trials] == ["sample"] * 5
