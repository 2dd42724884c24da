"""A bench runs a strategy exactly as a search does: a table of a whole space of variable depth gives the search's own networks."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.bench.problem import TableProblem
from nas.bench.protocol import Protocol, run_repeat, seed_of
from nas.bench.reading import read_table
from nas.budget import Budget
from nas.coordinator import search_loop
from nas.evaluators.function import CallableEvaluator
from nas.library import load_space
from nas.problem import Problem
from nas.record import Record
from nas.strategies.table import make_strategy

SPACE = """
from nas import Space, choice, integer
from nas.blocks import Classifier, Conv, Repeat, Sequential
layer = Conv(channels=choice(1, 2, 3), kernel=choice(1, 3))
space = Space(Sequential(Repeat(layer, times=integer(1, 2), name="body"), Classifier()), input_shape=(1, 4, 4), classes=2)
"""


def accuracy(architecture: Any) -> dict[str, float]:
    return {"val_accuracy": int(architecture.fingerprint[:6], 16) % 1000 / 1000}


def tabled(folder: Path) -> Path:
    """Writes every network of the space as a table; decisions that are not active are empty."""
    (folder / "space.py").write_text(SPACE)
    space = load_space(folder / "space.py")
    problem = Problem(space, ["val_accuracy", "params"])
    paths = list(space.decisions())
    domains = [[domain.at(i) for i in range(domain.size or 0)] for domain in space.decisions().values()]
    genotypes = {tuple(space.project(dict(zip(paths, values, strict=True))).items()) for values in product(*domains)}
    lines = [",".join([*(f"c{i}" for i in range(len(paths))), "print", "acc", "params"])]
    for genotype in map(dict, sorted(genotypes, key=str)):
        found = problem.consider(genotype)
        measured = accuracy(found.architecture)["val_accuracy"]
        cells = [str(genotype.get(path, "")) for path in paths]
        lines.append(",".join([*cells, found.fingerprint, repr(measured), str(found.costs["params"])]))
    assert len(lines) == 1 + space.size() == 1 + 6 + 36
    (folder / "all.csv").write_text("\n".join(lines))
    (folder / "all.toml").write_text(
        f"""
decisions = {[f"c{i}" for i in range(len(paths))]}
identity = "print"
space = "{(folder / "space.py").as_posix()}"
[objectives]
val_accuracy = {{ search = "acc", direction = "maximize" }}
params = {{ search = "params", direction = "minimize" }}
"""
    )
    return folder / "all.toml"


@pytest.mark.parametrize("name", ["random", "evolution", "nsga2"])
def test_the_same_networks_are_evaluated_in_the_same_order(tmp_path: Path, name: str) -> None:
    protocol = Protocol(("val_accuracy", "params"), evaluations=20, seed=5)
    problem = TableProblem(read_table(tabled(tmp_path)), protocol.objectives)
    found = run_repeat(problem, make_strategy(name), protocol, 2)
    searched = Problem(problem.space, protocol.objectives)
    with Record(tmp_path / "run", {}) as record:
        search_loop(
            searched,
            make_strategy(name),
            CallableEvaluator(accuracy),
            record,
            budget=Budget(20),
            seed=seed_of(5, 2),
        )
        proposals = [row.genotype for row in record.rows()[0] if row.repeat_of is None]
    assert [problem.row(genotype) for genotype in proposals] == found.rows


def test_random_genotypes_of_such_a_table_have_rows(tmp_path: Path) -> None:
    problem = TableProblem(read_table(tabled(tmp_path)), ["val_accuracy"])
    rng = np.random.default_rng(0)
    for _ in range(50):
        genotype = problem.space.sample(rng)
        candidate = problem.consider(genotype)
        assert problem.metrics(problem.row(genotype)) == accuracy(candidate.architecture)
