"""`search` and `resume` as a user calls them, killed and stopped from outside."""

from __future__ import annotations

import logging
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.blocks import Classifier, Conv, Sequential
from nas.budget import Budget
from nas.domains import choice, real
from nas.errors import DataError, EvaluationError, NasError, RunError, UnknownNameError
from nas.events import Evaluated, Event
from nas.interrupts import fault_trace
from nas.loop import SearchStopped, resume, search
from nas.measurement import Outcome
from nas.recipe import Recipe
from nas.run import Run
from nas.space import Space

SPACE = Space(
    Sequential(Conv(channels=choice(*range(1, 40)), kernel=choice(1, 3)), Conv(channels=choice(1, 2, 3)), Classifier()),
    input_shape=(1, 4, 4),
    classes=2,
    name="small",
)


def accuracy(architecture: Any) -> dict[str, float]:
    return {"val_accuracy": int(architecture.fingerprint[:6], 16) % 1000 / 1000}


def quick(folder: Path, **options: Any) -> Run:
    return search(**{"space": SPACE, "evaluator": accuracy, "strategy": "random", "evaluations": 6, "out": folder, **options})


SCRIPT = '''
"""A search that says on its standard output what it was told."""
import sys, time
from nas.blocks import Classifier, Conv, Repeat, Sequential
from nas.domains import choice, integer
from nas.events import Evaluated
from nas.loop import search
from nas.space import Space

space = Space(
    Sequential(Repeat(Conv(channels=choice(1, 2, 3, 4, 5, 6), kernel=choice(1, 3)), times=integer(1, 3)), Classifier()),
    input_shape=(1, 4, 4), classes=2)

def evaluator(architecture):
    time.sleep(0.003)
    print("call", architecture.fingerprint, flush=True)
    return {"val_accuracy": int(architecture.fingerprint[:6], 16) % 1000 / 1000}

def tell(event):
    if isinstance(event, Evaluated) and event.losses:
        print("told", event.fingerprint, event.losses[0], flush=True)

search(space, evaluator=evaluator, strategy="evolution", evaluations=int(sys.argv[2]), out=sys.argv[1], progress=tell)
'''


def rows(folder: Path) -> tuple[list[Any], list[Any]]:
    """The rows of a run, times apart."""
    proposals, evaluations, _ = Run(folder).rows()
    return (
        [replace(row, created=0.0) for row in proposals],
        [replace(row, ended=0.0, measurement=replace(row.measurement, seconds=0.0)) for row in evaluations],
    )


def start(script: Path, *arguments: object) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen([sys.executable, str(script), *map(str, arguments)], stdout=subprocess.PIPE, text=True, env=environment)


def test_killed_ten_times_it_ends_with_the_rows_of_an_unbroken_search(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    evaluations, moments = 80, random.Random(0)
    told: list[list[str]] = []
    calls: list[str] = []
    for kill in range(11):
        process = start(script, tmp_path / "killed", evaluations)
        assert process.stdout is not None
        if kill == 0:
            time.sleep(moments.uniform(0.1, 0.6))  # before anything was evaluated, most likely
            process.kill()
        lines = []
        stop_at = moments.randint(1, 12) if kill < 10 else None
        for line in process.stdout:
            lines.append(line.split())
            if len(lines) == stop_at:
                time.sleep(moments.uniform(0.0, 0.01))
                process.kill()
        status = process.wait()
        assert status == (-signal.SIGKILL if kill < 10 else 0) or os.name == "nt"
        told += [line for line in lines if line[0] == "told" and len(line) == 3]
        calls += [line[1] for line in lines if line[0] == "call" and len(line) == 2]
    unbroken = start(script, tmp_path / "unbroken", evaluations)
    assert unbroken.communicate()[0].count("told") == evaluations

    proposals, segments = rows(tmp_path / "killed")
    assert len(segments) == evaluations
    measured = {row.fingerprint: row.measurement.metrics["val_accuracy"] for row in segments}
    assert {line[1]: -float(line[2]) for line in told}.items() <= measured.items()
    assert len(calls) - evaluations <= 10  # at most what was in flight at each kill was run again
    assert (proposals, segments) == rows(tmp_path / "unbroken")


POISON = """
    import ctypes, pathlib
    poison = pathlib.Path(sys.argv[1]).with_name("poison")
    calls.append(architecture.fingerprint)
    if len(calls) == 6 and not poison.exists():
        poison.write_text(architecture.fingerprint)
    if poison.exists() and poison.read_text() == architecture.fingerprint:
        ctypes.string_at(0)
"""


def test_a_network_that_breaks_the_process_is_given_up_after_two_times(tmp_path: Path) -> None:
    script, folder = tmp_path / "script.py", tmp_path / "run"
    script.write_text("calls = []\n" + SCRIPT.replace("\n    time.sleep(0.003)\n", POISON))
    for evaluations, ends_well in ((5, False), (5, False), (10, True)):
        process = start(script, folder, 10)
        process.communicate()
        assert (process.returncode == 0) == ends_well
        assert len(rows(folder)[1]) == evaluations
        assert ends_well != (folder / "run.fault").exists()
    outcomes = [row.measurement.outcome for row in rows(folder)[1]]
    assert outcomes == [Outcome.CRASHED if place == 5 else Outcome.COMPLETE for place in range(10)]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_stops_cleanly(tmp_path: Path, name: str, status: int) -> None:
    number = getattr(signal, name)

    def tell(event: Event) -> None:
        if isinstance(event, Evaluated) and event.evaluations == 3:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    if before is signal.SIG_IGN:
        pytest.skip(f"{name} is ignored here, and stays so")
    with pytest.raises(SearchStopped) as stopped:
        quick(tmp_path / "run", progress=tell)
    assert stopped.value.exit_code == status
    assert len(stopped.value.run.trials()) == 3
    assert stopped.value.run.starts()[0]["ended"] == f"stopped by {name}"
    assert signal.getsignal(number) is before
    assert sorted(path.name for path in (tmp_path / "run").iterdir() if path.name != "run.lock") == ["run.db", "run.log"]
    assert len(quick(tmp_path / "run").trials()) == 6


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_second_signal_stops_at_once_and_loses_nothing(tmp_path: Path) -> None:
    calls = []

    def slow(architecture: Any) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
            raise AssertionError("not reached")
        return accuracy(architecture)

    slow.__qualname__ = accuracy.__qualname__
    with pytest.raises(KeyboardInterrupt):
        quick(tmp_path, evaluator=slow)
    quick(tmp_path / "unbroken")
    quick(tmp_path)
    assert rows(tmp_path) == rows(tmp_path / "unbroken")


def test_the_same_call_goes_on_and_a_smaller_budget_changes_nothing(tmp_path: Path) -> None:
    assert len(quick(tmp_path).trials()) == 6
    assert len(quick(tmp_path, evaluations=9).trials()) == 9
    assert len(quick(tmp_path, evaluations=4).trials()) == 9
    assert [entry["ended"] for entry in Run(tmp_path).starts()] == [f"the budget of {n} evaluations is spent" for n in (6, 9, 4)]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"strategy": "evolution"}, 'strategy.name = "random", now it is "evolution"'),
        ({"seed": 1}, "seed = 0, now it is 1"),
        ({"epochs": 4}, "epochs = 3, now it is 4"),
        ({"objectives": ["params"]}, "objectives = "),
        ({"constraints": ["params<=1M"]}, 'constraints = [], now it is ["params<=1M"]'),
        ({"recipe": Recipe(lr=0.5)}, "space.definition.recipe.lr = not set, now it is 0.5"),
        ({"space": replace(SPACE, border="floor")}, 'space.definition.border = "error", now it is "floor"'),
        ({"evaluator": lambda a: accuracy(a)}, 'evaluator = "accuracy"'),
    ],
)
def test_a_change_is_refused_by_name(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    quick(tmp_path)
    with pytest.raises(RunError) as refused:
        quick(tmp_path, **change)
    assert named in str(refused.value)
    assert "(budget, workers, device and deadline may change)" in str(refused.value)
    assert len(quick(tmp_path, workers=2, device="cpu", deadline=60, evaluations=7).trials()) == 7
    assert [entry["options"]["arguments"]["deadline"] for entry in Run(tmp_path).starts()] == [3600.0, 60]


def test_a_folder_is_chosen_where_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = [quick(tmp_path, out=None, strategy=strategy).folder for strategy in ("random", "random", "evolution")]
    assert found == [Path("runs/small-random-1"), Path("runs/small-random-2"), Path("runs/small-evolution-1")]


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"evaluations": 0}, RunError, "evaluations is 0"),
        ({"evaluations": None, "budget": "0min"}, RunError, "expected more than 0"),
        ({"evaluations": None}, RunError, "no budget given"),
        ({"budget": Budget(3)}, RunError, "the budget is given twice"),
        ({"epochs": 0}, RunError, "epochs is 0"),
        ({"seed": -1}, RunError, "seed is -1"),
        ({"workers": 0}, RunError, "workers is 0, expected a whole number of at least 1"),
        ({"workers": 1.5}, RunError, "workers is 1.5, expected a whole number"),
        ({"deadline": 0}, RunError, "deadline is 0, expected a number of seconds above 0"),
        ({"deadline": -1.0}, RunError, "deadline is -1.0, expected"),
        ({"deadline": float("nan")}, RunError, "deadline is nan, expected"),
        ({"deadline": "1h"}, RunError, "deadline is '1h', expected"),
        ({"strategy": "nsga4"}, UnknownNameError, "did you mean 'nsga2'"),
        ({"objectives": ["val_acuracy"]}, UnknownNameError, "did you mean 'val_accuracy'"),
        ({"evaluator": None}, RunError, "no data given"),
        ({"evaluator": 5}, EvaluationError, "expected a function"),
        ({"recipe": "nowhere.py"}, NasError, "nowhere.py"),
    ],
)
def test_bad_input_is_told_before_a_folder_is_made(tmp_path: Path, wrong: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        quick(tmp_path / "run", **wrong)
    assert not (tmp_path / "run").exists()


def test_what_failed_is_written_down_and_told_again(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError):
        quick(tmp_path, evaluator=lambda architecture: {"score": 1.0})
    assert Run(tmp_path).starts()[0]["ended"].startswith("failed: EvaluationError: objective 'val_accuracy'")
    assert len(Run(tmp_path).trials()) == 0


def test_a_log_is_written_always(tmp_path: Path) -> None:
    level = logging.getLogger("nas").level
    quick(tmp_path, evaluations=2)
    text = (tmp_path / "run.log").read_text(encoding="utf-8")
    assert text.count("complete in") == 2 and "search ends: the budget of 2 evaluations is spent" in text
    assert logging.getLogger("nas").level == level and not logging.getLogger("nas").handlers


FILE = """
from nas import Space, choice
from nas.blocks import Classifier, Conv, Sequential
from nas.recipe import Recipe

space = Space(Sequential(Conv(channels=choice(*range(1, 40))), Classifier()), input_shape=(1, 4, 4), classes=2)
recipe = Recipe(lr=0.3)

def judge(architecture):
    return {"val_accuracy": architecture.recipe.lr}

def layers(graph):
    return len(graph)
"""


def test_a_search_of_files_alone_is_resumed_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(FILE)
    file = tmp_path / "my.py"
    run = search(
        file,
        evaluator=f"{file}:judge",
        costs={"layers": f"{file}:layers"},
        objectives=["val_accuracy", "layers"],
        recipe=str(file),
        strategy="evolution",
        strategy_options={"population": 3, "tournament": 2},
        constraints=["layers<=50"],
        evaluations=4,
        out=tmp_path / "run",
    )
    assert run.settings["strategy"] == {"name": "evolution", "options": {"population": 3, "tournament": 2}}
    assert set(run.trials()["val_accuracy"]) == {0.3}
    assert len(resume(run).trials()) == 4
    assert len(resume(tmp_path / "run", evaluations=6).trials()) == 6
    assert len(resume(tmp_path / "run", budget="+1h", evaluations=7).trials()) == 7
    more = resume(tmp_path / "run", evaluations="+2")
    assert len(more.trials()) == 9
    assert len(resume(more).trials()) == 9  # the limit is the total it came to, not two more


def test_data_that_lie_elsewhere_now_are_taken_where_they_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "my.py").write_text(FILE)
    x, y = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8), np.arange(40) % 2
    np.savez(tmp_path / "before.npz", x=x, y=y)
    np.savez(tmp_path / "other.npz", x=x, y=1 - y)
    options: dict[str, Any] = {"evaluator": f"{tmp_path / 'my.py'}:judge", "strategy": "random", "out": tmp_path / "run"}
    space = tmp_path / "open.py"
    space.write_text(
        "from nas import Space, choice\nfrom nas.blocks import Classifier, Conv, Sequential\n"
        "space = Space(Sequential(Conv(channels=choice(1, 2, 3, 4, 5, 6, 7, 8)), Classifier()))\n"
    )
    search(space, tmp_path / "before.npz", evaluations=2, **options)
    (tmp_path / "before.npz").rename(tmp_path / "after.npz")
    with pytest.raises(DataError, match=r"before\.npz"):
        resume(tmp_path / "run", evaluations="+1")
    with pytest.raises(RunError, match=r"goes on with the images and the split of 'before.* only; '.*other\.npz' has others"):
        resume(tmp_path / "run", evaluations="+1", data=tmp_path / "other.npz")
    run = resume(tmp_path / "run", evaluations="+1", data=tmp_path / "after.npz")
    assert len(run.trials()) == 3
    assert len(resume(run, evaluations="+1").trials()) == 4  # it is remembered where they lie
    assert run.settings["data"]["name"].startswith("before")


def test_a_run_without_data_takes_none_later(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(FILE)
    run = search(tmp_path / "my.py", evaluator=f"{tmp_path / 'my.py'}:judge", evaluations=1, out=tmp_path / "run")
    with pytest.raises(RunError, match="needs no data"):
        resume(run, evaluations="+1", data="fashion-mnist-12k")


def test_resumed_without_limits_a_budget_on_top_is_the_time_it_came_to_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "my.py"
    file.write_text(FILE)
    now = [0.0]
    monkeypatch.setattr("nas.record.time.monotonic", lambda: now[0])

    def later(event: Event) -> None:
        now[0] += 600.0 if isinstance(event, Evaluated) else 0.0

    options: dict[str, Any] = {"evaluator": f"{file}:judge", "strategy": "random", "out": tmp_path / "run", "progress": later}
    search(file, evaluations=2, **options)
    run = search(file, budget="+1h", **options)
    assert len(run.trials()) == 2 + 6
    for _ in range(2):  # each would add an hour of its own, were the limit taken as it was written
        run = resume(run, progress=later)
        assert len(run.trials()) == 2 + 6
        last = run.starts()[-1]
        assert last["ended"] == "the budget of 80 min is spent"
        assert last["options"]["budget"] | {"seconds": 4800.0, "extra": []} == last["options"]["budget"]


def test_a_search_with_objects_is_not_resumed_from_its_folder(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"started from Python with objects as evaluator, space; call nas\.search again"):
        resume(quick(tmp_path))


def test_an_open_recipe_makes_two_trials_of_one_network(tmp_path: Path) -> None:
    space = Space(Sequential(Conv(channels=3), Classifier()), input_shape=(1, 4, 4), classes=2)
    recipes: list[float] = []

    def judge(architecture: Any) -> dict[str, float]:
        recipes.append(architecture.recipe.lr)
        return {"val_accuracy": architecture.recipe.lr}

    run = quick(tmp_path, space=space, evaluator=judge, recipe=Recipe(lr=real(0.01, 0.5, log=True)))
    assert len(set(recipes)) == 6
    assert run.trials()["val_accuracy"].tolist() == [max(recipes)]
    assert run.network("best").recipe["lr"] == max(recipes)


def test_a_fault_of_the_process_leaves_a_trace_and_an_exception_none(tmp_path: Path) -> None:
    with fault_trace(tmp_path) as before:
        assert not before
    with pytest.raises(ValueError), fault_trace(tmp_path):
        raise ValueError
    (tmp_path / "run.fault").write_text("Fatal Python error: Segmentation fault\n")
    with fault_trace(tmp_path) as before:
        assert before
    with fault_trace(tmp_path) as before:
        assert not before


def test_trained_on_arrays_it_keeps_what_an_export_needs(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    images = (rng.random((120, 1, 4, 4)) * 255 * (0.2 + 0.8 * labels[:, None, None, None])).astype(np.uint8)
    space = replace(SPACE, input_shape=None, classes=None)
    run = search(
        space,
        (images, labels),
        strategy="random",
        evaluations=2,
        epochs=1,
        workers=1,
        device="cpu",
        out=tmp_path / "run",
        data_options={"cache_dir": tmp_path / "cache"},
    )
    table = run.trials()
    assert table["outcome"].tolist() == ["complete", "complete"]
    found = run.network("best")
    assert found.stored_source is not None and "nn.Module" in found.source
    assert found.weights is not None and found.weights.is_file()
    assert found.measurement is not None and len(found.measurement.curve) == 1
    assert run.settings["data"]["validation_images"] > 0 and run.settings["data"]["class_names"] == ["0", "1"]
    assert {"val_accuracy_low", "val_accuracy_high", "same_as_previous"} <= set(run.front().columns)
    assert run.starts()[0]["options"]["evaluator"]["device"] == "cpu"
