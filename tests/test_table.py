"""Layer tables: columns add up to the network's costs at every level; text and JSON say the same."""

from __future__ import annotations

import json

import pytest

from nas.blocks import Classifier, Conv, Repeat, Residual, Sequential
from nas.builder import GraphBuilder
from nas.costs import cost_of
from nas.graph import Graph, graph_from_json
from nas.outline import LEVELS
from nas.space import Space
from nas.table import layer_table, table_cells, table_json, table_text


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
    assert conv["values"] == 64 * 224 * 224 and conv["bytes"] == 4 * conv["values"]  # the lecture's H * W * C
    assert conv["weights"] == 1728  # the lecture counts them without biases
    assert conv["operation"] == "conv 3x3 + relu" and conv["shape"] == (64, 224, 224)
    assert conv["params"] == 1728 + 64 and conv["macs"] == 1728 * 224 * 224
    assert conv["memory"] == 2 * 4 * 64 * 224 * 224  # what the convolution gives and what relu gives
    assert conv["receptive_field"] == (3, 3) and rows[2]["receptive_field"] == (4, 4)
    assert rows[0]["memory"] == 4 * 150_528
    assert [row["exceeds_input"] for row in rows] == [False, False, False, True]  # 4 + 111 * 2 pixels


@pytest.mark.parametrize("level", LEVELS)
def test_columns_add_up(level: str) -> None:
    graph = vgg_like()
    cost, rows = cost_of(graph), layer_table(graph, level)
    sums = {key: sum(row[key] for row in rows) for key in ("params", "macs", "other_flops", "memory")}
    assert sums == {
        "params": cost.params, "macs": cost.macs, "other_flops": cost.other_flops, "memory": 4 * cost.values,
    }  # fmt: skip


def test_several_outputs_show_several_shapes() -> None:
    b = GraphBuilder((3, 8, 8))
    b.label = "a"
    x, y = b.conv(b.input, 4, 3), b.conv(b.input, 6, 3)
    b.label = "b"
    rows = layer_table(b.finish(b.concat(x, y)))
    assert rows[1]["shape"] == ((4, 8, 8), (6, 8, 8))
    assert rows[1]["values"] == 10 * 64
    assert "4x8x8, 6x8x8" in table_text(b.finish(b.concat(x, y)))


def test_json_has_the_sums_at_its_top() -> None:
    graph = vgg_like()
    data = json.loads(json.dumps(table_json(graph, "net", "stage")))
    assert (data["name"], data["params"], data["macs"]) == ("net", cost_of(graph).params, cost_of(graph).macs)
    assert list(data)[:3] == ["name", "params", "macs"] and len(data["layers"]) == 3
    assert data["flops"] == 2 * data["macs"] and data["layers"][0]["shape"] == [3, 224, 224]
    assert data["weights"] == sum(layer["weights"] for layer in data["layers"])
    assert graph_from_json(json.dumps(data["graph"])).facts == graph.facts


def test_text_is_aligned_and_summed() -> None:
    graph = vgg_like()
    text = table_text(graph, "net")
    lines = text.splitlines()
    assert lines[0] == "net" and lines[1].startswith("layer ")
    assert len({line.index("64x") for line in lines if "64x224" in line or "64x112" in line}) == 1
    rows = layer_table(graph)
    total = next(line for line in lines if line.startswith("sum"))
    for key in ("values", "params", "weights", "macs"):
        assert f" {sum(row[key] for row in rows):,}" in total
    assert f"{cost_of(graph).flops:,} FLOPs" in text


def test_every_column_has_a_line_of_legend() -> None:
    lines = table_text(vgg_like(), level="stage").splitlines()
    for column in lines[0].split():
        assert len([line for line in lines[1:] if line.startswith(f"{column} ") and line.split()[1:]]) == 1, column
    assert "layer      path of the stage" in lines


def test_params_without_biases() -> None:
    b = GraphBuilder((3, 8, 8), classes=5)
    x = b.conv(b.input, 4, 3, norm="batch")
    b.label = "last"
    rows = layer_table(b.finish(b.linear(b.flatten(b.conv(x, 2, 1, bias=True)), 5, bias=False)), "operation")
    assert {row["operation"]: row["params"] - row["weights"] for row in rows if row["params"]} == {
        "conv 3x3": 0, "batch norm": 4, "conv 1x1": 2, "linear": 0,
    }  # fmt: skip


def test_a_receptive_field_beyond_the_image_is_marked() -> None:
    b = GraphBuilder((3, 6, 9))
    b.label = "low"
    x = b.conv(b.input, 4, (7, 5))
    b.label = "square"
    graph = b.finish(b.conv(x, 4, (1, 3)))
    assert [row["exceeds_input"] for row in layer_table(graph)] == [False, True, True]
    assert [line.split()[-1] for line in table_text(graph).splitlines()[2:5]] == ["1", "7x5*", "7*"]


@pytest.mark.parametrize("depth", [1, 9])
def test_lines_have_at_most_120_characters(depth: int) -> None:
    b = GraphBuilder((3, 8, 8), classes=1000)
    x = b.input
    for i in range(depth):
        b.label = f"stage[{i}].repeat[0].residual.body"
        x = b.activation(b.add(b.conv(x, 4096, (3, 5), norm="batch"), b.conv(x, 4096, 7, norm="batch")), "relu")
    assert max(map(len, table_text(b.finish(x), "net").splitlines())) <= 120


def test_a_thousand_layers() -> None:
    """Written one by one and repeated, plain and residual: nothing here may grow with the square of the depth."""
    for body in (Sequential(*[Conv(4)] * 1000), Repeat(Conv(4), 1000), Repeat(Residual(4), 500)):
        graph = Space(Sequential(Conv(4), body, Classifier()), (3, 8, 8), 10).decode({}).graph
        rows = layer_table(graph)
        assert len(rows) == 3 + (500 if isinstance(body, Repeat) and isinstance(body.body, Residual) else 1000)
        assert len({row["label"] for row in rows}) == len(rows) and len(table_text(graph).splitlines()) > len(rows)
        assert cost_of(graph).depth == 1002 and rows[-2]["receptive_field"] == (2003, 2003)


def test_control_characters_do_not_reach_the_terminal() -> None:
    b = GraphBuilder((3, 8, 8))
    b.label = "a\x1b[31m"
    text = table_text(b.finish(b.conv(b.input, 4, 3)), "x\ny")
    assert "\x1b" not in text and "x\\ny" in text


def test_long_labels_are_cut_in_the_middle_or_not_at_all() -> None:
    b = GraphBuilder((3, 8, 8))
    x = b.input
    for i in range(2):
        b.label = f"stage16.cells[0].{'edges.' * 20}choice[{i}].conv"
        x = b.conv(x, 4, 3)
    graph = b.finish(x)
    cut = [line.split()[0] for line in table_text(graph).splitlines() if line.startswith("stage16")]
    assert len(set(cut)) == 2 and all("..." in label for label in cut)
    whole = [line.split()[0] for line in table_text(graph, width=None).splitlines() if line.startswith("stage16")]
    assert whole == [label for label, *_ in table_cells(layer_table(graph))[2:-1]] == list(graph.labels[1:])


def test_long_labels_are_cut_in_text_alone() -> None:
    b = GraphBuilder((3, 8, 8))
    b.label = "a" * 200
    graph = b.finish(b.conv(b.input, 4, 3))
    assert max(map(len, table_text(graph).splitlines())) <= 120
    assert layer_table(graph)[1]["label"] == "a" * 200
