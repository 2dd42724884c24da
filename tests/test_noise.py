"""Intervals of means over seeds and folds: their coverage in simulations in which the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from nas.intervals import indistinguishable, wilson
from nas.noise import Noise, measured_noise


def seeds(rng: np.random.Generator, networks: int, trainings: int, images: int, *, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns true accuracies `(networks,)` and measured ones `(networks, trainings)`: each image has its own difficulty, all
    seeds of a network see the same images, and each seed moves the network as a whole."""
    ability = rng.normal(2.2, 0.5, networks)
    difficulty = rng.normal(0, 2, (networks, images))
    shift = rng.normal(0, spread, (networks, trainings))
    grid_d, grid_s = rng.normal(0, 2, 20_000), rng.normal(0, spread, 20_000)
    truth = np.array([(1 / (1 + np.exp(-(a + grid_d + grid_s)))).mean() for a in ability])
    chance = 1 / (1 + np.exp(-(ability[:, None, None] + difficulty[:, None, :] + shift[:, :, None])))
    return truth, (rng.random(chance.shape) < chance).mean(2)


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_the_interval_over_seeds_holds_the_truth(spread: float) -> None:
    rng, inside, narrow = np.random.default_rng(4), [], []
    for _ in range(60):
        truth, found = seeds(rng, 5, 3, 300, spread=spread)
        noise = measured_noise(found.tolist(), 300)
        assert noise is not None
        for true, own in zip(truth, found.mean(1), strict=True):
            low, high = noise.interval(own)
            inside.append(low <= true <= high)
            narrow.append(wilson(own, 300)[0] <= true <= wilson(own, 300)[1])
    assert 0.93 <= np.mean(inside) <= 0.999
    if spread:
        assert np.mean(narrow) < np.mean(inside) - 0.02, "that of the images alone is too narrow"


def test_the_interval_over_folds_holds_the_truth() -> None:
    """Folds whose training sets overlap: a part of what moves them is common to all."""
    rng, inside = np.random.default_rng(5), []
    for _ in range(300):
        common = rng.normal(0, 0.01, (4, 1))  # as correlated as one fifth of the training images, which is what folds do not share
        chance = np.clip(0.85 + common + rng.normal(0, 0.02, (4, 5)), 0, 1)
        found = rng.binomial(200, chance) / 200
        noise = measured_noise(found.tolist(), 1000, folds=5)
        assert noise is not None
        inside += [noise.interval(own)[0] <= 0.85 <= noise.interval(own)[1] for own in found.mean(1)]
    assert 0.93 <= np.mean(inside) <= 0.995


def test_without_spread_the_images_remain() -> None:
    still = Noise(0.0, 4, 3, 1000)
    assert still.interval(0.9) == pytest.approx(wilson(0.9, 1000))
    assert Noise(0.0, 4, 5, 1000, folds=5).interval(0.9) == pytest.approx(wilson(0.9, 1000))
    for other in (0.88, 0.875, 0.87):
        assert still.indistinguishable(0.9, other) == indistinguishable(0.9, other, 1000)


def test_it_lies_between_nothing_and_everything() -> None:
    for folds in (0, 3):
        wild = Noise(5.0, 2, 2, 10, folds)
        assert wild.interval(0.5) == (0.0, 1.0)
        assert wild.interval(1.0)[1] == 1.0 and wild.interval(0.0)[0] == 0.0


def test_more_trainings_tell_more_apart() -> None:
    assert Noise(1.0, 10, 2, 100_000).indistinguishable(0.9, 0.6)
    assert not Noise(1e-4, 100, 20, 100_000).indistinguishable(0.9, 0.88)
    assert Noise(1e-4, 100, 2, 100_000, folds=2).indistinguishable(0.9, 0.898)
    assert not Noise(1e-4, 100, 2, 100_000).indistinguishable(0.9, 0.89)


def test_the_spread_is_pooled() -> None:
    noise = measured_noise([[0.8, 0.82], [0.9, 0.9], [1.0, 1.0]], 500)
    assert noise is not None
    assert noise.freedom == 2, "a network that is always right tells nothing of the spread"
    assert noise.ratio == pytest.approx((0.0002 / (0.81 * 0.19) + 0.0) / 2)
    assert noise.deviation(0.5) == pytest.approx((noise.ratio * 0.25) ** 0.5)


def test_a_network_with_more_trainings_weighs_more() -> None:
    noise = measured_noise([[0.9, 0.9], [0.89, 0.9, 0.91, 0.9]], 500)
    assert noise is not None and noise.freedom == 4
    assert noise.ratio == pytest.approx(0.0002 / 4 / 0.09)


def test_nothing_to_measure() -> None:
    assert measured_noise([], 100) is None
    assert measured_noise([[0.9], [0.8]], 100) is None
    assert measured_noise([[0.9, 0.8]], 0) is None
