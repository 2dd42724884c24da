"""Leaves of a network, and ways to close an open leaf to the same graph."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from nas.blocks import Block, Conv, GraphBuilder, Node, Pool, Repeat, Residual, Sequential, shared
from nas.closings import Closings, Item, flat
from nas.domains import choice, real
from nas.errors import BlockError

SHAPE = (2, 8, 8)


@dataclass(frozen=True)
class Fussy(Block):
    """A user's block that fails with an error of its own."""

    width: int = 1

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        if self.width > 1:
            raise ValueError("too\nwide")
        return graph.conv(x, self.width)


def test_sequences_are_laid_flat_and_shapes_follow() -> None:
    body = Sequential(Conv(4), Repeat(Sequential(Pool(), shared("a", Conv(3))), 2), Sequential())
    items = flat(body, SHAPE, "error", 2)
    assert [type(item.block).__name__ for item in items] == ["Conv", "Pool", "Conv", "Pool", "Conv"]
    assert [item.shape for item in items] == [(2, 8, 8), (4, 8, 8), (4, 4, 4), (3, 4, 4), (3, 2, 2)]
    with pytest.raises(BlockError, match="ValueError: too wide"):
        flat(Fussy(2), SHAPE, "error", 2)


def test_every_way_to_the_same_graph_is_found_in_order() -> None:
    closings = Closings("error", 2, "error")
    block = Residual(channels=choice(2, 4), expansion=choice(4, 2), bottleneck=choice(True, False))
    found = list(closings.ways(block, Item(Residual(4), SHAPE), "r", {}))
    assert found == [{"r.channels": 4, "r.bottleneck": False, "r.expansion": e} for e in (4, 2)]
    assert list(closings.ways(block, Item(Residual(4), SHAPE), "@r", {"@r.expansion": 2})) == [
        {"@r.channels": 4, "@r.bottleneck": False, "@r.expansion": 2}
    ]
    assert list(closings.ways(block, Item(Residual(5), SHAPE), "r", {})) == []


def test_ways_without_number_are_not_tried_and_failures_are_no_matches() -> None:
    closings = Closings("error", 2, "error")
    assert list(closings.ways(Conv(4, dropout=real(0.0, 0.5)), Item(Conv(4), SHAPE), "c", {})) == []
    assert list(closings.ways(Fussy(choice(1, 2)), Item(Conv(1, norm="none", activation="none"), SHAPE), "f", {})) == [
        {"f.width": 1}
    ]


def test_equal_fields_under_other_border_rules() -> None:
    item = Item(Pool(kernel=3, stride=2), (2, 8, 8))
    for border, written, same in (
        ("floor", "warn", True),
        ("floor", "pad", False),
        ("error", "floor", False),
        ("pad", "pad", True),
    ):
        assert Closings(border, 2, written).agrees(item.block, item, "pool", {}) is same  # type: ignore[arg-type]
    assert Closings("pad", 2, "floor").agrees(Pool(), Item(Pool(), SHAPE), "pool", {})
