"""Peaks of memory against what PyTorch really allocates, and what is kept for the way back against what autograd really keeps."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from random_graphs import CONV, IMAGE, RELU, labelled, random_graph

from nas.blocks import (
    Block,
    Classifier,
    Conv,
    GlobalPool,
    Inception,
    InvertedResidual,
    Parallel,
    Pool,
    Repeat,
    Residual,
    Resize,
    Sequential,
    SqueezeExcite,
)  # fmt: skip
from nas.costs import cost_of
from nas.graph import Graph
from nas.memory import kept, kept_bytes, peaks
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
from nas.space import Space

if TYPE_CHECKING:
    import torch

X = (4, 6, 6)
OPERATIONS: list[tuple[Op, tuple[Shape, ...]]] = [
    *[(Conv2d(4, (3, 3), (1, 1), (1, 1), padding_mode=mode), (X,)) for mode in ("zeros", "reflect", "replicate", "circular")],
    *[(Conv2d(4, (3, 3), padding_mode=mode), (X,)) for mode in ("zeros", "reflect", "circular")],
    (Conv2d(4, (3, 3), (2, 2), groups=4, bias=False), (X,)),
    (Linear(3), ((7,),)), (BatchNorm(), (X,)), (BatchNorm(), ((7,),)), (LocalResponseNorm(), (X,)), (LocalResponseNorm(2), (X,)),
    *[(Activation(kind), (X,)) for kind in ACTIVATIONS], (Dropout(0.3), (X,)),
    *[(Pool2d(kind, (3, 3), (2, 2), (1, 1)), (X,)) for kind in ("max", "avg")], (Pool2d("l2", (2, 2), (2, 2)), (X,)),
    *[(AdaptivePool2d(kind, size), (X,)) for kind in ("max", "avg") for size in ((1, 1), (2, 3))],
    *[(Pad((1, 1, 1, 1), mode=mode), (X,)) for mode in ("zeros", "reflect", "replicate", "circular")], (Pad(channels=2), (X,)),
    *[(op, (X,) * n) for op in (Add(), Multiply(), Concat()) for n in (2, 3)], (Multiply(), (X, (4, 1, 1))),
    *[(op, (X,)) for op in (Flatten(), Identity(), Subsample((2, 2)), Crop((3, 3)), Zero(X))], *[(Resize2d(size), (X,)) for size in ((4, 5), (9, 6))],
]  # fmt: skip


@contextmanager
def saving(graph: dict[int, torch.Tensor]) -> Iterator[None]:
    """Collects into `graph` what autograd keeps meanwhile, each piece of memory once."""
    import torch

    def pack(kept: torch.Tensor) -> torch.Tensor:
        graph.setdefault(kept.untyped_storage().data_ptr(), kept)
        return kept

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept):
        yield


def size(tensors: Any) -> int:
    return sum(t.untyped_storage().nbytes() for t in tensors)


def test_every_operation_is_known() -> None:
    assert {type(op).__name__ for op, _ in OPERATIONS} == set(OPS) - {"Input"}, "a new operation: see what autograd keeps of it"


@pytest.mark.parametrize(("op", "shapes"), OPERATIONS, ids=lambda case: str(case) if isinstance(case, Op) else "")
def test_what_autograd_keeps_of_each_operation(op: Op, shapes: tuple[Shape, ...]) -> None:
    """Inputs, output and bytes beyond; weights, statistics of batch normalisation and the like belong to no image."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    names: dict[str, Any] = {"torch": torch, "nn": nn, "F": F, "self": nn.Identity()}
    exec(op.helper, names)
    text = op.declare(*shapes)
    names["m"] = module = eval(text, names) if text else nn.Identity()
    inputs = [
        torch.rand(1, *shape).requires_grad_() * 1.0 if len(shape) == 3 else torch.rand(2, *shape).requires_grad_() * 1.0
        for shape in shapes
    ]
    names |= {f"x{i}": x for i, x in enumerate(inputs)}
    found: dict[int, torch.Tensor] = {}
    with saving(found):
        y = eval(op.call("m" if text else "", *(f"x{i}" for i in range(len(inputs)))), names)
    ins, out, beyond = kept(op, [Input(shape).facts() for shape in shapes], op.facts(*shapes))
    ours = {t.untyped_storage().data_ptr() for t in (*module.parameters(), *module.buffers())}
    images = {place: t for place, t in found.items() if place not in ours and t.shape != (shapes[0][0],)}
    assert ins == all(x.untyped_storage().data_ptr() in images for x in inputs)
    outside = {place for x in inputs for place in [x.untyped_storage().data_ptr()]}
    assert out == (y.untyped_storage().data_ptr() in set(images) - outside)
    assert beyond == size(t for place, t in images.items() if place not in outside | {y.untyped_storage().data_ptr()})


NETWORKS: dict[str, Block] = {
    "plain": Sequential(Conv(8), Pool(), Conv(16, activation="silu"), Pool("avg"), Conv(8, norm="local_response"), Pool("l2")),
    "resized": Sequential(Resize((9, 20)), Conv(8), Resize(12), Conv(16, activation="gelu"), Parallel(Resize(6), Conv(4, stride=2), merge="concat")),
    "residual": Sequential(Conv(8), Repeat(Residual(8), 2), Residual(16, stride=2), Residual(16, squeeze=4), Residual(32, stride=2, shortcut="pad")),
    "bottleneck": Sequential(Conv(8, 5, 2), Repeat(Residual(16, bottleneck=True, preactivation=True), 3)),
    "inception": Sequential(Conv(8), Inception(16), Pool(), Inception(32, large="3x3 twice")),
    "mobile": Sequential(Conv(8, 3, 2, activation="hardswish"), InvertedResidual(8, squeeze=4), InvertedResidual(12, 5, 2)),
    "branches": Sequential(Parallel(Conv(4), Conv(4, 5, activation="gelu"), Pool("max", 3, 1, 1), merge="concat"), SqueezeExcite(), GlobalPool("max", 3)),
    "borders": Sequential(*[Conv(6, 3, padding_mode=mode, norm="none") for mode in ("reflect", "replicate", "circular")]),
}  # fmt: skip


def built(name: str) -> Graph:
    return Space(Sequential(NETWORKS[name], Classifier((9,), 0.3)), (3, 16, 16), 10, "floor").decode({}).graph


def module(graph: Graph) -> torch.nn.Module:
    from nas.module import compile_source
    from nas.source import write_source

    return compile_source(write_source(graph))


def statistics(graph: Graph) -> int:
    """Returns the bytes of mean and deviation that batch normalisations keep, whatever the number of images."""
    return sum(8 * graph.facts[s[0]].shape[0] for op, s in zip(graph.ops, graph.inputs, strict=True) if isinstance(op, BatchNorm))


@pytest.mark.parametrize("name", NETWORKS)
def test_what_autograd_keeps_of_a_network(name: str) -> None:
    """To the byte, for the module that is trained, with three images."""
    import torch

    graph, found = built(name), dict[int, "torch.Tensor"]()
    net = module(graph)
    with saving(found):
        _y = net(torch.randn(3, *graph.input_shape))
    ours = {t.untyped_storage().data_ptr() for t in (*net.parameters(), *net.buffers())}
    assert size(t for place, t in found.items() if place not in ours) - statistics(graph) == 3 * kept_bytes(graph)


@pytest.mark.parametrize("name", NETWORKS)
def test_weight_bytes_are_those_of_the_module(name: str) -> None:
    """But for the counters of batch normalisations, whole numbers of 8 bytes."""
    graph = built(name)
    state = module(graph).state_dict()
    counters = sum(key.endswith("num_batches_tracked") for key in state)
    assert cost_of(graph).weight_bytes == sum(t.numel() * t.element_size() for t in state.values()) - 4 * counters


class Ledger:
    """Births and deaths of the memory of tensors, in order: (number, bytes), bytes negative at the end."""

    def __init__(self, *, positions: bool) -> None:
        self.positions = positions
        self.log: list[tuple[int, int]] = []
        self.known: dict[int, int] = {}

    def see(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        place = storage._cdata
        if place not in self.known and (self.positions or tensor.is_floating_point()):
            number = len(self.log)
            self.known[place] = number
            self.log.append((number, storage.nbytes()))
            weakref.finalize(storage, self._gone, place, number, storage.nbytes())

    def _gone(self, place: int, number: int, size: int) -> None:
        del self.known[place]
        self.log.append((number, -size))

    def peak(self, without: set[int] = frozenset()) -> int:  # type: ignore[assignment]
        """Returns the most bytes alive at once; `without` are numbers that do not count."""
        alive = most = 0
        for number, change in self.log:
            alive += change if number not in without else 0
            most = max(most, alive)
        return most

    @contextmanager
    def watching(self) -> Iterator[None]:
        from torch import Tensor
        from torch.utils._python_dispatch import TorchDispatchMode
        from torch.utils._pytree import tree_leaves

        class Watch(TorchDispatchMode):
            def __torch_dispatch__(this, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                found = function(*args, **(kwargs or {}))
                for leaf in tree_leaves(found):
                    if isinstance(leaf, Tensor):
                        self.see(leaf)
                return found

        with Watch():
            yield


def allocated(graph: Graph) -> int:
    """Returns the peak bytes of one image at inference, node by node, dropping each value after its last use."""
    import torch
    from interpreter import modules, namespace

    ledger, names, parts = Ledger(positions=False), namespace(graph), {i: part.eval() for i, part in modules(graph).items()}
    for tensor in (t for part in parts.values() for t in (*part.parameters(), *part.buffers())):
        ledger.known[tensor.untyped_storage()._cdata] = -1
    last = {s: i for i, sources in enumerate(graph.inputs) for s in sources} | {graph.output: len(graph)}
    with torch.no_grad(), ledger.watching():
        alive = {0: torch.zeros(1, *graph.input_shape)}
        for i, op in enumerate(graph.ops):
            if i:
                call = op.call("part", *(f"v[{s}]" for s in graph.inputs[i]))
                alive[i] = eval(call, {**names, "part": parts.get(i), "v": alive})
            for held in [held for held in alive if last.get(held, held) <= i]:
                del alive[held]
    return ledger.peak()


def test_the_peak_of_inference_is_what_is_allocated() -> None:
    """To the byte, where no operation needs working space of its own (sums of three, and more)."""
    tried = 0
    for seed in range(40):
        graph = random_graph(np.random.default_rng(seed), 9)
        if all(len(sources) <= 2 or isinstance(op, Concat) for op, sources in zip(graph.ops, graph.inputs, strict=True)):
            assert allocated(graph) == peaks(graph)[0], seed
            tried += 1
    assert tried > 5


@pytest.mark.parametrize("view", [Subsample((2, 2)), Crop((3, 3)), Dropout(0.5), Flatten()], ids=str)
def test_views_hold_what_they_look_at(view: Op) -> None:
    """The convolution's 100 values live as long as the view of them, which takes no memory, while a larger value is made."""
    wide: Op = Linear(400) if isinstance(view, Flatten) else Conv2d(400, (1, 1))
    graph = labelled([Input(IMAGE), CONV, view, wide], [(), (0,), (1,), (2,)])
    assert allocated(graph) == peaks(graph)[0] == 4 * (100 + graph.facts[3].volume)


def test_a_shortcut_stays_alive() -> None:
    graph = labelled([Input(IMAGE), CONV, RELU, Add()], [(), (0,), (1,), (0, 2)])
    assert allocated(graph) == peaks(graph)[0] == 4 * 3 * 100


def trained(graph: Graph, images: int) -> float:
    """Returns the peak bytes an image, of a step of the module that is trained; without weights and their gradients."""
    import torch

    net, ledger = module(graph).train(), Ledger(positions=True)
    for tensor in (*net.parameters(), *net.buffers()):
        ledger.known[tensor.untyped_storage()._cdata] = -1
    with ledger.watching():
        y = net(torch.randn(images, *graph.input_shape))
        y.backward(torch.ones_like(y))
    weights = {ledger.known[p.grad.untyped_storage()._cdata] for p in net.parameters() if p.grad is not None}
    return ledger.peak(weights) / images


@pytest.mark.parametrize("name", NETWORKS)
def test_the_peak_of_training_is_nearly_what_is_allocated(name: str) -> None:
    """Above it: gradients that meet at a branch before they are added; below: one gradient for all terms of a sum."""
    graph = built(name)
    said = peaks(graph)[1]
    assert 0.8 <= trained(graph, 8) / said <= 1.25
    assert kept_bytes(graph) <= said


def test_a_step_of_training_by_hand() -> None:
    """convolution, normalisation, relu, pooling: the normalised value is not kept, maxima keep their positions."""
    ops: list[Op] = [Input((1, 4, 4)), Conv2d(2, (1, 1)), BatchNorm(), RELU, Pool2d("max", (2, 2), (2, 2)), Flatten(), Linear(3)]
    graph = labelled(ops, [(), *((i,) for i in range(len(ops) - 1))])
    image, maps, pooled, positions = 4 * 16, 4 * 32, 4 * 8, 8 * 8
    assert kept_bytes(graph) == image + maps + maps + positions + pooled
    before = image + maps + maps  # kept before the pooling
    assert peaks(graph)[1] == max(before + positions + pooled + maps, before + maps + maps)


def test_nothing_is_kept_below_the_first_weights() -> None:
    graph = labelled([Input(IMAGE), RELU, Pool2d("max", (2, 2), (2, 2)), CONV], [(), (0,), (1,), (2,)])
    assert kept_bytes(graph) == graph.facts[2].volume * 4
