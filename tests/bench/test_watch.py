"""How far the runs of a bench are, told while they run."""

from __future__ import annotations

import threading
from pathlib import Path

import nas
from nas.bench.watch import Watch, count
from nas.blocks import Classifier, Conv, Sequential
from nas.loop import search


def run(folder: Path, evaluations: int) -> None:
    space = nas.Space(Sequential(Conv(channels=nas.integer(1, 9)), Classifier()), input_shape=(1, 8, 8), classes=3)

    def quality(architecture: nas.Space) -> dict[str, float]:
        return {"val_accuracy": 0.5}

    search(space, evaluator=quality, evaluations=evaluations, strategy="random", out=folder)


def test_more_than_before_is_told_once(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    watch = Watch(lambda done, total: told.append((done, total)), 60.0)
    folders = [tmp_path / "a", tmp_path / "b"]
    (tmp_path / "b").mkdir()
    watch.look(folders, 4)
    run(tmp_path / "a", 3)
    watch.look(folders, 4)
    watch.look(folders, 4)
    assert told == [(3, 8)]


def test_no_run_counts_more_than_was_asked_for(tmp_path: Path) -> None:
    run(tmp_path / "a", 3)
    assert count([tmp_path / "a", tmp_path / "b"], 2) == 2


def test_it_looks_while_the_context_lasts(tmp_path: Path) -> None:
    told, seen = threading.Event(), []

    def tell(done: int, total: int) -> None:
        seen.append((done, total))
        told.set()

    with Watch(tell, 0.02).over([tmp_path / "a", tmp_path / "b"], 3):
        run(tmp_path / "a", 3)
        assert told.wait(60)
    assert seen[-1] == (3, 6)
