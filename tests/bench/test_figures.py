"""Curves of a bench: what is perfect, and what ended early, stays in sight."""

from __future__ import annotations

import numpy as np
import pytest

from nas.report.figures import new_figure

pytest.importorskip("matplotlib")

from nas.bench.figures import _downwards, _in_steps, _line, _without_noise


@pytest.mark.parametrize(("values", "scale"), [([0.5, 0.1, 0.0], "symlog"), ([0.5, 0.1], "log"), ([0.0, 0.0], "linear")])
def test_nothing_left_is_on_the_axis(values: list[float], scale: str) -> None:
    (axes,) = new_figure()[1]
    axes.plot(range(len(values)), values)
    _downwards(axes, np.array(values))
    assert axes.get_yscale() == scale
    low, high = axes.get_ylim()
    assert low <= min(values) <= max(values) <= high


def test_what_rounding_leaves_is_nothing() -> None:
    assert _without_noise(np.array([1e-16, -1e-16, 0.5, np.nan])).tolist()[:3] == [0.0, 0.0, 0.5]


def test_a_curve_that_ended_is_carried_to_the_end_of_the_others() -> None:
    (axes,) = new_figure()[1]
    at, values = _in_steps([np.array([0.5, 0.2]), np.array([0.4, 0.4, 0.3])], 5)
    assert values.tolist() == [[0.5, 0.2, 0.2, 0.2, 0.2], [0.4, 0.4, 0.3, 0.3, 0.3]]
    mean = _line(axes, at, values, "exhaustive", 0, 3)
    made, carried, mark = axes.lines
    assert (np.asarray(made.get_xdata()).tolist(), made.get_label()) == ([1, 2, 3], "exhaustive")
    assert (np.asarray(carried.get_xdata()).tolist(), carried.get_linestyle()) == ([3, 4, 5], ":")
    assert (np.asarray(mark.get_xdata()).tolist(), np.asarray(mark.get_ydata()).tolist()) == ([3], [mean[2]])
