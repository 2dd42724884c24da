"""CIFAR-10 (Krizhevsky 2009) for `--data scripts/cifar10.py:data`: 40,000 training, 10,000 validation and 10,000 test images.

The environment variable CIFAR10 names the folder that holds it, either as the official binaries (`data_batch_1.bin` to
`data_batch_5.bin` and `test_batch.bin`, from https://www.cs.toronto.edu/~kriz/cifar.html), or re-encoded as JPEG in
`cifar10_jpeg_train.npz` and `cifar10_jpeg_test.npz`: `body` holds the scans one after the other, image i from `offset[i]` to
`offset[i + 1]`; `header` stands before each of them; and `label` the classes.

    CIFAR10=cifar-10-batches-bin nas search resnet_like --data scripts/cifar10.py:data --epochs 1,3,9 --budget 1h
"""

from __future__ import annotations

import io
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Split = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Images `(N, 3, 32, 32)` and labels `(N,)`."""
VALIDATION = 10_000
"""Training images that are kept for validation, drawn by seed 0."""


def data() -> dict[str, Split]:
    """Returns the three splits.

    Raises:
        FileNotFoundError: When the folder holds neither form.
    """
    folder = Path(os.environ.get("CIFAR10", "cifar-10-batches-bin"))
    if (folder / "data_batch_1.bin").exists():
        parts = [_binary(folder / f"data_batch_{number}.bin") for number in range(1, 6)]
        images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        test = _binary(folder / "test_batch.bin")
    else:
        images, labels = _jpeg(folder / "cifar10_jpeg_train.npz")
        test = _jpeg(folder / "cifar10_jpeg_test.npz")
    order = np.random.default_rng(0).permutation(len(images))
    val, train = order[:VALIDATION], order[VALIDATION:]
    return {"train": (images[train], labels[train]), "val": (images[val], labels[val]), "test": test}


def _binary(path: Path) -> Split:
    """Reads records of a label and 3,072 values, red before green before blue."""
    records = np.fromfile(path, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64)


def _jpeg(path: Path) -> Split:
    with np.load(path) as stored:
        header, body, offset = stored["header"].tobytes(), stored["body"].tobytes(), stored["offset"]
        labels = stored["label"].astype(np.int64)
    scans = (header + body[begin:end] for begin, end in pairwise(offset))
    images: list[Any] = [np.asarray(Image.open(io.BytesIO(scan)).convert("RGB")) for scan in scans]
    return np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2)), labels
