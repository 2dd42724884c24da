"""Decisions that matching carries along."""

from __future__ import annotations

from nas.blocks import Conv, Maybe, OneOf, Pool, shared
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
