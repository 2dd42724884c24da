"""Layer tables: columns add up to the network's costs at every level; text and JSON say the same."""

from __future__ import annotations

import json

import pytest

from nas.builder import GraphBuilder
from nas.costs import cost_of
from nas.graph import Graph
from nas.outline import LEVELS
from nas.table import layer_table, table_json, table_text


def vgg_like() -> Graph:
    """conv3-64 on a 224 x 224 RGB image, pooling, a linear layer: rows of the table of VGG every course shows."""
    b = GraphBuilder((3, 224, 224), classes=10)
    b.label = "stage[0].conv"
    x = b.conv(b.input, 64, 3, activation="relu")
    b.label = "stage[0].pool"
    x = b.pool(x, "max", 2, 2)
    b.label = "classifier"
    return b.finish(b.linear(b.flatten(x), 10))


def test_known_rows() -> None:
    rows = layer_table(vgg_like())
    assert [row["label"] for row in rows] == ["input", "stage[0].conv", "stage[0].pool", "classifier"]
    conv = rows[1]
    assert conv["operation"] == "conv 3x3 + relu" and conv["shape"] == (64, 224, 224)
    assert conv["params"] == 1728 + 64 and conv["macs"] == 1728 * 224 * 224
    assert conv["memory"] == 2 * 4 * 64 * 224 * 224  # what the convolution gives and what relu gives
    assert conv["receptive_field"] == (3, 3) and rows[2]["receptive_field"] == (4, 4)
    assert rows[0]["memory"] == 4 * 150_528


@pytest.mark.parametrize("level", LEVELS)
def test_columns_add_up(level: str) -> None:
    graph = vgg_like()
    cost, rows = cost_of(graph), layer_table(graph, level)
    sums = {key: sum(row[key] for row in rows) for key in ("params", "macs", "other_flops", "memory")}
    assert sums == {
        "params": cost.params, "macs": cost.macs, "other_flops": cost.other_flops, "memory": cost.training_memory,
    }  # fmt: skip


def test_several_outputs_show_several_shapes() -> None:
    b = GraphBuilder((3, 8, 8))
    b.label = "a"
    x, y = b.conv(b.input, 4, 3), b.conv(b.input, 6, 3)
    b.label = "b"
    rows = layer_table(b.finish(b.concat(x, y)))
    assert rows[1]["shape"] == ((4, 8, 8), (6, 8, 8))
    assert "4 x 8 x 8, 6 x 8 x 8" in table_text(b.finish(b.concat(x, y)))


def test_json_has_the_sums_at_its_top() -> None:
    graph = vgg_like()
    data = json.loads(json.dumps(table_json(graph, "net", "stage")))
    assert (data["name"], data["params"], data["macs"]) == ("net", cost_of(graph).params, cost_of(graph).macs)
    assert list(data)[:3] == ["name", "params", "macs"] and len(data["layers"]) == 3
    assert data["flops"] == 2 * data["macs"] and data["layers"][0]["shape"] == [3, 224, 224]


def test_text_is_aligned_and_summed() -> None:
    text = table_text(vgg_like(), "net")
    lines = text.splitlines()
    assert lines[0] == "net" and lines[1].startswith("layer ")
    ends = {line.index("64 x ") for line in lines if "64 x 224" in line or "64 x 112" in line}
    assert len(ends) == 1
    total = next(line for line in lines if line.startswith("sum"))
    assert f"{cost_of(vgg_like()).params:,}" in total


def test_control_characters_do_not_reach_the_terminal() -> None:
    b = GraphBuilder((3, 8, 8))
    b.label = "a\x1b[31m"
    text = table_text(b.finish(b.conv(b.input, 4, 3)), "x\ny")
    assert "\x1b" not in text and "x\\ny" in text


def test_long_labels_are_cut_in_text_alone() -> None:
    b = GraphBuilder((3, 8, 8))
    b.label = "a" * 200
    graph = b.finish(b.conv(b.input, 4, 3))
    assert max(map(len, table_text(graph).splitlines())) < 180
    assert layer_table(graph)[1]["label"] == "a" * 200
