"""Runs with several rungs as their reader sees them: tables, fronts, what brief training is worth, the report, the command."""

from __future__ import annotations

import io
import json
import re
import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from nas.arguments import fitting_rungs
from nas.bench.from_runs import ground_of_run
from nas.bench.setup import prepare_space
from nas.blocks import Classifier, Conv, Sequential
from nas.cli import main
from nas.domains import choice
from nas.errors import EvaluationError, RunError
from nas.evaluators.function import CallableEvaluator
from nas.library import load_space
from nas.lines import epochs_words
from nas.loop import resume, search
from nas.problem import Problem
from nas.progress import Progress
from nas.recipe import Recipe
from nas.recompute import verify
from nas.run import Run, open_run
from nas.rungs import rung_facts, rung_words
from nas.space import Space
from nas.strategies.table import make_strategy
from nas.warm import find_earlier

FILE = """
from nas import Space, choice
from nas.blocks import Classifier, Conv, Sequential

space = Space(Sequential(Conv(channels=choice(*range(1, 60)), kernel=choice(1, 3)), Classifier()), input_shape=(1, 4, 4), classes=2)

def judge(architecture, epochs):
    seed = int(architecture.fingerprint[:6], 16)
    return {"val_accuracy": (seed % 1000 + epochs * 50) / 2000}

def blind(architecture):
    return judge(architecture, 1)
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("space") / "my.py"
    path.write_text(FILE)
    return path


@pytest.fixture(scope="module")
def run(file: Path) -> Run:
    """30 networks on the lowest rung."""
    return searched(file, file.parent / "run")


def searched(file: Path, folder: Path, **options: Any) -> Run:
    given = {"strategy": "random", "evaluations": 30, "epochs": (1, 3, 9), "evaluator": f"{file}:judge", "out": folder}
    return search(file, **{**given, **options})


def test_the_settings_say_the_rungs(run: Run, file: Path, tmp_path: Path) -> None:
    assert (run.settings["epochs"], run.rungs, run.top) == ([1, 3, 9], (1, 3, 9), 9)
    alone = searched(file, tmp_path, epochs=3, evaluations=2)
    assert (alone.settings["epochs"], alone.rungs, alone.top) == (3, (3,), 3)
    assert alone.promotions() == [] and rung_words(alone) == []


def test_tables_show_each_network_at_its_deepest_or_at_one_rung(run: Run) -> None:
    counts = [len(run.trials(rung)) for rung in run.rungs]
    assert counts[0] == len(run.trials()) == 30 and counts[1] >= 10 and counts[2] >= counts[1] // 3
    deepest = run.trials().set_index("fingerprint")
    for rung in run.rungs:
        table = run.trials(rung)
        assert set(table["epochs"]) == {rung}
        assert (table["epochs"].to_numpy() <= deepest.loc[table["fingerprint"], "epochs"].to_numpy()).all()
    assert deepest["epochs"].value_counts().to_dict() == {1: counts[0] - counts[1], 3: counts[1] - counts[2], 9: counts[2]}


def test_the_front_and_the_best_are_of_the_highest_rung(run: Run) -> None:
    assert set(run.front()["epochs"]) == {9} and run.front().equals(run.front(9))
    assert set(run.front(1)["epochs"]) == {1}
    assert run.best().values["val_accuracy"] == run.trials(9)["val_accuracy"].max()
    found = run.best()
    assert found.measurement is not None and found.measurement.epochs == 9
    [at_first] = run.networks([found.fingerprint], 1)
    assert at_first.measurement is not None and at_first.measurement.epochs == 1


def test_the_best_within_bounds_is_of_the_highest_rung_that_keeps_them(run: Run) -> None:
    smallest = int(run.trials()["params"].min())
    found = run.best(f"params<={smallest}")
    rung = next(rung for rung in reversed(run.rungs) if run.trials(rung)["params"].min() == smallest)
    assert found.measurement is not None and found.measurement.epochs == rung
    with pytest.raises(RunError, match=r"keeps params<1; 30 were measured"):
        run.best("params<1")


def test_before_anything_reached_the_top_the_front_is_that_of_the_rung_below(file: Path, tmp_path: Path) -> None:
    run = searched(file, tmp_path, evaluations=5)
    assert run.top == 3 and set(run.front()["epochs"]) == {3}
    words = rung_words(run)
    went = len(run.promotions())
    assert words[0] == f"networks measured: 5 after 1 epoch, {went} after 3 epochs, 0 after 9 epochs; the front is that of 3 epochs"
    assert words[1] == "none reached 9 epochs: that takes 9 networks"
    assert words[2].endswith(f"too few went on to say whether they rank alike ({went})")
    assert resume(run, evaluations=30).top == 9


def test_how_far_rungs_agree_is_said_with_its_interval(run: Run) -> None:
    lowest, middle, top = rung_facts(run)
    assert lowest.agreement is None and [fact.epochs for fact in (lowest, middle, top)] == [1, 3, 9]
    assert middle.agreement is not None and middle.agreement.tau == pytest.approx(1.0)  # every network gains as much an epoch
    assert middle.agreement.count == middle.networks and (middle.objective, top.objective) == ("val_accuracy",) * 2
    assert "Kendall's tau +1.00 [" in rung_words(run)[1] and "can be trusted to rank" in rung_words(run)[1]


def test_earlier_runs_teach_what_all_networks_were_measured_for(run: Run) -> None:
    space = load_space(run.folder.parent / "my.py")
    [earlier] = find_earlier([run], Problem(space, ["val_accuracy", "params"]))
    assert sorted(-loss for loss in earlier.losses["val_accuracy"]) == sorted(run.trials(1)["val_accuracy"])


def test_the_report_shows_the_rungs_apart(run: Run, tmp_path: Path) -> None:
    from nas.report.content import gather

    content = gather(run)
    assert [rung.epochs for rung in content.rungs] == [1, 3, 9]
    points = content.points
    top = {str(id) for id in run.trials(9)["id"]}
    assert {id for id, measured in zip(points["id"], points["measured"], strict=True) if measured} == top
    assert sum(points["lower"]) == 30 - len(top)
    assert "1 epoch a network, the best go on to 3 and 9" in dict(content.facts).get("training", epochs_words([1, 3, 9]))
    text = run.report(tmp_path / "report.html").read_text()
    assert "<h3>Rungs</h3>" in text and "Kendall&#39;s tau" in text


def test_the_record_is_verified_with_its_promotions(run: Run, tmp_path: Path) -> None:
    problem = Problem(load_space(run.folder.parent / "my.py"), ["val_accuracy", "params"])
    assert verify(run, problem, make_strategy("random")) == []
    worst = run.trials(1).sort_values("val_accuracy").iloc[0]
    number = next(row.id for row in run.rows()[0] if row.fingerprint == worst["fingerprint"])
    (tmp_path / "run.db").write_bytes((run.folder / "run.db").read_bytes())
    with sqlite3.connect(tmp_path / "run.db") as connection:
        connection.execute("UPDATE promotions SET proposal = ? WHERE id = 0", (number,))
    connection.close()
    [mismatch, *_] = verify(open_run(tmp_path), problem, make_strategy("random"))
    assert (mismatch.trial, mismatch.what) == (number, "promotion")


def test_other_rungs_are_other_searches(run: Run, file: Path) -> None:
    with pytest.raises(RunError, match="epochs"):
        searched(file, run.folder, epochs=(1, 3))


def test_runs_of_unequal_epochs_are_not_compared(run: Run, file: Path) -> None:
    with pytest.raises(RunError, match="trained its networks for 1,3,9 epochs; compared are runs in which all have equally many"):
        ground_of_run(run)
    with pytest.raises(RunError, match="give one number of epochs instead of 1,3"):
        arguments = {"evaluator": f"{file}:judge", "epochs": [1, 3]}
        prepare_space(str(file), "random", arguments, objectives=["val_accuracy"], constraints=(), evaluations=2)


def test_an_evaluator_that_is_not_told_the_epochs_is_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(
        EvaluationError, match=r"evaluator blind cannot say .* give it a second parameter, f\(architecture, epochs\)"
    ):
        searched(file, tmp_path / "run", evaluator=f"{file}:blind")
    assert not (tmp_path / "run").exists()
    assert len(searched(file, tmp_path / "run", evaluator=f"{file}:blind", epochs=3, evaluations=2).trials()) == 2


@dataclass
class Images:
    """As much of a data set as rungs depend on."""

    images: int

    def size(self, split: str) -> int:
        assert split == "train"
        return self.images


@pytest.mark.parametrize(
    ("images", "recipe", "rungs"),
    [
        (50_000, Recipe(), (1, 3, 9)),
        (3_200, Recipe(), (2, 3, 9)),
        (3_200, Recipe(batch_size=16), (1, 3, 9)),
        (3_200, Recipe(batch_size=choice(16, 128)), (4, 9)),  # type: ignore[arg-type]
        (200, Recipe(), (9,)),
    ],
)
def test_rungs_too_short_to_learn_from_are_raised(images: int, recipe: Recipe, rungs: tuple[int, ...]) -> None:
    assert fitting_rungs((1, 3, 9), None, Images(images), recipe) == rungs  # type: ignore[arg-type]
    assert fitting_rungs((1,), None, Images(images), recipe) == (1,)  # type: ignore[arg-type]
    assert fitting_rungs((1, 3, 9), CallableEvaluator(len), Images(images), recipe) == (1, 3, 9)  # type: ignore[arg-type]


def test_trained_on_arrays_a_network_goes_on_from_its_own_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(260) % 2
    images = (rng.random((260, 1, 4, 4)) * 255 * (0.2 + 0.8 * labels[:, None, None, None])).astype(np.uint8)
    space = Space(Sequential(Conv(channels=choice(*range(1, 9))), Classifier()))
    options: dict[str, Any] = {"strategy": "random", "workers": 1, "device": "cpu", "out": tmp_path / "run"}
    recipe = Recipe(batch_size=2)
    run = search(
        space,
        (images, labels),
        evaluations=4,
        epochs=(1, 2, 3),
        recipe=recipe,
        data_options={"cache_dir": tmp_path / "cache"},
        **options,
    )
    assert run.settings["epochs"] == [2, 3]  # 66 steps an epoch
    assert run.starts()[0]["options"]["raised_from"] == [1, 2, 3]
    assert set(run.trials()["outcome"]) == {"complete"}
    higher = [row for row in run.rows()[1] if row.from_epoch]
    assert len(higher) >= 2
    for row in higher:
        assert [entry["epoch"] for entry in row.measurement.curve] == [3]
        assert row.measurement.checkpoint.endswith("-3.safetensors")
        assert row.measurement.curve[0]["lr"] < recipe.lr / 20  # a cycle of its own, at its end
    found = run.best()
    assert found.weights is not None and found.measurement is not None
    assert [entry["epoch"] for entry in found.measurement.curve] == [1, 2, 3]


@pytest.mark.parametrize(("written", "code"), [("1,3", 0), ("2", 0), ("3,1", 2), ("1,x", 2), ("0", 2), ("", 2)])
def test_the_command_takes_rungs(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], written: str, code: int) -> None:
    command = ["search", str(file), "--evaluator", f"{file}:judge", "--evaluations", "6", "--strategy", "random"]
    assert main([*command, "--epochs", written, "--out", str(tmp_path / "run")]) == code
    out, err = capsys.readouterr()
    if code:
        fix = "expected a whole number of at least 1, or rising ones such as 1,3,9"
        assert err == f"error: --epochs {written!r} cannot be used; {fix}\n"
        return
    laddered = "," in written
    told = re.search(r"networks measured: 6 after 1 epoch, [23] after 3 epochs; the front is that of 3 epochs", out)
    assert (told is not None) == laddered
    assert (" after 3 epochs" in out) == laddered
    assert main(["resume", str(tmp_path / "run"), "--evaluations", "+3"]) == 0
    assert "9 of 9" in capsys.readouterr().out


def test_json_holds_the_rungs(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resume", str(run.folder), "--json"]) == 0
    rungs = json.loads(capsys.readouterr().out)["rungs"]
    assert [(rung["epochs"], rung["networks"]) for rung in rungs] == [(fact.epochs, fact.networks) for fact in rung_facts(run)]
    assert rungs[0]["agreement"] is None and rungs[1]["agreement"]["tau"] == pytest.approx(1.0)


def test_a_terminal_shows_how_many_stand_on_each_rung(file: Path, tmp_path: Path) -> None:
    text = io.StringIO()
    progress = Progress(Console(file=text, force_terminal=True, width=100, height=30))
    run = searched(file, tmp_path, evaluations=9, progress=progress)
    progress.console.print(progress._panel())
    shown = text.getvalue()
    counts = [len(run.trials(rung)) for rung in run.rungs]
    assert "measured in this start: {} after 1 epoch, {} after 3 epochs, {} after 9 epochs".format(*counts) in shown
    assert f"front of {len(run.front())} after 9 epochs" in shown


def test_epochs_are_spelled() -> None:
    assert [epochs_words(epochs) for epochs in (1, 3, [1, 3], [1, 3, 9, 27])] == [
        "1 epoch a network",
        "3 epochs a network",
        "1 epoch a network, the best go on to 3",
        "1 epoch a network, the best go on to 3, 9 and 27",
    ]


def test_what_failed_on_its_way_up_says_why(file: Path, tmp_path: Path) -> None:
    def judge(architecture: Any, epochs: int) -> dict[str, float]:
        if epochs == 3:
            raise ValueError("too long")
        return {"val_accuracy": 0.5}

    run = searched(file, tmp_path, evaluator=judge, evaluations=6)
    table = run.trials()
    failed = table[table["error"] != ""]
    assert len(failed) == 2 and set(failed["epochs"]) == {1} and set(failed["error"]) == {"ValueError: too long"}
    assert set(table["outcome"]) == {"complete"}
    assert replace(run.best().measurement, seconds=0.0).epochs == 1  # type: ignore[type-var]


def test_a_search_that_ended_before_the_top_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = [
        replace(fact, networks=0 if fact.epochs == run.rungs[-1] else fact.networks, agreement=None) for fact in rung_facts(run)
    ]
    monkeypatch.setattr("nas.rungs.rung_facts", lambda run: facts)
    assert rung_words(run)[1] == f"none reached {run.rungs[-1]} epochs: the search ended before"
