"""How good the first 1, 2, ... evaluations are: best, regret, shares; held against the plain definition."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from toy_table import write_table

from nas.bench.from_table import known_of_table, trajectory_of
from nas.bench.known import turned
from nas.bench.problem import TableProblem
from nas.bench.protocol import Repeat
from nas.bench.quality import Curves, Yardstick, after, by_clock, reached
from nas.bench.reading import read_table
from nas.pareto import hypervolume, non_dominated

NOISY = ["a,b,same,val,val20,test,params,time"]
_rng = np.random.default_rng(4)
for _i in range(60):
    NOISY.append(f"{_i // 8},{_i % 8},{_i},{_rng.random()},{_rng.random()},{_rng.random()},{_rng.integers(1, 9)},{1}")


def curves_of(problem: TableProblem, rows: Sequence[int]) -> Curves:
    """Returns how good the first 1, 2, ... of these rows are."""
    n = len(rows)
    repeat = Repeat(list(rows), list(range(1, n + 1)), [0.0] * n, [0.0] * n, ["sample"] * n, [None] * n)
    return Yardstick(known_of_table(problem)).curves(trajectory_of(problem, repeat, 0))


@pytest.mark.parametrize("names", [("accuracy",), ("accuracy", "params"), ("params", "accuracy")])
def test_curves_are_what_their_definition_says(tmp_path: Path, names: tuple[str, ...]) -> None:
    problem = TableProblem(read_table(write_table(tmp_path, rows=NOISY)), names)
    rows = np.random.default_rng(1).integers(60, size=40).tolist()
    curves = curves_of(problem, rows)
    seen, told = (turned(problem.objectives, values) for values in (problem.searched, problem.reported))

    def scaled(losses: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return (losses - losses.min(axis=0)) / (losses.max(axis=0) - losses.min(axis=0))

    corner = np.ones(len(names))
    for t in range(1, 41):
        first = list(dict.fromkeys(rows[:t]))
        front = np.array(first)[non_dominated(seen[first])]
        pick = first[int(np.argmin(seen[first, 0]))]
        assert curves.best[t - 1] == problem.reported[pick, 0]
        assert curves.regret[t - 1] == pytest.approx(told[pick, 0] - told[:, 0].min())
        for share, losses in ((curves.share, scaled(seen)), (curves.reported_share, scaled(told))):
            assert share[t - 1] == pytest.approx(hypervolume(losses[front], corner) / hypervolume(losses, corner))


def test_the_whole_table_is_a_share_of_one(tmp_path: Path) -> None:
    problem = TableProblem(read_table(write_table(tmp_path)), ("accuracy", "params"))
    curves = curves_of(problem, range(len(problem.table)))
    assert curves.share[-1] == pytest.approx(1)
    assert (np.diff(curves.share) >= 0).all()


def test_an_objective_that_never_changes_tells_nothing(tmp_path: Path) -> None:
    rows = ["a,b,same,val,val20,test,params,time", "x,y,1,1,1,1,5,1", "x,z,2,1,1,1,5,1"]
    curves = curves_of(TableProblem(read_table(write_table(tmp_path, rows=rows)), ("accuracy", "params")), [0])
    assert (curves.share[0], curves.regret[0]) == (1.0, 0.0)


def test_a_curve_by_the_clock_is_a_step_function() -> None:
    curve, spent = np.array([0.1, 0.5, 0.9]), np.array([5.0, 7.0, 7.0])
    found = by_clock(curve, spent, np.array([4.9, 5.0, 6.9, 7.0, 100.0]))
    assert np.isnan(found[0]) and found[1:].tolist() == [0.1, 0.1, 0.9, 0.9]


def test_reading_a_curve() -> None:
    curve = np.array([0.1, 0.5, 0.96])
    assert (after(curve, 2), after(curve, 10)) == (0.5, 0.96)
    assert reached(curve, 0.95) == 3
    assert np.isnan(reached(curve, 0.99))
