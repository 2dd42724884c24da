"""The reference itself: by the letter of the formulas, by finite differences, and against wrong ones that it must tell apart."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import reference as ref
from reference import Array

CONVOLUTIONS = [
    dict(stride=stride, sides=sides, mode=mode, dilation=dilation, groups=groups)
    for stride, sides, mode, dilation, groups in (
        ((1, 1), (0, 0, 0, 0), "zeros", (1, 1), 1),
        ((2, 3), (0, 0, 0, 0), "zeros", (1, 1), 1),  # skips pixels
        ((1, 1), (1, 2, 0, 3), "zeros", (1, 1), 1),
        ((2, 1), (2, 1, 1, 1), "reflect", (1, 1), 1),
        ((1, 2), (2, 2, 3, 1), "replicate", (2, 1), 1),
        ((1, 1), (3, 1, 2, 2), "circular", (1, 2), 2),
        ((2, 2), (1, 1, 1, 1), "zeros", (2, 2), 2),
    )
]
POOLINGS = [
    ("windows", ref.sliding((5, 6), kernel, stride, sides, ceil))
    for kernel, stride, sides, ceil in (
        ((2, 2), (2, 2), (0, 0, 0, 0), False),
        ((3, 2), (2, 1), (1, 1, 1, 1), False),
        ((3, 3), (1, 1), (1, 1, 1, 1), False),
        ((2, 3), (2, 2), (0, 0, 0, 0), True),
        ((1, 1), (2, 3), (0, 0, 0, 0), False),
    )
] + [("shares", ref.shares((5, 6), to)) for to in ((1, 1), (2, 4), (5, 6), (7, 3))]


def numeric(f: Callable[[Array], Array], x: Array, g: Array, step: float = 1e-5) -> Array:
    """Returns dL/dX of `L = sum(G f(X))` by central differences."""
    found = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        moved = [x.copy(), x.copy()]
        moved[0][at] += step
        moved[1][at] -= step
        found[at] = ((f(moved[0]) - f(moved[1])) * g).sum() / (2 * step)
    return found


def drawn(options: dict[str, object]) -> tuple[Array, Array, Array, Array]:
    """Returns images, kernels, offsets and a gradient from above that fit the options of a convolution."""
    rng = np.random.default_rng(0)
    groups = options["groups"]
    x, k, b = rng.standard_normal((2, 4, 5, 6)), rng.standard_normal((4, 4 // groups, 2, 3)), rng.standard_normal(4)  # type: ignore[operator]
    return x, k, b, rng.standard_normal(ref.convolution(x, k, b, **options).shape)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
def test_convolution_by_the_letter(options: dict[str, object]) -> None:
    """One sum after another, one number at a time."""
    x, k, b, _ = drawn(options)
    (s, t), (d, e), groups = options["stride"], options["dilation"], options["groups"]  # type: ignore[misc]
    padded = ref.pad(x, options["sides"], options["mode"])  # type: ignore[arg-type]
    found = ref.convolution(x, k, b, **options)  # type: ignore[arg-type]
    for n, o, i, j in np.ndindex(found.shape):
        total = b[o]
        for c, u, v in np.ndindex(k.shape[1:]):
            total += padded[n, o // (4 // groups) * k.shape[1] + c, i * s + u * d, j * t + v * e] * k[o, c, u, v]  # type: ignore[operator]
        assert abs(total - found[n, o, i, j]) < 1e-12


@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
def test_gradients_of_a_convolution_by_finite_differences(options: dict[str, object]) -> None:
    x, k, b, g = drawn(options)
    to_x = ref.input_gradient(g, k, (5, 6), **options)  # type: ignore[arg-type]
    to_k = ref.kernel_gradient(x, g, (2, 3), **options)  # type: ignore[arg-type]
    assert np.allclose(to_x, numeric(lambda x: ref.convolution(x, k, b, **options), x, g), atol=1e-8)  # type: ignore[arg-type]
    assert np.allclose(to_k, numeric(lambda k: ref.convolution(x, k, b, **options), k, g), atol=1e-8)  # type: ignore[arg-type]
    assert np.allclose(ref.bias_gradient(g), numeric(lambda b: ref.convolution(x, k, b, **options), b, g), atol=1e-8)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
def test_padding_is_that_of_numpy(options: dict[str, object]) -> None:
    x = np.random.default_rng(0).standard_normal((2, 2, 5, 6))
    names = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    above, below, left, right = options["sides"]  # type: ignore[misc]
    wanted = np.pad(x, ((0, 0), (0, 0), (above, below), (left, right)), names[options["mode"]])  # type: ignore[call-overload,index]
    assert np.array_equal(ref.pad(x, options["sides"], options["mode"]), wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize(("stride", "dilation"), list(product(((1, 1), (2, 3)), ((1, 1), (2, 1)))))
def test_a_convolution_is_a_matrix_product(stride: ref.Pair, dilation: ref.Pair) -> None:
    rng = np.random.default_rng(0)
    x, k = rng.standard_normal((2, 3, 6, 7)), rng.standard_normal((4, 3, 2, 3))
    y = ref.matrix_convolution(x, k, stride, dilation)
    g = rng.standard_normal(y.shape)
    assert np.allclose(y, ref.convolution(x, k, stride=stride, dilation=dilation), atol=1e-12)
    to_x, to_k = ref.matrix_gradients(x, k, g, stride, dilation)
    assert np.allclose(to_x, ref.input_gradient(g, k, (6, 7), stride=stride, dilation=dilation), atol=1e-12)
    assert np.allclose(to_k, ref.kernel_gradient(x, g, (2, 3), stride=stride, dilation=dilation), atol=1e-12)


def test_kernels_are_flipped_by_a_convolution_and_not_by_a_cross_correlation() -> None:
    dot, k = np.zeros((1, 1, 3, 3)), np.arange(4.0).reshape(1, 1, 2, 2)
    dot[0, 0, 1, 1] = 1
    assert np.array_equal(ref.cross_correlation(dot, k)[0, 0], [[3, 2], [1, 0]])
    assert np.array_equal(ref.full_convolution(dot, k)[0, 0], [[0, 0, 0, 0], [0, 0, 1, 0], [0, 2, 3, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("kind", ["max", "avg", "l2"])
@pytest.mark.parametrize(("name", "windows"), POOLINGS)
def test_gradients_of_poolings_by_finite_differences(kind: str, name: str, windows: ref.Windows) -> None:
    rng = np.random.default_rng(0)
    x = rng.permutation(120).reshape(2, 2, 5, 6) / 7 - 8  # far enough apart for the largest to stay the largest
    g = rng.standard_normal(ref.pool(x, kind, windows).shape)
    assert np.allclose(ref.pool_gradient(x, g, kind, windows), numeric(lambda x: ref.pool(x, kind, windows), x, g), atol=1e-7)


def test_poolings_by_hand() -> None:
    x = np.array([[[[3.0, 4.0, 4.0], [-1.0, 4.0, 0.0], [0.0, 0.0, 0.0]]]])
    windows = ref.sliding((3, 3), (2, 2), (2, 2), ceil=True)
    assert np.array_equal(ref.pool(x, "max", windows)[0, 0], [[4, 4], [0, 0]])
    assert np.array_equal(ref.pool(x, "avg", windows)[0, 0], [[2.5, 2], [0, 0]])
    assert np.array_equal(ref.pool(x, "l2", windows)[0, 0], [[np.sqrt(42), 4], [0, 0]])
    ones = np.ones((1, 1, 2, 2))
    assert np.array_equal(ref.pool_gradient(x, ones, "max", windows)[0, 0], [[0, 1, 1], [0, 0, 0], [1, 0, 1]])
    assert np.array_equal(ref.pool_gradient(x, ones, "avg", windows)[0, 0], [[0.25, 0.25, 0.5], [0.25, 0.25, 0.5], [0.5, 0.5, 1]])
    assert not ref.pool_gradient(0 * x, ones, "l2", windows).any()


@pytest.mark.parametrize(
    ("n", "k", "s", "p", "d", "ceil", "size"),
    [
        (5, 3, 1, 0, 1, False, 3),  # valid: n - k + 1
        (5, 3, 2, 0, 1, False, 2),
        (5, 3, 1, 1, 1, False, 5),  # same
        (5, 3, 2, 1, 1, False, 3),
        (5, 3, 3, 0, 1, False, 1),  # the slide's invalid stride
        (5, 3, 3, 0, 1, True, 2),
        (227, 11, 4, 0, 1, False, 55),
        (224, 11, 4, 2, 1, False, 55),
        (55, 3, 2, 0, 1, False, 27),
        (224, 7, 2, 3, 1, False, 112),
        (112, 3, 2, 1, 1, False, 56),
        (112, 3, 2, 0, 1, True, 56),
        (7, 3, 1, 0, 2, False, 3),
        (1, 1, 2, 0, 1, True, 1),
        (3, 2, 3, 1, 1, True, 2),
    ],
)
def test_sizes(n: int, k: int, s: int, p: int, d: int, ceil: bool, size: int) -> None:
    assert ref.output_size(n, k, s, p, d, ceil) == size
    last = (size - 1) * s - p
    assert last + d * (k - 1) < n + p or ceil, "the last window ends inside"
    assert last + s + d * (k - 1) >= n + p, "one more would not"


def test_same_padding_keeps_the_size() -> None:
    for n, k, s, d in product(range(1, 12), range(1, 6), range(1, 4), (1, 2)):
        before, behind = ref.same_padding(k, d)
        assert ref.output_size(n + before + behind, k, s, 0, d) == -(-n // s) and 0 <= behind - before <= 1


def test_strides_that_skip_pixels() -> None:
    assert ref.skipped(5, 3, 3) == 2 and ref.skipped(5, 3, 2) == 0 and ref.skipped(227, 11, 4) == 0 and ref.skipped(224, 11, 4) == 1


def test_normalisations_by_hand() -> None:
    x = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1, 1)
    wanted = [v / (1 + s) ** 0.5 for v, s in zip((1, 2, 3, 4), (5, 14, 29, 25), strict=True)]
    assert np.allclose(ref.local_response(x, 3, 3.0, 0.5, 1.0).ravel(), wanted)
    y = ref.batch_normalisation(x.transpose(1, 0, 2, 3), np.array([2.0]), np.array([1.0]), 0.0)
    assert np.allclose(y.ravel(), [1 + 2 * (v - 2.5) / np.sqrt(1.25) for v in (1, 2, 3, 4)])
