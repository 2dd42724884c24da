"""Optuna's samplers: suggestions, generations."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import NSGAIISampler, RandomSampler
from optuna.trial import FrozenTrial

from nas.errors import StrategyError
from nas.optuna_mirror import Encoding
from nas.strategies.base import History, Proposal, Trial
from nas.strategies.optuna_samplers import OptunaNSGA2, OptunaNSGA3, OptunaQMC, OptunaTPE
from nas.strategies.own_sampler import OwnSampler


def test_inactive_decisions_are_told_as_they_were_suggested(lab: Any) -> None:
    problem = lab.problem()
    proposal = lab.propose(problem, OptunaTPE(), History(()))
    trial = lab.trial_of(problem, 0, proposal)
    encoding = Encoding(lab.space.decisions())
    assert list(encoding.positions(trial).values()) == pytest.approx(proposal.notes["positions"])
    assert len(proposal.genotype) < len(proposal.notes["positions"])


GENETIC = {"optuna:nsga2": OptunaNSGA2, "optuna:nsga3": OptunaNSGA3}


def generation(notes: Mapping[str, Any]) -> int:
    return int(next(value for key, value in notes["system_attrs"].items() if key.endswith(":generation")))


def parents_of(trials: Sequence[Trial]) -> dict[int, list[list[int]]]:
    """Which trials each generation descends from, once for every trial that says so."""
    found: dict[int, list[list[int]]] = {}
    for trial in trials:
        for key, ids in trial.notes.get("study_attrs", {}).items():
            found.setdefault(int(key.rpartition(":")[2]), []).append(ids)
    return found


@pytest.mark.parametrize("strategy", GENETIC.values(), ids=GENETIC)
def test_generations_go_on_and_parents_come_from_the_record(lab: Any, strategy: type[OptunaNSGA2]) -> None:
    """Generation 0 for ever is random search: what an unrecorded attribute would give."""
    trials = lab.grow(lab.problem(), strategy(population=5), 25)
    generations = [generation(trial.notes) for trial in trials]
    assert generations == sorted(generations)
    assert generations[-1] == 4
    parents = parents_of(trials)
    assert list(parents) == [1, 2, 3, 4]
    assert all(len(noted) == 1 and len(noted[0]) == 5 for noted in parents.values())
    for g, noted in parents.items():
        assert all(generations[i] < g for i in noted[0])


@pytest.mark.parametrize("strategy", GENETIC.values(), ids=GENETIC)
def test_children_inherit(lab: Any, strategy: type[OptunaNSGA2]) -> None:
    trials = lab.grow(lab.problem(), strategy(population=5), 25)
    parents = parents_of(trials)
    children = [trial for trial in trials if generation(trial.notes) and trial.operator == strategy.name]
    shares = []
    for child in children:
        inherited = [
            any(trials[parent].notes["positions"][i] == at for parent in parents[generation(child.notes)][0])
            for i, at in enumerate(child.notes["positions"][:-1])
        ]
        shares.append(np.mean(inherited))
    assert np.mean(shares) > 0.9


def test_a_late_ending_does_not_change_the_parents_of_a_generation_begun(lab: Any) -> None:
    """With workers, trials of a generation end while the next one is under way; all of that one descend from the same trials."""
    late: list[int] = []

    def watch(history: History, proposal: Proposal) -> None:
        born = generation(proposal.notes)
        late.extend(t.id for t in history.pending if generation(t.notes) < born)

    trials = lab.grow(lab.problem(), OptunaNSGA2(population=5), 30, workers=4, watch=watch)
    parents = parents_of(trials)
    assert late
    assert len(parents) >= 3
    assert all(len(noted) == 1 for noted in parents.values())


def test_mutation_and_crossover_are_settings(lab: Any) -> None:
    """Without both, every child is a copy of a parent, until the walk to something new."""
    problem = lab.problem(space=lab.finite)
    trials = lab.grow(problem, OptunaNSGA2(population=5, crossover_prob=0.0, mutation_prob=0.0), 20)
    assert {trial.operator for trial in trials if generation(trial.notes)} == {"optuna:nsga2+mutate"}


def test_a_sequence_goes_on_where_it_was(lab: Any) -> None:
    """One seed for the whole search, and each place of the sequence once: else the cover would not be even."""
    trials = lab.grow(lab.problem(), OptunaQMC(), 12)
    assert len({trial.notes["seed"] for trial in trials}) == 1
    places = [next(iter(trial.notes["study_attrs"].values())) for trial in trials[1:]]  # the first one is drawn
    assert places == list(range(11))
    for path in ("stem.channels", "repeat.times"):
        if path in trials[0].genotype:
            counts = np.unique([trial.genotype[path] for trial in trials[1:9]], return_counts=True)[1]
            assert np.ptp(counts) <= 2


def test_a_study_looks_the_same_however_it_came_about(lab: Any) -> None:
    """What a sampler can see of it is the history alone: no trace of having been asked before, in numbers or attributes."""
    problem = lab.problem()

    class Spy(RandomSampler):
        def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
            seen.append((trial.number, [t.number for t in study.trials], dict(study.user_attrs)))
            study.set_user_attr("asked", study.user_attrs.get("asked", 0) + 1)

    seen: list[tuple[int, list[int], dict[str, Any]]] = []
    live = OwnSampler(lambda seed: Spy(seed), "mine.py:spy")
    trials = lab.grow(problem, live, 6)
    grown, seen = seen[-1], []
    problem_anew = lab.problem()
    lab.propose(problem_anew, OwnSampler(lambda seed: Spy(seed), "mine.py:spy"), History(trials[:5]))
    assert seen == [grown] == [(5, [0, 1, 2, 3, 4, 5], {"asked": 5})]


def own(made: Callable[..., Any], **options: Any) -> OwnSampler:
    return OwnSampler(made, "mine.py:made", options)


def test_a_sampler_that_fails_is_told_in_one_line(lab: Any) -> None:
    class Single(RandomSampler):
        def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: Any) -> dict[str, Any]:
            raise ValueError("several objectives\nare too many")

        def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> Any:
            return {"stem.channels": optuna.distributions.CategoricalDistribution((0, 1))}

    with pytest.raises(StrategyError, match=r"failed \(proposal 0, 2 objectives\): ValueError: several objectives are too many"):
        lab.propose(lab.problem(), own(lambda seed: Single(seed)), History(()))


def test_a_sampler_that_suggests_what_is_not_there_is_told(lab: Any) -> None:
    class Beyond(RandomSampler):
        def sample_independent(self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: Any) -> Any:
            if param_name == "recipe.lr":
                return 7.0
            return super().sample_independent(study, trial, param_name, param_distribution)

    with pytest.raises(StrategyError, match=r"recipe.lr is 7.0, expected a value of FloatDistribution"):
        lab.propose(lab.problem(), own(lambda seed: Beyond(seed)), History(()))


def test_what_cannot_be_recorded_is_refused(lab: Any) -> None:
    class Keeps(RandomSampler):
        def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
            study.set_user_attr("held", {1, 2})

    with pytest.raises(StrategyError, match="attribute 'held' cannot be kept as JSON"):
        lab.propose(lab.problem(), own(lambda seed: Keeps(seed)), History(()))


def test_samplers_of_optuna_serve_by_a_factory(lab: Any) -> None:
    """A class is a factory too; one that keeps its generations as Optuna's do goes on with them."""
    trials = lab.grow(lab.problem(), own(NSGAIISampler, population_size=4), 14)
    assert max(generation(trial.notes) for trial in trials) == 3
    assert {trial.operator.partition("+")[0] for trial in trials} == {"NSGAIISampler"}


def test_suggestions_that_are_refused_are_mutated(lab: Any) -> None:
    problem = lab.problem(constraints=["params<=300"])
    trials = lab.grow(problem, OptunaTPE(startup=4), 20)
    assert any(trial.operator == "optuna:tpe+mutate" for trial in trials)
    encoding = Encoding(lab.space.decisions())
    for trial in trials:
        assert lab.space.project(encoding.assignment(encoding.positions(trial))).keys() == trial.genotype.keys()


def test_log_level_and_warnings_are_left_as_they_were(lab: Any) -> None:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.DEBUG)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            lab.grow(lab.problem(["val_accuracy"]), OptunaTPE(startup=2), 4)
        assert optuna.logging.get_verbosity() == logging.DEBUG
    finally:
        optuna.logging.set_verbosity(before)


def test_the_two_genetic_samplers_select_otherwise(lab: Any) -> None:
    problem = lab.problem(("val_accuracy", "params", "macs"))
    second, third = (parents_of(lab.grow(problem, strategy(population=5), 25)) for strategy in (OptunaNSGA2, OptunaNSGA3))
    assert sorted(second[1][0]) == sorted(third[1][0]) == [0, 1, 2, 3, 4]
    assert second != third
