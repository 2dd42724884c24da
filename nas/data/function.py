"""Data from a user's own function, `FILE.py:function`: called without arguments, it returns arrays."""

from __future__ import annotations

from nas.data.arrays import arrays_source, parts_of
from nas.data.content import ImageOptions, Source, shown
from nas.errors import DataError, NasError, SpaceError
from nas.userfile import load_object


def function_source(address: str, options: ImageOptions) -> Source:
    """Returns what a function gives as a source.

    The function runs each time, because it may read files that nobody else knows; the cache is found by what it returns.

    Raises:
        UnknownNameError: When the file has no such function.
        DataError: When there is no such file, it or the function fails, or the function returns something else than `(x, y)`,
            `(x, y, groups)` or a dict of split to such.
    """
    try:
        function = load_object(address)
    except SpaceError as error:
        raise DataError(str(error)) from error
    if not callable(function):
        raise DataError(
            f"{shown(address)} is a {type(function).__name__}, expected a function without arguments that returns (x, y)"
        )
    try:
        value = function()
    except NasError:
        raise
    except Exception as error:
        raise DataError(f"{shown(address)} failed with {type(error).__name__}: {' '.join(str(error).split())}") from error
    parts, class_names = parts_of(value, shown(f"what {address} returns"))
    return arrays_source(address.rpartition(":")[2], parts, options, class_names=class_names)
