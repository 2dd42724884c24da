"""The strategy of a search that names none, or one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas.blocks import Classifier, Conv, Sequential
from nas.budget import Budget
from nas.chosen import choose
from nas.domains import choice, real
from nas.errors import RunError, StrategyError, UnknownNameError
from nas.loop import resume, search
from nas.recipe import Recipe
from nas.run import Run
from nas.space import Space
from nas.strategies.base import ENUMERABLE, Proposal, Strategy
from nas.strategies.exhaustive import Exhaustive
from nas.strategies.nsga2 import NSGA2

SPACE = Space(Sequential(Conv(channels=choice(1, 2, 3), kernel=choice(1, 3)), Classifier()), input_shape=(1, 4, 4), classes=2)
"""6 genotypes."""

LARGE = Space(Sequential(*(Conv(channels=choice(*range(1, 60))) for _ in range(4)), Classifier()), (1, 4, 4), 2)


def accuracy(architecture: Any) -> dict[str, float]:
    return {"val_accuracy": int(architecture.fingerprint[:6], 16) % 1000 / 1000}


def quick(folder: Path, **options: Any) -> Run:
    return search(**{"space": SPACE, "evaluator": accuracy, "evaluations": 6, "out": folder, **options})


@pytest.mark.parametrize(
    ("budget", "name", "reason"),
    [
        (Budget(evaluations=6), "exhaustive", "6 evaluations suffice for 6 genotypes"),
        (Budget(evaluations=5), "surrogate", "6 genotypes, only 5 evaluations"),
        (Budget(epochs_total=18), "exhaustive", "6 evaluations suffice for 6 genotypes"),
        (Budget(evaluations=6, epochs_total=17), "surrogate", "6 genotypes, only 5 evaluations"),
        (Budget(evaluations=6, seconds=9.0), "surrogate", "no number of evaluations says that all of 6 genotypes will be seen"),
        (Budget(seconds=9.0), "surrogate", "no number of evaluations says that all of 6 genotypes will be seen"),
    ],
)
def test_the_rule(budget: Budget, name: str, reason: str) -> None:
    chosen = choose(SPACE, budget, epochs=3)
    assert (chosen.named, chosen.reason) == (name, reason)


def test_what_was_learnt_before_is_used_in_a_small_space_too() -> None:
    chosen = choose(SPACE, Budget(evaluations=6), 1, learns=True)
    assert (chosen.named, chosen.reason) == ("surrogate", "it learns from the earlier runs")


def test_a_continuum_and_a_huge_space_are_not_looked_through() -> None:
    endless = Space(SPACE.body, (1, 4, 4), 2, recipe=Recipe(lr=real(0.1, 0.2)))
    assert choose(endless, Budget(evaluations=10**9), 1).reason == "a continuum, only 1,000,000,000 evaluations"
    huge = choose(LARGE, Budget(evaluations=10**9), 1)
    assert (huge.named, huge.reason) == ("surrogate", "12,117,361 genotypes, too many to look at each")


def test_exhaustive_takes_what_is_chosen_for_it() -> None:
    assert Exhaustive().largest == ENUMERABLE


def test_the_choice_is_recorded_and_the_run_goes_on_with_it(tmp_path: Path) -> None:
    run = quick(tmp_path / "r", evaluations=4)
    assert run.settings["strategy"]["name"] == "surrogate"
    assert run.starts()[-1]["options"]["chosen"] == "6 genotypes, only 4 evaluations"
    again = quick(tmp_path / "r", evaluations=6)  # now it would be exhaustive
    assert again.settings["strategy"]["name"] == "surrogate"
    assert again.starts()[-1]["options"]["chosen"] == "this run began with it"
    assert again.starts()[-1]["options"]["arguments"]["strategy"] == "surrogate"


def test_a_small_space_is_seen_whole(tmp_path: Path) -> None:
    run = quick(tmp_path / "r", evaluations=50)
    assert run.settings["strategy"]["name"] == "exhaustive"
    assert len(run.trials()) == 6
    assert run.starts()[-1]["ended"] == "all 6 genotypes of the space were looked at: 6 networks"


def test_auto_goes_on_with_any_strategy_and_its_settings(tmp_path: Path) -> None:
    quick(tmp_path / "r", strategy="nsga2", strategy_options={"population": 4}, evaluations=3)
    run = quick(tmp_path / "r", strategy="auto", evaluations=6)
    assert run.settings["strategy"]["options"]["population"] == 4
    assert len(run.trials()) == 6


def test_resume_chooses_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text("def f(architecture):\n    return {'val_accuracy': int(architecture.fingerprint[:6], 16) / 16**6}\n")
    search("fashion_small", evaluator="own.py:f", evaluations=2, out="r")
    run = resume("r", evaluations=3)
    assert run.settings["strategy"]["name"] == "surrogate"
    assert "chosen" not in run.starts()[-1]["options"]


def test_auto_takes_no_settings(tmp_path: Path) -> None:
    with pytest.raises(StrategyError, match="strategy auto takes no settings, got population; name the strategy"):
        quick(tmp_path / "r", strategy_options={"population": 4})
    assert not (tmp_path / "r").exists()


def test_a_name_that_is_wrong_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'nsga2'"):
        quick(tmp_path / "r", strategy="nsga4")
    assert not (tmp_path / "r").exists()


def test_a_run_of_an_object_wants_it_again(tmp_path: Path) -> None:
    class First(Strategy):
        def propose(self, problem: Any, history: Any, rng: Any) -> Proposal:
            return Proposal(problem.space.sample(rng))

    mine = First()
    quick(tmp_path / "r", strategy=mine, evaluations=3)
    with pytest.raises(RunError, match="started from Python with a strategy object; give it again"):
        quick(tmp_path / "r", strategy="auto")
    assert len(quick(tmp_path / "r", strategy=mine, evaluations=4).trials()) == 4


def test_an_object_is_taken_as_it_is(tmp_path: Path) -> None:
    run = quick(tmp_path / "r", strategy=NSGA2(population=5), evaluations=3)
    assert run.settings["strategy"] == {"name": "nsga2", "options": {**run.settings["strategy"]["options"], "population": 5}}
