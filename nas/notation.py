"""Spaces and architectures as JSON, by one walker over the fields of blocks; reading is strict.

A block is `{"block": "Conv", "channels": 16}`, fields at their defaults left out; an open field is `{"choice": [16, 32]}`,
`{"integer": [1, 3]}` or `{"real": [0.01, 0.5], "log": true}`; a list is a tuple. Blocks of a user's own go by their class
name, and reading them takes their classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any, cast

import msgspec

from nas.blocks import BLOCKS
from nas.blocks.base import Block
from nas.blocks.structure import Several
from nas.domains import Choice, Domain, Integer, Real, is_value, real
from nas.errors import RecipeError, SpaceError, brief, did_you_mean
from nas.recipe import Recipe
from nas.space import Architecture, Space

_FORMAT = 1
_DEEPEST = 100  # a block in a list is two steps down


def space_to_json(space: Space | Architecture) -> bytes:
    """Returns a space (or an architecture: a space with nothing left open) as JSON text."""
    data = {
        "format": _FORMAT,
        "input_shape": space.input_shape,
        "classes": space.classes,
        "border": space.border,
        "recipe": _fields(space.recipe) if space.recipe else None,
        "body": _written(space.body),
    }
    return msgspec.json.encode(data)


def _written(value: object) -> Any:
    match value:
        case Block():
            return {"block": type(value).__name__, **_fields(value)}
        case Choice():
            return {"choice": [_written(v) for v in value.values]}
        case Integer():
            return {"integer": [value.low, value.high]}
        case Real():
            return {"real": [value.low, value.high], **({"log": True} if value.log else {})}
        case tuple():
            return [_written(v) for v in value]
    if is_value(value):
        return value
    raise SpaceError(
        f"{brief(value)} of type {type(value).__name__} cannot be written as JSON; expected a block, a domain or a plain value"
    )


def _fields(value: Block | Recipe) -> dict[str, Any]:
    shown = {}
    for f in fields(value):
        held = getattr(value, f.name)
        if f.name == "labels" and isinstance(value, Several) and held == _labels(value):
            continue
        if f.default is MISSING or type(held) is not type(f.default) or held != f.default:
            shown[f.name] = _written(held)
    return shown


def _labels(several: Several) -> tuple[str, ...]:
    """Returns the labels that reading would give its blocks; a closed repetition has siblings of one name, and gives none."""
    try:
        return type(several)(*several.blocks).labels
    except SpaceError:
        return ()


def space_from_json(text: bytes | str, blocks: Iterable[type[Block]] = (), *, file: str = "") -> Space:
    """Reads what `space_to_json` wrote.

    Args:
        text: The JSON text.
        blocks: Classes of a user's own that it may name.
        file: Where it was read from, for errors.

    Raises:
        SpaceError: When it is no such text, or a key, a block or a value is not understood; names the place.
    """
    known = {**BLOCKS, **{block.__name__: block for block in blocks}}
    where = f"{file}: " if file else ""
    try:
        return _space(msgspec.json.decode(text), known)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise SpaceError(f"{where}this is no space: {error}") from None
    except RecursionError:
        raise SpaceError(f"{where}this is no space: it is nested too deeply") from None
    except SpaceError as error:
        raise SpaceError(f"{where}{error}") from None


def _space(data: object, known: Mapping[str, type[Block]]) -> Space:
    if not isinstance(data, dict):
        raise SpaceError(f"a space is an object, got {type(data).__name__}")
    _only(data, ("format", "input_shape", "classes", "border", "recipe", "body"), "space")
    if data.get("format") != _FORMAT:
        raise SpaceError(f"the space has format {brief(data.get('format'))}, expected {_FORMAT}")
    recipe = data.get("recipe")
    if recipe is not None and not isinstance(recipe, dict):
        raise SpaceError(f"space.recipe is {brief(recipe)}, expected an object or null")
    shape = data.get("input_shape")
    return Space(
        body=_block(data.get("body"), "body", known, 0),
        input_shape=tuple(shape) if isinstance(shape, list) else shape,
        classes=data.get("classes"),
        border=data.get("border", "error"),
        recipe=None if recipe is None else _recipe(recipe),
    )


def _only(data: Mapping[str, object], known: Iterable[str], where: str) -> None:
    for key in data:
        if key not in known:
            raise SpaceError(f"{where}: unknown key {brief(key)}{did_you_mean(key[:80], known)}")


def _recipe(data: Mapping[str, object]) -> Recipe:
    _only(data, [f.name for f in fields(Recipe)], "recipe")
    try:
        return Recipe(**{key: _read(value, f"recipe.{key}", {}, 0) for key, value in data.items()})
    except RecipeError as error:
        raise SpaceError(str(error)) from None


def _block(data: object, where: str, known: Mapping[str, type[Block]], depth: int) -> Block:
    if depth > _DEEPEST:
        raise SpaceError(f"{where[:80]}: blocks are nested more than {_DEEPEST} deep")
    if not isinstance(data, dict) or not isinstance(data.get("block"), str):
        raise SpaceError(f"{where} is {brief(data)}, expected a block such as {{'block': 'Conv', 'channels': 16}}")
    name = data["block"]
    if name not in known:
        raise SpaceError(
            f"{where}: unknown block {brief(name)}{did_you_mean(name[:80], known)}; give classes of your own to `blocks`"
        )
    cls = known[name]
    names = [f.name for f in fields(cls) if f.init]
    _only({key: None for key in data if key != "block"}, names, f"{where} ({name})")
    values = {key: _read(value, f"{where}.{key}", known, depth + 1) for key, value in data.items() if key != "block"}
    for f in fields(cls):
        if f.name not in values and f.default is MISSING and f.default_factory is MISSING:
            raise SpaceError(f"{where} ({name}): lacks {f.name!r}")
    try:
        if issubclass(cls, Several):
            several = values.pop("blocks")
            if not isinstance(several, tuple):
                raise SpaceError(f"{where}.blocks is {brief(several)}, expected a list of blocks")
            return cls(*several, **values)
        return cls(**values)
    except SpaceError as error:
        raise SpaceError(f"{where}: {error}") from None
    except (TypeError, ValueError) as error:
        raise SpaceError(f"{where} ({name}): {error}") from None


def _read(value: object, where: str, known: Mapping[str, type[Block]], depth: int) -> Any:
    if isinstance(value, list):
        if depth > _DEEPEST:
            raise SpaceError(f"{where[:80]}: values are nested more than {_DEEPEST} deep")
        return tuple(_read(v, f"{where}[{i}]", known, depth + 1) for i, v in enumerate(value))
    if not isinstance(value, dict):
        return value
    if "block" in value:
        return _block(value, where, known, depth)
    try:
        return _domain(value, where, known, depth)
    except SpaceError as error:
        raise SpaceError(str(error) if str(error).startswith(where) else f"{where}: {error}") from None


def _domain(value: Mapping[str, object], where: str, known: Mapping[str, type[Block]], depth: int) -> Domain:
    match value:
        case {"choice": [*values], **rest} if not rest:
            return Choice(tuple(_read(v, where, known, depth + 1) for v in values))
        case {"integer": [int() as low, int() as high], **rest} if not rest:
            return Integer(low, high)
        case {"real": [int() | float() as low, int() | float() as high], **rest} if not rest or (
            set(rest) == {"log"} and type(rest["log"]) is bool
        ):
            return cast("Real", real(low, high, log=rest.get("log") is True))
    raise SpaceError(
        f"{where} is {brief(value)}, expected a block, {{'choice': [...]}}, {{'integer': [low, high]}} or {{'real': [low, high]}}"
    )
