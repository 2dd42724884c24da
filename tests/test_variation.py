"""Variation: one change at a time, at any depth; children of both parents; everything complete, decodable and repeatable."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_spaces import spaces

from nas import variation
from nas.blocks import Block, Classifier, Conv, Maybe, OneOf, Repeat, Residual, Sequential, shared
from nas.domains import Real, Value, choice, identity, integer, real
from nas.library import load_space
from nas.recipe import Recipe
from nas.space import Space

SEEDS = st.integers(0, 2**32 - 1)
QUICK = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def space(*blocks: Block, **more: object) -> Space:
    return Space(Sequential(*blocks, Classifier()), (1, 8, 8), 2, **more)  # type: ignore[arg-type]


def differing(a: Mapping[str, Value], b: Mapping[str, Value]) -> list[str]:
    """Returns the decisions that are active in both and not the same."""
    return [path for path in a if path in b and identity(a[path]) != identity(b[path])]


def repetitions(genotype: Mapping[str, Value], base: str, times: int) -> list[dict[str, Value]]:
    """Returns the decisions of each repetition, by their paths within it."""
    starts = [f"{base}[{i}]" for i in range(times)]
    return [{p.removeprefix(start): v for p, v in genotype.items() if p.startswith(start)} for start in starts]


def outside(genotype: Mapping[str, Value], base: str) -> dict[str, Value]:
    """Returns the decisions that no repetition of `base` holds, without their number."""
    return {p: v for p, v in genotype.items() if not p.startswith(f"{base}[") and p != f"{base}.times"}


def is_subsequence(short: list[dict[str, Value]], long: list[dict[str, Value]]) -> bool:
    rest = iter(long)
    return all(any(variation.same(one, other) for other in rest) for one in short)


def check_one_change(found: Space, before: Mapping[str, Value], after: Mapping[str, Value]) -> None:
    """Asserts that `after` differs from `before` by one value, or by repetitions inserted or taken out at one place."""
    found.decode(after)
    counts = [path for path in differing(before, after) if path.endswith(".times")]
    if counts:
        path, base = counts[0], counts[0].removesuffix(".times")
        old, new = int(before[path]), int(after[path])  # type: ignore[arg-type]
        a, b = repetitions(before, base, old), repetitions(after, base, new)
        assert is_subsequence(a, b) if new > old else is_subsequence(b, a)
        a_rest, b_rest = outside(before, base), outside(after, base)
        assert not differing(a_rest, b_rest)
        assert all(
            "@" in p or f"{base}[*]" in p for p in a_rest.keys() ^ b_rest.keys()
        )  # tied decisions come and go with their places
    else:
        assert len(differing(before, after)) == 1
        path = differing(before, after)[0]
        appeared = [p for p in after if p not in before]
        parent = path.rpartition(".")[0]
        assert all(p.startswith(parent) or p.startswith("@") for p in appeared)


# ---- on spaces of any form


@given(spaces(), SEEDS)
@QUICK
def test_a_mutation_is_one_change(found: Space, seed: int) -> None:
    rng = np.random.default_rng(seed)
    genotype = found.sample(rng)
    for _ in range(4):
        mutant = found.mutate(genotype, rng)
        if found.size() == 1:
            assert mutant == genotype
        else:
            check_one_change(found, genotype, mutant)
        genotype = mutant


@given(spaces(), SEEDS)
@QUICK
def test_neighbours_are_one_step_away(found: Space, seed: int) -> None:
    genotype = found.sample(np.random.default_rng(seed))
    before = dict(genotype)
    seen = list(found.neighbours(genotype))
    assert genotype == before
    for neighbour in seen:
        check_one_change(found, genotype, neighbour)
    steps = {(path, identity(v)) for path, domain in variation.active(found, genotype).items() for v in domain.near(genotype[path])}
    taken = {
        (path, identity(n[path])) for n in seen for path in genotype if path in n and identity(n[path]) != identity(genotype[path])
    }
    assert steps <= taken


@given(spaces(), SEEDS)
@QUICK
def test_children_take_every_decision_from_a_parent_that_has_it(found: Space, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = found.sample(rng), found.sample(rng)
    child = found.crossover(a, b, rng)
    found.decode(child)
    for path, value in child.items():
        if "[" not in path and (path in a or path in b):
            assert identity(value) in [identity(parent[path]) for parent in (a, b) if path in parent]
    assert variation.same(found.crossover(a, a, rng), a)
    assert variation.same(found.crossover(a, b, np.random.default_rng(7)), found.crossover(a, b, np.random.default_rng(7)))


@given(spaces(), SEEDS)
@QUICK
def test_equal_seeds_give_equal_results(found: Space, seed: int) -> None:
    def run() -> list[dict[str, Value]]:
        rng = np.random.default_rng(seed)
        a, b = found.sample(rng), found.sample(rng)
        return [a, b, found.mutate(a, rng), found.crossover(a, b, rng)]

    assert all(variation.same(x, y) for x, y in zip(run(), run(), strict=True))


# ---- repetitions


CONV = Conv(channels=choice(*range(1, 17)))
DEEP = space(Repeat(CONV, times=integer(0, 6)))


def _deep(*channels: int) -> dict[str, Value]:
    return {"repeat.times": len(channels), **{f"repeat[{i}].channels": c for i, c in enumerate(channels)}}


def _channels(genotype: Mapping[str, Value]) -> tuple[int, ...]:
    return tuple(v for p, v in genotype.items() if p.endswith(".channels"))  # type: ignore[misc]


def test_repetitions_are_inserted_and_taken_out_anywhere() -> None:
    genotype, rng = _deep(1, 2, 3), np.random.default_rng(0)
    longer, shorter = set(), set()
    for _ in range(3_000):
        mutant = DEEP.mutate(genotype, rng)
        if mutant["repeat.times"] == 4:
            longer.add(_channels(mutant))
        elif mutant["repeat.times"] == 2:
            shorter.add(_channels(mutant))
    assert shorter == {(1, 2), (1, 3), (2, 3)}
    assert {(1, 1, 2, 3), (1, 2, 2, 3), (1, 2, 3, 3)} <= longer
    assert all(c[:3] == (1, 2, 3) or c in {(1, 1, 2, 3), (1, 2, 2, 3), (1, 2, 3, 3)} for c in longer)


def test_neighbours_insert_and_take_out_at_every_place() -> None:
    found = [n for n in DEEP.neighbours(_deep(1, 2, 3)) if n["repeat.times"] != 3]
    assert [_channels(n) for n in found if n["repeat.times"] == 2] == [(2, 3), (1, 3), (1, 2)]
    assert [_channels(n) for n in found if n["repeat.times"] == 4] == [(1, 1, 2, 3), (1, 2, 2, 3), (1, 2, 3, 3), (1, 2, 3, 1)]
    assert list(space(Repeat(CONV, times=integer(0, 1))).neighbours({"repeat.times": 0})) == [
        {"repeat.times": 1, "repeat[0].channels": 1}
    ]


def test_whole_stages_move_along_with_what_they_hold() -> None:
    found = space(Repeat(Sequential(Repeat(CONV, times=integer(1, 3)), Maybe(CONV)), times=integer(1, 4), name="stage"))
    genotype: dict[str, Value] = {
        "stage.times": 2,
        "stage[0].repeat.times": 1, "stage[0].repeat[0].channels": 1, "stage[0].maybe.present": True, "stage[0].maybe.conv.channels": 2,
        "stage[1].repeat.times": 2, "stage[1].repeat[0].channels": 3, "stage[1].repeat[1].channels": 4, "stage[1].maybe.present": False,
    }  # fmt: skip
    shorter = [n for n in found.neighbours(genotype) if n["stage.times"] == 1]
    first = {p: v for p, v in genotype.items() if p.startswith("stage[0]")}
    second = {p.replace("stage[1]", "stage[0]"): v for p, v in genotype.items() if p.startswith("stage[1]")}
    assert shorter == [{"stage.times": 1, **second}, {"stage.times": 1, **first}]


def test_similar_paths_are_not_taken_for_repetitions() -> None:
    """`a` and `aa`, and a name that stands within a pattern."""
    found = space(Repeat(CONV, times=integer(1, 2), name="a"), Repeat(CONV, times=integer(1, 2), name="aa"))
    genotype: dict[str, Value] = {
        "a.times": 2,
        "a[0].channels": 1,
        "a[1].channels": 2,
        "aa.times": 2,
        "aa[0].channels": 3,
        "aa[1].channels": 4,
    }
    for neighbour in found.neighbours(genotype):
        if neighbour["a.times"] == 1:
            assert (neighbour["aa[0].channels"], neighbour["aa[1].channels"]) == (3, 4)


def test_children_inherit_across_depths() -> None:
    """Parents of one and five repetitions: nothing is drawn anew, whatever the depth of the child."""
    rng, depths, mixed = np.random.default_rng(0), set(), 0
    for _ in range(300):
        child = DEEP.crossover(_deep(1), _deep(11, 12, 13, 14, 15), rng)
        channels = _channels(child)
        depths.add(len(channels))
        assert set(channels) <= {1, 11, 12, 13, 14, 15}
        later = [c for c in channels if c > 1]
        assert later == sorted(later), "repetitions keep their order"
        mixed += len(set(channels)) > 1 and 1 in channels
    assert depths == {1, 5} and mixed > 50


def test_children_of_stages_align_what_lies_within() -> None:
    found = space(Repeat(Repeat(CONV, times=integer(1, 3)), times=integer(1, 3), name="stage"))
    rng = np.random.default_rng(1)

    def filled(stages: int, inner: int, value: int) -> dict[str, Value]:
        made: dict[str, Value] = {"stage.times": stages}
        for i in range(stages):
            made[f"stage[{i}].times"] = inner
            made |= {f"stage[{i}][{j}].channels": value for j in range(inner)}
        return made

    for _ in range(100):
        child = found.crossover(filled(1, 3, 5), filled(3, 1, 9), rng)
        found.decode(child)
        assert set(_channels(child)) <= {5, 9}
        assert {v for p, v in child.items() if p.endswith("].times")} <= {1, 3}


def test_children_take_options_with_what_belongs_to_them() -> None:
    found = space(Repeat(OneOf(CONV, Residual(channels=choice(2, 4), bottleneck=choice(False, True))), times=2))
    a = {"repeat[0].block": "conv", "repeat[0].conv.channels": 7, "repeat[1].block": "conv", "repeat[1].conv.channels": 8}
    b = {
        "repeat[0].block": "residual", "repeat[0].residual.channels": 2, "repeat[0].residual.bottleneck": True,
        "repeat[1].block": "residual", "repeat[1].residual.channels": 4, "repeat[1].residual.bottleneck": False,
    }  # fmt: skip
    rng = np.random.default_rng(0)
    seen = {tuple(found.crossover(a, b, rng).items()) for _ in range(200)}
    for child in map(dict, seen):
        for i in range(2):
            source = a if child[f"repeat[{i}].block"] == "conv" else b
            assert all(source[p] == v for p, v in child.items() if p.startswith(f"repeat[{i}]"))
    assert len(seen) == 4


def test_tied_decisions_change_together() -> None:
    found = space(Repeat(CONV, times=integer(1, 3), tied=True), shared("a", CONV), shared("a", CONV))
    rng = np.random.default_rng(0)
    genotype = found.sample(rng)
    assert list(genotype) == ["repeat.times", "repeat[*].channels", "@a.channels"]
    changed = [differing(genotype, found.mutate(genotype, rng)) for _ in range(60)]
    assert {p for paths in changed for p in paths} == set(genotype) and all(len(paths) == 1 for paths in changed)


# ---- values


def test_real_values_always_move_and_stay_inside() -> None:
    found = space(Conv(channels=2), recipe=Recipe(lr=real(0.1, 0.5, log=True), momentum=real(0.9, 0.9)))
    rng = np.random.default_rng(0)
    for start in (0.1, 0.3, 0.5):
        for _ in range(100):
            mutant = found.mutate({"recipe.lr": start, "recipe.momentum": 0.9}, rng)
            assert mutant["recipe.lr"] != start and Real(0.1, 0.5).holds(mutant["recipe.lr"]) and mutant["recipe.momentum"] == 0.9


def test_a_space_without_decisions_has_one_genotype() -> None:
    found, rng = space(Conv(channels=2), Repeat(Conv(channels=choice(3)), times=integer(2, 2))), np.random.default_rng(0)
    genotype = found.sample(rng)
    assert found.mutate(genotype, rng) == genotype and list(found.neighbours(genotype)) == []
    assert found.crossover(genotype, genotype, rng) == genotype


def test_mutations_choose_evenly_among_decisions_that_can_change() -> None:
    found = space(
        Conv(channels=choice(1, 2)), Conv(channels=choice(*range(1, 10))), Conv(channels=choice(5)), Maybe(Conv(channels=2))
    )
    rng = np.random.default_rng(0)
    genotype: dict[str, Value] = {"conv.channels": 1, "conv2.channels": 1, "conv3.channels": 5, "maybe.present": False}
    counts: dict[str, int] = {}
    for _ in range(1_500):
        (path,) = differing(genotype, found.mutate(genotype, rng))
        counts[path] = counts.get(path, 0) + 1
    assert set(counts) == {"conv.channels", "conv2.channels", "maybe.present"}
    assert all(430 < n < 570 for n in counts.values())


def test_wanted_decisions_are_kept_where_they_fit() -> None:
    found = space(Maybe(CONV), CONV)
    wanted: dict[str, Value] = {"maybe.present": True, "maybe.conv.channels": 3, "conv.channels": 99, "elsewhere": 1}
    assert variation.complete(found, wanted, None) == {"maybe.present": True, "maybe.conv.channels": 3, "conv.channels": 1}
    drawn = variation.complete(found, wanted, np.random.default_rng(0))
    assert drawn["maybe.conv.channels"] == 3 and drawn["conv.channels"] in range(1, 17)


def test_sameness_knows_types() -> None:
    assert variation.same({"a": 1, "b": (1, 2)}, {"b": (1, 2), "a": 1})
    for other in ({"a": True, "b": (1, 2)}, {"a": 1, "b": (1, 2.0)}, {"a": 1}, {"a": 1, "b": (1, 2), "c": None}):
        assert not variation.same({"a": 1, "b": (1, 2)}, other)  # type: ignore[arg-type]


def test_samples_are_spread_over_the_space() -> None:
    rng, counts = np.random.default_rng(0), np.zeros(7)
    for _ in range(1_400):
        counts[int(DEEP.sample(rng)["repeat.times"])] += 1  # type: ignore[arg-type]
    assert ((counts > 140) & (counts < 260)).all()


def test_permanence() -> None:
    """What a seed gives may change only with a new major version: recorded searches are recomputed from their seeds."""
    found, rng = load_space("fashion_small"), np.random.default_rng(0)
    genotype = found.sample(rng)
    chain = [genotype]
    for _ in range(15):
        chain.append(found.mutate(chain[-1], rng))
    for a, b in zip(chain[:15], reversed(chain), strict=False):
        chain.append(found.crossover(a, b, rng))
    digest = hashlib.sha256(repr([sorted(g.items()) for g in chain]).encode()).hexdigest()[:16]
    assert digest == "aaa12f6ec9a95993"


@pytest.mark.parametrize("times", [choice(0, 3, 1), integer(0, 3)])
def test_numbers_of_repetitions_may_jump(times: int) -> None:
    found, rng = space(Repeat(CONV, times=times)), np.random.default_rng(0)
    for _ in range(50):
        genotype = found.sample(rng)
        for _ in range(5):
            mutant = found.mutate(genotype, rng)
            check_one_change(found, genotype, mutant)
            genotype = mutant
