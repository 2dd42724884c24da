"""Compiles generated source into the PyTorch module that is trained: the very text that is kept and exported."""

from __future__ import annotations

import hashlib
import linecache
from types import ModuleType
from typing import TYPE_CHECKING, cast

from nas.errors import EvaluationError

if TYPE_CHECKING:
    from torch import nn


def load_source(source: str) -> ModuleType:
    """Runs the text of a network file and returns it as a module; tracebacks show its lines.

    Raises:
        EvaluationError: When the text is no Python, fails, or defines no class `Network`.
        MemoryError: When memory runs out.
    """
    name = f"<network {hashlib.sha256(source.encode()).hexdigest()[:12]}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    module = ModuleType(name)
    try:
        exec(compile(source, name, "exec"), module.__dict__)
    except SyntaxError as error:
        raise EvaluationError(f"the network's source is no Python: {error.msg} in line {error.lineno}") from error
    except MemoryError:
        raise  # no fault of the text: an outcome of its own
    except Exception as error:  # helpers of a user's own operations run here
        said = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(":")
        raise EvaluationError(f"the network's source fails: {said}") from error
    if not isinstance(module.__dict__.get("Network"), type):
        raise EvaluationError("the network's source defines no class Network")
    return module


def compile_source(source: str) -> nn.Module:
    """Returns a new instance of the `Network` that a generated file defines, with PyTorch's default initial weights.

    Raises:
        EvaluationError: See `load_source`.
    """
    return cast("nn.Module", load_source(source).Network())
