"""Model-guided search: what it chooses, what it makes of failures and of workers, and how it does against random search."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from nas.errors import StrategyError
from nas.measurement import Outcome
from nas.pareto import hypervolume
from nas.strategies.base import Earlier, Exhausted, History, Proposal, Trial, key_of
from nas.strategies.random_search import RandomSearch
from nas.strategies.surrogate import Surrogate
from nas.surrogates.candidates import Rest
from nas.surrogates.earlier import lessons
from nas.surrogates.features import Sheet
from nas.surrogates.model import Learner, predictions, representatives
from nas.variation import complete, successor


def quick(**settings: Any) -> Surrogate:
    return Surrogate(**{"initial": 6, "pool": 4, "candidates": 24, **settings})


@pytest.mark.parametrize(("name", "value"), [("initial", 1), ("pool", 0), ("candidates", True), ("points", 2.5)])
def test_settings_that_make_no_sense_are_refused(name: str, value: object) -> None:
    with pytest.raises(StrategyError, match=f"surrogate: {name} is {value!r}, expected a whole number of at least"):
        Surrogate(**{name: value})  # type: ignore[arg-type]


def test_the_first_trials_are_samples_and_then_there_are_children(lab: Any) -> None:
    trials = lab.grow(lab.problem(), quick(), 20)
    assert {trial.operator for trial in trials[:6]} == {"sample"}
    assert any(trial.parents for trial in trials[6:])


def test_no_network_is_proposed_twice_by_any_worker(lab: Any) -> None:
    trials = lab.grow(lab.problem(), quick(), 40, workers=4)
    assert len({trial.key for trial in trials}) == len(trials)


def test_what_is_expected_of_pending_trials_is_believed(lab: Any) -> None:
    """Trials under way change what is proposed beside them, and not only because they are no candidates any more."""
    problem = lab.problem()
    trials = lab.grow(problem, quick(), 14)
    running = [lab.trial_of(problem, 14 + s, quick().propose(problem, History(trials), np.random.default_rng(s))) for s in range(3)]
    silent = [replace(trial, outcome=Outcome.INTERRUPTED) for trial in running]

    def proposals(history: History) -> list[Any]:
        return [quick().propose(problem, history, np.random.default_rng(s)).genotype for s in range(8)]

    assert proposals(History(trials, tuple(running))) != proposals(History([*trials, *silent]))


def test_failures_steer_away(lab: Any) -> None:
    """Where every large network runs out of memory, searching goes on among the small ones."""
    problem = lab.problem()
    limit = 1500
    finished: list[Trial] = []
    for number in range(40):
        proposal = lab.propose(problem, quick(), History(finished))
        trial = lab.trial_of(problem, number, proposal)
        fails = problem.costs(trial.genotype)["params"] > limit
        finished.append(lab.end(trial, None if fails else lab.losses(problem, proposal)))
    late = [trial for trial in finished[20:] if trial.losses is None]
    assert len(late) < 10
    assert any(trial.losses is None for trial in finished)


def test_an_interrupted_trial_says_nothing(lab: Any) -> None:
    problem = lab.problem()
    trials = lab.grow(problem, quick(), 12)
    broken = Trial(12, problem.space.sample(np.random.default_rng(77)), "elsewhere", None, Outcome.INTERRUPTED)
    plain, after = (quick().propose(problem, History(seen), np.random.default_rng(3)) for seen in (trials, [*trials, broken]))
    assert plain == after


def test_a_repeat_adds_nothing(lab: Any) -> None:
    problem = lab.problem()
    trials = lab.grow(problem, quick(), 12)
    again = Trial(12, trials[3].genotype, trials[3].fingerprint, trials[3].losses, Outcome.COMPLETE, repeat=True)
    plain, after = (quick().propose(problem, History(seen), np.random.default_rng(3)) for seen in (trials, [*trials, again]))
    assert plain == after


def test_more_trials_than_points(lab: Any) -> None:
    problem = lab.problem()
    trials = lab.grow(problem, RandomSearch(), 60)
    places = representatives(np.arange(60)[::-1], 60, 20)
    assert len(places) == len(set(places.tolist())) == 20
    assert set(range(50, 60)) <= set(places.tolist())  # the best half of them
    assert places.min() == 0
    problem.space.decode(lab.propose(problem, quick(points=20), History(trials)).genotype)


def looked_through(lab: Any, strategy: Surrogate, workers: int = 1, constraints: tuple[str, ...] = ()) -> list[Trial]:
    """Searches the space of 21 networks until the strategy has nothing left to propose."""
    problem, finished, running = lab.problem(space=lab.tiny, constraints=constraints), list[Trial](), list[Trial]()
    while True:
        try:
            proposal = lab.propose(problem, strategy, History(finished, tuple(running)))
        except Exhausted as reason:
            assert f"all 21 genotypes of the space were looked at: {len(finished) + len(running)} network" in str(reason)
            if not running:
                return finished
        else:
            running.append(lab.trial_of(problem, len(finished) + len(running), proposal))
        if len(running) >= workers or len(finished) + len(running) >= 21:
            trial = running.pop(0)
            finished.append(lab.end(trial, None if trial.id % 3 == 1 else lab.losses(problem, Proposal(trial.genotype))))


@pytest.mark.parametrize("initial", [2, 10, 50])
@pytest.mark.parametrize("workers", [1, 4])
def test_a_small_space_is_searched_to_its_end_without_a_repeat(lab: Any, initial: int, workers: int) -> None:
    trials = looked_through(lab, Surrogate(initial=initial, pool=2, candidates=4), workers)
    assert len({trial.key for trial in trials}) == len(trials) == 21


def test_a_constrained_space_is_searched_to_its_end(lab: Any) -> None:
    problem = lab.problem(space=lab.tiny, constraints=("params<=60",))
    feasible = {key for g in every(lab.tiny) if (key := key_of(problem, g)) is not None}
    trials = looked_through(lab, quick(), constraints=("params<=60",))
    assert {trial.key for trial in trials} == feasible
    assert 0 < len(feasible) < 21


def every(space: Any) -> Iterator[Any]:
    genotype: Any = complete(space, {}, None)
    while genotype is not None:
        yield genotype
        genotype = successor(space, genotype)


def test_a_large_space_of_known_networks_gives_a_sample(lab: Any) -> None:
    """Here because of a continuum that leads to few networks: the loop serves what is known."""
    problem, nothing = lab.problem(), set[Any]()
    proposal = Rest().proposal(problem, nothing, nothing, np.random.default_rng(1))
    assert proposal.operator == "sample"


def test_what_is_passed_over_while_it_runs_is_not_forgotten(lab: Any) -> None:
    problem, rest = lab.problem(space=lab.tiny), Rest()
    keys = [key_of(problem, genotype) for genotype in every(lab.tiny)]
    rng = np.random.default_rng(0)
    assert key_of(problem, rest.proposal(problem, {keys[0]}, {keys[1], keys[2]}, rng).genotype) == keys[3]
    assert key_of(problem, rest.proposal(problem, {keys[0]}, {keys[2]}, rng).genotype) == keys[1]


def earlier(lab: Any, problem: Any, count: int = 40, sign: float = 1.0) -> Earlier:
    """A run of random networks with the accuracy of this search, or (sign -1) with the reverse of it."""
    trials = lab.grow(problem, RandomSearch(), count, seed=99)
    return Earlier("a", tuple(t.genotype for t in trials), {"val_accuracy": tuple(sign * t.losses[0] for t in trials)}, count)


def test_earlier_runs_say_what_to_begin_with(lab: Any) -> None:
    """Every other of the first proposals is theirs, whatever is measured by then: nothing, or only failures."""
    problem = lab.problem(("val_accuracy",))
    run = earlier(lab, problem)
    best = min(zip(run.losses["val_accuracy"], range(40), strict=True))[1]
    trials = lab.grow(problem, quick().warmed([run]), 6, fails=lambda number: number < 4)
    assert [trial.operator == "sample" for trial in trials[::2]] == [True] * 3
    assert all(trial.operator.startswith("earlier") for trial in trials[1:4:2])
    assert problem.consider(run.genotypes[best]).fingerprint in {trial.fingerprint for trial in trials}


def test_a_warm_proposal_can_be_computed_again(lab: Any) -> None:
    problem = lab.problem(constraints=["params<=2k"])
    run, seen = earlier(lab, problem), list[tuple[History, Proposal]]()
    fails = {3, 6, 9}
    lab.grow(
        problem, quick().warmed([run]), 14, workers=3, fails=fails.__contains__,
        watch=lambda history, proposal: seen.append((history, proposal)),
    )  # fmt: skip
    for history, proposal in seen:
        assert lab.propose(problem, quick().warmed([run]), history) == proposal


@pytest.mark.parametrize(("sign", "low", "high"), [(1.0, 0.1, 9.9), (-1.0, -9.9, 0.02)])
def test_a_misleading_run_is_seen_through(lab: Any, sign: float, low: float, high: float) -> None:
    """What the points say of an earlier run decides: of two networks it tells apart, the model follows it, or the reverse."""
    problem = lab.problem(("val_accuracy",))
    run = earlier(lab, problem, 60, sign)
    learner = Learner(sheet := Sheet(problem.space.decisions()))
    learner.earlier = lessons([run], problem, sheet, 500).models
    trials = lab.grow(problem, RandomSearch(), 30, seed=5)
    learner.rows += [sheet.row(problem.consider(trial.genotype), grow=True) for trial in trials]
    model = learner.model(np.array([trial.losses for trial in trials]), np.ones(1), np.arange(30))
    rows = [sheet.row(problem.consider(genotype)) for genotype in run.genotypes]
    slope = np.polyfit(predictions(learner.earlier, rows)[:, 0], model.predict(rows)[0], 1)[0]
    assert low < slope < high


def test_sixteen_workers_are_given_different_networks_far_apart(lab: Any) -> None:
    """Farther apart than sixteen answers of which none knows of the others, each the best guess of its own."""
    problem = lab.problem(space=lab.finite)
    together, alone = [], []
    for seed in (0, 1):
        trials, running = lab.grow(problem, quick(), 12, seed=seed), list[Trial]()
        for number in range(12, 28):
            running.append(lab.trial_of(problem, number, lab.propose(problem, quick(), History(trials, tuple(running)), seed)))
        assert len({trial.fingerprint for trial in [*trials, *running]}) == 28
        rngs = [np.random.default_rng([seed, number]) for number in range(12, 28)]
        together.append(apart([trial.genotype for trial in running]))
        alone.append(apart([quick().propose(problem, History(trials), rng).genotype for rng in rngs]))
    assert sum(together) > sum(alone)


def apart(genotypes: list[Any]) -> float:
    """Returns the mean share of decisions in which two genotypes differ."""
    pairs = combinations(genotypes, 2)
    return float(np.mean([1 - len(a.items() & b.items()) / max(len(a), len(b)) for a, b in pairs]))


def test_exact_objectives_alone_are_improved_without_a_model(lab: Any) -> None:
    problem = lab.problem(("params",))
    trials = lab.grow(problem, quick(), 25)
    drawn = [problem.costs(problem.space.sample(np.random.default_rng(s)))["params"] for s in range(100)]
    assert min(trial.losses[0] for trial in trials) <= np.quantile(drawn, 0.02)


@pytest.mark.parametrize("objectives", [("val_accuracy", "params"), ("val_accuracy",)])
def test_it_beats_random_search(lab: Any, objectives: tuple[str, ...]) -> None:
    """Median over five seeds of the volume reached, or of the best accuracy, after 30 trials."""
    problem = lab.problem(objectives)

    def quality(strategy: Any, seed: int) -> float:
        losses = [trial.losses for trial in lab.grow(problem, strategy, 30, seed=seed)]
        if len(objectives) == 1:
            return -min(loss for (loss,) in losses)
        return hypervolume([(loss, math.log(cost)) for loss, cost in losses], (0.0, math.log(20_000)))

    ours = sorted(quality(quick(), seed) for seed in range(5))
    random = sorted(quality(RandomSearch(), seed) for seed in range(5))
    assert ours[2] > random[2]
