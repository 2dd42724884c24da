"""Mean and standard deviation of channels, a few images at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.content import chunks


def channel_statistics(images: NDArray[Any]) -> tuple[list[float], list[float]]:
    """Returns mean and standard deviation (of the population) of each channel, bytes divided by 255.

    Args:
        images: `(N, C, H, W)`; bytes are counted, so that their figures are exact; floats take two passes in double precision.
    """
    channels, bytes_each = images.shape[1], int(np.prod(images.shape[1:])) * images.dtype.itemsize
    if images.dtype == np.uint8:
        table = np.zeros((channels, 256), dtype=np.int64)
        for part in chunks(len(images), bytes_each):
            for channel in range(channels):
                table[channel] += np.bincount(images[part, channel].ravel(), minlength=256)
        values, total = np.arange(256) / 255, table.sum(1)
        means = table @ values / total
        variances = (table * (values - means[:, None]) ** 2).sum(1) / total
        return means.tolist(), np.sqrt(variances).tolist()
    pixels = len(images) * images.shape[2] * images.shape[3]
    means, variances = np.zeros(channels), np.zeros(channels)
    for part in chunks(len(images), bytes_each):
        means += images[part].sum((0, 2, 3), dtype=np.float64) / pixels
    for part in chunks(len(images), bytes_each):
        variances += ((images[part] - means[:, None, None]) ** 2).sum((0, 2, 3)) / pixels
    deviations = np.sqrt(variances)
    deviations[deviations <= 1e-7 * np.abs(means)] = 0.0  # what float32 makes of a constant
    return means.tolist(), deviations.tolist()
