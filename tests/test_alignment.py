"""Which node stands for which: by path, by how the nodes of a block hang together, and through repetitions that moved."""

from __future__ import annotations

from nas import Space
from nas.alignment import matched
from nas.blocks import Block, Classifier, Conv, Inception, OneOf, Pool, Repeat, Residual, Sequential
from nas.graph import Graph
from nas.ops import Conv2d
from nas.source import module_names


def graph_of(*blocks: Block) -> Graph:
    return Space(Sequential(*blocks), (2, 8, 8), 3).decode({}).graph


def convolutions(child: Graph, parent: Graph, pairs: dict[int, int]) -> dict[tuple[str, int, int], tuple[str, int, int]]:
    """Label, kernel and channels of the convolutions that stand for each other."""

    def said(graph: Graph, i: int) -> tuple[str, int, int]:
        op = graph.ops[i]
        assert isinstance(op, Conv2d)
        return graph.labels[i], op.kernel[0], op.channels

    return {said(child, c): said(parent, p) for c, p in pairs.items() if isinstance(child.ops[c], Conv2d)}


def test_equal_networks_stand_for_each_other_node_by_node() -> None:
    graph = graph_of(Conv(4), Inception(16), Residual(16), Pool("max", 2), Classifier())
    assert matched(graph, graph) == {i: i for i in range(len(graph))}


def test_branches_are_told_apart_whatever_their_widths() -> None:
    """Three 1x1 convolutions take the same input; what follows them says which is which."""
    parent, child = (graph_of(Conv(8), Inception(branches=b), Classifier()) for b in ((9, 3, 5, 7, 2, 4), (2, 7, 5, 1, 4, 3)))
    assert convolutions(child, parent, matched(child, parent)) == {
        ("conv", 3, 8): ("conv", 3, 8),
        ("inception", 1, 2): ("inception", 1, 9),  # straight into the concatenation
        ("inception", 1, 7): ("inception", 1, 3),  # before the 3x3
        ("inception", 3, 5): ("inception", 3, 5),
        ("inception", 1, 1): ("inception", 1, 7),  # before the 5x5
        ("inception", 5, 4): ("inception", 5, 2),
        ("inception", 1, 3): ("inception", 1, 4),  # behind the pooling
    }


def test_a_projection_that_is_gone_takes_nobodys_place() -> None:
    parent, child = graph_of(Conv(4), Residual(8), Classifier()), graph_of(Conv(8), Residual(8), Classifier())
    pairs = matched(child, parent)
    names = module_names(parent)
    gone = {names[p] for p in names} - {names[p] for p in pairs.values() if p in names}
    assert len(gone) == 2  # the projection and its normalisation
    kernels = {parent.ops[p].kernel for p in names if names[p] in gone and isinstance(parent.ops[p], Conv2d)}
    assert kernels == {(1, 1)}


def test_another_kernel_is_the_same_convolution() -> None:
    parent, child = graph_of(Conv(4, kernel=5), Classifier()), graph_of(Conv(3, kernel=3), Classifier())
    assert convolutions(child, parent, matched(child, parent)) == {("conv", 3, 3): ("conv", 5, 4)}


def test_repetitions_that_moved_are_found_where_they_stood() -> None:
    parent = graph_of(Repeat(Residual(4), times=3), Classifier())
    child = graph_of(Repeat(Residual(4), times=2), Classifier())
    pairs = matched(child, parent, {"repeat[1]": "repeat[2]"})
    found = {(child.labels[c], parent.labels[p]) for c, p in pairs.items()}
    assert found == {("", ""), ("repeat[0]", "repeat[0]"), ("repeat[1]", "repeat[2]"), ("classifier", "classifier")}
    assert len(set(pairs.values())) == len(pairs)


def test_another_operation_has_no_model() -> None:
    open_block = OneOf(Conv(4, name="a"), Residual(4, name="b"))
    space = Space(Sequential(open_block, Classifier()), (2, 8, 8), 3)
    parent, child = (space.decode({"oneof.block": which}).graph for which in "ba")
    assert convolutions(child, parent, matched(child, parent)) == {}
