"""One photo to one array: the single implementation of reading, turning, colouring and resizing an image file.

Training data and the photos that an exported network labels later go through this same function. The module needs numpy and
Pillow alone and nothing of this package, so that its text can be quoted into a file that stands alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

MAX_IMAGE_PIXELS = 89_478_485
"""Pixels an image may have: what Pillow, too, takes for a decompression bomb beyond."""
MAX_IMAGE_SIDE = 50_000
"""Pixels a side of an image may have."""


def prepare_image(image: Any, preprocessing: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Returns a photo as the bytes a network was trained on.

    In this order: the first frame is taken and turned as EXIF says; 16-bit grey is divided by 257 (no stretching of contrast);
    alpha, transparent palette entries included, is composited over white; CMYK and other colour models become RGB by Pillow's plain
    formulas, without colour profiles; then grey (ITU-R 601-2 luma) or RGB; then the size is changed with Pillow's bilinear
    filter, which averages over all pixels that it leaves out.

    Args:
        image: A path or a Pillow image. A JPEG that is opened here is decoded at four times the size asked for, where it is larger
            still: that is several times faster, and values differ by 2 or so of 255 from those of the whole image.
        preprocessing: `image_size` (height, width), `color` ("rgb" or "grey"), and `resize`: "crop" scales until the shorter
            side fits and cuts the middle out, "pad" scales until the longer side fits and fills up with black, "stretch" ignores
            the ratio of the sides.

    Returns:
        `(C, H, W)`, uint8, C being 3 or 1.

    Raises:
        ValueError: When the image is too large, or of a kind that bytes cannot hold, or the settings make no sense.
        OSError: When it cannot be read.
    """
    from PIL import Image, ImageOps

    if isinstance(image, str | os.PathLike):
        with Image.open(image) as opened:
            _check_size(*opened.size)
            side = 4 * max(preprocessing["image_size"])
            opened.draft(None, (side, side))  # JPEG only: decodes no more than it takes
            return prepare_image(opened, preprocessing)
    _check_size(*image.size)
    if preprocessing["color"] not in ("rgb", "grey"):
        raise ValueError(f"color is {preprocessing['color']!r}, expected 'rgb' or 'grey': only these can be made from a photo")
    if image.getexif().get(0x0112, 1) != 1:
        image = ImageOps.exif_transpose(image)
    mode = "RGB" if preprocessing["color"] == "rgb" else "L"
    image = _to_bytes(image)
    image = image if image.mode == mode else image.convert(mode)
    rows, columns = preprocessing["image_size"]
    pixels = np.asarray(_resized(image, columns, rows, preprocessing["resize"]), dtype=np.uint8)
    return np.ascontiguousarray(pixels.reshape(rows, columns, -1).transpose(2, 0, 1))  # (H, W, C) -> (C, H, W)


def _check_size(width: int, height: int) -> None:
    """Refuses what would fill the memory, before a pixel is decoded."""
    if width * height > MAX_IMAGE_PIXELS or max(width, height) > MAX_IMAGE_SIDE:
        raise ValueError(
            f"image of {width} x {height} pixels is too large: at most {MAX_IMAGE_SIDE:,} a side and {MAX_IMAGE_PIXELS:,} in all"
        )


def _to_bytes(image: Any) -> Any:
    """Returns a Pillow image in mode L or RGB."""
    from PIL import Image

    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65_535:
            raise ValueError(f"grey values from {values.min()} to {values.max()}, expected 0 to 65,535 (16 bits)")
        return Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("grey values are 32-bit floats, expected 8 or 16 bits; save as 16-bit, or pass arrays")
    if image.mode in ("RGBA", "RGBa", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _resized(image: Any, columns: int, rows: int, resize: str) -> Any:
    """Returns a Pillow image of mode L or RGB at the size asked for."""
    from PIL import Image

    width, height = image.size
    if resize == "stretch" or (width, height) == (columns, rows):
        return image.resize((columns, rows), Image.Resampling.BILINEAR)
    if resize == "crop":
        scale = min(width / columns, height / rows)
        left, top = (width - columns * scale) / 2, (height - rows * scale) / 2
        box = (max(0.0, left), max(0.0, top), min(width, left + columns * scale), min(height, top + rows * scale))
        return image.resize((columns, rows), Image.Resampling.BILINEAR, box=box)
    if resize == "pad":
        scale = min(columns / width, rows / height)
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        canvas = Image.new(image.mode, (columns, rows))
        canvas.paste(image.resize(inner, Image.Resampling.BILINEAR), ((columns - inner[0]) // 2, (rows - inner[1]) // 2))
        return canvas
    raise ValueError(f"resize is {resize!r}, expected 'crop', 'pad' or 'stretch'")
