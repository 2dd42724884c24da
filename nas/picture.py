"""A graph as a picture: an SVG with a box for each stage, block or operation and shapes beside the arrows.

The text takes the colour of its surroundings (`currentColor`), boxes a see-through tint, so one picture serves light and dark
pages. Colours are those of Okabe and Ito (2008, "Color Universal Design") and repeat what the words say, so nothing hangs on them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

from nas.graph import Graph
from nas.layering import Layout, Point, layered
from nas.outline import Level, Part, op_words, outline, part_keys, part_kind, part_words, shape_words, short_count

PICTURE_STYLE = """\
.nas-picture{font:12px system-ui,-apple-system,"Segoe UI",sans-serif;fill:currentColor}
.nas-picture .s{paint-order:stroke;stroke:var(--nas-paper,Canvas);stroke-width:3px}
.nas-picture .t{font-weight:600;font-size:13px}.nas-picture .d,.nas-picture .s{font-size:11px;opacity:.8}
.nas-picture .b{stroke-width:1.25;fill-opacity:.13;rx:6px}
.nas-picture .g{fill:currentColor;fill-opacity:.04;stroke:currentColor;stroke-opacity:.25;stroke-dasharray:4 3;rx:10px}
.nas-picture .e{fill:none;stroke:currentColor;stroke-opacity:.55;stroke-width:1.25}.nas-picture .h{fill-opacity:.7}
.nas-picture .conv{fill:#0072b2;stroke:#0072b2}.nas-picture .linear{fill:#d55e00;stroke:#d55e00}
.nas-picture .pool{fill:#009e73;stroke:#009e73}.nas-picture .concat{fill:#cc79a7;stroke:#cc79a7}
.nas-picture .sum{fill:#e69f00;stroke:#e69f00}.nas-picture .product{fill:#56b4e9;stroke:#56b4e9}
.nas-picture .other,.nas-picture .input{fill:#7f7f7f;stroke:#7f7f7f}
"""
"""What a page needs once for all pictures drawn with `style=False`."""

_ALONE = "svg:root{color-scheme:light dark;color:CanvasText;background:Canvas}"
_MARGIN, _CHARACTER, _LONGEST = 14.0, 6.6, 52
_LINE = 15.0
_BAND_ROOM = 26.0


@dataclass(frozen=True)
class _Box:
    """What stands in one box."""

    part: Part
    kind: str
    lines: tuple[str, ...]
    about: str
    size: Point


def draw_svg(graph: Graph, level: Level = "block", *, title: str = "", style: bool = True) -> str:
    """Returns a graph as an SVG document or element; equal graphs give equal text.

    Args:
        graph: As it stands.
        level: One box for each "stage", "block" or "operation". Blocks and operations of one stage stand in a frame.
        title: What a screen reader says; the shapes of input and output where it is empty.
        style: Whether to bring `PICTURE_STYLE` along, so that the text is a file of its own.

    Raises:
        UnknownNameError: When there is no such level.
    """
    parts = outline(graph, level)
    boxes = [_box(graph, part, level) for part in parts]
    member = {i: number for number, part in enumerate(parts) for i in part.nodes}
    wires = [(s, number) for number, part in enumerate(parts) for s in part.inputs]
    layout = layered([box.size for box in boxes], [(member[s], number) for s, number in wires])
    frames = _frames(graph, parts, boxes, layout) if level != "stage" else []
    side = _BAND_ROOM if frames else 0.0
    width, height = layout.width + 2 * (_MARGIN + side), layout.height + 2 * _MARGIN
    name = title or f"Network from {shape_words(graph.input_shape)} to {shape_words(graph.output_shape)}"
    text = [
        f'<svg class="nas-picture" xmlns="http://www.w3.org/2000/svg" role="img" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="{-_MARGIN - side:g} {-_MARGIN:g} {width:.0f} {height:.0f}">',
        f"<title>{_text(name)}</title>",
        f"<style>{_ALONE}\n{PICTURE_STYLE}</style>" if style else "",
        *(_frame(name, top, bottom, layout.width + 2 * side, -side) for name, top, bottom in frames),
        *_arrows(wires, layout, boxes),
        *(_drawn(box, *point) for box, point in zip(boxes, layout.boxes, strict=True)),
        *_shapes(graph, parts, boxes, layout),
        "</svg>\n",
    ]
    return "\n".join(line for line in text if line)


def _box(graph: Graph, part: Part, level: Level) -> _Box:
    name = part.label.rpartition(".")[2] if level == "block" else part.label
    words = part_words(graph, part)
    params, macs = (sum(getattr(graph.facts[i], what) for i in part.nodes) for what in ("params", "macs"))
    numbers = ", ".join(f"{short_count(n)} {unit}" for n, unit in ((params, "params"), (macs, "MACs")) if n)
    lines = [words, numbers] if level == "operation" or not name else [name, words if words != name else "", numbers]
    inside = [op_words(graph.ops[i], *[graph.facts[s].shape for s in graph.inputs[i]]) for i in part.nodes]
    about = [part.label, ", ".join(inside[:40]) + (", ..." if len(inside) > 40 else ""), f"{params:,} params, {macs:,} MACs"]
    shown = tuple(line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..." for line in lines if line)
    width = max(90.0, *(len(line) * (_CHARACTER + 0.6 * (k == 0)) + 24 for k, line in enumerate(shown)))
    size = (round(width), _LINE * len(shown) + 11)
    return _Box(part, part_kind(graph, part), shown, "\n".join(line for line in about if line), size)


def _drawn(box: _Box, x: float, y: float) -> str:
    width, height = box.size
    lines = "".join(
        f'<text class="{"t" if k == 0 else "d"}" x="{x:g}" y="{y + 18 + k * _LINE:g}" text-anchor="middle">{_text(line)}</text>'
        for k, line in enumerate(box.lines)
    )
    return (
        f'<g><title>{_text(box.about)}</title><rect class="b {box.kind}" x="{x - width / 2:g}" y="{y:g}" width="{width:g}"'
        f' height="{height:g}"/>{lines}</g>'
    )


def _arrows(wires: list[tuple[int, int]], layout: Layout, boxes: list[_Box]) -> list[str]:
    """Draws the arrows; those that end at one box end side by side. What arrows of one origin share is drawn once."""
    coming: dict[int, list[int]] = {}
    for k, (_, target) in enumerate(wires):
        coming.setdefault(target, []).append(k)
    text = []
    drawn: set[Point] = set()
    for target, arrows in coming.items():
        arrows = sorted(arrows, key=lambda k: (layout.routes[k][-2][0], k))
        step = min(16.0, (boxes[target].size[0] - 24) / len(arrows))
        for place, k in enumerate(arrows):
            *points, (x, y) = layout.routes[k]
            x += (place - (len(arrows) - 1) / 2) * step
            first = max((n for n in range(0, len(points), 2) if points[n] in drawn), default=0)
            drawn.update(points)
            text.append(f'<path class="e" d="{_curve([*points[first:], (x, y - 5)])}"/>')
            text.append(f'<path class="h" d="M{x:g} {y:g}l-3.5 -7h7z"/>')
    return text


def _curve(points: list[Point]) -> str:
    """Returns a path that leaves each layer and enters the next one vertically; every second piece crosses a layer."""
    (x, y), *rest = points
    d = [f"M{x:g} {y:g}"]
    for k, (to_x, to_y) in enumerate(rest):
        if k % 2 or abs(to_x - x) < 0.05:
            d.append(f"L{to_x:g} {to_y:g}")
        else:
            middle = (y + to_y) / 2
            d.append(f"C{x:g} {middle:g} {to_x:g} {middle:g} {to_x:g} {to_y:g}")
        x, y = to_x, to_y
    return "".join(d)


def _shapes(graph: Graph, parts: list[Part], boxes: list[_Box], layout: Layout) -> list[str]:
    """Writes beside the root of each box's arrows what shapes go out of it."""
    text = []
    for part, box, (x, y) in zip(parts, boxes, layout.boxes, strict=True):
        going = [graph.facts[i].shape for i in part.outputs if i != graph.output]
        shapes = ", ".join(dict.fromkeys(shape_words(shape, "\N{MULTIPLICATION SIGN}") for shape in going))
        if shapes:
            text.append(f'<text class="s" x="{x + 7:g}" y="{y + box.size[1] + 13:g}">{shapes}</text>')
    return text


def _frames(graph: Graph, parts: list[Part], boxes: list[_Box], layout: Layout) -> list[tuple[str, float, float]]:
    """Returns name, top and bottom of the frame around each stage that has several boxes and layers of its own."""
    keys = part_keys(graph, "stage")
    stages: dict[str, list[int]] = {}
    for number, part in enumerate(parts):
        stages.setdefault(keys[part.nodes[0]], []).append(number)
    spans = {key: (min(layout.layers[n] for n in inside), max(layout.layers[n] for n in inside)) for key, inside in stages.items()}
    frames = []
    for key, inside in stages.items():
        low, high = spans[key]
        alone = all(key == other or b < low or a > high for other, (a, b) in spans.items())
        if key and len(inside) > 1 and alone:
            bottom = max(layout.boxes[n][1] + boxes[n].size[1] for n in inside)
            frames.append((key, min(layout.boxes[n][1] for n in inside) - 8, bottom + 6))
    return frames if len(stages) > 1 else []


def _frame(name: str, top: float, bottom: float, width: float, left: float) -> str:
    middle = (top + bottom) / 2
    shown = name if len(name) * _CHARACTER < bottom - top else f"{name[: max(1, int((bottom - top) / _CHARACTER) - 3)]}..."
    return (
        f'<rect class="g" x="{left:g}" y="{top:g}" width="{width:g}" height="{bottom - top:g}"/>'
        f'<text class="s" x="{left + 15:g}" y="{middle:g}" text-anchor="middle"'
        f' transform="rotate(-90 {left + 15:g} {middle:g})">{_text(shown)}</text>'
    )


_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _text(text: str) -> str:
    """Escapes text for XML; characters that no XML document may hold become the replacement character."""
    return escape(_FORBIDDEN.sub("\ufffd", text))
