"""`nas bench` from end to end on a small table: what it prints and writes, and that bad input gets one line."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest
from toy_table import TOML, write_table

from nas.bench.contestants import contestants
from nas.bench.pool import run_all
from nas.bench.protocol import Protocol
from nas.cli import main
from nas.errors import NasError

DYING = """
import os
from nas.strategies.base import Proposal, Strategy

class Dying(Strategy):
    def propose(self, problem, history, rng):
        os._exit(7)

class Failing(Strategy):
    def propose(self, problem, history, rng):
        print("a word on standard output")
        if history.proposed:
            raise ValueError("not today")
        return Proposal(problem.space.sample(rng))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path)
    Path("own.py").write_text(DYING)
    return tmp_path


TOY = ["bench", "toy.toml", "--evaluations", "5", "--repeats", "3", "--workers", "1"]


def test_it_prints_what_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TOY, "--strategy", "random,evolution(population=2)", "--at", "2,4"]) == 0
    out = capsys.readouterr().out
    lines = [line.split("  ")[0].strip() for line in out.splitlines()]
    for word in ("random", "evolution(population=2)", "2", "4", "4, reported"):
        assert word in lines
    for word in ("best accuracy", "regret", "to 95%", "to 99%", "distinct", "inherited", "ms a proposal", "simulated"):
        assert word in out
    assert "against random: Wilcoxon" in out


def test_the_rows_are_every_evaluation_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TOY, "--strategy", "random,evolution", "--duplicates", "count", "--out", "new/rows.csv"]) == 0
    with Path("new/rows.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    with Path("toy.csv").open(newline="") as stream:
        table = {(row["a"], row["b"]): row for row in csv.DictReader(stream)}
    assert list(rows[0])[:9] == [
        "strategy", "repeat", "step", "a", "b", "searched_accuracy", "searched_params", "reported_accuracy", "reported_params"
    ]  # fmt: skip
    places = [(row["strategy"], int(row["repeat"]), int(row["step"])) for row in rows]
    assert places == [(name, repeat, step) for name in ("random", "evolution") for repeat in range(3) for step in range(1, 6)]
    for row in rows:
        known = table[row["a"], row["b"]]
        assert (row["searched_accuracy"], row["reported_accuracy"]) == (known["val"], known["test"])
        assert row["searched_params"] == row["reported_params"] == known["params"]
    assert float(rows[4]["simulated_seconds"]) == sum(float(table[row["a"], row["b"]]["time"]) / 4 for row in rows[:5])


def test_constraints_leave_rows_out() -> None:
    assert main([*TOY, "--constraint", "params<=300", "--constraint", "time>=21", "--out", "rows.csv"]) == 0
    with Path("rows.csv").open(newline="") as stream:
        found = list(csv.DictReader(stream))
    assert {int(row["searched_params"]) for row in found} == {177, 254, 210, 287}


def test_json_holds_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TOY, "--strategy", "random,nsga2", "--budget", "10min", "--fidelity", "20", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["random", "nsga2"]
    assert found["random"]["measures"]["share at 5"]["count"] == 3
    assert found["nsga2"]["against_first"]["regret"].keys() == {"better", "worse", "p", "effect"}
    assert found["random"]["ended"] == ["the budget of 5 evaluations is spent"]


def test_curves_are_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert main([*TOY, "--strategy", "random,nsga2", "--figures", "drawn"]) == 0
    out = capsys.readouterr().out
    for name in ("hypervolume", "regret", "hypervolume-seconds", "regret-seconds"):
        ElementTree.parse(f"drawn/{name}.svg")
        assert f"written: {Path('drawn', name)}.svg" in out


def test_without_times_there_are_no_curves_over_time() -> None:
    pytest.importorskip("matplotlib")
    Path("free.toml").write_text(TOML.replace('[cost]\nseconds = "time"', ""))
    Path("free.csv").write_text(Path("toy.csv").read_text())
    assert main(["bench", "free.toml", *TOY[2:], "--strategy", "random", "--figures", "drawn"]) == 0
    assert sorted(path.stem for path in Path("drawn").glob("*.svg")) == ["hypervolume", "regret"]


def test_a_simulated_budget_tells_shares_at_times(capsys: pytest.CaptureFixture[str]) -> None:
    timed = ["bench", "toy.toml", "--repeats", "4", "--workers", "1", "--budget", "24s"]
    assert main([*timed, "--strategy", "random,evolution"]) == 0
    out = capsys.readouterr().out
    for words in ("6 s simulated", "12 s simulated", "24 s simulated", "share at 24 s"):
        assert words in out
    assert main([*timed, "--strategy", "random", "--out", "rows.csv", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["random"]["measures"]
    with Path("rows.csv").open(newline="") as stream:
        ends = [float(row["simulated_seconds"]) for row in csv.DictReader(stream) if row["step"] == "1"]
    assert (found["share at 6 s"]["mean"] > 0) == (min(ends) <= 6)
    assert found["share at 6 s"]["mean"] <= found["share at 12 s"]["mean"] <= found["share at 24 s"]["mean"]
    longest = max(name for name in found if name.startswith("share at") and not name.endswith("s"))
    assert found["share at 24 s"] == found[longest]


def test_processes_and_one_process_give_the_same() -> None:
    protocol = Protocol(("accuracy", "params"), evaluations=4)
    told: list[tuple[int, int]] = []
    alone, together = (
        run_all(Path("toy.toml"), protocol, contestants("random,evolution"), 2, workers=workers, on_done=on_done)
        for workers, on_done in ((1, lambda done, total: None), (2, lambda done, total: told.append((done, total))))
    )
    assert list(alone) == list(together) == ["random", "evolution"]
    assert [[repeat.rows for repeat in of] for of in alone.values()] == [[repeat.rows for repeat in of] for of in together.values()]
    assert told == [(done, 4) for done in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Dying", "own.py:Dying, repeat [01]: its process ended with exit code 7"),
        ("Failing", "own.py:Failing, repeat [01]: strategy Failing failed at proposal 1: ValueError: not today"),
    ],
)
def test_a_strategy_that_fails_in_a_process(name: str, said: str) -> None:
    with pytest.raises(NasError, match=said):
        run_all(Path("toy.toml"), Protocol(("accuracy",), 4), contestants(f"own.py:{name}"), 2, workers=2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing.toml"], "table nothing.toml: No such file"),
        (["toy.toml", "--strategy", "randm"], "unknown strategy 'randm'; did you mean 'random'"),
        (["toy.toml", "--objectives", "acc"], "unknown objective of toy.toml 'acc'"),
        (["toy.toml", "--fidelity", "7"], "toy.toml has no fidelity 7; it has 5, 20"),
        (["toy.toml", "--evaluations", "0"], "--evaluations"),
        (["toy.toml", "--constraint", "params<=1"], "toy.toml has no row with params<=1; params goes from 100 to 474"),
        (["toy.toml", "--constraint", "accuracy>=60"], "constraint on accuracy: it is known only after training"),
        (["toy.toml", "--at", "500"], "--at '500': expected a whole number from 1 to 100"),
        (["toy.toml", "--budget", "soon"], "budget 'soon' cannot be read"),
        (["toy.toml", "--budget", "1s"], "the simulated budget of 1 s is below the cheapest evaluation, 5 s"),
        (["toy.toml", "--duplicates", "maybe"], "maybe"),
        (["toy.toml", "--seed", "-1"], "seed is -1, expected a whole number of at least 0"),
        (["free.toml", "--budget", "1h"], "free.toml has no [cost], which a simulated budget needs"),
        (["clash.toml"], "decision 'step' has the name of a column of --out; rename it there"),
        (["broken.toml"], "broken.csv, line 2: column 'val' is 'nan'"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = Path("toy.csv").read_text()
    Path("free.toml").write_text(TOML.replace('[cost]\nseconds = "time"', ""))
    Path("free.csv").write_text(rows)
    Path("clash.toml").write_text(TOML.replace('"a"', '"step"'))
    Path("clash.csv").write_text(rows.replace("a,b", "step,b"))
    Path("broken.toml").write_text(TOML)
    Path("broken.csv").write_text("a,b,same,val,val20,test,params,time\nx,y,1,nan,1,1,1,1\n")
    assert main(["bench", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count(os.linesep if os.linesep in err else "\n")) == ("", 1)
    assert err.startswith("error: ") and said in err
