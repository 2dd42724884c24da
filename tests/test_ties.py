"""Decisions that matching carries along."""

from __future__ import annotations

import numpy as np
import pytest

from nas.blocks import Block, Cell, Classifier, Conv, Maybe, NasnetCell, OneOf, Pool, Repeat, Sequential, Skip, shared
from nas.domains import Genotype, choice, integer
from nas.library import load_space
from nas.space import Space
from nas.ties import agree, carried, is_tied, key_of, moved, options, standing


def test_only_shared_and_tied_decisions_are_carried_out_of_a_block() -> None:
    assert [is_tied(path) for path in ("@cell.conv", "stage[*].conv", "stage[0].conv", "")] == [True, True, False, False]
    decided = {"stage[0].channels": 4, "@cell.channels": 8, "stage[0].repeat[*].kernel": 3}
    assert carried(decided, "stage[0]") == {"@cell.channels": 8}
    assert carried(decided, "@other.stage[0]") == decided == carried(decided, "outer[*].stage[0]")


def test_decisions_are_moved_below_another_path() -> None:
    decided = {"stage[0].channels": 4, "@cell.channels": 8}
    away = moved(decided, "stage[0]", "")
    assert away == {".channels": 4, "@cell.channels": 8}
    assert moved(away, "", "stage[7]") == {"stage[7].channels": 4, "@cell.channels": 8}


def test_types_count() -> None:
    assert agree({"@a": 1}, {"@a": 1, "b": 2}) and not agree({"@a": 1}, {"@a": True}) and not agree({"@a": 1}, {"@a": 1.0})
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1}) != key_of({"a": True, "b": 2})


def test_what_may_stand_in_a_place() -> None:
    conv, pool = Conv(3), Pool()
    assert list(options(Maybe(conv), "maybe", {})) == [
        ({"maybe.present": False}, None, "maybe"),
        ({"maybe.present": True}, conv, "maybe.conv"),
    ]
    nested = OneOf(Maybe(shared("cell", conv)), pool)
    assert list(standing(nested, "p", {})) == [
        ({"p.block": "maybe", "p.maybe.present": False}, None, "p.maybe"),
        ({"p.block": "maybe", "p.maybe.present": True}, conv, "@cell"),
        ({"p.block": "pool"}, pool, "p.pool"),
    ]
    assert [found for _, found, _ in standing(nested, "p", {"p.block": "pool"})] == [pool]


# ---- tied cells as they are searched


def cells_of(space: Space, genotype: Genotype) -> list[Block]:
    """Returns every copy of the cell in a network."""
    return [block for block in space.decode(genotype).body.walk() if isinstance(block, Cell | NasnetCell)]


EDGE = OneOf(Skip(), Conv(None, kernel=choice(1, 3), order="act-conv-norm"), Pool("avg", 3, 1, "same"))
TIED_CELLS = {
    "repeated": (Repeat(Cell(EDGE, nodes=3), integer(2, 4), tied=True),),
    "shared": tuple(
        block
        for stage in range(3)
        for block in (Conv(4 * 2**stage, stride=2, name=f"down{stage}"), Repeat(shared("cell", Cell(EDGE, nodes=3)), 2, name=f"s{stage}"))
    ),
    "steps": (Repeat(NasnetCell(EDGE, steps=2), integer(2, 4), tied=True),),
}  # fmt: skip


@pytest.mark.parametrize("kind", TIED_CELLS)
def test_a_tied_cell_is_decided_once_and_changes_in_all_its_copies(kind: str) -> None:
    space = Space(Sequential(Conv(4), *TIED_CELLS[kind], Classifier()), (1, 16, 16), 2)
    alone = Space(NasnetCell(EDGE, steps=2) if kind == "steps" else Cell(EDGE, nodes=3))
    of_cell = [path for path in space.decisions() if path != "repeat.times"]
    assert len(of_cell) == len(alone.decisions())  # however many copies there are
    rng = np.random.default_rng(0)
    pool = [space.sample(rng) for _ in range(8)]
    changed_cells = 0
    for i in range(60):
        parent, other = pool[int(rng.integers(8))], pool[int(rng.integers(8))]
        mutant, child = space.mutate(parent, rng), space.crossover(parent, other, rng)
        before, after, crossed = (cells_of(space, g) for g in (parent, mutant, child))
        assert len(set(after)) == 1 == len(set(crossed)) and len(after) >= 2
        changed = [path for path in parent if path in mutant and parent[path] != mutant[path]]
        assert len(changed) == 1
        if changed != ["repeat.times"]:
            assert after[0] != before[0] and len(after) == len(before)
            changed_cells += 1
        assert all(child[path] in (parent.get(path), other.get(path)) for path in child if path in parent or path in other)
        pool[i % 8] = mutant
    assert changed_cells > 20


def test_normal_and_reduction_cells_are_two_sets_of_decisions() -> None:
    space = load_space("nasnet_cells").bind((1, 28, 28), 10)
    a, b = (space.sample(np.random.default_rng(seed)) for seed in (0, 1))
    of_cells = [path for path in space.decisions() if path.startswith(("cells.normal.", "cells.reduction."))]
    assert len(of_cells) == 2 * 5 * 4  # two inputs and two operations a step, for any number of cells and stages
    counts = {n: set(space.decode({**a, "cells.repeats": n, "cells.stages": n + 1}).body.walk()) for n in (1, 2)}
    assert [len([c for c in found if isinstance(c, NasnetCell)]) for found in counts.values()] == [2, 2]
    child = space.crossover(a, b, np.random.default_rng(0))
    from_a = [path for path in of_cells if child[path] == a[path] != b[path]]
    from_b = [path for path in of_cells if child[path] == b[path] != a[path]]
    assert from_a and from_b and all(child[path] in (a[path], b[path]) for path in of_cells)
