"""What is written down, and that nobody hears of it before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nas.attempts import next_candidate
from nas.blocks import Classifier, Conv, Sequential
from nas.budget import Budget
from nas.domains import choice
from nas.events import Ended, Evaluated, Event, FrontMoved, Proposed, Repeated, Started
from nas.jobs import Job, Training
from nas.journal import Journal
from nas.measurement import Measurement, Outcome
from nas.problem import Problem
from nas.recipe import Recipe
from nas.record import Record
from nas.rows import ProposalRow
from nas.space import Space
from nas.strategies.base import History, Proposal, Strategy

SPACE = Space(Sequential(Conv(channels=choice(*range(1, 9))), Classifier()), input_shape=(1, 4, 4), classes=2)
PROBLEM = Problem(SPACE, ["val_accuracy", "params"])
TRAINING = Training(seed=3, epochs=2, recipe=Recipe(), data="d")


class Counting(Strategy):
    """Proposes 1, 1, 2, 2, ... channels."""

    def propose(self, problem: Problem, history: History, rng: np.random.Generator) -> Proposal:
        return Proposal({"conv.channels": 1 + history.proposed // 2}, notes={"pair": (1, 2)})


class Bench:
    """A journal with what it told."""

    def __init__(self, folder: Path) -> None:
        self.record = Record(folder, {})
        self.told: list[Event] = []
        self.journal = Journal(self.record, PROBLEM.objectives, TRAINING, self.told.append)

    def propose(self) -> Job:
        accepted = next_candidate(PROBLEM, Counting(), self.journal.ledger.history(), TRAINING.seed)
        return Job(self.journal.propose(accepted, TRAINING.recipe_of(accepted.candidate)), accepted.candidate)

    def kinds(self) -> list[type]:
        """The kinds of the events since the last call."""
        kinds = [type(event) for event in self.told]
        self.told.clear()
        return kinds


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.record.close()


def measured(accuracy: float) -> Measurement:
    return Measurement(Outcome.COMPLETE, {"val_accuracy": accuracy}, epochs=2, seconds=0.1)


def test_nobody_hears_of_what_is_not_committed(bench: Bench) -> None:
    job = bench.propose()
    assert bench.kinds() == []
    bench.journal.start([job])
    assert bench.kinds() == [Proposed]
    bench.journal.end(job.row, measured(0.5))
    repeat = bench.propose()
    assert repeat.row.repeat_of == 0 and bench.kinds() == []
    bench.journal.commit()
    assert bench.kinds() == [Evaluated, FrontMoved, Repeated]
    bench.journal.start([])
    bench.journal.commit()
    assert bench.kinds() == []


def test_what_is_rolled_back_is_neither_there_nor_told(tmp_path: Path) -> None:
    first = Bench(tmp_path)
    job = first.propose()
    first.journal.start([job])
    first.journal.end(job.row, measured(0.5))
    first.journal.rollback()
    first.record.close()
    assert first.kinds() == [Proposed]
    second = Bench(tmp_path)
    assert [(row.id, step) for row, step in second.journal.unfinished] == [(0, None)]
    assert second.journal.ledger.evaluations == 0
    second.record.close()


def test_rows_say_what_was_proposed_and_how_it_ended(bench: Bench) -> None:
    first = bench.propose()
    bench.journal.start([first])
    waiting = bench.propose()
    assert waiting.row.finished is None
    bench.journal.end(first.row, measured(0.5))
    late = bench.propose()
    proposals, [evaluation], costs = bench.record.rows()
    assert [(row.id, row.repeat_of, row.seen, row.finished) for row in proposals] == [
        (0, None, 0, 0),
        (1, 0, 0, 1),
        (2, None, 2, None),
    ]
    assert all(row.notes == {"pair": [1, 2]} for row in proposals)
    assert (evaluation.proposal, evaluation.data, evaluation.seed, evaluation.to_epoch) == (0, "d", 3, 2)
    assert costs.keys() == {first.row.fingerprint, late.row.fingerprint}
    assert bench.journal.costs.keys() == {late.row.fingerprint}  # those of what ended are in the record alone


def test_one_network_pending_with_two_recipes(bench: Bench) -> None:
    one = next_candidate(PROBLEM, Counting(), bench.journal.ledger.history(), TRAINING.seed)
    jobs = [Job(bench.journal.propose(one, Recipe(lr=lr)), one.candidate) for lr in (0.1, 0.2)]
    assert [job.row.repeat_of for job in jobs] == [None, None]
    bench.journal.start(jobs)
    for job in jobs:
        bench.journal.end(job.row, measured(0.5))
    assert not bench.journal.costs and bench.journal.ledger.evaluations == 2


def test_a_source_is_kept_when_its_network_ends(bench: Bench) -> None:
    job = bench.propose()
    text = bench.journal.source(job.candidate)
    bench.journal.end(job.row, measured(0.5))
    kept = bench.record._connection.execute("SELECT source NOT NULL FROM networks").fetchall()
    assert "class Network" in text and kept == [(1,)]


def test_a_start_and_an_end_are_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.journal.open(Budget(5))
    assert bench.kinds() == [Started]
    job = bench.propose()
    bench.journal.start([job])
    bench.journal.end(job.row, measured(0.5))
    bench.journal.close("that was all")
    assert bench.kinds() == [Proposed, Evaluated, FrontMoved, Ended]
    bench.record.close()
    again = Bench(tmp_path)
    again.journal.open(Budget(5))
    started, front = again.told
    assert isinstance(started, Started) and (started.evaluations, started.epochs, started.pending) == (1, 2, 0)
    assert isinstance(front, FrontMoved) and [point.trial for point in front.front] == [0]
    again.record.close()


def test_breakdowns_are_counted(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    job = bench.propose()
    bench.journal.start([job])
    bench.journal.blame(job.row)
    bench.journal.commit()
    bench.record.close()
    again = Bench(tmp_path)
    [(row, _)] = again.journal.unfinished
    assert isinstance(row, ProposalRow) and row.faults == 1
    again.record.close()
