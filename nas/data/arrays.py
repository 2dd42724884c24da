"""Arrays as users have them, to `Content`.

Images are `(N, H, W)`, `(N, C, H, W)` or `(N, H, W, C)`; of four axes the channels are the shorter one of the second and the
last, the second where both are equal. What happens to their values stands in `nas.data.values`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.content import SPLITS, Content, ImageOptions, Source, chunks, split_named
from nas.data.labels import encode_groups, encode_labels
from nas.data.resizing import resized
from nas.data.values import converted, value_rule
from nas.errors import DataError
from nas.lines import counted


@dataclass(frozen=True)
class Part:
    """Images, labels and groups of one split, as a user gave them."""

    x: Any
    y: Any
    groups: Any = None


def arrays_source(
    name: str, parts: Mapping[str, Part], options: ImageOptions, *, class_names: Sequence[str] | None = None
) -> Source:
    """Returns arrays as a source that is told from others by a hash of its content.

    Args:
        name: What to call the data.
        parts: Split to arrays.
        options: Image size and colour.
        class_names: All classes in order, where they are known.
    """
    return Source(name, ["arrays", _hash(parts, class_names)], lambda: arrays_content(parts, options, class_names=class_names))


def parts_of(value: Any, where: str) -> tuple[dict[str, Part], Sequence[str] | None]:
    """Returns the parts, and class names if any, of `(x, y)`, `(x, y, groups)` or a dict of split to such.

    Raises:
        DataError: When it is of another form; the message begins with `where`.
    """
    expected = "expected (x, y), (x, y, groups) or a dict of train, val, test to such"
    if isinstance(value, Mapping):
        parts: dict[str, Part] = {}
        for key, entry in value.items():
            split = split_named(str(key))
            if key == "class_names":
                continue
            if split is None or split in parts:
                raise DataError(f"{where} has the key {key!r}; {expected}")
            parts[split] = _part(entry, f"{where}[{key!r}]", expected)
        if not parts:
            raise DataError(f"{where} is an empty dict; {expected}")
        return parts, value.get("class_names")
    return {"train": _part(value, where, expected)}, None


def _part(value: Any, where: str, expected: str) -> Part:
    if not isinstance(value, tuple | list) or len(value) not in (2, 3) or any(isinstance(entry, tuple) for entry in value):
        got = f"{type(value).__name__} of {len(value)} entries" if isinstance(value, tuple | list) else type(value).__name__
        raise DataError(f"{where} is a {got}; {expected}")
    return Part(*value)


def _checked_images(x: Any, split: str) -> NDArray[Any]:
    """Returns images as an array of numbers with 3 or 4 axes, after a look at kind and shape."""
    try:
        array = np.asarray(x)
    except ValueError:
        raise DataError(f"images of {split} differ in shape; expected one array (N, H, W), (N, C, H, W) or (N, H, W, C)") from None
    if array.dtype.kind == "O":
        raise DataError(f"images of {split} are an array of objects, expected numbers of one shape; np.stack images of equal size")
    if array.dtype.kind not in "buif":
        raise DataError(f"images of {split} are of type {array.dtype}, expected integers or floats")
    if array.ndim not in (3, 4):
        side = round(array.shape[1] ** 0.5) if array.ndim == 2 else 0
        fix = f"; if these are flat images, pass x.reshape(-1, {side}, {side})" if side and side * side == array.shape[1] else ""
        raise DataError(f"images of {split} have shape {array.shape}, expected (N, H, W), (N, C, H, W) or (N, H, W, C){fix}")
    if array.size == 0:
        raise DataError(f"images of {split} have shape {array.shape}: there is none")
    return array


def _hash(parts: Mapping[str, Part], class_names: Sequence[str] | None) -> str:
    """Returns the SHA-256 of arrays, their shapes and types."""
    digest = hashlib.sha256(repr([str(name) for name in class_names] if class_names is not None else None).encode())
    for split, part in sorted(parts.items()):
        for array in (_checked_images(part.x, split), np.asarray(part.y), np.asarray(part.groups)):
            digest.update(f"{split} {array.dtype} {array.shape}".encode())
            if array.dtype.kind == "O" or array.ndim == 0:
                digest.update(repr(array.tolist()).encode())
                continue
            for rows in chunks(len(array), array[:1].nbytes):
                digest.update(np.ascontiguousarray(array[rows]).tobytes())
    return digest.hexdigest()


def arrays_content(
    parts: Mapping[str, Part],
    options: ImageOptions,
    *,
    class_names: Sequence[str] | None = None,
    flip: bool = False,
    centred: bool = False,
) -> Content:
    """Returns arrays as content, resized where the options say so; `flip` and `centred` as in `Content`.

    Raises:
        DataError: For NaN and infinities, shapes and kinds that differ between splits, or labels that do not fit.
    """
    used = {split: parts[split] for split in SPLITS if split in parts}
    layouts, notes = {}, []
    for split, part in used.items():
        layouts[split], note = _channels_second(_checked_images(part.x, split))
        notes += [note] if note and note not in notes else []
        many = np.asarray(part.y).size
        if many != len(layouts[split]):
            raise DataError(
                f"{split} has {counted(len(layouts[split]), 'image')} but {counted(many, 'label')}, expected one label an image"
            )
        if part.groups is not None and len(np.asarray(part.groups)) != many:
            raise DataError(f"{split} has {many} images but {len(np.asarray(part.groups))} groups, expected one group an image")
    if len({array.shape[1:] for array in layouts.values()}) > 1:
        shapes = ", ".join(f"{split} {array.shape[1:]}" for split, array in layouts.items())
        raise DataError(f"images differ in shape between splits ({shapes}), expected one shape (C, H, W)")
    if len({array.dtype.kind.replace("u", "i") for array in layouts.values()}) > 1:
        kinds = ", ".join(f"{split} {array.dtype}" for split, array in layouts.items())
        raise DataError(f"images differ in type between splits ({kinds}), expected one type")
    factor, dtype = value_rule(list(layouts.values()))
    if dtype == np.float32:
        notes.append("values do not fit into bytes: they are kept as float32, nothing is divided by 255")
    if len({part.groups is None for part in used.values()}) > 1:
        raise DataError("some splits have groups and some have none, expected groups for all or none")
    grouped = all(part.groups is not None for part in used.values())
    labels, names = encode_labels(_joined([np.asarray(part.y) for part in used.values()]), class_names)
    first: NDArray[Any] = next(iter(layouts.values()))
    content = Content(
        labels=labels,
        class_names=names,
        splits=np.concatenate([np.full(len(array), split) for split, array in layouts.items()]),
        groups=encode_groups(_joined([np.asarray(part.groups) for part in used.values()])) if grouped else None,
        shape=(int(first.shape[1]), int(first.shape[2]), int(first.shape[3])),
        dtype=dtype,
        fetch=_fetcher(list(layouts.values()), factor, dtype),
        item=_namer(layouts),
        preprocessing={
            "image_size": list(first.shape[2:]),
            "color": {1: "grey", 3: "rgb"}.get(first.shape[1]) if dtype == np.uint8 else None,
            "resize": options.resize,
        },
        flip=flip,
        centred=centred,
        notes=tuple(notes),
    )
    return resized(content, options)


def _joined(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    """Returns label or group arrays of all splits as one, without making numbers into strings."""
    if any(array.ndim != arrays[0].ndim or array.shape[1:] != arrays[0].shape[1:] for array in arrays):
        raise DataError(f"labels differ in shape between splits ({', '.join(str(array.shape) for array in arrays)}), expected (N,)")
    if len({array.dtype.kind in "USO" for array in arrays}) > 1:
        raise DataError(
            f"labels differ in type between splits ({', '.join(str(array.dtype) for array in arrays)}), expected one type"
        )
    return np.concatenate(arrays)


def _channels_second(array: NDArray[Any]) -> tuple[NDArray[Any], str]:
    """Returns a view `(N, C, H, W)`, and a note where the order of axes was guessed."""
    if array.ndim == 3:
        return array[:, None], ""
    if array.shape[3] < array.shape[1]:
        return array.transpose(0, 3, 1, 2), f"arrays of shape {array.shape[1:]} are read as (height, width, channels)"
    if array.shape[3] == array.shape[1]:
        return array, f"arrays of shape {array.shape[1:]} are read as (channels, height, width)"
    return array, ""


def _fetcher(arrays: list[NDArray[Any]], factor: int, dtype: np.dtype[Any]) -> Any:
    """Returns a function from ascending indices over all arrays to converted images."""
    starts = np.cumsum([0, *(len(array) for array in arrays)])

    def fetch(indices: NDArray[np.int64]) -> NDArray[Any]:
        picked = []
        for start, stop, array in zip(starts, starts[1:], arrays, strict=False):
            inside = indices[(indices >= start) & (indices < stop)] - start
            if len(inside):
                picked.append(converted(array[inside], factor, dtype))
        return np.concatenate(picked)

    return fetch


def _namer(arrays: Mapping[str, NDArray[Any]]) -> Any:
    """Returns a function from an index over all arrays to words."""

    def item(index: int) -> str:
        for split, array in arrays.items():
            if index < len(array):
                return f"image {index} of {split}" if len(arrays) > 1 else f"image {index}"
            index -= len(array)
        raise IndexError(index)

    return item
