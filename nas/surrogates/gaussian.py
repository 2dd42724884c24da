"""A Gaussian process whose every group of features has a weight of its own, learnt from the data.

Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning": prediction is their equations 2.25 and 2.26, algorithm 2.1;
the marginal likelihood and its gradient equations 5.8 and 5.9. The kernel is Matern's with nu = 5/2 (equation 4.17), over the
distance r with r^2 = sum over groups of (weight x squared distance in the features of the group). Weights, signal and noise are
those of the largest posterior density: marginal likelihood times log-normal priors, which keep many weights from being fitted
to few points. The observations are taken as standardised by the caller.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_ROOT5 = math.sqrt(5)
_JITTER = 1e-6
_STEPS = 40

PRIOR_NOISE = (math.log(1e-2), 1.5)
PRIOR_SIGNAL = (0.0, 1.0)
PRIOR_WEIGHT_DEVIATION = 1.5
PRIOR_REACH = 1.0
"""Squared distance r^2 that two average points have under the prior's mean weights."""


@dataclass(frozen=True)
class Scales:
    """What is learnt of a Gaussian process.

    Attributes:
        weights: `(g,)` of each group of features, inverse squared length scales.
        signal: Variance of the function.
        noise: Variance of an observation about it.
    """

    weights: Floats
    signal: float
    noise: float


class GaussianProcess:
    """The posterior after observations.

    Args:
        x: `(n, d)` features.
        y: `(n,)` observations, of mean about 0.
        groups: `(d,)` the group each feature belongs to.
        scales: Learnt by `fit`.
    """

    def __init__(self, x: Floats, y: Floats, groups: NDArray[np.int64], scales: Scales) -> None:
        self._scales = scales
        self._stretch = np.sqrt(scales.weights)[groups]
        self._x = x * self._stretch
        covariance = scales.signal * matern(squared_distances(self._x, self._x))
        covariance[np.diag_indices_from(covariance)] += scales.noise + _JITTER
        lower = np.linalg.cholesky(covariance)
        self._whiten = np.linalg.inv(lower)  # numpy has no triangular solve; K^-1 = whiten.T @ whiten
        self._alpha = self._whiten.T @ (self._whiten @ y)

    def predict(self, x: Floats) -> tuple[Floats, Floats]:
        """Returns mean and standard deviation of the function itself, without the noise of an observation.

        Args:
            x: `(m, d)` features.

        Returns:
            Two arrays `(m,)`.
        """
        cross = self._scales.signal * matern(squared_distances(x * self._stretch, self._x))  # (m, n)
        explained = np.square(cross @ self._whiten.T).sum(axis=1)
        return cross @ self._alpha, np.sqrt(np.maximum(self._scales.signal - explained, 1e-12))


def matern(r2: Floats) -> Floats:
    """Returns Matern's correlation of nu = 5/2 at squared distances."""
    r = _ROOT5 * np.sqrt(r2)
    return np.asarray((1 + r + r * r / 3) * np.exp(-r), dtype=np.float64)


def squared_distances(a: Floats, b: Floats) -> Floats:
    """Returns `(n, m)` squared Euclidean distances between rows of `(n, d)` and `(m, d)`, never below 0."""
    norms = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)[None, :]
    return np.asarray(np.maximum(norms - 2 * (a @ b.T), 0.0), dtype=np.float64)


def fit(x: Floats, y: Floats, groups: NDArray[np.int64], steps: int = _STEPS) -> Scales:
    """Returns the scales of the largest posterior density, found by climbing its gradient (Rprop) from the prior's mean.

    Args:
        x: `(n, d)` features, each group scaled to a mean squared distance of about 1 between points.
        y: `(n,)` observations of mean 0 and variance 1.
        groups: `(d,)` the group each feature belongs to, from 0.
        steps: Gradients computed.
    """
    count = int(groups.max()) + 1 if len(groups) else 0
    apart = np.array([squared_distances(x[:, groups == g], x[:, groups == g]) for g in range(count)])  # (g, n, n)
    apart = apart.reshape(count, len(x), len(x))
    middle = np.array([*[math.log(PRIOR_REACH / max(count, 1))] * count, PRIOR_SIGNAL[0], PRIOR_NOISE[0]])
    width = np.array([*[PRIOR_WEIGHT_DEVIATION] * count, PRIOR_SIGNAL[1], PRIOR_NOISE[1]])
    theta, best = middle.copy(), (math.inf, middle)
    stride, before = np.full(len(theta), 0.3), np.zeros(len(theta))
    for _ in range(steps):
        value, slope = _energy(theta, apart, y)
        value += float(np.square((theta - middle) / width).sum() / 2)
        slope = slope + (theta - middle) / width**2
        if value < best[0]:
            best = value, theta
        agrees = np.sign(slope * before)
        stride = np.clip(stride * np.where(agrees > 0, 1.3, np.where(agrees < 0, 0.5, 1.0)), 1e-3, 1.0)
        before = np.where(agrees < 0, 0.0, slope)
        theta = theta - np.sign(before) * stride
    learnt = np.exp(best[1])
    return Scales(learnt[:count], float(learnt[count]), float(learnt[count + 1]))


def _energy(theta: Floats, apart: Floats, y: Floats) -> tuple[float, Floats]:
    """Returns the negative log marginal likelihood (without its constant) and its gradient in the logarithms `theta`."""
    weights, (signal, noise) = np.exp(theta[:-2]), np.exp(theta[-2:])
    r2 = np.tensordot(weights, apart, axes=1)  # (n, n)
    r = _ROOT5 * np.sqrt(r2)
    decay = np.exp(-r)
    covariance = signal * (1 + r + r * r / 3) * decay
    total = covariance + (noise + _JITTER) * np.eye(len(y))
    lower = np.linalg.cholesky(total)
    whiten = np.linalg.inv(lower)
    precision = whiten.T @ whiten
    alpha = precision @ y
    value = float(y @ alpha / 2 + np.log(np.diag(lower)).sum())
    pull = precision - np.outer(alpha, alpha)  # dvalue = tr(pull dK) / 2
    by_r2 = pull * (-signal * 5 / 6 * (1 + r) * decay)
    slope = [*(weights * np.tensordot(apart, by_r2, axes=2)), (pull * covariance).sum(), noise * np.trace(pull)]
    return value, np.array(slope) / 2
