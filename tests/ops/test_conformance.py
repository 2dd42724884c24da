"""Every primitive operation against PyTorch: shape, costs, identity, and whether zeros stay zeros."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from nas.errors import BlockError
from nas.graph import Graph, graph_from_json
from nas.ops import (
    ACTIVATIONS,
    OPS,
    Activation,
    AdaptivePool2d,
    Add,
    BatchNorm,
    Concat,
    Conv2d,
    Crop,
    Dropout,
    Flatten,
    Identity,
    Input,
    Linear,
    LocalResponseNorm,
    Multiply,
    Op,
    Pad,
    Pool2d,
    Resize2d,
    Shape,
    Subsample,
    Zero,
)  # fmt: skip

IMAGES = ((2, 6, 5), (2, 1, 7), (1, 2, 2), (3, 1, 1))
FLAT = ((8,), (1,))


def _convolutions() -> Iterator[Op]:
    for kernel, stride, padding, dilation in product(
        ((3, 3), (1, 2), (5, 4)), ((1, 1), (2, 3)), ((0, 0), (1, 2)), ((1, 1), (2, 1))
    ):
        yield Conv2d(4, kernel, stride, padding, dilation)
    for groups, bias, mode in (
        (1, False, "zeros"),
        (2, True, "zeros"),
        (1, True, "reflect"),
        (1, True, "replicate"),
        (2, False, "circular"),
    ):
        yield Conv2d(4, (3, 3), (1, 1), (1, 1), groups=groups, bias=bias, padding_mode=mode)


def _poolings() -> Iterator[Op]:
    for kind, kernel, stride, ceil in product(
        ("max", "avg", "l2"), ((2, 2), (3, 1), (3, 2), (1, 1)), ((1, 1), (2, 2), (3, 1)), (False, True)
    ):
        yield Pool2d(kind, kernel, stride, (0, 0), ceil)
    for kind, padding, ceil in product(("max", "avg"), ((1, 1), (1, 0)), (False, True)):
        yield Pool2d(kind, (3, 3), (2, 2), padding, ceil)
        yield Pool2d(kind, (2, 2), (2, 1), padding, ceil)
    for kind, size in product(("max", "avg"), ((1, 1), (2, 3), (6, 5), (7, 7))):
        yield AdaptivePool2d(kind, size)


def _others() -> Iterator[Op]:
    yield from (Linear(3), Linear(3, False), BatchNorm(), LocalResponseNorm(), LocalResponseNorm(3, 1e-3, 0.5, 1.0))
    yield from (Activation(kind) for kind in ACTIVATIONS)
    yield from (
        Dropout(0.0),
        Dropout(0.3),
        Identity(),
        Flatten(),
        Zero((3, 2, 2)),
        Zero((5,)),
        Subsample((1, 1)),
        Subsample((2, 3)),
    )
    yield from (Pad(), Pad((1, 2, 0, 3)), Pad((0, 0, 0, 0), 3), Pad((1, 0, 0, 1), 2), Crop((2, 2)), Crop((6, 5)), Crop((1, 3)))
    yield from (Resize2d((6, 5)), Resize2d((3, 7)), Resize2d((4, 5)), Resize2d((6, 2)), Resize2d((1, 1)))


UNARY = [*_convolutions(), *_poolings(), *_others()]
SEVERAL = [(op, (shape,) * n) for op in (Add(), Multiply(), Concat()) for n in (1, 2, 3) for shape in (*IMAGES, *FLAT)] + [
    (Multiply(), ((2, 6, 5), (2, 1, 1))),
    (Multiply(), ((2, 1, 1), (2, 6, 5), (2, 1, 1))),
    (Multiply(), ((2, 1, 1), (2, 1, 1))),
    (Concat(), ((2, 6, 5), (3, 6, 5))),
    (Concat(), ((2,), (3,))),
]
CASES = [(op, (shape,)) for op in UNARY for shape in (*IMAGES, *FLAT)] + SEVERAL


def _applies(op: Op, shapes: tuple[Shape, ...]) -> bool:
    try:
        op.facts(*shapes)
    except BlockError as error:
        assert "\n" not in str(error)
        return False
    return True


def test_every_operation_is_tried() -> None:
    tried = {type(op).__name__ for op, shapes in CASES if _applies(op, shapes)}
    assert tried == set(OPS) - {"Input"}


def test_facts_are_those_of_torch() -> None:
    import torch
    import torch.nn.functional as F
    from torch import nn
    from torch.utils.flop_counter import FlopCounterMode

    torch.manual_seed(0)
    for op, shapes in CASES:
        names = {"torch": torch, "nn": nn, "F": F, "self": nn.Identity().eval()}
        exec(op.helper, names)
        inputs = [torch.randn(1, *shape).abs() * torch.tensor([1.0, -1.0]).view(2, *[1] * len(shape)) for shape in shapes]
        if not _applies(op, shapes):
            text = op.declare(*shapes) if len(shapes[0]) == 3 and isinstance(op, Conv2d) else ""
            if text:
                with pytest.raises((RuntimeError, ValueError)):
                    eval(text, names)(inputs[0])
            continue
        facts = op.facts(*shapes)
        text = op.declare(*shapes)
        module = eval(text, names).eval() if text else None
        names.update({"m": module, **{f"x{i}": x for i, x in enumerate(inputs)}})
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            y = eval(op.call("m" if text else "", *(f"x{i}" for i in range(len(inputs)))), names)
        assert tuple(y.shape) == (2, *facts.shape), (op, shapes)
        assert counter.get_total_flops() == 2 * 2 * facts.macs, (op, shapes)
        parts = (list(module.parameters()), list(module.buffers())) if module is not None else ([], [])
        assert [sum(p.numel() for p in part) for part in parts] == [facts.params, facts.buffers], (op, shapes)
        assert facts.volume == y[0].numel() and facts.other_flops >= 0
        if facts.identity:
            assert torch.allclose(y, inputs[0]), (op, shapes)
        elif tuple(y.shape[1:]) == shapes[0] and not isinstance(op, Dropout):
            assert not torch.equal(y, inputs[0]), f"{op} on {shapes} is an identity that does not say so"


def test_a_convolution_that_does_not_fit_is_refused_where_torch_refuses_it() -> None:
    import torch
    from torch import nn

    for n, k, p, d in product(range(1, 6), range(1, 5), range(3), (1, 2)):
        for mode in ("zeros", "reflect", "circular", "replicate"):
            op = Conv2d(1, (k, 1), (1, 1), (p, 0), (d, 1), padding_mode=mode)
            try:
                shape: Shape | None = op.shape((1, n, 3))
            except BlockError:
                shape = None
            try:
                with torch.no_grad():
                    found = eval(op.declare((1, n, 3)), {"nn": nn})(torch.zeros(1, 1, n, 3))
                assert shape == tuple(found.shape[1:]), (n, k, p, d, mode)
            except RuntimeError:
                assert shape is None, (n, k, p, d, mode)


def test_pooling_of_length_has_a_gradient_at_zero() -> None:
    import torch
    import torch.nn.functional as F

    x = torch.zeros(1, 1, 4, 4, requires_grad=True)
    eval(Pool2d("l2", (2, 2), (2, 2)).call("", "x"), {"torch": torch, "F": F, "x": x}).sum().backward()
    assert x.grad is not None and bool(torch.isfinite(x.grad).all())


def test_average_pooling_leaves_padding_out() -> None:
    import torch
    import torch.nn.functional as F

    x = torch.ones(1, 1, 5, 5)
    for op in (
        Pool2d("avg", (3, 3), (2, 2), (1, 1)),
        Pool2d("avg", (2, 2), (2, 2), (0, 0), True),
        Pool2d("avg", (3, 3), (2, 2), (1, 1), True),
    ):
        assert torch.equal(eval(op.call("", "x"), {"F": F, "x": x}), torch.ones(1, 1, 3, 3))


def test_windows_tell_which_pixels_count() -> None:
    """Changing one pixel changes exactly the outputs whose window holds it."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    torch.manual_seed(0)
    for op in UNARY:
        shape = (2, 6, 5)
        window = op.window()
        if window is None or not _applies(op, (shape,)) or getattr(op, "padding_mode", "zeros") != "zeros":
            continue
        names = {"torch": torch, "nn": nn, "F": F}
        text = op.declare(shape)
        names["m"] = eval(text, names) if text else None
        for row in range(6):
            x = torch.rand(1, *shape, requires_grad=True)
            with torch.no_grad():
                x[:, :, row] += 2.0  # the largest, so that maximum poolings pass it on
            y = eval(op.call("m", "x"), {**names, "x": x})
            with torch.no_grad():
                other = x.detach().clone()
                other[:, :, row] += 1.0
                changed = (eval(op.call("m", "x"), {**names, "x": other}) - y).abs().amax((0, 1, 3)) > 1e-6
            for i in range(y.shape[2]):
                seen = [i * window.stride[0] - window.padding[0] + j * window.dilation[0] for j in range(window.kernel[0])]
                assert bool(changed[i]) == (row in seen), (op, row, i)


@pytest.mark.parametrize("op", UNARY, ids=lambda op: type(op).__name__)
def test_operations_survive_json(op: Op) -> None:
    for shape in (*IMAGES, *FLAT):
        if _applies(op, (shape,)):
            graph = Graph([Input(shape), op], [(), (0,)], ["", "here"])
            read = graph_from_json(graph.to_json())
            assert read.ops == graph.ops and read.facts == graph.facts and read.labels == graph.labels


@pytest.mark.parametrize(
    ("op", "shape"),
    [
        (Conv2d(0), (2, 6, 5)),
        (Conv2d(2, (0, 3)), (2, 6, 5)),
        (Conv2d(2, (3, 3), (0, 1)), (2, 6, 5)),
        (Conv2d(2, (3, 3), (1, 1), (-1, 0)), (2, 6, 5)),
        (Conv2d(2, groups=0), (2, 6, 5)),
        (Conv2d(2, padding_mode='zeros", device="meta'), (2, 6, 5)),
        (Linear(0), (8,)),
        (LocalResponseNorm(0), (2, 6, 5)),
        (Activation("rleu"), (2, 6, 5)),
        (Dropout(1.0), (2, 6, 5)),
        (Dropout(float("nan")), (2, 6, 5)),
        (Pool2d("median", (2, 2), (2, 2)), (2, 6, 5)),
        (Pool2d("max", (2, 2), (0, 2)), (2, 6, 5)),
        (Pool2d("max", (2, 2), (2, 2), (-1, 0)), (2, 6, 5)),
        (AdaptivePool2d("l2"), (2, 6, 5)),
        (AdaptivePool2d("avg", (0, 1)), (2, 6, 5)),
        (Zero(()), (2, 6, 5)),
        (Zero((2, 0)), (2, 6, 5)),
        (Pad((0, -1, 0, 0)), (2, 6, 5)),
        (Pad((0, 0, 0, 0), -1), (2, 6, 5)),
        (Crop((0, 1)), (2, 6, 5)),
        (Subsample((0, 1)), (2, 6, 5)),
        (Resize2d((0, 1)), (2, 6, 5)),
        (Resize2d((2, 2)), (8,)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Op) else "",
)
def test_fields_that_make_no_sense_are_refused(op: Op, shape: Shape) -> None:
    with pytest.raises(BlockError) as caught:
        op.facts(shape)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [(), (0, 3, 3), (1, -1, 3)])
def test_an_image_has_pixels(size: Shape) -> None:
    with pytest.raises(BlockError, match="expected"):
        Input(size).facts()
