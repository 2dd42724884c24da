"""Strategies on the command line: the list, the settings of each, a user's own, and `auto`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nas.cli import main
from nas.strategies.table import LEFT_OUT, STRATEGIES, find_strategy, settings_of

OWN = '''
from nas.strategies.base import Proposal, Strategy

class Mine(Strategy):
    """Draws.

    Args:
        depth: How far it looks, in a text
            of two lines.
    """

    def __init__(self, depth: int = 3, *, name="x"):
        self.depth = depth

    def propose(self, problem, history, rng):
        return Proposal(problem.space.sample(rng))

def tpe(seed, startup=5, **others):
    """TPE, as Optuna has it."""
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed, n_startup_trials=startup, **others)

def single(seed):
    from optuna.samplers import RandomSampler

    class Single(RandomSampler):
        def sample_independent(self, study, trial, name, distribution):
            raise ValueError("one objective only.")

    return Single(seed)

def f(architecture):
    return {"val_accuracy": int(architecture.fingerprint[:6], 16) / 16**6}
'''

SMALL = """
from nas import Space, choice
from nas.blocks import Classifier, Conv, Sequential
space = Space(Sequential(Conv(channels=choice(1, 2, 3), kernel=choice(1, 3)), Classifier()), input_shape=(1, 4, 4), classes=2)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(OWN, encoding="utf-8")
    Path("small.py").write_text(SMALL, encoding="utf-8")


def ran(arguments: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> str:
    assert main(arguments) == code
    out, err = capsys.readouterr()
    return err if code else out


def searched(capsys: pytest.CaptureFixture[str], *more: str, code: int = 0) -> str:
    return ran(["search", "small.py", "--evaluator", "own.py:f", "--out", "r", *more], capsys, code)


def test_the_list_says_what_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    text = ran(["list", "strategies"], capsys)
    listed, left_out = text.split("\n\n")
    assert [line.split()[0] for line in listed.splitlines()] == ["auto", *STRATEGIES]
    assert [line.split()[0] for line in left_out.splitlines()[1:]] == list(LEFT_OUT)


def test_help_names_every_strategy(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(ran(["search", "--help"], capsys).replace("│", " ").split())
    assert f"{', '.join(STRATEGIES)}; FILE.py:Class" in text
    assert "[default: auto]" in text and "auto (exhaustive where" in text


@pytest.mark.parametrize("name", STRATEGIES)
def test_each_strategy_shows_its_settings(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = ran(["list", "strategies", name], capsys)
    whole = json.loads(ran(["list", "strategies", name, "--json"], capsys))
    known = settings_of(find_strategy(name))
    assert list(whole["settings"]) == list(known)
    assert whole["about"] and whole["about"] in text
    for setting, shown in whole["settings"].items():
        assert shown["type"] and shown["about"], setting
        assert shown["default"] == repr(known[setting].default)
        assert shown["about"] in text


def test_the_rule_of_auto_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    whole = json.loads(ran(["list", "strategies", "auto", "--json"], capsys))
    assert whole["settings"] == {} and "chooses once" in whole["about"]
    assert "chooses once" in ran(["list", "strategies", "auto"], capsys)


def shown(name: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ran(["list", "strategies", name, "--json"], capsys))
    return found


def test_a_users_own_is_shown_too(capsys: pytest.CaptureFixture[str]) -> None:
    mine, tpe = shown("own.py:Mine", capsys), shown("own.py:tpe", capsys)
    assert mine["about"] == "Draws."
    assert mine["settings"] == {
        "depth": {"type": "int", "default": "3", "about": "How far it looks, in a text of two lines."},
        "name": {"type": "", "default": "'x'", "about": ""},
    }
    assert (tpe["about"], list(tpe["settings"])) == ("TPE, as Optuna has it.", ["startup", "**others"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sorrogate", "did you mean 'surrogate'"),
        ("optuna:grid", "GridSampler takes a grid"),
        ("own.py:nobody", "unknown name in own.py 'nobody'"),
    ],
)
def test_what_is_no_strategy_is_told(name: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = ran(["list", "strategies", name], capsys, code=2)
    assert said in text and len(text.strip().splitlines()) == 1


def test_auto_says_what_it_chose_and_a_run_goes_on_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    text = searched(capsys, "--evaluations", "9")
    assert "exhaustive (largest 100000); chosen by auto: 9 evaluations suffice for 6 genotypes" in text
    assert "all 6 genotypes of the space were looked at" in text
    assert "chosen by auto: this run began with it" in searched(capsys, "--evaluations", "3")
    assert "exhaustive (largest 100000)\n" in ran(["resume", "r", "--evaluations", "9"], capsys)


def test_a_users_sampler_takes_settings_and_is_recomputed(capsys: pytest.CaptureFixture[str]) -> None:
    strategy = ["--strategy", "own.py:tpe", "--strategy-option", "startup=2", "--strategy-option", "multivariate=true"]
    text = searched(capsys, *strategy, "--evaluations", "3")
    assert ":tpe (startup 2, multivariate True)" in text
    searched(capsys, "--evaluations", "5")
    assert "5 of 5 proposals" in ran(["verify", "r", "--trust-code"], capsys)
    assert "strategy.options.startup" in searched(capsys, "--strategy", "own.py:tpe", "--evaluations", "6", code=2)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            ["--strategy", "own.py:single"],
            "sampler single failed (proposal 0, 2 objectives): ValueError: one objective only; mend it",
        ),
        (["--strategy", "own.py:f"], "takes no seed; write it as factory(seed, **options)"),
        (["--strategy", "own.py:Proposal"], "expected a class derived from nas.strategies.base.Strategy, or a function factory"),
        (["--strategy", "own.py:tpe", "--strategy-option", "n_startup=1"], "n_startup"),
        (["--set", "population=4"], "--set"),
    ],
)
def test_bad_input_gets_one_line(more: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = searched(capsys, *more, "--evaluations", "3", code=2)
    assert said in text and len(text.strip().splitlines()) == 1 and text.startswith("error: ")
