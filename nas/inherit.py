"""A network begins with another one's weights: every tensor that has a model there is copied, channel by channel.

The rule is general: a child takes its parent's weights wherever path and shape match; where it has fewer channels it takes those
of the most important ones, where its kernel is smaller the middle; whatever has no model keeps the values it was made with.
`nas.channels` says which channels these are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nas.channels import NEW, Floats, Ints, Taken, makes_channels, taken_over
from nas.checkpoint import read_scores, read_weights
from nas.graph import Graph
from nas.source import module_names

if TYPE_CHECKING:
    from torch import Tensor, nn


def inherit_file(module: nn.Module, child: Graph, parent: Graph, file: Path, aligned: Mapping[str, str] | None = None) -> float:
    """Copies the weights in a checkpoint into a network; see `inherit`.

    Raises:
        EvaluationError: When the file is missing or no safetensors file.
    """
    return inherit(module, child, parent, read_weights(file), aligned, read_scores(file))


def inherit(
    module: nn.Module,
    child: Graph,
    parent: Graph,
    weights: Mapping[str, Tensor],
    aligned: Mapping[str, str] | None = None,
    scores: Mapping[str, Tensor] | None = None,
) -> float:
    """Copies another network's weights into `module`, in place.

    Args:
        module: Compiled from the source of `child`.
        child: Its graph, simplified.
        parent: The graph whose source `weights` belong to.
        weights: As `state_dict` gives them.
        aligned: Path of a block of the child to its path in the parent, where the two differ.
        scores: Importance of each output channel, `(channels,)`, by name of the parent's module; the absolute weights without.

    Returns:
        The share of the trainable values of `module` that were taken over, in [0, 1].
    """
    import torch

    mine, theirs = module_names(child), module_names(parent)
    known = scores if scores else _magnitudes(parent, weights)
    ranked: dict[int, Floats] = {i: known[name].double().numpy() for i, name in theirs.items() if name in known}
    own = module.state_dict()
    trainable = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    copied = 0
    with torch.no_grad():
        for taken in taken_over(child, parent, aligned, ranked):
            begin, end = f"{mine[taken.child]}.", f"{theirs[taken.parent]}."
            for name in [name for name in own if name.startswith(begin)]:
                source = weights.get(end + name.removeprefix(begin))
                if source is not None:
                    copied += _copy(own[name], source, taken) * (name in trainable)
    return float(copied / max(1, sum([own[name].numel() for name in trainable])))


def _magnitudes(graph: Graph, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the sum of the absolute weights of each output channel, by name of the module."""
    found = {}
    for i, name in module_names(graph).items():
        weight = weights.get(f"{name}.weight")
        if weight is not None and makes_channels(graph.ops[i]):
            found[name] = weight.abs().flatten(1).sum(1)
    return found


def _copy(target: Tensor, source: Tensor, taken: Taken) -> int:
    """Copies what `taken` says from one tensor to the other, and returns how many values that were."""
    if taken.rows is None or target.ndim == 0:
        if target.shape != source.shape:
            return 0
        target.copy_(source)
        return target.numel()
    if target.ndim != source.ndim:
        return 0
    to, of = _pairs(taken.rows, source.shape[0])
    if taken.columns is None or target.ndim == 1:
        part = target[to]
        values, where = _middles(source[of], part)
    else:
        into, out = _pairs(taken.columns, source.shape[1])
        part = target[to][:, into]
        values, where = _middles(source[of][:, out], part)
    part[where] = values.to(part)
    if taken.columns is None or target.ndim == 1:
        target[to] = part
    else:
        target[to[:, None], into[None, :]] = part
    return values.numel()


def _pairs(places: Ints, size: int) -> tuple[Ints, Ints]:
    """Returns the places to fill and where each one's values come from."""
    there = np.flatnonzero((places != NEW) & (places < size))
    return there, places[there]


def _middles(source: Tensor, target: Tensor) -> tuple[Tensor, tuple[slice, ...]]:
    """Returns the middle of kernels `(rows, columns, height, width)` that fits into others, and where it belongs there."""
    taken, filled = [slice(None)] * source.ndim, [slice(None)] * source.ndim
    for axis in range(2, source.ndim):
        have, want = source.shape[axis], target.shape[axis]
        size = min(have, want)
        taken[axis] = slice((have - size) // 2, (have - size) // 2 + size)
        filled[axis] = slice((want - size) // 2, (want - size) // 2 + size)
    return source[tuple(taken)], tuple(filled)
