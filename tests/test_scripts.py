"""The example scripts run; training is replaced by a quick evaluator, everything else is as it stands in them."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

import nas

SCRIPTS = Path(__file__).parents[1] / "scripts"


def quick(architecture: Any) -> dict[str, float]:
    return {"val_accuracy": 1 - 1 / (1 + len(architecture.graph))}


def test_search_and_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    asked: dict[str, Any] = {}
    search = nas.search

    def quickly(space: nas.Space, data: str, **options: Any) -> nas.Run:
        asked.update(options, data=data)
        return search(space.bind((1, 28, 28), 10), evaluator=quick, **{**options, "budget": None, "evaluations": 6})

    monkeypatch.setattr(nas, "search", quickly)
    script = runpy.run_path(str(SCRIPTS / "search.py"))
    monkeypatch.setattr(nas.Run, "front", _with_intervals(nas.Run.front))
    script["main"]()
    assert asked["data"] == "fashion-mnist-12k"
    assert Path("runs/example/report.html").stat().st_size > 100_000
    assert "class Network" in Path("runs/example/net.py").read_text()
    capsys.readouterr()
    runpy.run_path(str(SCRIPTS / "report.py"))["main"]("runs/example")
    printed = capsys.readouterr().out
    assert "stem.channels" in printed and "complete    6" in printed
    assert len(Path("runs/example/networks.csv").read_text().splitlines()) == 7


def _with_intervals(front: Any) -> Any:
    """Adds the columns that a run on images has, and one with an evaluator of its own has not."""
    return lambda run: front(run).assign(val_accuracy_low=0.0, val_accuracy_high=1.0)
