"""From what a user calls data to a `Dataset`: finds the reader, then the decoded cache, and decodes where there is none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.data.arrays import arrays_source, parts_of
from nas.data.cache import cache_root, cached
from nas.data.content import ImageOptions, Source, shown
from nas.data.dataset import Dataset
from nas.data.fashion import full_source, subset_source
from nas.data.folder import LAYOUT, folder_source
from nas.data.function import function_source
from nas.data.npz import npz_source
from nas.data.splits import check_share
from nas.data.table import table_source
from nas.data.write import write_dataset
from nas.errors import DataError, UnknownNameError

DATA_SETS = {
    "fashion-mnist-12k": "10,000 training and 2,000 test images of clothes, 28 x 28 grey, 10 classes; embedded, needs no download",
    "fashion-mnist": "60,000 training and 10,000 test images of clothes, 28 x 28 grey, 10 classes; from a folder, else downloaded",
}
"""The built-in data sets and a line about each."""


def load_data(
    data: Any,
    *,
    data_dir: str | Path | None = None,
    image_size: int | tuple[int, int] | None = None,
    color: str | None = None,
    resize: str = "crop",
    val_share: float | None = None,
    test_share: float | None = None,
    seed: int = 0,
    cache_dir: str | Path | None = None,
    skip_unreadable: bool = False,
) -> Dataset:
    """Returns a decoded, split data set; decodes it once and finds it again by source and options.

    Args:
        data: A built-in name (`DATA_SETS`); a folder of images; a `.csv` of path, label[, split][, group]; an `.npz` of arrays;
            `FILE.py:function`; `(x, y)`, `(x, y, groups)` or a dict of split to such; the folder of a decoded data set; or a
            `Dataset`, which is returned as it is.
        data_dir: Where the files of the built-in `fashion-mnist` lie.
        image_size: Pixels, one number or (height, width); None: as they are, or chosen from the data and noted.
        color: "rgb" or "grey"; None: as they are, or chosen from the data.
        resize: "crop", "pad" or "stretch", see `prepare_image`.
        val_share: Share of the training images for validation, where the data bring no validation images; None: 0.2, at
            most 10,000.
        test_share: Share of the images for the test set, where the data bring none, cut before validation; None: 0.2.
        seed: Of the cuts.
        cache_dir: Where decoded data are kept; None: `NAS_CACHE_DIR`, else the platform's folder for caches.
        skip_unreadable: Leave out image files that cannot be read, and say so in the notes, instead of refusing them.

    Raises:
        DataError: When the data cannot be used; one line that says why.
        UnknownNameError: When a name is unknown.
    """
    if isinstance(data, Dataset):
        return data
    if isinstance(data, str | os.PathLike) and data not in DATA_SETS and (Path(data) / "train_images.npy").is_file():
        return Dataset.open(Path(data))
    options = ImageOptions.checked(image_size, color, resize, skip_unreadable)
    shares = [check_share(name, share) for name, share in (("val", val_share), ("test", test_share))]
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise DataError(f"seed is {seed!r}, expected a whole number of at least 0")
    root = cache_root(cache_dir)
    source = _source(data, options, data_dir, root)
    settings = [options.size, options.color, options.resize, options.skip_unreadable, *shares, seed]

    def fill(folder: Path) -> None:
        write_dataset(source.read(), source.name, folder, val_share=shares[0], test_share=shares[1], seed=seed)

    return cached(source, settings, root, fill)


def _source(data: Any, options: ImageOptions, data_dir: str | Path | None, root: Path) -> Source:
    """Returns the source that `data` names or is."""
    if data_dir is not None and data != "fashion-mnist":
        raise DataError(f"a data folder goes with fashion-mnist only, got {shown(str(data))!r}; name the folder itself as the data")
    if isinstance(data, str) and data in DATA_SETS:
        return subset_source(options) if data == "fashion-mnist-12k" else full_source(options, data_dir, root / "downloads" / data)
    if isinstance(data, str | os.PathLike):
        return _path_source(os.fspath(data), options)
    if isinstance(data, tuple | list | Mapping):
        parts, class_names = parts_of(data, "data")
        return arrays_source("arrays", parts, options, class_names=class_names)
    raise DataError(f"data is a {type(data).__name__}; expected a name, a path, (x, y) or a dict of train, val, test to (x, y)")


def _path_source(text: str, options: ImageOptions) -> Source:
    """Returns the source at a path."""
    if ".py:" in text:
        return function_source(text, options)
    path = Path(text).expanduser()
    if path.is_dir():
        return folder_source(path, options)
    readers = {".npz": npz_source, ".csv": table_source}
    suffix = path.suffix.lower()
    if path.is_file():
        if suffix not in readers:
            raise DataError(f"cannot read {shown(text)} as data; expected .npz, .csv, FILE.py:function or a folder ({LAYOUT})")
        return readers[suffix](path, options)
    if path.suffix or os.sep in text or "/" in text:
        raise DataError(f"there is no file or folder {shown(text)}")
    raise UnknownNameError("data set", text, DATA_SETS)
