"""The columns of a table as a search space: an ordinary `Space` whose decisions are the columns, for every strategy to search.

Where a table names no space, nothing is known of an architecture but its columns, so its decisions stand in one block that adds
nothing to the network. Only rows of the table can be decided: after the columns before it, a column has the values that occur
there, and where it is empty in all of these rows the decision is not active.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from nas.blocks.base import Block, Decide
from nas.blocks.classifier import Classifier
from nas.blocks.structure import Sequential
from nas.builder import GraphBuilder
from nas.builder import Node as GraphNode
from nas.counting import Counted
from nas.domains import Choice, Domain, Value
from nas.space import Space

ABSENT = ""
"""The cell of a decision that is not active."""


@dataclass(frozen=True, eq=False)
class Node:
    """What may follow the columns decided so far.

    Attributes:
        column: The one that is next; empty behind the last.
        domain: Its values; None where it is not active.
        below: What follows each of them.
    """

    column: str
    domain: Choice | None
    below: dict[Value, Node]

    def walk(self) -> Iterator[Node]:
        """Yields it and every node below it."""
        yield self
        for node in self.below.values():
            yield from node.walk()


@dataclass(frozen=True)
class Columns(Block):
    """The decisions of a table; it passes its input on.

    Attributes:
        tree: The first column; decisions have the names of columns as their paths, wherever the block stands.
    """

    tree: Node

    def expand(self, graph: GraphBuilder, x: GraphNode) -> GraphNode:
        return x

    @cached_property
    def is_open(self) -> bool:
        return any(node.domain is not None and node.domain.size > 1 for node in self.tree.walk())

    def ask(self, path: str, decide: Decide) -> None:
        """Asks for one column after the other; ends where a value was decided that no row has."""
        node: Node | None = self.tree
        while node is not None and node.column:
            node = node.below.get(ABSENT if node.domain is None else decide(node.column, node.domain))

    def close(self, path: str, decide: Decide) -> Block:
        decided: dict[str, Value] = {}

        def noted(column: str, domain: Domain) -> Value:
            decided[column] = decide(column, domain)
            return decided[column]

        self.ask(path, noted)
        return self.with_fields(tree=column_tree(list(decided), [tuple(decided.values())]))

    def decisions(self, path: str) -> Iterator[tuple[str, Domain]]:
        return iter(self._decisions.items())

    @cached_property
    def _decisions(self) -> dict[str, Domain]:
        """The columns that are active somewhere, each with all values it has anywhere."""
        values: dict[str, set[Value]] = {}
        for node in self.tree.walk():
            values.setdefault(node.column, set()).update(() if node.domain is None else node.domain.values)
        return {column: Choice(in_order(found)) for column, found in values.items() if found}

    def count(self) -> Counted:
        return Counted({frozenset(): sum(not node.column for node in self.tree.walk())})


def column_tree(columns: Sequence[str], rows: Sequence[tuple[Value, ...]]) -> Node:
    """Returns the tree of all rows.

    Args:
        columns: Their names.
        rows: Their values in each row, at least one row.
    """
    domains: dict[tuple[Value, ...], Choice] = {}  # equal ones are one object
    last = Node("", None, {})

    def node(rows: Sequence[tuple[Value, ...]], depth: int) -> Node:
        if depth == len(columns):
            return last
        split: dict[Value, list[tuple[Value, ...]]] = {}
        for row in rows:
            split.setdefault(row[depth], []).append(row)
        values = in_order(set(split))
        domain = None if values == (ABSENT,) else domains.setdefault(values, Choice(values))
        return Node(columns[depth], domain, {value: node(split[value], depth + 1) for value in values})

    return node(rows, 0)


def in_order(values: set[Value]) -> tuple[Value, ...]:
    """Returns the values of one column in an order of their own: an empty cell first, numbers by size, words by letters."""
    return tuple(sorted(values, key=lambda value: (value != ABSENT, value if isinstance(value, int) else 0, str(value))))


def values_of(cells: Sequence[tuple[str, ...]]) -> tuple[tuple[Value, ...], ...]:
    """Returns the values that the cells of each row stand for: whole numbers where a column has no other, else text."""
    columns = []
    for column in zip(*cells, strict=True):
        whole = all(cell == ABSENT or _is_whole(cell) for cell in column)
        columns.append([int(cell) if whole and cell != ABSENT else cell for cell in column])
    return tuple(zip(*columns, strict=True))


def _is_whole(cell: str) -> bool:
    """Returns whether a cell is a whole number as Python writes it: 007 and 1.0 are text."""
    digits = cell.removeprefix("-")
    return digits.isascii() and digits.isdigit() and str(int(cell)) == cell


def column_space(columns: Sequence[str], rows: Sequence[tuple[Value, ...]], name: str) -> Space:
    """Returns the space whose genotypes are the rows; its paths are the names of the columns."""
    return Space(Sequential(Columns(column_tree(columns, rows)), Classifier()), input_shape=(1, 1, 1), classes=2, name=name)
