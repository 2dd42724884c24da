"""What a user should know about images that can be used: duplicates, shared groups, imbalance, empty test classes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.content import SPLITS, Content, shown
from nas.lines import counted

IMBALANCE = 10
"""Ratio of the largest to the smallest class from which a note is made."""


@dataclass
class Twins:
    """Finds images of equal decoded bytes, by a 128-bit hash of each."""

    first: dict[bytes, dict[str, int]] = field(default_factory=dict)
    across: dict[tuple[str, str], list[tuple[int, int]]] = field(default_factory=dict)

    def add(self, images: NDArray[Any], indices: NDArray[np.int64], split: str) -> None:
        """Takes in images `(n, C, H, W)` of a split and their indices `(n,)`; splits come in the order of `SPLITS`."""
        for image, index in zip(images, indices.tolist(), strict=True):
            seen = self.first.setdefault(hashlib.blake2b(image.tobytes(), digest_size=16).digest(), {})
            for other, there in seen.items():
                if other != split:
                    self.across.setdefault((other, split), []).append((there, index))
            seen.setdefault(split, index)

    def notes(self, content: Content) -> list[str]:
        """Returns one line for each pair of splits that share images."""
        lines = []
        for (one, other), pairs in self.across.items():
            there, index = pairs[0]
            differ = sum(content.labels[a] != content.labels[b] for a, b in pairs)
            labels = f", {differ} of them under another label" if differ else ""
            lines.append(
                f"duplicates: {counted(len(pairs), f'{other} image')} also in {one}{labels} "
                f"(first: {content.item(index)} = {content.item(there)})"
            )
        return lines


def split_notes(content: Content, indices: dict[str, NDArray[np.int64]]) -> list[str]:
    """Returns a line where the test set was cut out of the training images, because the data bring none."""
    if "test" in content.splits:
        return []
    return [f"test: the data bring none, so {counted(len(indices['test']), 'image')} were cut from those of training"]


def group_notes(content: Content, indices: dict[str, NDArray[np.int64]]) -> list[str]:
    """Returns one line for each pair of splits that share groups; only splits that the data bring along can."""
    if content.groups is None:
        return []
    lines, groups = [], {split: set(content.groups[indices[split]].tolist()) for split in SPLITS}
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        if both := len(groups[one] & groups[other]):
            lines.append(f"groups: {counted(both, 'group')} in both {one} and {other}")
    return lines


def class_notes(counts: dict[str, list[int]], names: tuple[str, ...], std: list[float]) -> list[str]:
    """Returns lines on imbalance, on classes that the test set lacks and on constant channels."""
    lines, train = [], counts["train"]
    if max(train) >= IMBALANCE * min(train):
        most, least = (shown(names[train.index(many)]) for many in (max(train), min(train)))
        lines.append(
            f"imbalance: {counted(max(train), 'training image')} of class {most!r} and {min(train)} of {least!r}; "
            "balanced class weights and balanced_accuracy may suit better"
        )
    absent = [shown(name) for name, many in zip(names, counts["test"], strict=True) if not many]
    if absent:
        listed = ", ".join(absent[:5]) + (", ..." if len(absent) > 5 else "")
        lines.append(f"test: no image of {counted(len(absent), 'class', 'classes')} ({listed})")
    lines += [f"channel {channel} is constant over all training images" for channel, value in enumerate(std) if value == 0]
    return lines
