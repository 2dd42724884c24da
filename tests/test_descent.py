"""Steps to smaller networks, and the climb to the largest one."""

from __future__ import annotations

import numpy as np
import pytest

from nas import Space, choice, integer
from nas.blocks import Block, Classifier, Conv, Maybe, OneOf, Repeat, Residual, SeparableConv, Sequential, Skip, Zeroize, shared
from nas.blocks import Cell as EdgeCell
from nas.descent import cost_names, is_smaller, largest, saved, steps_down, through
from nas.domains import Genotype
from nas.problem import Problem
from nas.variation import complete, successor

RNG = np.random.default_rng(0)


def problem(*blocks: Block, constraints: tuple[str, ...] = (), objectives: tuple[str, ...] = ("val_accuracy", "params")) -> Problem:
    return Problem(Space(Sequential(*blocks), (2, 8, 8), 3, "floor"), objectives, constraints)


def words(found: Problem, genotype: Genotype) -> list[str]:
    return [step.words for step in steps_down(found, genotype)]


def every(space: Space) -> list[Genotype]:
    found: list[Genotype] = []
    genotype: Genotype | None = complete(space, {}, None)
    while genotype is not None:
        found.append(genotype)
        genotype = successor(space, genotype)
    return found


def test_a_number_goes_to_the_next_smaller_network() -> None:
    found = problem(Conv(channels=choice(16, 64, 32), kernel=choice(1, 3, 5)), Classifier())
    steps = list(steps_down(found, {"conv.channels": 64, "conv.kernel": 5}))
    assert [dict(step.candidate.genotype) for step in steps] == [
        {"conv.channels": 32, "conv.kernel": 5},
        {"conv.channels": 64, "conv.kernel": 3},
    ]
    assert steps[0].words == "conv.channels 64 to 32"
    assert words(found, {"conv.channels": 16, "conv.kernel": 1}) == []


def test_a_greater_number_may_make_a_smaller_network() -> None:
    found = problem(Conv(8), Residual(8, squeeze=choice(1, 2, 4)), Conv(8, stride=choice(1, 2), name="last"), Classifier())
    assert words(found, {"residual.squeeze": 2, "last.stride": 1}) == ["residual.squeeze 2 to 4", "last.stride 1 to 2"]


def test_repetitions_are_taken_out_anywhere() -> None:
    found = problem(Repeat(Conv(channels=choice(2, 4)), times=integer(1, 3)), Classifier())
    paths = list(complete(found.space, {"repeat.times": 3}, None))
    genotype = dict(zip(paths, (3, 2, 4, 2), strict=True))
    out = [step for step in steps_down(found, genotype) if step.words.endswith("out")]
    assert [step.words for step in out] == ["repeat[0] out", "repeat[1] out", "repeat[2] out"]
    assert [list(step.candidate.genotype.values()) for step in out] == [[2, 4, 2], [2, 2, 2], [2, 2, 4]]
    assert [dict(step.aligned) for step in out] == [
        {"repeat[0]": "repeat[1]", "repeat[1]": "repeat[2]"},
        {"repeat[1]": "repeat[2]"},
        {},
    ]


def test_several_repetitions_go_together_where_the_space_has_it_so() -> None:
    found = problem(Repeat(Conv(4), times=choice(1, 3)), Classifier())
    out = list(steps_down(found, {"repeat.times": 3}))
    assert [step.words for step in out] == ["repeat[0] to [1] out", "repeat[1] to [2] out"]
    assert [dict(step.aligned) for step in out] == [{"repeat[0]": "repeat[2]"}, {}]


def test_tied_repetitions_lie_at_every_place_and_shared_ones_lose_their_last() -> None:
    tied = problem(Repeat(Repeat(Conv(4, name="c"), times=integer(1, 2), name="in"), times=2, tied=True, name="out"), Classifier())
    path = next(iter(tied.space.decisions()))
    steps = list(steps_down(tied, {path: 2}))
    assert len(steps) == 2
    assert len(steps[0].aligned) == 2  # one in each of the two outer ones
    assert all(label != before for label, before in steps[0].aligned.items())
    both = problem(
        shared("s", Repeat(Conv(4), times=integer(1, 2))), shared("s", Repeat(Conv(4), times=integer(1, 2))), Classifier()
    )
    assert [dict(step.aligned) for step in steps_down(both, {"@s.times": 2})] == [{}]


def test_a_branch_goes_or_becomes_cheaper() -> None:
    maybe = problem(Conv(4), Maybe(Conv(4, name="more")), Classifier())
    assert words(maybe, {"maybe.present": True}) == ["maybe.present True to False"]
    cell = problem(Conv(4), EdgeCell(OneOf(Zeroize(), Skip(), Conv(None, kernel=1, name="one"), Conv(None)), nodes=2), Classifier())
    path = next(iter(cell.space.decisions()))
    assert words(cell, {path: "conv"}) == [f"{path} conv to skip", f"{path} conv to one"]  # without the edge nothing would be left


def test_an_operation_in_the_place_of_another_is_as_wide() -> None:
    found = problem(OneOf(Conv(channels=choice(4, 8, 16)), SeparableConv(channels=choice(4, 8, 16))), Classifier())
    steps = list(steps_down(found, {"oneof.block": "conv", "oneof.conv.channels": 8}))
    assert {"oneof.block": "separableconv", "oneof.separableconv.channels": 8} in [dict(step.candidate.genotype) for step in steps]


def test_every_step_is_smaller_and_keeps_the_constraints() -> None:
    body = Repeat(OneOf(Conv(channels=choice(4, 8), kernel=choice(1, 3)), Residual(channels=choice(4, 8))), times=integer(1, 3))
    found = problem(body, Classifier(), constraints=("params>=200",))
    for seed in range(10):
        genotype = found.space.sample(np.random.default_rng(seed))
        if not found.feasible(genotype):
            continue
        before = found.costs(genotype)
        for step in steps_down(found, genotype):
            after = step.candidate.costs
            assert 200 <= after["params"] <= before["params"]
            assert is_smaller(["params", "macs"], after, before)
            assert found.consider(step.candidate.genotype).fingerprint == step.candidate.fingerprint


@pytest.mark.parametrize("bound", ["params<=100000", "params<=400", "params<=150", "macs<=5k"])
def test_nothing_feasible_is_one_change_above_the_largest(bound: str) -> None:
    stage = Repeat(Conv(channels=choice(2, 4, 8), kernel=choice(1, 3), stride=choice(1, 2)), times=integer(1, 2))
    found = problem(stage, Classifier(), constraints=(bound,))
    top = largest(found, RNG)
    assert top is not None
    costs = found.costs(top)
    if bound == "params<=100000":
        assert costs["params"] == max(found.costs(g)["params"] for g in every(found.space) if found.feasible(g))
    for near in found.space.neighbours(top):
        assert not (found.feasible(near) and is_smaller(["params", "macs"], costs, found.costs(near)))
    assert largest(found, np.random.default_rng(9)) == top


def test_a_climb_begins_where_the_first_values_are_refused() -> None:
    edge = OneOf(Zeroize(), Skip(), Conv(None, kernel=1, name="one"), Conv(None), Skip(name="again"))
    found = problem(Conv(4), EdgeCell(edge, nodes=3), Classifier())
    top = largest(found, RNG)
    assert top is not None and set(top.values()) == {"conv"}
    assert largest(problem(Conv(channels=choice(2, 4)), Classifier(), constraints=("params<=3",)), RNG) is None


def test_costs_that_count_are_the_objectives_then_parameters_and_multiply_adds() -> None:
    costs = {"params": 1.0, "macs": 2.0, "depth": 3.0, "flops": 4.0}
    assert cost_names(problem(Classifier(), objectives=("val_accuracy", "macs")), costs) == ["macs", "params"]
    assert cost_names(problem(Classifier(), objectives=("val_accuracy",)), costs) == ["params", "macs"]
    assert cost_names(problem(Classifier()), {"depth": 3.0}) == []
    assert saved(["params", "macs"], {"params": 2, "macs": 5}, {"params": 4, "macs": 5}) == pytest.approx(np.log(2))


def test_two_moves_are_followed_one_after_the_other() -> None:
    first = {"a[1]": "a[2]", "a[2]": "a[3]"}
    assert through(first, {"a[0]": "a[1]", "a[1]": "a[2]"}, ["a[0]", "a[1]", "b"]) == {"a[0]": "a[2]", "a[1]": "a[3]"}
    assert through({"a[0]": "a[1]"}, {}, ["a[0]", "b"]) == {"a[0]": "a[1]"}
