"""Layered drawings: arrows point down, boxes keep their distance, chains are straight, equal input gives equal output."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nas.layering import layered, nearest_ascending

GAP = 28.0


@st.composite
def drawings(draw: st.DrawFn) -> tuple[list[tuple[float, float]], list[tuple[int, int]]]:
    """Boxes in topological order with arrows forward, some of them twice."""
    count = draw(st.integers(1, 14))
    sizes = [(float(draw(st.integers(20, 200))), float(draw(st.integers(10, 60)))) for _ in range(count)]
    pairs = [(a, b) for b in range(count) for a in range(b)]
    return sizes, sorted(draw(st.lists(st.sampled_from(pairs), max_size=30))) if pairs else []


@given(drawings())
def test_boxes_do_not_overlap_and_arrows_point_down(drawing: tuple[list[tuple[float, float]], list[tuple[int, int]]]) -> None:
    sizes, arrows = drawing
    layout = layered(sizes, arrows, gap=GAP)
    for a, b in arrows:
        assert layout.layers[a] < layout.layers[b]
    for i, (x, y) in enumerate(layout.boxes):
        width, height = sizes[i]
        assert x - width / 2 >= -0.06 and x + width / 2 <= layout.width + 0.06 and y >= 0 and y + height <= layout.height
        for j in range(i):
            other, top = layout.boxes[j]
            if layout.layers[j] == layout.layers[i]:
                assert abs(x - other) >= (width + sizes[j][0]) / 2 + GAP - 0.3
            else:
                assert y + height < top or top + sizes[j][1] < y
    for (a, b), route in zip(arrows, layout.routes, strict=True):
        assert route[0] == (layout.boxes[a][0], layout.boxes[a][1] + sizes[a][1])
        assert route[-1] == layout.boxes[b]
        assert all(low[1] <= high[1] for low, high in pairwise(route))
    assert layered(sizes, arrows, gap=GAP) == layout


def test_chains_stand_straight() -> None:
    # 0 forks into 1-3-5 and 2-4, both meet in 6
    sizes = [(100.0, 20.0), (160.0, 20.0), (60.0, 20.0), (40.0, 20.0), (140.0, 20.0), (90.0, 20.0), (80.0, 20.0)]
    layout = layered(sizes, [(0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 6)])
    x = [box[0] for box in layout.boxes]
    assert x[1] == x[3] == x[5] and x[2] == x[4]
    assert min(x[1], x[2]) < x[0] < max(x[1], x[2])


def test_crossings_that_need_not_be_are_not() -> None:
    layout = layered([(50.0, 20.0)] * 6, [(0, 1), (0, 2), (0, 3), (1, 5), (2, 4), (3, 4)])
    x = [box[0] for box in layout.boxes]
    assert (x[1] - x[2]) * (x[5] - x[4]) > 0 and (x[1] - x[3]) * (x[5] - x[4]) > 0


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=12))
def test_nearest_ascending(values: list[int]) -> None:
    found = nearest_ascending(values)
    assert all(a <= b for a, b in pairwise(found))
    rng = np.random.default_rng(0)
    best = sum((a - b) ** 2 for a, b in zip(found, values, strict=True))
    for _ in range(20):
        other = np.sort(np.array(found) + rng.normal(size=len(found)))
        assert best <= float(np.sum((other - np.array(values)) ** 2)) + 1e-9
