"""A recorded run computed again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nas.blocks import Classifier, Conv, Repeat, Sequential
from nas.database import DATABASE, open_writer
from nas.domains import choice, integer
from nas.loop import search
from nas.problem import Problem
from nas.recompute import verify
from nas.run import Run
from nas.space import Space
from nas.strategies.table import make_strategy

SPACE = Space(
    Sequential(Repeat(Conv(channels=choice(1, 2, 3, 4), kernel=choice(1, 3)), times=integer(1, 3)), Classifier()),
    input_shape=(1, 4, 4),
    classes=2,
)


def judge(architecture: Any) -> dict[str, float]:
    return {"val_accuracy": int(architecture.fingerprint[:6], 16) % 1000 / 1000}


def searched(folder: Path, strategy: str) -> Run:
    for count in (10, 30):
        run = search(SPACE, evaluator=judge, strategy=strategy, constraints=["params<=120"], evaluations=count, out=folder)
    return run


def problem(bound: str = "params<=120") -> Problem:
    return Problem(SPACE, ["val_accuracy", "params"], [bound])


@pytest.mark.parametrize("strategy", ["random", "evolution", "nsga2"])
def test_an_honest_run_comes_out_the_same(tmp_path: Path, strategy: str) -> None:
    assert verify(searched(tmp_path, strategy), problem(), make_strategy(strategy)) == []


def test_another_strategy_comes_out_otherwise(tmp_path: Path) -> None:
    found = verify(searched(tmp_path, "evolution"), problem(), make_strategy("random"))
    assert len(found) > 5 and all(mismatch.trial >= 9 for mismatch in found)


def test_another_constraint_comes_out_otherwise(tmp_path: Path) -> None:
    found = verify(searched(tmp_path, "random"), problem("params<=60"), make_strategy("random"))
    assert found and "trial" in str(found[0]) and "in the record" in str(found[0])


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("UPDATE proposals SET operator = 'luck' WHERE id = 12", "operator"),
        ("UPDATE proposals SET parents = '[0]' WHERE id = 12", "parents"),
        ("UPDATE proposals SET rejected = '{\"params<=120\":99}' WHERE id = 12", "rejected"),
    ],
)
def test_a_doctored_row_is_found(tmp_path: Path, change: str, what: str) -> None:
    run = searched(tmp_path, "random")
    connection = open_writer(tmp_path)
    connection.execute(change)
    connection.close()
    assert [(mismatch.trial, mismatch.what) for mismatch in verify(run, problem(), make_strategy("random"))] == [(12, what)]


def test_a_doctored_measurement_changes_what_came_after_it(tmp_path: Path) -> None:
    run = searched(tmp_path, "evolution")
    connection = open_writer(tmp_path)
    connection.execute("UPDATE evaluations SET metrics = ?", (json.dumps({"val_accuracy": 0.5}),))
    connection.close()
    assert verify(run, problem(), make_strategy("evolution"))
    assert (tmp_path / DATABASE).is_file()
