"""Who inherits from whom, which weights are kept for that, and that the record holds it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.alignment import NOWHERE
from nas.bench.gather import by_strategy
from nas.blocks import Classifier, Conv, Repeat, Sequential
from nas.cli.app import main
from nas.domains import choice, integer
from nas.errors import RunError, StrategyError
from nas.evaluators.base import Evaluator, Request
from nas.loop import resume, search
from nas.measurement import Measurement, Outcome
from nas.problem import Problem
from nas.rebuild import rebuild
from nas.recompute import verify
from nas.run import Run
from nas.space import Space
from nas.strategies.base import History, Proposal, Strategy, Trial
from nas.strategies.inheriting import Inheriting
from nas.strategies.nsga2 import NSGA2
from nas.strategies.prune import Prune
from nas.weights import MOST_KEPT

SPACE = Space(
    Sequential(Repeat(Conv(channels=choice(2, 4, 8, 16), kernel=choice(1, 3)), times=integer(1, 4)), Classifier()),
    input_shape=(1, 6, 6),
    classes=2,
)
PROBLEM = Problem(SPACE, ["val_accuracy", "params"])


def genotype(*layers: tuple[int, int]) -> dict[str, Any]:
    found: dict[str, Any] = {"repeat.times": len(layers)}
    for i, (channels, kernel) in enumerate(layers):
        found |= {f"repeat[{i}].channels": channels, f"repeat[{i}].kernel": kernel}
    return found


def trial(number: int, decided: dict[str, Any], accuracy: float = 0.5, **more: Any) -> Trial:
    candidate = PROBLEM.consider(decided)
    losses = (1 - accuracy, float(candidate.costs["params"]))
    return replace(Trial(number, decided, candidate.fingerprint, losses, Outcome.COMPLETE), **more)


@dataclass
class Says(Strategy):
    """Proposes the same thing always."""

    proposal: Proposal

    def propose(self, problem: Problem, history: History, rng: np.random.Generator) -> Proposal:
        return self.proposal


def heir(finished: list[Trial], proposal: Proposal) -> Proposal:
    return Inheriting(Says(proposal)).propose(PROBLEM, History(finished), np.random.default_rng(0))


def test_of_two_parents_the_one_that_gives_more_is_taken() -> None:
    finished = [trial(0, genotype((2, 1), (16, 3))), trial(1, genotype((2, 1), (4, 3), (8, 3)))]
    child = genotype((4, 1), (4, 3), (8, 3))
    found = heir(finished, Proposal(child, parents=(0, 1), operator="crossover"))
    assert (found.inherit_from, found.aligned, found.parents, found.operator) == (1, {}, (0, 1), "crossover")


def test_repetitions_that_moved_are_named() -> None:
    finished = [trial(0, genotype((4, 3), (16, 1)))]
    found = heir(finished, Proposal(genotype((4, 3), (4, 3), (16, 1)), parents=(0,)))
    assert found.inherit_from == 0 and found.aligned == {"repeat[1]": NOWHERE, "repeat[2]": "repeat[1]"}


def test_what_begins_the_search_or_decides_for_itself_is_left_alone() -> None:
    finished = [trial(0, genotype((4, 3))), trial(1, genotype((8, 3)))]
    child = genotype((8, 3), (8, 3))
    for proposal in (Proposal(child), Proposal(child, parents=(1,), inherit_from=0, aligned={"a": "b"})):
        assert heir(finished, proposal) == proposal


def test_a_known_network_inherits_nothing() -> None:
    finished = [trial(0, genotype((4, 3))), trial(1, genotype((8, 3)))]
    assert heir(finished, Proposal(genotype((8, 3)), parents=(0,))).inherit_from is None


def test_a_repeat_stands_for_the_trial_that_was_trained() -> None:
    finished = [trial(0, genotype((4, 3))), trial(1, genotype((4, 3)), repeat=True)]
    assert heir(finished, Proposal(genotype((8, 3)), parents=(1,))).inherit_from == 0


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.COMPLETE])
def test_only_who_left_weights_has_heirs(outcome: Outcome) -> None:
    finished = [trial(0, genotype((4, 3)), outcome=outcome)]
    assert heir(finished, Proposal(genotype((8, 3)), parents=(0,))).inherit_from is None


def test_weights_that_are_not_kept_are_not_asked_for() -> None:
    """Trial 0 is dominated, and far behind as many others as are kept."""
    layers = [(c, k) for c in (2, 4, 8, 16) for k in (1, 3)]
    others = [genotype(a, b) for a in layers for b in layers][: MOST_KEPT + 4]
    good = [trial(i + 1, decided, accuracy=0.9) for i, decided in enumerate(others)]
    worst = trial(0, genotype((16, 3), (16, 3), (16, 3)), accuracy=0.1)
    proposal = Proposal(genotype((16, 3), (16, 3), (16, 1)), parents=(0,))
    assert heir([worst], proposal).inherit_from == 0
    assert heir([worst, *good], proposal).inherit_from is None
    assert heir([worst, *good[: MOST_KEPT - 1]], proposal).inherit_from == 0


def test_what_is_kept_is_bounded_and_without_repeats() -> None:
    decided = [genotype((c, k), (d, j)) for c in (2, 4, 8, 16) for k in (1, 3) for d in (2, 4, 8, 16) for j in (1, 3)]
    finished = [trial(i, one, accuracy=i / 100) for i, one in enumerate(decided)]
    finished.append(trial(len(finished), decided[-1], accuracy=0.63, repeat=True))
    kept = list(Inheriting(NSGA2()).keeps(PROBLEM, History(finished)))
    assert len(kept) == len(set(kept)) == MOST_KEPT and len(finished) - 1 not in kept


def test_who_keeps_weights_himself_is_asked_alone() -> None:
    finished = [trial(0, genotype((16, 3), (16, 3)), importances={"conv1": (1.0,) * 8}), trial(1, genotype((8, 3)))]
    prune = Prune()
    assert list(Inheriting(prune).keeps(PROBLEM, History(finished))) == list(prune.keeps(PROBLEM, History(finished))) == [0]


class Trains(Evaluator):
    """Leaves an empty file for weights, and says of each request whose it began with."""

    def __init__(self) -> None:
        self.asked: dict[int, Request] = {}
        self.began: dict[str, str] = {}

    @property
    def slots(self) -> int:
        return 1

    def submit(self, ticket: int, request: Request) -> None:
        self.asked[ticket] = request

    def collect(self, timeout: float | None) -> list[tuple[int, Measurement]]:
        found = [(ticket, self._trained(request)) for ticket, request in self.asked.items()]
        self.asked = {}
        return found

    def _trained(self, request: Request) -> Measurement:
        share = None
        if request.inherit is not None:
            assert Path(request.inherit.weights).is_file()
            self.began[request.fingerprint] = Path(request.inherit.weights).name
            share = 0.5
        assert request.checkpoint is not None
        request.checkpoint.parent.mkdir(exist_ok=True)
        request.checkpoint.write_text("weights")
        accuracy = int(request.fingerprint[:6], 16) % 1000 / 1000
        metrics = {"val_accuracy": accuracy}
        path = str(request.checkpoint)
        return Measurement(Outcome.COMPLETE, metrics, epochs=request.end, checkpoint=path, seconds=1.0, inherited=share)

    def describe(self) -> dict[str, Any]:
        return {}


def searched(folder: Path, strategy: str, count: int, *, inherit: bool = True) -> tuple[Run, Trains]:
    judge = Trains()
    run = search(SPACE, evaluator=judge, strategy=strategy, evaluations=count, inherit=inherit, out=folder)
    return run, judge


@pytest.mark.parametrize("strategy", ["evolution", "nsga2", "surrogate", "local-search"])
def test_children_inherit_whatever_the_strategy_and_the_record_can_be_computed_again(tmp_path: Path, strategy: str) -> None:
    searched(tmp_path / "run", strategy, 15)
    run, judge = searched(tmp_path / "run", strategy, 24)
    whole, _ = searched(tmp_path / "whole", strategy, 24)
    rows = run.rows()[0]
    assert [row.inherit_from for row in rows] == [row.inherit_from for row in whole.rows()[0]]
    heirs = [row for row in rows if row.inherit_from is not None]
    network = {row.id: row.fingerprint for row in rows}
    assert len(heirs) >= 5
    for row in heirs:
        assert row.inherit_from is not None and network[row.inherit_from] in {network[parent] for parent in row.parents}
    files = {row.id: f"{row.fingerprint[:16]}-{row.recipe[:8]}.safetensors" for row in rows}
    trained = {row.fingerprint: files[row.inherit_from] for row in heirs if row.inherit_from is not None and row.repeat_of is None}
    assert judge.began.items() <= trained.items() and judge.began
    problem, rebuilt = rebuild(run)
    assert isinstance(rebuilt, Inheriting) and verify(run, problem, rebuilt) == []
    assert len(list((tmp_path / "run" / "weights").iterdir())) <= MOST_KEPT + len(run.front()) + 1


def test_who_goes_on_to_the_next_rung_inherits_no_more(tmp_path: Path) -> None:
    judge = Trains()
    run = search(SPACE, evaluator=judge, strategy="nsga2", evaluations=20, epochs=[2, 6], inherit=True, out=tmp_path)
    segments = run.rows()[1]
    later = [row for row in segments if row.from_epoch]
    heirs = {row.proposal for row in segments if row.measurement.inherited is not None}
    assert len(later) >= 5 and heirs & {row.proposal for row in later}
    assert {row.measurement.inherited for row in later} == {None}
    assert any(name.endswith("-6.safetensors") for name in judge.began.values())  # of a parent's weights the furthest trained
    table = run.trials()
    assert set(table["fingerprint"][table["inherited"].notna()]) == {row.fingerprint for row in segments if row.proposal in heirs}
    problem, rebuilt = rebuild(run)
    assert verify(run, problem, rebuilt) == []


def test_without_it_nothing_is_inherited_nor_kept(tmp_path: Path) -> None:
    run, judge = searched(tmp_path, "nsga2", 20, inherit=False)
    assert not judge.began and {row.inherit_from for row in run.rows()[0]} == {None}
    assert len(list((tmp_path / "weights").iterdir())) == len(run.front())


def test_a_run_goes_on_as_it_began(tmp_path: Path) -> None:
    searched(tmp_path, "nsga2", 12)
    with pytest.raises(RunError, match="inherit"):
        searched(tmp_path, "nsga2", 14, inherit=False)


def test_resuming_gives_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    run, _ = searched(tmp_path, "nsga2", 8)
    monkeypatch.setattr("nas.loop.search", lambda **arguments: given.update(arguments))
    monkeypatch.setattr(run, "starts", lambda: [{"options": {**Run.starts(run)[-1]["options"], "objects": []}}])
    resume(run, evaluations="+2")
    assert given["inherit"] is True


def test_comparisons_tell_such_runs_apart(tmp_path: Path) -> None:
    runs = [searched(tmp_path / str(inherit), "nsga2", 4, inherit=inherit)[0] for inherit in (False, True)]
    assert list(by_strategy(runs)) == ["nsga2(inherit=False)", "nsga2(inherit=True)"]
    assert list(by_strategy(runs[:1])) == ["nsga2"]


def test_a_function_trains_nothing_to_inherit(tmp_path: Path) -> None:
    def accuracy(architecture: Any) -> dict[str, float]:
        return {"val_accuracy": 0.5}

    with pytest.raises(RunError, match="accuracy trains nothing that could be inherited"):
        search(SPACE, evaluator=accuracy, evaluations=3, inherit=True, out=tmp_path)


def test_who_fails_is_named(tmp_path: Path) -> None:
    class Careless(Strategy):
        def propose(self, problem: Problem, history: History, rng: np.random.Generator) -> Proposal:
            raise ValueError("oh")

    with pytest.raises(StrategyError, match=r"strategy .*Careless failed at proposal 0: ValueError: oh"):
        search(SPACE, evaluator=Trains(), strategy=Careless(), evaluations=3, inherit=True, out=tmp_path)


def test_the_command_refuses_it_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "judge.py").write_text("def accuracy(architecture):\n    return {'val_accuracy': 0.5}\n")
    judge, out = f"{tmp_path / 'judge.py'}:accuracy", str(tmp_path / "run")
    assert main(["search", "fashion_small", "--evaluator", judge, "--evaluations", "2", "--inherit", "--out", out]) == 2
    error = capsys.readouterr().err
    assert "leave --inherit (inherit) out" in error and error.count("\n") == 1
