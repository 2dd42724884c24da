"""Finds definitions by name or path: spaces, networks, and any object of a user's file."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from nas.blocks import BLOCKS
from nas.blocks.base import Block
from nas.errors import NasError, SpaceError, UnknownNameError, did_you_mean
from nas.notation import space_from_json
from nas.recipe import Recipe
from nas.space import Architecture, Space

_WRITTEN: Mapping[str, type[Block | Space | Recipe]] = {**BLOCKS, "Space": Space, "Recipe": Recipe}
"""What definitions are written with: a misspelled field of these is told with the nearest one."""

_LOADED: dict[tuple[Path, int], ModuleType] = {}


def shipped() -> dict[str, Path]:
    """Returns the spaces that come with this package, by name: beside it in a checkout, inside it when installed."""
    return _definitions("")


def spaces() -> dict[str, str]:
    """Returns the shipped spaces by name, each with the first line of its file."""
    return {name: _first_line(path) for name, path in shipped().items()}


def networks() -> dict[str, Space]:
    """Returns the classic networks by name, each with nothing open: the tables `NETWORKS` of the files in `search_spaces/classic`.

    Input shape and classes are those of their papers.
    """
    return {name: replace(space, name=name) for path in _families() for name, space in load_file(path).NETWORKS.items()}


def papers() -> dict[str, str]:
    """Returns the classic networks by name, each with the first line of its file: its family and paper."""
    return {name: _first_line(path) for path in _families() for name in load_file(path).NETWORKS}


def _families() -> tuple[Path, ...]:
    return tuple(_definitions("classic").values())


def _definitions(below: str) -> dict[str, Path]:
    here = Path(__file__).resolve().parent
    for folder in (here / "search_spaces", here.parent / "search_spaces"):
        if folder.is_dir():
            return {path.stem: path for path in sorted((folder / below).glob("*.py")) if not path.stem.startswith("_")}
    return {}


def _first_line(path: Path) -> str:
    match = re.match(r'\s*"""(.*?)(?:\n|""")', path.read_text(encoding="utf-8"))
    return match[1].strip() if match else ""


def load_space(address: str | Path | Space) -> Space:
    """Returns a space.

    Args:
        address: Name of a shipped space or of a classic network, `FILE.py` (its `space`), `FILE.py:NAME` or `module:NAME` (a
            space, a block, or a function that returns one), `FILE.json`, or a `Space`.

    Raises:
        UnknownNameError: When no such space is known.
        SpaceError: When the file cannot be read or holds no space.
    """
    if isinstance(address, Space):
        return address
    text = str(address)
    if text.endswith(".json"):
        return replace(space_from_json(_bytes(Path(text))), name=Path(text).stem)
    if text in shipped():
        return _as_space(load_object(f"{shipped()[text]}:space"), text, text)
    if not _is_file(text) and ":" not in text:
        classics = networks()
        if text in classics:
            return classics[text]
        if any(c in text for c in "/\\"):
            raise SpaceError(f"space {text!r}: no such file; expected FILE.py, FILE.json or a name of: {', '.join(shipped())}")
        raise UnknownNameError("space or network", text, [*shipped(), *classics])
    found = load_object(text if _split(text)[1] else f"{text}:space")
    return _as_space(found, text, Path(_split(text)[0]).stem)


def _as_space(found: object, address: str, name: str) -> Space:
    if callable(found) and not isinstance(found, type | Block | Space):
        try:
            found = found()
        except Exception as error:
            raise SpaceError(f"{address}: {_said(error)}") from error
    if isinstance(found, Architecture):
        found = Space(found.body, found.input_shape, found.classes, found.border, found.recipe)
    if isinstance(found, Block):
        found = Space(found)
    if not isinstance(found, Space):
        raise SpaceError(f"{address} is {type(found).__name__}, expected a Space; write space = Space(body=Sequential(...))")
    return replace(found, name=found.name or name)


def load_object(address: str) -> Any:
    """Returns an object of a user's file or of an installed module: `FILE.py:NAME` or `module:NAME`.

    Raises:
        SpaceError: When the file or module cannot be loaded; the message says where it fails.
        UnknownNameError: When it has no such name.
    """
    where, name = _split(address)
    if not name:
        raise SpaceError(f"{address!r} names no object; expected FILE.py:NAME or module:NAME")
    module = load_file(Path(where)) if _is_file(where) else _import(where, address)
    if not hasattr(module, name):
        public = [key for key in vars(module) if not key.startswith("_") and not isinstance(vars(module)[key], ModuleType)]
        raise UnknownNameError(f"name in {where}", name, public)
    return getattr(module, name)


def load_file(path: Path) -> ModuleType:
    """Runs a Python file once and returns it as a module; the same file again gives the same module while it is unchanged.

    Raises:
        SpaceError: When there is no such file, or it fails; names the line.
    """
    resolved = path.expanduser().resolve()
    try:
        stamp = resolved.stat().st_mtime_ns
    except OSError as error:
        raise SpaceError(f"{path}: {error.strerror or error}") from None
    if (resolved, stamp) in _LOADED:
        return _LOADED[resolved, stamp]
    name = f"{path.stem}_{hashlib.sha256(str(resolved).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, resolved)
    if spec is None or spec.loader is None:
        raise SpaceError(f"{path}: is no Python file; expected a name that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    sys.path.insert(0, str(resolved.parent))  # a definition may import its neighbours, as a script may
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise SpaceError(f"{path}{_line_of(error, resolved)}: {_said(error)}") from error
    finally:
        sys.path.remove(str(resolved.parent))
    _LOADED[resolved, stamp] = module
    return module


def _line_of(error: BaseException, path: Path) -> str:
    if isinstance(error, SyntaxError) and error.lineno:
        return f", line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    return f", line {lines[-1]}" if lines else ""


def _said(error: BaseException) -> str:
    if isinstance(error, NasError):
        return str(error)
    if isinstance(error, SyntaxError):
        return f"this is no Python: {error.msg}"
    missing = re.match(r"cannot import name '(\w+)' from '(nas[\w.]*)'", str(error))
    if missing and missing[2] in sys.modules:
        known = getattr(sys.modules[missing[2]], "__all__", ())
        return f"{missing[2]} has no {missing[1]!r}{did_you_mean(missing[1], known)}"
    if isinstance(error, NameError) and error.name:
        return f"name {error.name!r} is not defined; import it or mend the typo"
    unknown = re.match(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'", str(error))
    if unknown and unknown[1] in _WRITTEN:
        return f"{unknown[1]} has no {unknown[2]!r}{did_you_mean(unknown[2], [f.name for f in fields(_WRITTEN[unknown[1]])])}"
    return " ".join(f"{type(error).__name__}: {error}".split())


def _import(name: str, address: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            raise SpaceError(f"{address!r}: there is no file and no module {name!r}") from None
        raise SpaceError(f"{address!r}: {error}") from error
    except Exception as error:
        raise SpaceError(f"{address!r}: {_said(error)}") from error


def _split(address: str) -> tuple[str, str]:
    """Returns file or module, and name (empty where there is none); a Windows drive letter is no separator."""
    head, colon, tail = address.rpartition(":")
    return (head, tail) if colon and tail.isidentifier() and len(head) > 1 else (address, "")


def _is_file(text: str) -> bool:
    where = _split(text)[0]
    try:
        return where.endswith(".py") or Path(where).is_file()
    except OSError:  # a name that is too long for any file
        return False


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SpaceError(f"{path}: {error.strerror or error}") from None


def own_blocks(space: Space) -> Mapping[str, type[Block]]:
    """Returns the block classes of a space that are not this package's, by name."""
    return {type(b).__name__: type(b) for b in space.body.walk() if not type(b).__module__.startswith("nas.blocks.")}
