"""Intervals of shares against published figures."""

from __future__ import annotations

import pytest

from nas.intervals import indistinguishable, wilson


def test_wilson_against_published_figures() -> None:
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3
    for hits, n, low, high in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]:
        assert wilson(hits / n, n) == pytest.approx((low, high), abs=5e-5)


def test_networks_are_told_apart_by_the_number_of_images() -> None:
    assert indistinguishable(0.90, 0.89, 1000)
    assert not indistinguishable(0.90, 0.89, 10_000)
    assert indistinguishable(1.0, 1.0, 10)
