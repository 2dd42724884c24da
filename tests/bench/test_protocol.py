"""One repeat: budgets, duplicates, seeds, endings, and that published figures come out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_table import SHARED, with_tables, write_table

from nas.bench.from_table import known_of_table, trajectory_of
from nas.bench.problem import TableProblem
from nas.bench.protocol import Protocol, Repeat, problem_of, run_repeat, seed_of
from nas.bench.quality import Yardstick, after
from nas.bench.reading import read_table
from nas.errors import NasError
from nas.strategies.base import Exhausted, History, Proposal, Strategy
from nas.strategies.table import STRATEGIES, make_strategy


class Listed(Strategy):
    """Proposes what it is told to."""

    def __init__(self, *pairs: tuple[str, str]) -> None:
        self.pairs = pairs
        self.histories: list[History] = []

    def propose(self, problem: Any, history: History, rng: np.random.Generator) -> Proposal:
        self.histories.append(history)
        if history.proposed == len(self.pairs):
            raise Exhausted("the list is at its end")
        a, b = self.pairs[history.proposed]
        parents = (history.proposed - 1,) if history.proposed else ()
        return Proposal({"a": a, "b": b}, parents=parents, operator="listed")


TWINS = (("none", "none"), ("none", "skip"), ("none", "conv"), ("none", "conv"), ("skip", "conv"))


def run(folder: Path, strategy: Strategy, repeat: int = 0, **settings: Any) -> Repeat:
    protocol = Protocol(("accuracy", "params"), **{"evaluations": 100, **settings})
    table = read_table(write_table(folder))
    problem = TableProblem(table, protocol.objectives, protocol.fidelity, protocol.duplicates)
    return run_repeat(problem, strategy, protocol, repeat)


def test_a_repeat_counts_or_is_served_for_nothing(tmp_path: Path) -> None:
    counted, strategy = run(tmp_path, Listed(*TWINS), duplicates="count"), Listed(*TWINS)
    assert (counted.rows, counted.proposals) == ([0, 1, 2, 2, 5], [1, 2, 3, 4, 5])
    skipped = run(tmp_path, strategy, duplicates="skip")
    assert (skipped.rows, skipped.proposals) == ([0, 2, 5], [1, 3, 5])
    assert [trial.repeat for trial in strategy.histories[-1].finished] == [False, True, False, True, False]
    assert [trial.losses for trial in strategy.histories[-1].finished][:2] == [(-50.0, 100.0)] * 2
    assert skipped.ended == counted.ended == "the list is at its end"


def test_a_strategy_with_nothing_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Exhausted):
        run(tmp_path, Listed())


def test_evaluations_end_a_repeat(tmp_path: Path) -> None:
    found = run(tmp_path, Listed(*TWINS), evaluations=2)
    assert (found.rows, found.ended) == ([0, 2], "the budget of 2 evaluations is spent")


def test_simulated_seconds_end_a_repeat(tmp_path: Path) -> None:
    found = run(tmp_path, Listed(*TWINS), evaluations=None, seconds=12.0, duplicates="count")
    assert found.spent == [5.0, 10.25]  # a quarter of 20 and 21: the next would end at 15.75
    assert found.ended == "the simulated budget of 12 s is spent"
    dear = run(tmp_path, Listed(*TWINS), evaluations=None, seconds=45.0, fidelity=20, duplicates="count")
    assert dear.spent == [20.0, 41.0]


def test_repeats_cost_no_simulated_time_where_they_are_skipped(tmp_path: Path) -> None:
    assert run(tmp_path, Listed(*TWINS), seconds=100.0).spent == [5.0, 10.5, 16.75]


def test_what_an_evaluation_has_from_one_before(tmp_path: Path) -> None:
    assert run(tmp_path, Listed(*TWINS), duplicates="count").alike == [None, 0.5, 0.5, 1.0, 0.5]
    assert run(tmp_path, Listed(*TWINS), duplicates="skip").alike == [None, 0.5, 0.5]  # served repeats are no evaluations


@pytest.mark.parametrize("name", [name for name in STRATEGIES if not name.startswith("optuna:")])
@pytest.mark.parametrize("duplicates", ["count", "skip"])
def test_every_strategy_runs_and_repeats_itself(tmp_path: Path, name: str, duplicates: str) -> None:
    one, two = (run(tmp_path, make_strategy(name), 1, evaluations=6, duplicates=duplicates) for _ in range(2))
    assert (one.rows, one.operators) == (two.rows, two.operators)
    assert 1 <= len(one.rows) <= 6
    networks = {(row // 3, row % 3 == 2) for row in one.rows}  # none and skip at b are one network
    assert duplicates == "count" or len(networks) == len(one.rows)


def test_the_networks_of_a_table_come_to_an_end(tmp_path: Path) -> None:
    found = run(tmp_path, make_strategy("random"))
    assert len(found.rows) == 6
    assert "exhausted" in found.ended


def test_seeds_are_paired_and_differ(tmp_path: Path) -> None:
    assert seed_of(0, 3) == seed_of(0, 3)
    assert len({seed_of(seed, repeat) for seed in range(20) for repeat in range(20)}) == 400
    first, second = (run(tmp_path, make_strategy("random"), r, evaluations=6, duplicates="count").rows for r in (0, 1))
    assert first != second


def test_a_failing_strategy_is_one_line(tmp_path: Path) -> None:
    class Broken(Strategy):
        def propose(self, problem: Any, history: History, rng: np.random.Generator) -> Proposal:
            raise ValueError("no\nway")

    with pytest.raises(NasError, match="Broken failed at proposal 0: ValueError: no way"):
        run(tmp_path, Broken())


def shares(name: str, marks: Sequence[int], repeats: int) -> np.ndarray[Any, Any]:
    """Returns mean and standard error of random search's share of the hypervolume at each mark."""
    protocol = Protocol(("accuracy", "params"), marks[-1], duplicates="count")
    problem = TableProblem(read_table(SHARED / f"{name}.toml"), protocol.objectives, None, "count")
    yardstick = Yardstick(known_of_table(problem))
    done = [run_repeat(problem, make_strategy("random"), protocol, r) for r in range(repeats)]
    curves = [yardstick.curves(trajectory_of(problem, repeat, 0)).share for repeat in done]
    found = np.array([[after(curve, mark) for mark in marks] for curve in curves])
    return np.array([found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(repeats)])


@with_tables
@pytest.mark.parametrize(
    ("name", "expected"),
    [("nbmacro", (0.9060, 0.9317, 0.9557)), ("nb201_c10", (0.9703, 0.9800, 0.9870))],
)
def test_random_search_covers_what_plain_drawing_covers(name: str, expected: Sequence[float]) -> None:
    """The expected shares are of 100 draws of rows without any of this package."""
    mean, error = shares(name, (50, 100, 200), 20)
    assert (np.abs(mean - expected) < 3.5 * error).all(), (mean, error)


@pytest.mark.parametrize("name", ["random", "nsga2", "surrogate", "exhaustive", "local-search"])
def test_a_constraint_refuses_before_anything_counts(tmp_path: Path, name: str) -> None:
    protocol = Protocol(("accuracy", "params"), 3, constraints=("params<=290",))
    problem = problem_of(read_table(write_table(tmp_path)), protocol)
    found = run_repeat(problem, make_strategy(name), protocol, 0)
    assert len(found.rows) == 3 and set(found.rows) <= {0, 1, 2, 3, 4}
