"""The rule for values of arrays, and the figures of channels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from nas.data import content
from nas.data.statistics import channel_statistics
from nas.data.values import converted, value_rule

SHAPE = (3, 2, 4, 5)


def through(*arrays: np.ndarray) -> list[np.ndarray]:
    factor, dtype = value_rule(list(arrays))
    return [converted(array, factor, dtype) for array in arrays]


@given(npst.arrays(np.uint8, SHAPE), st.sampled_from(["uint8", "int64", "int16", "float64", "float32", "float16"]))
def test_whole_numbers_that_fit_become_bytes(pixels: np.ndarray, dtype: str) -> None:
    pixels[0, 0, 0, 0] = 200  # below 2, whole floats are shares of 255
    (out,) = through(pixels.astype(dtype))
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(out, pixels)


@given(npst.arrays(np.uint8, SHAPE), st.sampled_from(["float64", "float32", "float16"]))
def test_bytes_divided_by_255_become_these_bytes(pixels: np.ndarray, dtype: str) -> None:
    (out,) = through((pixels / 255).astype(dtype))
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(out, pixels)


def test_booleans_become_black_and_white() -> None:
    (out,) = through(np.array([True, False]).reshape(1, 1, 1, 2))
    assert out.dtype == np.uint8
    assert out.ravel().tolist() == [255, 0]


@pytest.mark.parametrize("values", [[0.0, 0.5], [-1.0, 1.0], [0.0, 256.0], [0, 256], [-1, 3], [0.5, 200.0]])
def test_anything_else_stays(values: list[float]) -> None:
    array = np.array(values).reshape(1, 1, 1, 2)
    (out,) = through(array)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, array.astype(np.float32))


def test_the_rule_is_one_for_all_splits() -> None:
    train, test = through(np.zeros((2, 1, 1, 1)), np.full((2, 1, 1, 1), 0.3))
    assert train.dtype == test.dtype == np.float32
    train, test = through(np.full((2, 1, 1, 1), 1.0), np.full((2, 1, 1, 1), 7.0))
    assert train.ravel().tolist() == [1, 1]
    assert test.ravel().tolist() == [7, 7]


@pytest.mark.parametrize(("value", "word"), [(np.nan, "image 2 holds NaN"), (np.inf, "infinity"), (1e300, "float32")])
def test_what_is_refused(refuses, monkeypatch: pytest.MonkeyPatch, value: float, word: str) -> None:
    monkeypatch.setattr(content, "CHUNK_BYTES", 1)
    array = np.zeros((4, 1, 2, 2))
    array[2, 0, 1, 1] = value
    with refuses(word):
        value_rule([array])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_channel_figures(monkeypatch: pytest.MonkeyPatch, dtype: type) -> None:
    monkeypatch.setattr(content, "CHUNK_BYTES", 100)
    pixels = np.random.default_rng(0).integers(0, 256, (13, 3, 4, 5)).astype(dtype)
    pixels[:, 2] = 7
    scaled = pixels.astype(np.float64) / (255 if dtype == np.uint8 else 1)
    mean, std = channel_statistics(pixels)
    np.testing.assert_allclose(mean, scaled.mean((0, 2, 3)))
    np.testing.assert_allclose(std, scaled.std((0, 2, 3)), atol=1e-12)
    assert std[2] == 0
