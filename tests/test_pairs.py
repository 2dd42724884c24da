"""NAME=VALUE as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from nas.errors import NasError
from nas.pairs import read_pairs, read_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20", 20),
        ("0.5", 0.5),
        ("true", True),
        ("True", True),
        ("false", False),
        ("null", None),
        ("None", None),
        ("none", None),
        ('"20"', "20"),
        ("[1, 2]", [1, 2]),
        ("sobol", "sobol"),
        ("my.py:f", "my.py:f"),
        ("", ""),
    ],
)
def test_a_value_is_what_it_looks_like(text: str, value: Any) -> None:
    found = read_value(text)
    assert found == value
    assert type(found) is type(value)


def test_pairs_by_name() -> None:
    assert read_pairs(["a=1", " b = x=y "], "--cost") == {"a": 1, "b": "x=y"}
    assert read_pairs([], "--cost") == {}


@pytest.mark.parametrize("pair", ["a", "=1", ""])
def test_what_is_no_pair_is_refused_by_its_place(pair: str) -> None:
    with pytest.raises(NasError, match=f"--cost {pair!r} cannot be read; expected NAME=VALUE"):
        read_pairs([pair], "--cost")
