"""How many epochs fit, which training goes on next, and when all will have ended. Plain numbers in, plain numbers out."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

SEGMENT_SECONDS = 30.0
"""Length of a training segment: what a killed process loses at most, and about how often progress is told."""
SPARE = 0.1
"""Share of a time budget that is left for measuring, exporting, and a machine that gets slower."""
MOST_EPOCHS = 200
"""Epochs that a time budget chooses at most: as many as published schedules take (Zagoruyko and Komodakis 2016, section 3)."""


def segment_epochs(epoch_seconds: float) -> int:
    """Returns the epochs of one training segment."""
    return max(1, round(SEGMENT_SECONDS / max(epoch_seconds, 1e-9)))


def next_training(remaining: Sequence[float], free: Sequence[bool]) -> int | None:
    """Returns which training gets the next free slot: the one with the longest time to go; None where none is waiting.

    Trainings take turns, segment by segment. So all slots stay busy until no more trainings are left than there are slots, and the
    end comes within a segment of the earliest possible one (McNaughton 1959, "Scheduling with deadlines and loss functions").

    Args:
        remaining: Seconds each training has to go; 0 where it ended.
        free: Whether it waits for a slot.
    """
    waiting = [i for i, seconds in enumerate(remaining) if seconds > 0 and free[i]]
    return max(waiting, key=lambda i: (remaining[i], -i), default=None)


def time_needed(epochs: Sequence[int], epoch_seconds: Sequence[float], slots: int) -> float:
    """Returns the seconds until all trainings ended, each slot running one at a time.

    Args:
        epochs: That each training has to go.
        epoch_seconds: Of each, while all slots are busy.
        slots: How many run at a time.
    """
    left, busy = list(epochs), [False] * len(epochs)
    running: list[tuple[float, int]] = []
    now = 0.0
    while True:
        while len(running) < slots:
            remaining = [count * seconds for count, seconds in zip(left, epoch_seconds, strict=True)]
            chosen = next_training(remaining, [not b for b in busy])
            if chosen is None:
                break
            step = min(left[chosen], segment_epochs(epoch_seconds[chosen]))
            left[chosen] -= step
            busy[chosen] = True
            heapq.heappush(running, (now + step * epoch_seconds[chosen], chosen))
        if not running:
            return now
        now, ended = heapq.heappop(running)
        busy[ended] = False


def epochs_within(seconds: float, epoch_seconds: Sequence[float], slots: int, most: int = MOST_EPOCHS) -> int:
    """Returns the largest number of epochs, the same for every training, after which all have ended in time; 0 where none fits.

    Args:
        seconds: For all trainings together.
        epoch_seconds: Of each training.
        slots: How many run at a time.
        most: The largest number that is wanted.
    """
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if time_needed([middle] * len(epoch_seconds), epoch_seconds, slots) <= seconds:
            low = middle
        else:
            high = middle - 1
    return low
