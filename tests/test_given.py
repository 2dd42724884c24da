"""Networks that a search is given, to start from and to be compared with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from nas.addresses import find_network
from nas.blocks import Block, Classifier, Conv, GraphBuilder, Node, Repeat, Sequential
from nas.domains import choice, integer
from nas.errors import RunError, SpaceError, StrategyError
from nas.given import find_baselines, find_starts
from nas.loop import search
from nas.problem import Problem
from nas.space import Space

SPACE = Space(
    Sequential(Repeat(Conv(channels=choice(2, 4, 8), kernel=choice(1, 3)), times=integer(1, 3)), Classifier()),
    input_shape=(1, 8, 8),
    classes=3,
)


@dataclass(frozen=True)
class Widened(Block):
    """A block of a user's own."""

    channels: int = 4

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        return graph.conv(x, self.channels, 3)


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    """A user's file with networks for other images."""
    path = tmp_path / "nets.py"
    path.write_text(
        "from nas import Space\n"
        "from nas.blocks import Classifier, Conv, Pool, Sequential\n"
        "two = Space(Sequential(Conv(channels=4), Conv(channels=8, kernel=1), Classifier()), (3, 32, 32), 10)\n"
        "pooled = Space(Sequential(Conv(channels=4), Pool(), Classifier()), (3, 32, 32), 10)\n"
        "deep = Space(Sequential(*[Pool() for _ in range(5)], Classifier()), (3, 32, 32), 10)\n"
        "headless = Space(Sequential(Conv(channels=4)), (3, 32, 32), 10)\n"
    )
    return path


def test_a_start_is_the_genotype_of_the_network_for_the_spaces_own_images(nets: Path) -> None:
    problem = Problem(SPACE, ["val_accuracy", "params"])
    (genotype,) = find_starts([f"{nets}:two"], problem).values()
    assert genotype == {
        "repeat.times": 2, "repeat[0].channels": 4, "repeat[0].kernel": 3, "repeat[1].channels": 8, "repeat[1].kernel": 1,
    }  # fmt: skip
    assert problem.consider(genotype).architecture.input_shape == (1, 8, 8)


def test_a_start_outside_the_space_names_the_first_decision_that_fails(nets: Path) -> None:
    with pytest.raises(StrategyError, match=r"cannot start from .*nets\.py:pooled: .* does not contain .*repeat\[1\].* Pool"):
        find_starts([f"{nets}:pooled"], Problem(SPACE, ["val_accuracy"]))


def test_a_start_that_a_constraint_refuses_says_so(nets: Path) -> None:
    with pytest.raises(StrategyError, match=r"cannot start from .*two: params is \d+, expected params<=50"):
        find_starts([f"{nets}:two"], Problem(SPACE, ["val_accuracy"], ["params<=50"]))


def test_a_network_of_another_spaces_run_is_not_taken_for_one_that_has_its_decisions(tmp_path: Path) -> None:
    small, large = (
        Space(Sequential(Conv(choice(4, 8), kernel), Classifier()), (1, 8, 8), 3, name=name)
        for name, kernel in (("small", 3), ("large", 5))
    )
    run = search(small, strategy="random", evaluator=lambda _: {"val_accuracy": 0.5}, evaluations=1, out=tmp_path / "run")
    (found,) = find_starts([f"{run.folder}@best"], Problem(small, ["params"])).values()
    assert found == run.best().genotype
    with pytest.raises(StrategyError, match=r"@best: it was found in space 'small', not in 'large': .* does not contain"):
        find_starts([f"{run.folder}@best"], Problem(large, ["params"]))
    with pytest.raises(SpaceError, match="it stays as the run found it, so it cannot be made for 1 x 9 x 9 and 3"):
        find_network(f"{run.folder}@best", input_shape=(1, 9, 9))
    wider = Space(Sequential(Conv(choice(2, 4, 8), choice(1, 3)), Classifier()), (1, 8, 8), 3, name="wider")
    (genotype,) = find_starts([f"{run.folder}@best"], Problem(wider, ["params"])).values()
    assert genotype == {"conv.channels": run.best().genotype["conv.channels"], "conv.kernel": 3}


def test_a_network_of_a_run_with_blocks_of_ones_own_starts_only_its_own_space(tmp_path: Path) -> None:
    own = Space(Sequential(Widened(choice(4, 8)), Classifier()), (1, 8, 8), 3, name="own")
    run = search(own, strategy="random", evaluator=lambda _: {"val_accuracy": 0.5}, evaluations=1, out=tmp_path / "run")
    (found,) = find_starts([f"{run.folder}@best"], Problem(own, ["params"])).values()
    assert found == run.best().genotype
    with pytest.raises(StrategyError, match="it was found in space 'own', not in 'without a name'"):
        find_starts([f"{run.folder}@best"], Problem(SPACE, ["params"]))


def test_a_network_that_was_only_a_baseline_of_a_run_has_no_decisions_to_start_from(tmp_path: Path, nets: Path) -> None:
    options = {"evaluator": lambda _: {"val_accuracy": 0.5}, "evaluations": 1, "baselines": [f"{nets}:pooled"]}
    run = search(SPACE, out=tmp_path / "run", **options)  # type: ignore[arg-type]
    with pytest.raises(StrategyError, match="only its operations are known; name it by its blocks"):
        find_starts([f"{run.folder}@{run.baselines()['id'][0]}"], Problem(SPACE, ["params"]))
    by_name = run.network(f"{nets}:pooled")
    assert by_name.fingerprint == run.baselines()["fingerprint"][0]
    with pytest.raises(RunError, match=r"'pool' fits no network .*; expected .* or a baseline: .*nets\.py:pooled"):
        run.network("pool")


def test_a_single_text_is_no_list() -> None:
    with pytest.raises(RunError, match=r"start_from is a list, got 'vgg-a,vgg-d'; write \['vgg-a', 'vgg-d'\]"):
        find_starts("vgg-a,vgg-d", Problem(SPACE, ["params"]))
    with pytest.raises(RunError, match="baselines is a list"):
        find_baselines("lenet-5", SPACE)


def test_a_baseline_may_lie_outside_the_space_and_its_constraints(nets: Path) -> None:
    pooled, two = find_baselines([f"{nets}:pooled", f"{nets}:two", f"{nets}:pooled"], SPACE)
    assert (pooled.name, two.name) == (f"{nets}:pooled", f"{nets}:two")
    assert pooled.graph.facts[0].shape == (1, 8, 8)
    assert pooled.graph.output_shape == (3,)
    assert not SPACE.contains(pooled.architecture)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "why"), [("deep", r"pool4.* \(1, 1, 1\)"), ("headless", r"gives \(4, 8, 8\), expected .* 3 classes")]
)
def test_a_baseline_that_cannot_take_the_images_says_why(nets: Path, name: str, why: str) -> None:
    with pytest.raises(RunError, match=f"baseline .*{name}.*{why}"):
        find_baselines([f"{nets}:{name}"], SPACE)


def test_an_unknown_network_names_the_nearest() -> None:
    with pytest.raises(RunError, match=r"baseline lenet-6: .*lenet-5"):
        find_baselines(["lenet-6"], SPACE)
