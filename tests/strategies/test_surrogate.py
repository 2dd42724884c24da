"""Model-guided search: what it chooses, what it makes of failures and of workers, and how it does against random search."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nas.errors import StrategyError
from nas.measurement import Outcome
from nas.pareto import hypervolume
from nas.strategies.base import History, Trial
from nas.strategies.random_search import RandomSearch
from nas.strategies.surrogate import Surrogate
from nas.surrogates.candidates import Candidates
from nas.surrogates.model import Model


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


def test_what_is_expected_of_pending_trials_is_believed(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials under way change what is proposed beside them, and not only because they are no candidates any more."""
    problem = lab.problem()
    trials = lab.grow(problem, quick(), 14)
    running = tuple(
        lab.trial_of(problem, 14 + s, quick().propose(problem, History(trials), np.random.default_rng(s))) for s in range(3)
    )

    def proposals() -> list[Any]:
        history = History(trials, running)
        return [quick().propose(problem, history, np.random.default_rng(s)).genotype for s in range(8)]

    believing = proposals()
    monkeypatch.setattr(Model, "believing", lambda model, rows: model)
    monkeypatch.setattr(
        Surrogate, "_pending", staticmethod(lambda problem, learner, history: Candidates(problem, learner.sheet, set()))
    )
    assert proposals() != believing


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
    places = quick(points=20)._chosen(np.arange(60)[::-1], 60)
    assert len(places) == len(set(places.tolist())) == 20
    assert set(range(50, 60)) <= set(places.tolist())  # the best half of them
    assert places.min() == 0
    problem.space.decode(lab.propose(problem, quick(points=20), History(trials)).genotype)


def test_a_space_of_known_networks_still_gives_an_answer(lab: Any) -> None:
    from nas import Space
    from nas.blocks import Classifier, Conv, Sequential
    from nas.domains import choice
    from nas.problem import Problem

    tiny = Space(Sequential(Conv(channels=choice(2, 4, 6), kernel=1), Classifier()), input_shape=(1, 4, 4), classes=2)
    problem = Problem(tiny, ["val_accuracy", "params"])
    trials = lab.grow(problem, Surrogate(initial=2), 6)
    assert len({trial.fingerprint for trial in trials[:3]}) == 3


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
