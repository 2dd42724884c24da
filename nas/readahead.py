"""Reading ahead: the disk is asked for images some batches before they are trained on, so that no training waits for them."""

from __future__ import annotations

import logging
import mmap
import os
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

log = logging.getLogger(__name__)

AHEAD = 8
"""Batches between asking for images and training on them: training on so many takes far longer than a disk."""
AHEAD_FROM = 2**26
"""Bytes of images from which it is done: fewer stay in memory once they were read."""


def read_ahead(images: NDArray[Any], batches: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yields batches, and has the system read the images of those behind them meanwhile.

    Of images mapped into memory only the pages that are wanted are read, in the order in which they will be wanted. Where a system
    cannot be told so (Windows, macOS), where the images are few or in memory, nothing is read before it is touched.

    Args:
        images: `(N, C, H, W)`.
        batches: Indices of images, on the CPU.
    """
    if not isinstance(images, np.memmap) or images.nbytes < AHEAD_FROM or not hasattr(os, "posix_fadvise"):
        yield from batches
        return
    _read_nothing_else(images)
    try:
        file = os.open(str(images.filename), os.O_RDONLY)
    except OSError as error:  # replaced or deleted meanwhile; what is mapped stays good
        log.info("images are not read ahead: %s", error)
        yield from batches
        return
    waiting, heard = deque[Tensor](), True
    try:
        for batch in batches:
            heard = heard and _ask(file, images, batch)  # a system that refused once is asked no more
            waiting.append(batch)
            if len(waiting) > AHEAD:
                yield waiting.popleft()
    finally:
        os.close(file)
    yield from waiting


def _read_nothing_else(images: np.memmap[Any, Any]) -> None:
    """Tells the system that images are touched in no order: else it reads megabytes around each page that it has to fetch, which
    push out what was asked for."""
    mapped = getattr(images, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_RANDOM"):
        mapped.madvise(mmap.MADV_RANDOM)


def _ask(file: int, images: np.memmap[Any, Any], batch: Tensor) -> bool:
    """Asks for the images of a batch; returns False where the system refuses, since training can do without."""
    size = images[0].nbytes
    try:
        for image in batch.tolist():
            os.posix_fadvise(file, images.offset + image * size, size, os.POSIX_FADV_WILLNEED)
    except OSError as error:
        log.info("images are not read ahead: %s", error)
        return False
    return True
