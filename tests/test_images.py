"""Tests of nas/images.py: bytes become floats in the layout that the network's values are to have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nas.data import Dataset, load_data
from nas.images import layout, moved, normaliser, placed

CPU = torch.device("cpu")


def made(folder: Path, channels: int, kind: type = np.uint8) -> Dataset:
    images = np.random.default_rng(0).integers(0, 255, (30, channels, 5, 4)).astype(kind)
    return load_data((images, np.arange(30) % 3), cache_dir=folder)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("memory", [torch.channels_last, torch.contiguous_format])
def test_images_get_mean_0_deviation_1_and_the_strides_of_the_layout(
    tmp_path: Path, channels: int, kind: type, memory: torch.memory_format
) -> None:
    dataset = made(tmp_path, channels, kind)
    images, labels = placed(dataset.images("train"), CPU), placed(dataset.labels("train"), CPU)
    assert (len(images), labels.dtype) == (len(labels), torch.int64)
    x = normaliser(dataset, CPU, memory)(images)
    expected = (20, 1, 4 * channels, channels) if memory == torch.channels_last else (20 * channels, 20, 4, 1)
    assert x.stride()[1:] == expected[1:], "a single channel too: torch goes by the strides"
    assert (x.dtype, x.shape) == (torch.float32, images.shape)
    assert x.mean((0, 2, 3)).abs().max() < 1e-5
    assert (x.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-5
    assert torch.equal(images, placed(dataset.images("train"), CPU))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_inside_a_network_on_a_cpu_every_value_lies_channels_last(tmp_path: Path, precision: str) -> None:
    """Of images with one channel too: in a mixture of layouts a step takes half as long again."""
    dataset = made(tmp_path, 1)
    module = moved(nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 2)), CPU, precision)
    seen = []
    for part in module:
        part.register_forward_hook(lambda _, __, out: seen.append(out.stride(1)))
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        module(normaliser(dataset, CPU, layout(CPU, precision))(placed(dataset.images("train"), CPU)))
    assert seen == [1, 1, 1, 1]


def test_an_accelerator_has_the_plain_layout_in_fp32() -> None:
    assert layout(torch.device("cuda"), "fp32") == torch.contiguous_format
    assert layout(torch.device("cuda"), "bf16") == torch.channels_last
