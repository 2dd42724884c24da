"""Compiles generated source into the PyTorch module that is trained: the very text that is kept and exported."""

from __future__ import annotations

import ast
import hashlib
import linecache
from types import ModuleType
from typing import TYPE_CHECKING, cast

from nas.errors import EvaluationError
from nas.kernels import quick_code, quicken

if TYPE_CHECKING:
    from torch import nn


def load_source(source: str, *, quick: bool = False) -> ModuleType:
    """Runs the text of a network file and returns it as a module; tracebacks show its lines.

    Args:
        source: The text.
        quick: See `compile_source`.

    Raises:
        EvaluationError: When the text is no Python, fails, or defines no class `Network`.
        MemoryError: When memory runs out.
    """
    name = f"<network {hashlib.sha256(source.encode()).hexdigest()[:12]}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    module = ModuleType(name)
    try:
        tree = ast.parse(source, name)
        exec(compile(quick_code(tree, module.__dict__) if quick else tree, name, "exec"), module.__dict__)
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


def compile_source(source: str, *, quick: bool = False) -> nn.Module:
    """Returns a new instance of the `Network` that a generated file defines, with PyTorch's default initial weights.

    Args:
        source: The text.
        quick: Whether to use the kernels of `nas.kernels` where they are quicker: for training on a CPU.

    Raises:
        EvaluationError: See `load_source`.
    """
    network = cast("nn.Module", load_source(source, quick=quick).Network())
    if quick:
        quicken(network)
    return network
