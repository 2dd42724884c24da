"""A problem: what is known of a candidate before it costs anything."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from nas.blocks import Classifier, Conv, Pool, Sequential
from nas.canonical import fingerprint
from nas.costs import cost_of
from nas.domains import choice
from nas.errors import NasError, ObjectiveError, UnknownNameError
from nas.graph import Graph
from nas.objectives import Objective, constraint
from nas.problem import Problem, Rejected
from nas.source import write_source
from nas.space import Space

SPACE = Space(
    Sequential(Conv(channels=choice(2, 4, 8), kernel=choice(3, 99)), Pool(kernel=choice(2, 16)), Classifier()), (1, 8, 8), 3
)
FINE = {"conv.channels": 4, "conv.kernel": 3, "pool.kernel": 2}


def depth(graph: Graph) -> int:
    return len(graph)


def test_a_candidate_is_fully_described() -> None:
    problem = Problem(SPACE, ["val_accuracy", "params", "layers"], ["params<=1k", constraint("macs < 1M")], {"layers": depth})
    found = problem.consider(FINE)
    architecture = SPACE.decode(FINE)
    assert found.fingerprint == architecture.fingerprint == fingerprint(found.graph)
    assert found.costs == {
        **asdict(cost_of(architecture.graph)), "declared_params": cost_of(architecture.written).params, "layers": len(architecture.graph),
    }  # fmt: skip
    assert found.source() == write_source(architecture.graph)
    assert problem.costs(FINE) == found.costs and problem.feasible(FINE)
    assert problem.exact_losses(FINE) == {1: found.costs["params"], 2: found.costs["layers"]}


def test_dead_parts_are_declared_and_not_counted() -> None:
    from nas.blocks import GraphBuilder, Node
    from nas.blocks.base import Block

    class Wasteful(Block):
        def expand(self, graph: GraphBuilder, x: Node) -> Node:
            graph.conv(x, 100)
            return x

    found = Problem(Space(Sequential(Wasteful(), Classifier()), (1, 8, 8), 3), ["params"]).consider({})
    assert (found.costs["params"], found.costs["declared_params"]) == (6, 1_006)


def test_candidates_that_break_a_constraint_or_cannot_be_built() -> None:
    problem = Problem(SPACE, ["params"], ["params<=50", "declared_params<1k"])
    assert problem.feasible({**FINE, "conv.channels": 2}) and not problem.feasible(FINE)
    for _ in range(2):  # the second time from memory
        with pytest.raises(Rejected) as caught:
            problem.consider(FINE)
        assert caught.value.reason == "params<=50" and caught.value.costs["params"] == 59 and "\n" not in str(caught.value)
    with pytest.raises(Rejected, match=r"pool: .*kernel 16 does not fit into 8 x 8") as caught:
        problem.consider({**FINE, "pool.kernel": 16})
    assert caught.value.reason == "infeasible"


def test_a_network_without_a_head_is_not_trained() -> None:
    with pytest.raises(Rejected, match=r"gives \(4, 8, 8\), expected one logit for each of 3 classes; end it with a Classifier"):
        Problem(Space(Sequential(Conv(4)), (1, 8, 8), 3), ["params"]).consider({})


def test_values_that_are_equal_but_of_another_type_are_not_served_from_memory() -> None:
    problem = Problem(SPACE, ["params"])
    problem.consider(FINE)
    with pytest.raises(NasError, match=r"'conv\.channels' is 4\.0, expected"):
        problem.consider({**FINE, "conv.channels": 4.0})


def test_memory_is_bounded() -> None:
    space = Space(Sequential(Conv(channels=choice(*range(1, 2_000))), Classifier()), (1, 4, 4), 2)
    problem, rng = Problem(space, ["params"]), np.random.default_rng(0)
    for _ in range(700):
        problem.consider(space.sample(rng))
    assert len(problem._seen) <= 512


@pytest.mark.parametrize(
    ("objectives", "constraints", "error", "said"),
    [
        (["params"], ["parms<=3"], UnknownNameError, "unknown constraint 'parms'; did you mean 'params'"),
        (
            ["params"],
            ["val_accuracy>=0.9"],
            ObjectiveError,
            "val_accuracy is known only after training; constrain one of activation_memory",
        ),
        (["params"], ["params<=much"], ObjectiveError, "cannot be read"),
        (["latency"], [], UnknownNameError, "unknown objective 'latency'"),
        ([Objective("latency", "minimize", exact=True)], [], UnknownNameError, "unknown exact cost 'latency'"),
        ([], [], ObjectiveError, "no objective given"),
    ],
)
def test_problems_that_make_no_sense(objectives: list[str], constraints: list[str], error: type[NasError], said: str) -> None:
    with pytest.raises(error, match=said) as caught:
        Problem(SPACE, objectives, constraints)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (KeyError("conv"), r"cost 'mine' failed: KeyError: 'conv'$"),
        (ValueError("two\n  lines"), r"cost 'mine' failed: ValueError: two lines$"),
        (float("nan"), r"cost 'mine' is nan, expected a finite number"),
        (float("inf"), r"cost 'mine' is inf, expected a finite number"),
        ("12", r"cost 'mine' is '12', expected a finite number"),
        (None, r"cost 'mine' is None, expected a finite number"),
    ],
)
def test_own_costs_that_cannot_be_used_are_told_in_one_line(value: Any, said: str) -> None:
    def mine(graph: Graph) -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    problem = Problem(SPACE, ["mine"], own_costs={"mine": mine})
    with pytest.raises(ObjectiveError, match=said) as caught:
        problem.consider(FINE)
    assert "\n" not in str(caught.value) and not isinstance(caught.value, Rejected)


@pytest.mark.parametrize(("value", "kind"), [(np.int64(7), int), (np.float32(0.5), float), (np.float64(2.0), float), (True, int)])
def test_own_costs_become_plain_numbers(value: Any, kind: type) -> None:
    problem = Problem(SPACE, ["mine"], ["mine<=10"], {"mine": lambda graph: value})
    cost = problem.consider(FINE).costs["mine"]
    assert type(cost) is kind and cost == value
    assert json.loads(json.dumps({"mine": cost})) == {"mine": cost}


@pytest.mark.parametrize("name", ["params", "declared_params", "val_accuracy"])
def test_own_costs_take_no_name_that_is_there(name: str) -> None:
    with pytest.raises(ObjectiveError, match=f"cost '{name}' has the name of one that is there already; choose another name"):
        Problem(SPACE, ["params"], own_costs={name: depth})


def test_a_large_cost_that_a_constraint_refuses_is_written_out() -> None:
    space = Space(Sequential(Conv(channels=choice(3, 3000)), Conv(channels=1000), Classifier()), input_shape=(1, 8, 8), classes=3)
    problem = Problem(space, ["params"], ["params<=100k"])
    with pytest.raises(Rejected, match=r"params is 27,\d{3},\d{3}, expected params<=100k"):
        problem.consider({"conv.channels": 3000})
