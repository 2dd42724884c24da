"""Tests of nas/augment.py and nas/averaging.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas.augment import augmented, colour_axes, cut_out, mix_shares, mixed, recoloured
from nas.averaging import Average


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_augmentation_moves_whole_images() -> None:
    images = torch.arange(2 * 2 * 5 * 4, dtype=torch.uint8).reshape(2, 2, 5, 4)
    padded = nn.functional.pad(images.float(), (2, 2, 2, 2), mode="reflect").to(torch.uint8)
    chosen = torch.tensor([1, 0, 1, 1, 0, 0, 1, 0])
    batch = augmented(images, chosen, 2, True, torch.Generator().manual_seed(0))
    assert (batch.shape, batch.dtype) == ((8, 2, 5, 4), torch.uint8)
    found = set()
    for image, index in zip(batch, chosen, strict=True):
        matches = matches_of(image, padded[index])
        assert matches
        found |= matches
    assert len(found) > 4


def matches_of(image: Tensor, padded: Tensor) -> set[tuple[int, int, bool]]:
    cuts = {(dy, dx): padded[:, dy : dy + 5, dx : dx + 4] for dy in range(5) for dx in range(5)}
    return {
        (*at, mirrored)
        for at, cut in cuts.items()
        for mirrored in (False, True)
        if torch.equal(cut.flip(2) if mirrored else cut, image)
    }


def test_without_augmentation_the_images_are_gathered_as_they_are() -> None:
    images = torch.arange(12, dtype=torch.uint8).reshape(3, 1, 2, 2)
    assert torch.equal(augmented(images, torch.tensor([2, 0]), 0, False, torch.Generator()), images[[2, 0]])
    one_pixel = augmented(images[:, :, :1, :1], torch.tensor([2, 0]), 3, True, torch.Generator())
    assert torch.equal(one_pixel, images[[2, 0], :, :1, :1])


def test_floats_move_like_bytes() -> None:
    images = torch.randint(0, 255, (6, 3, 7, 5), dtype=torch.uint8)
    chosen = torch.tensor([5, 0, 3])
    expected = augmented(images, chosen, 3, True, seeded(4))
    assert torch.equal(augmented(images.float(), chosen, 3, True, seeded(4)), expected.float())


def test_a_square_is_cut_out_anywhere() -> None:
    x = cut_out(torch.ones(400, 2, 6, 9), 3, seeded())
    gone = x[:, 0] == 0
    assert torch.equal(gone, x[:, 1] == 0)
    sizes = set()
    for image in gone:
        rows, columns = image.any(1).nonzero().flatten(), image.any(0).nonzero().flatten()
        assert image.sum() == len(rows) * len(columns) > 0, "no rectangle"
        sizes.add((len(rows), len(columns)))
    assert sizes == {(h, w) for h in (2, 3) for w in (2, 3)}, "3 x 3, less at an edge"
    assert gone.float().mean(0).min() > 0, "every pixel can go"
    assert torch.equal(cut_out(torch.ones(2, 1, 4, 4), 99, seeded()), torch.zeros(2, 1, 4, 4))


def test_colours_vary_along_the_components_of_the_images() -> None:
    rng = np.random.default_rng(0)
    main = np.array([0.6, 0.0, 0.8])
    colours = rng.normal(0, 1, (50, 1, 36)) * main[:, None] + rng.normal(0, 0.01, (50, 3, 36))
    images, std = colours.reshape(50, 3, 6, 6).astype(np.float32), (0.5, 1.0, 2.0)
    axes = colour_axes(images, std)
    strongest = axes[:, axes.norm(dim=0).argmax()].double().numpy() * np.array(std)
    assert np.abs(strongest / np.linalg.norm(strongest)) == pytest.approx(main, abs=0.01)
    assert np.linalg.norm(strongest) == pytest.approx(1, rel=0.1), "multiplied by the eigenvalue, which is 1"
    x = recoloured(torch.zeros(2000, 3, 2, 2), axes, 0.1, seeded())
    assert torch.equal(x, x[:, :, :1, :1].expand_as(x)), "all pixels of an image alike"
    assert x.std(0)[:, 0, 0].double().numpy() * np.array(std) == pytest.approx(0.1 * main, rel=0.2, abs=0.01)
    as_bytes = (np.clip(images, 0, 1) * 255).astype(np.uint8)
    assert colour_axes(as_bytes, std) == pytest.approx(colour_axes(as_bytes.astype(np.float32) / 255, std), abs=1e-5)


def test_images_are_mixed_with_others_of_their_batch() -> None:
    x = torch.randn(5, 1, 2, 2)
    both, others = mixed(x, torch.tensor(0.7), seeded())
    assert sorted(others.tolist()) == list(range(5))
    assert torch.allclose(both, 0.7 * x + 0.3 * x[others])
    shares = mix_shares(0.4, 2000, 3, 1)
    assert (shares.min() >= 0, shares.max() <= 1) == (True, True)
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(1 / (4 * 1.8), abs=0.02), "that of Beta(0.4, 0.4)"
    assert torch.equal(shares, mix_shares(0.4, 2000, 3, 1))
    assert not torch.equal(shares, mix_shares(0.4, 2000, 3, 2))


def test_an_average_follows_and_forgets_the_beginning() -> None:
    module = nn.Sequential(nn.Linear(2, 1, bias=False), nn.BatchNorm1d(1))
    average = Average(module, 0.5)
    weights = [torch.randn(1, 2) for _ in range(12)]
    expected = module[0].weight.detach().clone()
    for step, weight in enumerate(weights):
        module[0].weight.data.copy_(weight)
        module[1].num_batches_tracked.add_(1)
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight
    assert torch.allclose(average.module[0].weight, expected, atol=1e-6)
    assert average.module[1].num_batches_tracked == 12
    assert torch.equal(module[0].weight, weights[-1])
    live = average.take_over()
    assert torch.equal(live["0.weight"], weights[-1])
    assert torch.equal(module[0].weight, average.module[0].weight)
