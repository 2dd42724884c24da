"""What a search takes over from earlier runs: which networks have a place, what is kept of them, and that a run goes on alike."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.blocks import Classifier, Conv, OneOf, Pool, Repeat, Sequential
from nas.cli import main
from nas.domains import choice, integer, real
from nas.errors import RunError, StrategyError
from nas.loop import resume, search
from nas.notation import space_to_json
from nas.problem import Problem
from nas.rebuild import rebuild
from nas.recipe import Recipe
from nas.recompute import verify
from nas.run import Run
from nas.space import Space
from nas.strategies.base import Earlier
from nas.warm import earlier_of, earlier_settings, find_earlier, recorded_earlier

SPACE = Space(
    Sequential(Repeat(Conv(channels=choice(2, 4, 8), kernel=choice(1, 3)), times=integer(1, 3)), Classifier()),
    input_shape=(1, 8, 8),
    classes=3,
    name="here",
)
LARGER = replace(
    SPACE,
    body=Sequential(
        Repeat(OneOf(Pool(stride=1, kernel=2), Conv(channels=choice(2, 4, 8, 16), kernel=choice(1, 3, 5))), times=integer(1, 4)),
        Classifier(),
    ),
    name="larger",
    border="floor",
)


def accuracy(architecture: Any) -> dict[str, float]:
    return {"val_accuracy": int(architecture.fingerprint[:6], 16) % 1000 / 1000, "val_loss": 0.5}


@pytest.fixture
def ran(tmp_path: Path) -> Callable[..., Run]:
    """Makes a run of random networks."""

    def make(space: Space, evaluations: int = 12, **options: Any) -> Run:
        options = {"evaluator": accuracy, "strategy": "random", "out": tmp_path / f"{space.name}-{evaluations}", **options}
        return search(space, evaluations=evaluations, **options)

    return make


def losses(run: Run) -> dict[str, float]:
    return {row["fingerprint"]: -row["val_accuracy"] for _, row in run.trials().iterrows()}


def test_a_run_of_the_same_space_has_a_place_whole(ran: Callable[..., Run]) -> None:
    run, problem = ran(SPACE), Problem(SPACE, ["val_accuracy", "params"])
    (found,) = find_earlier([run.folder], problem)
    taken = zip(found.genotypes, found.losses["val_accuracy"], strict=True)
    assert {problem.consider(genotype).fingerprint: loss for genotype, loss in taken} == losses(run)
    assert (found.name, found.of, list(found.losses)) == (str(run.folder), 12, ["val_accuracy"])


def test_other_images_and_constraints_leave_nothing_out(ran: Callable[..., Run]) -> None:
    other = Problem(replace(SPACE, input_shape=(3, 9, 9), classes=5), ["val_accuracy", "params"], ["params<=100"])
    (found,) = find_earlier([ran(SPACE)], other)
    assert len(found.genotypes) == 12


def test_networks_that_a_larger_space_contains_are_found_by_their_blocks(ran: Callable[..., Run]) -> None:
    run, problem = ran(SPACE), Problem(LARGER, ["val_accuracy"])
    (found,) = find_earlier([run.folder], problem)
    assert {problem.consider(genotype).fingerprint for genotype in found.genotypes} == losses(run).keys()


def test_of_an_overlapping_space_what_agrees_in_most_decisions_has_a_place(ran: Callable[..., Run]) -> None:
    """A convolution of 16 channels is nowhere here; where it is one of many, the rest of the network still says something."""
    wider = replace(
        SPACE,
        body=Sequential(Repeat(Conv(channels=choice(2, 4, 16), kernel=choice(1, 3)), times=integer(1, 3)), Classifier()),
        name="wider",
    )
    run, problem = ran(wider, 40), Problem(SPACE, ["val_accuracy"])
    (found,) = find_earlier([run.folder], problem)
    exact = sum(16 not in g.values() for g in run.trials()["genotype"])
    assert exact < len(found.genotypes) <= found.of == 40
    for genotype in found.genotypes:
        problem.space.decode(genotype)
    assert len({tuple(g.items()) for g in found.genotypes}) == len(found.genotypes)


def test_a_closed_recipe_is_a_decision_where_the_recipe_is_open(ran: Callable[..., Run]) -> None:
    run = ran(replace(SPACE, recipe=Recipe(lr=0.25)))
    (found,) = find_earlier([run.folder], Problem(replace(SPACE, recipe=Recipe(lr=real(0.01, 0.5, log=True))), ["val_accuracy"]))
    assert {genotype["recipe.lr"] for genotype in found.genotypes} == {0.25}


def test_several_measured_objectives_may_come_from_several_runs(ran: Callable[..., Run]) -> None:
    run = ran(SPACE)
    (found,) = find_earlier([run], Problem(SPACE, ["val_accuracy", "val_loss", "params"]))
    assert found.losses["val_loss"] == (0.5,) * 12
    only = ran(SPACE, 5, evaluator=lambda _: {"val_loss": 0.5}, objectives=["val_loss"])
    (found,) = find_earlier([only], Problem(SPACE, ["val_accuracy", "val_loss", "params"]))
    assert list(found.losses) == ["val_loss"]


def test_what_cannot_be_used_is_said_in_one_line(ran: Callable[..., Run], tmp_path: Path) -> None:
    pools = Space(Sequential(Pool(kernel=choice(2, 4)), Classifier()), (1, 8, 8), 3, name="pools")
    run, problem = ran(pools, 2), Problem(SPACE, ["val_accuracy", "params"])
    with pytest.raises(
        StrategyError, match=r"cannot warm-start from .*pools-2: none of its 2 networks has a place in here; .* pools"
    ):
        find_earlier([run.folder], problem)
    with pytest.raises(StrategyError, match=r"cannot warm-start from .*: none of its 12 networks has val_kappa"):
        find_earlier([ran(SPACE)], Problem(SPACE, ["val_kappa:max"]))
    with pytest.raises(RunError, match=r"warm_start is a list, got 'a,b'; write \['a', 'b'\]"):
        find_earlier("a,b", problem)
    with pytest.raises(RunError, match="nowhere"):
        find_earlier([tmp_path / "nowhere"], problem)


def test_the_settings_keep_every_point() -> None:
    points: tuple[Any, ...] = ({"a": 3, "b": (1, 2), "c": "x"}, {"a": 2, "b": 0.5})
    earlier = [Earlier("runs/a", points, {"val_accuracy": (-0.5, math.nan)}, 7), Earlier("b", points[:1], {"val_loss": (1.0,)}, 1)]
    kept = earlier_settings(earlier)
    assert kept["runs"] == {"runs/a": "2 of 7 networks", "b": "1 of 1 network"}
    back = earlier_of(type("", (), {"settings": {"warm_start": kept}})())
    assert [(run.name, run.genotypes, run.of) for run in back] == [(run.name, run.genotypes, run.of) for run in earlier]
    assert back[0].losses["val_accuracy"][0] == -0.5
    assert math.isnan(back[0].losses["val_accuracy"][1])
    assert earlier_settings(earlier[:1])["digest"] != kept["digest"]


def warm(out: Path, runs: list[Any], evaluations: int | str, **options: Any) -> Run:
    settings = {"initial": 4, "pool": 4, "candidates": 16}
    return search(
        SPACE, strategy="surrogate", evaluator=accuracy, warm_start=runs, evaluations=evaluations, out=out, strategy_options=settings,
        **options,
    )  # fmt: skip


def test_a_warm_search_goes_on_alike_when_the_earlier_run_is_gone(ran: Callable[..., Run], tmp_path: Path) -> None:
    first = ran(SPACE)
    whole = warm(tmp_path / "whole", [first.folder], 10)
    assert "earlier" in set(whole.trials()["operator"])
    broken = warm(tmp_path / "broken", [first.folder], 6)
    found = earlier_of(broken)
    assert recorded_earlier(broken.folder, [first.folder])[0].genotypes == found[0].genotypes
    assert recorded_earlier(broken.folder, []) == recorded_earlier(tmp_path / "new", [first.folder]) == []
    shutil.rmtree(first.folder)
    warm(broken.folder, [str(first.folder)], "+4")
    assert broken.trials()[["fingerprint", "operator"]].equals(whole.trials()[["fingerprint", "operator"]])
    assert verify(whole, *rebuild(whole)) == []
    with pytest.raises(RunError, match=f"was begun with --warm-start {first.folder}; give the same again, or nas resume"):
        warm(broken.folder, [], "+1")


def test_one_run_is_no_list(ran: Callable[..., Run], tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"^warm_start is a list, got one Run; write \[\.\.\.\] around it$"):
        search(SPACE, evaluator=accuracy, evaluations=2, warm_start=ran(SPACE, 2), out=tmp_path / "no")  # type: ignore[arg-type]


def test_a_search_started_from_text_is_resumed_with_its_points(ran: Callable[..., Run], tmp_path: Path) -> None:
    first = ran(SPACE)
    (tmp_path / "score.py").write_text("def score(a):\n    return {'val_accuracy': int(a.fingerprint[:6], 16) % 1000 / 1000}\n")
    (tmp_path / "here.json").write_bytes(space_to_json(SPACE))
    run = search(
        str(tmp_path / "here.json"), strategy="surrogate", evaluator=f"{tmp_path / 'score.py'}:score", warm_start=[first],
        evaluations=4, out=tmp_path / "run",
    )  # fmt: skip
    shutil.rmtree(first.folder)
    assert len(resume(run, evaluations="+2").trials()) == 6


def test_a_strategy_that_learns_nothing_says_so(ran: Callable[..., Run], tmp_path: Path) -> None:
    run = ran(SPACE, 2)
    with pytest.raises(StrategyError, match="RandomSearch learns nothing from earlier runs; take surrogate, or leave --warm-start"):
        search(SPACE, strategy="random", evaluator=accuracy, evaluations=2, warm_start=[run.folder], out=tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_the_command_takes_folders_and_says_what_it_took_over(
    ran: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("score.py").write_text("def score(a):\n    return {'val_accuracy': int(a.fingerprint[:6], 16) % 1000 / 1000}\n")
    Path("here.json").write_bytes(space_to_json(SPACE))
    first, second = ran(SPACE, 4), ran(SPACE, 5)
    command = [
        "search",
        "here.json",
        "--evaluator",
        "score.py:score",
        "--strategy",
        "surrogate",
        "--evaluations",
        "2",
        "--out",
        "new",
    ]
    assert main([*command, "--warm-start", f"{first.folder},{second.folder}"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"warm start {first.folder} (4 of 4 networks fit this space), {second.folder} (5 of 5 networks fit this space)" in said
    assert main([*command[:-1], "other", "--warm-start", "nowhere"]) == 2
