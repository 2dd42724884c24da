"""What is recorded of importances, and what a smaller network loses, all by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nas import Space
from nas.blocks import Block, Classifier, Conv, Maybe, Repeat, Residual, Sequential
from nas.channels import channel_classes, makes_channels
from nas.errors import StrategyError
from nas.graph import Graph
from nas.importance import SHARES, check_kind, lost, middle_sizes, summary
from nas.ops import Add
from nas.source import module_names


def graph_of(*blocks: Block) -> Graph:
    return Space(Sequential(*blocks), (2, 8, 8), 3).decode({}).graph


def even(graph: Graph, *middles: float) -> dict[str, list[float]]:
    """Importances under which every layer's channels matter alike, one each."""
    found = {}
    for i, name in module_names(graph).items():
        if makes_channels(graph.ops[i]):
            channels = graph.facts[i].shape[0]
            found[name] = [channels * j / SHARES for j in range(1, SHARES + 1)] + list(middles) * (name != "linear1")
    return found


def test_sums_go_from_the_least_important_channels_to_all() -> None:
    graph = graph_of(Conv(8), Classifier())
    conv, linear = (i for i, op in enumerate(graph.ops) if makes_channels(op))
    scores = {conv: np.array([8.0, 1, 7, 2, 6, 3, 5, 4]), linear: np.array([1.0, 0, 0])}
    assert summary(graph, scores, {conv: [0.25]}) == {
        "conv1": [1, 3, 6, 10, 15, 21, 28, 36, 0.25],
        "linear1": [0, 0, 0, 0, 0, 0.25, 0.625, 1],  # three channels: eighths lie between them
    }


def test_channels_that_are_summed_are_dropped_together() -> None:
    """What a term of a sum loses is said in the order in which the classes go, which is not its own."""
    graph = graph_of(Conv(2), Residual(2), Classifier())
    add = next(i for i, op in enumerate(graph.ops) if isinstance(op, Add))
    classes = channel_classes(graph)
    one, other = (i for i, op in enumerate(graph.ops) if makes_channels(op) and classes[i].tolist() == classes[add].tolist())
    found, names = summary(graph, {one: np.array([1.0, 2]), other: np.array([5.0, 0])}), module_names(graph)
    assert [found[names[one]][3], found[names[other]][3]] == [2, 0]  # the second class goes first: 2 + 0 against 1 + 5


def test_a_smaller_layer_loses_its_least_important_channels() -> None:
    parent = graph_of(Conv(8), Classifier())
    importances = {"conv1": [1, 3, 6, 10, 15, 21, 28, 36], "linear1": [0.5] * 8}
    assert lost(importances, graph_of(Conv(8), Classifier()), parent) == 0
    assert lost(importances, graph_of(Conv(6), Classifier()), parent) == 3
    assert lost(importances, graph_of(Conv(4), Classifier()), parent) == 10
    assert lost(importances, graph_of(Conv(12), Classifier()), parent) == 0


def test_what_is_missing_loses_all_it_has() -> None:
    space = Space(Sequential(Conv(4), Maybe(Conv(4, kernel=1, name="more")), Classifier()), (2, 8, 8), 3)
    parent, child = (space.decode({"maybe.present": there}).graph for there in (True, False))
    assert lost(even(parent), child, parent) == 4


def test_a_repetition_is_missed_where_it_stood() -> None:
    parent = graph_of(Repeat(Residual(4), times=3), Classifier())
    child = graph_of(Repeat(Residual(4), times=2), Classifier())
    names = module_names(parent)
    own = {
        names[i]: [float(parent.labels[i][-2])] * SHARES for i in names if names[i].startswith("conv") and "[" in parent.labels[i]
    }
    convolutions = {label: sum(parent.labels[i] == label for i in names if names[i] in own) for label in ("repeat[1]", "repeat[2]")}
    assert lost(own, child, parent) == 2 * convolutions["repeat[2]"]
    assert lost(own, child, parent, {"repeat[1]": "repeat[2]"}) == 1 * convolutions["repeat[1]"]


def test_a_smaller_kernel_keeps_its_middle() -> None:
    parent = graph_of(Conv(4, kernel=7), Classifier())
    importances = even(parent, 0.8, 0.5, 0.1)
    assert lost(importances, graph_of(Conv(4, kernel=5), Classifier()), parent) == pytest.approx(4 * 0.2)
    assert lost(importances, graph_of(Conv(4, kernel=1), Classifier()), parent) == pytest.approx(4 * 0.9)
    assert lost(importances, graph_of(Conv(2, kernel=3), Classifier()), parent) == pytest.approx(4 - 2 * 0.5)
    assert middle_sizes((7, 7)) == [(5, 5), (3, 3), (1, 1)]
    assert middle_sizes((1, 5)) == [(1, 3), (1, 1)]
    assert middle_sizes((1, 1)) == []


def test_fewer_pixels_are_a_loss_too() -> None:
    parent, child = graph_of(Conv(4), Conv(4, name="b"), Classifier()), graph_of(Conv(4, stride=2), Conv(4, name="b"), Classifier())
    assert lost(even(parent), child, parent) == pytest.approx(2 * 4 * 3 / 4)


def test_an_importance_that_is_none_is_refused() -> None:
    with pytest.raises(StrategyError, match="prune: importance is 'size', expected one of taylor, magnitude, bn-scale"):
        check_kind("prune", "size")
