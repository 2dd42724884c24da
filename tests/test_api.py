"""One network in one call, however it is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nas
from nas.blocks import Classifier, Conv, GlobalPool, Sequential
from nas.canonical import canonical
from nas.errors import EvaluationError, SpaceError

CLOSED = nas.Space(Sequential(Conv(8, kernel=3), GlobalPool(), Classifier()), (1, 6, 6), 3)


@pytest.fixture(scope="module")
def space() -> nas.Space:
    return nas.load_space("fashion_small")


@pytest.fixture(scope="module")
def genotype(space: nas.Space) -> dict[str, object]:
    return dict(space.sample(np.random.default_rng(5)))


def test_a_network_is_the_same_however_it_is_given(tmp_path: Path, space: nas.Space, genotype: dict[str, object]) -> None:
    architecture = space.decode(genotype)
    graph = nas.build_graph(architecture)
    stored = tmp_path / "net.json"
    stored.write_bytes(graph.to_json())
    run = nas.search(space, evaluator=lambda a: {"val_accuracy": 0.5}, evaluations=2, out=tmp_path / "run")
    assert {nas.fingerprint(net) for net in (architecture, graph, architecture.written, stored, str(stored))} == {
        architecture.fingerprint
    }
    assert nas.fingerprint(space, genotype) == nas.fingerprint("fashion_small", genotype) == architecture.fingerprint
    assert nas.cost(space, genotype) == nas.cost(graph)
    assert nas.fingerprint(f"{tmp_path / 'run'}@best") == run.best().fingerprint


def test_a_closed_space_is_a_network() -> None:
    assert nas.cost(CLOSED).params == nas.cost(CLOSED, {}).params > 0
    assert canonical(nas.build_graph(CLOSED))[1] == nas.fingerprint(CLOSED)


def test_compile_gives_the_same_weights_for_the_same_seed() -> None:
    torch = pytest.importorskip("torch")
    before = torch.random.get_rng_state()
    one, same, other = (nas.compile(CLOSED, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    x = torch.zeros(2, 1, 6, 6)
    assert one(x).shape == (2, 3)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert sum(p.numel() for p in one.parameters()) == nas.cost(CLOSED).params


def test_code_that_comes_with_a_file_is_not_run_unless_trusted(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    recorded = tmp_path / "net.json"
    recorded.write_bytes(_with_own_operation())
    with pytest.raises(EvaluationError, match="trust_code=True"):
        nas.compile(recorded)
    assert nas.compile(recorded, trust_code=True) is not None


def _with_own_operation() -> bytes:
    from dataclasses import dataclass

    from nas.blocks import Block, GraphBuilder, Node
    from nas.ops import Op, Shape

    @dataclass(frozen=True)
    class Doubled(Op):
        def shape(self, *inputs: Shape) -> Shape:
            return inputs[0]

        def call(self, module: str, *inputs: str) -> str:
            return f"2 * {inputs[0]}"

    @dataclass(frozen=True)
    class Double(Block):
        def expand(self, graph: GraphBuilder, x: Node) -> Node:
            return graph.apply(Doubled(), x)

    return nas.build_graph(nas.Space(Sequential(Double(), Classifier()), (1, 6, 6), 3)).to_json()


def test_a_genotype_closes_a_space_alone(space: nas.Space, genotype: dict[str, object]) -> None:
    with pytest.raises(SpaceError, match="leave the genotype out"):
        nas.cost(CLOSED.decode({}), genotype)
    with pytest.raises(SpaceError, match="--sample SEED"):
        nas.cost(space)
