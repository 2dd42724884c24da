"""Pruning: where it begins, how it walks down, what it does with several workers, and when it ends."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nas
from nas import Space, choice, integer
from nas.blocks import Classifier, Conv, Repeat, Sequential
from nas.descent import largest, saved, steps_down
from nas.errors import StrategyError
from nas.importance import SHARES
from nas.problem import Problem
from nas.source import module_names
from nas.strategies.base import Exhausted, History, Trial
from nas.strategies.prune import Prune
from nas.strategies.start_from import StartFrom

SPACE = Space(
    Sequential(
        Conv(channels=choice(4, 8, 16), name="a"),
        Repeat(Conv(channels=choice(4, 8), kernel=choice(1, 3)), times=integer(1, 4)),
        Classifier(),
    ),
    (1, 8, 8),
    4,
)
SMALLEST = {"a.channels": 4, "repeat.times": 1, "repeat[0].channels": 4, "repeat[0].kernel": 1}
RNG = np.random.default_rng(0)


@pytest.fixture
def problem() -> Problem:
    return Problem(SPACE, ("val_accuracy", "params"))


def measured(problem: Problem, trial: Trial) -> Trial:
    """The trial with importances: the later a layer, the less it matters."""
    graph = problem.consider(trial.genotype).graph
    names = [(i, name) for i, name in module_names(graph).items() if not name.startswith("bn")]
    found = {name: [graph.facts[i].shape[0] * j / SHARES / i**2 for j in range(1, SHARES + 1)] for i, name in names}
    return replace(trial, importances=found)


def walked(lab: Any, problem: Problem, strategy: Prune, count: int, known: list[Trial] | None = None) -> list[Trial]:
    """Trials of a walk with importances, one after the other."""
    finished = list(known or [])
    while len(finished) < count:
        proposal = strategy.propose(problem, History(finished), RNG)
        trial = replace(lab.trial_of(problem, len(finished), proposal), inherit_from=proposal.inherit_from)
        finished.append(measured(problem, lab.end(trial, lab.losses(problem, proposal))))
    return finished


def params(problem: Problem, trials: list[Trial]) -> list[float]:
    return [problem.costs(trial.genotype)["params"] for trial in trials]


def test_it_begins_with_the_largest_network_and_goes_down_to_the_smallest(lab: Any, problem: Problem) -> None:
    trials = walked(lab, problem, Prune(shrink=0.2), 14)
    assert (trials[0].genotype, trials[0].operator) == (largest(problem, RNG), "largest")
    sizes = params(problem, trials)
    bottom = sizes.index(problem.costs(SMALLEST)["params"])
    assert 4 < bottom < 13
    assert all(later <= 0.8 * size for size, later in pairwise(sizes[:bottom]))
    assert [trial.parents for trial in trials[1 : bottom + 1]] == [(i,) for i in range(bottom)]
    assert trials[bottom + 1].parents == (0,)  # then the walk is widened from the top


def test_children_inherit_where_importances_say_that_there_are_weights(lab: Any, problem: Problem) -> None:
    trials = walked(lab, problem, Prune(), 5)
    assert [trial.inherit_from for trial in trials] == [None, 0, 1, 2, 3]
    assert all(trial.notes["steps"] for trial in trials[1:])
    plain = lab.grow(problem, Prune(), 4)
    proposal = Prune().propose(problem, History(plain), RNG)
    assert proposal.parents and proposal.inherit_from is None


def test_single_steps_are_neighbours(lab: Any, problem: Problem) -> None:
    trials = walked(lab, problem, Prune(shrink=0), 6)
    assert all(len(trial.notes["steps"]) == 1 for trial in trials[1:])


def test_what_is_taken_out_in_the_middle_is_said(lab: Any, problem: Problem) -> None:
    root = lab.trial_of(problem, 0, Prune().propose(problem, History(()), RNG))
    graph = problem.consider(root.genotype).graph
    names = {name: graph.labels[i] for i, name in module_names(graph).items() if not name.startswith("bn")}
    dull = {name: [0.0 if label == "repeat[1]" else float(j) for j in range(1, SHARES + 1)] for name, label in names.items()}
    history = [replace(lab.end(root, (0.5, 0.5)), importances=dull)]
    proposal = Prune(shrink=0).propose(problem, History(history), RNG)
    while not proposal.notes["steps"][0].endswith("out"):  # its channels and its kernel matter as little
        history.append(lab.end(lab.trial_of(problem, len(history), proposal), None))
        proposal = Prune(shrink=0).propose(problem, History(history), RNG)
    assert proposal.notes == {"steps": ["repeat[1] out"]}
    assert proposal.aligned == {"repeat[1]": "repeat[2]", "repeat[2]": "repeat[3]"}


def test_it_walks_down_from_the_networks_the_search_starts_from(lab: Any, problem: Problem) -> None:
    starts = {"mine": {"a.channels": 8, "repeat.times": 1, "repeat[0].channels": 8, "repeat[0].kernel": 3}}
    strategy = StartFrom(starts, Prune(importance="magnitude"))
    assert strategy.importance == "magnitude"
    trials = lab.grow(problem, strategy, 5)
    assert trials[0].operator == "start mine"
    assert max(params(problem, trials)) == params(problem, trials)[0]
    assert trials[1].parents == (0,)
    assert list(strategy.keeps(problem, History([measured(problem, trials[0])]))) == [0]


def test_a_wide_beam_gives_each_level_its_children_before_it_goes_on(lab: Any, problem: Problem) -> None:
    trials = walked(lab, problem, Prune(beam=3), 7)
    assert [trial.parents for trial in trials[1:4]] == [(0,), (0,), (0,)]
    assert {trial.parents for trial in trials[4:7]} == {(1,), (2,), (3,)}


def test_a_second_worker_waits_for_the_first_network_and_widens_the_walk_later(lab: Any, problem: Problem) -> None:
    first = lab.trial_of(problem, 0, Prune().propose(problem, History(()), RNG))
    with pytest.raises(Exhausted):
        Prune().propose(problem, History((), (first,)), RNG)
    ended = [measured(problem, lab.end(first, (0.5, 0.5)))]
    child = lab.trial_of(problem, 1, Prune().propose(problem, History(ended), RNG))
    other = Prune().propose(problem, History(ended, (child,)), RNG)
    assert other.parents == child.parents == (0,)
    assert other.genotype != child.genotype


def test_failed_trials_are_gone_on_from_when_nothing_else_is_left(lab: Any, problem: Problem) -> None:
    trials = walked(lab, problem, Prune(), 3)
    failed = lab.end(lab.trial_of(problem, 3, Prune().propose(problem, History(trials), RNG)), None)
    again = Prune().propose(problem, History([*trials, failed]), RNG)
    assert again.parents == failed.parents  # the next child of the same network
    alone = lab.end(lab.trial_of(problem, 0, Prune().propose(problem, History(()), RNG)), None)
    child = Prune().propose(problem, History([alone]), RNG)
    assert (child.parents, child.inherit_from) == ((0,), None)


def test_it_ends_when_every_network_below_is_known(lab: Any) -> None:
    problem = lab.problem(space=lab.tiny)
    trials = walked(lab, problem, Prune(), 21)
    assert len({trial.fingerprint for trial in trials}) == 21
    with pytest.raises(Exhausted, match=r"nothing smaller is left: all networks of the space were looked at .* 21 networks"):
        Prune().propose(problem, History(trials), RNG)


def test_weights_are_wanted_for_the_walk_first_and_then_from_the_top(lab: Any, problem: Problem) -> None:
    trials = walked(lab, problem, Prune(), 5)
    assert list(Prune().keeps(problem, History(trials))) == [4, 0, 1, 2, 3]
    assert list(Prune().keeps(problem, History(()))) == []
    assert list(Prune().keeps(problem, History([replace(trial, importances={}) for trial in trials]))) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"importance": "size"}, "importance is 'size', expected one of taylor, magnitude, bn-scale"),
        ({"beam": 0}, "beam is 0, expected a whole number of at least 1"),
        ({"shrink": 1.0}, r"shrink is 1\.0, expected a share from 0 to below 1"),
        ({"shrink": "much"}, "shrink is 'much'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(StrategyError, match=words):
        Prune(**settings)


def test_without_importances_the_results_say_what_matters(lab: Any) -> None:
    """By hand: whatever makes the first layer narrower costs much accuracy, a shallower network none."""
    problem = Problem(SPACE, ("val_accuracy", "params"))

    def evaluated(trial: Trial) -> Trial:
        width = trial.genotype["a.channels"]
        assert isinstance(width, int)
        return lab.end(trial, (1 / width, problem.costs(trial.genotype)["params"]))

    finished: list[Trial] = []
    for number in range(8):
        finished.append(evaluated(lab.trial_of(problem, number, Prune().propose(problem, History(finished), RNG))))
    steps = [trial.notes["steps"] for trial in finished[1:]]
    assert all(len(words) == 1 for words in steps)
    assert steps[0][0] == max(  # nothing is known: what saves most
        (step.words for step in steps_down(problem, finished[0].genotype)),
        key=lambda words: max(
            saved(["params", "macs"], step.candidate.costs, problem.costs(finished[0].genotype))
            for step in steps_down(problem, finished[0].genotype)
            if step.words == words
        ),
    )
    narrowed = [i for i, words in enumerate(steps) if words[0].startswith("a.channels")]
    assert len(narrowed) <= 2  # each such step was taken once, and never again while others were left


def test_of_the_networks_that_nothing_dominates_the_one_with_the_fewest_children_goes_on(lab: Any, problem: Problem) -> None:
    trials = lab.grow(problem, Prune(), 6)
    ended = [replace(trial, losses=(float(trial.id), 1.0 if trial.id == 5 else 9.0 - trial.id)) for trial in trials]
    dominated = replace(ended[3], losses=(99.0, 99.0))
    history = [*ended[:3], dominated, *ended[4:]]
    parent = Prune().propose(problem, History(history), RNG).parents[0]
    children = {trial.id: sum(other.parents == (trial.id,) for other in history) for trial in history}
    assert parent != 3
    assert children[parent] == min(children[trial.id] for trial in history if trial.id != 3)


@pytest.mark.slow
def test_a_resumed_walk_equals_an_unbroken_one_with_real_training(tmp_path: Path) -> None:
    """Proposals, importances, inherited weights and results, bit for bit, with one worker; three starts of worker processes."""
    rng = np.random.default_rng(0)

    def part(count: int) -> tuple[Any, Any]:
        labels = np.arange(count) % 3
        return (rng.integers(0, 80, (count, 1, 8, 8)) + 70 * labels[:, None, None, None]).astype(np.uint8), labels

    parts = {"train": part(96), "val": part(48), "test": part(24)}

    def search(to: str, evaluations: int) -> nas.Run:
        return nas.search(
            replace(SPACE, classes=3),
            data=parts,
            strategy="prune",
            evaluations=evaluations,
            epochs=1,
            workers=1,
            deterministic=True,
            out=tmp_path / to,
            data_options={"cache_dir": tmp_path / "cache"},
        )

    search("broken", 2)
    broken, unbroken = search("broken", 4).rows(), search("unbroken", 4).rows()
    assert [replace(row, created=0.0) for row in broken[0]] == [replace(row, created=0.0) for row in unbroken[0]]
    results = [
        [(m.inherited, m.metrics["val_loss"], m.importances) for m in (row.measurement for row in rows[1])]
        for rows in (broken, unbroken)
    ]
    assert results[0] == results[1]
    assert [row.measurement.inherited for row in broken[1]] == [None, 1.0, 1.0, 1.0]
    assert all(row.measurement.importances for row in broken[1])
