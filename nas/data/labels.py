"""Labels as users have them, to class names and indices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.content import shown
from nas.errors import DataError


def encode_labels(labels: Any, class_names: Sequence[str] | None = None) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Returns the class index of each image, and the names of the classes.

    Integers are class indices: every one of 0 to K - 1 occurs, unless `class_names` are given; the names derive from them
    ("0", "1", ...). Strings are class names: sorted, as numbers where all of them are whole numbers. `(N, 1)` is taken as `(N,)`.

    Args:
        labels: `(N,)`, integers or strings.
        class_names: All classes in order, where they are known.

    Raises:
        DataError: When the labels are of another kind, out of range, or of one class only.
    """
    array = np.asarray(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        hint = "; for one-hot labels pass y.argmax(1)" if array.ndim == 2 else ""
        raise DataError(f"labels have shape {array.shape}, expected one label an image, (N,){hint}")
    if array.dtype.kind == "O" and array.size and all(isinstance(value, str) for value in array):
        array = array.astype(np.str_)
    if class_names is not None:
        class_names = _checked_names(class_names)
    if array.dtype.kind in "iu":
        codes, names = _from_integers(array, class_names)
    elif array.dtype.kind in "US":
        codes, names = _from_strings(_text(array), class_names)
    else:
        raise DataError(
            f"labels are of type {array.dtype}, expected integers from 0 or strings; for whole numbers pass y.astype(int)"
        )
    if len(names) < 2 or len(np.unique(codes)) < 2:
        only = f"all {len(codes)} labels are {shown(names[codes[0]])!r}" if len(codes) else "there are no labels"
        raise DataError(f"{only}; expected at least two classes")
    return codes, names


def _text(array: NDArray[Any]) -> NDArray[np.str_]:
    """Returns an array of bytes or strings as strings."""
    try:
        return array.astype(np.str_)
    except UnicodeDecodeError:
        raise DataError("labels are bytes that are not ASCII, expected strings; pass np.char.decode(y, 'utf-8')") from None


def _checked_names(class_names: Sequence[str]) -> tuple[str, ...]:
    """Returns class names as a tuple of distinct strings."""
    names = tuple(str(name) for name in class_names)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"class name {shown(twice)!r} stands twice in class_names, expected distinct names")
    return names


def _from_integers(array: NDArray[Any], class_names: tuple[str, ...] | None) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Returns integer labels as they are, after a check of their range."""
    if not array.size:
        return array.astype(np.int64), class_names or ()
    low, high = int(array.min()), int(array.max())
    if class_names is not None:
        if low < 0 or high >= len(class_names):
            wrong = low if low < 0 else high
            raise DataError(
                f"label {wrong} is out of range, expected 0 to {len(class_names) - 1} for {len(class_names)} class names"
            )
        return array.astype(np.int64), class_names
    if low < 0:
        raise DataError(f"label {low} is out of range, expected class indices from 0")
    if high >= len(array):
        raise DataError(f"label {high} is out of range for {len(array)} images, expected 0 to K - 1; name classes by strings")
    missing = np.flatnonzero(np.bincount(array.astype(np.int64)) == 0)
    if len(missing):
        fix = "subtract 1 from all" if low == 1 and len(missing) == 1 else "renumber them, or name classes by strings"
        raise DataError(f"class {missing[0]} of 0 to {high} has no image; labels must be 0 to K - 1 without gaps: {fix}")
    return array.astype(np.int64), tuple(str(index) for index in range(high + 1))


def _from_strings(array: NDArray[np.str_], class_names: tuple[str, ...] | None) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Returns the index of each name in the class names, or in the sorted distinct names."""
    distinct, inverse = np.unique(array, return_inverse=True)
    found = tuple(str(name) for name in distinct)
    names = class_names if class_names is not None else in_order(found)
    place = {name: index for index, name in enumerate(names)}
    for name in found:
        if name not in place:
            raise DataError(f"label {shown(name)!r} is none of the {len(names)} class names")
        if not name.strip():
            raise DataError(f"label {name!r} is empty, expected the name of a class")
    order = np.array([place[name] for name in found], dtype=np.int64)
    return order[inverse.reshape(-1)], names


def in_order(names: Sequence[str]) -> tuple[str, ...]:
    """Returns distinct class names in their order: by value where all are whole numbers, else by code point."""
    if all(name.isascii() and name.isdigit() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def encode_groups(groups: Any) -> NDArray[np.int64]:
    """Returns a number from 0 for each group: equal entries, equal numbers.

    Raises:
        DataError: When there is not one integer or string an image.
    """
    array = np.asarray(groups)
    if array.ndim != 1 or array.dtype.kind not in "iuUSO":
        raise DataError(f"groups are {array.dtype} of shape {array.shape}, expected one integer or string an image")
    if array.dtype.kind == "O":
        array = array.astype(np.str_)
    return np.unique(array, return_inverse=True)[1].reshape(-1).astype(np.int64)
