"""What every strategy keeps to in a whole search, with the loop and the record around it: over the list of all of them."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.attempts import next_candidate
from nas.budget import Budget
from nas.coordinator import search_loop
from nas.evaluators.function import CallableEvaluator
from nas.ledger import Ledger
from nas.measurement import Outcome
from nas.problem import Problem
from nas.record import Record
from nas.rows import ProposalRow
from nas.strategies.base import Strategy
from nas.strategies.table import STRATEGIES, make_strategy
from nas.variation import complete, successor

SETTINGS: dict[str, dict[str, Any]] = {
    "evolution": {"population": 4},
    "local-search": {"starts": 3},
    "nsga2": {"initial": 4, "population": 4, "pool": 4},
    "optuna:tpe": {"startup": 4},
    "optuna:nsga2": {"population": 4},
    "optuna:nsga3": {"population": 4},
    "optuna:gp": {"startup": 4},
}
"""Settings under which a strategy leaves its random beginning soon."""

SLOW = {"optuna:gp", "prune", "surrogate"}
"""Those whose proposals take a model, or a look at all that is near: they show less."""


@pytest.fixture(params=STRATEGIES)
def name(request: pytest.FixtureRequest) -> str:
    if request.param == "optuna:gp" and find_spec("scipy") is None:
        pytest.skip("optuna:gp needs scipy")
    return str(request.param)


@pytest.fixture
def make(name: str) -> Callable[[], Strategy]:
    return lambda: make_strategy(name, **SETTINGS.get(name, {}))


def score(architecture: Any) -> dict[str, float]:
    return {"val_accuracy": int(architecture.fingerprint[:6], 16) % 1000 / 1000}


class Searches:
    """Searches the tiny space of 21 networks into folders; remembers what was evaluated."""

    def __init__(self, folder: Path, lab: Any, make: Callable[[], Strategy]) -> None:
        self.folder, self.lab, self.make = folder, lab, make
        self.evaluated: list[Any] = []

    def run(
        self, to: str, evaluations: int, *, constraints: tuple[str, ...] = (), fails: Callable[[Any], bool] = lambda a: False
    ) -> str:
        def evaluate(architecture: Any) -> dict[str, float]:
            self.evaluated.append(architecture)
            if fails(architecture):
                raise ValueError("no result")
            return score(architecture)

        problem = self.lab.problem(space=self.lab.tiny, constraints=constraints)
        with Record(self.folder / to, {}) as record:
            budget = Budget(evaluations=evaluations)
            return search_loop(problem, self.make(), CallableEvaluator(evaluate), record, budget=budget, seed=3)

    def rows(self, of: str) -> list[Any]:
        """Every proposal of a run, its time apart."""
        with Record(self.folder / of, {}) as record:
            return [replace(row, created=0.0) for row in record.rows()[0]]


@pytest.fixture
def searches(tmp_path: Path, lab: Any, make: Callable[[], Strategy]) -> Iterator[Searches]:
    yield Searches(tmp_path, lab, make)


def test_no_budget_is_spent_on_repeats(searches: Searches) -> None:
    searches.run("a", 12)
    assert len(searches.evaluated) == len({a.fingerprint for a in searches.evaluated}) == 12


def test_same_seed_same_proposals(searches: Searches) -> None:
    searches.run("a", 10)
    searches.run("b", 10)
    assert searches.rows("a") == searches.rows("b")


def test_a_resumed_search_equals_an_unbroken_one(searches: Searches) -> None:
    searches.run("broken", 5)
    searches.run("broken", 6)
    searches.run("broken", 12)
    searches.run("unbroken", 12)
    assert searches.rows("broken") == searches.rows("unbroken")


def test_failed_evaluations_do_no_harm(searches: Searches, lab: Any) -> None:
    """Half of the networks fail: each is tried once, and the others are all found."""

    def fails(architecture: Any) -> bool:
        return int(architecture.fingerprint[0], 16) % 2 == 0

    searches.run("a", 12, fails=fails)
    assert len(searches.evaluated) == len({a.fingerprint for a in searches.evaluated}) == 12
    assert {fails(a) for a in searches.evaluated} == {True, False}


def test_an_exhausted_space_ends_the_search(searches: Searches, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After fewer repeats than usual, for they all take their time."""
    repeats = 20 if name in SLOW else 200
    for module in ("nas.limits", "nas.coordinator"):
        monkeypatch.setattr(f"{module}.MAX_REPEATS", repeats)
    reason = searches.run("a", 100)
    assert "the space seems exhausted" in reason or "of the space were looked at" in reason
    assert len(searches.evaluated) == len({a.fingerprint for a in searches.evaluated}) <= 21
    assert len(searches.evaluated) >= (10 if name in {"optuna:gp", "nsga2"} else 19)  # four parents soon have no new children


def test_constraints_leave_nothing_to_be_evaluated_that_breaks_them(searches: Searches) -> None:
    searches.run("a", 6, constraints=("params<=60",))
    assert 0 < len(searches.evaluated) <= 6
    problem = searches.lab.problem(space=searches.lab.tiny)
    costs = [problem.costs_of(a.graph, 0)["params"] for a in searches.evaluated]
    assert max(costs) <= 60 < max(problem.costs(g)["params"] for g in every(searches.lab.tiny))


def every(space: Any) -> Iterator[Any]:
    genotype: Any = complete(space, {}, None)
    while genotype is not None:
        yield genotype
        genotype = successor(space, genotype)


@pytest.mark.parametrize("name", [name for name in STRATEGIES if not name.startswith("optuna:")], indirect=True)
def test_memory_grows_with_the_record_alone(lab: Any, name: str, make: Callable[[], Strategy]) -> None:
    """What a strategy keeps for itself is a few bytes a trial, and no more of them the longer the search."""
    problem, strategy = lab.problem(space=lab.finite), make()
    ledger = Ledger(problem.objectives)
    some, kept = (30, 2_048) if name in SLOW else (400, 256)
    strategy.propose(problem, ledger.history(), np.random.default_rng(0))  # loads what it needs
    sizes = []
    tracemalloc.start()
    try:
        for end in (some, 2 * some, 3 * some):
            while ledger.proposed < end:
                propose_and_end(problem, strategy, ledger)
            gc.collect()
            full = tracemalloc.get_traced_memory()[0]
            del strategy
            gc.collect()
            sizes.append(full - tracemalloc.get_traced_memory()[0])
            strategy = make()
            strategy.propose(problem, ledger.history(), np.random.default_rng(0))
    finally:
        tracemalloc.stop()
    assert all(size < kept * some * i for i, size in enumerate(sizes, 1))


def propose_and_end(problem: Problem, strategy: Strategy, ledger: Ledger) -> None:
    """Makes one proposal; a network that is new is evaluated at once."""
    accepted = next_candidate(problem, strategy, ledger.history(), 0)
    proposal, candidate = accepted.proposal, accepted.candidate
    number, first = ledger.proposed, ledger.first((candidate.fingerprint, ""))
    ledger.propose(
        ProposalRow(
            number,
            candidate.fingerprint,
            "",
            proposal.genotype,
            proposal.parents,
            proposal.operator,
            notes=proposal.notes,
            repeat_of=first,
        )
    )
    if first is None:
        ledger.end(number, Outcome.COMPLETE, {**candidate.costs, **score(candidate)}, 1)
