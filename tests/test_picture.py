"""Pictures: well-formed, hostile names stay text, one box a part, equal graphs give equal text."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from nas.builder import GraphBuilder
from nas.graph import Graph
from nas.ops import Input, RecordedOp
from nas.outline import LEVELS, outline
from nas.picture import PICTURE_STYLE, draw_svg

SVG = "{http://www.w3.org/2000/svg}"


def two_stages() -> Graph:
    b = GraphBuilder((3, 16, 16), classes=4)
    x = b.input
    for stage in range(2):
        b.label = f"stage[{stage}].residual"
        x = b.activation(b.add(b.conv(x, 8, 3, norm="batch"), b.conv(x, 8, 1)), "relu")
        b.label = f"stage[{stage}].pool"
        x = b.pool(x, "max", 2, 2)
    b.label = "classifier"
    return b.finish(b.linear(b.flatten(x), 4))


@pytest.mark.parametrize("level", LEVELS)
def test_one_box_a_part(level: str) -> None:
    graph = two_stages()
    root = ET.fromstring(draw_svg(graph, level))
    boxes = [rect for rect in root.iter(f"{SVG}rect") if (rect.get("class") or "").startswith("b ")]
    assert len(boxes) == len(outline(graph, level))
    text = " ".join(node.text or "" for node in root.iter(f"{SVG}text"))
    assert "8\N{MULTIPLICATION SIGN}8\N{MULTIPLICATION SIGN}8" in text


def test_stages_are_framed() -> None:
    frames = [rect for rect in ET.fromstring(draw_svg(two_stages())).iter(f"{SVG}rect") if rect.get("class") == "g"]
    assert len(frames) == 2
    assert not [r for r in ET.fromstring(draw_svg(two_stages(), "stage")).iter(f"{SVG}rect") if r.get("class") == "g"]


def test_boxes_lie_inside_the_picture() -> None:
    root = ET.fromstring(draw_svg(two_stages(), "operation"))
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    for rect in root.iter(f"{SVG}rect"):
        x, y, w, h = (float(rect.attrib[k]) for k in ("x", "y", "width", "height"))
        assert left <= x and top <= y and x + w <= left + width and y + h <= top + height


def test_deterministic() -> None:
    assert draw_svg(two_stages(), "operation") == draw_svg(two_stages(), "operation")


@pytest.mark.parametrize("name", ["</text><script>alert(1)</script>", "a\x00b\x1b[31m", '"><svg onload=1>', "\ud800"])
def test_hostile_names_stay_text(name: str) -> None:
    op = RecordedOp(name, (2, 4, 4), (0, 0, 0, 0), "", "f({0})")
    graph = Graph([Input((1, 4, 4)), op], [(), (0,)], ["", name])
    for level in LEVELS:
        svg = draw_svg(graph, level, title=name)
        root = ET.fromstring(svg.encode())
        assert {node.tag.removeprefix(SVG) for node in root.iter()} <= {"svg", "title", "style", "rect", "text", "g", "path"}
        assert not [key for node in root.iter() for key in node.attrib if key.startswith("on")]


def test_style_can_be_left_to_the_page() -> None:
    assert PICTURE_STYLE in draw_svg(two_stages()) and "<style>" not in draw_svg(two_stages(), style=False)


def test_a_graph_of_its_input_alone() -> None:
    root = ET.fromstring(draw_svg(Graph([Input((1, 4, 4))], [()])))
    assert len(list(root.iter(f"{SVG}rect"))) == 1


def test_a_hundred_layers_with_long_skips() -> None:
    b = GraphBuilder((3, 16, 16))
    x = first = b.conv(b.input, 4, 3)
    for i in range(100):
        b.label = f"block[{i}]"
        x = b.add(b.conv(x, 4, 3, activation="relu"), first)
    root = ET.fromstring(draw_svg(b.finish(x)))
    assert len([r for r in root.iter(f"{SVG}rect") if (r.get("class") or "").startswith("b ")]) == 102
