"""A table as a problem: rows are found, costs are known before, duplicates are merged, a named space brings graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from toy_table import SHARED, with_tables, write_table

from nas.bench.from_table import known_of_table, trajectory_of
from nas.bench.known import turned
from nas.bench.problem import TableProblem
from nas.bench.protocol import Repeat
from nas.bench.quality import Yardstick
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
    assert turned(found.objectives, found.searched)[5].tolist() == [-74.0, 364.0]


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


COLUMNS = ["a,b,same,val,val20,test,params,time,depth,word"]
for _i in range(9):
    COLUMNS.append(f"{_i // 3},{_i % 3},{_i},{_i % 4},{_i},{_i % 4 / 10},{100 - 10 * _i},1,{_i % 3},x{_i}")


def constrained(folder: Path, *constraints: str) -> TableProblem:
    return TableProblem(read_table(write_table(folder, rows=COLUMNS)), ["accuracy", "params"], constraints=constraints)


def test_rows_that_break_a_constraint_are_refused_with_their_costs(tmp_path: Path) -> None:
    found = constrained(tmp_path, "params<=0.06k", "depth>0")
    assert found.feasible_rows.tolist() == [4, 5, 7, 8]
    assert found.feasible({"a": 1, "b": 1}) and not found.feasible({"a": 1, "b": 0})
    with pytest.raises(Rejected, match=r"^params is 90, expected params<=0\.06k$") as refused:
        found.consider({"a": 0, "b": 1})
    assert (refused.value.reason, refused.value.costs) == ("params<=0.06k", {"params": 90.0, "depth": 1.0})
    assert found.consider({"a": 1, "b": 1}).costs == {"params": 60.0, "depth": 1.0}
    assert constrained(tmp_path, "a>=2").feasible_rows.tolist() == [6, 7, 8]  # a decision may be a number too


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("params<=1", DataError, r"toy\.toml has no row with params<=1; params goes from 20 to 100"),
        ("accuracy>=2", ObjectiveError, "constraint on accuracy: it is known only after training; constrain one of params"),
        ("val20>=2", ObjectiveError, "constraint on val20: it is known only after training"),
        ("parms<=1", UnknownNameError, "did you mean 'params'"),
        ("word<=1", DataError, "constraint on word: not every cell of that column is a finite number"),
        ("params=1", ObjectiveError, "constraint 'params=1' cannot be read"),
    ],
)
def test_constraints_that_make_no_sense(tmp_path: Path, text: str, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        constrained(tmp_path, text)


def test_a_constrained_table_is_the_table_without_these_rows(tmp_path: Path) -> None:
    bound = constrained(tmp_path, "params<=60")
    left = [line for line in COLUMNS if line is COLUMNS[0] or int(line.split(",")[6]) <= 60]
    alone = TableProblem(read_table(write_table(tmp_path, rows=left)), ["accuracy", "params"])
    rows, whole = [1, 0, 4], [5, 4, 8]
    assert (bound.searched[whole] == alone.searched[rows]).all()
    one, other = (
        Yardstick(known_of_table(problem)).curves(trajectory_of(problem, repeat_of(rows), 0))
        for problem, rows in ((bound, whole), (alone, rows))
    )
    for name in ("best", "regret", "share", "reported_share"):
        assert getattr(one, name) == pytest.approx(getattr(other, name))


def repeat_of(rows: list[int]) -> Repeat:
    n = len(rows)
    return Repeat(rows, list(range(1, n + 1)), [0.0] * n, [1.0] * n, ["sample"] * n, [None] * n)
