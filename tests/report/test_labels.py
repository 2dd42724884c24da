"""Labels keep apart and stay inside; axes and legends say round numbers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.report.figures import new_figure, paper_look
from nas.report.labels import Box, Label, disc_legend, label_ends, place_labels, readable, round_below, spread

places = st.lists(st.floats(0, 1000), min_size=1, max_size=12).map(sorted)


@given(places, st.floats(0.5, 40))
def test_spread_keeps_order_and_distance(wanted: list[float], step: float) -> None:
    found = spread(wanted, step)
    assert all(b - a >= step - 1e-6 for a, b in pairwise(found))
    assert np.mean(found) == pytest.approx(np.mean(wanted), abs=1e-6)  # as a least squares solution must


@given(places)
def test_spread_leaves_alone_what_is_apart(wanted: list[float]) -> None:
    apart = [place + 10 * i for i, place in enumerate(wanted)]
    assert spread(apart, 10) == pytest.approx(apart)


def test_spread_stays_between_its_bounds() -> None:
    assert spread([95, 99, 100], 10, 0, 100) == pytest.approx([80, 90, 100])
    assert spread([1, 1, 2], 10, 0, 100) == pytest.approx([0, 10, 20])


def test_round_below() -> None:
    values = (0.3, 1, 1.9, 4, 9_999, 10_000, 138_357_544)
    assert [round_below(value) for value in values] == [1, 1, 1, 2, 5_000, 10_000, 100_000_000]


@pytest.mark.parametrize("seed", range(6))
def test_labels_cover_neither_each_other_nor_dots(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = [Label(f"network-{i}", *rng.random(2), radius=float(rng.uniform(1, 20))) for i in range(14)]
    with paper_look():
        _, (axes,) = new_figure()
        axes.set(xlim=(-0.1, 1.1), ylim=(-0.1, 1.1))
        place_labels(axes, labels)
        boxes = [Box(*text.get_window_extent().extents) for text in axes.texts]
        frame = Box(*axes.get_window_extent().extents)
        dots = [axes.transData.transform((label.x, label.y)) for label in labels]
    assert len(boxes) == 14
    assert sum(a.overlap(b) for i, a in enumerate(boxes) for b in boxes[:i]) == 0
    assert all(box.overlap(frame) == pytest.approx((box.right - box.left) * (box.top - box.bottom)) for box in boxes)
    assert not any(box.left < x < box.right and box.bottom < y < box.top for box in boxes for x, y in dots)


def test_ends_of_lines_are_named_apart() -> None:
    from matplotlib.text import Text

    with paper_look():
        figure, (axes,) = new_figure()
        for i in range(9):
            axes.plot([1, 2], [1, 1 + 0.001 * i])
        axes.set_ylim(0, 2)
        label_ends(axes, [Label(f"line {i}", 2, 1 + 0.001 * i) for i in range(9)])
        figure.draw_without_rendering()
        heights = [Text.get_window_extent(text) for text in axes.texts]  # an annotation's own extent holds its line too
    assert [text.get_text() for text in axes.texts] == [f"line {i}" for i in range(9)]
    assert all(a.y1 <= b.y0 + 0.5 for a, b in pairwise(heights))


def test_an_axis_is_logarithmic_only_where_values_span_much() -> None:
    with paper_look():
        figure, (near, far) = new_figure(columns=2)
        readable(near.yaxis, [2e6, 9e6])
        readable(far.yaxis, iter([2e-3, 9.0]), "s")
        near.set_ylim(2e6, 9e6)
        far.set_ylim(2e-3, 9.0)
        figure.draw_without_rendering()
        words = [text.get_text() for axes in (near, far) for text in axes.get_yticklabels()]
    assert (near.get_yscale(), far.get_yscale()) == ("linear", "log")
    assert "4M" in words and "10 ms" in words


def test_the_legend_of_discs_has_areas_in_proportion() -> None:
    from matplotlib.patches import Circle

    with paper_look():
        _, (axes,) = new_figure()
        disc_legend(axes, "Parameters", 5_000_000, 20.0)
        radii = [circle.radius for circle in axes.findobj(Circle)]
    assert [radius**2 / 400 for radius in radii] == pytest.approx([1, 0.2, 0.04])


def test_ink_is_dark_enough() -> None:
    from matplotlib.colors import to_rgb

    from nas.report.figures import COLOURS

    for colour in COLOURS:
        red, green, blue = to_rgb(Label("", 0, 0, colour=colour).ink)
        assert 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.34
