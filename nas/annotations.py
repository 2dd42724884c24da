"""Holds values against the annotations of the fields that carry them."""

from __future__ import annotations

import types
import typing
from dataclasses import fields
from functools import lru_cache
from typing import Any

from nas.domains import Domain


@lru_cache(None)
def field_hints(cls: type[Any]) -> dict[str, Any]:
    """Returns the annotation of each field of a dataclass but `name`; none where they cannot be resolved."""
    try:
        hints = typing.get_type_hints(cls)
    except Exception:  # annotations of a user's class may name what only a type checker sees
        return {}
    return {f.name: hints[f.name] for f in fields(cls) if f.name in hints and f.name != "name"}


def matches(value: object, hint: Any) -> bool:
    """Returns whether a value is of the annotated type; an int passes for a float, a bool for neither."""
    if isinstance(value, Domain):  # a domain inside a tuple is no decision of this field
        return False
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return any(matches(value, option) for option in typing.get_args(hint))
    if origin is typing.Literal:
        return any(type(value) is type(option) and value == option for option in typing.get_args(hint))
    if origin is tuple:
        return isinstance(value, tuple) and _matches_tuple(value, typing.get_args(hint))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return type(value) is int
    if hint is None:
        return value is None
    return isinstance(value, hint) if isinstance(hint, type) else True


def _matches_tuple(value: tuple[object, ...], options: tuple[Any, ...]) -> bool:
    if len(options) == 2 and options[1] is Ellipsis:
        return all(matches(v, options[0]) for v in value)
    return len(value) == len(options) and all(matches(v, option) for v, option in zip(value, options, strict=True))


def spelled(hint: Any) -> str:
    """Returns an annotation in words, for error messages."""
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(hint)))
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(spelled(option) for option in typing.get_args(hint))
    return hint.__name__ if isinstance(hint, type) and typing.get_origin(hint) is None else str(hint).replace("typing.", "")
