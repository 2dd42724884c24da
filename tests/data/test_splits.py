"""Cuts: stratified, groups whole, repeatable, exact about what is too little."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nas.data.splits import assign_splits
from nas.errors import DataError

NAMES = [f"class {index}" for index in range(20)]


def cut(labels, splits=None, groups=None, **options):
    labels = np.asarray(labels, dtype=np.int64)
    splits = np.full(len(labels), "train") if splits is None else np.asarray(splits)
    names = NAMES[: labels.max() + 1]
    return assign_splits(labels, splits, None if groups is None else np.asarray(groups, dtype=np.int64), names, **options)


def repeated(counts: list[int]) -> np.ndarray:
    return np.repeat(np.arange(len(counts)), counts)


def per_class(parts, labels, split: str, many: int) -> list[int]:
    return np.bincount(labels[parts[split]], minlength=many).tolist()


@given(st.lists(st.integers(3, 60), min_size=2, max_size=8).filter(lambda counts: max(counts) > 3), st.integers(0, 5))
def test_every_image_lies_in_one_split_and_every_class_has_enough(counts: list[int], seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(repeated(counts))
    parts = cut(labels, seed=seed)
    joined = np.concatenate([parts["train"], parts["val"], parts["test"]])
    assert sorted(joined.tolist()) == list(range(len(labels)))
    assert min(per_class(parts, labels, "train", len(counts))) >= 2
    assert min(per_class(parts, labels, "val", len(counts))) >= 1
    tested = per_class(parts, labels, "test", len(counts))
    assert all(many >= 1 for many, count in zip(tested, counts, strict=True) if count >= 4)
    for split in parts:
        assert (np.diff(parts[split]) > 0).all()


def test_shares_are_kept_to_the_image() -> None:
    labels = repeated([200, 100, 50])
    parts = cut(labels)
    assert per_class(parts, labels, "test", 3) == [40, 20, 10]
    assert per_class(parts, labels, "val", 3) == [32, 16, 8]
    parts = cut(labels, val_share=0.5, test_share=0.1)
    assert per_class(parts, labels, "test", 3) == [20, 10, 5]
    assert per_class(parts, labels, "val", 3) == [90, 45, 23]


def test_validation_is_capped_unless_a_share_is_asked_for() -> None:
    labels = repeated([40_000, 20_000])
    splits = ["train"] * 60_000
    assert len(cut(np.append(labels, [0, 1]), [*splits, "test", "test"])["val"]) == 10_000
    assert len(cut(np.append(labels, [0, 1]), [*splits, "test", "test"], val_share=0.5)["val"]) == 30_000


def test_splits_of_the_data_stay() -> None:
    splits = np.array((["train"] * 6 + ["val"] * 2 + ["test"] * 2) * 2)
    parts = cut(repeated([10, 10]), splits)
    for name, indices in parts.items():
        assert (splits[indices] == name).all()
        assert len(indices) == (splits == name).sum()


@pytest.mark.parametrize("missing", ["val", "test"])
def test_a_missing_split_is_cut_from_train(missing: str) -> None:
    other = {"val": "test", "test": "val"}[missing]
    splits = np.array((["train"] * 20 + [other] * 5) * 2)
    parts = cut(repeated([25, 25]), splits)
    assert (splits[parts[other]] == other).all()
    assert len(parts[missing]) == 8
    assert (splits[parts[missing]] == "train").all()


def test_a_seed_is_a_split() -> None:
    labels = repeated([50, 50])
    assert cut(labels, seed=3)["val"].tolist() == cut(labels, seed=3)["val"].tolist()
    assert cut(labels, seed=3)["val"].tolist() != cut(labels, seed=4)["val"].tolist()
    assert cut(labels, seed=3)["test"].tolist() != cut(labels, seed=4)["test"].tolist()


@given(st.integers(0, 1000))
@example(743)  # the largest groups first would have cut 52 of 168 images
def test_groups_stay_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(40), rng.integers(1, 9, 40))
    labels = (groups % 3 + (rng.random(len(groups)) < 0.2)) % 3
    parts = cut(labels, groups=groups, seed=seed)
    of = {split: set(groups[indices].tolist()) for split, indices in parts.items()}
    assert not of["train"] & of["val"]
    assert not of["train"] & of["test"]
    assert not of["val"] & of["test"]
    assert min(per_class(parts, labels, "val", 3)) >= 1
    assert 0.1 * len(labels) < len(parts["test"]) < 0.3 * len(labels)
    assert 0.08 * len(labels) < len(parts["val"]) < 0.25 * len(labels)


def test_a_class_in_two_groups_is_parted_between_train_and_validation() -> None:
    labels = np.array([0] * 6 + [1] * 40)
    groups = np.array([0, 0, 0, 1, 1, 1, *(2 + np.arange(40) // 4)])
    for seed in range(20):
        parts = cut(labels, groups=groups, seed=seed)
        assert per_class(parts, labels, "train", 2)[0] == per_class(parts, labels, "val", 2)[0] == 3


def test_a_class_in_one_group_is_refused(refuses) -> None:
    with refuses("'class 0'", "1 group", "6 images", error=DataError):
        cut([0] * 6 + [1] * 40, groups=[0] * 6 + list(range(1, 41)))


@pytest.mark.parametrize(
    ("counts", "options", "words"),
    [
        ([2, 50], {}, ("'class 0'", "2 images", "at least 3 (2 to train on and 1 to validate on)")),
        ([0, 50, 1], {}, ("'class 0'", "0 images", "1 more")),
        ([3, 3], {}, ("test set", "4 or more")),
        ([50, 50], {"val_share": 20}, ("val share is 20", "0.2")),
        ([50, 50], {"test_share": 0.0}, ("test share is 0.0",)),
        ([50, 50], {"test_share": float("nan")}, ("test share is nan",)),
        ([50, 50], {"test_share": "0.2"}, ("test share is '0.2'",)),
    ],
)
def test_what_is_refused(refuses, counts: list[int], options: dict, words: tuple[str, ...]) -> None:
    with refuses(*words, error=DataError):
        cut(repeated(counts), **options)


def test_given_splits_with_too_little_are_refused(refuses) -> None:
    with refuses("no training image"):
        cut([0, 1], ["test", "test"])
    with refuses("'class 1'", "0 images in val"):
        cut([0, 0, 1, 1, 0, 0, 1], ["train"] * 4 + ["val", "test", "test"])
    with refuses("own val split"):
        cut([0, 0, 1, 1, 0, 0, 1], ["train"] * 4 + ["val", "test", "test"], val_share=0.3)
