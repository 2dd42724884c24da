"""A decoded data set: a folder of plain arrays and one JSON file, cheap to open in any process.

    meta.json                 all that a `Dataset` knows
    {split}_images.npy        (N, C, H, W), uint8 or float32
    {split}_labels.npy        (N,), int64
    {split}_groups.npy        (N,), int64, where the data bring groups along

Nothing in the folder changes once it is in place. Opening maps files into memory: all processes of a machine share one copy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.content import SPLITS
from nas.errors import DataError, UnknownNameError

FORMAT = 3
"""Version of the folder; another one is decoded anew."""


@dataclass(frozen=True)
class Dataset:
    """Images and labels, split, decoded and measured.

    Attributes:
        folder: Where it lies.
        name: What it is called ("fashion-mnist-12k", the name of a folder or file).
        digest: Hex SHA-256 of images, labels, split and class names: the key under which results are kept.
        class_names: One a class.
        input_shape: `(C, H, W)`.
        mean: Of each channel over the training images, on the scale the network sees: bytes are divided by 255.
        std: Standard deviation of each channel on the same scale; 1 where a channel is constant.
        flip: Whether mirrored images are sensible training data by default: only the built-in sets say so.
        centred: Whether what is shown stands in the middle of every image, so that shifted ones are not: likewise.
        preprocessing: What `prepare_image` needs to make such an array from a photo, and `divide_by`: what values are divided by
            before mean and std apply (255 for bytes, 1 for floats). `color` is None where no photo can be made into such an array.
        counts: Split to images of each class.
        grouped: Whether the data bring along groups of images that must not be torn apart.
        notes: What a user should know: choices made, duplicates, imbalance.
    """

    folder: Path
    name: str
    digest: str
    class_names: tuple[str, ...]
    input_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    flip: bool
    centred: bool
    preprocessing: Mapping[str, Any] = field(hash=False)
    counts: Mapping[str, tuple[int, ...]] = field(hash=False)
    grouped: bool = False
    notes: tuple[str, ...] = ()

    @classmethod
    def open(cls, folder: str | Path) -> Dataset:
        """Opens a decoded data set.

        Raises:
            DataError: When the folder holds none, or a damaged one.
        """
        folder = Path(folder)
        try:
            meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
            if meta["format"] != FORMAT:
                raise DataError(
                    f"decoded data in {folder} have format {meta['format']!r}, expected {FORMAT}; decode the data again"
                )
            dataset = cls(
                folder=folder.absolute(),
                name=meta["name"],
                digest=meta["digest"],
                class_names=tuple(meta["class_names"]),
                input_shape=tuple(meta["input_shape"]),
                mean=tuple(meta["mean"]),
                std=tuple(meta["std"]),
                flip=meta["flip"],
                centred=meta["centred"],
                preprocessing=meta["preprocessing"],
                counts={split: tuple(meta["counts"][split]) for split in SPLITS},
                grouped=meta["grouped"],
                notes=tuple(meta["notes"]),
            )
            for split in SPLITS:
                images, labels, groups = dataset.images(split).shape, dataset.labels(split).shape, dataset.groups(split)
                whole = labels == images[:1] and (groups is None or groups.shape == labels)
                if images != (dataset.size(split), *dataset.input_shape) or not whole:
                    raise DataError(f"decoded data in {folder} are damaged: {split} has {images} images and {labels} labels")
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"no decoded data in {folder} ({type(error).__name__}: {error}); expected what load_data wrote"
            ) from None
        return dataset

    def images(self, split: str) -> NDArray[Any]:
        """Returns the images of a split, `(N, C, H, W)`, uint8 or float32, mapped into memory and read-only."""
        return self._mapped(split, "images")

    def labels(self, split: str) -> NDArray[np.int64]:
        """Returns the class indices of a split, `(N,)`, mapped into memory and read-only."""
        return self._mapped(split, "labels")

    def groups(self, split: str) -> NDArray[np.int64] | None:
        """Returns the group numbers of a split, `(N,)`, the same number for the same group in all splits; None without groups."""
        return self._mapped(split, "groups") if self.grouped else None

    def size(self, split: str) -> int:
        """Returns how many images a split has.

        Raises:
            UnknownNameError: When there is no such split.
        """
        if split not in SPLITS:
            raise UnknownNameError("split", split, SPLITS)
        return sum(self.counts[split])

    def _mapped(self, split: str, what: str) -> NDArray[Any]:
        if split not in SPLITS:
            raise UnknownNameError("split", split, SPLITS)
        mapped: NDArray[Any] = np.load(self.folder / f"{split}_{what}.npy", mmap_mode="r", allow_pickle=False)
        return mapped
