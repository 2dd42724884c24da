"""Texts in figures: labels beside discs and at the ends of lines that keep apart, axes with readable numbers, a legend of discs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from nas.outline import short_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Box(NamedTuple):
    """A rectangle in pixels."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: Box) -> float:
        """Returns the area both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)


@dataclass(frozen=True)
class Label:
    """A text and the disc it belongs to.

    Attributes:
        text: On one line.
        x, y: Of the disc, in the units of the axes.
        radius: Of the disc, in points.
        colour: Of the text.
    """

    text: str
    x: float
    y: float
    radius: float = 0.0
    colour: str = "#222222"

    @property
    def ink(self) -> str:
        """The colour, dark enough to read on white."""
        from matplotlib.colors import to_hex, to_rgb

        red, green, blue = to_rgb(self.colour)
        shade = min(1.0, 0.33 / max(0.2126 * red + 0.7152 * green + 0.0722 * blue, 0.01))
        return to_hex((red * shade, green * shade, blue * shade))


def place_labels(axes: Axes, labels: Sequence[Label], size: float = 7.0) -> None:
    """Writes each label beside its disc where it covers least, with a thin line where it had to move away.

    Call it last: it needs the final limits and size of the axes.

    Args:
        axes: Holds the discs.
        labels: All that is written; discs without a label may be given with an empty text, and are kept clear too.
        size: Of the text, in points.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # what was laid out stays as it was measured
    point = figure.dpi / 72
    frame = Box(*axes.get_window_extent().extents)
    centres = [_pixels(axes, label.x, label.y) for label in labels]
    discs = [_around(*centre, label.radius * point) for centre, label in zip(centres, labels, strict=True)]
    dots = [_around(*centre, 3 * point) for centre in centres]
    taken: list[Box] = []
    for i in sorted(range(len(labels)), key=lambda i: (-centres[i][1], centres[i][0])):
        if not labels[i].text:
            continue
        width, height = _extent(axes, labels[i].text, size)
        places = list(_places(*centres[i], labels[i].radius * point, width, height, point))
        others = [disc for j, disc in enumerate(discs) if j != i]
        best = min(
            range(len(places)), key=lambda k: places[k][1] + _cost(places[k][0], frame, taken, others, dots) / (width * height)
        )
        box = places[best][0]
        taken.append(box)
        _write(axes, labels[i], box, centres[i], point, size)


def _pixels(axes: Axes, x: float, y: float) -> tuple[float, float]:
    across, up = axes.transData.transform((x, y))
    return float(across), float(up)


def _around(x: float, y: float, reach: float) -> Box:
    return Box(x - reach, y - reach, x + reach, y + reach)


def _extent(axes: Axes, text: str, size: float) -> tuple[float, float]:
    drawn = axes.text(0, 0, text, fontsize=size)
    extent = drawn.get_window_extent()
    drawn.remove()
    return extent.width, extent.height


def _places(x: float, y: float, radius: float, width: float, height: float, point: float) -> Iterator[tuple[Box, float]]:
    """Yields where a label could stand, with how unwelcome the place is: right, left, above, below, then further away."""
    if radius > width / 2 + 2 * point:
        yield Box(x - width / 2, y + 3 * point, x + width / 2, y + 3 * point + height), 0.0  # inside, above the dot
    for ring in range(6):
        reach = max(radius, 2 * point) + (2 + 9 * ring) * point
        for step in range(16):
            angle = 2 * math.pi * step / 16
            dx, dy = math.cos(angle), math.sin(angle)
            left = x + reach * dx - width * (1 - dx) / 2
            bottom = y + reach * dy - height * (1 - dy) / 2
            yield Box(left, bottom, left + width, bottom + height), 0.02 * min(step, 16 - step) + 0.25 * ring


def _cost(box: Box, frame: Box, texts: Sequence[Box], discs: Sequence[Box], dots: Sequence[Box]) -> float:
    """Returns how badly a label stands in a place, as covered area: never out of the frame, hardly on another text."""
    area = (box.right - box.left) * (box.top - box.bottom)
    outside = area - box.overlap(frame)
    return 50 * outside + 20 * sum(map(box.overlap, texts)) + 8 * sum(map(box.overlap, dots)) + 0.7 * sum(map(box.overlap, discs))


def _write(axes: Axes, label: Label, box: Box, centre: tuple[float, float], point: float, size: float) -> None:
    back = axes.transData.inverted()
    middle = ((box.left + box.right) / 2, (box.bottom + box.top) / 2)
    near = (min(max(centre[0], box.left), box.right), min(max(centre[1], box.bottom), box.top))
    away = math.dist(near, centre)
    if away > max(label.radius, 2) * point + 6 * point:
        (x, y), end = back.transform(near), back.transform(centre)
        axes.plot([x, end[0]], [y, end[1]], color="#999999", linewidth=0.5, zorder=2.5)
    x, y = back.transform(middle)
    halo = _halo()
    axes.text(x, y, label.text, fontsize=size, color=label.ink, ha="center", va="center", zorder=5, path_effects=halo)


def _halo() -> list[Any]:
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=1.6, foreground="white")]


def label_ends(axes: Axes, ends: Sequence[Label], size: float = 7.0) -> None:
    """Writes each text to the right of the axes at the height of its line's end, spread so that none covers another.

    Args:
        axes: Holds the lines, its limits final.
        ends: Text and last point of each line; `radius` is not used.
        size: Of the text, in points.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    step = size * 1.25 * figure.dpi / 72
    frame = axes.get_window_extent()
    order = sorted(ends, key=lambda end: _pixels(axes, end.x, end.y)[1])
    wanted = [_pixels(axes, end.x, end.y)[1] for end in order]
    for end, height in zip(order, spread(wanted, step, frame.y0, frame.y1), strict=True):
        share = (height - frame.y0) / frame.height
        start = axes.transAxes.inverted().transform(axes.transData.transform((end.x, end.y)))
        axes.annotate(
            end.text,
            xy=(float(start[0]), float(start[1])),
            xycoords="axes fraction",
            xytext=(1.04, share),
            textcoords="axes fraction",
            fontsize=size,
            color=end.ink,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": end.colour, "linewidth": 0.5, "alpha": 0.6, "shrinkA": 1, "shrinkB": 3},
        )


def spread(wanted: Sequence[float], step: float, low: float = -math.inf, high: float = math.inf) -> list[float]:
    """Moves ascending places as little as it takes (least squares) to be at least `step` apart, from `low` to `high`.

    Pools neighbours that violate the order of `wanted[i] - i * step`, as isotonic regression does.
    """
    pools: list[tuple[float, int]] = []  # mean and number of the shifted places
    for i, place in enumerate(wanted):
        mean, count = place - i * step, 1
        while pools and pools[-1][0] > mean:
            before, many = pools.pop()
            mean, count = (mean * count + before * many) / (count + many), count + many
        pools.append((mean, count))
    flat = [max(low, min(mean, high - (len(wanted) - 1) * step)) for mean, count in pools for _ in range(count)]
    return [place + i * step for i, place in enumerate(flat)]


# ---- axes and legends


def plain_number(value: float) -> str:
    """Returns a number as 1,606 or 71.2: at least three digits, no exponent above 0.001."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def readable(axis: Any, values: Iterable[float], unit: str | None = "") -> None:
    """Makes an axis logarithmic where values span more than a factor of 12, and writes its numbers as 10M, 2 ms or 64 MB.

    Args:
        axis: `axes.xaxis` or `axes.yaxis`.
        values: All that is drawn, above 0.
        unit: Written behind each number; None: plain numbers without M and k.
    """
    from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter

    values = list(values)
    low, high = min(values), max(values)
    if high > 12 * low:
        getattr(axis.axes, f"set_{axis.axis_name}scale")("log")
        ticks = (1.0, 2.0, 5.0) if high < 60 * low else (1.0, 3.0) if high < 1000 * low else (1.0,)
        axis.set_major_locator(LogLocator(subs=ticks))
    axis.set_major_formatter(
        FuncFormatter(lambda value, place: plain_number(value)) if unit is None else EngFormatter(unit, sep=" " if unit else "")
    )
    axis.set_minor_formatter(NullFormatter())


def disc_legend(axes: Axes, title: str, most: int, radius: float) -> None:
    """Shows to the right of the axes what discs of three sizes stand for, in round numbers.

    Args:
        axes: Holds the discs.
        title: What their areas are.
        most: What a disc of `radius` stands for.
        radius: In points.
    """
    from matplotlib.offsetbox import AnchoredOffsetbox, DrawingArea, HPacker, TextArea, VPacker
    from matplotlib.patches import Circle

    rows: list[Any] = [TextArea(title, textprops={"fontsize": 7.5})]
    for value in dict.fromkeys(round_below(most / divisor) for divisor in (1, 4, 20)):
        reach = radius * math.sqrt(value / max(most, 1))
        area = DrawingArea(2 * radius, 2 * reach)
        area.add_artist(Circle((radius, reach), reach, facecolor="#b5b5b5", edgecolor="none"))
        rows.append(
            HPacker(children=[area, TextArea(short_count(value), textprops={"fontsize": 7.5})], align="center", pad=0, sep=6)
        )
    box = VPacker(children=rows, align="left", pad=0, sep=7)
    axes.add_artist(
        AnchoredOffsetbox("upper left", child=box, frameon=False, bbox_to_anchor=(1.01, 1.0), bbox_transform=axes.transAxes)
    )


def round_below(value: float) -> int:
    """Returns the largest of 1, 2, 5, 10, 20, 50, ... that is not above `value`."""
    power: int = 10 ** int(math.log10(max(value, 1)))
    return max(step * power for step in (1, 2, 5) if step == 1 or step * power <= value)
