"""From a record back to its problem and its strategy."""

from __future__ import annotations

from pathlib import Path

import pytest

import nas
from nas.errors import RunError
from nas.rebuild import rebuild
from nas.recompute import verify

OWN = """
from dataclasses import dataclass
from nas import Space, choice
from nas.blocks import Block, Classifier, Sequential
from nas.strategies.base import Proposal, Strategy

@dataclass(frozen=True)
class Wide(Block):
    width: int = 4

    def expand(self, graph, x):
        return graph.conv(x, channels=self.width, kernel=3)

space = Space(Sequential(Wide(width=choice(4, 5, 6, 7, 8, 9)), Classifier()), (1, 6, 6), 3)

class Draw(Strategy):
    def propose(self, problem, history, rng):
        return Proposal(problem.space.sample(rng))

def evaluate(architecture):
    return {"val_accuracy": 0.5}

def nodes(graph):
    return len(graph)
"""


def test_a_run_of_shipped_parts_needs_no_trust(tmp_path: Path) -> None:
    run = nas.search(
        "fashion_small", evaluator=lambda a: {"val_accuracy": 0.5}, evaluations=4, constraints=["params<=50k"], out=tmp_path / "r"
    )
    problem, strategy = rebuild(run)
    assert [c.text for c in problem.constraints] == ["params<=50k"]
    assert verify(run, problem, strategy) == []


def test_own_blocks_costs_and_strategies_need_trust(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    run = nas.search(
        str(file),
        evaluator=f"{file}:evaluate",
        strategy=f"{file}:Draw",
        costs={"nodes": f"{file}:nodes"},
        objectives=["val_accuracy", "nodes"],
        evaluations=3,
        out=tmp_path / "r",
    )
    with pytest.raises(RunError, match=r"Wide, nodes, .*Draw.*--trust-code"):
        rebuild(run)
    problem, strategy = rebuild(run, trust_code=True)
    assert set(problem.own_costs) == {"nodes"} and type(strategy).__name__ == "Draw"
    assert verify(run, problem, strategy) == []


def test_objects_of_a_session_cannot_be_found_again(tmp_path: Path) -> None:
    run = nas.search(
        "fashion_small",
        evaluator=lambda a: {"val_accuracy": 0.5},
        costs={"nodes": len},
        evaluations=2,
        out=tmp_path / "r",
    )
    with pytest.raises(RunError, match="objects as costs"):
        rebuild(run, trust_code=True)
