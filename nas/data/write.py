"""Content to a cache folder: cuts the splits, decodes a few images at a time, hashes, measures and looks for duplicates."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from nas.data.checks import Twins, class_notes, group_notes, split_notes
from nas.data.content import SPLITS, Content, chunks
from nas.data.dataset import FORMAT
from nas.data.splits import assign_splits
from nas.data.statistics import channel_statistics
from nas.errors import DataError

log = logging.getLogger(__name__)

SPARE_BYTES = 64 * 2**20
"""Room on the disk that must remain."""


def write_dataset(
    content: Content, name: str, folder: Path, *, val_share: float | None, test_share: float | None, seed: int
) -> None:
    """Writes a decoded data set into an empty folder.

    Args:
        content: What a reader opened.
        name: What to call the data.
        folder: Where to.
        val_share, test_share, seed: Of the cuts, see `assign_splits`.

    Raises:
        DataError: When classes are too small to split, images cannot be decoded, or the disk is too full.
    """
    indices = assign_splits(
        content.labels, content.splits, content.groups, content.class_names, val_share=val_share, test_share=test_share, seed=seed
    )
    _check_room(content, folder)
    digest = hashlib.sha256()
    digest.update(json.dumps([content.class_names, content.shape, content.dtype.str, [len(indices[s]) for s in SPLITS]]).encode())
    twins, counts = Twins(), {}
    for split in SPLITS:
        labels = content.labels[indices[split]]
        counts[split] = np.bincount(labels, minlength=len(content.class_names)).tolist()
        np.save(folder / f"{split}_labels.npy", labels, allow_pickle=False)
        digest.update(labels.astype("<i8").tobytes())
        if content.groups is not None:
            np.save(folder / f"{split}_groups.npy", content.groups[indices[split]], allow_pickle=False)
        _write_images(content, indices[split], split, folder, digest, twins)
    mean, std = channel_statistics(np.load(folder / "train_images.npy", mmap_mode="r"))
    notes = [
        *content.notes,
        *split_notes(content, indices),
        *group_notes(content, indices),
        *twins.notes(content),
        *class_notes(counts, content.class_names, std),
    ]
    divide_by = 255 if content.dtype == np.uint8 else 1
    meta = {
        "format": FORMAT,
        "name": name,
        "digest": digest.hexdigest(),
        "class_names": content.class_names,
        "input_shape": content.shape,
        "mean": mean,
        "std": [value or 1.0 for value in std],
        "flip": content.flip,
        "centred": content.centred,
        "preprocessing": {**content.preprocessing, "divide_by": divide_by},
        "counts": counts,
        "grouped": content.groups is not None,
        "notes": notes,
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")


def _check_room(content: Content, folder: Path) -> None:
    """Refuses to start what the disk cannot hold."""
    need = len(content.labels) * int(np.prod(content.shape)) * content.dtype.itemsize + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < need:
        raise DataError(
            f"decoded images need {need / 2**30:.1f} GiB and {folder.parent} has {free / 2**30:.1f} GiB free; "
            "choose a smaller image size or set NAS_CACHE_DIR"
        )


def _write_images(content: Content, indices: NDArray[np.int64], split: str, folder: Path, digest: Any, twins: Twins) -> None:
    """Decodes one split into its file."""
    path = folder / f"{split}_images.npy"
    out = open_memmap(path, mode="w+", dtype=content.dtype, shape=(len(indices), *content.shape))
    for part in chunks(len(indices), int(np.prod(content.shape)) * content.dtype.itemsize):
        images = np.ascontiguousarray(content.fetch(indices[part]), dtype=content.dtype)
        out[part] = images
        digest.update(images.astype(content.dtype.newbyteorder("<"), copy=False).tobytes())
        twins.add(images, indices[part], split)
        log.info("decoded %d of %d images of %s", part.stop, len(indices), split)
    out.flush()
    del out
