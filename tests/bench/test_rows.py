"""The file of rows: what a bench that is broken off leaves behind, and that it is whole and in order at any moment."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from toy_table import write_table

from nas.bench.contestants import contestants
from nas.bench.from_table import trajectory_of
from nas.bench.known import Trajectory
from nas.bench.pool import run_all
from nas.bench.problem import TableProblem
from nas.bench.protocol import Protocol, Repeat
from nas.bench.reading import read_table
from nas.bench.rows import RowsFile, columns
from nas.errors import NasError, RunError
from nas.files import write_whole

LATE = """
from nas.strategies.base import Proposal, Strategy

class Late(Strategy):
    made = 0
    def __init__(self):
        type(self).made += 1
    def propose(self, problem, history, rng):
        if self.made == 3:
            raise ValueError("the third repeat")
        return Proposal(problem.space.sample(rng))
"""


@pytest.fixture
def problem(tmp_path: Path) -> TableProblem:
    return TableProblem(read_table(write_table(tmp_path)), ["accuracy", "params"])


def read(path: Path) -> list[dict[str, str]]:
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    return list(csv.DictReader(text.splitlines()))


HEAD = columns(["a", "b"], ["accuracy", "params"], "toy.toml")


def trajectory(problem: TableProblem, *rows: int) -> Trajectory:
    n = len(rows)
    repeat = Repeat(list(rows), list(range(1, n + 1)), [0.0] * n, [1.0] * n, ["sample"] * n, [None] + [0.5] * (n - 1))
    return trajectory_of(problem, repeat, 0)


def test_a_bench_that_is_broken_off_keeps_what_was_done(tmp_path: Path, problem: TableProblem) -> None:
    (tmp_path / "late.py").write_text(LATE)
    who = contestants(f"random,{tmp_path / 'late.py'}:Late")
    protocol = Protocol(("accuracy", "params"), evaluations=4)
    with (
        pytest.raises(NasError, match="the third repeat"),
        RowsFile(tmp_path / "rows.csv", HEAD, [w.label for w in who]) as rows,
    ):
        run_all(
            problem.table.path,
            protocol,
            who,
            5,
            workers=1,
            on_repeat=lambda label, n, repeat: rows.add(label, n, trajectory_of(problem, repeat, n)),
        )
    found = read(tmp_path / "rows.csv")
    done = [(who[0].label, str(n)) for n in range(3)] + [(who[1].label, str(n)) for n in range(2)]
    assert [(row["strategy"], row["repeat"], row["step"]) for row in found] == [(*of, str(s)) for of in done for s in range(1, 5)]


def test_they_stand_in_order_whenever_they_end(tmp_path: Path, problem: TableProblem) -> None:
    path = tmp_path / "new" / "rows.csv"
    rows = RowsFile(path, HEAD, ["one", "two"])
    assert read(path) == []
    for label, number in (("two", 1), ("one", 2), ("two", 0), ("one", 0)):
        rows.add(label, number, trajectory(problem, 3, 4))
    rows.write()
    places = [(row["strategy"], row["repeat"], row["step"]) for row in read(path)]
    assert places == [(label, n, s) for label, n in (("one", "0"), ("one", "2"), ("two", "0"), ("two", "1")) for s in "12"]
    assert [row["alike"] for row in read(path)[:2]] == ["", "0.5"]


@pytest.mark.parametrize(("share", "kept"), [(float("inf"), 1), (-1.0, 0)])
def test_a_repeat_is_kept_when_it_ends_unless_writing_takes_too_long(
    tmp_path: Path, problem: TableProblem, monkeypatch: pytest.MonkeyPatch, share: float, kept: int
) -> None:
    monkeypatch.setattr("nas.bench.rows._SHARE", share)
    with RowsFile(tmp_path / "rows.csv", HEAD, ["one"]) as rows:
        rows.add("one", 0, trajectory(problem, 3))
        assert len(read(tmp_path / "rows.csv")) == kept
    assert len(read(tmp_path / "rows.csv")) == 1


def test_a_file_that_cannot_be_replaced_now_is_written_later(
    tmp_path: Path, problem: TableProblem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.bench.rows._SHARE", float("inf"))
    rows = RowsFile(tmp_path / "rows.csv", HEAD, ["one"])

    def held(path: Path, text: str) -> None:
        raise PermissionError(13, "held by another program")

    monkeypatch.setattr("nas.bench.rows.write_whole", held)
    rows.add("one", 0, trajectory(problem, 3))
    with pytest.raises(RunError, match=r"rows\.csv cannot be written: held by another program"):
        rows.write()
    monkeypatch.setattr("nas.bench.rows.write_whole", write_whole)
    rows.write()
    assert len(read(tmp_path / "rows.csv")) == 1


def test_a_place_that_cannot_be_written_is_said_before_anything_runs(tmp_path: Path, problem: TableProblem) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        RowsFile(tmp_path / "file" / "rows.csv", HEAD, ["one"])
