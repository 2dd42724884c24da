"""Cuts images into folds, each of which is validated on once: stratified by class, groups whole, the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.data.content import shown
from nas.errors import DataError
from nas.lines import counted

Indices = NDArray[np.int64]

LEAST_KEPT = 2
"""Images of a class that remain to train on, whichever fold is validated on."""


def fold_numbers(labels: Indices, groups: Indices | None, class_names: Sequence[str], folds: int, *, seed: int = 0) -> Indices:
    """Returns the fold of each image, `(N,)` numbers from 0.

    Without groups each class is dealt out in random order, so that folds differ by one image at most, in each class and in sum.
    With groups, those that are hardest to place (largest spread over the classes) come first, each into the fold whose counts it
    brings nearest to an equal share of every class, in squares.

    Args:
        labels: `(N,)` class indices.
        groups: `(N,)` group numbers, or None.
        class_names: For messages.
        folds: How many.
        seed: Of the order.

    Raises:
        DataError: When a class has no image in some fold, or too few outside of one.
    """
    if type(folds) is not int or folds < 2:
        raise DataError(f"folds is {folds!r}, expected a whole number of at least 2")
    rng = np.random.default_rng([seed, 3])
    order = rng.permutation(len(labels))
    numbers = np.empty(len(labels), dtype=np.int64)
    if groups is None:
        order = order[np.argsort(labels[order], kind="stable")]
        numbers[order] = np.arange(len(labels)) % folds
    else:
        known, place = np.unique(groups, return_inverse=True)
        table = np.zeros((len(known), len(class_names)), dtype=np.int64)
        np.add.at(table, (place.reshape(-1), labels), 1)
        numbers = _dealt(table, folds, rng)[place.reshape(-1)]
    _check(
        np.array([np.bincount(labels[numbers == fold], minlength=len(class_names)) for fold in range(folds)]), class_names, groups
    )
    return numbers


def _dealt(table: Indices, folds: int, rng: np.random.Generator) -> Indices:
    """Returns the fold of each group, `(G,)`; `table` is `(G, K)`, the images of each class in each group."""
    share = table.sum(0) / folds
    weight = 1.0 / np.maximum(share, 1)
    counts, chosen = np.zeros((folds, table.shape[1])), np.empty(len(table), dtype=np.int64)
    order = rng.permutation(len(table))
    for group in order[np.argsort(-(table[order] * weight).std(1), kind="stable")]:
        row = table[group]
        # what the squares of the distances to the share grow by
        growth = ((2 * (counts - share) + row) * row * weight**2).sum(1)
        fold = int(np.lexsort((counts.sum(1), growth))[0])
        counts[fold] += row
        chosen[group] = fold
    return chosen


def _check(counts: Indices, class_names: Sequence[str], groups: Indices | None) -> None:
    """Refuses folds, `(folds, K)` images of each class, that cannot be validated on or leave too little to train on."""
    absent, few = (counts == 0).any(0), (counts.sum(0) - counts < LEAST_KEPT).any(0)
    short = np.flatnonzero(absent | few)
    if not len(short):
        return
    label = int(short[np.argmin(counts.sum(0)[short])])
    what = "" if groups is None else " in groups that cannot be parted so"
    images = counted(int(counts[:, label].sum()), "image")
    raise DataError(
        f"class {shown(class_names[label])!r} has {images} of training and validation{what}: "
        f"too few for {len(counts)} folds: each needs one, and {LEAST_KEPT} to train on; ask for fewer folds"
    )
