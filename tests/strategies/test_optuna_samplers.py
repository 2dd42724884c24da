"""Optuna's samplers: suggestions, generations."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
import optuna
import pytest

from nas.optuna_mirror import Encoding
from nas.strategies.base import History, Proposal
from nas.strategies.optuna_samplers import OptunaNSGA2, OptunaTPE


def test_inactive_decisions_are_told_as_they_were_suggested(lab: Any) -> None:
    problem = lab.problem()
    proposal = lab.propose(problem, OptunaTPE(), History(()))
    trial = lab.trial_of(problem, 0, proposal)
    encoding = Encoding(lab.space.decisions())
    assert list(encoding.positions(trial).values()) == pytest.approx(proposal.notes["positions"])
    assert len(proposal.genotype) < len(proposal.notes["positions"])


def test_generations_go_on_and_parents_come_from_the_record(lab: Any) -> None:
    """Generation 0 for ever is random search: what an unrecorded attribute would give."""
    problem = lab.problem()
    trials = lab.grow(problem, OptunaNSGA2(population=5), 25)
    generations = [next(iter(trial.notes["system_attrs"].values())) for trial in trials]
    assert generations == sorted(generations)
    assert generations[-1] == 4
    by_generation: dict[int, set[tuple[int, ...]]] = {}
    for generation, trial in zip(generations, trials, strict=True):
        by_generation.setdefault(generation, set()).add(tuple(trial.notes.get("descent", ())))
    assert by_generation[0] == {()}
    assert all(len(descents) == 1 for descents in by_generation.values())
    assert all(len(next(iter(by_generation[g]))) == 5 for g in range(1, 5))


def test_children_inherit(lab: Any) -> None:
    problem = lab.problem()
    trials = lab.grow(problem, OptunaNSGA2(population=5), 25)
    by_id = {trial.id: trial for trial in trials}
    children = [trial for trial in trials if trial.notes.get("descent") and trial.operator == "optuna:nsga2"]
    shares = []
    for child in children:
        inherited = [
            any(by_id[parent].notes["positions"][i] == at for parent in child.notes["descent"])
            for i, at in enumerate(child.notes["positions"][:-1])
        ]
        shares.append(np.mean(inherited))
    assert np.mean(shares) > 0.9


def test_a_late_ending_does_not_change_the_parents_of_a_generation_begun(lab: Any) -> None:
    """With workers, trials of a generation end while the next one is under way; all of that one descend from the same trials."""
    problem = lab.problem()
    late: list[int] = []

    def watch(history: History, proposal: Proposal) -> None:
        born = next(iter(proposal.notes["system_attrs"].values()))
        late.extend(t.id for t in history.pending if next(iter(t.notes["system_attrs"].values())) < born)

    trials = lab.grow(problem, OptunaNSGA2(population=5), 30, workers=4, watch=watch)
    descents: dict[int, set[tuple[int, ...]]] = {}
    for trial in trials:
        descents.setdefault(next(iter(trial.notes["system_attrs"].values())), set()).add(tuple(trial.notes.get("descent", ())))
    assert late
    assert len(descents) > 3
    assert all(len(one) == 1 for one in descents.values())


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
