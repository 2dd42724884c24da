"""Neural architecture search: spaces of convolutional networks, searched for accuracy against parameters and operations."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas.addresses import find_network as find_network
    from nas.api import build_graph as build_graph
    from nas.api import compile as compile
    from nas.api import cost as cost
    from nas.api import fingerprint as fingerprint
    from nas.domains import choice as choice
    from nas.domains import integer as integer
    from nas.domains import real as real
    from nas.errors import NasError as NasError
    from nas.final import train_network as train_network
    from nas.final import train_networks as train_networks
    from nas.library import load_space as load_space
    from nas.loop import resume as resume
    from nas.loop import search as search
    from nas.objectives import Objective as Objective
    from nas.recipe import Recipe as Recipe
    from nas.recipe import Task as Task
    from nas.run import Run as Run
    from nas.run import open_run as open_run
    from nas.scaling import scale as scale
    from nas.space import Architecture as Architecture
    from nas.space import Space as Space

_EXPORTS = {
    "Architecture": "nas.space",
    "NasError": "nas.errors",
    "Objective": "nas.objectives",
    "Recipe": "nas.recipe",
    "Run": "nas.run",
    "Space": "nas.space",
    "Task": "nas.recipe",
    "build_graph": "nas.api",
    "choice": "nas.domains",
    "compile": "nas.api",
    "cost": "nas.api",
    "find_network": "nas.addresses",
    "fingerprint": "nas.api",
    "integer": "nas.domains",
    "load_space": "nas.library",
    "open_run": "nas.run",
    "real": "nas.domains",
    "resume": "nas.loop",
    "scale": "nas.scaling",
    "search": "nas.loop",
    "train_network": "nas.final",
    "train_networks": "nas.final",
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
