"""A table of architectures whose results are known: the TOML that says what its columns mean, and the rows themselves.

A table is two files, `NAME.toml` and `NAME.csv` or `NAME.csv.gz` beside it (`data = "FILE"` names another). The CSV has a head and
one line an architecture. The TOML:

    title = "NAS-Bench-201, CIFAR-10"
    decisions = ["e01", "e02", "e12"]     # columns that make an architecture; no two lines have the same
    identity = "network"                  # optional column: lines with one value are one network, merged by `--duplicates skip`
    space = "nasbench201"                 # optional: a space (name or FILE.py), so that strategies see graphs too
    paths = ["@cell.edge0-1.block", ...]  # optional: its path for each of `decisions`; left out, they go in the space's own order
    input_shape = [3, 32, 32]             # where the space leaves it open; with `classes`, these are the defaults
    classes = 10

    [objectives]                          # the first one is what regret is told of
    accuracy = { search = "val12", report = "test", direction = "maximize", fidelity = { 12 = "val12", 200 = "val200" } }
    params = { search = "params", direction = "minimize" }

    [cost]                                # optional, for simulated budgets
    seconds = "time"                      # column: seconds of one evaluation at the highest fidelity
    share = { 12 = 0.0618 }               # optional: a fidelity's share of it; left out, 12 of 200 epochs cost 12/200

`search` is the column a strategy sees, `report` what is told in the end (left out: the same). `fidelity` gives the column a search
sees after so many epochs. An objective is exact, that is known before anything is trained, where `exact = true`; left out, where it
is minimised, searched and reported in one column, and not named after a loss or an error. An empty cell says that this decision is
not active in this architecture; cells of a column that are whole numbers throughout are taken as such. A constraint bounds an exact
objective or any column of numbers, named here or not, as long as no training is needed to know it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from nas.errors import DataError, ObjectiveError, UnknownNameError
from nas.objectives import Direction, Objective

Floats = NDArray[np.float64]
Duplicates = Literal["count", "skip"]
"""What becomes of a proposal that repeats an earlier one: it counts as an evaluation, or is served and costs nothing."""

_MEASURED = ("loss", "error", "err", "perplexity")


class ObjectiveSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry under `[objectives]`; see the head of this module.

    Attributes:
        search: Column a strategy sees.
        direction: Which way is better.
        report: Column that is told in the end; empty: the same.
        fidelity: Epochs to the column seen after them.
        exact: Whether it is known before training; None: as its other fields suggest.
    """

    search: str
    direction: Direction
    report: str = ""
    fidelity: dict[int, str] = {}
    exact: bool | None = None

    @property
    def reported(self) -> str:
        """The column that is told in the end."""
        return self.report or self.search

    def columns(self) -> list[str]:
        """Returns every column it names, once."""
        return list(dict.fromkeys([self.search, self.reported, *self.fidelity.values()]))

    def is_exact(self, name: str) -> bool:
        """Returns whether it is known before anything is trained."""
        if self.exact is not None:
            return self.exact
        measured = bool(self.fidelity) or any(name.lower().endswith(word) for word in _MEASURED)
        return self.direction == "minimize" and self.search == self.reported and not measured


class CostSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The entries under `[cost]`.

    Attributes:
        seconds: Column of the seconds one evaluation takes at the highest fidelity.
        share: Fidelity to its share of these seconds.
    """

    seconds: str
    share: dict[int, float] = {}


class TableSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table's TOML; see the head of this module."""

    decisions: list[str]
    objectives: dict[str, ObjectiveSpec]
    title: str = ""
    identity: str = ""
    data: str = ""
    space: str = ""
    paths: list[str] = []
    input_shape: tuple[int, int, int] = (3, 32, 32)
    classes: int = 10
    cost: CostSpec | None = None


@dataclass(frozen=True, eq=False)
class Table:
    """A table as it was read; `n` rows, one an architecture.

    Attributes:
        path: Of the TOML.
        spec: What it says.
        cells: Of each row the text of its decisions, in the order of `spec.decisions`.
        numbers: Each column of numbers by name, `(n,)`.
        classes: `(n,)`, equal for rows that are one network; every row its own where the table has no `identity`.
        others: The text of each column that the TOML does not name, by name.
    """

    path: Path
    spec: TableSpec
    cells: tuple[tuple[str, ...], ...]
    numbers: Mapping[str, Floats]
    classes: NDArray[np.int64]
    others: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def title(self) -> str:
        """What it is called where it is shown."""
        return self.spec.title or self.path.stem

    @cached_property
    def objectives(self) -> dict[str, Objective]:
        """Every objective it has, by name, in its own order."""
        return {name: Objective(name, o.direction, exact=o.is_exact(name)) for name, o in self.spec.objectives.items()}

    @property
    def fidelities(self) -> list[int]:
        """Every fidelity that an objective has, lowest first."""
        return sorted({epochs for o in self.spec.objectives.values() for epochs in o.fidelity})

    def objective(self, name: str) -> Objective:
        """Returns an objective.

        Raises:
            UnknownNameError: When the table has none of that name.
        """
        if name not in self.objectives:
            raise UnknownNameError(f"objective of {self.path}", name, self.objectives)
        return self.objectives[name]

    def searched(self, name: str, fidelity: int | None = None) -> Floats:
        """Returns what a strategy sees of an objective, `(n,)`, at a fidelity or (None) at the table's own."""
        spec = self.spec.objectives[name]
        return self.numbers[spec.search if fidelity is None else spec.fidelity.get(fidelity, spec.search)]

    def reported(self, name: str) -> Floats:
        """Returns what is told of an objective in the end, `(n,)`."""
        return self.numbers[self.spec.objectives[name].reported]

    def bounded(self, name: str) -> Floats:
        """Returns what a constraint of that name bounds, `(n,)`: an exact objective, or a column of numbers.

        Raises:
            ObjectiveError: When it is measured by training, so that no candidate could be refused before.
            UnknownNameError: When there is no such objective or column.
            DataError: When the column holds something else than numbers.
        """
        exact = [known for known, o in self.objectives.items() if o.exact]
        measured = {known: spec.columns() for known, spec in self.spec.objectives.items() if known not in exact}
        if name in exact:
            return self.searched(name)
        if name in measured or any(name in columns for columns in measured.values()):
            raise ObjectiveError(
                f"constraint on {name}: it is known only after training; constrain one of {', '.join(exact) or '-'}"
            )
        texts = {**dict(zip(self.spec.decisions, zip(*self.cells, strict=True), strict=True)), **self.others}
        if name not in texts and name not in self.numbers:
            raise UnknownNameError(f"objective or column of {self.path}", name, [*exact, *self.numbers, *texts])
        if name not in self.numbers:
            return _as_numbers(texts[name], f"{self.path}: constraint on {name}")
        return self.numbers[name]

    def checked_fidelity(self, fidelity: int | None) -> int | None:
        """Returns the fidelity if the table has it.

        Raises:
            DataError: When it has not.
        """
        if fidelity is not None and fidelity not in self.fidelities:
            known = ", ".join(map(str, self.fidelities)) or "none"
            raise DataError(f"{self.path} has no fidelity {fidelity}; it has {known}: name one of these or leave --fidelity out")
        return fidelity

    def seconds(self, fidelity: int | None = None) -> Floats | None:
        """Returns the simulated seconds of one evaluation of each row, `(n,)`; None where the table has no cost."""
        cost = self.spec.cost
        if cost is None:
            return None
        epochs = self._searched_fidelity() if fidelity is None else fidelity
        linear = epochs / self.fidelities[-1] if epochs else 1.0
        return self.numbers[cost.seconds] * (cost.share.get(epochs, linear) if epochs else 1.0)

    def _searched_fidelity(self) -> int | None:
        """Returns the fidelity of the column that is searched when none is asked for; None where it has no name."""
        for spec in self.spec.objectives.values():
            for epochs, column in spec.fidelity.items():
                if column == spec.search:
                    return epochs
        return None


def _as_numbers(cells: Sequence[str], what: str) -> Floats:
    """Returns the numbers that cells stand for, `(n,)`.

    Raises:
        DataError: When one stands for none.
    """
    try:
        found = np.array(cells, dtype=np.float64)
    except ValueError:
        found = np.array([math.nan])
    if not np.isfinite(found).all():
        raise DataError(f"{what}: not every cell of that column is a finite number; constrain another one")
    return found
