"""Trains one network after another, as many at a time as an evaluator has slots. Proposes nothing, keeps nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from nas.jobs import collected
from nas.measurement import Measurement

if TYPE_CHECKING:
    from nas.evaluators.base import Evaluator, Request

T = TypeVar("T")


def train_each(
    items: Iterable[T],
    request: Callable[[T], Request | None],
    evaluator: Evaluator,
    *,
    began: Callable[[list[T]], None],
    ended: Callable[[T, Measurement], None],
    stopped: Callable[[], str],
    waited: Callable[[], None] = lambda: None,
) -> None:
    """Trains each item; what is still in flight when `stopped` says so is lost.

    Args:
        items: In order.
        request: Returns what the evaluator is asked; None: neither this item nor any after it is begun.
        evaluator: Who trains; it has nothing else in flight.
        began: Told all that are in flight, whenever one more is about to be begun.
        ended: Told of each that ended.
        stopped: Asked often; a reason ends this at once.
        waited: Called often, while nothing ends too.
    """
    waiting, running, ticket = list(items), dict[int, T](), 0
    while (waiting or running) and not stopped():
        while waiting and len(running) < evaluator.slots:
            asked = request(waiting[0])
            if asked is None:
                waiting.clear()
                break
            ticket += 1
            running[ticket] = waiting.pop(0)
            began(list(running.values()))
            evaluator.submit(ticket, asked)
        for number, measurement in collected(evaluator, stopped) if running else ():
            ended(running.pop(number), measurement)
        waited()
