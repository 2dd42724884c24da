"""Which networks are trained again: those on the front, and those whose interval reaches it. Numbers in, places out."""

from __future__ import annotations

from collections.abc import Sequence

from nas.pareto import non_dominated

MOST_AGAIN = 16
"""Networks that are trained again, where the front itself has not more: the front, and those that lack least."""


def near_front(losses: Sequence[Sequence[float]], noisy: int | None = None, reach: Sequence[float] = ()) -> list[int]:
    """Returns the places of the networks on the front and of those that may belong there, in this order.

    A network may belong there when its own interval reaches the measured loss of every network of the front that costs no more.

    Args:
        losses: One tuple a network, one loss an objective.
        noisy: Which objective has an interval; None: none has, so the front stands alone.
        reach: How far the interval of each network lies below its loss in that objective.

    Returns:
        The front in the order given, then the others, those that lack least first, `MOST_AGAIN` in all.
    """
    if not losses:
        return []
    front = [place for place, keep in enumerate(non_dominated(losses).tolist()) if keep]
    if noisy is None:
        return front
    lacking = {}
    for place in set(range(len(losses))).difference(front):
        gap = _lacks(losses[place], [losses[other] for other in front], noisy)
        if gap <= reach[place]:
            lacking[place] = gap
    others = sorted(lacking, key=lambda place: (lacking[place], place))
    return front + others[: max(0, MOST_AGAIN - len(front))]


def _lacks(own: Sequence[float], front: Sequence[Sequence[float]], noisy: int) -> float:
    """Returns by how much a loss lies above the least one among those that cost no more."""
    rest = [axis for axis in range(len(own)) if axis != noisy]
    return own[noisy] - min(other[noisy] for other in front if all(other[axis] <= own[axis] for axis in rest))
