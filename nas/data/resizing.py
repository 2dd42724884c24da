"""Arrays of bytes to another size or colour, through the same function as photos."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.content import Content, ImageOptions
from nas.data.image import prepare_image
from nas.data.photos import pillow
from nas.errors import DataError


def resized(content: Content, options: ImageOptions) -> Content:
    """Returns content with the size and colour asked for, through `prepare_image`; itself where nothing changes.

    Raises:
        DataError: When the arrays are no photos (floats, or neither 1 nor 3 channels).
    """
    color = content.preprocessing["color"]
    size, wanted = options.size or content.shape[1:], options.color or color
    if size == content.shape[1:] and wanted == color:
        return content
    if color is None:
        kind = "float32" if content.dtype == np.float32 else f"{content.shape[0]} channels"
        raise DataError(
            f"arrays of {kind} cannot be resized or recoloured; leave size and color out, or pass bytes of 1 or 3 channels"
        )
    image_module = pillow()
    preprocessing = {"image_size": list(size), "color": wanted, "resize": options.resize}

    def fetch(indices: NDArray[np.int64]) -> NDArray[Any]:
        pixels = content.fetch(indices)
        flat = pixels[:, 0] if color == "grey" else pixels.transpose(0, 2, 3, 1)
        return np.stack([prepare_image(image_module.fromarray(np.ascontiguousarray(image)), preprocessing) for image in flat])

    shape = (3 if wanted == "rgb" else 1, *size)
    return replace(content, shape=shape, fetch=fetch, preprocessing=preprocessing)
