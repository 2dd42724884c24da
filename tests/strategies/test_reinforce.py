"""REINFORCE: the gradient against finite differences, the reward, ranges, and that it learns."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nas.domains import Integer, Real
from nas.measurement import Outcome
from nas.strategies.base import History, Trial
from nas.strategies.reinforce import Policy, Reinforce, _reward, gradient, preferences, softmax


@pytest.mark.parametrize(("option", "advantage", "entropy"), [(0, 1.0, 0.0), (2, -0.4, 0.0), (1, 0.3, 0.7), (0, 0.0, 1.0)])
def test_the_gradient_is_that_of_the_objective(option: int, advantage: float, entropy: float) -> None:
    logits = [0.3, -1.2, 0.8, 0.0]

    def objective(at: list[float]) -> float:
        p = softmax(at)
        return advantage * math.log(p[option]) - entropy * sum(x * math.log(x) for x in p)

    found = gradient(softmax(logits), option, advantage, entropy)
    for i in range(4):
        up, down = list(logits), list(logits)
        up[i] += 1e-5
        down[i] -= 1e-5
        assert found[i] == pytest.approx((objective(up) - objective(down)) / 2e-5, abs=1e-8)


def test_chances_are_flattened_by_degrees() -> None:
    assert softmax([0.0, 0.0]) == [0.5, 0.5]
    sharp, flat, flatter = (softmax([4.0, 0.0], by)[0] for by in (1.0, 2.0, 8.0))
    assert sharp > flat > flatter > 0.5
    assert sum(softmax([900.0, -900.0, 3.0])) == pytest.approx(1.0)


def test_preferences_are_spread_evenly() -> None:
    assert preferences(1) == [(1.0,)]
    assert preferences(2) == [(0.0, 1.0), (0.25, 0.75), (0.5, 0.5), (0.75, 0.25), (1.0, 0.0)]
    assert len(preferences(3)) == 15
    assert all(sum(weights) == 1 for weights in preferences(4))


def test_the_reward_is_the_share_of_earlier_trials_that_are_worse() -> None:
    policy = Policy()
    rewards = [_reward(policy, (loss,), (1.0,)) for loss in (3.0, 5.0, 1.0, 4.0, float("inf"))]
    assert rewards == pytest.approx([0.5, 0.0, 1.0, 1 / 3, 0.0])
    assert _reward(policy, None, (1.0,)) == 0.0
    assert _reward(policy, (1.0,), (1.0,)) == pytest.approx(0.9)


def test_with_several_objectives_the_worst_weighted_share_counts() -> None:
    policy = Policy()
    for losses in ((0.0, 4.0), (1.0, 3.0), (2.0, 2.0), (3.0, 1.0)):
        _reward(policy, losses, (0.5, 0.5))
    assert _reward(replace(policy, earlier=[list(e) for e in policy.earlier]), (-1.0, 9.0), (1.0, 0.0)) == 1.0
    assert _reward(replace(policy, earlier=[list(e) for e in policy.earlier]), (-1.0, 9.0), (0.0, 1.0)) == 0.0
    assert _reward(replace(policy, earlier=[list(e) for e in policy.earlier]), (-1.0, 9.0), (0.75, 0.25)) == pytest.approx(2 / 3)


@pytest.mark.parametrize("domain", [Real(0.01, 1.0, log=True), Real(-1.0, 1.0), Integer(-5, 1_000), Integer(0, 10), Integer(2, 4)])
def test_values_lie_in_the_option_they_were_drawn_for(domain: Any) -> None:
    strategy, rng = Reinforce(bins=7), np.random.default_rng(0)
    for option in range(strategy._options(domain)):
        for _ in range(30):
            value = strategy._value(domain, option, rng)
            assert domain.holds(value)
            if isinstance(domain, Real) or not strategy._binned(domain):
                assert strategy._option(domain, value) == option
            else:
                assert abs(strategy._option(domain, value) - option) <= 1


def search(lab: Any, strategy: Reinforce, count: int) -> list[Trial]:
    """Rewards small networks: the loss is the number of parameters, whatever else."""
    problem, finished = lab.problem(["val_accuracy"]), []
    for number in range(count):
        proposal = lab.propose(problem, strategy, History(finished))
        trial = lab.trial_of(problem, number, proposal)
        loss = float(problem.costs(proposal.genotype)["params"])
        finished.append(replace(trial, losses=(loss,), outcome=Outcome.COMPLETE))
    return finished


def test_it_learns(lab: Any) -> None:
    """The median of the last 50 of 200 is below the first quarter of what an untaught policy draws."""
    params = [trial.losses[0] for trial in search(lab, Reinforce(), 200) if trial.losses]
    untaught = [trial.losses[0] for trial in search(lab, Reinforce(rate=0.0), 200) if trial.losses]
    assert np.median(params[-50:]) < np.quantile(untaught, 0.25)
    assert np.median(untaught[-50:]) > np.quantile(untaught, 0.25)


def test_a_repeat_is_not_learnt_from_twice(lab: Any) -> None:
    problem, strategy = lab.problem(["val_accuracy"]), Reinforce()
    trials = lab.grow(problem, strategy, 10)
    again = replace(trials[0], id=10, repeat=True)
    assert strategy._fold.over(problem, [*trials, again]).weights == Reinforce()._fold.over(problem, trials).weights


def test_entropy_keeps_a_policy_from_settling(lab: Any) -> None:
    def sharpest(entropy: float) -> float:
        strategy = Reinforce(entropy=entropy)
        trials = search(lab, strategy, 150)
        policy = strategy._fold.over(strategy._fold._problem, trials)  # type: ignore[arg-type]
        return max(max(vector) - min(vector) for vector in policy.weights.values())

    assert sharpest(1.0) < sharpest(0.0)


def test_each_proposal_of_several_objectives_notes_its_preference(lab: Any) -> None:
    trials = lab.grow(lab.problem(), Reinforce(), 40)
    assert {trial.notes["preference"] for trial in trials} == {0, 1, 2, 3, 4}
    assert not any(trial.notes for trial in lab.grow(lab.problem(["val_accuracy"]), Reinforce(), 5))


@pytest.mark.parametrize("seed", range(2))
def test_a_policy_that_is_sure_of_what_is_refused_draws_more_evenly(lab: Any, seed: int) -> None:
    """It learns from what was trained alone: that larger is better, until nothing it draws keeps the bound."""
    problem = lab.problem(constraints=["params<=64"])
    assert len(lab.grow(problem, Reinforce(rate=4.0), 100, seed=seed)) == 100  # fails where 500 in a row are refused
