"""Runs a user's Python file, or imports his module, and says in one line what is wrong with it. Knows nothing of what is in it."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
import traceback
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from nas.errors import NasError, SpaceError, UnknownNameError, did_you_mean

_WRITTEN_WITH = ("nas.blocks", "nas")
"""Where the classes are found that definitions are written with: a misspelled field of these is told with the nearest one."""

_LOADED: dict[tuple[Path, int, int], ModuleType] = {}


class BrokenFile(Exception):
    """A file that fails when it is run; its message begins with the file and, where it is known, the line.

    Attributes:
        place: Empty, or ", line N".
        said: What is wrong, in one line.
    """

    def __init__(self, path: Path, place: str, said: str) -> None:
        super().__init__(f"{path}{place}: {said}")
        self.place, self.said = place, said


def run_file(path: Path) -> ModuleType:
    """Runs a Python file once and returns it as a module; the same file again gives the same module while it is unchanged.

    Raises:
        OSError: When there is no such file.
        BrokenFile: When it fails, or is no Python file.
    """
    resolved = path.expanduser().resolve()
    status = resolved.stat()
    key = (resolved, status.st_mtime_ns, status.st_size)
    if key in _LOADED:
        return _LOADED[key]
    name = f"{path.stem}_{hashlib.sha256(str(resolved).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, resolved)
    if spec is None or spec.loader is None:
        raise BrokenFile(path, "", "is no Python file; expected a name that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    folder = str(resolved.parent)
    sys.path.insert(0, folder)  # a definition may import its neighbours, as a script may
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise BrokenFile(path, _line_of(error, resolved), said(error)) from error
    finally:
        sys.path.remove(folder)
    if folder not in sys.path:
        sys.path.append(folder)  # also while its functions are called, behind everything that is installed
    _LOADED[key] = module
    return module


def load_file(path: Path) -> ModuleType:
    """Returns what `run_file` returns.

    Raises:
        SpaceError: When there is no such file, or it fails; names the line.
    """
    try:
        return run_file(path)
    except OSError as error:
        raise SpaceError(f"{path}: {error.strerror or error}") from None
    except BrokenFile as broken:
        raise SpaceError(str(broken)) from broken.__cause__


def load_object(address: str) -> Any:
    """Returns an object of a user's file or of an installed module: `FILE.py:NAME` or `module:NAME`.

    Raises:
        SpaceError: When the file or module cannot be loaded; the message says where it fails.
        UnknownNameError: When it has no such name.
    """
    where, name = split_address(address)
    if not name:
        raise SpaceError(f"{address!r} names no object; expected FILE.py:NAME or module:NAME")
    module = load_file(Path(where)) if is_file(where) else _import(where, address)
    if not hasattr(module, name):
        raise UnknownNameError(f"name in {where}", name, _defined(module))
    return getattr(module, name)


def _defined(module: ModuleType) -> list[str]:
    """Returns the public names that a module defines itself, as far as can be told from what it imports."""
    others = [vars(other) for other in list(sys.modules.values()) if isinstance(other, ModuleType) and other is not module]

    def is_own(key: str, value: object) -> bool:
        if isinstance(value, type | FunctionType):
            return value.__module__ == module.__name__
        if isinstance(value, int | float | str | None):  # one object may stand for equal values of many modules
            return True
        return not isinstance(value, ModuleType) and not any(other.get(key, others) is value for other in others)

    return [key for key, value in vars(module).items() if not key.startswith("_") and is_own(key, value)]


def split_address(address: str) -> tuple[str, str]:
    """Returns file or module, and name (empty where there is none); a Windows drive letter is no separator."""
    head, colon, tail = address.rpartition(":")
    return (head, tail) if colon and tail.isidentifier() and len(head) > 1 else (address, "")


def is_file(address: str) -> bool:
    """Returns whether an address means a file and no module."""
    where = split_address(address)[0]
    try:
        return where.endswith(".py") or Path(where).is_file()
    except OSError:  # a name that is too long for any file
        return False


def said(error: BaseException) -> str:
    """Returns in one line what an error of a user's code says, with the nearest known name where one is misspelled."""
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
    if unknown and (known := _fields_of(unknown[1])):
        return f"{unknown[1]} has no {unknown[2]!r}{did_you_mean(unknown[2], known)}"
    return " ".join(f"{type(error).__name__}: {error}".split())


def _fields_of(name: str) -> list[str]:
    """Returns the fields of a class that definitions are written with, none where it is not known."""
    classes = (getattr(sys.modules.get(module), name, None) for module in _WRITTEN_WITH)
    return next(([f.name for f in fields(cls)] for cls in classes if isinstance(cls, type) and is_dataclass(cls)), [])


def _line_of(error: BaseException, path: Path) -> str:
    if isinstance(error, SyntaxError) and error.lineno:
        return f", line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    return f", line {lines[-1]}" if lines else ""


def _import(name: str, address: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            raise SpaceError(f"{address!r}: there is no file and no module {name!r}") from None
        raise SpaceError(f"{address!r}: {error}") from error
    except Exception as error:
        raise SpaceError(f"{address!r}: {said(error)}") from error
