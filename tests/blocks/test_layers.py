"""Blocks of layers: shapes and parameters against the papers' and against sums by hand."""

from __future__ import annotations

import pytest

from nas.blocks import (
    Block,
    Classifier,
    Conv,
    GlobalPool,
    Inception,
    InvertedResidual,
    Norm,
    Pool,
    Residual,
    Resize,
    SeparableConv,
    Sequential,
    SqueezeExcite,
)  # fmt: skip
from nas.costs import cost_of
from nas.errors import BlockError
from nas.graph import Graph
from nas.ops import Conv2d, Dropout, LocalResponseNorm, Pool2d
from nas.space import Space


def graph(block: Block, shape: tuple[int, int, int] = (8, 12, 12), classes: int = 10, border: str = "floor") -> Graph:
    return Space(block, shape, classes, border).decode({}).graph  # type: ignore[arg-type]


def kinds(found: Graph) -> list[str]:
    return [type(op).__name__ for op in found.ops[1:]]


@pytest.mark.parametrize(
    ("block", "shape", "params"),
    [
        (Conv(16), (16, 12, 12), 8 * 16 * 9 + 32),
        (Conv(16, norm="none"), (16, 12, 12), 8 * 16 * 9 + 16),
        (Conv(16, (1, 5), (1, 2), "valid", norm="none", bias=False), (16, 12, 4), 8 * 16 * 5),
        (Conv(16, 3, dilation=2, groups=4), (16, 12, 12), 2 * 16 * 9 + 32),
        (Conv(8, 3, groups="depthwise"), (8, 12, 12), 8 * 9 + 16),
        (Conv(None, 1), (8, 12, 12), 8 * 8 + 16),
        (Conv(4, 3, order="act-conv-norm"), (4, 12, 12), 8 * 4 * 9 + 8),
        (Conv(4, 3, order="norm-act-conv"), (4, 12, 12), 16 + 8 * 4 * 9),
        (Conv(4, 3, order="norm-act-conv", norm="none"), (4, 12, 12), 8 * 4 * 9 + 4),
        (Conv(8, 4, padding_mode="reflect", norm="none"), (8, 12, 12), 8 * 8 * 16 + 8),
        (Conv(8, (3, 1), (2, 1), (1, 0), (2, 1), norm="none"), (8, 5, 12), 8 * 8 * 3 + 8),
        (Pool("l2", (2, 3), (2, 1), (1, 1)), (8, 7, 12), 0),
        (Pool("avg", 2, 2, "same"), (8, 6, 6), 0),
        (GlobalPool("l2"), (8, 1, 1), 0),
        (SeparableConv(None, (3, 5)), (8, 12, 12), 8 * 15 + 16 + 64 + 16),
        (SeparableConv(4, order="act-conv-norm", twice=True), (4, 12, 12), 8 * 9 + 8 * 4 + 8 + 4 * 9 + 4 * 4 + 8),
        (InvertedResidual(None, expansion=1), (8, 12, 12), 8 * 9 + 16 + 64 + 16),
        (Conv(16, 3, 2), (16, 6, 6), 8 * 16 * 9 + 32),
        (Norm(), (8, 12, 12), 16),
        (Norm("local_response", activation="relu"), (8, 12, 12), 0),
        (Pool(), (8, 6, 6), 0),
        (Pool("avg", 3, 2, 1), (8, 6, 6), 0),
        (Pool("l2", 3, 1, "same"), (8, 12, 12), 0),
        (GlobalPool("max", (2, 3)), (8, 2, 3), 0),
        (Resize(16), (8, 16, 16), 0),
        (Resize((5, 20)), (8, 5, 20), 0),
        (SeparableConv(16, 5, 2), (16, 6, 6), 8 * 25 + 16 + 8 * 16 + 32),
        (SqueezeExcite(4), (8, 12, 12), 8 * 2 + 2 + 2 * 8 + 8),
        (SqueezeExcite(100), (8, 12, 12), 8 + 1 + 8 + 8),
        (InvertedResidual(8), (8, 12, 12), 8 * 48 + 96 + 48 * 9 + 96 + 48 * 8 + 16),
        (InvertedResidual(8, expansion=1), (8, 12, 12), 8 * 9 + 16 + 64 + 16),
        (
            InvertedResidual(16, 5, 2, 3, squeeze=4),
            (16, 6, 6),
            8 * 24 + 48 + 24 * 25 + 48 + (24 * 6 + 6 + 6 * 24 + 24) + 24 * 16 + 32,
        ),
        (Residual(), (8, 12, 12), 2 * (64 * 9 + 16)),
        (Residual(16, stride=2), (16, 6, 6), 8 * 16 * 9 + 32 + 16 * 16 * 9 + 32 + 8 * 16 + 32),
        (Residual(16, stride=2, shortcut="pad"), (16, 6, 6), 8 * 16 * 9 + 32 + 16 * 16 * 9 + 32),
        (Residual(16, bottleneck=True), (16, 12, 12), 8 * 4 + 8 + 16 * 9 + 8 + 4 * 16 + 32 + 8 * 16 + 32),
        (Residual(2, bottleneck=True, expansion=8), (2, 12, 12), 8 + 2 + 9 + 2 + 2 + 4 + 16 + 4),
        (Residual(squeeze=4), (8, 12, 12), 2 * (64 * 9 + 16) + 8 * 2 + 2 + 2 * 8 + 8),
        (Residual(norm="none"), (8, 12, 12), 2 * (64 * 9 + 8)),
        (Residual(preactivation=True), (8, 12, 12), 2 * (16 + 64 * 9)),
        (Residual(body=Conv(8, 1)), (8, 12, 12), 64 + 16),
        (Residual(body=Conv(4, 1, 2)), (4, 6, 6), 32 + 8 + 32 + 8),
        (Inception(branches=(64, 96, 128, 16, 32, 32), norm="none"), (256, 12, 12), None),
        (Inception(16), (16, 12, 12), None),
        (Inception(16, reduce=False), (4 + 8 + 2 + 8, 12, 12), None),
        (Inception(16, large="3x3 twice"), (16, 12, 12), None),
        (Classifier(), (10,), 8 * 10 + 10),
        (Classifier((7,), 0.5, "none"), (10,), 8 * 144 * 7 + 7 + 7 * 10 + 10),
    ],
)
def test_shapes_and_parameters(block: Block, shape: tuple[int, ...], params: int | None) -> None:
    found = graph(block)
    assert found.output_shape == shape
    assert params is None or cost_of(found).params == params


def test_inception_3a_has_the_papers_figures() -> None:
    """159k parameters and 128M multiply-adds (Szegedy et al. 2014, table 1; weights, without the biases)."""
    found = graph(Inception(branches=(64, 96, 128, 16, 32, 32), norm="none"), (192, 28, 28))
    cost = cost_of(found)
    biases = 64 + 96 + 128 + 16 + 32 + 32
    assert cost.params - biases == 163_328 == 192 * (64 + 96 + 16 + 32) + 96 * 128 * 9 + 16 * 32 * 25
    assert cost.macs == 163_328 * 28 * 28 and round(cost.macs / 1e6) == 128


def test_inception_of_any_width_has_that_many_channels() -> None:
    for width in range(4, 70):
        for large in ("5x5", "3x3 twice", "3x3"):
            assert graph(Inception(width, large=large)).output_shape[0] == width  # type: ignore[arg-type]


def test_a_factorised_inception_is_figure_6() -> None:
    """Szegedy et al. 2015, figure 6: 1 x n and n x 1 once in one branch, twice in another, widened by the last."""
    found = graph(Inception(branches=(4, 3, 5, 2, 6, 7), large="3x3 twice", factorised=7, pool="avg"))
    assert found.output_shape == (4 + 5 + 6 + 7, 12, 12)
    pairs = sorted((op.kernel, op.channels) for op in found.ops if isinstance(op, Conv2d) and op.kernel != (1, 1))
    assert pairs == [((1, 7), 2), ((1, 7), 2), ((1, 7), 3), ((7, 1), 2), ((7, 1), 5), ((7, 1), 6)]
    assert [op.kind for op in found.ops if isinstance(op, Pool2d)] == ["avg"]
    naive = graph(Inception(branches=(4, 3, 5, 2, 6, 7), reduce=False, factorised=3))
    assert naive.output_shape == (4 + 5 + 6 + 8, 12, 12)


def test_the_order_of_layers_around_a_convolution() -> None:
    for order, layers in (
        ("conv-norm-act", ["Conv2d", "BatchNorm", "Activation", "Dropout"]),
        ("act-conv-norm", ["Activation", "Conv2d", "BatchNorm", "Dropout"]),
        ("norm-act-conv", ["BatchNorm", "Activation", "Conv2d", "Dropout"]),
    ):
        assert kinds(graph(Conv(4, order=order, dropout=0.1))) == layers  # type: ignore[arg-type]


def test_squeeze_and_excitation_stands_in_the_branch_of_any_body() -> None:
    found = graph(Residual(body=Conv(8, 1, activation="none"), squeeze=4))
    joint = kinds(found).index("Add")
    assert kinds(found)[joint - 1] == "Multiply" and kinds(found)[0] in ("Conv2d", "AdaptivePool2d")


def test_local_response_normalisation_has_the_papers_constants() -> None:
    """Krizhevsky et al. 2012, section 3.3: k = 2, n = 5, alpha = 1e-4 (which PyTorch divides by n), beta = 0.75."""
    (op,) = [op for op in graph(Conv(8, norm="local_response")).ops if isinstance(op, LocalResponseNorm)]
    assert (op.size, op.alpha / op.size, op.beta, op.k) == (5, pytest.approx(1e-4), 0.75, 2.0)


def test_the_order_of_layers_in_residual_blocks() -> None:
    plain = ["Conv2d", "BatchNorm", "Activation", "Conv2d", "BatchNorm", "Add", "Activation"]
    assert kinds(graph(Residual())) == plain
    assert kinds(graph(Residual(preactivation=True))) == [
        "BatchNorm",
        "Activation",
        "Conv2d",
        "BatchNorm",
        "Activation",
        "Conv2d",
        "Add",
    ]
    assert kinds(graph(Residual(16, shortcut="pad", stride=2))).count("Conv2d") == 2
    strides = {at: [op.stride for op in graph(Residual(8, stride=2, bottleneck=True, stride_at=at)).ops if hasattr(op, "channels") and hasattr(op, "stride")] for at in ("middle", "first")}  # type: ignore[arg-type]  # fmt: skip
    assert sorted(strides["middle"]) == sorted(strides["first"]) and strides["middle"] != strides["first"]


def test_an_inverted_residual_adds_its_input_where_shapes_agree() -> None:
    assert "Add" in kinds(graph(InvertedResidual(8))) and "Add" not in kinds(graph(InvertedResidual(9)))
    assert "Add" not in kinds(graph(InvertedResidual(8, stride=2)))


def test_a_head_on_flat_values_needs_no_pooling() -> None:
    found = graph(Sequential(Classifier((5,)), Classifier((), 0.0)))
    assert kinds(found) == ["AdaptivePool2d", "Flatten", "Linear", "Activation", "Linear", "Linear"]


def test_fully_connected_layers_have_a_label_and_a_dropout_each() -> None:
    found = graph(Classifier((7, 5), dropout=(0.0, 0.5, 0.25), pool="none"))
    assert kinds(found) == ["Flatten", "Linear", "Activation", "Dropout", "Linear", "Activation", "Dropout", "Linear"]
    assert [op.share for op in found.ops if isinstance(op, Dropout)] == [0.5, 0.25]
    assert list(dict.fromkeys(label.rpartition(".")[2] for label in found.labels[1:])) == ["fc1", "fc2", "fc3"]
    assert kinds(graph(Classifier((7,), 0.5))).count("Dropout") == 2


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (Inception(), "got width=None and branches=None, expected one of the two"),
        (Inception(8, (1, 1, 1, 1, 1, 1)), "expected one of the two"),
        (Inception(3), "width is 3, expected at least 4"),
        (Inception(branches=(1, 1, 0, 1, 1, 1)), "channels is 0"),
        (SqueezeExcite(0), "ratio is 0, expected at least 1"),
        (InvertedResidual(8, expansion=0), "expansion is 0"),
        (Residual(8, bottleneck=True, expansion=0), "expansion is 0"),
        (Residual(channels=0), "channels is 0"),
        (Residual(16, shortcut="identity"), r"carries \(8, 12, 12\) to a sum with \(16, 12, 12\)"),
        (Residual(body=Classifier()), r"\(10,\)|flat"),
        (Classifier((0,)), r"hidden is \(0,\), expected widths of at least 1"),
        (Classifier(dropout=1.0), "dropout is 1.0"),
        (Classifier((3,), dropout=(0.5,)), "dropout has 1 shares, expected one for each of 2 fully connected layers"),
        (Classifier((3,), activation="rleu"), "unknown activation 'rleu'; did you mean 'relu'"),
        (Sequential(Classifier(), SqueezeExcite()), r"got \(10,\); put it before the classifier"),
        (Sequential(Classifier(), InvertedResidual(8)), "put it before the classifier"),
        (Sequential(Classifier(), Pool()), "put it before the classifier"),
        (GlobalPool(size=0), "at least 1"),
        (Resize(0), r"resizing: size is \(0, 0\), expected at least 1"),
        (Sequential(Classifier(), Resize(8)), r"resizing needs .* got \(10,\); put it before the classifier"),
        (GlobalPool("l2", 2), "leaves one pixel, got size=2; use size=1"),
        (Inception(8, factorised=-1), "factorised is -1, expected 0"),
        (Residual(body=Conv(8, 3, padding="valid")), r"gives \(8, 6, 6\) and the body \(8, 10, 10\).*padding='same'"),
        (Conv(8, 3, padding=12, padding_mode="reflect"), "reflect padding of 12 .* 12 x 12 pixels, which allow 11; use"),
        (Conv(8, 3, padding=13, padding_mode="circular"), "circular padding of 13 .* which allow 12; use"),
        (Conv(8, 25, padding_mode="reflect"), "reflect padding of 12"),
        (Pool("avg", 4, 1, "same"), "use an odd kernel, or a number as padding"),
        (Conv(12, groups="depthwise"), "groups=8 needs channels that it divides, got 8 in and 12 out"),
        (Conv(8, 13, padding="valid"), "does not fit into 12 x 12 pixels; use a smaller kernel"),
    ],
)
def test_what_cannot_be_applied(block: Block, said: str) -> None:
    with pytest.raises(BlockError, match=said) as caught:
        graph(block)
    assert "\n" not in str(caught.value)
