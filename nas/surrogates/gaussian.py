"""A Gaussian process whose every group of features has a weight of its own, learnt from the data.

Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning": prediction is their equations 2.25 and 2.26, algorithm 2.1;
the marginal likelihood and its gradient equations 5.8 and 5.9. The kernel is Matern's with nu = 5/2 (equation 4.17), over the
distance r with r^2 = sum over groups of (weight x squared distance in the features of the group). Weights, signal and noise are
those of the largest posterior density: marginal likelihood times log-normal priors, which keep many weights from being fitted
to few points. The observations are taken as standardised by the caller.

What others predict for a point, its trend, may enter as well: an observation is then the sum of the predictions, each times a
slope, of the process, and of noise, where the slopes have a normal prior and are integrated out (section 2.7, equations 2.38 to
2.40). With predictions learnt from another function this is the autoregressive model of Kennedy and O'Hagan 2000, "Predicting the
output from a complex computer code when fast approximations are available", with slopes that the points decide: a prediction that
misleads ends with a slope near 0, one that is the wrong way round below it.
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

PRIOR_SLOPE = (0.5, 0.5)
"""Mean and standard deviation of a slope; the mean is shared among several."""
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
        trend: `(n, s)` predictions of others, of mean about 0; None: there are none.
    """

    def __init__(self, x: Floats, y: Floats, groups: NDArray[np.int64], scales: Scales, trend: Floats | None = None) -> None:
        self._scales = scales
        self._stretch = np.sqrt(scales.weights)[groups]
        self._x, self._trend = x * self._stretch, _trend(trend, len(x))
        covariance = scales.signal * matern(squared_distances(self._x, self._x)) + _by_slopes(self._trend, self._trend)
        covariance[np.diag_indices_from(covariance)] += scales.noise + _JITTER
        lower = np.linalg.cholesky(covariance)
        self._whiten = np.linalg.inv(lower)  # numpy has no triangular solve; K^-1 = whiten.T @ whiten
        self._alpha = self._whiten.T @ (self._whiten @ (y - _expected(self._trend)))

    def mean(self, x: Floats) -> Floats:
        """Returns the mean alone, of a process without trend, for which it needs no variance: `(m,)`."""
        return np.asarray(self._covariance(x, _trend(None, len(x))) @ self._alpha, dtype=np.float64)

    def predict(self, x: Floats, trend: Floats | None = None) -> tuple[Floats, Floats]:
        """Returns mean and standard deviation of the function itself, without the noise of an observation.

        Args:
            x: `(m, d)` features.
            trend: `(m, s)` predictions of others.

        Returns:
            Two arrays `(m,)`.
        """
        trend = _trend(trend, len(x))
        cross = self._covariance(x, trend)
        explained = np.square(cross @ self._whiten.T).sum(axis=1)  # (m, n) -> (m,)
        prior = self._scales.signal + PRIOR_SLOPE[1] ** 2 * np.square(trend).sum(axis=1)
        return _expected(trend) + cross @ self._alpha, np.sqrt(np.maximum(prior - explained, 1e-12))

    def _covariance(self, x: Floats, trend: Floats) -> Floats:
        """Returns the prior covariance `(m, n)` with the points."""
        return self._scales.signal * matern(squared_distances(x * self._stretch, self._x)) + _by_slopes(trend, self._trend)


def _trend(trend: Floats | None, count: int) -> Floats:
    return np.zeros((count, 0)) if trend is None else trend


def _expected(trend: Floats) -> Floats:
    """Returns what is expected of `(n, s)` predictions before any observation."""
    return np.asarray(trend.sum(axis=1) * (PRIOR_SLOPE[0] / max(trend.shape[1], 1)), dtype=np.float64)


def _by_slopes(a: Floats, b: Floats) -> Floats:
    """Returns the covariance `(n, m)` that unknown slopes give points with the predictions `(n, s)` and `(m, s)`."""
    return np.asarray(PRIOR_SLOPE[1] ** 2 * (a @ b.T), dtype=np.float64)


def matern(r2: Floats) -> Floats:
    """Returns Matern's correlation of nu = 5/2 at squared distances."""
    r = _ROOT5 * np.sqrt(r2)
    return np.asarray((1 + r + r * r / 3) * np.exp(-r), dtype=np.float64)


def squared_distances(a: Floats, b: Floats) -> Floats:
    """Returns `(n, m)` squared Euclidean distances between rows of `(n, d)` and `(m, d)`, never below 0."""
    norms = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)[None, :]
    return np.asarray(np.maximum(norms - 2 * (a @ b.T), 0.0), dtype=np.float64)


def fit(x: Floats, y: Floats, groups: NDArray[np.int64], trend: Floats | None = None, steps: int = _STEPS) -> Scales:
    """Returns the scales of the largest posterior density, found by climbing its gradient (Rprop) from the prior's mean.

    Args:
        x: `(n, d)` features, each group scaled to a mean squared distance of about 1 between points.
        y: `(n,)` observations of mean 0 and variance 1.
        groups: `(d,)` the group each feature belongs to, from 0.
        trend: `(n, s)` predictions of others, of mean about 0; None: there are none.
        steps: Gradients computed.
    """
    count = int(groups.max()) + 1 if len(groups) else 0
    apart = np.array([squared_distances(x[:, groups == g], x[:, groups == g]) for g in range(count)])  # (g, n, n)
    apart = apart.reshape(count, len(x), len(x))
    trend = _trend(trend, len(x))
    y, known = y - _expected(trend), _by_slopes(trend, trend)
    middle = np.array([*[math.log(PRIOR_REACH / max(count, 1))] * count, PRIOR_SIGNAL[0], PRIOR_NOISE[0]])
    width = np.array([*[PRIOR_WEIGHT_DEVIATION] * count, PRIOR_SIGNAL[1], PRIOR_NOISE[1]])
    theta, best = middle.copy(), (math.inf, middle)
    stride, before = np.full(len(theta), 0.3), np.zeros(len(theta))
    for _ in range(steps):
        value, slope = _energy(theta, apart, y, known)
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


def _energy(theta: Floats, apart: Floats, y: Floats, known: Floats | float = 0.0) -> tuple[float, Floats]:
    """Returns the negative log marginal likelihood (without its constant) and its gradient in the logarithms `theta`.

    Args:
        theta: Logarithms of the weights, of the signal, and of the noise.
        apart: `(g, n, n)` squared distances in each group.
        y: `(n,)` observations.
        known: `(n, n)` covariance that does not depend on `theta`.
    """
    weights, (signal, noise) = np.exp(theta[:-2]), np.exp(theta[-2:])
    r2 = np.tensordot(weights, apart, axes=1)  # (n, n)
    r = _ROOT5 * np.sqrt(r2)
    decay = np.exp(-r)
    covariance = signal * (1 + r + r * r / 3) * decay
    total = covariance + known + (noise + _JITTER) * np.eye(len(y))
    lower = np.linalg.cholesky(total)
    whiten = np.linalg.inv(lower)
    precision = whiten.T @ whiten
    alpha = precision @ y
    value = float(y @ alpha / 2 + np.log(np.diag(lower)).sum())
    pull = precision - np.outer(alpha, alpha)  # dvalue = tr(pull dK) / 2
    by_r2 = pull * (-signal * 5 / 6 * (1 + r) * decay)
    slope = [*(weights * np.tensordot(apart, by_r2, axes=2)), (pull * covariance).sum(), noise * np.trace(pull)]
    return value, np.array(slope) / 2
