"""`nas bench` from end to end on a small table: what it prints and writes, and that bad input gets one line."""

from __future__ import annotations

import csv
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
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


def but(command: list[str], **changes: str) -> list[str]:
    """Returns a command with other values of some of its options."""
    found = list(command)
    for name, value in changes.items():
        found[found.index(f"--{name}") + 1] = value
    return found


def test_it_prints_what_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TOY, "--strategy", "random,evolution(population=2)", "--at", "2,4"]) == 0
    out = capsys.readouterr().out
    lines = [line.split("  ")[0].strip() for line in out.splitlines()]
    for word in ("random", "evolution(population=2)", "2", "4", "4, reported"):
        assert word in lines
    for word in ("best accuracy", "regret", "to 95%", "to 99%", "distinct", "alike", "ms a proposal", "simulated"):
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
    strategies = found["strategies"]
    assert list(strategies) == ["random", "nsga2"]
    assert strategies["random"]["measures"]["share at 5"]["count"] == 3
    assert strategies["nsga2"]["against_first"]["regret"].keys() == {"better", "worse", "p", "effect", "pairs", "least"}
    assert strategies["random"]["ended"] == ["the budget of 5 evaluations is spent"]


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
    for words in ("6 s simulated", "12 s simulated", "24 s simulated", "share at 24 s simulated"):
        assert words in out
    assert main([*timed, "--strategy", "random", "--out", "rows.csv", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["strategies"]["random"]["measures"]
    with Path("rows.csv").open(newline="") as stream:
        ends = [float(row["simulated_seconds"]) for row in csv.DictReader(stream) if row["step"] == "1"]
    assert (found["share at 6 s"]["mean"] > 0) == (min(ends) <= 6)
    assert found["share at 6 s"]["mean"] <= found["share at 12 s"]["mean"] <= found["share at 24 s"]["mean"]
    shortest = max(name for name in found if name.startswith("share at") and not name.endswith("s"))
    assert found["share at 24 s"]["mean"] >= found[shortest]["mean"]


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


def test_json_says_what_was_searched_and_what_the_names_mean(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TOY, "--strategy", "random", "--seed", "3", "--constraint", "params<=300", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    head = found["bench"]
    assert (head["kind"], head["title"], Path(head["table"]).name) == ("table", "Toy", "toy.toml")
    assert head["objectives"] == [{"name": "accuracy", "direction": "maximize"}, {"name": "params", "direction": "minimize"}]
    assert (head["constraints"], head["seed"], head["evaluations"], head["repeats"]) == (["params<=300"], 3, 5, 3)
    assert (head["marks"], head["scale"]["accuracy"]) == ([3], "accuracy from 50 to 67")
    names = {name.partition(" at ")[0].partition(" to ")[0] for name in found["strategies"]["random"]["measures"]}
    assert names <= {key.partition(" at ")[0].partition(" to ")[0] for key in found["meaning"]}


def test_the_same_command_keeps_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    command = [*TOY, "--strategy", "random,nsga2", "--out", "rows.csv"]
    assert main(command) == 0
    before, told = Path("rows.csv").read_text(), capsys.readouterr().out
    lines = before.splitlines(keepends=True)
    Path("rows.csv").write_text("".join(lines[:6] + lines[16:21]))  # one repeat of each is left
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert "2 of 6 repeats stand in rows.csv already and are kept" in err
    now = Path("rows.csv").read_text().splitlines()
    for row, old in zip(csv.DictReader(now), csv.DictReader(before.splitlines()), strict=True):
        assert {**row, "proposal_seconds": ""} == {**old, "proposal_seconds": ""}
    assert out.partition("share of")[1:] == told.partition("share of")[1:]
    assert Path("rows.csv").read_text().splitlines()[:6] == before.splitlines()[:6]  # seconds too


def test_more_strategies_stand_beside_those_that_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TOY, "--strategy", "random,nsga2", "--out", "rows.csv"]) == 0
    assert main([*but(TOY, repeats="2"), "--strategy", "evolution,random", "--out", "rows.csv"]) == 0
    assert "rows.csv holds rows of nsga2 as well; nas compare shows all." in capsys.readouterr().out
    with Path("rows.csv").open(newline="") as stream:
        found = Counter(row["strategy"] for row in csv.DictReader(stream))
    assert found == {"random": 15, "nsga2": 15, "evolution": 10}
    assert main(["compare", "rows.csv", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["strategies"]) == ["random", "nsga2", "evolution"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"evaluations": "6"}, "rows.csv holds rows of another protocol: evaluations is 5 there, 6 here; choose another place"),
        ({"seed": "1"}, "another protocol: seed is 0 there, 1 here"),
        ({"objectives": "accuracy"}, "another protocol: objectives is accuracy, params there, accuracy here"),
        ({"constraint": "params<=300"}, "another protocol: constraints is none there, params<=300 here"),
        ({"budget": "3h"}, "another protocol: seconds is none there, 10800.0 here"),
    ],
)
def test_rows_of_another_protocol_are_not_overwritten(
    changes: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*TOY, "--strategy", "random", "--out", "rows.csv"]) == 0
    before = Path("rows.csv").read_text()
    capsys.readouterr()
    there = {name: value for name, value in changes.items() if f"--{name}" in TOY}
    new = [word for name in changes.keys() - there for word in (f"--{name}", changes[name])]
    assert main([*but(TOY, **there), "--strategy", "nsga2", "--out", "rows.csv", *new]) == 2
    assert said in capsys.readouterr().err
    assert Path("rows.csv").read_text() == before


def test_neither_is_anything_that_cannot_be_gone_on_with(capsys: pytest.CaptureFixture[str]) -> None:
    command = [*TOY, "--strategy", "good.py:Good", "--out", "rows.csv"]
    Path("good.py").write_text("from nas.strategies.random_search import RandomSearch\n\nclass Good(RandomSearch):\n    pass\n")
    assert main([*command[:-1], "toy.csv"]) == 2
    assert "toy.csv holds something else than rows of nas bench" in capsys.readouterr().err
    assert main(command) == 0
    Path("good.py").write_text(Path("good.py").read_text() + "\n")
    assert main(command) == 2
    assert "rows.csv is there already, and good.py:Good has changed since" in capsys.readouterr().err
    Path("toy.csv").write_text(Path("toy.csv").read_text().replace(",50,", ",51,"))
    assert main([*TOY, "--strategy", "random", "--out", "rows.csv"]) == 2
    assert "rows.csv is there already, and its table has changed since" in capsys.readouterr().err
    Path("rows.csv.json").unlink()
    assert main(command) == 2
    assert "rows.csv is there already, and rows.csv.json, which says what it means, is not" in capsys.readouterr().err


STOPPING = """
import os, signal
from nas.strategies.base import Proposal, Strategy

class Stopping(Strategy):
    made = 0
    def __init__(self):
        type(self).made += 1
    def propose(self, problem, history, rng):
        if self.made == 3:  # the second repeat: the first one was made to see whether it can be
            os.kill(os.getpid(), getattr(signal, os.environ["NAS_TEST_SIGNAL"]))
        return Proposal(problem.space.sample(rng))
"""


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """Processes that a shell starts in the background ignore Ctrl-C, these tests then, too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals that a process can send itself and answer")
@pytest.mark.usefixtures("hears_ctrl_c")
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_bench_that_is_stopped_says_what_it_has(
    name: str, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_TEST_SIGNAL", name)
    Path("own.py").write_text(STOPPING + f"# {name}\n")
    command = [*TOY, "--strategy", "random,own.py:Stopping"]
    assert main([*command, "--out", "rows.csv"]) == code
    assert capsys.readouterr().err == (
        "stopped; 3 of 6 repeats are written to rows.csv, and the same command goes on where it stopped\n"
    )
    assert main(["compare", "rows.csv"]) == 0
    said = (
        "rows.csv is not complete: it has 2 of 3 of random, 1 of 3 of own.py:Stopping; the same nas bench command makes the rest."
    )
    assert said in capsys.readouterr().out
    assert main([*command, "--out", "rows.csv"]) == 0
    assert "3 of 6 repeats stand in rows.csv already" in capsys.readouterr().err
    assert main(["compare", "rows.csv"]) == 0
    assert "is not complete" not in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals that a process can send itself and answer")
@pytest.mark.usefixtures("hears_ctrl_c")
def test_without_a_place_it_says_that_nothing_is_kept(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_TEST_SIGNAL", "SIGINT")
    Path("own.py").write_text(STOPPING + "# alone\n")
    assert main([*TOY, "--strategy", "own.py:Stopping"]) == 130
    assert capsys.readouterr().err == "stopped; 1 of 3 repeats were done and are lost: --out rows.csv keeps them\n"


def test_the_output_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TOY, "--strategy", "random,nsga2,evolution", "--duplicates", "count", "--constraint", "params<=300"]) == 0
    out = capsys.readouterr().out
    for words in (
        "Toy: accuracy (up), params (down); with params<=300; a repeated network counts; 3 repeats\n",
        "columns are means over the repeats, each at its end; regret: how far best is from the best known",
        "best: as it is reported, of the network that is best as a strategy sees them",
        "(1 of 20): how many do",
        "the first proposal left out",
        "reported: the networks that are the front as a strategy sees them",
        "Holm's correction covers the 2 strategies tested at one measure, not the number of measures",
        "with 3 pairs p cannot fall below 0.5, whatever the difference: 7 repeats are the fewest with which it can be under 0.05",
    ):
        assert words in out


def test_a_strategy_that_ends_early_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    command = [*but(TOY, evaluations="8"), "--strategy", "evolution,exhaustive", "--out", "rows.csv"]
    said = "exhaustive ended by itself after 6 evaluations in 3 of 3 repeats"
    assert main(command) == 0
    assert said in capsys.readouterr().out
    assert main(["compare", "rows.csv"]) == 0
    assert said in capsys.readouterr().out
    assert main(["compare", "rows.csv", "--json"]) == 0
    assert "were looked at" in json.loads(capsys.readouterr().out)["strategies"]["exhaustive"]["ended"][0]


def test_times_after_the_end_of_all_repeats_are_not_told_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TOY, "--strategy", "random,nsga2", "--budget", "50min", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bench"]["times"] == []
    assert main(["bench", "toy.toml", "--repeats", "2", "--workers", "1", "--budget", "100min", "--duplicates", "count"]) == 0
    out = capsys.readouterr().out
    assert "share at 50 min simulated" in out and "3000 s" not in out


def test_the_first_proposal_is_left_out_of_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    Path("slow.py").write_text(
        "import time\nfrom nas.strategies.base import Proposal, Strategy\n\nclass Slow(Strategy):\n"
        "    def propose(self, problem, history, rng):\n        time.sleep(0 if history.proposed else 0.5)\n"
        "        return Proposal(problem.space.sample(rng))\n"
    )
    command = [*but(TOY, repeats="1"), "--strategy", "slow.py:Slow", "--duplicates", "count"]
    assert main([*command, "--json", "--out", "rows.csv"]) == 0
    seconds = json.loads(capsys.readouterr().out)["strategies"]["slow.py:Slow"]["measures"]["seconds"]["mean"]
    with Path("rows.csv").open(newline="") as stream:
        each = [float(row["proposal_seconds"]) for row in csv.DictReader(stream)]
    assert each[0] >= 0.5
    assert seconds == pytest.approx(sum(each[1:]) / 4)


def test_a_table_with_gaps_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    Path("toy.csv").write_text("\n".join(Path("toy.csv").read_text().splitlines()[:-2]) + "\n")
    assert main([*TOY, "--strategy", "random"]) == 0
    assert "The table has 7 of the 9 combinations of its decisions' values" in capsys.readouterr().out


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
        (["turned.toml"], "direction`; expected maximize or minimize; nas bench --help shows the format"),
        (["broken.toml"], "broken.csv, line 2: column 'val' is 'nan'"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = Path("toy.csv").read_text()
    Path("free.toml").write_text(TOML.replace('[cost]\nseconds = "time"', ""))
    Path("free.csv").write_text(rows)
    Path("clash.toml").write_text(TOML.replace('"a"', '"step"'))
    Path("clash.csv").write_text(rows.replace("a,b", "step,b"))
    Path("turned.toml").write_text(TOML.replace('"maximize"', '"max"'))
    Path("broken.toml").write_text(TOML)
    Path("broken.csv").write_text("a,b,same,val,val20,test,params,time\nx,y,1,nan,1,1,1,1\n")
    assert main(["bench", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count(os.linesep if os.linesep in err else "\n")) == ("", 1)
    assert err.startswith("error: ") and said in err
