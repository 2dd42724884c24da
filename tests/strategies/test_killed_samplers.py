"""Searches by Optuna's samplers, killed and resumed: generations go on, and every proposal can be computed again."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.loop import search
from nas.rebuild import rebuild
from nas.recompute import verify
from nas.run import Run

FACTORY = '''
import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler

def factory(seed, population=3):
    return NSGAIISampler(seed=seed, population_size=population)

class Counting(RandomSampler):
    """Keeps a count of its own, and looks at the numbers of trials."""

    def __init__(self, seed, low=2):
        super().__init__(seed)
        self.low = low

    def before_trial(self, study, trial):
        study.set_user_attr("count", study.user_attrs.get("count", 0) + 1)
        assert study.user_attrs["count"] == trial.number + 1 == len(study.trials)

    def infer_relative_search_space(self, study, trial):
        return optuna.search_space.intersection_search_space(study.get_trials(deepcopy=False))

    def sample_relative(self, study, trial, search_space):
        done = [t for t in study.get_trials(deepcopy=False) if t.values]
        return dict(done[trial.number % self.low].params) if len(done) > self.low else {}
'''

STRATEGIES: dict[str, dict[str, Any]] = {
    "optuna:nsga2": {"population": 3},
    "optuna:nsga3": {"population": 3},
    "own.py:factory": {"population": 4},
    "own.py:Counting": {"low": 3},
}


def quick(folder: str, strategy: str, evaluations: int, dies_at: int | None = None) -> Run:
    """Evaluates some networks; at one of them, the process is gone."""
    seen = []

    def accuracy(architecture: Any) -> dict[str, float]:
        seen.append(architecture)
        if len(seen) == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"val_accuracy": int(architecture.fingerprint[:6], 16) % 1000 / 1000}

    options = STRATEGIES[strategy]
    space = {"space": "fashion_small", "constraints": ["params<=100k"]}
    return search(
        **space, strategy=strategy, strategy_options=options, evaluator=accuracy, evaluations=evaluations, out=folder, seed=1
    )


def killed(folder: str, strategy: str, evaluations: int, dies_at: int) -> None:
    """Begins a search in a process that does not end it."""
    child = os.fork()
    if child == 0:
        try:
            quick(folder, strategy, evaluations, dies_at)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def rows(run: Run) -> list[Any]:
    return [replace(row, created=0.0) for row in run.rows()[0]]


@pytest.mark.skipif(sys.platform == "win32", reason="forks of POSIX")
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_killed_and_resumed_it_equals_an_unbroken_search(strategy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(FACTORY, encoding="utf-8")
    killed("broken", strategy, 14, dies_at=5)
    killed("broken", strategy, 14, dies_at=4)
    broken, unbroken = quick("broken", strategy, 14), quick("unbroken", strategy, 14)
    assert rows(broken) == rows(unbroken)
    assert len(broken.trials()) == 14
    assert verify(broken, *rebuild(broken, trust_code=True)) == []
