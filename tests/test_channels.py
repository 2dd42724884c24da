"""Which channels are one and the same, and which of them a smaller network keeps. No tensor is needed for that."""

from __future__ import annotations

import numpy as np

from nas import Space
from nas.blocks import Block, Classifier, Conv, Inception, Parallel, Pool, Residual, SeparableConv, Sequential
from nas.channels import channel_classes, makes_channels
from nas.graph import Graph
from nas.growth import Taken, beginning
from nas.ops import Add, Concat, Conv2d


def graph_of(*blocks: Block) -> Graph:
    return Space(Sequential(*blocks), (2, 8, 8), 3).decode({}).graph


def makers(graph: Graph) -> list[int]:
    return [i for i, op in enumerate(graph.ops) if makes_channels(op)]


def test_a_chain_passes_its_channels_on() -> None:
    graph = graph_of(Conv(4), Pool("max", 2), Conv(3, name="b"), Classifier())
    classes = channel_classes(graph)
    first, second, last = makers(graph)
    assert set(classes[second - 1]) == set(classes[first])
    assert not set(classes[second]) & set(classes[first])
    assert [len(classes[i]) for i in (0, first, second, last)] == [2, 4, 3, 3]


def test_a_sum_makes_one_of_its_terms() -> None:
    graph = graph_of(Conv(4), Residual(4), Residual(4, name="b"), Classifier())
    classes = channel_classes(graph)
    joined = [i for i in makers(graph) if set(classes[i]) == set(classes[makers(graph)[0]])]
    inner = [i for i in makers(graph) if i not in joined]
    assert len(joined) == 3  # the stem and the last convolution of each body
    assert len(inner) == 3  # the first one of each body, and the classifier
    assert all(len(set(classes[i].tolist())) == len(classes[i]) for i in joined)


def test_a_concatenation_and_a_flattening_keep_the_order() -> None:
    graph = graph_of(Parallel(Conv(2), Conv(3, kernel=1)), Classifier())
    classes = channel_classes(graph)
    cat = next(i for i, op in enumerate(graph.ops) if isinstance(op, Concat))
    assert classes[cat].tolist() == [name for s in graph.inputs[cat] for name in classes[s].tolist()]


def test_a_depthwise_convolution_makes_none() -> None:
    graph = graph_of(Conv(4), SeparableConv(6), Classifier())
    deep = next(i for i, op in enumerate(graph.ops) if isinstance(op, Conv2d) and op.groups == 4)
    classes = channel_classes(graph)
    assert classes[deep].tolist() == classes[graph.inputs[deep][0]].tolist()
    assert not makes_channels(graph.ops[deep])


def by_hand(child: Graph, parent: Graph, scores: dict[int, list[float]]) -> dict[int, Taken]:
    found = beginning(child, parent, None, {i: np.array(values) for i, values in scores.items()})
    return {taken.child: taken for taken in found.taken}


def test_the_most_important_channels_stay_in_their_order() -> None:
    parent, child = graph_of(Conv(4), Classifier()), graph_of(Conv(2), Classifier())
    conv, linear = makers(parent)
    taken = by_hand(child, parent, {conv: [1, 4, 2, 3]})
    assert taken[conv].rows is not None and taken[conv].rows.tolist() == [1, 3]
    assert taken[linear].columns is not None and taken[linear].columns.tolist() == [1, 3]
    assert taken[linear].rows is not None and taken[linear].rows.tolist() == [0, 1, 2]


def test_terms_of_a_sum_decide_together() -> None:
    """The stem alone would keep channels 0 and 1, the body 2 and 3; together 1 and 2 matter most."""
    parent, child = graph_of(Conv(4), Residual(4), Classifier()), graph_of(Conv(2), Residual(2), Classifier())
    add = next(i for i, op in enumerate(parent.ops) if isinstance(op, Add))
    classes = channel_classes(parent)
    joined = [i for i in makers(parent) if classes[i].tolist() == classes[add].tolist()]
    taken = by_hand(child, parent, dict(zip(joined, ([4.0, 3, 2, 0], [0.0, 3, 4, 3]), strict=True)))
    kept = [found.rows.tolist() for found in taken.values() if found.parent in joined and found.rows is not None]
    assert kept == [[1, 2], [1, 2]]


def test_parts_of_a_concatenation_decide_before_the_sum_over_it() -> None:
    """The sum may not take from one part what belongs to the other, however important."""
    wide, narrow = (Parallel(Conv(a), Conv(b, kernel=1)) for a, b in ((4, 4), (4, 2)))
    parent = graph_of(Conv(8), Residual(body=wide), Classifier())
    child = graph_of(Conv(6), Residual(body=narrow), Classifier())
    stem = next(i for i in makers(parent) if parent.labels[i] == "conv")
    taken = by_hand(child, parent, {stem: [0, 0, 0, 0, 1, 2, 3, 4]})
    rows = next(found.rows for found in taken.values() if found.parent == stem)
    assert rows is not None and rows.tolist() == [0, 1, 2, 3, 6, 7]


def test_more_channels_stand_for_the_most_important_ones_again() -> None:
    parent, child = graph_of(Conv(3), Classifier()), graph_of(Conv(5), Classifier())
    conv, linear = makers(parent)
    taken = by_hand(child, parent, {conv: [1, 3, 2]})
    assert taken[conv].rows is not None and taken[conv].rows.tolist() == [0, 1, 2, 1, 2]
    assert taken[linear].columns is not None and taken[linear].columns.tolist() == [0, 1, 2, 1, 2]


def test_channels_of_a_sum_are_doubled_together() -> None:
    """The parts of the concatenation grow by one each; the stem, which is summed with it, has to do the same in the same places."""
    parent = graph_of(Conv(4), Residual(body=Parallel(Conv(2), Conv(2, kernel=1))), Classifier())
    child = graph_of(Conv(6), Residual(body=Parallel(Conv(3), Conv(3, kernel=1))), Classifier())
    taken = by_hand(child, parent, {})
    stem = next(i for i in makers(child) if child.labels[i] == "conv")
    assert taken[stem].rows is not None and taken[stem].rows.tolist() == [0, 1, 0, 2, 3, 2]


def test_what_stood_before_may_be_gone() -> None:
    """Two plain convolutions of which one is taken out: the channels follow each other as they stand."""
    parent = graph_of(Conv(4), Conv(5, name="b"), Inception(16), Classifier())
    child = graph_of(Conv(4), Inception(16), Classifier())
    taken = by_hand(child, parent, {i: list(range(parent.facts[i].shape[0])) for i in makers(parent)})
    columns = [f.columns.tolist() for f in taken.values() if child.labels[f.child] == "inception" and f.columns is not None]
    assert columns.count([1, 2, 3, 4]) == 4  # the four branches; the most important of five
