"""What happens to the values of a user's arrays. The rule is one for all splits of a data set:

    booleans                              become bytes 0 and 255
    integers from 0 to 255                become bytes
    floats that are bytes / 255           become these bytes again (values 0, 1/255, ..., 1, up to rounding)
    floats that are whole, 0 to 255       become bytes
    anything else                         stays as it is, as float32; nothing is divided

Bytes are divided by 255 before they are normalised, floats are not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.content import chunks
from nas.errors import DataError


def value_rule(arrays: list[NDArray[Any]]) -> tuple[int, np.dtype[Any]]:
    """Returns what values are multiplied with, and the type they then have (uint8 or float32), by the rules above.

    Args:
        arrays: `(N, C, H, W)` of each split, of one kind.

    Raises:
        DataError: For NaN, infinities and numbers beyond the range of float32.
    """
    if arrays[0].dtype.kind == "b":
        return 255, np.dtype(np.uint8)
    fraction = whole = arrays[0].dtype.kind in "iuf"
    for array in arrays:
        tolerance = 1e-4 + 255 * float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else 0.0
        for rows in chunks(len(array), array[:1].nbytes):
            values = array[rows]
            if array.dtype.kind == "f" and not np.isfinite(values).all():
                bad = int(np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(1))[0]) + rows.start
                raise DataError(f"image {bad} holds NaN or infinity, expected finite numbers")
            low, high = values.min(), values.max()
            if array.dtype.kind == "f" and max(abs(float(low)), abs(float(high))) > float(np.finfo(np.float32).max):
                raise DataError(f"values reach {max(abs(float(low)), abs(float(high))):g}, expected what float32 can hold")
            in_unit = fraction and array.dtype.kind == "f" and low >= 0 and high <= 1
            fraction = bool(in_unit and (np.abs(values * 255 - np.rint(values * 255)) <= tolerance).all())
            in_bytes = whole and low >= 0 and high <= 255
            whole = bool(in_bytes and (array.dtype.kind != "f" or (values == np.rint(values)).all()))
    if fraction:
        return 255, np.dtype(np.uint8)
    return 1, np.dtype(np.uint8 if whole else np.float32)


def converted(values: NDArray[Any], factor: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Returns images by the rule that `value_rule` found."""
    if values.dtype.kind == "f" and dtype == np.uint8:
        values = np.rint(values.astype(np.float32) * factor)
    elif values.dtype.kind == "b":
        values = values.astype(np.uint8) * np.uint8(factor)
    return values.astype(dtype)
