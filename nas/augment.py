"""Augmentation of whole batches on the device where they are trained on; every random number comes from a generator that is given.

Shifts and mirror images move stored values; the others change normalised ones, of which the mean is 0.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def augmented(images: Tensor, chosen: Tensor, shift: int, flip: bool, generator: torch.Generator) -> Tensor:
    """Gathers a batch, each image shifted by its own offset and mirrored by its own coin.

    Whole rows are moved, then whole columns of what came out of it, which is quicker than moving every pixel by itself.

    Args:
        images: `(N, C, H, W)`.
        chosen: Indices `(B,)` into them.
        shift: Largest offset in pixels, both directions; what comes in at an edge is the image reflected there.
        flip: Whether to mirror half of the images.
        generator: On the device of the images.

    Returns:
        `(B, C, H, W)`, of the type of `images`.
    """
    if not shift and not flip:
        return images[chosen]
    place, count, (channels, height, width) = images.device, len(chosen), images.shape[1:]
    rows = torch.arange(height, device=place).expand(count, height)
    columns = torch.arange(width, device=place).expand(count, width)
    if shift:
        rows = _reflected(rows, min(shift, height - 1), generator)
        columns = _reflected(columns, min(shift, width - 1), generator)
    if flip:
        mirrored = torch.rand((count, 1), generator=generator, device=place) < 0.5
        columns = torch.where(mirrored, width - 1 - columns, columns)
    planes = chosen[:, None] * channels + torch.arange(channels, device=place)  # (B, C)
    rows = planes[:, :, None] * height + rows[:, None, :]  # (B, C, H)
    moved = images.reshape(-1, width).index_select(0, rows.flatten()).view(count, channels * height, width)
    columns = columns + width * torch.arange(count, device=place)[:, None]  # (B, W)
    turned = moved.transpose(1, 2).reshape(count * width, channels * height).index_select(0, columns.flatten())
    return turned.view(count, width, channels, height).permute(0, 2, 3, 1)  # (B, C, H, W)


def _reflected(places: Tensor, shift: int, generator: torch.Generator) -> Tensor:
    """Moves each row of places `(B, n)` by its own offset; a place beyond an edge becomes its mirror image inside."""
    last = places.shape[1] - 1
    moved = places + torch.randint(-shift, shift + 1, (len(places), 1), generator=generator, device=places.device)
    return last - (last - moved.abs()).abs()


def cut_out(x: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Sets a square of each image to the mean, which is 0 (DeVries and Taylor 2017, section 3).

    Args:
        x: Normalised, `(B, C, H, W)`; changed in place.
        size: Side of the square in pixels; its middle lies anywhere in the image, so that a part may lie outside.
        generator: On the device of the images.

    Returns:
        `x`.
    """
    count, (height, width) = len(x), x.shape[2:]
    inside = [_covered(length, size, count, generator) for length in (height, width)]
    return x.masked_fill_((inside[0][:, :, None] & inside[1][:, None, :])[:, None], 0.0)


def _covered(length: int, size: int, count: int, generator: torch.Generator) -> Tensor:
    """Returns which places of each image one side of its square covers, `(count, length)`."""
    first = torch.randint(0, length, (count, 1), generator=generator, device=generator.device) - size // 2
    places = torch.arange(length, device=generator.device)
    return (places >= first) & (places < first + size)


def colour_axes(images: NDArray[np.generic], std: tuple[float, ...]) -> Tensor:
    """Returns what `recoloured` needs of the training images: how their colours vary.

    Principal components of the values of all pixels, each multiplied by its eigenvalue (Krizhevsky et al. 2012, section 4.1), with
    bytes divided by 255. So many images are looked at, spread evenly, that they have about `_PIXELS` pixels.

    Args:
        images: As stored, `(N, 3, H, W)`.
        std: Standard deviation of each channel, as `Dataset.std` gives it.

    Returns:
        `(3, 3)`: column i is component i in normalised colours.
    """
    some = np.asarray(images[:: -(-images.size // (3 * _PIXELS))], dtype=np.float64) / (255.0 if images.dtype == np.uint8 else 1.0)
    values, vectors = np.linalg.eigh(np.cov(some.swapaxes(0, 1).reshape(3, -1)))
    return torch.from_numpy((vectors * values / np.array(std)[:, None]).astype(np.float32))


_PIXELS = 2**21


def recoloured(x: Tensor, axes: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Adds to all pixels of an image the same random multiples of the principal components of colour.

    Args:
        x: Normalised, `(B, 3, H, W)`; changed in place.
        axes: From `colour_axes`, on the device of the images.
        strength: Standard deviation of the multiples; 0.1 in Krizhevsky et al. 2012, section 4.1.
        generator: On the device of the images.

    Returns:
        `x`.
    """
    alpha = torch.randn((len(x), 3), generator=generator, device=x.device) * strength
    return x.add_((alpha @ axes.T)[:, :, None, None])


def mix_shares(alpha: float, steps: int, seed: int, epoch: int) -> Tensor:
    """Returns the share of the first image in each step's mixtures, `(steps,)`: Beta(alpha, alpha), one a batch."""
    return torch.from_numpy(np.random.default_rng([seed, epoch]).beta(alpha, alpha, steps).astype(np.float32))


def mixed(x: Tensor, share: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mixes each image of a batch with another one of it (Zhang et al. 2018, "mixup").

    Args:
        x: `(B, C, H, W)`.
        share: Of the image itself, `()`; the rest is the other one's.
        generator: On the device of the images.

    Returns:
        The mixtures, and the places of the others in the batch, `(B,)`.
    """
    others = torch.randperm(len(x), generator=generator, device=x.device)
    return torch.lerp(x[others], x, share), others
