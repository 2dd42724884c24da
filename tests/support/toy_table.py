"""A small table of known results, and where the two published ones lie if they are there."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[3] / "shared" / "data"
with_tables = pytest.mark.skipif(not SHARED.is_dir(), reason="the tables lie beside the checkout, and are not there")

TOML = """
title = "Toy"
decisions = ["a", "b"]
identity = "same"
[objectives]
accuracy = { search = "val", report = "test", direction = "maximize", fidelity = { 5 = "val", 20 = "val20" } }
params = { search = "params", direction = "minimize" }
[cost]
seconds = "time"
"""

OPERATIONS = ("none", "skip", "conv")


def toy_rows() -> list[str]:
    """Nine architectures; none and skip at `b` are one network."""
    rows = ["a,b,same,val,val20,test,params,time"]
    for i, (a, b) in enumerate(product(OPERATIONS, OPERATIONS)):
        good = 10 * OPERATIONS.index(a) + 7 * OPERATIONS.index(b)
        same = f"{a}-{b if b == 'conv' else ''}"
        rows.append(f"{a},{b},{same},{50 + good},{60 + good},{58 + good + i % 2},{100 + 11 * good},{20 + i}")
    return rows


def write_table(folder: Path, toml: str = TOML, rows: Sequence[str] | None = None, zipped: bool = False) -> Path:
    """Writes `toy.toml` and its rows, and returns the path of the TOML."""
    path = folder / "toy.toml"
    path.write_text(toml, encoding="utf-8")
    text = "\n".join(toy_rows() if rows is None else rows) + "\n"
    if zipped:
        (folder / "toy.csv.gz").write_bytes(gzip.compress(text.encode()))
    else:
        (folder / "toy.csv").write_text(text, encoding="utf-8")
    return path
