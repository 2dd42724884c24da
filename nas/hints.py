"""What a user may want to do next: commands to copy, and what to try where a search found nothing. Reads a run, changes nothing."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from nas.lines import counted
from nas.run import Run

_FLAGS = {"seed": "split-seed"}
"""Arguments of `nas.data.load_data` that the command line knows by another name."""

_ALIGNED = 60
"""Longest command that moves what is said beside the others to the right."""


def quoted(text: object) -> str:
    """Returns one argument as a shell takes it: in quotes where it holds a blank or anything a shell would act on."""
    return subprocess.list2cmdline([str(text)]) if os.name == "nt" else shlex.quote(str(text))


def next_commands(run: Run, *, is_stopped: bool = False, is_reported: bool = False) -> str:
    """Returns the commands a user wants after a search, one a line under "next:"; empty where there is none.

    Args:
        run: The run.
        is_stopped: Whether a signal ended it, so that there is more to do.
        is_reported: Whether its report was just written.
    """
    commands = list(_commands(run, is_stopped, is_reported))
    width = max((len(command) for command, _ in commands if len(command) <= _ALIGNED), default=0)
    return "\n".join(["next:", *(f"  {command:<{width}}  # {about}" for command, about in commands)] if commands else [])


def _commands(run: Run, is_stopped: bool, is_reported: bool) -> Iterator[tuple[str, str]]:
    if is_stopped:
        yield f"nas resume {quoted(run.folder)}", "goes on; nothing is lost"
    if not is_reported:
        yield f"nas report {quoted(run.folder)}", "everything in one HTML file"
    if run.front().empty:
        return
    best, address = run.best(), quoted(f"{run.folder}@best")
    yield f"nas show {address}", f"layers, shapes and costs of {best.id}"
    yield f"nas export {address} net.py", "plain PyTorch, weights beside it" if best.weights else "plain PyTorch"
    arguments = run.starts()[-1]["options"].get("arguments") or {}
    if arguments.get("data"):
        yield f"nas train {quoted(run.folder)} --front --budget 1h", "trains the front at length, measures the test images once"


def data_flags(options: Mapping[str, Any]) -> Iterator[str]:
    """Yields options of `nas.data.load_data` as they are written on the command line."""
    for name, value in options.items():
        flag = f"--{_FLAGS.get(name, name).replace('_', '-')}"
        if value is True:
            yield flag
        elif value is not None and value is not False:
            yield f"{flag} {quoted('x'.join(map(str, value)) if isinstance(value, list | tuple) else value)}"


def inheriting(run: Run) -> str:
    """Returns one line on networks that began with the weights of others, so that nobody compares them with networks of the
    same epochs that did not; empty where there are none, and they were not asked for."""
    shares = [row.measurement.inherited for row in run.rows()[1] if row.measurement.inherited is not None]
    taken = [share for share in shares if share]
    gone = len(shares) - len(taken)
    if not shares:
        return "--inherit was on, but no network had a parent with weights to inherit" if run.settings.get("inherit") else ""
    heirs = (
        f"{counted(len(taken), 'network')} inherited weights, {_typical(taken)}: their accuracies include their parents' training"
    )
    orphans = f"{counted(gone, 'network')} found no weights to inherit and began from nothing"
    return "; ".join([heirs] * bool(taken) + [orphans] * bool(gone))


def _typical(shares: Sequence[float]) -> str:
    """Returns how much of each network was inherited, the median where there are several."""
    if len(shares) == 1:
        return f"{shares[0]:.0%} of its values"
    return f"{median(shares):.0%} of their values (median)" if shares else ""


def guessing(run: Run) -> str:
    """Returns one line, with what to try, where no network beats naming the most frequent class of the validation images.

    Empty where one does, where accuracy is no objective, and where the run does not say how many images each class has.
    """
    data = run.settings.get("data") or {}
    counts = data.get("validation_counts")
    if not counts or not run.validation_images or "val_accuracy" not in [objective.name for objective in run.objectives]:
        return ""
    best, share = run.trials()["val_accuracy"].max(), max(counts) / sum(counts)
    if not best <= share + 1e-9:
        return ""
    name, epochs = data["class_names"][counts.index(max(counts))], ",".join(map(str, run.rungs))
    recipe = run.settings["space"]["definition"].get("recipe") or {}
    tries = [f"more than --epochs {epochs}", "another objective such as val_balanced_accuracy"]
    if recipe.get("class_weights") != "balanced":
        tries.insert(1, "--class-weights balanced")
    return (
        f"no network does better than naming every image {name!r}: the best val_accuracy is {best:.4f}, the share of that class "
        f"{share:.4f}; try {', '.join(tries[:-1])} or {tries[-1]}, in a new run"
    )
