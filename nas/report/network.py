"""What a report says of one network: plain values for the page, nothing of how it looks. Loads no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.found import Found
from nas.lines import number
from nas.picture import draw_svg
from nas.table import layer_table, table_cells


@dataclass(frozen=True)
class Column:
    """One number of each network.

    Attributes:
        name: As in the record.
        label: With its unit.
        direction: "maximize", "minimize", or empty where no way is better.
        is_share: Shown in per cent.
    """

    name: str
    label: str
    direction: str
    is_share: bool


@dataclass(frozen=True)
class ShownNetwork:
    """All about one network.

    Attributes:
        id: See `nas.found.Found`.
        values: Text of each column that is shown, by name.
        numbers: What that text stands for, to sort by.
        marks: What is special about it, in a word or two and in a sentence.
        genotype: Path and value as text.
        recipe: Field and value as text.
        layers: Head, rows and foot as `nas.table.table_cells` gives them; empty where the graph cannot be read.
        picture: SVG element; empty where the graph cannot be read.
        source: Python text.
        curve: One mapping an epoch.
        weights: Path of its weights relative to the run; empty where there are none.
        problem: Why parts are missing, in one line.
    """

    id: str
    values: Mapping[str, str]
    numbers: Mapping[str, float]
    marks: Sequence[tuple[str, str]]
    genotype: Sequence[tuple[str, str]]
    recipe: Sequence[tuple[str, str]]
    layers: Sequence[Sequence[str]]
    picture: str
    source: str
    curve: Sequence[Mapping[str, float]]
    weights: str
    problem: str


def shown_network(found: Found, row: Mapping[str, Any], shown: Sequence[Column], marks: Sequence[tuple[str, str]]) -> ShownNetwork:
    """Returns all about a network of a run; a graph that cannot be read is said, and hides nothing else.

    Args:
        found: The network.
        row: Its numbers.
        shown: Which of them are shown.
        marks: What is special about it.
    """
    layers: list[list[str]] = []
    picture = source = problem = ""
    try:
        graph = found.graph
        layers, picture = table_cells(layer_table(graph)), draw_svg(graph, title=f"Network {found.id}", style=False)
        source = found.source
    except Exception as error:  # a record of somebody else's must not keep the rest of the report from being read
        problem = f"its graph cannot be shown: {type(error).__name__}: {error}"
    return ShownNetwork(
        id=found.id,
        values={column.name: _cell(column, row) for column in shown},
        numbers={column.name: float(row[column.name]) for column in shown},
        marks=marks,
        genotype=[(path, _value(value)) for path, value in found.genotype.items()],
        recipe=[(name, _value(value)) for name, value in found.recipe.items()],
        layers=layers,
        picture=picture,
        source=source,
        curve=found.measurement.curve if found.measurement else (),
        weights=str(found.weights.relative_to(found.run.folder)) if found.weights else "",
        problem=problem,
    )


def _cell(column: Column, row: Mapping[str, Any]) -> str:
    value = float(row[column.name])
    if math.isnan(value):
        return "none"
    low, high = row.get(f"{column.name}_low"), row.get(f"{column.name}_high")
    if not column.is_share:
        return number(value)
    interval = f" ({100 * low:.2f} to {100 * high:.2f})" if low is not None and high is not None else ""
    return f"{100 * value:.2f} %{interval}"


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
