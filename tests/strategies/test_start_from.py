"""Starting from known networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas.blocks import Classifier, Conv, Repeat, Sequential
from nas.domains import choice, integer
from nas.errors import RunError
from nas.loop import search
from nas.rebuild import rebuild
from nas.recompute import verify
from nas.run import Run
from nas.space import Space

SPACE = Space(
    Sequential(Repeat(Conv(channels=choice(1, 2, 3, 4), kernel=choice(1, 3)), times=integer(1, 3)), Classifier()),
    input_shape=(1, 4, 4),
    classes=2,
)
FILE = """
from nas import Space
from nas.blocks import Classifier, Conv, Sequential
one = Space(Sequential(Conv(channels=3), Classifier()), (3, 32, 32), 10)
two = Space(Sequential(Conv(channels=4), Conv(channels=2, kernel=1), Classifier()), (3, 32, 32), 10)
"""


def accuracy(architecture: Any) -> dict[str, float]:
    return {"val_accuracy": int(architecture.fingerprint[:6], 16) % 1000 / 1000}


@pytest.fixture
def starts(tmp_path: Path) -> list[str]:
    (tmp_path / "nets.py").write_text(FILE)
    return [f"{tmp_path / 'nets.py'}:{name}" for name in ("one", "two")]


def searched(folder: Path, strategy: str, starts: list[str], count: int = 16) -> Run:
    return search(SPACE, evaluator=accuracy, strategy=strategy, evaluations=count, start_from=starts, out=folder)


@pytest.mark.parametrize("strategy", ["random", "evolution", "nsga2", "optuna:tpe", "optuna:nsga2"])
def test_the_starts_come_first_and_the_strategy_goes_on(tmp_path: Path, starts: list[str], strategy: str) -> None:
    run = searched(tmp_path / "run", strategy, starts)
    proposals = run.rows()[0]
    assert [row.operator for row in proposals[:2]] == [f"start {name}" for name in starts]
    assert [row.genotype["repeat.times"] for row in proposals[:2]] == [1, 2]
    assert not any(row.operator.startswith("start") for row in proposals[2:])
    assert len(run.trials()) == 16


def test_a_search_goes_on_from_its_starts_and_can_be_computed_again(tmp_path: Path, starts: list[str]) -> None:
    whole = searched(tmp_path / "whole", "nsga2", starts)
    searched(tmp_path / "broken", "nsga2", starts, 5)
    broken = searched(tmp_path / "broken", "nsga2", starts)
    assert [row.genotype for row in broken.rows()[0]] == [row.genotype for row in whole.rows()[0]]
    problem, strategy = rebuild(broken)
    assert verify(broken, problem, strategy) == []


def test_other_starts_are_another_search(tmp_path: Path, starts: list[str]) -> None:
    searched(tmp_path / "run", "random", starts)
    with pytest.raises(RunError, match="start_from"):
        searched(tmp_path / "run", "random", starts[:1], 20)
