"""`nas bench SPACE` and `nas compare` from end to end: what is printed and kept, and that bad input gets one line."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from toy_table import write_table

from nas.cli import main
from nas.errors import NasError
from nas.processes import worker_environment
from nas.run import open_run

FILES = """
from nas import Space, choice, integer
from nas.blocks import Classifier, Conv, Repeat, Sequential

body = Sequential(Repeat(Conv(channels=choice(2, 4, 8, 16)), times=integer(1, 3)), Classifier())
space = Space(body, input_shape=(1, 8, 8), classes=3)

def quality(architecture):
    return {"val_accuracy": 1 - 1 / (1 + len(architecture.graph))}
"""

RUNS = ["bench", "small.py", "--evaluator", "small.py:quality", "--evaluations", "4", "--repeats", "2", "--workers", "1"]
TOY = ["bench", "toy.toml", "--evaluations", "5", "--repeats", "3", "--workers", "1"]


def but(command: list[str], **changes: str) -> list[str]:
    """Returns a command with other values of some of its options."""
    found = list(command)
    for name, value in changes.items():
        found[found.index(f"--{name}") + 1] = value
    return found


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path)
    Path("small.py").write_text(FILES)
    return tmp_path


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Returns what a command prints, without the lines on the files it wrote."""
    assert main(arguments) == 0
    out = capsys.readouterr().out
    return "".join(line for line in out.splitlines(keepends=True) if not line.startswith(("written: ", "runs: ")))


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count(os.linesep if os.linesep in err else "\n") == 1
    return err


def test_a_bench_with_real_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUNS, "--constraint", "params<=100k", "--out", "b", "--strategy", "random,nsga2"]) == 0
    out, err = capsys.readouterr()
    for words in (
        "best val_accuracy",
        "hypervolume",
        "share of the best known front's hypervolume (val_accuracy, params)",
        "against random: Wilcoxon",
        "all 4 runs here together",
        "params by the logarithm from",
        "Hypervolume, which is not: val_accuracy as it is, params / 100,000; reference point (1, 1).",
    ):
        assert words in out
    lines = err.splitlines()
    head = "small.py with params<=100k: val_accuracy, params; 4 evaluations in each of 2 repeats (seed 0: "
    assert len(lines) == 5 and lines[0].startswith(head) and lines[0].endswith(") of random, nsga2; 1 run at a time, kept in b")
    assert lines[1].startswith("1 of 4: random-0: 4 networks, best val_accuracy 0.") and "hypervolume" not in err
    for name in ("random-0", "random-1", "nsga2-0", "nsga2-1"):
        assert len(open_run(Path("b", name)).trials()) == 4


def test_its_rows_have_the_shape_of_a_tables_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUNS, "--out", "b", "--strategy", "random"]) == 0
    with Path("b/rows.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    decisions = [name for name in rows[0] if ".conv" in name or ("repeat" in name and name != "repeat")]
    assert list(rows[0]) == [
        "strategy", "repeat", "step", *decisions, "searched_val_accuracy", "searched_params", "reported_val_accuracy",
        "reported_params", "proposals", "proposal_seconds", "simulated_seconds", "operator", "alike",
    ]  # fmt: skip
    assert len(decisions) == 4
    assert [(row["repeat"], row["step"]) for row in rows] == [(r, s) for r in "01" for s in "1234"]
    trials = open_run("b/random-0").trials()
    for row, genotype, params in zip(rows[:4], trials.genotype, trials.params, strict=True):
        assert {name: row[name] for name in decisions if row[name]} == {path: str(value) for path, value in genotype.items()}
        assert row["searched_params"] == row["reported_params"] == str(params)


def test_the_same_command_goes_on_and_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    first = printed([*RUNS, "--out", "b"], capsys)
    Path("b/rows.csv").unlink()
    assert printed([*RUNS, "--out", "b"], capsys) == first
    assert Path("b/rows.csv").exists()
    assert len(open_run("b/random-0").starts()) == 1


WAITING = """
import time
from pathlib import Path

quick, count = quality, 0

def quality(architecture):  # each but the first of a process waits, so that a signal comes in between
    global count
    count += 1
    for _ in range(40 * (count > 1)):
        if Path("go").exists():
            break
        time.sleep(0.1)
    return quick(architecture)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that a process can answer")
def test_a_bench_that_is_stopped_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    Path("small.py").write_text(FILES + WAITING)
    command = [*RUNS[:-2], "--workers", "2", "--out", "b"]
    child = subprocess.Popen([sys.executable, "-m", "nas", *command], stderr=subprocess.PIPE, env=worker_environment(), text=True)
    while not all(trials(name) for name in ("b/random-0", "b/nsga2-0")):
        time.sleep(0.05)
    child.terminate()
    assert "stopped; the same command with --out b goes on where it stopped" in child.communicate(timeout=60)[1]
    assert child.returncode == 143
    assert open_run("b/random-0").starts()[-1]["ended"] == "stopped by SIGTERM"
    Path("go").touch()
    told = printed(command, capsys)
    assert len(open_run("b/random-0").starts()) == 2
    assert printed(["compare", "b"], capsys) == told


def trials(folder: str) -> int:
    try:
        return len(open_run(folder).trials())
    except NasError:
        return 0


@pytest.mark.parametrize("arguments", [["b"], ["b/rows.csv"]])
def test_compare_says_what_the_bench_said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    told = printed([*RUNS, "--out", "b", "--at", "2,4"], capsys)
    assert printed(["compare", *arguments], capsys) == told


def test_compare_of_run_folders_says_what_the_bench_said(capsys: pytest.CaptureFixture[str]) -> None:
    told = printed([*RUNS, "--out", "b"], capsys)
    assert printed(["compare", "b/random-1", "b/random-0", "b/nsga2-0", "b/nsga2-1"], capsys) == told


def test_compare_of_a_tables_rows_says_what_the_bench_said(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--budget", "2min", "--fidelity", "20", "--duplicates", "count", "--constraint", "params<=250"]
    told = printed([*TOY, *options, "--strategy", "random,evolution(population=2)", "--out", "rows.csv"], capsys)
    assert "against random: Wilcoxon" in told and "simulated" in told
    assert printed(["compare", "rows.csv"], capsys) == told
    Path("elsewhere").mkdir()
    for name in ("toy.toml", "toy.csv"):
        Path(name).rename(Path("elsewhere", name))
    assert "toy.toml, which is not there; say where it is with --table TABLE.toml" in refused(["compare", "rows.csv"], capsys)
    assert printed(["compare", "rows.csv", "--table", "elsewhere/toy.toml"], capsys) == told


@pytest.mark.parametrize("fidelity", [[], ["--fidelity", "20"]])
def test_rows_alone_and_their_table_suffice(fidelity: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    told = printed([*TOY, *fidelity, "--out", "rows.csv"], capsys)
    Path("rows.csv.json").unlink()
    assert "says what it was made on; name the table with --table" in refused(["compare", "rows.csv"], capsys)
    assert printed(["compare", "rows.csv", "--table", "toy.toml"], capsys) == told


def test_labels_that_clash_get_the_name_of_their_file(capsys: pytest.CaptureFixture[str]) -> None:
    printed([*TOY, "--strategy", "random,nsga2", "--out", "one.csv"], capsys)
    printed([*TOY, "--strategy", "random,evolution", "--out", "two.csv"], capsys)
    assert main(["compare", "one.csv", "two.csv", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["strategies"]) == ["random (one.csv)", "nsga2", "random (two.csv)", "evolution"]
    same = {"better": 0, "worse": 0, "p": 1, "effect": 0, "pairs": 3, "least": 0.75}
    assert found["strategies"]["random (two.csv)"]["against_first"]["share at 5"] == same


def test_repeats_of_other_seeds_are_no_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    printed([*TOY, "--strategy", "random", "--out", "one.csv"], capsys)
    printed([*TOY, "--strategy", "nsga2", "--seed", "1", "--out", "two.csv"], capsys)
    assert "nsga2 has no repeat in common with the first, with the same seed" in printed(["compare", "one.csv", "two.csv"], capsys)


def test_runs_of_one_strategy_with_other_settings_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    printed([*RUNS, "--strategy", "nsga2(population=2),nsga2(population=3)", "--out", "b"], capsys)
    assert main(["compare", *(str(path) for path in sorted(Path("b").glob("nsga2-*"))), "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["strategies"]) == ["nsga2(population=2)", "nsga2(population=3)"]


def test_curves_are_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    printed([*RUNS, "--out", "b"], capsys)
    assert main(["compare", "b", "--figures", "drawn"]) == 0
    out = capsys.readouterr().out
    for name in ("hypervolume", "regret"):
        ElementTree.parse(f"drawn/{name}.svg")
        assert f"written: {Path('drawn', name)}.svg" in out


def test_json_tells_the_plain_hypervolume_and_its_scale(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUNS, "--out", "b", "--json", "--constraint", "params<=100k"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["strategies"]["random"]["measures"]["hypervolume"]["count"] == 2
    assert found["bench"]["hypervolume_scale"] == {"val_accuracy": "val_accuracy as it is", "params": "params / 100,000"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bench", "toy.toml", "--epochs", "4"], "--epochs is for real runs, and toy.toml is a table; leave it out"),
        (["bench", "toy.toml", "--image-size", "64"], "--image-size is for real runs"),
        ([*RUNS, "--fidelity", "3"], "--fidelity is for tables, and small.py is a space; leave it out"),
        ([*RUNS, "--budget", "3h"], "--budget is for tables"),
        (["bench", "small.py"], "no evaluations given; say how many networks each run on small.py evaluates"),
        (["bench", "small.py", "--evaluations", "4"], "no data given to train networks of small.py on"),
        ([*RUNS, "--seed", "-1"], "seed is -1"),
        ([*RUNS, "--at", "9"], "--at '9': expected a whole number from 1 to 4"),
        ([*RUNS, "--strategy", "randm"], "unknown strategy 'randm'; did you mean 'random'"),
        ([*RUNS, "--objectives", "val_acuracy"], "did you mean 'val_accuracy'"),
        (["bench", "smal", "--evaluations", "4"], "smal"),
        (["compare"], "WHAT"),
        (["compare", "nowhere"], "nowhere"),
        (["compare", "nowhere.csv"], "nowhere.csv cannot be read: No such file"),
        (["compare", "toy.csv"], "toy.csv has other columns than the rows of nas bench --out"),
        (["compare", "toy.csv", "--at", "none"], "--at 'none': expected a whole number from 1"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said in refused(arguments, capsys)
    assert not Path("runs").exists()


def told_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def evaluations(found: dict[str, Any]) -> dict[str, float]:
    return {label: of["measures"]["evaluations"]["mean"] for label, of in found["strategies"].items()}


def test_a_rerun_with_fewer_strategies_hides_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    printed([*RUNS, "--strategy", "random,nsga2", "--out", "b"], capsys)
    before = printed(["compare", "b"], capsys)
    printed([*RUNS, "--strategy", "nsga2", "--out", "b"], capsys)
    assert printed(["compare", "b"], capsys) == before
    assert printed(["compare", "b/rows.csv"], capsys) == before
    assert list(told_of(["compare", *map(str, sorted(Path("b").iterdir()))], capsys)["strategies"]) == ["nsga2", "random"]


def test_the_runs_of_a_bench_are_read_without_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    printed([*RUNS, "--strategy", "random,nsga2", "--out", "b"], capsys)
    for name in ("b/rows.csv", "b/rows.csv.json"):
        Path(name).unlink()
    assert evaluations(told_of(["compare", "b"], capsys)) == {"nsga2": 4, "random": 4}


def test_what_lies_beside_runs_is_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    printed([*RUNS, "--strategy", "random", "--out", "b"], capsys)
    Path("b/empty").mkdir()
    names = sorted(str(path) for path in Path("b").iterdir())
    out = printed(["compare", *names], capsys)
    passed = ", ".join(str(Path("b", name)) for name in ("empty", "rows.csv", "rows.csv.json"))
    assert f"Passed over: {passed} (no run, and no rows of their own)." in out
    assert "empty" in refused(["compare", "b/empty"], capsys)
    assert "nowhere" in refused(["compare", "b", "nowhere"], capsys)


def test_no_more_than_was_asked_for_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    longer = but([*RUNS, "--strategy", "random", "--out", "b"], evaluations="6")
    printed(longer, capsys)
    printed([*RUNS, "--strategy", "random", "--out", "c"], capsys)
    said = "Asked for are 4 evaluations, and 2 repeats of them hold up to 6: what came later is left out of all figures."
    fewer, fresh = told_of([*RUNS, "--strategy", "random", "--out", "b"], capsys), told_of(["compare", "c"], capsys)
    assert said in fewer["notes"]
    for found in (fewer, told_of(["compare", "b"], capsys)):
        for name in ("best", "regret", "hypervolume", "evaluations", "share at 4"):
            assert found["strategies"]["random"]["measures"][name] == fresh["strategies"]["random"]["measures"][name]


def test_runs_of_unequal_length_are_compared_over_what_all_have(capsys: pytest.CaptureFixture[str]) -> None:
    printed([*RUNS, "--strategy", "random", "--out", "b"], capsys)
    longer = but([*RUNS, "--strategy", "nsga2", "--out", "c"], evaluations="6")
    printed(longer, capsys)
    found = told_of(["compare", *map(str, [*Path("b").glob("*-?"), *Path("c").glob("*-?")])], capsys)
    assert evaluations(found) == {"random": 4, "nsga2": 4}
    assert (found["bench"]["marks"], found["notes"][0][:71]) == (
        [4], "Repeats are of unequal length (random 4, nsga2 6): every figure is of t"
    )  # fmt: skip


def test_rows_of_unequal_length_are_compared_over_what_all_have(capsys: pytest.CaptureFixture[str]) -> None:
    printed([*TOY, "--strategy", "random", "--duplicates", "count", "--out", "one.csv"], capsys)
    printed([*but(TOY, evaluations="8"), "--strategy", "nsga2", "--duplicates", "count", "--out", "two.csv"], capsys)
    found = told_of(["compare", "one.csv", "two.csv", "--at", "3,8"], capsys)
    assert evaluations(found) == {"random": 5, "nsga2": 5}
    assert found["bench"]["marks"] == [3, 5]
    assert found["notes"][1] == "Nothing is told after more than 5 evaluations: that is what all repeats have."


def test_a_bench_under_way_is_told_by_its_whole_runs(capsys: pytest.CaptureFixture[str]) -> None:
    printed([*but(RUNS, repeats="1"), "--strategy", "random,nsga2", "--out", "b"], capsys)
    about = json.loads(Path("b/rows.csv.json").read_text())
    Path("b/rows.csv.json").write_text(json.dumps({**about, "repeats": 2}))
    shorter = but([*RUNS, "--strategy", "random", "--out", "c"], evaluations="2")
    printed(shorter, capsys)
    Path("c/random-1").rename("b/random-1")
    found = told_of(["compare", "b"], capsys)
    assert evaluations(found) == {"random": 4, "nsga2": 4}
    assert found["notes"][:2] == [
        "b is not complete: it has 1 of 2 of nsga2; the same nas bench command makes the rest.",
        "Left out until finished: random (2 of 4 evaluations); the same nas bench command goes on with it.",
    ]


def test_a_folder_of_another_bench_is_not_mixed_up(capsys: pytest.CaptureFixture[str]) -> None:
    printed([*RUNS, "--strategy", "random", "--out", "b"], capsys)
    command = [*RUNS, "--strategy", "nsga2", "--out", "b"]
    assert "another protocol: seed is 0 there, 1 here" in refused([*command, "--seed", "1"], capsys)
    assert "objectives is val_accuracy, params there, val_accuracy here" in refused(
        [*command, "--objectives", "val_accuracy"], capsys
    )
    assert "constraints is none there, params<=9k here" in refused([*command, "--constraint", "params<=9k"], capsys)
    assert not Path("b/nsga2-0").exists()


def test_ones_own_strategy_is_called_as_it_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    Path("good.py").write_text("from nas.strategies.random_search import RandomSearch\n\nclass Good(RandomSearch):\n    pass\n")
    printed([*RUNS, "--strategy", "good.py:Good", "--out", "b"], capsys)
    for arguments in (["b"], ["b/good.py-Good-0", "b/good.py-Good-1"]):
        assert list(told_of(["compare", *arguments], capsys)["strategies"]) == ["good.py:Good"]


def test_inherited_weights_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    printed([*but(RUNS, repeats="1"), "--strategy", "random", "--out", "b"], capsys)
    with contextlib.closing(sqlite3.connect("b/random-0/run.db")) as database, database:
        database.execute("UPDATE evaluations SET inherited = 0.5 WHERE id > 2")
    said = "2 networks inherited weights (2 of random's): their accuracies include their parents' training."
    assert said in printed([*but(RUNS, repeats="1"), "--strategy", "random", "--out", "b"], capsys)
    for arguments in (["b"], ["b/rows.csv"], ["b/random-0"]):
        assert said in printed(["compare", *arguments], capsys)


def test_older_rows_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    printed([*TOY, "--strategy", "random", "--out", "rows.csv"], capsys)
    about = json.loads(Path("rows.csv.json").read_text())
    now = told_of(["compare", "rows.csv"], capsys)["strategies"]["random"]["measures"]
    older = {name: about[name] for name in ("ground", "seed", "marks", "times")} | {"format": 1}
    Path("rows.csv.json").write_text(json.dumps(older))
    Path("rows.csv").write_text(Path("rows.csv").read_text().replace(",alike\n", ",inherited\n"))
    assert told_of(["compare", "rows.csv"], capsys)["strategies"]["random"]["measures"] == now


def test_what_no_network_keeps_is_one_line_below_the_head(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUNS, "--constraint", "params<=1", "--out", "b"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("error: random, repeat 0: nothing keeps the constraint params<=1")


def test_what_must_not_be_compared_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    printed([*TOY, "--strategy", "random", "--out", "one.csv"], capsys)
    printed([*TOY, "--strategy", "random", "--duplicates", "count", "--out", "two.csv"], capsys)
    printed([*RUNS, "--strategy", "random", "--out", "b"], capsys)
    printed([*RUNS, "--strategy", "random", "--epochs", "9", "--out", "c"], capsys)
    said = "one.csv and two.csv cannot be compared: duplicates is skip in the first, count in the other"
    assert said in refused(["compare", "one.csv", "two.csv"], capsys)
    assert "one comes from a table, the other from real runs" in refused(["compare", "one.csv", "b"], capsys)
    assert "b and c cannot be compared: epochs is 3 in the first, 9 in the other" in refused(["compare", "b", "c"], capsys)
    said = "and b/random-0 are both random with seed".replace("/", os.sep)
    assert said in refused(["compare", "b/random-0", "b/random-0"], capsys)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("random,0,2,", "random,0,3,", "line 3: step is 3, expected 2; lines are missing or stand twice"),
        ("random,0,2,", "random,x,2,", "line 3: column 'repeat' is 'x', expected a whole number"),
        (",sample,\n", ",sample,,\n", "line 2: 15 cells, expected 14 as in the head"),
        ("searched_accuracy", "searched", "has other columns than the rows of nas bench --out"),
        ("random,0,1,", "random,0,1,p", "line 2: its table has no row 'p"),
    ],
)
def test_rows_that_were_changed_are_named(old: str, new: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    printed([*TOY, "--strategy", "random", "--out", "rows.csv"], capsys)
    text = Path("rows.csv").read_text()
    assert old in text
    Path("rows.csv").write_text(text.replace(old, new, 1))
    assert said in refused(["compare", "rows.csv"], capsys)


def test_the_wrong_table_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    printed([*TOY, "--strategy", "random", "--out", "rows.csv"], capsys)
    Path("rows.csv.json").unlink()
    Path("other.toml").write_text(Path("toy.toml").read_text())
    Path("other.csv").write_text(
        Path("toy.csv").read_text().replace(",50,", ",51,").replace(",67,", ",68,").replace(",77,", ",78,")
    )
    assert "rows.csv was not made on other.toml" in refused(["compare", "rows.csv", "--table", "other.toml"], capsys)
