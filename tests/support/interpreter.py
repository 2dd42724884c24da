"""Evaluates graphs with PyTorch as at inference, node by node, from each operation's own text: what generated source is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

from nas.graph import Graph


def namespace(graph: Graph) -> dict[str, object]:
    """Returns what the text of the graph's operations may refer to."""
    names: dict[str, object] = {"torch": torch, "nn": nn, "F": F, "self": SimpleNamespace(training=False)}
    for helper in dict.fromkeys(op.helper for op in graph.ops if op.helper):
        exec(helper, names)
    return names


def modules(graph: Graph) -> dict[int, nn.Module]:
    """Returns a new module for each node that has one."""
    names = namespace(graph)
    found = {}
    for i, op in enumerate(graph.ops):
        text = op.declare(*[graph.facts[s].shape for s in graph.inputs[i]])
        if text:
            found[i] = eval(text, names)
    return found


def values(graph: Graph, x: torch.Tensor, parts: Mapping[int, nn.Module]) -> list[torch.Tensor]:
    """Returns the value of every node.

    Args:
        graph: What is evaluated.
        x: Images `(N, C, H, W)`.
        parts: The module of each node that has one.
    """
    names = {**namespace(graph), "parts": parts}
    found: list[torch.Tensor] = [x]
    for i, (op, sources) in enumerate(zip(graph.ops[1:], graph.inputs[1:], strict=True), 1):
        names.update({f"v{k}": found[s] for k, s in enumerate(sources)})
        found.append(eval(op.call(f"parts[{i}]" if i in parts else "", *[f"v{k}" for k in range(len(sources))]), names))
    return found
