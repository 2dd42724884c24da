"""A CSV of image files: columns `path`, `label`, and where wanted `split` and `group`; paths are relative to the CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from nas.data.cache import files_identity
from nas.data.content import Content, ImageOptions, Source, shown, split_named
from nas.data.labels import in_order
from nas.data.photos import Photo, photos_content
from nas.errors import DataError

COLUMNS = ("path", "label", "split", "group")


def table_source(path: Path, options: ImageOptions) -> Source:
    """Returns a CSV (UTF-8, a header, commas or semicolons) as a source.

    `split` names train, val or test (also training, valid, validation, dev, testing) in every row; images of one `group` (a
    patient, a scene, a burst of photos) are never torn apart by a cut. Other columns are left out of account.

    Raises:
        DataError: When columns are missing, a row is incomplete or a file does not exist: the message gives the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot read {shown(str(path))}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{shown(str(path))} is not UTF-8; save it as CSV UTF-8") from None
    photos = _rows(text, path)
    names = in_order(sorted({photo.label for photo in photos}))
    files = sorted({photo.path for photo in photos})
    identity = ["table", *files_identity([path, *files], path.parent)]

    def read() -> Content:
        return photos_content(photos, path.parent, options, names)

    return Source(path.stem, identity, read)


def _rows(text: str, path: Path) -> list[Photo]:
    """Returns one photo a row, in the order of the file."""
    header = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in header and "," not in header else ",")
    columns = [name.strip().lower() for name in next(reader, [])]
    for name in COLUMNS:
        if columns.count(name) > 1 or (name in ("path", "label") and name not in columns):
            found = ", ".join(columns) or "(none)"
            raise DataError(f"{shown(str(path))} has columns {found}; expected path, label[, split][, group], once each")
    photos, seen = [], dict[Path, int]()
    for row in reader:
        if not any(cell.strip() for cell in row):
            continue
        photo = _photo(dict(zip(columns, row, strict=False)), columns, f"{shown(str(path))}, line {reader.line_num}", path.parent)
        if photo.path in seen:
            raise DataError(
                f"{shown(str(path))}, line {reader.line_num}: {photo.path.name} stands in line {seen[photo.path]} already"
            )
        seen[photo.path] = reader.line_num
        photos.append(photo)
    if not photos:
        raise DataError(f"{shown(str(path))} has no row below its header")
    return photos


def _photo(row: dict[str, str], columns: list[str], where: str, root: Path) -> Photo:
    """Returns the photo of one row; every known column must be filled."""
    values = {name: row.get(name, "").strip() for name in COLUMNS if name in columns}
    for name, value in values.items():
        if not value:
            raise DataError(f"{where}: {name} is empty; fill it, or leave the column out")
    split = split_named(values["split"]) if "split" in values else "train"
    if split is None:
        raise DataError(f"{where}: split is {shown(values['split'])!r}, expected train, val or test")
    file = root / values["path"]
    if not file.is_file():
        raise DataError(f"{where}: there is no file {shown(str(file))}")
    return Photo(file, values["label"], split, values.get("group"))
