"""NAME=VALUE and VALUE as people write them on a command line. Knows nothing of what they set."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from nas.errors import NasError

_WORDS = {"None": None, "none": None, "True": True, "False": False}


def read_value(text: str) -> Any:
    """Returns JSON (20, 0.5, true, "text") and None, True and False as what they mean, anything else as text."""
    if text in _WORDS:
        return _WORDS[text]
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def read_pairs(pairs: Iterable[str], what: str) -> dict[str, Any]:
    """Returns the values of NAME=VALUE pairs by name; see `read_value`.

    Args:
        pairs: As they were written.
        what: Where they stand, such as "--cost", for errors.

    Raises:
        NasError: When one is no pair.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise NasError(f"{what} {pair!r} cannot be read; expected NAME=VALUE")
        found[name.strip()] = read_value(value.strip())
    return found
