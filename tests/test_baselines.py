"""Baselines: trained beside a search, seen by readers only."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.blocks import Classifier, Conv, Sequential
from nas.budget import Budget
from nas.coordinator import search_loop
from nas.domains import choice
from nas.errors import RunError
from nas.evaluators.function import CallableEvaluator
from nas.events import BaselineEvaluated, Event, Started
from nas.given import find_baselines
from nas.loop import resume, search
from nas.measurement import Measurement, Outcome
from nas.problem import Problem
from nas.record import Record
from nas.run import Run
from nas.space import Space
from nas.storage import read_baselines
from nas.strategies.table import make_strategy

SPACE = Space(
    Sequential(Conv(channels=choice(*range(1, 40)), kernel=choice(1, 3)), Classifier()),
    input_shape=(1, 8, 8),
    classes=2,
    name="small",
)
FILE = """
from nas import Space
from nas.blocks import Classifier, Conv, Pool, Sequential
pooled = Space(Sequential(Conv(channels=4), Pool(), Classifier()), (3, 32, 32), 10)
known = Space(Sequential(Conv(channels=7), Classifier()), (3, 32, 32), 10)
"""


def accuracy(architecture: Any) -> dict[str, float]:
    return {"val_accuracy": int(architecture.fingerprint[:6], 16) % 1000 / 1000}


@pytest.fixture
def nets(tmp_path: Path) -> str:
    (tmp_path / "nets.py").write_text(FILE)
    return str(tmp_path / "nets.py")


def quick(folder: Path, **options: Any) -> Run:
    return search(**{"space": SPACE, "evaluator": accuracy, "evaluations": 6, "out": folder, **options})


def genotypes(run: Run) -> list[Any]:
    return [row.genotype for row in run.rows()[0]]


@pytest.mark.parametrize("strategy", ["random", "nsga2"])
def test_strategies_and_budgets_do_not_see_them(tmp_path: Path, nets: str, strategy: str) -> None:
    plain = quick(tmp_path / "plain", strategy=strategy)
    marked = quick(tmp_path / "marked", strategy=strategy, baselines=[f"{nets}:pooled", f"{nets}:known"])
    assert genotypes(marked) == genotypes(plain)
    assert list(marked.trials()["id"]) == list(plain.trials()["id"])
    assert list(marked.baselines()["name"]) == [f"{nets}:pooled", f"{nets}:known"]
    assert marked.baselines()["val_accuracy"].between(0, 1).all()
    assert (marked.baselines()["declared_params"] == marked.baselines()["params"]).all()


def test_they_are_told_and_found_again(tmp_path: Path, nets: str) -> None:
    events: list[Event] = []
    run = quick(tmp_path / "run", baselines=[f"{nets}:pooled"], progress=events.append)
    told = next(event for event in events if isinstance(event, BaselineEvaluated))
    assert isinstance(events[0], Started)
    assert (told.name, told.outcome) == (f"{nets}:pooled", Outcome.COMPLETE)
    found = run.network(told.fingerprint[:7])
    assert found.genotype == {}
    assert found.measurement is not None
    assert found.measurement.metrics["val_accuracy"] == told.values["val_accuracy"]
    assert "class Net" in found.source


def test_one_that_the_search_finds_too_keeps_the_costs_of_a_candidate(tmp_path: Path, nets: str) -> None:
    wanted = f"{nets}:known"
    run = quick(tmp_path / "run", baselines=[wanted], start_from=[wanted], costs={"nodes": lambda graph: len(graph)})
    (row,) = run.baselines().to_dict("records")
    (trial,) = run.trials().query(f"fingerprint == '{row['fingerprint']}'").to_dict("records")
    assert {name: trial[name] for name in ("nodes", "params", "val_accuracy")} == {
        name: row[name] for name in ("nodes", "params", "val_accuracy")
    }


def test_they_are_trained_once_and_may_come_later(tmp_path: Path, nets: str) -> None:
    seen: list[Event] = []
    options: dict[str, Any] = {"evaluator": accuracy, "progress": seen.append}
    quick(tmp_path / "run", baselines=[f"{nets}:pooled"])
    run = quick(tmp_path / "run", baselines=[f"{nets}:pooled", f"{nets}:known"], evaluations=8, **options)
    assert [event.name for event in seen if isinstance(event, BaselineEvaluated)] == [f"{nets}:known"]
    assert len(run.trials()) == 8


def test_one_whose_file_was_edited_is_trained_again(tmp_path: Path, nets: str) -> None:
    before = quick(tmp_path / "run", baselines=[f"{nets}:known"]).baselines()
    Path(nets).write_text(FILE.replace("channels=7", "channels=17"))
    (after,) = quick(tmp_path / "run", baselines=[f"{nets}:known"]).baselines().to_dict("records")
    assert after["name"] == f"{nets}:known"
    assert after["params"] > before["params"][0] and after["fingerprint"] != before["fingerprint"][0]


def test_resume_asks_for_them_again(tmp_path: Path, nets: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "code.py").write_text("def judge(a):\n    return {'val_accuracy': 0.5}\n")
    text = "from nas import Space, choice\nfrom nas.blocks import *\n"
    (tmp_path / "space.py").write_text(
        text + "space = Space(Sequential(Conv(channels=choice(1, 2, 3)), Classifier()), (1, 8, 8), 2)\n"
    )
    options: dict[str, Any] = {"evaluator": f"{tmp_path / 'code.py'}:judge", "evaluations": 2, "out": tmp_path / "run"}
    search(str(tmp_path / "space.py"), baselines=[f"{nets}:pooled"], **options)
    run = resume(tmp_path / "run", evaluations=3)
    assert list(run.baselines()["name"]) == [f"{nets}:pooled"]
    assert len(run.trials()) == 3


def test_a_run_is_resumed_when_the_files_of_its_starts_and_baselines_are_gone(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("def judge(a):\n    return {'val_accuracy': 0.5}\n")
    text = "from nas import Space, choice\nfrom nas.blocks import *\n"
    kernels = "kernel=choice((1, 3), (3, 1))"
    (tmp_path / "space.py").write_text(
        f"{text}space = Space(Sequential(Conv(channels=choice(1, 2, 3), {kernels}), Classifier()), (1, 8, 8), 2)\n"
    )
    nets = tmp_path / "nets.py"
    nets.write_text(f"{text}net = Space(Sequential(Conv(2, (3, 1)), Classifier()), (1, 8, 8), 2)\n")
    options: dict[str, Any] = {"evaluator": f"{tmp_path / 'code.py'}:judge", "evaluations": 2, "out": tmp_path / "run"}
    search(str(tmp_path / "space.py"), start_from=[f"{nets}:net"], baselines=[f"{nets}:net"], **options)
    nets.unlink()
    for count in (3, 4):
        run = resume(tmp_path / "run", evaluations=count)
        assert len(run.trials()) == count
    assert list(run.baselines()["name"]) == [f"{nets}:net"]
    assert run.rows()[0][0].operator == f"start {nets}:net"


def test_their_time_is_not_spent(tmp_path: Path, nets: str) -> None:
    def slow(architecture: Any) -> dict[str, float]:
        if any(type(op).__name__ == "Pool2d" for op in architecture.graph.ops):
            time.sleep(1.5)
        return accuracy(architecture)

    run = quick(tmp_path / "run", evaluator=slow, evaluations=None, budget=1.0, baselines=[f"{nets}:pooled"])
    assert len(run.trials()) > 0
    assert run.baselines()["outcome"].tolist() == ["complete"]


def test_one_that_fails_is_kept_as_it_is(tmp_path: Path, nets: str) -> None:
    def judge(architecture: Any) -> dict[str, float]:
        if any(type(op).__name__ == "Pool2d" for op in architecture.graph.ops):
            raise ValueError("no poolings here")
        return accuracy(architecture)

    run = quick(tmp_path / "run", evaluator=judge, baselines=[f"{nets}:pooled", f"{nets}:known"])
    assert list(run.baselines()["outcome"]) == ["crashed", "complete"]
    page = run.report(tmp_path / "report.html").read_text("utf-8")
    assert "no poolings here" in page
    assert f"{nets}:known</a>" in page


@pytest.mark.parametrize(
    ("metrics", "error"),
    [
        ({"other": 1.0}, "objective 'val_accuracy' was not measured"),
        ({"val_accuracy": 0.5, "params": 3}, "has the name of an exact"),
    ],
)
def test_one_that_is_not_measured_rightly_counts_as_crashed(
    tmp_path: Path, nets: str, metrics: dict[str, float], error: str
) -> None:
    def odd(architecture: Any) -> dict[str, float]:
        return metrics if len(architecture.body.blocks) == 3 else accuracy(architecture)

    (row,) = quick(tmp_path / "run", evaluator=odd, baselines=[f"{nets}:pooled"]).baselines().to_dict("records")
    assert row["outcome"] == str(Outcome.CRASHED) and error in row["error"]
    assert row["params"] == row["declared_params"]


def test_one_that_is_measured_after_other_epochs_is_not_compared(tmp_path: Path, nets: str) -> None:
    class Hasty(CallableEvaluator):
        def collect(self, timeout: float | None) -> list[tuple[int, Measurement]]:
            return [(ticket, replace(found, epochs=min(found.epochs, 3))) for ticket, found in super().collect(timeout)]

    evaluator = Hasty(accuracy)
    run = quick(tmp_path / "run", evaluator=evaluator, epochs=(1, 3, 9), baselines=[f"{nets}:pooled"])
    (row,) = run.baselines().to_dict("records")
    assert (row["outcome"], row["error"]) == (
        "crashed",
        "measured after 3 epochs, asked for after 9: unequal epochs are not compared",
    )


def test_what_cannot_take_the_images_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"baseline alexnet: .*cannot be applied"):
        quick(tmp_path / "run", baselines=["alexnet"])
    assert not (tmp_path / "run").exists()


def test_one_that_brings_the_process_down_counts_as_crashed_and_blames_no_trial(tmp_path: Path, nets: str) -> None:
    """A plain function runs in the search's own process, so a baseline could otherwise keep the search from ever going on."""
    name = f"{nets}:pooled"
    with Record(tmp_path / "run", {}) as record:
        record.note_baselines([name])
    with Record(tmp_path / "run", {}) as record:
        problem = Problem(SPACE, ["val_accuracy", "params"])
        search_loop(
            problem, make_strategy("random"), CallableEvaluator(accuracy), record, budget=Budget(2),
            baselines=find_baselines([name], SPACE), faulted=True,
        )  # fmt: skip
        assert record.baselines_in_flight() == set()
        (row,) = read_baselines(record._connection)
    assert (row.name, row.measurement.outcome) == (name, Outcome.CRASHED)
    assert "broke down" in row.measurement.error


def test_the_same_command_goes_on_with_the_starts_it_had(tmp_path: Path, nets: str) -> None:
    start = f"{nets}:known"
    first = genotypes(quick(tmp_path / "run", start_from=[start]))
    Path(nets).write_text(FILE.replace("channels=7", "channels=9"))
    again = quick(tmp_path / "run", start_from=[start], evaluations=8)
    assert genotypes(again)[:6] == first
    assert quick(tmp_path / "other", start_from=[start]).rows()[0][0].genotype["conv.channels"] == 9
