"""Other cuts of a decoded data set, as decoded data sets of their own: workers open them as they open any other.

None of them holds a test image, so that whoever trains on one cannot read any.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from nas.data.content import CHUNK_BYTES, SPLITS
from nas.data.dataset import FORMAT, Dataset
from nas.data.folds import fold_numbers
from nas.errors import DataError

Part = tuple[str, NDArray[np.int64] | None]
"""A split, and which of its images; None for all of them."""


def joined(dataset: Dataset, folder: Path) -> Dataset:
    """Returns the training and validation images as one training split; validation and test are empty.

    Values are normalised as before, by mean and deviation of the training images, so that an exported network reads images alike
    whichever it was trained on.

    Args:
        dataset: Decoded.
        folder: Where the images are copied to; one that holds this view already is used as it is.

    Raises:
        DataError: When the folder cannot be written.
    """
    return _view(dataset, folder, {"train": [("train", None), ("val", None)]}, "train+val")


def excerpt(dataset: Dataset, folder: Path, images: int) -> Dataset:
    """Returns at most so many training images, evenly spaced, and as large a share of the validation images; the test is empty.

    Args:
        dataset: Decoded.
        folder: Where the images are copied to; one that holds this view already is used as it is.
        images: Of training.

    Raises:
        DataError: When the folder cannot be written.
    """
    share = min(1.0, images / dataset.size("train"))
    parts = {split: [(split, _spaced(dataset.size(split), share))] for split in ("train", "val")}
    return _view(dataset, folder, parts, f"{images} of train")


def fold(dataset: Dataset, folder: Path, number: int, folds: int, *, seed: int = 0) -> Dataset:
    """Returns the training and validation images cut anew: one fold of them to validate on, all others to train on.

    Values are normalised as before; the test is empty.

    Args:
        dataset: Decoded.
        folder: Where the images are copied to; one that holds this view already is used as it is.
        number: Which fold, from 0.
        folds: How many there are, see `nas.data.folds.fold_numbers`.
        seed: Of the cut.

    Raises:
        DataError: When the folder cannot be written, or classes are too small for so many folds.
    """
    joint, numbers = ("train", "val"), folds_of(dataset, folds, seed=seed)
    own = dict(zip(joint, np.split(numbers, [dataset.size("train")]), strict=True))
    parts = {
        "train": [(split, np.flatnonzero(own[split] != number)) for split in joint],
        "val": [(split, np.flatnonzero(own[split] == number)) for split in joint],
    }
    return _view(dataset, folder, parts, fold_name(number, folds, seed))


def folds_of(dataset: Dataset, folds: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Returns the fold of each training image and then of each validation image, see `nas.data.folds.fold_numbers`."""
    labels = np.concatenate([dataset.labels(split) for split in ("train", "val")])
    groups = [found for split in ("train", "val") if (found := dataset.groups(split)) is not None]
    return fold_numbers(labels, np.concatenate(groups) if groups else None, dataset.class_names, folds, seed=seed)


def fold_name(number: int, folds: int, seed: int) -> str:
    """Returns what a fold is called in the digest of its view."""
    return f"fold {number} of {folds}, seed {seed}"


def view_digest(dataset: Dataset, what: str) -> str:
    """Returns the digest of a view, known before it is made."""
    return hashlib.sha256(f"{dataset.digest} {what}".encode()).hexdigest()


def _spaced(count: int, share: float) -> NDArray[np.int64]:
    return np.linspace(0, count - 1, num=round(count * share)).astype(np.int64)


def _view(dataset: Dataset, folder: Path, parts: Mapping[str, Sequence[Part]], what: str) -> Dataset:
    digest = view_digest(dataset, what)
    try:
        found = Dataset.open(folder)
        if found.digest == digest:
            return found
    except DataError:
        pass
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "meta.json").unlink(missing_ok=True)
        counts = {split: _copy(dataset, folder, split, parts.get(split, ())) for split in SPLITS}
        meta = {
            "format": FORMAT,
            "name": dataset.name,
            "digest": digest,
            "class_names": dataset.class_names,
            "input_shape": dataset.input_shape,
            "mean": dataset.mean,
            "std": dataset.std,
            "flip": dataset.flip,
            "centred": dataset.centred,
            "preprocessing": dict(dataset.preprocessing),
            "counts": counts,
            "grouped": False,
            "notes": [],
        }
        (folder / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"cannot keep a copy of the images in {folder}: {error.strerror or error}; choose a folder with more room"
        ) from None
    return Dataset.open(folder)


def _copy(dataset: Dataset, folder: Path, split: str, parts: Sequence[Part]) -> list[int]:
    """Writes a split, a few images at a time; returns how many images of each class it has."""
    chosen = [(name, np.arange(dataset.size(name)) if which is None else which) for name, which in parts]
    labels = np.concatenate([np.empty(0, np.int64), *(dataset.labels(name)[which] for name, which in chosen)])
    np.save(folder / f"{split}_labels.npy", labels, allow_pickle=False)
    shape, dtype = (len(labels), *dataset.input_shape), dataset.images("train").dtype
    path = folder / f"{split}_images.npy"
    if not len(labels):  # a file without content cannot be mapped
        np.save(path, np.empty(shape, dtype), allow_pickle=False)
        return [0] * len(dataset.class_names)
    out = open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    step, end = max(1, CHUNK_BYTES // max(1, out[0].nbytes)), 0
    for name, which in chosen:
        images = dataset.images(name)
        for start in range(0, len(which), step):
            part = images[which[start : start + step]]
            out[end : end + len(part)] = part
            end += len(part)
    out.flush()
    counts: list[int] = np.bincount(labels, minlength=len(dataset.class_names)).tolist()
    return counts
