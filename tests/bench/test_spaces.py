"""A bench with real runs: which runs there are, that they are pairs, and that it goes on where it stopped."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.bench.contestants import contestants
from nas.bench.from_runs import trajectory_of_run
from nas.bench.protocol import seed_of
from nas.bench.spaces import Plan, is_done, plans, run_plans
from nas.errors import NasError
from nas.processes import worker_environment
from nas.run import Run, open_run

FILES = """
import os, time
from nas import Space, choice, integer
from nas.blocks import Classifier, Conv, Repeat, Sequential

body = Sequential(Repeat(Conv(channels=choice(2, 4, 8, 16)), times=integer(1, 3)), Classifier())
space = Space(body, input_shape=(1, 8, 8), classes=3)

def quality(architecture):
    return {"val_accuracy": 1 - 1 / (1 + len(architecture.graph))}

def slow(architecture):
    time.sleep(0.3)
    return quality(architecture)

def dying(architecture):
    os._exit(7)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("small.py").write_text(FILES)
    return tmp_path


def todo(strategies: str = "random,evolution(population=3)", repeats: int = 2, **changes: object) -> list[Plan]:
    arguments = {"space": "small.py", "evaluator": "small.py:quality", "evaluations": 4, "objectives": ["val_accuracy", "params"]}
    return plans(contestants(strategies), repeats, 5, Path("bench"), {**arguments, **changes})


def made(todo: Sequence[Plan], workers: int = 1) -> dict[str, Run]:
    found: dict[str, Run] = {}
    run_plans(todo, workers, lambda plan, run: found.update({plan.folder.name: run}))
    return found


def test_repeats_of_all_strategies_are_pairs() -> None:
    found = made(todo())
    assert list(found) == ["random-0", "evolution-population=3-0", "random-1", "evolution-population=3-1"]
    assert [run.settings["seed"] for run in found.values()] == [seed_of(5, r) for r in (0, 0, 1, 1)]
    assert [trajectory_of_run(run).pair for run in found.values()] == [seed_of(5, r) for r in (0, 0, 1, 1)]
    assert found["evolution-population=3-0"].settings["strategy"]["options"]["population"] == 3
    assert all(run.starts()[0]["options"]["workers"] == 1 for run in found.values())


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["random", "optuna:tpe"], ["random-0", "optuna-tpe-0"]),
        (["a/b.py:C", "nsga2(population=4,x=1)"], ["a-b.py-C-0", "nsga2-population=4-x=1-0"]),
    ],
)
def test_folders_have_safe_names(labels: list[str], names: list[str]) -> None:
    who = [replace(contestants("random")[0], label=label) for label in labels]
    assert [plan.folder.name for plan in plans(who, 1, 0, Path("bench"), {})] == names


def test_labels_that_differ_have_folders_that_differ_everywhere() -> None:
    who = [replace(contestants("random")[0], label=label) for label in ("a:b", "a/b", "A-B", "x" * 99, "x" * 98, "((")]
    names = [plan.folder.name.casefold() for plan in plans(who, 1, 0, Path("bench"), {})]
    assert len(set(names)) == 6
    assert max(map(len, names)) < 80


def test_what_is_there_is_not_made_again() -> None:
    before = made(todo())
    assert list(made(todo(repeats=3))) == [*before, "random-2", "evolution-population=3-2"]
    assert all(len(run.starts()) == 1 for run in before.values())


def test_a_run_that_lacks_evaluations_is_gone_on_with() -> None:
    short = [trajectory_of_run(run) for run in made(todo("random", 1)).values()]
    assert [is_done(plan) for plan in todo("random", 2)] == [True, False]
    assert not is_done(todo("random", 1, evaluations=6)[0])
    longer = trajectory_of_run(made(todo("random", 1, evaluations=6))["random-0"])
    assert len(longer) == 6
    assert longer.searched[:4].tolist() == short[0].searched.tolist()


@pytest.mark.parametrize("changes", [{"epochs": 9}, {"constraints": ["params<=9k"]}, {"objectives": ["val_accuracy"]}])
def test_runs_of_other_settings_are_refused(changes: Mapping[str, Any]) -> None:
    made(todo("random", 1))
    with pytest.raises(NasError, match=r"random, repeat 0: bench.random-0 holds a run with"):
        made(todo("random", 1, **changes))


@pytest.mark.slow
def test_several_at_a_time_make_the_same() -> None:
    alone = {name: trajectory_of_run(run).searched.tolist() for name, run in made(todo()).items()}
    Path("bench").rename("before")
    together = {name: trajectory_of_run(run).searched.tolist() for name, run in made(todo(), workers=2).items()}
    assert together == alone


def test_a_process_that_dies_is_named() -> None:
    with pytest.raises(NasError, match=r"random, repeat [01]: its process ended with exit code 7"):
        made(todo("random", 2, evaluator="small.py:dying"), workers=2)


def test_a_run_stops_cleanly_when_its_bench_is_gone() -> None:
    plan = todo("random", 1, evaluator="small.py:slow", evaluations=60)[0]
    child = subprocess.Popen([sys.executable, "-m", "nas.bench.runner"], stdin=subprocess.PIPE, env=worker_environment())
    assert child.stdin is not None
    child.stdin.write(json.dumps(plan.arguments).encode() + b"\n")
    child.stdin.flush()
    while not _evaluations(plan.folder):
        assert child.poll() is None
        time.sleep(0.05)
    child.stdin.close()
    assert child.wait(timeout=60) == 1
    run = open_run(plan.folder)
    assert run.starts()[-1]["ended"] == "stopped by SIGTERM"
    assert 0 < len(run.trials()) < 60


def _evaluations(folder: Path) -> int:
    try:
        return len(open_run(folder).rows()[1])
    except NasError:
        return 0
