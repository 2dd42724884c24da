"""A network begins with another one's weights: every tensor that has a model there is copied, channel by channel.

The rule is general: a child takes its parent's weights wherever path and shape match; where it has fewer channels it takes those
of the most important ones, where it has more it takes some several times and divides the weights of who reads them; where its
kernel is smaller it takes the middle, where it is larger there are zeros around the old one. What has no model keeps the values it
was made with, unless it can begin as the identity or at zero so that the whole computes what the parent does. `nas.growth` says
what is what, and when the function is preserved.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nas.channels import NEW, Floats, Ints, makes_channels
from nas.checkpoint import read_scores, read_weights
from nas.graph import Graph
from nas.growth import Beginning, Passing, Taken, beginning
from nas.source import module_names

if TYPE_CHECKING:
    from torch import Tensor, nn

_SHARES = (0.5, 1.5)
"""Weights of copies of a channel are divided in ratios drawn from here: equal ones would stay equal for ever, and any are exact."""


def inherit_file(
    module: nn.Module,
    child: Graph,
    parent: Graph,
    file: Path,
    aligned: Mapping[str, str] | None = None,
    *,
    seed: int = 0,
    images: Tensor | None = None,
) -> float:
    """Copies the weights in a checkpoint into a network; see `inherit`.

    Raises:
        EvaluationError: When the file is missing or no safetensors file.
    """
    return inherit(module, child, parent, read_weights(file), aligned, read_scores(file), seed=seed, images=images)


def inherit(
    module: nn.Module,
    child: Graph,
    parent: Graph,
    weights: Mapping[str, Tensor],
    aligned: Mapping[str, str] | None = None,
    scores: Mapping[str, Tensor] | None = None,
    *,
    seed: int = 0,
    images: Tensor | None = None,
) -> float:
    """Copies another network's weights into `module`, in place.

    Args:
        module: Compiled from the source of `child`.
        child: Its graph, simplified.
        parent: The graph whose source `weights` belong to.
        weights: As `state_dict` gives them.
        aligned: Path of a block of the child to its path in the parent, where the two differ.
        scores: Importance of each output channel, `(channels,)`, by name of the parent's module; the absolute weights without.
        seed: Of the ratios in which the weights of copies are divided.
        images: Normalised, `(N, C, H, W)`: normalisations that begin as the identity take their statistics from these, so that they
            pass their input on while training too (Chen et al. 2016, section 2.4); without any they do in evaluation mode alone.

    Returns:
        The share of the trainable values of `module` that were taken over, in [0, 1].
    """
    import torch

    mine, theirs = module_names(child), module_names(parent)
    known = scores if scores else _magnitudes(parent, weights)
    ranked: dict[int, Floats] = {i: known[name].double().numpy() for i, name in theirs.items() if name in known}
    own = module.state_dict()
    trainable = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    found = beginning(child, parent, aligned, ranked)
    rng = np.random.default_rng(seed)
    copied = 0
    with torch.no_grad():
        for taken in found.taken:
            begin, end = f"{mine[taken.child]}.", f"{theirs[taken.parent]}."
            shares = None if taken.columns is None else _shares(taken.columns, rng)
            for name in [name for name in own if name.startswith(begin)]:
                source = weights.get(end + name.removeprefix(begin))
                if source is not None:
                    copied += _copy(own[name], source, taken, shares) * (name in trainable)
                elif taken.columns is not None and name.endswith(".bias"):
                    own[name].zero_()  # its model does without
        _begin_new(own, mine, found, rng)
    if images is not None and found.passing:
        _keep_statistics(module, [mine[i] for i in found.passing], images)
    return float(copied / max(1, sum([own[name].numel() for name in trainable])))


def _magnitudes(graph: Graph, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the sum of the absolute weights of each output channel, by name of the module."""
    found = {}
    for i, name in module_names(graph).items():
        weight = weights.get(f"{name}.weight")
        if weight is not None and makes_channels(graph.ops[i]):
            found[name] = weight.abs().flatten(1).sum(1)
    return found


def _shares(columns: Ints, rng: np.random.Generator) -> Tensor:
    """Returns for each channel of the input its part of the weights of the place it stands for; 1 where it alone does."""
    import torch

    parts = rng.uniform(*_SHARES, len(columns))
    total = np.bincount(np.where(columns == NEW, 0, columns), np.where(columns == NEW, 0, parts))
    return torch.from_numpy(np.where(columns == NEW, 1.0, parts / np.where(columns == NEW, 1.0, total[columns])))


def _copy(target: Tensor, source: Tensor, taken: Taken, shares: Tensor | None) -> int:
    """Copies what `taken` says from one tensor to the other, and returns how many values that were."""
    if taken.rows is None or target.ndim == 0:
        if target.shape != source.shape:
            return 0
        target.copy_(source)
        return target.numel()
    if target.ndim != source.ndim:
        return 0
    to, of = _pairs(taken.rows, source.shape[0])
    part = target[to]
    if taken.columns is None or target.ndim == 1:
        values, where = _middles(source[of], part)
        part.zero_()
        part[where] = values.to(part)
    else:
        into, out = _pairs(taken.columns, source.shape[1])
        if taken.whole:
            part.zero_()
        inner = part[:, into].zero_()
        values, where = _middles(source[of][:, out], inner)
        assert shares is not None
        inner[where] = values.to(part) * shares[into].to(part).view(1, -1, *[1] * (part.ndim - 2))
        part[:, into] = inner
    target[to] = part
    return values.numel()


def _begin_new(own: Mapping[str, Tensor], names: Mapping[int, str], found: Beginning, rng: np.random.Generator) -> None:
    """Lets nodes without a model begin as the identity, or at zero."""
    for i, passing in found.passing.items():
        weight = own[f"{names[i]}.weight"]
        if weight.ndim == 1:
            weight.copy_((own[f"{names[i]}.running_var"].fill_(1.0) + _EPSILON).sqrt())
            own[f"{names[i]}.running_mean"].zero_()
        else:
            _pass_on(weight, passing, rng)
        _zero(own, f"{names[i]}.bias")
    for i in found.silent:
        _zero(own, f"{names[i]}.weight")
        _zero(own, f"{names[i]}.bias")


_EPSILON = 1e-5
"""What `torch.nn.BatchNorm2d` adds to the variance."""


def _zero(own: Mapping[str, Tensor], name: str) -> None:
    if name in own:
        own[name].zero_()


def _pass_on(weight: Tensor, passing: Passing, rng: np.random.Generator) -> None:
    """Makes a kernel `(rows, columns, height, width)` or a matrix `(rows, columns)` the identity."""
    import torch

    known = torch.from_numpy(np.flatnonzero(passing.rows != NEW))
    part = weight[known].zero_()
    middle = part
    for size in weight.shape[2:]:
        middle = middle.select(2, size // 2)
    if weight.shape[1] == 1 and len(passing.columns) > 1:  # depthwise: each channel has a kernel of its own
        middle.fill_(1.0)
    else:
        same = torch.from_numpy((passing.rows[:, None] == passing.columns[None, :]).astype(np.float64))[known]
        middle.copy_(same * _shares(passing.columns, rng))
    weight[known] = part


def _keep_statistics(module: nn.Module, names: list[str], images: Tensor) -> None:
    """Gives normalisations that are the identity the statistics of their inputs, and the scale and offset that undo them.

    All normalisations see the images as they do while training; their own statistics stay.
    """
    import torch
    from torch import nn

    found: list[tuple[nn.Module, Tensor, Tensor]] = []

    def settle(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
        axes = [axis for axis in range(inputs[0].ndim) if axis != 1]
        mean, variance = inputs[0].mean(axes), inputs[0].var(axes, unbiased=False)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(mean)
        found.append((norm, mean, variance))

    norms = [norm for norm in module.modules() if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)]
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    modes = {part: part.training for part in module.modules()}
    hooks = [norm.register_forward_pre_hook(settle) for norm in norms if norm in map(module.get_submodule, names)]
    module.eval()
    for norm in norms:
        norm.train()
    with torch.no_grad():
        module(images)
        module.load_state_dict(buffers, strict=False)
        for part, mean, variance in found:
            part.get_buffer("running_mean").copy_(mean)
            part.get_buffer("running_var").copy_(variance)
    for hook in hooks:
        hook.remove()
    for part, training in modes.items():
        part.training = training


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
