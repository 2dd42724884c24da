"""The layer table of a graph: what each operation, block or stage gives out, costs and sees of the image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from math import prod
from typing import Any

import msgspec

from nas.costs import cost_of, receptive_fields
from nas.graph import Graph
from nas.ops import BatchNorm, Conv2d, Linear
from nas.outline import Level, Part, outline, part_words, shape_words, short_count

_BYTES = 4
WIDTH = 120
"""Characters of a line for a terminal; longer words are cut there, JSON has them whole."""
_GAP = "  "

_LEGEND = {
    "layer": "path of the {level}",
    "operation": "what it computes, in order; /2 is a stride",
    "shape": "what it gives out: channels x height x width, or features",
    "values": "how many numbers that is, for one image",
    "bytes": "memory of these in float32, short (k, M, G: powers of 1000)",
    "params": "trainable values",
    "weights": "params without biases (of convolutions, linear layers and batch normalisation)",
    "MACs": "multiply-adds of convolutions and linear layers, one image; FLOPs are twice as many",
    "RF": "receptive field: pixels of the image that one value sees, height x width; * more than the image has",
}
"""Each column of the printed table and what stands in it."""


def layer_table(graph: Graph, level: Level = "block") -> list[dict[str, Any]]:
    """Returns one row for each operation, block or stage, in topological order.

    Args:
        graph: As it stands; simplify it first to leave out what is dead.
        level: "operation", "block" or "stage".

    Returns:
        Rows with `label` (path of the block), `operation` (in words), `shape` (of what it gives out, without the batch; a
        tuple of shapes where it gives out several values), `values` (numbers in that), `bytes` (of these, in float32), `params`
        (trainable values), `weights` (those without biases), `macs` (multiply-adds of convolutions and linear layers, one
        image), `other_flops` (all else, one image), `memory` (bytes of all values inside), `receptive_field`
        ((height, width) in pixels of the image, before it is cut at the borders) and `exceeds_input` (whether that is more than
        the image has). `params`, `macs` and `other_flops` add up to the network's `Cost`, `memory` to the bytes of `Cost.values`.

    Raises:
        UnknownNameError: When there is no such level.
    """
    fields = receptive_fields(graph)
    return [_row(graph, part, [(fields[i][0].pixels, fields[i][1].pixels) for i in part.outputs]) for part in outline(graph, level)]


def _row(graph: Graph, part: Part, fields: Sequence[tuple[int, int]]) -> dict[str, Any]:
    facts = [graph.facts[i] for i in part.nodes]
    shapes = [graph.facts[i].shape for i in part.outputs]
    params = sum(fact.params for fact in facts)
    values = sum(prod(shape) for shape in shapes)
    field = (max((f[0] for f in fields), default=1), max((f[1] for f in fields), default=1))
    return {
        "label": part.label,
        "operation": part_words(graph, part),
        "shape": shapes[0] if len(shapes) == 1 else tuple(shapes),
        "values": values,
        "bytes": _BYTES * values,
        "params": params,
        "weights": params - sum(_biases(graph, i) for i in part.nodes),
        "macs": sum(fact.macs for fact in facts),
        "other_flops": sum(fact.other_flops for fact in facts),
        "memory": _BYTES * sum(prod(fact.shape) for fact in facts),
        "receptive_field": field,
        "exceeds_input": any(size > n for size, n in zip(field, graph.input_shape[1:], strict=False)),
    }


def _biases(graph: Graph, node: int) -> int:
    """Returns how many of a node's trainable values are biases, one for each channel or feature."""
    op = graph.ops[node]
    has = isinstance(op, BatchNorm) or (isinstance(op, Conv2d | Linear) and op.bias)
    return graph.facts[node].shape[0] if has else 0


def table_json(graph: Graph, name: str, level: Level = "block") -> dict[str, Any]:
    """Returns what `nas show --json` prints: `name`, the network's exact costs (see `nas.costs.Cost`), `layers` and `graph`.

    Args:
        graph: As it stands.
        name: What the network is called.
        level: "operation", "block" or "stage".
    """
    costs = asdict(cost_of(graph))
    layers = layer_table(graph, level)
    return {
        "name": name,
        "params": costs.pop("params"),
        "macs": costs.pop("macs"),
        "weights": sum(row["weights"] for row in layers),
        **costs,
        "input_shape": list(graph.input_shape),
        "output_shape": list(graph.output_shape),
        "level": level,
        "notes": list(graph.notes),
        "layers": layers,
        "graph": msgspec.json.decode(graph.to_json()),
    }


def table_text(graph: Graph, name: str = "", level: Level = "block", width: int | None = WIDTH) -> str:
    """Returns the layer table as plain text with sums and a legend, ending in a newline; it needs no terminal.

    Args:
        graph: As it stands.
        name: What the network is called.
        level: "operation", "block" or "stage".
        width: Characters of a line, for which long words are cut; None: none is.
    """
    rows = layer_table(graph, level)
    cost = cost_of(graph)
    lines = _aligned(table_cells(rows), width)
    rule = "-" * max(len(line) for line in lines)
    title = f"{_plain(name)}\n" if name else ""
    legend = _aligned_words(table_legend(level))
    facts = (
        f"{cost.params:,} params, {cost.macs:,} MACs ({cost.flops:,} FLOPs) and {cost.other_flops:,} other FLOPs an image\n"
        f"inference keeps {cost.activation_memory:,} bytes of activations at most, training {cost.training_memory:,}\n"
        f"parameters and buffers take {cost.weight_bytes:,} bytes (float32)\n"
    )
    notes = "".join(f"note: {_plain(note)}\n" for note in graph.notes)
    return "\n".join([title + lines[0], rule, *lines[1:-1], rule, lines[-1], "", *legend, "", ""]) + facts + notes


def table_cells(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Returns the rows of a layer table in words: a head, one row for each of them, and a foot with the sums.

    Args:
        rows: From `layer_table`.
    """
    values, size, params, weights, macs = (
        sum(row[key] for row in rows) for key in ("values", "bytes", "params", "weights", "macs")
    )
    foot = ["sum", f"{len(rows)} rows", "", *_numbers(values, size, params, weights, macs), ""]
    return [list(_LEGEND), *map(_cells, rows), foot]


def table_legend(level: Level = "block") -> list[tuple[str, str]]:
    """Returns each column of `table_cells` and what stands in it."""
    return [(column, meaning.format(level=level)) for column, meaning in _LEGEND.items()]


def _cells(row: dict[str, Any]) -> list[str]:
    shapes = row["shape"] if row["shape"] and isinstance(row["shape"][0], tuple) else (row["shape"],)
    height, width = row["receptive_field"]
    field = f"{height:,}" if height == width else f"{height:,}x{width:,}"
    return [
        _plain(row["label"]),
        re.sub(r",? stride ", "/", re.sub(r"dropout [\d.e-]+", "dropout", _plain(row["operation"]))),
        ", ".join(shape_words(shape, "x") for shape in shapes),
        *_numbers(*(row[key] for key in ("values", "bytes", "params", "weights", "macs"))),
        field + "*" * row["exceeds_input"],
    ]


def _numbers(values: int, size: int, params: int, weights: int, macs: int) -> list[str]:
    return [f"{values:,}", short_count(size), f"{params:,}", f"{weights:,}", f"{macs:,}"]


def _plain(text: str) -> str:
    """Returns text for one line of a terminal: control characters are spelled out."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _aligned(table: list[list[str]], width: int | None) -> list[str]:
    """Returns one line a row; words stand left, numbers right. Words are cut where a line would be longer than `width`."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    if width is not None:
        widths[2] = min(widths[2], 24)
        room = width - sum(widths[2:]) - len(_GAP) * (len(widths) - 1)
        widths[0] = min(widths[0], max(16, room // 2, room - widths[1]))
        widths[1] = min(widths[1], max(12, room - widths[0]))
    lines = []
    for row in table:
        words = [cut(row[i], widths[i]).ljust(widths[i]) for i, cut in enumerate((_cut_middle, _cut, _cut))]
        lines.append(_GAP.join([*words, *(cell.rjust(width) for cell, width in zip(row[3:], widths[3:], strict=True))]).rstrip())
    return lines


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _cut_middle(text: str, width: int) -> str:
    """Cuts where paths differ least: they begin with the stage and end with the block."""
    if len(text) <= width:
        return text
    tail = (width - 3) // 2
    return f"{text[: width - 3 - tail]}...{text[len(text) - tail :]}"


def _aligned_words(pairs: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(word) for word, _ in pairs)
    return [f"{word.ljust(width)}{_GAP}{meaning}" for word, meaning in pairs]
