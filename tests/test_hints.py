"""What is proposed after a search: commands that can be pasted, and what to try where networks only guess."""

from __future__ import annotations

import os
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from nas.budget import Budget
from nas.hints import data_flags, guessing, inheriting, next_commands, quoted
from nas.measurement import Measurement, Outcome
from nas.objectives import objectives
from nas.record import Record
from nas.rows import EvaluationRow, NetworkRow, ProposalRow
from nas.run import Run, open_run
from nas.settings import start_options


def recorded(
    folder: Path,
    *accuracies: float,
    counts: tuple[int, ...] = (10, 90),
    weights: str = "none",
    ranked: str = "val_accuracy",
    inherited: tuple[float | None, ...] = (),
    **arguments: Any,
) -> Run:
    """A run that trained one network an accuracy."""
    settings = {
        "space": {"name": "small", "definition": {"recipe": {"class_weights": weights}}},
        "data": {"class_names": ["cat", "dog"], "validation_images": sum(counts), "validation_counts": list(counts)},
        "objectives": [asdict(one) for one in objectives([ranked, "params"])],
        "epochs": 2,
        "evaluator": "training",
    }
    with Record(folder, settings, start_options(arguments, Budget(5), 1, "cpu")) as record:
        recipe = record.add_recipe({})
        for k, accuracy in enumerate(accuracies):
            share = inherited[k] if inherited else None
            record.add_network(NetworkRow(f"{k:032x}", {"params": k + 1}, b"{}", "text"))
            record.add_proposal(
                ProposalRow(k, f"{k:032x}", recipe, {"a": k}, finished=k, inherit_from=0 if share is not None else None)
            )
            metrics = {"val_accuracy": accuracy, "val_balanced_accuracy": accuracy}
            measurement = Measurement(Outcome.COMPLETE, metrics, (), 2, inherited=share)
            record.add_evaluation(EvaluationRow(k, f"{k:032x}", recipe, "", 0, 0, 2, measurement))
    return open_run(folder)


def commands(text: str) -> list[list[str]]:
    """The commands in a text, as a shell splits them."""
    return [shlex.split(line.split("  #")[0]) for line in text.splitlines() if line.startswith("  nas ")]


@pytest.mark.skipif(os.name == "nt", reason="quotes of POSIX")
@pytest.mark.parametrize("text", ["runs/a b@best", "it's", "$HOME", "runs/a"])
def test_a_shell_gives_back_what_was_quoted(text: str) -> None:
    assert shlex.split(quoted(text)) == [text]
    assert (quoted(text) == text) == (text == "runs/a")


@pytest.mark.skipif(os.name == "nt", reason="quotes of POSIX")
def test_commands_can_be_pasted_and_are_understood(tmp_path: Path) -> None:
    from nas.cli.app import app

    options = {"image_size": [48, 64], "seed": 3, "skip_unreadable": True, "color": "grey"}
    run = recorded(tmp_path / "a run", 0.95, data="my photos", data_options=options)
    found = commands(next_commands(run, is_stopped=True))
    assert [words[1] for words in found] == ["resume", "report", "show", "export", "train"]
    assert all(words[2] in (str(tmp_path / "a run"), f"{tmp_path / 'a run'}@best") for words in found)
    for words in found:
        app.parse_args(words[1:], exit_on_error=False, print_error=False)
    flags = " ".join(data_flags(options))
    assert flags == "--image-size 48x64 --split-seed 3 --skip-unreadable --color grey", "as nas train says of a run's data"


def test_nothing_is_proposed_that_cannot_be_done(tmp_path: Path) -> None:
    assert [words[1] for words in commands(next_commands(recorded(tmp_path / "a", 0.5)))] == ["report", "show", "export"]
    assert [words[1] for words in commands(next_commands(recorded(tmp_path / "b")))] == ["report"]
    assert next_commands(recorded(tmp_path / "c"), is_reported=True) == ""


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ((None, None), ""),
        (
            (None, 1.0, 0.3),
            "2 networks inherited weights, 65% of their values (median): their accuracies include their parents' training",
        ),
        ((None, 0.0), "1 network found no weights to inherit and began from nothing"),
        (
            (1.0, 0.0, 0.0),
            "1 network inherited weights, 100% of its values: their accuracies include their parents' training; "
            "2 networks found no weights to inherit and began from nothing",
        ),
    ],
)
def test_inherited_weights_are_told(tmp_path: Path, shares: tuple[float | None, ...], said: str) -> None:
    run = recorded(tmp_path, *([0.5] * len(shares)), inherited=shares)
    assert inheriting(run) == said
    table = run.trials()
    assert ("inherited" in table.columns) == bool(said)
    assert [None if value != value else value for value in table.get("inherited", shares)] == list(shares)
    if said:
        first = table["id"][0]
        assert table["inherited_from"].fillna("").tolist() == ["" if share is None else first for share in shares]


def test_networks_that_only_guess_are_told_with_what_to_try(tmp_path: Path) -> None:
    told = guessing(recorded(tmp_path / "guess", 0.9, 0.2))
    assert "\n" not in told and "'dog'" in told
    for words in ("0.9000", "--epochs 2", "--class-weights balanced", "val_balanced_accuracy"):
        assert words in told, words
    assert "--class-weights" not in guessing(recorded(tmp_path / "weighed", 0.9, weights="balanced"))


def test_nothing_is_told_where_a_network_learned_or_nothing_is_known(tmp_path: Path) -> None:
    assert guessing(recorded(tmp_path / "a", 0.9, 0.91)) == ""
    assert guessing(recorded(tmp_path / "b")) == ""
    assert guessing(recorded(tmp_path / "c", 0.5, ranked="val_balanced_accuracy")) == ""
    assert guessing(recorded(tmp_path / "d", 0.5, counts=())) == ""
