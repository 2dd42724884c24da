"""The live display: plain lines into a file, a panel on a terminal, and the closing words."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import nas
from nas.budget import Budget
from nas.events import Ended, Event, Started
from nas.progress import Progress, closing_words
from nas.run import Run
from nas.space import Architecture
from nas.tally import Tally


def measure(architecture: Architecture) -> Mapping[str, float]:
    return {"val_accuracy": 1 - 1 / (1 + len(architecture.graph))}


def fails(architecture: Architecture) -> Mapping[str, float]:
    raise ValueError("no luck [today]")


def search(out: Path, progress: Progress, evaluator: Any = measure, **more: Any) -> Run:
    with progress.shown():
        return nas.search(
            "fashion_small", evaluator=evaluator, evaluations=6, constraints=["params<=100k"], out=out, progress=progress, **more
        )


class Steps:
    """A clock that goes on by a second each time it is asked."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_plain_lines_say_the_settings_first_and_each_evaluation(tmp_path: Path) -> None:
    text = io.StringIO()
    search(tmp_path / "r", Progress(Console(file=text, width=40), Steps()))
    lines = text.getvalue().splitlines()
    settings = {line.split()[0] for line in lines[: lines.index("")]}
    assert {"space", "data", "strategy", "objectives", "constraints", "budget", "seed", "evaluator", "workers"} <= settings
    ends = [line for line in lines if " of 6: " in line]
    assert len(ends) == 6
    assert all("val_accuracy 0." in line and "params " in line and "a minute" in line for line in ends)
    assert any("front of" in line for line in lines)
    assert "\x1b" not in text.getvalue()


def test_quick_evaluations_share_a_line(tmp_path: Path) -> None:
    text = io.StringIO()
    search(tmp_path / "r", Progress(Console(file=text), clock=lambda: 0.0))
    lines = [line for line in text.getvalue().splitlines() if " of 6" in line]
    assert [line.split(":")[2].split(" ", 1)[1] for line in lines] == ["1 of 6", "6 of 6 (and 4 before)"]
    assert text.getvalue().splitlines()[-1] == lines[-1], "the last evaluation is told"


def test_a_terminal_gets_a_panel_with_front_and_counts(tmp_path: Path) -> None:
    text = io.StringIO()
    progress = Progress(Console(file=text, force_terminal=True, width=100, height=30), Steps())
    run = search(tmp_path / "r", progress)
    progress.console.print(progress._panel())
    shown = text.getvalue()
    assert "rejected" in shown and "last moved" in shown
    assert str(run.front()["id"][0]) in shown


def test_a_large_front_is_thinned_to_the_height(tmp_path: Path) -> None:
    progress = Progress(Console(file=io.StringIO(), force_terminal=True, width=100, height=13), Steps())
    search(tmp_path / "r", progress)
    assert progress._front().row_count <= 3


def test_failures_are_told_with_the_first_error_and_brackets_survive(tmp_path: Path) -> None:
    text = io.StringIO()
    progress = Progress(Console(file=text), Steps())
    run = search(tmp_path / "r", progress, fails)
    assert text.getvalue().count("crashed: ValueError: no luck [today]") == 6
    words = closing_words(run, progress.tally)
    assert "6 failed (6 crashed)" in words
    assert "first failure: " in words and "no luck [today]" in words
    assert "nas export" not in words  # there is nothing to export


def test_closing_words_name_commands_that_work(tmp_path: Path) -> None:
    from nas.cli.app import app

    progress = Progress(Console(file=io.StringIO()), Steps())
    run = search(tmp_path / "with space", progress)
    words = closing_words(run, progress.tally)
    commands = [line.split("#")[0].strip() for line in words.splitlines() if line.startswith("  nas ")]
    assert [command.split()[1] for command in commands] == ["report", "show", "export"]
    for command in commands:
        app.parse_args(command.removeprefix("nas "), exit_on_error=False, print_error=False)
    assert run.best().fingerprint[:7] in words
    assert "nas resume" in closing_words(run, progress.tally, stopped=True)


def test_time_that_was_overrun_is_said(tmp_path: Path) -> None:
    text = io.StringIO()
    run = search(tmp_path / "r", Progress(Console(file=text), Steps()), budget="1h")
    assert "; what is being trained when the time is over is finished" in text.getvalue().splitlines()[0]
    started = Started(str(run.folder), Budget(seconds=600), 0, 0, 0, 0.0)
    for elapsed, said in (
        (900.0, "in 15 min, 5 min over the budget of 10 min: what was being trained was finished;"),
        (650.0, "in 11 min;"),
    ):
        tally = Tally()
        tally.take(started)
        assert " over the budget" not in closing_words(
            run, replace(tally, elapsed=elapsed)
        )  # nothing ended, so nothing was waited for
        tally.take(Ended("the budget of 10 min is spent", 6, elapsed))
        assert said in closing_words(run, tally)


def test_a_time_too_short_for_anything_is_said(tmp_path: Path) -> None:
    run = search(tmp_path / "r", Progress(Console(file=io.StringIO())))
    tally = Tally(budget=Budget(seconds=1), elapsed=3.0, reason="the budget of 1 s is spent")
    assert "give a longer --budget" in closing_words(run, tally)
    assert "give a longer --budget" not in closing_words(run, replace(tally, proposed=1))
    assert "give a longer --budget" not in closing_words(run, replace(tally, elapsed=0.5))  # stopped by hand


def test_a_display_that_went_on_shows_earlier_evaluations(tmp_path: Path) -> None:
    search(tmp_path / "r", Progress(Console(file=io.StringIO())))
    progress = Progress(Console(file=io.StringIO()))
    events: list[Event] = []
    nas.search(
        "fashion_small",
        evaluator=measure,
        evaluations=8,
        constraints=["params<=100k"],
        out=tmp_path / "r",
        progress=lambda event: (events.append(event), progress(event))[0],
    )
    assert (progress.tally.before, progress.tally.evaluations) == (6, 8)
    assert progress.tally.proposed - progress.tally.repeated == 2


@pytest.mark.parametrize("images", [0, 2000])
def test_accuracies_have_an_interval_where_images_were_counted(images: int) -> None:
    progress = Progress(Console(file=io.StringIO()))
    progress._images = images
    shown = progress._value("val_accuracy", {"val_accuracy": 0.9})
    assert shown == ("0.9" if not images else "0.9000 [0.8861, 0.9124]")
