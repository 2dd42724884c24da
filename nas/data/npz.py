"""Arrays in an `.npz` file: `x` and `y`, or `x_train`, `y_train`, `x_val`, ...; never a pickle."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas.data.arrays import Part, arrays_content
from nas.data.cache import files_identity
from nas.data.content import Content, ImageOptions, Source, shown, split_named
from nas.errors import DataError

KINDS = {"x": "x", "images": "x", "image": "x", "y": "y", "labels": "y", "label": "y", "groups": "groups", "group": "groups"}
"""How an array may be called, and what it is."""
EXPECTED = "expected x and y, or x_train, y_train, x_test, y_test, ... (also train_images, train_labels), groups, class_names"


def npz_source(path: Path, options: ImageOptions) -> Source:
    """Returns an `.npz` file as a source; it is opened when it is read."""

    def read() -> Content:
        parts, class_names = read_npz(path)
        return arrays_content(parts, options, class_names=class_names)

    return Source(path.stem, ["npz", *files_identity([path], path.parent)], read)


def read_npz(path: Path) -> tuple[dict[str, Part], Sequence[str] | None]:
    """Returns the parts of an `.npz` file, and the class names if it holds any.

    Raises:
        DataError: When it is damaged, holds objects, or its arrays are called otherwise.
    """
    arrays: dict[str, dict[str, Any]] = {}
    class_names = None
    for key, array in _arrays(path).items():
        if key.lower() == "class_names":
            class_names = [str(name) for name in np.atleast_1d(array)]
            continue
        kind, split = _meaning(key)
        if kind is None or kind in arrays.setdefault(split, {}):
            raise DataError(f"{shown(str(path))} holds the array {shown(key)!r}; {EXPECTED}")
        arrays[split][kind] = array
    if not arrays or ("" in arrays and len(arrays) > 1):
        raise DataError(f"{shown(str(path))} holds {'x as well as splits' if arrays else 'no array'}; {EXPECTED}")
    for split, entry in arrays.items():
        for kind in ("x", "y"):
            if kind not in entry:
                raise DataError(f"{shown(str(path))} lacks {kind}{'_' + split if split else ''}; {EXPECTED}")
    return {split or "train": Part(**entry) for split, entry in arrays.items()}, class_names


def _meaning(key: str) -> tuple[str | None, str]:
    """Returns what an array is ("x", "y", "groups" or None) and of which split ("" for all)."""
    if key.lower() in KINDS:
        return KINDS[key.lower()], ""
    first, _, last = key.lower().partition("_")
    for kind, split in ((first, last), (last, first)):
        if kind in KINDS and (name := split_named(split)):
            return KINDS[kind], name
    return None, ""


def _arrays(path: Path) -> dict[str, Any]:
    """Returns all arrays of the file."""
    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            raise DataError(f"{shown(str(path))} is a single array; {EXPECTED} in one .npz file")
        with file:
            return {key: file[key] for key in file.files}
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        if "allow_pickle" in str(error) and zipfile.is_zipfile(path):
            raise DataError(
                f"{shown(str(path))} holds an array of objects (a pickle), which is not opened; save plain arrays"
            ) from None
        reason = re.split(r"[\n;]", str(error))[0]
        raise DataError(
            f"cannot read {shown(str(path))} as .npz ({type(error).__name__}: {reason}); write it with np.savez"
        ) from None
