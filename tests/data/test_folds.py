"""Folds: every image is validated on once, classes are spread evenly, groups are never torn apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.data import Dataset, fold, load_data
from nas.data.folds import fold_numbers
from nas.errors import DataError

NAMES = ["cat", "dog", "owl"]


def test_classes_are_dealt_out_evenly() -> None:
    labels = np.repeat([0, 1, 2], [50, 23, 7])
    numbers = fold_numbers(labels, None, NAMES, 5)
    counts = np.array([np.bincount(labels[numbers == k], minlength=3) for k in range(5)])
    assert (np.ptp(counts, axis=0) <= 1).all() and np.ptp(counts.sum(1)) <= 1
    assert np.array_equal(numbers, fold_numbers(labels, None, NAMES, 5))
    assert not np.array_equal(numbers, fold_numbers(labels, None, NAMES, 5, seed=1))


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_whole_and_classes_nearly_even(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 60, 900)
    labels = np.where(rng.random(900) < 0.8, groups % 3, rng.integers(0, 3, 900))
    numbers = fold_numbers(labels, groups, NAMES, 4, seed=seed)
    assert all(len(set(numbers[groups == group])) == 1 for group in range(60))
    counts = np.array([np.bincount(labels[numbers == k], minlength=3) for k in range(4)])
    assert (abs(counts - counts.mean(0)) <= 0.2 * counts.mean(0)).all()


def test_what_cannot_be_cut() -> None:
    labels = np.repeat([0, 1], [20, 4])
    with pytest.raises(DataError, match=r"'dog' has 4 images of training and validation: too few for 5 folds.*ask for fewer folds"):
        fold_numbers(labels, None, NAMES[:2], 5)
    with pytest.raises(DataError, match="in groups that cannot be parted so"):
        fold_numbers(labels, np.repeat([0, 1, 2, 3], [8, 8, 4, 4]), NAMES[:2], 3)
    with pytest.raises(DataError, match="folds is 1, expected a whole number of at least 2"):
        fold_numbers(labels, None, NAMES[:2], 1)


def data(tmp_path: Path, *, groups: bool) -> Dataset:
    rng = np.random.default_rng(0)
    parts = {}
    for split, count in (("train", 40), ("val", 14), ("test", 6)):
        images, labels = rng.integers(0, 256, (count, 4, 5), dtype=np.uint8), np.arange(count) % 2
        parts[split] = (images, labels, np.arange(count) // 2) if groups else (images, labels)
    return load_data(parts, cache_dir=tmp_path / "cache")


def seen(dataset: Dataset, *splits: str) -> set[bytes]:
    return {image.tobytes() for split in splits for image in dataset.images(split)}


def test_every_image_is_validated_on_once_and_the_test_images_never(tmp_path: Path) -> None:
    dataset = data(tmp_path, groups=False)
    views = [fold(dataset, tmp_path / f"fold{k}", k, 3) for k in range(3)]
    validated = [seen(view, "val") for view in views]
    assert set.union(*validated) == seen(dataset, "train", "val") and sum(map(len, validated)) == 54
    for view, own in zip(views, validated, strict=True):
        assert seen(view, "train") == seen(dataset, "train", "val") - own
        assert view.size("test") == 0 and view.mean == dataset.mean
    assert len({view.digest for view in [dataset, *views]}) == 4
    assert fold(dataset, tmp_path / "fold0", 0, 3, seed=1).digest != views[0].digest


def test_groups_are_kept_with_the_decoded_data(tmp_path: Path) -> None:
    dataset = data(tmp_path, groups=True)
    assert dataset.grouped and not data(tmp_path, groups=False).grouped
    found = [dataset.groups(split) for split in ("train", "val", "test")]
    assert [None if groups is None else groups.tolist() for groups in found] == [
        [i // 2 for i in range(count)] for count in (40, 14, 6)
    ]
    view = fold(dataset, tmp_path / "fold", 1, 3)
    assert not view.grouped and view.groups("val") is None
    twins = {(dataset.images(split)[i].tobytes(), i // 2) for split in ("train", "val") for i in range(dataset.size(split))}
    group_of = dict(twins)
    assert not {group_of[image] for image in seen(view, "val")} & {group_of[image] for image in seen(view, "train")}
