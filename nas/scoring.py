"""Measures how important each channel of a trained network is, on training images: see `nas.importance` for the ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.channels import Floats
from nas.graph import Graph
from nas.images import normaliser, placed
from nas.importance import middle_sizes, summary
from nas.ops import BatchNorm, Conv2d, Linear
from nas.recipe import Recipe
from nas.source import module_names

if TYPE_CHECKING:
    from nas.data import Dataset

BATCHES = 8
"""Batches of training images that gradients are taken of."""


def channel_scores(
    module: nn.Module, graph: Graph, kind: str, dataset: Dataset, recipe: Recipe, *, seed: int = 0, device: str = "cpu"
) -> tuple[dict[str, Tensor], dict[str, list[float]]]:
    """Returns the importance of each channel, and the numbers that are recorded of them.

    Args:
        module: Trained; its gradients and its mode are changed, its weights are not.
        graph: What its source was written from.
        kind: One of `nas.importance.KINDS`.
        dataset: Whose training images are looked at.
        recipe: Says how many images a batch has.
        seed: Of the choice of images.
        device: Where the module is.

    Returns:
        Scores of each convolution's and linear layer's output channels, `(channels,)` on the host, by the module's name, those of
        an operation of a user's own shared out evenly; and the summary of them (`nas.importance.summary`).
    """
    names = module_names(graph)
    layers = [i for i in names if isinstance(graph.ops[i], Conv2d | Linear)]
    gates = {i: _gate(graph, names, i) for i in layers}
    parts = dict(module.named_modules())
    whole = [i for i in names if graph.facts[i].params and i not in gates and not isinstance(graph.ops[i], BatchNorm)]
    if kind == "taylor":
        channels = {i: graph.facts[i].shape[0] for i in whole}
        places = {i: (names[i], gates.get(i, "")) for i in (*layers, *whole)}
        scores, single = _taylor(module, parts, places, channels, _batches(dataset, recipe, seed, device))
    else:
        single = {i: _weight(parts[names[i]]).abs() for i in layers}
        scores = {i: _relative(single[i]) for i in layers}
        if kind == "bn-scale":
            scores |= {i: _weight(parts[gate]).abs() for i, gate in gates.items() if gate}
        scores |= {i: torch.ones(graph.facts[i].shape[0]) for i in whole}
    scores = {i: torch.nan_to_num(score.double().cpu(), posinf=0.0) for i, score in scores.items()}
    plain: dict[int, Floats] = {i: score.numpy() for i, score in scores.items()}
    middles = {i: _middles(single[i]) for i in layers if isinstance(graph.ops[i], Conv2d)}
    return {names[i]: score.float() for i, score in scores.items()}, summary(graph, plain, middles)


def _gate(graph: Graph, names: Mapping[int, str], layer: int) -> str:
    """Returns the name of the batch normalisation that alone takes a layer's output, empty where there is none."""
    users = graph.consumers()[layer]
    return names[users[0]] if len(users) == 1 and isinstance(graph.ops[users[0]], BatchNorm) else ""


def _weight(part: nn.Module) -> Tensor:
    weight = part.weight
    assert isinstance(weight, Tensor)
    return weight.detach()


def _relative(weights: Tensor) -> Tensor:
    """Returns the sum of each row of absolute weights in multiples of the mean row; ones where all are zero."""
    rows = weights.flatten(1).sum(1)
    return rows / rows.mean() if rows.sum() > 0 else torch.ones_like(rows)


_Layers = Mapping[int, tuple[str, str]]
"""Node to the name of its module and of the batch normalisation behind it."""


def _taylor(
    module: nn.Module,
    parts: Mapping[str, nn.Module],
    layers: _Layers,
    channels: Mapping[int, int],
    batches: Iterator[tuple[Tensor, Tensor]],
) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
    """Returns for each layer the sum over batches of the squared change, and of the absolute change a single weight makes.

    A layer with a number of `channels` is switched off as a whole, and each of them given an equal share.
    """
    module.eval()  # as it is judged: without dropout, with the statistics of all images
    scores: dict[int, Tensor] = {}
    single: dict[int, Tensor] = {}
    for x, y in batches:
        module.zero_grad(set_to_none=True)
        F.cross_entropy(module(x).float(), y).backward()  # type: ignore[no-untyped-call]
        for i, (name, gate) in layers.items():
            if i in channels:
                all_of_it = torch.stack([_change(p).sum() for p in parts[name].parameters()]).sum()
                scores[i] = scores.get(i, 0.0) + all_of_it**2 / channels[i] * torch.ones(channels[i], device=x.device)
                continue
            change = sum(_change(p).reshape(len(p), -1).sum(1) for p in parts[gate or name].parameters(recurse=False))
            scores[i] = scores.get(i, 0.0) + torch.as_tensor(change) ** 2
            weight = parts[name].weight
            assert isinstance(weight, Tensor)
            single[i] = single.get(i, 0.0) + _change(weight).abs()
    module.zero_grad(set_to_none=True)
    return scores, single


def _change(parameter: Tensor) -> Tensor:
    """Returns the first-order change of the loss when each value becomes zero; zero where the loss does not depend on it."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.detach() * parameter.grad


def _middles(single: Tensor) -> list[float]:
    """Returns the shares of a kernel's scores that lie in its middle, one pixel less on each side a step."""
    height, width = single.shape[2:]
    whole = single.sum().item()
    found = []
    for h, w in middle_sizes((height, width)):
        top, left = (height - h) // 2, (width - w) // 2
        inside = single[:, :, top : top + h, left : left + w].sum().item()
        found.append(inside / whole if whole > 0 else h * w / (height * width))
    return found


def _batches(dataset: Dataset, recipe: Recipe, seed: int, device: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields batches of training images as they are, without augmentation, drawn by the seed."""
    place = torch.device(device)
    images, labels = placed(dataset.images("train"), place), placed(dataset.labels("train"), place)
    normalise = normaliser(dataset, place, torch.contiguous_format)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed)).to(place)
    for chosen in torch.split(order[: BATCHES * recipe.batch_size], recipe.batch_size):
        yield normalise(images[chosen]), labels[chosen]
