"""Folders of images: class folders, or train, val and test folders of class folders.

    photos/cat/*.jpg                photos/train/cat/*.jpg
    photos/dog/*.jpg                photos/test/cat/*.jpg, ...

A folder is of the second kind when it has a training folder that holds class folders with images. Images may lie deeper in a
class folder. Left out are hidden files and folders (`.name`), `__MACOSX`, and files of other suffixes than `IMAGE_SUFFIXES`;
visible ones among them are counted in a note.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from nas.data.cache import files_identity
from nas.data.content import Content, ImageOptions, Source, shown, split_named
from nas.data.labels import in_order
from nas.data.photos import Photo, is_image_name, photos_content
from nas.errors import DataError
from nas.lines import counted

LAYOUT = "expected FOLDER/CLASS/*.png, FOLDER/train/CLASS/*.png (with val and test beside), or a CSV of path,label"


def folder_source(root: Path, options: ImageOptions) -> Source:
    """Returns a folder of images as a source.

    Raises:
        DataError: When the folders make no data set: the message says which one.
    """
    ignored: Counter[str] = Counter()
    splits = _split_folders(root)
    photos: list[Photo] = []
    names: set[str] = set()
    for split, folder in splits or [("train", root)]:
        found = _class_photos(folder, split, ignored)
        if split != "train" and (foreign := sorted({photo.label for photo in found} - names)):
            raise DataError(f"class {shown(foreign[0])!r} stands in {shown(str(folder))} but not in the training folder")
        if split == "train":
            names |= {photo.label for photo in found}
        photos += found
    class_names = in_order(sorted(names))
    notes = []
    if ignored:
        kinds = ", ".join(f"{suffix or 'no suffix'} {many}" for suffix, many in sorted(ignored.items()))
        notes.append(f"ignored {counted(ignored.total(), 'file')} without a labelled image ({kinds})")
    identity = ["folder", *files_identity([photo.path for photo in photos], root)]

    def read() -> Content:
        return photos_content(photos, root, options, class_names, notes)

    return Source(root.resolve().name or "images", identity, read)


def _visible_folders(folder: Path) -> list[Path]:
    """Returns the folders inside that are neither hidden nor made by an archiver, by name."""
    try:
        inside = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        raise DataError(f"cannot read folder {shown(str(folder))}: {error.strerror}") from None
    return [path for path in inside if path.is_dir() and not path.name.startswith((".", "__MACOSX"))]


def _split_folders(root: Path) -> list[tuple[str, Path]]:
    """Returns split and folder in the order train, val, test; nothing where the folder holds classes."""
    inside = _visible_folders(root)
    named = {path: split_named(path.name) for path in inside}
    if not any(split == "train" and any(map(_holds_image, _visible_folders(path))) for path, split in named.items()):
        return []
    for path, split in named.items():
        if split is None and _holds_image(path):
            raise DataError(f"folder {shown(str(path))} lies beside the training folder and holds images; {LAYOUT}")
    order = ("train", "val", "test")
    found = sorted(((split, path) for path, split in named.items() if split), key=lambda pair: order.index(pair[0]))
    twice = [split for split, many in Counter(split for split, _ in found).items() if many > 1]
    if twice:
        folders = ", ".join(path.name for split, path in found if split == twice[0])
        raise DataError(f"{shown(str(root))} has several folders for {twice[0]} ({folders}), expected one")
    return found


def _holds_image(folder: Path) -> bool:
    """Whether an image lies in the folder or deeper."""
    return any(any(map(is_image_name, files)) for _, _, files in _walk(folder))


def _walk(folder: Path) -> list[tuple[str, list[str], list[str]]]:
    """Returns `os.walk` without hidden folders, in the order of names."""
    levels = []
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        levels.append((where, folders, sorted(files)))
    return levels


def _class_photos(folder: Path, split: str, ignored: Counter[str]) -> list[Photo]:
    """Returns the photos of all class folders of one split; counts what is left out."""
    classes = _visible_folders(folder)
    _count_ignored([path.name for path in folder.iterdir() if path.is_file()], ignored)
    photos: list[Photo] = []
    for place in classes:
        before = len(photos)
        for where, _, files in _walk(place):
            photos += [Photo(Path(where) / name, place.name, split) for name in files if is_image_name(name)]
            _count_ignored([name for name in files if not is_image_name(name)], ignored)
        if len(photos) == before and split == "train":
            raise DataError(f"class folder {shown(str(place))} holds no image; fill or remove it")
    if not photos:
        raise DataError(f"no class folder with images in {shown(str(folder))}; {LAYOUT}")
    return photos


def _count_ignored(names: list[str], ignored: Counter[str]) -> None:
    """Counts visible files by suffix."""
    ignored.update(os.path.splitext(name)[1].lower() for name in names if not name.startswith("."))
