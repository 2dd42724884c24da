"""The builder: windows that misfit by brute force, joining, and what is refused."""

from __future__ import annotations

from itertools import product

import pytest

from nas.builder import GraphBuilder, Node
from nas.errors import BlockError
from nas.ops import Conv2d, Pad


def windows(n: int, k: int, s: int, p: int, more: int = 0) -> list[tuple[int, int]]:
    """Returns the first and last pixel of each window that fits into `n` pixels with `p` zeros on each side and `more` behind."""
    return [(at, at + k - 1) for at in range(-p, n + p + more - k + 1, s)]


def same(k: int) -> tuple[int, int]:
    """Returns the padding of "same": zeros on each side, and behind beyond that."""
    return (k - 1) // 2, (k - 1) % 2


CASES = list(product(range(1, 13), range(1, 6), range(1, 5), (0, 1, 2, "same")))


def _sizes(k: int, padding: int | str) -> tuple[int, int]:
    return same(k) if padding == "same" else (int(padding), 0)


@pytest.mark.parametrize("what", ["conv", "pool"])
def test_a_window_misfits_when_a_real_pixel_lies_beyond_the_last(what: str) -> None:
    """All sides up to 12, kernels up to 5, strides up to 4, paddings up to 2, in one axis of an image."""
    tried = misfits = 0
    for n, k, s, padding in CASES:
        p, more = _sizes(k, padding)
        if what == "pool" and 2 * p > k:
            continue
        fitting = windows(n, k, s, p, more)
        if not fitting:
            continue
        tried += 1
        over = k >= s and s > 1 and any(pixel > fitting[-1][1] for pixel in range(n))
        misfits += over
        for border in ("error", "warn", "floor", "pad"):
            graph = GraphBuilder((3, n, 1), border)  # type: ignore[arg-type]
            try:
                if what == "conv":
                    y = graph.conv(graph.input, 2, (k, 1), (s, 1), padding if padding == "same" else (p, 0))
                else:
                    y = graph.pool(graph.input, "max", (k, 1), (s, 1), padding if padding == "same" else (p, 0))
            except BlockError as error:
                assert border == "error" and over, (n, k, s, padding, str(error))
                assert f"{n} x 1 pixels leaves" in str(error) and "border='floor'" in str(error)
                continue
            assert not (border == "error" and over), (n, k, s, padding)
            assert bool(graph.notes) == (border == "warn" and over)
            assert y.height == len(fitting) + (border == "pad" and over), (n, k, s, padding, border)
            if border == "pad":
                last = fitting[-1][0] + (s if over else 0)
                assert not over or last < n, "no window without a real pixel is added"
                assert k < s or last + k - 1 >= n - 1, "the last window now reaches the last pixel"
            if padding == "same" and border in ("floor", "warn"):
                assert y.height == -(-n // s)
    assert tried > 400 and misfits > 60


@pytest.mark.parametrize(
    ("sides", "kernel", "stride", "padding", "size"),
    [
        ((224, 224), 7, 2, 3, (112, 112)),  # ResNet's first convolution
        ((112, 112), 3, 2, 1, (56, 56)),  # ... and its pooling
        ((55, 55), 1, 2, 0, (28, 28)),  # a projection subsamples by intent
        ((56, 56), 1, 2, 0, (28, 28)),
        ((227, 227), 11, 4, 0, (55, 55)),  # AlexNet
        ((28, 28), 2, 2, "same", (14, 14)),
        ((28, 14), (2, 1), (2, 2), "same", (14, 7)),
    ],
)
def test_windows_of_well_known_networks_fit(
    sides: tuple[int, int], kernel: int, stride: int, padding: int, size: tuple[int, int]
) -> None:
    graph = GraphBuilder((1, *sides))
    y = graph.conv(graph.input, 8, kernel, stride, padding)
    assert (y.height, y.width) == size


def test_the_lectures_invalid_stride() -> None:
    """Stride 3 on 5 pixels with a kernel of 3 and no padding skips pixels."""
    graph = GraphBuilder((1, 5, 5))
    with pytest.raises(BlockError, match=r"kernel 3, stride 3, padding 0 on 5 x 5 pixels leaves 2 row\(s\) and 2 column\(s\) over"):
        graph.conv(graph.input, 4, 3, 3, 0)


def test_a_pooling_may_keep_its_last_window() -> None:
    graph = GraphBuilder((1, 7, 7))
    assert graph.pool(graph.input, "max", 2, ceil=True).shape == (1, 4, 4)
    assert graph.pool(graph.input, "max", 3, 2, ceil=True).shape == (1, 3, 3)


def test_even_kernels_pad_below_and_on_the_right() -> None:
    graph = GraphBuilder((1, 6, 6))
    y = graph.conv(graph.input, 2, (2, 4))
    ops = graph.finish(y).ops
    assert ops[1] == Pad((0, 1, 0, 1)) and isinstance(ops[2], Conv2d) and ops[2].padding == (0, 1)
    assert y.shape == (2, 6, 6)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_even_kernels_pad_all_sides_in_the_mode_asked_for(mode: str) -> None:
    graph = GraphBuilder((1, 6, 6))
    y = graph.conv(graph.input, 2, 4, padding_mode=mode)
    ops = graph.finish(y).ops
    assert ops[1] == Pad((1, 2, 1, 2), 0, mode) and isinstance(ops[2], Conv2d)
    assert (ops[2].padding, ops[2].padding_mode, y.shape) == ((0, 0), "zeros", (2, 6, 6))


@pytest.mark.parametrize("kind", ["max", "avg", "l2"])
def test_poolings_of_even_kernels_count_real_pixels_only(kind: str) -> None:
    for kernel, stride, n in product((2, 4, (2, 3), (4, 1)), (1, 2, 3, (1, 2)), (4, 5, 6, 7)):
        graph = GraphBuilder((1, n, n), "floor")
        even = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        steps = stride if isinstance(stride, tuple) else (stride, stride)
        try:
            y = graph.pool(graph.input, kind, kernel, stride, "same")
        except BlockError as error:
            assert kind == "avg" and 4 in even and 1 in steps and "use an odd kernel" in str(error)
            continue
        assert (y.height, y.width) == (-(-n // steps[0]), -(-n // steps[1]))
        modes = [op.mode for op in graph.finish(y).ops if isinstance(op, Pad)]
        assert modes == [] or (modes == ["zeros" if kind == "l2" else "replicate"] and 1 in steps)


def test_bias_is_left_out_before_batch_normalisation_only() -> None:
    for norm, bias, expected in (
        ("batch", None, False),
        ("none", None, True),
        ("local_response", None, True),
        ("batch", True, True),
        ("none", False, False),
    ):
        graph = GraphBuilder((1, 6, 6))
        y = graph.conv(graph.input, 2, norm=norm, bias=bias)
        assert graph.finish(y).ops[1] == Conv2d(2, (3, 3), (1, 1), (1, 1), bias=expected)


def test_layers_follow_in_the_order_said() -> None:
    graph = GraphBuilder((1, 6, 6))
    y = graph.conv(graph.input, 2, norm="batch", activation="relu", dropout=0.5)
    assert [type(op).__name__ for op in graph.finish(y).ops] == ["Input", "Conv2d", "BatchNorm", "Activation", "Dropout"]


@pytest.mark.parametrize(
    ("merge", "fix", "shapes", "joined"),
    [
        ("concat", "refuse", [(2, 6, 6), (3, 6, 6)], (5, 6, 6)),
        ("add", "refuse", [(2, 6, 6), (2, 6, 6)], (2, 6, 6)),
        ("concat", "crop", [(2, 6, 5), (3, 4, 6)], (5, 4, 5)),
        ("concat", "pad", [(2, 6, 5), (3, 4, 6)], (5, 6, 6)),
        ("add", "pad", [(2, 6, 5), (3, 4, 6)], (3, 6, 6)),
        ("add", "project", [(2, 6, 5), (3, 4, 6)], (2, 4, 5)),
        ("concat", "project", [(2, 6, 5), (3, 4, 6)], (5, 4, 5)),
        ("add", "crop", [(2, 6, 5), (2, 4, 6)], (2, 4, 5)),
        ("add", "refuse", [(2, 6, 6), (3, 6, 6)], None),
        ("concat", "refuse", [(2, 6, 6), (2, 5, 6)], None),
        ("add", "crop", [(2, 6, 5), (3, 4, 6)], None),
    ],
)
def test_joining_by_a_declared_rule(
    merge: str, fix: str, shapes: list[tuple[int, int, int]], joined: tuple[int, int, int] | None
) -> None:
    graph = GraphBuilder((1, 8, 8))
    branches = [graph.crop(graph.conv(graph.input, c), h, w) for c, h, w in shapes]
    if joined is None:
        with pytest.raises(BlockError) as caught:
            graph.join(branches, merge, fix)  # type: ignore[arg-type]
        met = [(c, 4, 5) for c, _, _ in shapes] if fix == "crop" else shapes
        assert all(str(shape) in str(caught.value) for shape in met) and "fix='project'" in str(caught.value)
        return
    y = graph.join(branches, merge, fix)  # type: ignore[arg-type]
    assert y.shape == joined
    graph.finish(y).lint()


def test_flat_values_are_added_and_laid_side_by_side() -> None:
    graph = GraphBuilder((1, 4, 4))
    x = graph.flatten(graph.input)
    a, b = graph.linear(x, 3), graph.linear(x, 5)
    assert graph.join([a, b], "concat").shape == (8,)
    with pytest.raises(BlockError, match=r"\(3,\).*\(5,\)"):
        graph.join([a, b], "add", "pad")
    assert graph.concat(x, a, b).shape == (24,)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda g, x: g.conv(x, 0), "channels is 0, expected a whole number of at least 1"),
        (lambda g, x: g.conv(x, 2.0), "channels is 2.0, expected a whole number"),
        (lambda g, x: g.conv(x, True), "channels is True, expected a whole number"),
        (lambda g, x: g.conv(x, 2, 0), r"kernel is \(0, 0\), expected at least 1"),
        (lambda g, x: g.conv(x, 2, (3, 3, 3)), r"got size \(3, 3, 3\), expected a whole number or a pair"),
        (lambda g, x: g.conv(x, 2, "3"), "got size '3', expected a whole number or a pair"),
        (lambda g, x: g.conv(x, 2, 3, 0), r"stride is \(0, 0\), expected at least 1"),
        (lambda g, x: g.conv(x, 2, 3, 1, "full"), "padding is 'full', expected a number, a pair, 'same' or 'valid'"),
        (lambda g, x: g.conv(x, 2, 3, 1, (0, -1)), r"padding is \(0, -1\), expected at least 0"),
        (lambda g, x: g.conv(x, 2, dilation=0), r"dilation is \(0, 0\)"),
        (lambda g, x: g.conv(x, 2, groups=0), "groups is 0"),
        (lambda g, x: g.conv(x, 2, groups="depth"), "groups is 'depth', expected a whole number of at least 1 or 'depthwise'"),
        (lambda g, x: g.conv(x, 3, groups=2), "groups=2 needs channels that it divides, got 4 in and 3 out"),
        (lambda g, x: g.conv(x, 2, padding_mode="mirror"), "unknown padding_mode 'mirror'"),
        (
            lambda g, x: g.conv(x, 2, 3, padding=9, padding_mode="reflect"),
            "reflect padding of 9 needs a larger image than 8 x 8 pixels, which allow 7; use",
        ),
        (lambda g, x: g.conv(x, 2, dropout=-0.1), "dropout is -0.1"),
        (lambda g, x: g.conv(x, 2, norm="layer"), "unknown norm 'layer'"),
        (lambda g, x: g.pool(x, "mean", 2), "unknown pooling 'mean'"),
        (lambda g, x: g.pool(x, "max", 2, padding=2), "allows padding up to half of it, got 2"),
        (lambda g, x: g.pool(x, "max", 9), r"kernel 9 does not fit into 8 x 8 pixels; use a smaller kernel"),
        (
            lambda g, x: g.conv(x, 2, 9, padding="valid"),
            r"kernel 9, padding 0 does not fit into 8 x 8 pixels; use a smaller kernel",
        ),
        (lambda g, x: g.conv(x, 2, 9, 3, padding="valid"), "does not fit into 8 x 8 pixels"),
        (lambda g, x: g.adaptive_pool(x, "l2", 1), "unknown pooling 'l2'"),
        (lambda g, x: g.adaptive_pool(x, "avg", 0), "at least 1"),
        (lambda g, x: g.linear(x, 3), r"needs a flat input \(features,\), got \(4, 8, 8\); flatten it first"),
        (lambda g, x: g.linear(g.flatten(x), 0), "features is 0, expected at least 1"),
        (lambda g, x: g.conv(g.flatten(x), 3), r"needs an input \(channels, height, width\), got \(256,\)"),
        (lambda g, x: g.pool(g.flatten(x), "max", 2), r"needs an input \(channels, height, width\), got \(256,\)"),
        (lambda g, x: g.global_avg_pool(g.flatten(x)), r"needs an input \(channels, height, width\), got \(256,\)"),
        (lambda g, x: g.crop(x, 9, 9), "cropping to 9 x 9 needs a larger input, got 8 x 8"),
        (lambda g, x: g.pad(x, (0, 0, 0, -9)), "at least 0"),
        (lambda g, x: g.subsample(x, 0), "at least 1"),
        (lambda g, x: g.add(), "at least one input"),
        (lambda g, x: g.multiply(), "at least one input"),
        (lambda g, x: g.concat(), "at least one input"),
        (lambda g, x: g.multiply(x, g.conv(x, 3)), r"got \(4, 8, 8\) and \(3, 8, 8\)"),
        (lambda g, x: g.add(x, g.crop(x, 2, 2)), r"one shape, got \(4, 8, 8\) and \(4, 2, 2\)"),
        (lambda g, x: g.concat(x, g.crop(x, 2, 2)), "one shape"),
        (lambda g, x: g.join([x, x], "sum"), "unknown merge 'sum'"),
        (lambda g, x: g.join([x, x], "add", "padd"), "unknown rule for joining 'padd'; did you mean 'pad'"),
        (lambda g, x: g.apply(Conv2d(3), x, x), r"Conv2d takes 1 input\(s\), got 2"),
        (lambda g, x: g.apply(Conv2d(3)), r"Conv2d takes 1 input\(s\), got 0"),
    ],
)
def test_what_does_not_apply_is_told_in_one_line(call: object, said: str) -> None:
    graph = GraphBuilder((4, 8, 8))
    with pytest.raises(BlockError, match=said) as caught:
        call(graph, graph.input)  # type: ignore[operator]
    assert "\n" not in str(caught.value)


def test_a_node_tells_its_sizes() -> None:
    image, flat = Node(0, (3, 4, 5)), Node(1, (7,))
    assert (image.channels, image.height, image.width) == (3, 4, 5)
    assert (flat.channels, flat.height, flat.width) == (7, 1, 1)
    assert repr(image) == "Node(0, shape=(3, 4, 5))"
