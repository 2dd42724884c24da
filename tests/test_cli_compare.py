"""`nas bench SPACE` and `nas compare` from end to end: what is printed and kept, and that bad input gets one line."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path
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
        "Hypervolume: val_accuracy as it is, params / 100,000; reference point (1, 1).",
    ):
        assert words in out
    lines = err.splitlines()
    assert (
        len(lines) == 4
        and lines[0].startswith("1 of 4: random-0: 4 networks, best val_accuracy 0.")
        and "hypervolume 0." in lines[0]
    )
    for name in ("random-0", "random-1", "nsga2-0", "nsga2-1"):
        assert len(open_run(Path("b", name)).trials()) == 4


def test_its_rows_have_the_shape_of_a_tables_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUNS, "--out", "b", "--strategy", "random"]) == 0
    with Path("b/rows.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    decisions = [name for name in rows[0] if ".conv" in name or ("repeat" in name and name != "repeat")]
    assert list(rows[0]) == [
        "strategy", "repeat", "step", *decisions, "searched_val_accuracy", "searched_params", "reported_val_accuracy",
        "reported_params", "proposals", "proposal_seconds", "simulated_seconds", "operator", "inherited",
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


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that a process can answer")
def test_a_bench_that_is_stopped_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    Path("small.py").write_text(FILES.replace("    return", "    import time; time.sleep(0.3)\n    return"))
    command = [*RUNS[:-2], "--workers", "2", "--out", "b"]
    child = subprocess.Popen([sys.executable, "-m", "nas", *command], stderr=subprocess.PIPE, env=worker_environment(), text=True)
    while not all(trials(name) for name in ("b/random-0", "b/nsga2-0")):
        time.sleep(0.05)
    child.terminate()
    assert "stopped; the same command with --out b goes on where it stopped" in child.communicate(timeout=60)[1]
    assert child.returncode == 143
    assert open_run("b/random-0").starts()[-1]["ended"] == "stopped by SIGTERM"
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
    assert list(found) == ["random (one.csv)", "nsga2", "random (two.csv)", "evolution"]
    assert found["random (two.csv)"]["against_first"]["share at 5"] == {"better": 0, "worse": 0, "p": 1, "effect": 0}


def test_repeats_of_other_seeds_are_no_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    printed([*TOY, "--strategy", "random", "--out", "one.csv"], capsys)
    printed([*TOY, "--strategy", "nsga2", "--seed", "1", "--out", "two.csv"], capsys)
    assert "nsga2 has no repeat in common with the first, with the same seed" in printed(["compare", "one.csv", "two.csv"], capsys)


def test_runs_of_one_strategy_with_other_settings_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    printed([*RUNS, "--strategy", "nsga2(population=2),nsga2(population=3)", "--out", "b"], capsys)
    assert main(["compare", *(str(path) for path in sorted(Path("b").glob("nsga2-*"))), "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["nsga2(population=2)", "nsga2(population=3)"]


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
    assert found["random"]["measures"]["hypervolume"]["count"] == 2
    assert found["random"]["hypervolume_scale"] == {"val_accuracy": "val_accuracy as it is", "params": "params / 100,000"}


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
        ([*RUNS, "--constraint", "params<=1", "--out", "b"], "random, repeat 0: nothing keeps the constraint params<=1"),
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
