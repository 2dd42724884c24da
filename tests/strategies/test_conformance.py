"""What every strategy keeps to, over the list of all of them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from nas.strategies.base import History, Proposal, Strategy, Trial
from nas.strategies.table import STRATEGIES, make_strategy

QUICK: dict[str, dict[str, Any]] = {
    "random": {},
    "evolution": {"population": 5},
    "exhaustive": {},
    "local-search": {"starts": 4},
    "nsga2": {"initial": 6, "population": 6, "pool": 4},
    "surrogate": {"initial": 6, "pool": 4, "candidates": 16},
    "reinforce": {},
    "prune": {},
    "optuna:tpe": {"startup": 6},
    "optuna:nsga2": {"population": 6},
    "optuna:nsga3": {"population": 6},
    "optuna:qmc": {},
    "optuna:gp": {"startup": 5},
}
"""Settings under which a strategy leaves its random beginning soon."""

OWN = [name for name in STRATEGIES if not name.startswith("optuna:")]
WITHOUT_GP = [name for name in STRATEGIES if name != "optuna:gp"]

SLOW = "a Gaussian process takes seconds; the other Optuna strategies go the same way"


def length(name: str, usual: int) -> int:
    """How many proposals a test makes: a Gaussian process takes a second each."""
    return min(usual, 7) if name == "optuna:gp" else usual


@pytest.fixture(params=STRATEGIES)
def name(request: pytest.FixtureRequest) -> str:
    if request.param == "optuna:gp" and find_spec("scipy") is None:
        pytest.skip("optuna:gp needs scipy")
    return str(request.param)


def problem_for(lab: Any, name: str, *args: Any, **options: Any) -> Any:
    """A problem of the space that all share, without its continuum for the strategy that wants to see an end."""
    return lab.problem(*args, space=lab.finite if name == "exhaustive" else lab.space, **options)


@pytest.fixture
def make(name: str) -> Callable[[], Strategy]:
    return lambda: make_strategy(name, **QUICK[name])


def test_every_strategy_is_tried() -> None:
    assert list(QUICK) == list(STRATEGIES)


def test_an_empty_history_gives_a_valid_genotype(lab: Any, name: str, make: Callable[[], Strategy]) -> None:
    problem = problem_for(lab, name)
    proposal = make().propose(problem, History(()), np.random.default_rng(1))
    problem.space.decode(proposal.genotype)
    assert proposal.parents == ()


def test_parents_are_among_the_likely_ones(lab: Any, name: str, make: Callable[[], Strategy]) -> None:
    """Their weights are kept where children inherit."""
    problem, strategy, other = problem_for(lab, name), make(), make()

    def watch(history: History, proposal: Proposal) -> None:
        likely = list(other.likely_parents(problem, history))
        assert len(likely) == len(set(likely)) and set(proposal.parents) <= set(likely)

    lab.grow(problem, strategy, length(name, 25), watch=watch)


def test_failed_trials_alone_give_valid_genotypes(lab: Any, name: str, make: Callable[[], Strategy]) -> None:
    problem = problem_for(lab, name)
    trials = lab.grow(problem, make(), 20, fails=lambda number: True)
    assert len(trials) == 20
    assert all(trial.losses is None for trial in trials)


AXES = [("val_accuracy",), ("params",), ("val_accuracy", "params", "macs"), ("val_accuracy", "val_loss")]


@pytest.mark.parametrize("objectives", AXES)
def test_any_number_of_objectives(lab: Any, name: str, make: Callable[[], Strategy], objectives: tuple[str, ...]) -> None:
    if name == "optuna:gp" and objectives != ("val_accuracy", "params", "macs"):
        pytest.skip(SLOW)
    problem = problem_for(lab, name, objectives)
    trials = lab.grow(problem, make(), length(name, 24), fails=lambda number: number % 4 == 1)
    for trial in trials:
        problem.space.decode(trial.genotype)
        assert trial.losses is None or len(trial.losses) == len(objectives)


def test_infinite_losses_are_survived(lab: Any, name: str, make: Callable[[], Strategy]) -> None:
    problem = problem_for(lab, name)
    trials = lab.grow(problem, make(), length(name, 20))
    broken = [replace(trial, losses=(float("inf"), trial.losses[1])) if trial.id % 2 else trial for trial in trials]
    problem.space.decode(lab.propose(problem, make(), History(broken)).genotype)


def test_constraints_are_kept_and_parents_were_seen(lab: Any, name: str, make: Callable[[], Strategy]) -> None:
    if name == "optuna:gp":
        pytest.skip(SLOW)
    problem = problem_for(lab, name, constraints=["params<=900"])

    def watch(history: History, proposal: Proposal) -> None:
        assert problem.costs(proposal.genotype)["params"] <= 900
        assert set(proposal.parents) <= {trial.id for trial in history.finished}

    lab.grow(problem, make(), length(name, 24), workers=2, watch=watch)


def test_each_proposal_can_be_computed_again(lab: Any, name: str, make: Callable[[], Strategy]) -> None:
    """A strategy that remembers and one that has forgotten everything propose the same: with workers, failures, refusals."""
    problem = problem_for(lab, name, constraints=["params<=2k"])
    seen: list[tuple[History, Proposal]] = []
    lab.grow(
        problem,
        make(),
        length(name, 30),
        workers=3,
        fails=lambda number: number % 5 == 2,
        watch=lambda history, proposal: seen.append((history, proposal)),
    )
    for history, proposal in seen:
        assert lab.propose(problem_for(lab, name, constraints=["params<=2k"]), make(), history) == proposal


def test_histories_in_any_order_are_answered_alike(lab: Any, name: str, make: Callable[[], Strategy]) -> None:
    """One object asked about a long, a short, and another run's history forgets what does not belong there."""
    if name == "optuna:gp":
        pytest.skip(SLOW)
    problem = problem_for(lab, name)
    first, second = lab.grow(problem, make(), 18), lab.grow(problem, make(), 18, seed=1)
    one = make()
    for finished in (first, first[:9], second, second[:17], first[:17], [*second[:5], *first[5:]], first):
        assert lab.propose(problem, one, History(finished)) == lab.propose(problem, make(), History(finished))


def test_notes_survive_json(lab: Any, name: str, make: Callable[[], Strategy]) -> None:
    if name == "optuna:gp":
        pytest.skip(SLOW)
    problem = problem_for(lab, name)
    trials = lab.grow(problem, make(), length(name, 20), workers=2)
    copies = [replace(trial, notes=json.loads(json.dumps(dict(trial.notes)))) for trial in trials]
    assert [dict(trial.notes) for trial in copies] == [dict(trial.notes) for trial in trials]
    assert lab.propose(problem, make(), History(copies)) == lab.propose(problem, make(), History(trials))


DIGESTS = {
    "random": "f39d5ea80c975438",
    "evolution": "1914a80f089f2c29",
    "exhaustive": "ca04ebc25a06e145",
    "local-search": "f5a0e568ab2fd7af",
    "nsga2": "f9f78eb02b0f831d",
    "reinforce": "eeb9195b2f091d82",
    "surrogate": "e6944d86b4d0c761",
    "prune": "bebcb797987f7d50",
    "optuna:tpe": "1574439c5d8a7b0a",
    "optuna:nsga2": "614ebb17083e2df1",
    "optuna:nsga3": "614ebb17083e2df1",  # the same as long as nobody was selected: generation 0 is random, its children have it whole
    "optuna:qmc": "98d30b35f782c836",
}
"""Of the first 30 proposals of seed 0, default settings. A digest changes where a strategy, or the sampling, mutation and crossover
of `nas.variation`, is meant to propose something else: then searches begun earlier cannot be recomputed, and CHANGELOG.md says
so. For any other reason it must not change."""


@pytest.mark.parametrize("name", WITHOUT_GP)
def test_permanence(lab: Any, name: str) -> None:
    if name.startswith("optuna:") and version("optuna") != "5.0.0":
        pytest.skip("pinned for Optuna 5.0.0")
    trials: list[Trial] = lab.grow(problem_for(lab, name), make_strategy(name), 30)
    text = json.dumps([{path: _rounded(value) for path, value in trial.genotype.items()} for trial in trials])
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == DIGESTS[name]


def _rounded(value: object) -> object:
    return float(f"{value:.6g}") if isinstance(value, float) else value


LOADED = """
import sys
import numpy as np
sys.path.insert(0, {folder!r})
from conftest import FINITE, grow, make_problem
from nas.strategies.table import make_strategy
for name in {names!r}:
    grow(make_problem(space=FINITE), make_strategy(name), 12)
print([module for module in ("torch", "optuna", "pandas") if module in sys.modules])
"""


def loaded(names: list[str], folder: str) -> str:
    code = LOADED.format(names=names, folder=folder)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> str:
    return str(request.path.parent)


def test_own_strategies_load_neither_torch_nor_optuna(folder: str) -> None:
    assert loaded(OWN, folder) == "[]"


def test_optuna_strategies_load_no_torch(folder: str) -> None:
    assert loaded(["optuna:tpe", "optuna:nsga3", "optuna:qmc"], folder) == "['optuna']"
