"""Pareto arithmetic, always minimised: arrays in, arrays out; two single points are compared as plain sequences.

Points are `(n, m)`: n points, m objectives, smaller is better. A NaN is refused everywhere, since it compares as false with
everything and would be ranked silently (moocore's hypervolume turns it into 0.0). An infinite value is a legal loss.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from operator import le
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
T = TypeVar("T")


def weakly_dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Returns whether no loss of the one point is above that of the other; both have equally many, none of them NaN.

    Zitzler et al. 2003, "Performance Assessment of Multiobjective Optimizers", table I. Nothing is checked: it is asked often.
    """
    return all(map(le, one, other))


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Returns whether the one point is at least as good as the other in every loss, and better in one; see `weakly_dominates`."""
    return weakly_dominates(one, other) and not weakly_dominates(other, one)


def front_with(front: list[T], newcomer: T, key: Callable[[T], Sequence[float]]) -> list[T]:
    """Returns a front with a newcomer at its end and without what that one dominates.

    Args:
        front: No member dominates another.
        newcomer: Who may enter.
        key: Gives the losses of a member.

    Returns:
        The very same list where a member is as good in every objective.
    """
    losses = key(newcomer)
    if any(weakly_dominates(key(member), losses) for member in front):
        return front
    return [*(member for member in front if not weakly_dominates(losses, key(member))), newcomer]


def non_dominated(points: ArrayLike) -> NDArray[np.bool_]:
    """Returns which points no other point dominates; of exact duplicates the first one alone.

    Args:
        points: `(n, m)` losses.

    Returns:
        `(n,)` booleans.

    Raises:
        ValueError: When `points` is no matrix or holds a NaN.
    """
    import moocore

    losses = checked(points)
    if not len(losses):
        return np.zeros(0, dtype=bool)
    return np.asarray(moocore.is_nondominated(losses), dtype=bool)


def ranks(points: ArrayLike) -> NDArray[np.int64]:
    """Returns the front each point lies on: 0 for the best front, 1 once that is taken away, and so on.

    Duplicates share a rank (Deb et al. 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II", section III A).

    Args:
        points: `(n, m)` losses.

    Returns:
        `(n,)` whole numbers from 0.

    Raises:
        ValueError: When `points` is no matrix or holds a NaN.
    """
    losses = checked(points)
    if not len(losses):
        return np.zeros(0, dtype=np.int64)
    if losses.shape[1] == 1:
        return np.unique(losses[:, 0], return_inverse=True)[1].astype(np.int64)
    if losses.shape[1] == 2:
        return np.array(_ranks_of_pairs(losses.tolist()), dtype=np.int64)

    import moocore

    return np.asarray(moocore.pareto_rank(losses), dtype=np.int64)


def _ranks_of_pairs(pairs: list[list[float]]) -> list[int]:
    """Returns the ranks for two objectives in n log n steps, on plain lists: quicker for the dozen points a search ranks at a time.

    Taken in order of the first objective, a point lies behind every front whose latest member is not above it in the second; these
    are the first ones, since the latest members rise from front to front (Jensen 2003, "Reducing the Run-Time Complexity of
    Multiobjective EAs: The NSGA-II and Other Algorithms").
    """
    latest: list[float] = []  # of each front, the second objective of its latest member
    ranks, before = [0] * len(pairs), -1
    for i in sorted(range(len(pairs)), key=pairs.__getitem__):
        if before < 0 or pairs[i] != pairs[before]:
            rank = bisect_right(latest, pairs[i][1])
            latest[rank : rank + 1] = [pairs[i][1]]
        ranks[i], before = rank, i
    return ranks


def crowding(points: ArrayLike) -> Floats:
    """Returns the crowding distance of each point among the others of one front; larger is lonelier.

    The ends of every objective get infinity; an objective on which all points agree adds nothing (Deb et al. 2002,
    section III B). Infinite losses are clipped to the largest finite one of their objective.

    Args:
        points: `(n, m)` losses of one front.

    Returns:
        `(n,)` distances, sums over objectives of gaps scaled to [0, 1].

    Raises:
        ValueError: When `points` is no matrix or holds a NaN.
    """
    losses = checked(points)
    return _crowding(_finite(losses), np.zeros(len(losses), dtype=np.int64))


def _crowding(losses: Floats, rank: NDArray[np.int64]) -> Floats:
    """Returns the crowding distance of each point among those of its own rank."""
    fronts: dict[int, list[int]] = {}
    for i, front in enumerate(rank.tolist()):
        fronts.setdefault(front, []).append(i)
    distance = [0.0] * len(losses)
    for column in losses.T.tolist():  # plain lists: quicker than arrays for the dozen points a search sorts at a time
        for members in fronts.values():
            order = sorted(members, key=column.__getitem__)
            spread = column[order[-1]] - column[order[0]]
            if spread > 0:
                distance[order[0]] = distance[order[-1]] = math.inf
                for before, i, behind in zip(order, order[1:], order[2:], strict=False):
                    distance[i] += (column[behind] - column[before]) / spread
    return np.array(distance)


def crowded_order(points: ArrayLike) -> NDArray[np.int64]:
    """Returns the indices of the points, best first: by rank, within a rank the lonelier first, else in the order given.

    Deb et al. 2002, section III B: the crowded comparison operator.

    Args:
        points: `(n, m)` losses.

    Returns:
        `(n,)` indices.

    Raises:
        ValueError: When `points` is no matrix or holds a NaN.
    """
    losses = checked(points)
    rank = ranks(losses)
    distance, front = _crowding(_finite(losses), rank).tolist(), rank.tolist()
    return np.array(sorted(range(len(losses)), key=lambda i: (front[i], -distance[i])), dtype=np.int64)


def hypervolume(points: ArrayLike, reference: ArrayLike) -> float:
    """Returns the volume dominated by `points` up to `reference`; points not below it in every objective add nothing.

    Args:
        points: `(n, m)` losses.
        reference: `(m,)` losses, one worst value an objective.

    Raises:
        ValueError: When the shapes differ, a NaN is among them, or the reference is not finite.
    """
    import moocore

    losses = checked(points)
    corner = np.asarray(reference, dtype=np.float64)
    if corner.shape != losses.shape[1:] or not np.isfinite(corner).all():
        raise ValueError(f"the reference is {corner.tolist()}, expected {losses.shape[1]} finite numbers, one an objective")
    inside = losses[(losses < corner).all(axis=1)]
    return float(moocore.hypervolume(inside, ref=corner)) if len(inside) else 0.0


def contribution_order(points: ArrayLike) -> NDArray[np.int64]:
    """Returns the indices of the points, those first that the hypervolume of one front can spare least.

    The point with the smallest exclusive contribution goes last, then the one with the smallest among the others, and so on
    (Beume, Naujoks and Emmerich 2007, "SMS-EMOA"): so of two points that lie close together one comes early. Objectives are
    scaled to [0, 1] over the front; the reference lies so far beyond it that points at equal distances, the ends included,
    contribute alike (`_beyond`). Of equal contributions the later one goes last.

    Args:
        points: `(n, m)` losses of one front: none dominates another. Infinite ones are clipped to the largest finite one.

    Returns:
        `(n,)` indices.

    Raises:
        ValueError: When `points` is no matrix or holds a NaN.
    """
    import moocore

    losses = _finite(checked(points))
    left = list(range(len(losses)))
    if losses.shape[1] == 1 or len(left) < 2:
        return np.array(left, dtype=np.int64)
    low, high = losses.min(axis=0), losses.max(axis=0)
    scaled = (losses - low) / np.where(high > low, high - low, 1.0)
    spared: list[int] = []
    while len(left) > 1:
        contributions = moocore.hv_contributions(scaled[left], ref=_beyond(len(left), losses.shape[1]))
        least = len(left) - 1 - int(np.argmin(contributions[::-1]))
        spared.append(left.pop(least))
    return np.array([*left, *reversed(spared)], dtype=np.int64)


def _beyond(points: int, objectives: int) -> float:
    """Returns the reference, the same in all objectives, for so many points scaled to [0, 1]: 1 + 1/h, where h is the number of
    divisions of a lattice of as many points (Ishibuchi et al. 2018, "How to specify a reference point in hypervolume calculation
    for fair performance comparison", section 4)."""
    divisions = 1
    while math.comb(divisions + objectives - 1, objectives - 1) < points:
        divisions += 1
    return 1 + 1 / divisions


def knee(points: ArrayLike) -> int:
    """Returns the index of the front's knee: the point that bulges furthest below the plane through the front's ends.

    Objectives are scaled to [0, 1] over the front, so the plane is `sum(x) = 1` and the knee is the smallest sum (Das 1999,
    "On characterizing the 'knee' of the Pareto curve"; for two objectives the distance to the chord, as in Branke et al. 2004).
    Dominated points are never picked; of equal sums the first one is.

    Args:
        points: `(n, m)` losses, n at least 1.

    Raises:
        ValueError: When there is no point, `points` is no matrix or holds a NaN.
    """
    losses = _finite(checked(points))
    if not len(losses):
        raise ValueError("knee() got no point, expected at least one")
    front = np.flatnonzero(non_dominated(losses))
    low, high = losses[front].min(axis=0), losses[front].max(axis=0)
    scaled = (losses[front] - low) / np.where(high > low, high - low, 1.0)
    return int(front[np.argmin(scaled.sum(axis=1))])


def checked(points: ArrayLike) -> Floats:
    """Returns `points` as an `(n, m)` array of floats without NaN.

    Raises:
        ValueError: When it is none; the message names the shape or the row.
    """
    losses = np.asarray(points, dtype=np.float64)
    if losses.size == 0 and losses.ndim == 1:
        return losses.reshape(0, 1)
    if losses.ndim != 2 or losses.shape[1] == 0:
        raise ValueError(f"points have shape {losses.shape}, expected (n, m): n points of m objectives")
    bad = np.isnan(losses).any(axis=1)
    if bad.any():
        raise ValueError(f"point {int(np.argmax(bad))} is {losses[np.argmax(bad)].tolist()}, expected numbers without NaN")
    return losses


def _finite(losses: Floats) -> Floats:
    """Clips infinite losses to the range of the finite ones of their column (0 where there is none)."""
    if np.isfinite(losses).all():
        return losses
    clipped = losses.copy()
    for column in clipped.T:
        finite = column[np.isfinite(column)]
        low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
        np.clip(column, low, high, out=column)
    return clipped
