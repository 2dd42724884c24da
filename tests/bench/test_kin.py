"""The inherited-gene share: shifted repetitions are found again, strangers have little, the order counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_spaces import spaces

from nas import Space, choice, integer
from nas.bench.kin import kin
from nas.blocks import Classifier, Conv, Pool, Repeat, Sequential
from nas.domains import identity

STAGE = Sequential(
    Repeat(Conv(channels=choice(1, 2, 3, 4), kernel=choice(1, 3, 5)), times=integer(1, 6), name="net"), Pool(choice("max", "avg"))
)
DEEP = Space(Sequential(Repeat(STAGE, times=integer(1, 4), name="stage"), Classifier()), input_shape=(1, 64, 64), classes=2)


def chain(*layers: tuple[int, int]) -> dict[str, Any]:
    found: dict[str, Any] = {"net.times": len(layers)}
    for i, (channels, kernel) in enumerate(layers):
        found |= {f"net[{i}].conv.channels": channels, f"net[{i}].conv.kernel": kernel}
    return found


A, B, C, D, NEW = (1, 1), (2, 3), (3, 5), (4, 1), (5, 9)


def test_an_inserted_repetition_keeps_the_share_of_the_others() -> None:
    mother = chain(A, B, C, D)
    assert kin([mother, mother]) == [None, 1.0]
    for at in range(5):
        layers = [A, B, C, D]
        layers.insert(at, NEW)
        assert kin([mother, chain(*layers)])[1] == pytest.approx(8 / 11)  # all but the number of layers and the new one
    assert kin([mother, chain(A, C, D)])[1] == pytest.approx(6 / 7)
    assert kin([mother, chain(A, (2, 5), C, D)])[1] == pytest.approx(8 / 9)


def test_repetitions_are_aligned_in_order_and_one_with_one() -> None:
    assert kin([chain(A, B), chain(B, A)])[1] == pytest.approx(3 / 5)
    assert kin([chain(A), chain(A, A, A)])[1] == pytest.approx(2 / 7)


def test_stages_move_as_a_whole() -> None:
    rng = np.random.default_rng(0)
    mother = next(g for g in (DEEP.sample(rng) for _ in range(100)) if g["stage.times"] == 3)
    moved: dict[str, Any] = {"stage.times": 4}
    for path, value in mother.items():
        if path != "stage.times":
            i = int(path[6])
            moved[f"stage[{i + (i >= 1)}]{path[8:]}"] = value
    moved |= {path.replace("stage[2]", "stage[1]"): 77 for path in moved if path.startswith("stage[2]")}
    assert kin([mother, moved])[1] == pytest.approx((len(mother) - 1) / len(moved))


def test_a_number_in_brackets_that_no_repeat_counts_does_not_move() -> None:
    assert kin([{"steps[0].x": 1, "steps[1].x": 2}, {"steps[0].x": 2, "steps[1].x": 1}])[1] == 0.0


def test_a_stranger_has_little() -> None:
    rng = np.random.default_rng(1)
    stranger = {path: value for path, value in chain((8, 11), (9, 13)).items()}
    shares = kin([chain(A, B, C), stranger])
    assert shares[1] == 0.0
    mutated, fresh = [DEEP.sample(rng)], [DEEP.sample(rng)]
    for _ in range(30):
        mutated.append(DEEP.mutate(mutated[-1], rng))
        fresh.append(DEEP.sample(rng))
    ours, theirs = (np.mean([share for share in kin(found) if share is not None]) for found in (mutated, fresh))
    assert ours > theirs + 0.2


def test_the_order_counts_and_one_earlier_candidate_has_it_all() -> None:
    small, large = {"a": 1, "b": 1}, {"a": 1, "b": 2, "c": 1, "d": 1}
    assert kin([small, large]) == [None, 0.25]
    assert kin([large, small]) == [None, 0.5]
    halves = [{"a": 1, "b": 1, "c": 2, "d": 2}, {"a": 2, "b": 2, "c": 1, "d": 1}, {"a": 1, "b": 1, "c": 1, "d": 1}]
    assert kin(halves)[2] == 0.5


def test_values_of_other_types_are_others_and_nothing_decided_has_no_share() -> None:
    assert kin([{"a": 1, "b": 1}, {"a": True, "b": 1.0}])[1] == 0.0
    assert kin([{}, {}]) == [None, None]
    assert kin([]) == []


def plain(a: dict[str, Any], b: dict[str, Any]) -> int:
    """The same by trying every alignment, written from the definition."""

    def split(genotype: dict[str, Any], base: str) -> list[dict[str, Any]]:
        return [{p.removeprefix(f"{base}[{i}]"): v for p, v in genotype.items() if p.startswith(f"{base}[{i}]")} for i in range(99)]

    counted = [p.removesuffix(".times") for p in a if p.endswith(".times")]
    repeated = [tuple(f"{base}[{digit}" for digit in range(10)) for base in counted]
    outer = [base for base in counted if not any(base.startswith(other) for other in repeated)]
    inside = tuple(begin for begins in repeated for begin in begins)
    found = sum(p in b and identity(a[p]) == identity(b[p]) for p in a if not p.startswith(inside))
    for base in outer:
        if f"{base}.times" in b:
            mine, theirs = ([part for part in split(g, base) if part] for g in (a, b))
            found += best(mine, theirs)
    return found


def best(mine: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> int:
    if not mine or not theirs:
        return 0
    return max(best(mine[1:], theirs), best(mine, theirs[1:]), plain(mine[0], theirs[0]) + best(mine[1:], theirs[1:]))


@settings(max_examples=25, deadline=None)
@given(spaces(), st.integers(0, 2**32 - 1))
def test_it_is_what_its_definition_says(space: Space, seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = [dict(space.sample(rng)) for _ in range(6)]
    for i, share in enumerate(kin(drawn)):
        if i and drawn[i]:
            assert share == pytest.approx(max(plain(drawn[i], earlier) for earlier in drawn[:i]) / len(drawn[i]))
