"""`nas data`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from nas.cli.options import DataOptions, Json, print_json

_OPTIONS = DataOptions()


def data(data: str, /, *, options: DataOptions = _OPTIONS, cache_dir: Path | None = None, json: Json = False) -> None:
    """Show what a data set holds: shape, split, class counts, duplicates; decodes it once for all later uses.

    Args:
        data: Name of a data set (nas list data), folder of images, .csv, .npz or FILE.py:function.
        cache_dir: Where decoded data are kept; NAS_CACHE_DIR or the platform's folder for caches when left out.
    """
    from nas.data import describe, load_data

    dataset = load_data(data, cache_dir=cache_dir, **options.given())
    if json:
        print_json(asdict(dataset))
    else:
        print(describe(dataset))
