"""Quicker kernels for training small networks on a CPU, where PyTorch's own are slow: feature maps of few channels.

They need Numba (`pip install "paretonas[fast]"`), and give what PyTorch gives, to rounding. A network is compiled with them by
`nas.module.compile_source(source, quick=True)`; its text, its weights and what is exported do not change.
"""

from __future__ import annotations

import ast
import logging
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    from torch import nn

log = logging.getLogger(__name__)


@cache
def _layers() -> ModuleType | None:
    try:
        from nas.kernels import layers
    except ImportError as error:  # not installed, or one that does not fit this NumPy
        log.info("PyTorch's own kernels are used: %s", error)
        return None
    except RuntimeError as error:  # nowhere to keep what is compiled: no folder that may be written
        log.warning("PyTorch's own kernels are used, since those of Numba cannot be kept: %s", error)
        return None
    return layers


def kernels_words() -> str:
    """Returns by what networks are trained on a CPU: "Numba" with its version, or "PyTorch"."""
    return f"Numba {version('numba')}" if _layers() else "PyTorch"


class _Fused(ast.NodeTransformer):
    """Turns `F.relu(self.name(...))` into `_relu_of(self.name, ...)`, so that batch normalisation and ReLU can be one pass."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="F"), attr="relu"),
                args=[ast.Call(func=ast.Attribute(value=ast.Name(id="self")) as layer, args=arguments, keywords=[])],
                keywords=[],
            ):
                fused = ast.Call(ast.Name("_relu_of", ast.Load()), [layer, *arguments], [])
                return ast.copy_location(fused, node)
        return node


def quick_code(tree: ast.Module, namespace: dict[str, Any]) -> ast.Module:
    """Returns a network's syntax tree for quicker kernels, which are put into the namespace it is executed in; as it is, without
    Numba.

    Args:
        tree: Of the text of a network file, which imports `torch.nn.functional` as F.
        namespace: Of the module to be.
    """
    if (layers := _layers()) is None:
        return tree
    namespace["_relu_of"] = layers.relu_of
    imported = next((i for i, node in enumerate(tree.body) if isinstance(node, ast.Import) and node.names[0].asname == "F"), None)
    if imported is None:
        return tree
    namespace["_functional"] = layers.Functional("functional")
    instead = ast.Assign([ast.Name("F", ast.Store())], ast.Name("_functional", ast.Load()))
    tree.body[imported] = ast.copy_location(instead, tree.body[imported])
    return ast.fix_missing_locations(_Fused().visit(tree))  # type: ignore[no-any-return]


def quicken(network: nn.Module) -> None:
    """Gives the batch normalisations of a network, in place, the quicker kernels; does nothing without Numba."""
    if (layers := _layers()) is not None:
        layers.quicken(network)
