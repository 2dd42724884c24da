"""Baselines: known networks trained under a run's own recipe, to judge what a search found by.

They stand in the record beside the trials: no strategy sees them, no budget counts them. This module knows no torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from nas.costs import cost_of
from nas.events import BaselineEvaluated, Event
from nas.jobs import checked
from nas.measurement import Measurement, Outcome
from nas.parallel import train_each
from nas.rows import BaselineRow, NetworkRow
from nas.source import write_source

if TYPE_CHECKING:
    from nas.addresses import Network
    from nas.evaluators.base import Evaluator, Request
    from nas.jobs import Training
    from nas.problem import Problem
    from nas.record import Record

_BROKE_DOWN = "this process broke down while it was evaluated"


def train_baselines(
    networks: Sequence[Network],
    problem: Problem,
    evaluator: Evaluator,
    record: Record,
    training: Training,
    *,
    on_event: Callable[[Event], None] = lambda event: None,
    stopped: Callable[[], str] = lambda: "",
    faulted: bool = False,
) -> None:
    """Trains those baselines that the record does not hold yet, as many at a time as there are slots.

    One whose address leads to another network now (an edited file) is trained again and takes the place of the old one.
    The time it takes is not counted as spent. What is in flight when `stopped` says so is lost, and trained by the next start.

    Args:
        networks: With different names.
        problem: Whose costs are noted with them; its constraints do not bind them.
        evaluator: Who trains; it has nothing else in flight.
        record: Where they are kept.
        training: What all evaluations of the run have in common; its recipe is closed.
        on_event: Told of each, after the record holds it.
        stopped: Asked often; a reason ends this at once.
        faulted: Whether the start before this one broke down by itself while baselines were being trained: those count as crashed.
    """
    if faulted:
        suspects = record.baselines_in_flight()
        for network in networks:
            if network.name in suspects:
                _end(record, problem, network, Measurement(Outcome.CRASHED, error=_BROKE_DOWN), training, on_event)
    known = record.baselines()
    waiting = [network for network in networks if known.get(network.name) != network.fingerprint]
    began = time.monotonic()

    def note(running: list[Network]) -> None:
        record.note_baselines(network.name for network in running)
        record.commit()

    def end(network: Network, measurement: Measurement) -> None:
        nonlocal began
        record.discount(time.monotonic() - began)
        began = time.monotonic()
        _end(record, problem, network, measurement, training, on_event)

    train_each(waiting, lambda network: _request(network, training), evaluator, began=note, ended=end, stopped=stopped)
    record.note_baselines(())
    record.commit()
    record.discount(time.monotonic() - began)


def _end(
    record: Record,
    problem: Problem,
    network: Network,
    measurement: Measurement,
    training: Training,
    on_event: Callable[[Event], None],
) -> None:
    """Writes a baseline down, and tells of it."""
    costs = problem.costs_of(network.graph, sum(facts.params for facts in network.written.facts))
    measurement = checked(measurement, training, training.epochs, costs, problem.objectives, first=False)
    record.add_network(NetworkRow(network.fingerprint, costs, network.graph.to_json(), write_source(network.graph)))
    record.add_baseline(
        BaselineRow(network.name, network.fingerprint, record.add_recipe(training.recipe), measurement, time.time())
    )
    record.commit()
    values, names = {**costs, **measurement.metrics}, tuple(o.name for o in problem.objectives)
    on_event(
        BaselineEvaluated(network.name, network.fingerprint, measurement.outcome, values, measurement.error, record.elapsed, names)
    )


def _request(network: Network, training: Training) -> Request:
    costs = asdict(cost_of(network.graph))
    return training.request(network.fingerprint, network.architecture or network, lambda: write_source(network.graph), costs)
