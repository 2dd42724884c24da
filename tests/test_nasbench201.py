"""The shipped space `nasbench201` against the benchmark's table: which cells compute the same, and what they weigh.

Column `network` numbers the classes of cells that compute the same function, found by brute force over all relabellings; column
`params` counts every operation as declared, dead ones too.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nas.blocks import Block, Cell, Shared
from nas.costs import cost_of
from nas.errors import BlockError
from nas.library import load_space
from nas.ops import Add
from nas.space import Space

TABLE = Path(__file__).parents[2] / "shared" / "data" / "nb201_c10.csv.gz"
EDGES = ("e01", "e02", "e12", "e03", "e13", "e23")
with_table = pytest.mark.skipif(not TABLE.is_file(), reason="the table lies beside the checkout, and is not there")

Row = dict[str, str]


@cache
def rows() -> tuple[Row, ...]:
    with gzip.open(TABLE, "rt", encoding="utf-8") as file:
        return tuple(csv.DictReader(file))


@cache
def space() -> Space:
    return load_space("nasbench201").bind((3, 32, 32), 10)


def cell() -> Block:
    """The one cell of the shipped space."""
    bodies = {block.body for block in space().body.walk() if isinstance(block, Shared)}
    assert len(bodies) == 1
    return bodies.pop()


def genotype(row: Row, root: str = "@cell") -> dict[str, str]:
    return {f"{root}.edge{edge[1]}-{edge[2]}.block": row[edge] for edge in EDGES}


def classes(found: Space, chosen: Iterable[Row], root: str) -> dict[str, set[str]]:
    """Returns the benchmark's classes by fingerprint; networks that do not depend on their input have one of their own."""
    by_print: dict[str, set[str]] = {}
    for row in chosen:
        try:
            digest = found.decode(genotype(row, root)).fingerprint
        except BlockError as error:
            assert "does not depend on the input" in str(error)
            digest = "always zero"
        by_print.setdefault(digest, set()).add(row["network"])
    return by_print


def test_the_space_is_the_benchmarks() -> None:
    assert space().size() == 15_625 == 5**6
    assert list(space().decisions()) == [f"@cell.edge{i}-{j}.block" for j in (1, 2, 3) for i in range(j)]
    graph = space().decode(dict.fromkeys(space().decisions(), "nor_conv_3x3")).written
    joints = [facts.shape for op, facts in zip(graph.ops, graph.facts, strict=True) if isinstance(op, Add)]
    assert joints == [(16, 32, 32)] * 3 * 5 + [(32, 16, 16)] * (1 + 3 * 5) + [(64, 8, 8)] * (1 + 3 * 5)
    odd = load_space("nasbench201").bind((1, 25, 27), 3)
    assert odd.decode(dict.fromkeys(odd.decisions(), "skip_connect")).graph.output_shape == (3,)


@pytest.mark.parametrize(
    ("op", "each"), [("none", 0), ("skip_connect", 0), ("avg_pool_3x3", 0), ("nor_conv_1x1", 28_000), ("nor_conv_3x3", 243_040)]
)
def test_parameters_as_written(op: str, each: int) -> None:
    written = space().decode(dict.fromkeys(space().decisions(), op)).written
    assert cost_of(written).params == 73_306 + 6 * each


@with_table
def test_the_cells_fall_into_the_known_classes() -> None:
    """All 15,625, each as a network of its own."""
    alone = Space(cell(), (16, 32, 32), 10)
    found = classes(alone, rows(), "cell")
    assert len(rows()) == alone.size() == 15_625
    assert len(found) == len({row["network"] for row in rows()}) == 5_260
    assert all(len(networks) == 1 for networks in found.values())


@with_table
def test_networks_agree_with_their_cells() -> None:
    """Whole networks, 15 cells deep: all members of some classes, so that equal ones meet."""
    numbers = sorted({row["network"] for row in rows()})
    drawn = {numbers[i] for i in np.random.default_rng(0).choice(len(numbers), 60, replace=False)} | {"302"}
    chosen = [row for row in rows() if row["network"] in drawn]
    found = classes(space(), chosen, "@cell")
    assert len(chosen) > len(found) == len(drawn) and all(len(networks) == 1 for networks in found.values())
    for row in chosen[:40]:
        assert cost_of(space().decode(genotype(row)).written).params == int(row["params"])


@pytest.mark.slow
@with_table
def test_all_networks_have_their_known_classes_and_parameters() -> None:
    found: dict[str, set[str]] = {}
    for row in rows():
        architecture = space().decode(genotype(row))
        assert sum(facts.params for facts in architecture.written.facts) == int(row["params"]), row
        try:
            digest = architecture.fingerprint
        except BlockError:
            digest = "always zero"
        found.setdefault(digest, set()).add(row["network"])
    assert len(found) == 5_260 and all(len(networks) == 1 for networks in found.values())


@with_table
def test_a_cell_written_otherwise_is_encoded() -> None:
    for row in (rows()[i] for i in np.random.default_rng(1).choice(len(rows()), 20, replace=False)):
        architecture = space().decode(genotype(row))
        try:
            digest = architecture.fingerprint
        except BlockError:
            continue
        assert space().encode(architecture) == genotype(row)
        assert space().decode(space().encode(architecture)).fingerprint == digest
    assert isinstance(cell(), Cell)
