"""Image files with labels to `Content`: chooses size and colour, decodes on demand, names the file that cannot be read."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.content import Content, ImageOptions, shown
from nas.data.image import MAX_IMAGE_PIXELS, MAX_IMAGE_SIDE, prepare_image
from nas.data.labels import encode_groups, encode_labels
from nas.errors import DataError

IMAGE_SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".jp2",
)  # fmt: skip
"""Files that count as images, in any case."""
LOOKED_AT = 500
"""Files whose size and colour are looked at where the user chose none, evenly spread."""
CHOSEN_SIDES = (64, 48, 32)
"""Sides that are chosen from: the first that is not above the median of the shorter sides, else the last."""
KEPT_SIDE = 128
"""Where all images are of one size, it is kept up to this side."""
GREY_MODES = ("1", "L", "LA", "La", "I", "F")


@dataclass(frozen=True)
class Photo:
    """One labelled image file."""

    path: Path
    label: str
    split: str = "train"
    group: str | None = None


def pillow() -> Any:
    """Returns the module `PIL.Image`.

    Raises:
        DataError: When Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        raise DataError('image files need Pillow, which is not installed: pip install "paretonas[vision]"') from None
    return Image


def is_image_name(name: str) -> bool:
    """Whether a file counts as an image: a known suffix and no hidden name."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def photos_content(
    photos: Sequence[Photo], root: Path, options: ImageOptions, class_names: Sequence[str], notes: Sequence[str] = ()
) -> Content:
    """Returns image files as content.

    Args:
        photos: In the order in which they are kept.
        root: Names in messages are relative to it.
        options: Size, colour, way to resize, unreadable files.
        class_names: All classes in order.
        notes: What was found so far.

    Raises:
        DataError: When no image is left, one cannot be read, or labels do not fit.
    """
    pillow()
    notes, photos = list(notes), list(photos)
    if options.skip_unreadable:
        photos, skipped = _readable(photos, root)
        notes += [f"skipped: {line}" for line in skipped]
    if not photos:
        raise DataError(f"no image in {shown(str(root))} can be read")
    preprocessing, chosen = choose_preprocessing([photo.path for photo in photos], root, options)
    notes += chosen
    labels, names = encode_labels([photo.label for photo in photos], class_names)
    groups = None if photos[0].group is None else encode_groups(np.array([str(photo.group) for photo in photos]))
    rows, columns = preprocessing["image_size"]

    def fetch(indices: NDArray[np.int64]) -> NDArray[Any]:
        with _pool() as pool:
            return np.stack(list(pool.map(lambda index: decode(photos[index].path, preprocessing, root), indices.tolist())))

    return Content(
        labels=labels,
        class_names=names,
        splits=np.array([photo.split for photo in photos]),
        groups=groups,
        shape=(3 if preprocessing["color"] == "rgb" else 1, rows, columns),
        dtype=np.dtype(np.uint8),
        fetch=fetch,
        item=lambda index: relative(photos[index].path, root),
        preprocessing=preprocessing,
        notes=tuple(notes),
    )


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    """Yields threads for decoding, which leaves Python's lock alone; Pillow's warnings about odd metadata are not passed on."""
    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield pool


def relative(path: Path, root: Path) -> str:
    """Returns a path as it is shown: relative to the root where it lies below."""
    return shown(path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path))


def decode(path: Path, preprocessing: dict[str, Any], root: Path) -> NDArray[np.uint8]:
    """Returns one file as `(C, H, W)` bytes.

    Raises:
        DataError: When it cannot be read; the message names it.
    """
    try:
        return prepare_image(path, preprocessing)
    except Exception as error:  # decoders of damaged files raise almost anything: SyntaxError, struct.error, EOFError, ...
        raise _unreadable(path, root, error) from None


def _unreadable(path: Path, root: Path, error: Exception) -> DataError:
    """Returns the one line about a file that cannot be read."""
    limit = f"at most {MAX_IMAGE_SIDE:,} pixels a side and {MAX_IMAGE_PIXELS:,} in all"
    names = {"UnidentifiedImageError": "no image, or of an unknown kind", "DecompressionBombError": f"too large: {limit}"}
    reason = names.get(type(error).__name__) or " ".join(str(error).split()) or type(error).__name__
    return DataError(
        f"cannot read image {relative(path, root)} ({reason}); "
        "repair or remove it, or skip such files (--skip-unreadable, from Python skip_unreadable=True)"
    )


def _readable(photos: list[Photo], root: Path) -> tuple[list[Photo], list[str]]:
    """Returns the photos that can be decoded, and a line about each other one."""
    tiny = {"image_size": (1, 1), "color": "grey", "resize": "stretch"}

    def problem(photo: Photo) -> str:
        try:
            decode(photo.path, tiny, root)
        except DataError as error:
            return str(error).partition(";")[0]
        return ""

    with _pool() as pool:
        problems = list(pool.map(problem, photos))
    return [photo for photo, line in zip(photos, problems, strict=True) if not line], [line for line in problems if line]


def choose_preprocessing(paths: Sequence[Path], root: Path, options: ImageOptions) -> tuple[dict[str, Any], list[str]]:
    """Returns what `prepare_image` needs, and notes on what was chosen from the data.

    Size: the images' own where all have the same and no side is above 128; else a square of 64, 48 or 32, the largest not
    above the median of the shorter sides. Colour: grey where every file stores grey, else RGB. At most 500 files are looked at.
    Images that are enlarged more than twice a side are noted.
    """
    result: dict[str, Any] = {"image_size": options.size and list(options.size), "color": options.color, "resize": options.resize}
    picked = np.unique(np.linspace(0, len(paths) - 1, min(LOOKED_AT, len(paths))).round().astype(int))
    with _pool() as pool:
        looks = list(pool.map(lambda index: _look(paths[index], root), picked.tolist()))
    notes: list[str] = []
    if options.size is None:
        sizes = sorted({size for size, _ in looks})
        if len(sizes) == 1 and max(sizes[0]) <= KEPT_SIDE:
            result["image_size"] = list(sizes[0])
        else:
            shorter = [min(size) for size, _ in looks]
            median = float(np.median(shorter))
            side = next((side for side in CHOSEN_SIDES if side <= median), CHOSEN_SIDES[-1])
            result["image_size"] = [side, side]
            notes.append(
                f"image size {side} x {side} was chosen (shorter sides from {min(shorter)} to {max(shorter)}, median {median:g}, "
                f"resize {options.resize}); set it with --image-size"
            )
    if options.color is None:
        grey = sum(grey for _, grey in looks)
        result["color"] = "grey" if grey == len(looks) else "rgb"
        if grey:
            notes.append(
                f"color {result['color']} was chosen ({grey} of {len(looks)} files looked at are grey); set it with --color"
            )
    enlarged = float(np.mean([_enlarged(size, result) for size, _ in looks]))
    if enlarged > 2:
        rows, columns = result["image_size"]
        size = len(paths) * rows * columns * (3 if result["color"] == "rgb" else 1)
        notes.append(
            f"images are enlarged {enlarged:.3g} times in height and width on average, which adds nothing to see; "
            f"decoded they take {size:,} bytes at {rows} x {columns}: a smaller --image-size saves memory and time"
        )
    return result, notes


def _enlarged(size: tuple[int, int], preprocessing: Mapping[str, Any]) -> float:
    """Returns by how much an image of this height and width is enlarged a side (see `prepare_image`)."""
    rows, columns = (wanted / side for wanted, side in zip(preprocessing["image_size"], size, strict=True))
    among = {"crop": max(rows, columns), "pad": min(rows, columns)}
    return float(among.get(preprocessing["resize"], (rows * columns) ** 0.5))


def _look(path: Path, root: Path) -> tuple[tuple[int, int], bool]:
    """Returns height and width after the turn that EXIF asks for, and whether the file stores grey; decodes no pixels."""
    try:
        with pillow().open(path) as image:
            turned = image.getexif().get(274, 1) in (5, 6, 7, 8)
            grey = image.mode in GREY_MODES or image.mode.startswith("I;16")
            return (image.size if turned else image.size[::-1]), grey
    except Exception as error:  # see decode
        raise _unreadable(path, root, error) from None
