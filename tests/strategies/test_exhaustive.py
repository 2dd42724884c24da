"""Exhaustive search: the order, what is passed over, and the end."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nas
from nas.attempts import Halted, next_candidate
from nas.budget import Budget
from nas.coordinator import search_loop
from nas.errors import StrategyError
from nas.evaluators.function import CallableEvaluator
from nas.record import Record
from nas.strategies.base import Exhausted, History, Proposal, Trial, Unfinished
from nas.strategies.exhaustive import Exhaustive
from nas.strategies.start_from import StartFrom
from nas.variation import complete, same, successor

RNG = np.random.default_rng(0)


def genotypes(space: Any) -> list[Any]:
    found = [complete(space, {}, None)]
    while (following := successor(space, found[-1])) is not None:
        found.append(following)
    return found


def positions(space: Any, genotype: Any) -> list[float]:
    """Where a genotype stands in the fixed-length encoding, inactive decisions before all others."""
    return [domain.where(genotype[path]) if path in genotype else -1 for path, domain in space.decisions().items()]


@pytest.mark.parametrize("which", ["tiny", "finite"])
def test_every_genotype_once_in_the_order_of_the_encoding(lab: Any, which: str) -> None:
    space = getattr(lab, which)
    found = genotypes(space)
    assert len(found) == space.size()
    keys = [tuple(genotype.items()) for genotype in found]
    assert len(set(keys)) == len(keys)
    if which == "tiny":
        assert all(positions(space, a) < positions(space, b) for a, b in pairwise(found))


def test_a_search_ends_by_itself_and_says_so(lab: Any, tmp_path: Path) -> None:
    problem, seen = lab.problem(space=lab.tiny), []

    def evaluate(architecture: Any) -> dict[str, float]:
        seen.append(architecture.fingerprint)
        return {"val_accuracy": 0.5}

    for _ in range(2):  # begun again it has nothing to do
        with Record(tmp_path, {}) as record:
            reason = search_loop(problem, Exhaustive(), CallableEvaluator(evaluate), record, budget=Budget(1_000))
        assert reason == "all 21 genotypes of the space were looked at: 21 networks"
        assert len(seen) == len(set(seen)) == 21


def test_what_is_known_pending_or_refused_is_passed_over(lab: Any) -> None:
    problem = lab.problem(space=lab.tiny, constraints=["params<=60"])
    everything = [g for g in genotypes(lab.tiny) if problem.feasible(g)]
    known = [lab.end(lab.trial_of(problem, 0, Exhaustive().propose(problem, History(()), RNG)), (0.0, 0.0))]
    elsewhere = Trial(1, everything[2], problem.consider(everything[2]).fingerprint, operator="start x")
    first = Exhaustive().propose(problem, History(known, (elsewhere,)), RNG)
    assert same(first.genotype, everything[1])
    pending = lab.trial_of(problem, 2, first)
    assert same(Exhaustive().propose(problem, History(known, (elsewhere, pending)), RNG).genotype, everything[3])


def test_it_goes_on_behind_its_own_latest_not_behind_a_start(lab: Any) -> None:
    problem = lab.problem(space=lab.tiny)
    everything = genotypes(lab.tiny)
    strategy = StartFrom({"last": everything[-1]}, Exhaustive())
    trials = lab.grow(problem, strategy, 21)
    assert [same(t.genotype, g) for t, g in zip(trials, [everything[-1], *everything[:-1]], strict=True)] == [True] * 21
    with pytest.raises(Exhausted, match=r"^all 21 genotypes of the space were looked at: 21 networks$"):
        strategy.propose(problem, History(trials), RNG)


def test_nothing_feasible_is_exhausted_at_once(lab: Any) -> None:
    with pytest.raises(Exhausted, match=r"^none of all 21 genotypes is feasible \(constraints: params<=1\); nas profile"):
        Exhaustive().propose(lab.problem(space=lab.tiny, constraints=["params<=1"]), History(()), RNG)


def test_a_large_space_is_refused_by_its_size(lab: Any) -> None:
    with pytest.raises(StrategyError, match=r"^exhaustive: the space has 9,360 genotypes, expected at most largest=9,359; close"):
        Exhaustive(largest=9_359).propose(lab.problem(space=lab.finite), History(()), RNG)
    with pytest.raises(StrategyError, match="the space has a continuum of genotypes"):
        Exhaustive().propose(lab.problem(), History(()), RNG)
    assert Exhaustive(largest=9_360).propose(lab.problem(space=lab.finite), History(()), RNG)


def test_workers_that_end_in_another_order_miss_nothing(lab: Any) -> None:
    """The three that are in flight at the end are waited for."""
    problem = lab.problem(space=lab.tiny)
    trials = lab.grow(problem, Exhaustive(), 21, workers=4)
    ids = [trial.id for trial in trials]
    assert len(set(ids)) == 18 and ids != sorted(ids)
    everything = genotypes(lab.tiny)
    missing = [lab.trial_of(problem, i, Proposal(everything[i], operator="next")) for i in range(21) if i not in ids]
    with pytest.raises(Exhausted):
        Exhaustive().propose(problem, History(trials, tuple(missing)), RNG)
    assert all(same(trial.genotype, everything[trial.id]) for trial in trials)


def test_it_can_be_stopped_while_it_looks_through_what_is_known_or_refused(lab: Any) -> None:
    problem = lab.problem(space=lab.finite, constraints=["params<=1"])
    looked, real = [], problem.consider
    problem.consider = lambda genotype: (looked.append(genotype), real(genotype))[1]
    asked = 0

    def halted() -> bool:
        nonlocal asked
        asked += 1
        return asked == 3

    with pytest.raises(Halted):
        next_candidate(problem, Exhaustive(), History(()), 0, halted=halted)
    assert 0 < len(looked) < 1_000
    everything = genotypes(lab.finite)[: len(looked)]
    assert all(same(a, b) for a, b in zip(looked, everything, strict=True))  # it went on where it was


def test_where_it_was_counts_for_one_history_alone(lab: Any) -> None:
    problem = lab.problem(space=lab.finite, constraints=["params<=1"])
    strategy = Exhaustive()
    with pytest.raises(Unfinished):
        strategy.propose(problem, History(()), RNG)
    free = lab.problem(space=lab.finite)
    assert same(strategy.propose(free, History(()), RNG).genotype, genotypes(lab.finite)[0])


def test_a_large_space_is_refused_before_anything_is_written(lab: Any, tmp_path: Path) -> None:
    with pytest.raises(StrategyError, match=r"exhaustive: the space has .* genotypes, expected at most"):
        nas.search(
            "fashion_small",
            strategy="exhaustive",
            evaluator=len,
            input_shape=(1, 28, 28),
            classes=10,
            evaluations=2,
            out=tmp_path / "run",
        )
    assert not (tmp_path / "run").exists()
