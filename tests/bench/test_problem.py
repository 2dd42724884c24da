"""A table as a problem: rows are found, costs are known before, duplicates are merged, a named space brings graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from toy_table import SHARED, with_tables, write_table

from nas.bench.problem import TableProblem
from nas.bench.reading import read_table
from nas.errors import DataError, GenotypeError, ObjectiveError, UnknownNameError
from nas.problem import Rejected

SPACE = """
from nas import Space, choice
from nas.blocks import Classifier, Conv, Sequential
space = Space(Sequential(Conv(choice(4, 8), name="a"), Conv(kernel=choice(1, 3), channels=4, name="b"), Classifier()))
"""


def problem(folder: Path, *names: str, **options: object) -> TableProblem:
    return TableProblem(read_table(write_table(folder)), names or ("accuracy", "params"), **options)  # type: ignore[arg-type]


def test_a_candidate_is_a_row(tmp_path: Path) -> None:
    found = problem(tmp_path)
    genotype = {"a": "skip", "b": "conv"}
    assert found.row(genotype) == 5
    candidate = found.consider(genotype)
    assert candidate.costs == {"params": 364.0}
    assert found.exact_losses(genotype) == {1: 364.0}
    assert found.metrics(5) == {"accuracy": 74.0, "params": 364.0}
    assert found.feasible(genotype)
    assert found.losses(found.searched)[5].tolist() == [-74.0, 364.0]


def test_duplicates_have_one_fingerprint_only_where_they_are_merged(tmp_path: Path) -> None:
    twins = [{"a": "none", "b": "none"}, {"a": "none", "b": "skip"}]
    for duplicates, networks in (("skip", 1), ("count", 2)):
        found = problem(tmp_path, duplicates=duplicates)
        assert len({found.consider(twin).fingerprint for twin in twins}) == networks


def test_a_fidelity_changes_what_is_searched_and_not_what_is_reported(tmp_path: Path) -> None:
    low, high = problem(tmp_path), problem(tmp_path, fidelity=20)
    assert (high.searched[:, 0] == low.searched[:, 0] + 10).all()
    assert (high.reported == low.reported).all()
    assert low.seconds is not None and high.seconds is not None
    assert high.seconds == pytest.approx(4 * low.seconds)


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    found = problem(tmp_path)
    with pytest.raises(GenotypeError, match="has no decision 'c'"):
        found.row({"a": "none", "c": "none"})
    with pytest.raises(Rejected, match="has no row for"):
        found.consider({"a": "none", "b": "pool"})
    with pytest.raises(UnknownNameError, match="did you mean 'params'"):
        problem(tmp_path, "parms")
    with pytest.raises(ObjectiveError, match="stands 2 times"):
        problem(tmp_path, "params", "params")
    with pytest.raises(DataError, match="no fidelity 7"):
        problem(tmp_path, fidelity=7)


def in_space(folder: Path, head: str, rows: list[str]) -> TableProblem:
    (folder / "space.py").write_text(SPACE)
    toml = f'{head}\ndecisions = ["x", "y"]\n[objectives]\nval = {{ search = "val", direction = "maximize" }}\n'
    return TableProblem(read_table(write_table(folder, toml, ["x,y,val", *rows])), ["val"])


def test_a_named_space_brings_graphs(tmp_path: Path) -> None:
    head = f'space = "{(tmp_path / "space.py").as_posix()}"'
    found = in_space(tmp_path, head, ["4,1,0.5", "8,3,0.7"])
    genotype = {"a.channels": 8, "b.kernel": 3}
    candidate = found.consider(genotype)
    assert found.row(genotype) == 1
    assert candidate.graph.input_shape == (3, 32, 32)
    assert candidate.architecture.fingerprint == found.space.decode(genotype).fingerprint
    with pytest.raises(Rejected, match="has no row for"):
        found.consider({"a.channels": 8, "b.kernel": 1})


def test_columns_may_stand_in_another_order_than_the_space(tmp_path: Path) -> None:
    head = (
        f'space = "{(tmp_path / "space.py").as_posix()}"\npaths = ["b.kernel", "a.channels"]\ninput_shape = [1, 8, 8]\nclasses = 4'
    )
    found = in_space(tmp_path, head, ["1,4,0.5", "3,8,0.7"])
    assert found.row({"a.channels": 8, "b.kernel": 3}) == 1
    assert found.consider({"a.channels": 8, "b.kernel": 3}).graph.output_shape == (4,)


@pytest.mark.parametrize(
    ("head", "rows", "said"),
    [
        ('space = "SPACE"', ["4,5,1", "8,1,1"], "column 'y' holds '5', which decision 'b.kernel' does not; known: 1, 3"),
        ('space = "SPACE"\npaths = ["a.channels", "b.kernl"]', ["4,1,1"], "has no decision 'b.kernl'; did you mean 'b.kernel'"),
        ('space = "SPACE"\npaths = ["a.channels", "a.channels"]', ["4,1,1"], "has 2 decisions, the table 2; name in `paths`"),
        ('space = "nowhere"', ["4,1,1"], "toy.toml: unknown space or network 'nowhere'"),
        ('space = "nasbench201"', ["4,1,1"], "has 6 decisions, the table 2"),
    ],
)
def test_a_table_that_does_not_fit_its_space(tmp_path: Path, head: str, rows: list[str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        in_space(tmp_path, head.replace("SPACE", (tmp_path / "space.py").as_posix()), rows)


@with_tables
def test_the_shipped_space_fits_the_published_table(tmp_path: Path) -> None:
    (tmp_path / "nb.toml").write_text('space = "nasbench201"\n' + (SHARED / "nb201_c10.toml").read_text())
    (tmp_path / "nb.csv.gz").write_bytes((SHARED / "nb201_c10.csv.gz").read_bytes())
    found = TableProblem(read_table(tmp_path / "nb.toml"), ["accuracy", "params"])
    rng, looked = np.random.default_rng(0), 0
    while looked < 20:
        genotype = found.space.sample(rng)
        try:
            candidate = found.consider(genotype)
        except Rejected:
            continue
        looked += 1
        declared = sum(facts.params for facts in candidate.architecture.written.facts)
        assert declared == candidate.costs["params"]
