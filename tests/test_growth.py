"""A network that grew computes what it did before, and says so; one that changed in another way says that."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from heirs import PAIRS, graph_of, module_of
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.blocks import (
    Block,
    Classifier,
    Conv,
    Inception,
    InvertedResidual,
    Parallel,
    Pool,
    Repeat,
    Residual,
    SeparableConv,
    SqueezeExcite,
)
from nas.errors import BlockError
from nas.graph import Graph
from nas.growth import beginning
from nas.inherit import inherit
from nas.kinship import aligned_paths, share_taken
from nas.library import load_space, shipped
from nas.space import Space

torch.set_num_threads(1)
END = Classifier()


def difference(child: Graph, parent: Graph, aligned: dict[str, str] | None = None) -> tuple[float, float]:
    """How far the outputs of a child and its parent lie apart, relative to the parent's largest; and the share inherited."""
    trained, fresh = module_of(parent).double(), module_of(child, seed=1).double()
    with torch.no_grad():
        share = inherit(fresh, child, parent, trained.state_dict(), aligned, seed=3)
        x = torch.randn(3, *parent.input_shape).double()
        before, after = trained(x), fresh(x)
    return ((before - after).abs().max() / before.abs().max()).item(), share


def parallel(*blocks: Block) -> Parallel:
    return Parallel(*blocks, merge="add")


LINEAR = {"norm": "batch", "activation": "none"}
GROWN: dict[str, tuple[list[Block], list[Block]]] = {
    **{f"wider: {name}": (narrow, wide) for name, (wide, narrow) in PAIRS.items()},
    "a larger kernel": ([Conv(4), END], [Conv(4, kernel=5), END]),
    "a larger depthwise kernel": ([Conv(4), SeparableConv(4), END], [Conv(6), SeparableConv(5, kernel=5), END]),
    "a larger kernel in groups": ([Conv(8), Conv(8, groups=2, name="g"), END], [Conv(8), Conv(8, groups=2, kernel=5, name="g"), END]),
    "kernel and width": ([Conv(4), Conv(3, name="b"), END], [Conv(4, kernel=5), Conv(9, kernel=7, name="b"), END]),
    "an offset": ([Conv(4), END], [Conv(4, bias=True), END]),
    "dropout": ([Conv(4), END], [Conv(4, dropout=0.3), Classifier(dropout=0.2)]),
    "another dropout": ([Conv(4, dropout=0.1), END], [Conv(6, dropout=0.3), END]),
    "a convolution": ([Conv(4), END], [Conv(4), Conv(4, name="n"), END]),
    "a wider convolution": ([Conv(4), Conv(8, name="b"), END], [Conv(5), Conv(6, name="n"), Conv(9, name="b"), END]),
    "without normalisation": ([Conv(4, norm="none"), END], [Conv(4, norm="none"), Conv(6, norm="none", name="n"), END]),
    "relu6": ([Conv(4, activation="relu6"), END], [Conv(4, activation="relu6"), Conv(6, activation="relu6", name="n"), END]),
    "a separable convolution": ([Conv(4), END], [Conv(4), SeparableConv(6), END]),
    "a residual block": ([Conv(4), END], [Conv(4), Residual(4), END]),
    "a wider residual block": ([Conv(4), END], [Conv(4), Residual(8), END]),
    "a bottleneck": ([Conv(4), END], [Conv(4), Residual(8, bottleneck=True), END]),
    "preactivation": ([Conv(4), END], [Conv(4), Residual(4, preactivation=True), END]),
    "residual with attention": ([Conv(4), END], [Conv(4), Residual(4, squeeze=2), END]),
    "an inverted residual": ([Conv(4), END], [Conv(4), InvertedResidual(4), END]),
    "option A": ([Conv(4), Residual(6, shortcut="pad"), END], [Conv(5), Residual(9, shortcut="pad"), END]),
    "a term": (
        [Conv(4), parallel(Conv(4, **LINEAR)), END],
        [Conv(4), parallel(Conv(4, **LINEAR), Conv(4, kernel=1, **LINEAR)), END],
    ),
    "a part": (
        [Conv(4), Parallel(Conv(4), Conv(3)), Conv(5, name="x"), END],
        [Conv(4), Parallel(Conv(4), Conv(3), Conv(4, kernel=1)), Conv(5, name="x"), END],
    ),
    "a second part": (
        [Conv(4), Parallel(Conv(4)), Conv(5, name="x"), END],
        [Conv(4), Parallel(Conv(4), Pool("max", 1)), Conv(5, name="x"), END],
    ),
    "inside a residual block": (
        [Conv(8), Residual(body=Repeat(Conv(8), times=1)), END],
        [Conv(12), Residual(body=Repeat(Conv(12), times=2)), END],
    ),
    "everything at once": (
        [Conv(8), Inception(16), Residual(12), END],
        [Conv(8, kernel=5), Conv(8, name="n"), Inception(32), Residual(16), Residual(20, name="m"), END],
    ),
}  # fmt: skip

CHANGED: dict[str, tuple[list[Block], list[Block]]] = {
    "fewer channels": ([Conv(4), END], [Conv(3), END]),
    "a smaller kernel": ([Conv(4, kernel=5), END], [Conv(4), END]),
    "another pooling": ([Conv(4), Pool("max", 2), END], [Conv(4), Pool("avg", 2), END]),
    "a pooling": ([Conv(4), END], [Conv(4), Pool("max", 2), END]),
    "a narrower convolution": ([Conv(4), END], [Conv(4), Conv(3, name="n"), END]),
    "a stride": ([Conv(4), END], [Conv(4), Conv(4, stride=2, name="n"), END]),
    "a valid convolution": ([Conv(4), END], [Conv(4), Conv(4, padding="valid", name="n"), END]),
    "another activation": ([Conv(4), END], [Conv(4, activation="silu"), END]),
    "before an activation": ([Conv(4), END], [Conv(4), Conv(4, activation="silu", name="n"), END]),
    "relu behind what may be negative": ([Conv(4, **LINEAR), END], [Conv(4, **LINEAR), Conv(4, name="n"), END]),
    "relu6 behind relu": ([Conv(4), END], [Conv(4), Conv(4, activation="relu6", name="n"), END]),
    "an Inception module": ([Conv(16), END], [Conv(16), Inception(32), END]),
    "attention": ([Conv(4), END], [Conv(4), SqueezeExcite(2), END]),
    "wider groups": ([Conv(8), Conv(8, groups=2, name="g"), END], [Conv(8), Conv(16, groups=2, name="g"), END]),
    "local response": ([Conv(8, norm="local_response"), END], [Conv(12, norm="local_response"), END]),
    "a term behind relu": (
        [Conv(4), parallel(Conv(4)), END],
        [Conv(4), parallel(Conv(4), Conv(4, kernel=1)), END],
    ),
    "a skip": ([Conv(4), parallel(Conv(4)), END], [Conv(4), parallel(Conv(4), Pool("max", 1)), END]),
}  # fmt: skip


@pytest.mark.parametrize("name", GROWN)
def test_what_grew_computes_the_same(name: str) -> None:
    parent, child = (graph_of(*blocks) for blocks in GROWN[name])
    assert beginning(child, parent).is_exact
    apart, share = difference(child, parent)
    assert apart < 1e-9 and share == pytest.approx(share_taken(child, parent))


@pytest.mark.parametrize("name", CHANGED)
def test_what_changed_otherwise_is_not_said_to(name: str) -> None:
    parent, child = (graph_of(*blocks) for blocks in CHANGED[name])
    assert not beginning(child, parent).is_exact
    apart, share = difference(child, parent)
    assert apart > 1e-5 and share == pytest.approx(share_taken(child, parent))


def test_a_layer_that_cannot_pass_its_input_on_begins_fresh() -> None:
    parent, child = graph_of(Conv(4), END), graph_of(Conv(4), Conv(4, activation="silu", name="n"), END)
    found = beginning(child, parent)
    assert not found.passing and not found.silent


def test_silence_can_learn() -> None:
    """Zero behind a ReLU, or two zeros in a row, would stay what they are."""
    parent, child = (
        graph_of(Conv(4), END),
        graph_of(Conv(4), Residual(4, squeeze=2), Residual(4, preactivation=True, name="p"), END),
    )
    trained, fresh = module_of(parent), module_of(child, seed=1)
    inherit(fresh, child, parent, trained.state_dict())
    for _ in range(2):
        fresh.zero_grad()
        torch.nn.functional.cross_entropy(fresh.train()(torch.randn(16, 2, 8, 8)), torch.arange(16) % 3).backward()
        with torch.no_grad():
            for parameter in fresh.parameters():
                parameter -= 0.1 * parameter.grad
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for name, parameter in fresh.named_parameters())


def bound(name: str) -> Space:
    space = load_space(name)
    return space.bind(space.input_shape or (3, 16, 16), space.classes or 10)


SPACES = {name: bound(name) for name in sorted(shipped())}


def generations(name: str, seed: int, mutations: int, most: int = 300_000) -> tuple[Graph, Graph, dict[str, str]] | None:
    """A drawn network and what some mutations make of it, None where either is large or cannot be."""
    space, rng = SPACES[name], np.random.default_rng(seed)
    before = after = space.sample(rng)
    for _ in range(mutations):
        after = space.mutate(after, rng)
    try:
        parent, child = space.decode(before).graph, space.decode(after).graph
    except BlockError:
        return None
    if max(sum(facts.params for facts in graph.facts) for graph in (parent, child)) > most:
        return None
    return parent, child, aligned_paths(child, parent, after, before)


@given(st.sampled_from(sorted(SPACES)), st.integers(0, 10_000), st.integers(1, 3))
@settings(max_examples=30)
def test_a_mutation_that_is_said_to_preserve_the_function_does(name: str, seed: int, mutations: int) -> None:
    found = generations(name, seed, mutations)
    if found is not None:
        parent, child, aligned = found
        apart, share = difference(child, parent, aligned)
        assert not beginning(child, parent, aligned).is_exact or apart < 1e-5
        assert share == pytest.approx(share_taken(child, parent, aligned), abs=0.1)  # which channels stay is a matter of values


def test_mutations_of_a_shipped_space_preserve_the_function_now_and_then() -> None:
    drawn = [found for seed in range(40) if (found := generations("fashion_small", seed, 1)) is not None]
    exact = [beginning(child, parent, aligned).is_exact for parent, child, aligned in drawn]
    assert sum(exact) >= 5 and len(exact) - sum(exact) >= 5
