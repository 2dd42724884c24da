"""Data from a user's own function, `FILE.py:function`: called without arguments, it returns arrays."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from nas.data.arrays import arrays_source, parts_of
from nas.data.content import ImageOptions, Source, shown
from nas.errors import DataError, did_you_mean


def function_source(address: str, options: ImageOptions) -> Source:
    """Returns what a function gives as a source.

    The function runs each time, because it may read files that nobody else knows; the cache is found by what it returns.

    Raises:
        DataError: When there is no such file or function, it fails, or it returns something else than `(x, y)`,
            `(x, y, groups)` or a dict of split to such.
    """
    file, _, name = address.rpartition(":")
    function = _load(Path(file), name)
    try:
        value = function()
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{shown(address)} failed with {type(error).__name__}: {_line(error)}") from error
    parts, class_names = parts_of(value, shown(f"what {address} returns"))
    return arrays_source(name, parts, options, class_names=class_names)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _load(path: Path, name: str) -> Any:
    """Returns a callable out of a Python file."""
    if not path.is_file():
        raise DataError(f"there is no file {shown(str(path))}; expected FILE.py:function")
    module_name = f"nas_data_{path.stem}_{hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise DataError(f"cannot load {shown(str(path))} as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses and typing look a class's module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise DataError(f"cannot load {shown(str(path))}{where}: {type(error).__name__}: {_line(error)}") from error
    found = getattr(module, name, None)
    if not callable(found):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise DataError(f"{shown(str(path))} has no function {name!r}{did_you_mean(name, known)}")
    return found
