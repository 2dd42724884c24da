"""Trials in memory: endings, repeats, the front, and the replay of a record."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.events import FrontPoint
from nas.ledger import Front, Ledger, losses_of, replay, replay_steps
from nas.measurement import Measurement, Outcome
from nas.objectives import objectives
from nas.pareto import non_dominated
from nas.rows import EvaluationRow, ProposalRow

OBJECTIVES = objectives(["val_accuracy", "params"])


def proposal(number: int, name: str, *, seen: int = 0, of: int | None = None, finished: int | None = None) -> ProposalRow:
    return ProposalRow(number, name, "r", {"x": number}, seen=seen, repeat_of=of, finished=finished)


def evaluation(number: int, name: str, accuracy: float, outcome: Outcome = Outcome.COMPLETE) -> EvaluationRow:
    return EvaluationRow(number, name, "r", "", 0, 0, 3, Measurement(outcome, {"val_accuracy": accuracy}, epochs=3))


def test_losses_are_turned_so_that_smaller_is_better() -> None:
    ledger = Ledger(OBJECTIVES)
    ledger.propose(proposal(0, "a"))
    ledger.end(0, Outcome.COMPLETE, {"val_accuracy": 0.9, "params": 10}, 3)
    assert ledger.finished[0].losses == (-0.9, 10)
    assert (ledger.evaluations, ledger.epochs, ledger.proposed) == (1, 3, 1)


def test_a_failure_ends_without_losses() -> None:
    ledger = Ledger(OBJECTIVES)
    ledger.propose(proposal(0, "a"))
    ledger.end(0, Outcome.CRASHED, {"params": 10}, 1)
    assert ledger.finished[0].losses is None
    assert ledger.finished[0].outcome is Outcome.CRASHED
    assert ledger.history().measured() == []
    assert not ledger.front.points


def test_a_repeat_of_a_finished_trial_ends_at_once() -> None:
    ledger = Ledger(OBJECTIVES)
    ledger.propose(proposal(0, "a"))
    ledger.end(0, Outcome.COMPLETE, {"val_accuracy": 0.9, "params": 10}, 3)
    assert ledger.first(("a", "r")) == 0
    assert ledger.propose(proposal(1, "a", of=0)) == 1
    assert ledger.finished[1].repeat
    assert ledger.finished[1].losses == ledger.finished[0].losses
    assert (ledger.evaluations, ledger.tail) == (1, 1)


def test_a_repeat_of_a_pending_trial_waits_for_it() -> None:
    ledger = Ledger(OBJECTIVES)
    ledger.propose(proposal(0, "a"))
    ledger.propose(proposal(1, "b"))
    assert ledger.propose(proposal(2, "a", of=0)) is None
    assert [trial.id for trial in ledger.history().pending] == [0, 1, 2]
    assert ledger.end(0, Outcome.COMPLETE, {"val_accuracy": 0.9, "params": 10}, 3) == [(0, 0), (2, 1)]
    assert [trial.id for trial in ledger.pending.values()] == [1]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)), max_size=30))
def test_the_live_front_is_the_front(points: list[tuple[int, int, int]]) -> None:
    front = Front()
    moves = []
    for i, point in enumerate(points):
        before = front.points
        moves.append(front.add(FrontPoint(i, str(i), tuple(map(float, point)), {})))
        assert moves[-1] == (front.points is not before)
    expected = np.flatnonzero(non_dominated(np.array(points, dtype=float))) if points else []
    assert sorted(p.trial for p in front.points) == list(expected)
    assert [p.losses for p in front.points] == sorted(p.losses for p in front.points)


ROWS = [
    proposal(0, "a", finished=1),
    proposal(1, "b", finished=0),
    proposal(2, "a", seen=1, of=0, finished=2),
    proposal(3, "a", seen=3, of=0, finished=3),
    proposal(4, "c", seen=4),
]
EVALUATIONS = [evaluation(1, "b", 0.5), evaluation(0, "a", 0.7)]
COSTS = {"a": {"params": 5}, "b": {"params": 3}, "c": {"params": 1}}


def test_a_replay_ends_where_the_record_ends() -> None:
    ledger = replay(OBJECTIVES, ROWS, EVALUATIONS, COSTS)
    assert [trial.id for trial in ledger.finished] == [1, 0, 2, 3]
    assert list(ledger.pending) == [4]
    assert (ledger.evaluations, ledger.epochs, ledger.tail) == (2, 6, 0)
    assert [point.trial for point in ledger.front.points] == [0, 1]


def test_a_replay_shows_each_proposal_what_it_had_seen() -> None:
    ledger = Ledger(OBJECTIVES)
    seen = {
        row.id: ([t.id for t in ledger.finished], list(ledger.pending)) for row in replay_steps(ledger, ROWS, EVALUATIONS, COSTS)
    }
    assert seen == {0: ([], []), 1: ([], [0]), 2: ([1], [0]), 3: ([1, 0, 2], []), 4: ([1, 0, 2, 3], [])}


def test_losses_of_a_failure_are_none_and_a_missing_value_is_an_error() -> None:
    ranked, values = objectives(["val_accuracy", "params"]), {"params": 12, "val_accuracy": 0.5, "macs": 7}
    assert losses_of(ranked, values, Outcome.COMPLETE) == (-0.5, 12)
    assert losses_of(ranked, {}, Outcome.CRASHED) is None
    with pytest.raises(KeyError, match="val_accuracy"):
        losses_of(ranked, {"params": 12}, Outcome.COMPLETE)


def test_a_trial_takes_little_memory() -> None:
    """Rows as traversals of a space and a record make them: every path and word a new object."""

    def row(number: int) -> ProposalRow:
        genotype = {
            f"stage[{i}].sequential.repeat[{number % 3}].oneof.{name}": "".join(("con", "v")) for i in range(5) for name in "abcde"
        }
        return ProposalRow(number, f"{number:032x}", "r", genotype, (number,), "".join(("mut", "ate")), notes={})

    ledger = Ledger(OBJECTIVES)
    for number in range(2_000):
        if number == 1_000:
            tracemalloc.start()
        ledger.propose(row(number))
        ledger.end(number, Outcome.COMPLETE, {"val_accuracy": 0.5, "params": number + 1000}, 3)
    taken = tracemalloc.get_traced_memory()[0] / 1_000
    tracemalloc.stop()
    assert taken < 1_600  # 4,000 with paths of their own
    assert ledger.finished[0].genotype == row(0).genotype
