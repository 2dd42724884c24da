"""Searches from the command line, end to end: with a toy evaluator, with real training, and stopped by signals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import nas
from nas.cli import main

TOY = """
import time

def f(architecture):
    return {"val_accuracy": 1 - 1 / (1 + len(architecture.graph))}

def slow(architecture):
    time.sleep(0.05)
    return f(architecture)

def layers(graph):
    return len(graph)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a toy evaluator, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(Path(nas.__file__).parents[1]))
    Path("toy.py").write_text(TOY)
    return tmp_path


TOY_SEARCH = ["search", "fashion_small", "--evaluator", "toy.py:f", "--evaluations", "6"]


def said(arguments: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> str:
    assert main(arguments) == code
    return capsys.readouterr().out


def test_every_default_is_said_before_the_first_candidate(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(TOY_SEARCH, capsys)
    head = text[: text.index(" of 6: ")]
    for word in (
        "runs/fashion_small-surrogate-1",
        "surrogate (initial 10, ",
        "chosen by auto: 16,397,004,358,499,400 genotypes, only 6 evaluations",
        "val_accuracy (maximize)",
        "constraints  none",
        "6 evaluations",
        "seed",
    ):
        assert word in head, word


def test_folders_are_numbered_and_named_in_what_to_do_next(capsys: pytest.CaptureFixture[str]) -> None:
    said(TOY_SEARCH, capsys)
    text = said([*TOY_SEARCH, "--strategy", "random"], capsys)
    assert "nas report runs/fashion_small-random-1" in text
    text = said([*TOY_SEARCH, "--strategy", "random"], capsys)
    assert "nas export runs/fashion_small-random-2@best" in text
    assert Path("runs/fashion_small-random-2/run.log").read_text()


def test_json_stands_alone_and_agrees_with_the_record(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TOY_SEARCH, "--json", "--out", "r", "--cost", "layers=toy.py:layers", "--objectives", "val_accuracy,layers"]) == 0
    out, err = capsys.readouterr()
    whole = json.loads(out)
    assert "next:" in err
    assert whole["evaluations"] == 6
    assert [row["id"] for row in whole["front"]] == list(nas.open_run("r").front()["id"])
    assert all(row["layers"] > 0 for row in whole["front"])


def test_the_same_command_and_resume_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    said([*TOY_SEARCH, "--out", "r"], capsys)
    again = said([*TOY_SEARCH, "--out", "r"], capsys)
    assert "0 proposed" in again
    more = said(["resume", "r", "--evaluations", "+3"], capsys)
    assert "9 networks evaluated" in more and "goes on after 6 evaluations" in more
    assert "9 of 9 proposals" in said(["verify", "r", "--trust-code"], capsys)


def test_settings_of_the_strategy_reach_it(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(
        [*TOY_SEARCH, "--strategy", "evolution", "--strategy-option", "population=4", "--strategy-option", "tournament=2"], capsys
    )
    assert "population 4" in text and "tournament 2" in text


def test_verify_says_no_when_a_row_was_changed(capsys: pytest.CaptureFixture[str]) -> None:
    import sqlite3

    said([*TOY_SEARCH, "--out", "r"], capsys)
    with sqlite3.connect("r/run.db") as database:
        database.execute("UPDATE proposals SET operator = 'forged' WHERE id = 3")
    database.close()
    text = said(["verify", "r"], capsys, code=1)
    assert "trial 3" in text and "5 of 6 proposals come out as recorded" in text


def test_code_of_somebody_elses_is_not_run_unless_trusted(capsys: pytest.CaptureFixture[str]) -> None:
    said([*TOY_SEARCH, "--out", "r", "--cost", "layers=toy.py:layers"], capsys)
    assert main(["verify", "r"]) == 2
    assert "--trust-code" in capsys.readouterr().err
    assert "6 of 6" in said(["verify", "r", "--trust-code"], capsys)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_stops_cleanly_and_the_search_goes_on(
    number: signal.Signals, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "search",
        "fashion_small",
        "--evaluator",
        "toy.py:slow",
        "--evaluations",
        "500",
        "--strategy",
        "random",
        "--out",
        "r",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "nas", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not _ended_some(Path("r/run.log")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert f"stopped by {number.name}" in out and "nas resume r" in out
    done = json.loads(said(["resume", "r", "--evaluations", "1", "--json"], capsys))
    assert 0 < done["evaluations"] < 500


def _ended_some(log: Path) -> bool:
    return log.exists() and log.read_text().count(": complete") >= 2


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_a_reader_that_goes_away_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "nas", "show", "fashion_small", "--sample", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == b""


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_a_search_whose_reader_goes_away_leaves_as_any_command_and_goes_on_later(capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        sys.executable,
        "-m",
        "nas",
        "search",
        "fashion_small",
        "--evaluator",
        "toy.py:slow",
        "--evaluations",
        "40",
        "--strategy",
        "random",
        "--out",
        "r",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline().startswith(b"search in r starts")
    process.stdout.close()
    assert process.wait(timeout=120) == 141
    assert process.stderr.read() == b""
    assert "40 networks evaluated" in said(["resume", "r"], capsys)


def test_python_m_nas_leaves_with_the_exit_code() -> None:
    done = subprocess.run([sys.executable, "-m", "nas", "show", "nothing"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: unknown space or network 'nothing'")


def test_from_images_to_an_exported_network(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way, with real training: data, search, show, report, export, train."""
    rng = np.random.default_rng(0)
    y = np.arange(240) % 3
    x = rng.integers(0, 90, (240, 12, 12), dtype=np.uint8)
    for i, label in enumerate(y):
        x[i, 3 * label : 3 * label + 4] += 120
    np.savez("bars.npz", x=x, y=y)
    Path("tiny.py").write_text(
        "from nas import Space, choice\nfrom nas.blocks import Classifier, Conv, Pool, Sequential\n"
        "space = Space(Sequential(Conv(channels=choice(4, 6, 8), name='stem'), Pool('max', 2), Classifier()))\n"
    )
    Path("mine.py").write_text(
        "from nas import Recipe\nrecipe = Recipe(batch_size=16, shift=0)\n"
        "def right(logits, labels):\n    return float((logits.argmax(1) == labels).mean())\n"
    )
    command = ["search", "tiny.py", "--data", "bars.npz", "--evaluations", "2", "--epochs", "2", "--workers", "1", "--out", "r"]
    command += [
        "--metric",
        "mine.py:right",
        "--objectives",
        "val_right:max,params",
        "--recipe",
        "mine.py",
        "--class-weights",
        "balanced",
    ]
    text = said(command, capsys)
    assert "class_weights balanced" in text and "batch_size 16" in text
    shown = json.loads(said(["show", "r@best", "--json"], capsys))
    assert shown["outcome"] == "complete" and shown["metrics"]["val_right"] == shown["metrics"]["val_accuracy"]
    assert "nas train r --front --budget 1h" in said(["report", "r"], capsys)
    assert "report.html" in os.listdir("r")
    Path("bars.npz").rename("stripes.npz")
    assert main(["resume", "r", "--evaluations", "+1"]) == 2
    assert capsys.readouterr().err.rstrip().endswith("bars.npz; if the data were moved, name where they lie now with --data")
    assert "3 networks evaluated" in said(["resume", "r", "--evaluations", "+1", "--data", "stripes.npz"], capsys)
    Path("stripes.npz").rename("bars.npz")
    assert "outputs equal" in said(["export", "r@best", "net.py"], capsys)
    assert main(["train", "r@best", "--data", "bars.npz", "--epochs", "3", "--json"]) == 0
    out, err = capsys.readouterr()
    trained = json.loads(out)
    assert "1 network fixed before any test image is looked at" in err and "3 epochs each (asked for), 1 training" in err
    (network,) = trained["networks"]
    assert (trained["folder"], trained["epochs"]) == (str(Path("runs/trained-1")), 3)
    assert network["test_accuracy"] > 0.5 and network["test_images"] == 48
    assert [Path(path).is_file() for seed in network["seeds"] for path in (seed["source"], seed["weights"], seed["curve"])] == [
        True
    ] * 3
    Path("bars.npz").rename("stripes.npz")  # as the last start called them
    assert main(["train", "r", "--epochs", "3", "--out", "runs/trained-1"]) == 0, "the data are those of the run"
    Path("stripes.npz").rename("bars.npz")
    assert "everything is trained" in capsys.readouterr().out
    timed = ["profile", "tiny.py", "--data", "bars.npz", "--samples", "20", "--workers", "1"]
    profile = json.loads(said([*timed, "--json"], capsys))
    assert profile["candidates"] > 0 and profile["workers"] == 1
    assert re.search(r"candidates? of 3 epochs in 30 min \(", said([*timed, "--epochs", "1,3"], capsys)), "one epoch is too short"
    assert re.search(r"of 200 epochs in 30 min, [\d,]+ of them on to 400 \(", said([*timed, "--epochs", "200,400"], capsys))
