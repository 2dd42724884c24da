"""A table as what strategies search: a `Problem` whose every candidate is looked up instead of built."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.bench.columns import ABSENT, column_space, values_of
from nas.bench.table import Duplicates, Floats, Table
from nas.domains import Genotype, Value
from nas.errors import BlockError, DataError, GenotypeError, NasError, did_you_mean
from nas.library import load_space
from nas.objectives import constraint, objectives
from nas.problem import Candidate, Problem, Rejected
from nas.space import Space
from nas.variation import complete

Rows = Sequence[tuple[Value, ...]]
"""The value of each decision, row by row."""


class TableProblem(Problem):
    """A table with what counts in it.

    Where the table names a space, that space is searched and a candidate has the graph of its network. Otherwise the columns are
    searched (`nas.bench.columns`), and all candidates share one graph: nothing is known of them but their columns.

    Args:
        table: The table.
        names: Of its objectives, the first one first.
        fidelity: Epochs after which a strategy sees the objectives that tell them apart; None: as the table says.
        duplicates: "skip" gives all rows of one network the same fingerprint, "count" gives each row its own.
        constraints: Such as "params<=500k", on exact objectives or any column of numbers; rows that break one are rejected.

    Attributes:
        table: The table.
        searched: What a strategy sees of each row, `(n, m)`: n rows, m objectives.
        reported: What is told of each row in the end, `(n, m)`.
        seconds: Simulated seconds of one evaluation of each row, `(n,)`; None where the table has no cost.
        feasible_rows: Rows that keep every constraint, `(f,)`, rising; at least one.

    Raises:
        UnknownNameError: When the table has no such objective, or none that a constraint names.
        ObjectiveError, DataError: When an objective stands twice, the table has no such fidelity or does not fit its space, or a
            constraint cannot be read, is on something measured, or is kept by no row.
    """

    def __init__(
        self,
        table: Table,
        names: Sequence[str],
        fidelity: int | None = None,
        duplicates: Duplicates = "skip",
        constraints: Sequence[str] = (),
    ) -> None:
        self.table = table
        self.own_costs = {}
        self.constraints = tuple(constraint(text) for text in constraints)
        self.objectives = objectives([table.objective(name) for name in names])
        fidelity = table.checked_fidelity(fidelity)
        self.searched: Floats = np.stack([table.searched(o.name, fidelity) for o in self.objectives], axis=1)
        self.reported: Floats = np.stack([table.reported(o.name) for o in self.objectives], axis=1)
        self.seconds = table.seconds(fidelity)
        self._exact = {name: table.searched(name) for name, o in table.objectives.items() if o.exact}
        self._exact |= {c.name: table.bounded(c.name) for c in self.constraints}
        self.feasible_rows = self._feasible_rows()
        self._prints = [str(found) for found in (table.classes if duplicates == "skip" else range(len(table)))]
        self.space, self._paths, rows = _in_space(table) if table.spec.space else _in_columns(table)
        self._rows = {row: i for i, row in enumerate(rows)}
        self._shared = None if table.spec.space else self.space.decode(complete(self.space, {}, None))

    def _feasible_rows(self) -> NDArray[np.intp]:
        kept = np.ones(len(self.table), dtype=bool)
        for c in self.constraints:
            column = self._exact[c.name]
            kept &= [c.holds(value) for value in column]
            if not kept.any():
                words = ", ".join(map(str, self.constraints))
                raise DataError(
                    f"{self.table.path} has no row with {words}; {c.name} goes from {column.min():,.12g} to {column.max():,.12g}"
                )
        return np.flatnonzero(kept)

    def row(self, genotype: Genotype) -> int:
        """Returns the row of a genotype.

        Raises:
            GenotypeError: When it decides what the table has no column for.
            Rejected: When the table has no such row.
        """
        found = self._rows.get(tuple([genotype.get(path, ABSENT) for path in self._paths]))
        if found is not None and len(genotype) <= len(self._paths):
            return found
        for path in genotype:
            if path not in self._paths:
                raise GenotypeError(f"{self.table.path} has no decision {path!r}{did_you_mean(path, self._paths)}")
        raise Rejected(f"{self.table.path} has no row for {dict(genotype)}", "infeasible")

    def consider(self, genotype: Genotype) -> Candidate:
        """Returns what the table knows of a genotype before it is evaluated; see `Problem.consider`."""
        row = self.row(genotype)
        costs = {name: float(column[row]) for name, column in self._exact.items()}
        for c in self.constraints:
            if not c.holds(costs[c.name]):
                raise Rejected(f"{c.name} is {costs[c.name]:,.12g}, expected {c.text}", c.text, costs)
        try:
            architecture = self._shared or self.space.decode(genotype)
            graph = architecture.graph
        except BlockError as error:
            raise Rejected(str(error), "infeasible") from None
        return Candidate(genotype, architecture, graph, self._prints[row], costs)

    def metrics(self, row: int) -> dict[str, float]:
        """Returns what a strategy sees of a row once it is evaluated: the objectives by name."""
        return {o.name: float(value) for o, value in zip(self.objectives, self.searched[row], strict=True)}


def _in_columns(table: Table) -> tuple[Space, list[str], Rows]:
    """Returns the columns as a space, their paths, and the values of each row."""
    rows = values_of(table.cells)
    return column_space(table.spec.decisions, rows, table.title), list(table.spec.decisions), rows


def _in_space(table: Table) -> tuple[Space, list[str], Rows]:
    """Returns the space a table names, the path of each of its decisions, and the values of each row.

    Raises:
        DataError: When decisions or cells do not fit the space.
    """
    spec, here = table.spec, f"{table.path}: space {table.spec.space!r}"
    try:
        space = load_space(spec.space)
        space = space.bind(space.input_shape or spec.input_shape, space.classes or spec.classes)
    except NasError as error:
        raise DataError(f"{table.path}: {error}") from None
    domains = space.decisions()
    paths = spec.paths or list(domains)
    for path in paths:
        if path not in domains:
            raise DataError(f"{here} has no decision {path!r}{did_you_mean(path, domains)}; see `paths`")
    if len(paths) != len(spec.decisions) or set(paths) != set(domains):
        raise DataError(
            f"{here} has {len(domains)} decisions, the table {len(spec.decisions)}; name in `paths` the one of each column, "
            "every decision of the space once"
        )
    columns = []
    for name, path, cells in zip(spec.decisions, paths, zip(*table.cells, strict=True), strict=True):
        domain = domains[path]
        known = {str(domain.at(i)): domain.at(i) for i in range(domain.size or 0)}
        for cell in set(cells) - known.keys() - {ABSENT}:
            raise DataError(f"{here}: column {name!r} holds {cell!r}, which decision {path!r} does not{did_you_mean(cell, known)}")
        columns.append([known.get(cell, ABSENT) for cell in cells])
    return space, paths, list(zip(*columns, strict=True))
