"""Images and networks on the device they are trained on: how they lie in memory, and how bytes become what a network sees."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

if TYPE_CHECKING:
    from nas.data import Dataset


def layout(place: torch.device, precision: str) -> torch.memory_format:
    """Returns how images and kernels lie in memory: channels last where that is quicker.

    On a CPU that is everywhere: pooling and normalisation of channels that lie apart are slow, in fp32 too. On an accelerator in
    bf16 only.
    """
    return torch.channels_last if place.type == "cpu" or precision == "bf16" else torch.contiguous_format


def moved(module: nn.Module, place: torch.device, precision: str) -> nn.Module:
    """Moves a module in place, its kernels into the `layout` of device and precision."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=layout(place, precision))
    return module.to(place)


def placed(array: NDArray[Any], place: torch.device) -> Tensor:
    """Returns an array on a device; on a CPU its own memory (the mapped pages themselves), which nothing may be written to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(np.asarray(array)).to(place)


def resized(images: Tensor, sides: tuple[int, int]) -> Tensor:
    """Returns float images `(N, C, H, W)` at another size, by the rule of `nas.ops.Resize2d`; themselves where they have it."""
    if images.shape[2:] == sides:
        return images
    return F.interpolate(images, sides, mode="bilinear", antialias=True)  # keeps the layout, by strides too


def normaliser(dataset: Dataset, place: torch.device, memory: torch.memory_format) -> Callable[[Tensor], Tensor]:
    """Returns what turns stored images into float ones of mean 0 and deviation 1 in each channel.

    It gives a copy in the memory format asked for. For images of one channel that says nothing to a person, but decides in which
    layout every value inside the network is: torch goes by the strides, so they are those of the format here.
    """
    mean, std = (torch.tensor(v, device=place).view(1, -1, 1, 1) for v in (dataset.mean, dataset.std))
    offset, factor = -mean / std, 1 / (std * dataset.preprocessing["divide_by"])

    def normalise(batch: Tensor) -> Tensor:
        # in this order: to cast bytes into another layout, or to scale channels side by side, takes a CPU longer
        floats = batch.to(torch.float32, copy=True).mul_(factor).add_(offset)
        return torch.empty(floats.shape, device=place, memory_format=memory).copy_(floats)

    return normalise
