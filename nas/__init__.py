"""Neural architecture search: spaces of convolutional networks, searched for accuracy against parameters and operations."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas.domains import choice as choice
    from nas.domains import integer as integer
    from nas.domains import real as real
    from nas.space import Architecture as Architecture
    from nas.space import Space as Space

_EXPORTS = {
    "Architecture": "nas.space",
    "Space": "nas.space",
    "choice": "nas.domains",
    "integer": "nas.domains",
    "real": "nas.domains",
}
"""Name to the module it lives in; each is imported when it is first used."""

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'nas' has no attribute {name!r}")
    value = getattr(import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
