"""The Gaussian process: against the formulas written down directly, and what it learns."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nas.surrogates import gaussian
from nas.surrogates.gaussian import GaussianProcess, Scales, fit, matern, squared_distances

GROUPS = np.array([0, 0, 1])


def data(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, 3))
    y = np.sin(x[:, 2]) + 0.1 * rng.standard_normal(count)
    return x, (y - y.mean()) / y.std()


def kernel(a: np.ndarray, b: np.ndarray, scales: Scales) -> float:
    """Rasmussen and Williams 2006, equation 4.17 for nu = 5/2, written for two points."""
    r = math.sqrt(sum(scales.weights[g] * (u - v) ** 2 for g, u, v in zip(GROUPS, a, b, strict=True)))
    return scales.signal * (1 + math.sqrt(5) * r + 5 * r * r / 3) * math.exp(-math.sqrt(5) * r)


def test_the_posterior_is_that_of_the_textbook() -> None:
    x, y = data(15)
    points, _ = data(6, seed=1)
    scales = Scales(np.array([0.3, 0.8]), 1.3, 0.2)
    covariance = np.array([[kernel(a, b, scales) for b in x] for a in x]) + (0.2 + 1e-6) * np.eye(15)
    cross = np.array([[kernel(a, b, scales) for b in x] for a in points])
    inverse = np.linalg.inv(covariance)
    mean, deviation = GaussianProcess(x, y, GROUPS, scales).predict(points)
    assert mean == pytest.approx(cross @ inverse @ y)
    assert deviation**2 == pytest.approx(1.3 - np.diag(cross @ inverse @ cross.T))


def test_it_passes_through_exact_observations_and_knows_nothing_far_away() -> None:
    x, y = data(10)
    process = GaussianProcess(x, y, GROUPS, Scales(np.array([1.0, 1.0]), 1.0, 1e-9))
    mean, deviation = process.predict(x)
    assert mean == pytest.approx(y, abs=1e-3)
    assert deviation.max() < 0.01
    mean, deviation = process.predict(np.full((1, 3), 50.0))
    assert (mean[0], deviation[0]) == pytest.approx((0.0, 1.0))


def test_the_gradient_is_that_of_finite_differences() -> None:
    x, y = data(12)
    apart = np.array([squared_distances(x[:, :2], x[:, :2]), squared_distances(x[:, 2:], x[:, 2:])])
    theta = np.array([-1.0, 0.4, 0.2, -2.0])
    _, slope = gaussian._energy(theta, apart, y)
    for i in range(4):
        step = np.eye(4)[i] * 1e-5
        difference = gaussian._energy(theta + step, apart, y)[0] - gaussian._energy(theta - step, apart, y)[0]
        assert slope[i] == pytest.approx(difference / 2e-5, rel=1e-4, abs=1e-6)


def test_the_energy_is_the_negative_log_likelihood() -> None:
    x, y = data(8)
    scales = Scales(np.array([0.5, 0.7]), 1.1, 0.3)
    apart = np.array([squared_distances(x[:, :2], x[:, :2]), squared_distances(x[:, 2:], x[:, 2:])])
    covariance = np.array([[kernel(a, b, scales) for b in x] for a in x]) + (0.3 + 1e-6) * np.eye(8)
    expected = y @ np.linalg.solve(covariance, y) / 2 + np.linalg.slogdet(covariance)[1] / 2
    assert gaussian._energy(np.log([0.5, 0.7, 1.1, 0.3]), apart, y)[0] == pytest.approx(expected)


def test_it_learns_which_group_matters_and_how_noisy_observations_are() -> None:
    x, y = data(80)
    learnt = fit(x, y, GROUPS)
    assert learnt.weights[1] > 10 * learnt.weights[0]
    assert 0.003 < learnt.noise < 0.06
    noisy = fit(x, np.random.default_rng(4).standard_normal(80), GROUPS)
    assert noisy.noise > 10 * learnt.noise


def test_it_can_learn_from_points_that_differ_in_nothing() -> None:
    learnt = fit(np.zeros((5, 0)), np.zeros(5), np.zeros(0, dtype=np.int64))
    process = GaussianProcess(np.zeros((5, 0)), np.zeros(5), np.zeros(0, dtype=np.int64), learnt)
    mean, deviation = process.predict(np.zeros((2, 0)))
    assert mean.tolist() == [0.0, 0.0]
    assert np.isfinite(deviation).all()


def test_distances_and_correlation() -> None:
    a, b = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 0.0]])
    assert squared_distances(a, b).ravel().tolist() == [0.0, 25.0]
    assert matern(np.array([0.0]))[0] == 1.0
    assert matern(np.array([1e6]))[0] < 1e-12


def noisy(count: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, 3)) / np.sqrt([4.0, 4.0, 2.0])
    y = np.sin(2 * x[:, 0]) + x[:, 2]
    return x, y / y.std() * np.sqrt(1 - noise) + np.sqrt(noise) * rng.standard_normal(count)


@pytest.mark.parametrize("noise", [0.02, 0.2, 0.6])
def test_the_noise_is_estimated(noise: float) -> None:
    """Brief training is noisy: the share of the variance that no network explains is found, over a factor of 30."""
    learnt = [fit(*noisy(100, noise, seed), GROUPS).noise for seed in range(5)]
    assert noise / 2 < np.median(learnt) < noise * 2


def test_the_gradient_holds_with_a_trend() -> None:
    x, y = data(12)
    apart = np.array([squared_distances(x[:, :2], x[:, :2]), squared_distances(x[:, 2:], x[:, 2:])])
    known = gaussian._by_slopes(y[:, None], y[:, None])
    theta = np.array([-1.0, 0.4, 0.2, -2.0])
    _, slope = gaussian._energy(theta, apart, y, known)
    for i in range(4):
        step = np.eye(4)[i] * 1e-5
        up, down = (gaussian._energy(theta + sign * step, apart, y, known)[0] for sign in (1, -1))
        assert slope[i] == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("factor", [1.0, -1.0])
def test_a_trend_is_followed_as_far_as_the_points_agree_with_it(factor: float) -> None:
    """Right from the start and, once there are points, the right way round too; far from all points it is all there is."""
    x, y = noisy(30, 0.05)
    far, trend = x + 40, np.linspace(-1, 1, 30)[:, None]
    even = Scales(np.array([1.0, 1.0]), 1.0, 0.05)
    ahead, unsure = GaussianProcess(x[:0], y[:0], GROUPS, even, np.zeros((0, 1))).predict(far, trend)
    assert ahead == pytest.approx(gaussian.PRIOR_SLOPE[0] * trend[:, 0])
    assert unsure[15] < unsure[0]
    learnt = fit(x, y, GROUPS, factor * y[:, None])
    mean, _ = GaussianProcess(x, y, GROUPS, learnt, factor * y[:, None]).predict(far, trend)
    assert np.polyfit(trend[:, 0], mean, 1)[0] == pytest.approx(factor, abs=0.35)


def test_a_trend_that_says_nothing_is_left_aside() -> None:
    x, y = noisy(60, 0.05)
    noise = np.random.default_rng(5).standard_normal((60, 1))
    plain = GaussianProcess(x, y, GROUPS, fit(x, y, GROUPS)).predict(x + 0.01)[0]
    learnt = fit(x, y, GROUPS, noise)
    slope = GaussianProcess(x, y, GROUPS, learnt, noise).predict(x + 40, np.ones((60, 1)))[0]
    assert abs(slope).max() < 0.15
    assert GaussianProcess(x, y, GROUPS, learnt, noise).predict(x + 0.01, noise)[0] == pytest.approx(plain, abs=0.4)
