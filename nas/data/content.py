"""What a reader hands over: where the data stand, and, once opened, labels and a way to fetch images a few at a time.

Readers decode nothing until they are asked to, so that a decoded cache can be found by its key alone, and they never hold all
images at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.errors import DataError, UnknownNameError

SPLITS = ("train", "val", "test")
"""The splits that every data set has, in this order."""

SPLIT_NAMES = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""How a split may be called in a folder, a file or a dict (in any case), and which it is."""

RESIZE_MODES = ("crop", "pad", "stretch")
COLORS = ("rgb", "grey")
CHUNK_BYTES = 32 * 2**20
"""Decoded bytes in memory at a time."""
LARGEST_SIDE = 4096
"""Pixels a side of the images that a network sees may have."""


@dataclass(frozen=True)
class ImageOptions:
    """How images are brought to one shape.

    Attributes:
        size: Height and width in pixels; None: chosen from the data.
        color: "rgb" or "grey"; None: chosen from the data.
        resize: "crop", "pad" or "stretch", see `nas.data.prepare_image`.
        skip_unreadable: Leave out image files that cannot be read, and note them, instead of refusing the data.
    """

    size: tuple[int, int] | None = None
    color: str | None = None
    resize: str = "crop"
    skip_unreadable: bool = False

    @classmethod
    def checked(cls, image_size: Any, color: str | None, resize: str, skip_unreadable: bool) -> ImageOptions:
        """Returns the options after a check.

        Raises:
            DataError: When the size is no positive whole number or pair of them.
            UnknownNameError: When the colour or the way to resize is unknown.
        """
        if color is not None and color not in COLORS:
            raise UnknownNameError("color", str(color), COLORS)
        if resize not in RESIZE_MODES:
            raise UnknownNameError("way to resize", str(resize), RESIZE_MODES)
        return cls(None if image_size is None else _size(image_size), color, resize, bool(skip_unreadable))


def _size(image_size: Any) -> tuple[int, int]:
    """Returns an image size as (height, width)."""
    pair = tuple(image_size) if isinstance(image_size, tuple | list) else (image_size, image_size)
    whole = all(isinstance(side, int | np.integer) and not isinstance(side, bool) for side in pair)
    if len(pair) != 2 or not whole or not all(1 <= side <= LARGEST_SIDE for side in pair):
        raise DataError(
            f"image size is {image_size!r}, expected a whole number of pixels from 1 to {LARGEST_SIDE} or (height, width)"
        )
    return int(pair[0]), int(pair[1])


@dataclass(frozen=True)
class Content:
    """A data set that is open for reading.

    Attributes:
        labels: `(N,)` int64, index into `class_names`.
        class_names: One a class.
        splits: `(N,)` of "train", "val" or "test"; at least "train" occurs.
        groups: `(N,)` group numbers from 0 that must not be torn apart, or None.
        shape: `(C, H, W)` of every image.
        dtype: uint8 or float32.
        fetch: Takes `(n,)` ascending indices, returns `(n, C, H, W)`.
        item: Takes an index, returns words for the image ("image 17", a file name).
        preprocessing: What `prepare_image` needs to make the same from a photo; `color` None where that cannot be.
        flip: Whether mirrored images are sensible training data by default.
        centred: Whether what is shown stands in the middle of every image, so that shifted ones are not.
        notes: What a user should know about the reading.
    """

    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    splits: NDArray[np.str_]
    groups: NDArray[np.int64] | None
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    fetch: Callable[[NDArray[np.int64]], NDArray[Any]]
    item: Callable[[int], str]
    preprocessing: dict[str, Any]
    flip: bool = False
    centred: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A data set that was found and not opened yet.

    Attributes:
        name: What to call it.
        identity: Plain JSON that differs whenever the content may differ (names, sizes and times of files, or a hash).
        read: Opens it.
    """

    name: str
    identity: Any
    read: Callable[[], Content]


def split_named(name: str) -> str | None:
    """Returns the split that a folder, key or table cell names, or None."""
    return SPLIT_NAMES.get(name.strip().lower())


def shown(name: str) -> str:
    """Returns a file or class name fit for one line of a terminal: control characters and broken encodings are escaped."""
    return name if name.isprintable() else repr(name)[1:-1]


def chunks(many: int, bytes_each: int) -> Iterator[slice]:
    """Yields slices that cover `range(many)`, each of about `CHUNK_BYTES`."""
    step = max(1, CHUNK_BYTES // max(1, bytes_each))
    for start in range(0, many, step):
        yield slice(start, min(start + step, many))
