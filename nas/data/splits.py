"""Cuts validation and test images out of training images: stratified by class, groups kept whole, the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.data.content import SPLITS, shown
from nas.errors import DataError
from nas.lines import counted

Indices = NDArray[np.int64]

DEFAULT_SHARE = 0.2
MOST_VALIDATION = 10_000
"""Images of validation that are cut where no share was asked for."""
TRAIN_LEAST, VAL_LEAST = 2, 1
"""Images that every class needs."""
ATTEMPTS = 50
"""Orders of the groups that are tried until every class has a validation image."""


def assign_splits(
    labels: Indices,
    splits: NDArray[np.str_],
    groups: Indices | None,
    class_names: Sequence[str],
    *,
    val_share: float | None = None,
    test_share: float | None = None,
    seed: int = 0,
) -> dict[str, Indices]:
    """Returns the indices of each split, ascending.

    A split that the data bring along is left as it is. A missing test set is cut from train first, then a missing validation
    set from what remains. In a class of n images the cut leaves 2 to train on (and 1 to validate on); a class of fewer than 4
    gets no test image. No group is torn apart by a cut.

    Args:
        labels: `(N,)` class indices.
        splits: `(N,)` of "train", "val", "test".
        groups: `(N,)` group numbers, or None.
        class_names: For messages.
        val_share: Share of the training images, after the test set is cut; None: 0.2, at most 10,000 images.
        test_share: Share of the training images; None: 0.2.
        seed: Of the cut.

    Raises:
        DataError: When a share makes no sense or a class has too few images (or groups).
    """
    parts = {name: np.flatnonzero(splits == name).astype(np.int64) for name in SPLITS}
    for name, share in (("val", val_share), ("test", test_share)):
        if check_share(name, share) is not None and len(parts[name]):
            raise DataError(f"{name} share is {share}, but the data bring their own {name} split; leave the share out")
    names = list(class_names)
    if not len(parts["train"]):
        raise DataError("there is no training image; expected a train split, or images without any split")
    _check_enough(labels[parts["train"]], names, TRAIN_LEAST + (0 if len(parts["val"]) else VAL_LEAST), "train")
    if not len(parts["test"]):
        keep = TRAIN_LEAST + (0 if len(parts["val"]) else VAL_LEAST)
        share = DEFAULT_SHARE if test_share is None else test_share
        parts["train"], parts["test"] = _cut(parts["train"], labels, groups, names, share, keep, False, [seed, 1])
        if not len(parts["test"]):
            more = f"a class of {keep + 1} or more images" + (" in groups that can be parted" if groups is not None else "")
            raise DataError(f"too few images to cut a test set: expected {more}, or a test set of your own")
    if not len(parts["val"]):
        share = min(DEFAULT_SHARE, MOST_VALIDATION / len(parts["train"])) if val_share is None else val_share
        parts["train"], parts["val"] = _cut(parts["train"], labels, groups, names, share, TRAIN_LEAST, True, [seed, 2])
    _check_enough(labels[parts["train"]], names, TRAIN_LEAST, "train")
    _check_enough(labels[parts["val"]], names, VAL_LEAST, "val")
    return parts


def check_share(name: str, share: float | None) -> float | None:
    """Returns a share as a number, None where none was asked for.

    Raises:
        DataError: When it is no number above 0 and below 1.
    """
    if share is None:
        return None
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
        raise DataError(f"{name} share is {share!r}, expected a number above 0 and below 1, for example 0.2")
    return float(share)


def _check_enough(labels: Indices, names: list[str], least: int, split: str) -> None:
    """Refuses a split in which a class has fewer than `least` images."""
    counts = np.bincount(labels, minlength=len(names))
    short = np.flatnonzero(counts < least)
    if not len(short):
        return
    which, more = short[np.argmin(counts[short])], f" (and {len(short) - 1} more classes too few)" if len(short) > 1 else ""
    parts = " (2 to train on and 1 to validate on)" if split == "train" and least > TRAIN_LEAST else ""
    images = counted(int(counts[which]), "image")
    raise DataError(f"class {shown(names[which])!r} has {images} in {split}{more}, expected at least {least}{parts}")


def _cut(
    indices: Indices,
    labels: Indices,
    groups: Indices | None,
    names: list[str],
    share: float,
    keep: int,
    every_class: bool,
    seed: list[int],
) -> tuple[Indices, Indices]:
    """Returns what is left of `indices` and what was cut out, both ascending."""
    rng = np.random.default_rng(seed)
    own = labels[indices]
    counts = np.bincount(own, minlength=len(names))
    target = _targets(counts, share, keep)
    if groups is None:
        taken = np.zeros(len(indices), dtype=bool)
        for label, many in enumerate(target):
            taken[rng.permutation(np.flatnonzero(own == label))[:many]] = True
        return indices[~taken], indices[taken]
    known, number = np.unique(groups[indices], return_inverse=True)
    table = np.zeros((len(known), len(names)), dtype=np.int64)
    np.add.at(table, (number.reshape(-1), own), 1)
    chosen = _choose_groups(table, target, keep, 1 if every_class else 2, names, every_class, rng)
    taken = chosen[number.reshape(-1)]
    return indices[~taken], indices[taken]


def _targets(counts: Indices, share: float, keep: int) -> Indices:
    """Returns how many images of each class to cut: proportional by largest remainder, at least 1, `keep` left over."""
    exact = counts * share
    target = np.floor(exact).astype(np.int64)
    missing = round(float(exact.sum())) - int(target.sum())
    target[np.argsort(target - exact, kind="stable")[:missing]] += 1
    spare = np.maximum(counts - keep, 0)
    result: Indices = np.minimum(np.maximum(target, 1), spare)
    return result


def _choose_groups(
    table: Indices, target: Indices, keep: int, keep_groups: int, names: list[str], every_class: bool, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Returns which groups to cut, `(G,)`, so that the counts of each class come near the target.

    Args:
        table: `(G, K)` images of each class in each group.
        target: `(K,)` images to cut.
        keep: Images of each class that stay.
        keep_groups: Groups of each class that stay (2 where another cut follows).
        names: For messages.
        every_class: Whether each class must be among the cut ones.
        rng: Of the orders that are tried.
    """
    wanted = target > 0
    best: NDArray[np.bool_] | None = None
    best_missing, best_distance = len(names) + 1, 0.0
    sizes = table.sum(1)
    for attempt in range(ATTEMPTS):
        order = rng.permutation(len(table))
        if attempt == 0:
            order = order[np.argsort(-sizes[order], kind="stable")]
        chosen = _greedy(table, target, keep, keep_groups, order)
        cut = table[chosen].sum(0)
        missing, distance = int((wanted & (cut == 0)).sum()), float((((cut - target) / np.maximum(target, 1)) ** 2).sum())
        if best is None or (missing, distance) < (best_missing, best_distance):
            best, best_missing, best_distance = chosen, missing, distance
        if missing == 0 and abs(int(cut.sum() - target.sum())) <= target.sum() / 4:
            break  # else another order may come nearer: groups of mixed classes can pile up
    assert best is not None
    if every_class and best_missing:
        label = int(np.flatnonzero(wanted & (table[best].sum(0) == 0))[0])
        many = int((table[:, label] > 0).sum())
        groups, images = counted(many, "group"), counted(int(table[:, label].sum()), "image")
        raise DataError(
            f"no split found that keeps groups whole and has class {shown(names[label])!r} in both train and val: its "
            f"{images} are in {groups}; expected at least 2 groups that can be parted"
        )
    return best


def _greedy(table: Indices, target: Indices, keep: int, keep_groups: int, order: Indices) -> NDArray[np.bool_]:
    """Returns groups taken one after another while that brings the counts nearer to the target, then what classes still lack."""
    chosen = np.zeros(len(table), dtype=bool)
    left, left_groups = table.sum(0), (table > 0).sum(0)
    cut = np.zeros_like(target)
    weight = 1.0 / np.maximum(target, 1)

    def allowed(row: Indices) -> bool:
        has = row > 0
        return not bool((has & ((left - row < keep) | (left_groups - 1 < keep_groups))).any())

    def take(group: int) -> None:
        nonlocal left, left_groups, cut
        row = table[group]
        chosen[group], left, left_groups, cut = True, left - row, left_groups - (row > 0), cut + row

    for group in order:
        gap = (target - cut) * weight
        if allowed(table[group]) and (((gap - table[group] * weight) ** 2).sum() < (gap**2).sum()):
            take(group)
    for label in np.flatnonzero((target > 0) & (cut == 0)):
        if cut[label]:
            continue
        holders = order[(table[order, label] > 0) & ~chosen[order]]
        for group in holders[np.argsort(table[holders].sum(1), kind="stable")]:
            if allowed(table[group]):
                take(group)
                break
    return chosen
