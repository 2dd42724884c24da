"""The layer table of a graph: what each operation, block or stage gives out, costs and sees of the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from math import prod
from typing import Any

from nas.costs import cost_of, receptive_fields
from nas.graph import Graph
from nas.outline import Level, Part, outline, part_words, shape_words

_BYTES = 4
_SHOWN = 60
"""Characters of a label or an operation in the printed table; JSON has all of them."""


def layer_table(graph: Graph, level: Level = "block") -> list[dict[str, Any]]:
    """Returns one row for each operation, block or stage, in topological order. Columns add up to the network's sums.

    Args:
        graph: As it stands; simplify it first to leave out what is dead.
        level: "operation", "block" or "stage".

    Returns:
        Rows with `label` (path of the block), `operation` (in words), `shape` (of what it gives out, without the batch; a
        tuple of shapes where it gives out several values), `params` (trainable values), `macs` (multiply-adds of convolutions
        and linear layers, one image), `other_flops` (all else, one image), `memory` (bytes of all its values for one image in
        float32, as a training step keeps them; they add up to `Cost.training_memory`) and `receptive_field` ((height, width)
        in pixels of the image, before it is cut at the borders).

    Raises:
        UnknownNameError: When there is no such level.
    """
    fields = receptive_fields(graph)
    return [_row(graph, part, [(fields[i][0].size, fields[i][1].size) for i in part.outputs]) for part in outline(graph, level)]


def _row(graph: Graph, part: Part, fields: Sequence[tuple[int, int]]) -> dict[str, Any]:
    facts = [graph.facts[i] for i in part.nodes]
    shapes = [graph.facts[i].shape for i in part.outputs]
    return {
        "label": part.label,
        "operation": part_words(graph, part),
        "shape": shapes[0] if len(shapes) == 1 else tuple(shapes),
        "params": sum(fact.params for fact in facts),
        "macs": sum(fact.macs for fact in facts),
        "other_flops": sum(fact.other_flops for fact in facts),
        "memory": _BYTES * sum(prod(fact.shape) for fact in facts),
        "receptive_field": (max((f[0] for f in fields), default=1), max((f[1] for f in fields), default=1)),
    }


def table_json(graph: Graph, name: str, level: Level = "block") -> dict[str, Any]:
    """Returns what `nas show --json` prints: `name`, the network's exact costs (see `nas.costs.Cost`), and `layers`.

    Args:
        graph: As it stands.
        name: What the network is called.
        level: "operation", "block" or "stage".
    """
    costs = asdict(cost_of(graph))
    return {
        "name": name,
        "params": costs.pop("params"),
        "macs": costs.pop("macs"),
        **costs,
        "input_shape": list(graph.input_shape),
        "output_shape": list(graph.output_shape),
        "level": level,
        "notes": list(graph.notes),
        "layers": layer_table(graph, level),
    }


def table_text(graph: Graph, name: str = "", level: Level = "block") -> str:
    """Returns the layer table as plain text with sums, ending in a newline; it needs no terminal."""
    rows = layer_table(graph, level)
    cost = cost_of(graph)
    head = ["layer", "operation", "shape", "params", "MACs", "memory (B)", "receptive field"]
    cells = [_cells(row) for row in rows]
    sums = [sum(row[key] for row in rows) for key in ("params", "macs", "memory")]
    foot = ["sum", f"{len(rows)} rows", "", *(f"{n:,}" for n in sums), ""]
    lines = _aligned([head, *cells, foot])
    rule = "-" * max(len(line) for line in lines)
    title = f"{_plain(name)}\n" if name else ""
    facts = (
        f"{cost.params:,} params, {cost.macs:,} MACs ({cost.flops:,} FLOPs) and {cost.other_flops:,} other FLOPs an image\n"
        f"inference keeps {cost.activation_memory:,} bytes of activations at most, training {cost.training_memory:,}, "
        f"weights take {cost.weight_bytes:,} (float32)\n"
    )
    notes = "".join(f"note: {_plain(note)}\n" for note in graph.notes)
    return "\n".join([title + lines[0], rule, *lines[1:-1], rule, lines[-1], ""]) + facts + notes


def _cells(row: dict[str, Any]) -> list[str]:
    shapes = row["shape"] if row["shape"] and isinstance(row["shape"][0], tuple) else (row["shape"],)
    return [
        _shortened(row["label"]),
        _shortened(row["operation"]),
        ", ".join(shape_words(shape) for shape in shapes),
        *(f"{row[key]:,}" for key in ("params", "macs", "memory")),
        shape_words(row["receptive_field"]),
    ]


def _shortened(text: str) -> str:
    text = _plain(text)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _plain(text: str) -> str:
    """Returns text for one line of a terminal: control characters are spelled out."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _aligned(table: list[list[str]]) -> list[str]:
    """Returns one line a row; words stand left, numbers right."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = []
    for row in table:
        cells = [cell.ljust(width) if i < 3 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return lines
