"""What `nas compare` is given, brought together: files of rows, folders of benches, run folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from nas.bench.about import Ground
from nas.bench.from_rows import read_rows
from nas.bench.from_runs import ground_of_run, trajectory_of_run
from nas.bench.known import Trajectory
from nas.bench.results import Results, default_marks
from nas.errors import RunError
from nas.run import Run, open_run

ROWS = "rows.csv"
"""The rows of a bench with real training, in its folder."""


def gathered(what: Sequence[Path], table: Path | None = None, marks: Sequence[int] = ()) -> Results:
    """Returns the figures of everything that was named, together.

    Args:
        what: Files of rows, folders that hold `rows.csv`, and run folders; at least one. The first strategy of the first one is the
            base of all comparisons.
        table: Where the table of the rows lies, if not where it lay.
        marks: Numbers of evaluations at which shares are told; empty: as the rows say, else the usual ones.

    Raises:
        NasError: When something cannot be read, or must not be compared.
    """
    sources: list[Source] = []
    told: set[int] = set()
    times: set[float] = set()
    runs: list[Run] = []
    for path in what:
        rows = path / ROWS if path.is_dir() else path
        if rows.suffix.lower() == ".csv" and (rows.exists() or not path.is_dir()):
            about, read = read_rows(rows, table)
            told.update(about.marks)
            times.update(about.times)
            sources.append(Source(str(path), about.ground, read))
        else:
            runs.append(open_run(path))
    sources += [_by_strategy(runs)] if runs else []
    for source in sources[1:]:
        check_same(sources[0].where, sources[0].ground, source.where, source.ground)
    trajectories = _merged(sources)
    everything = [trajectory for of in trajectories.values() for trajectory in of]
    marks = marks or sorted(told) or default_marks(max(map(len, everything)))
    return Results(sources[0].ground.known(everything), trajectories, marks, sorted(times))


class Source(NamedTuple):
    """Trajectories that were found in one place."""

    where: str
    ground: Ground
    trajectories: Mapping[str, Sequence[Trajectory]]


def _by_strategy(runs: Sequence[Run]) -> Source:
    """Returns runs grouped by their strategy; settings are part of its label where runs differ in them."""
    ground = ground_of_run(runs[0])
    chosen = [run.settings["strategy"] for run in runs]
    found: dict[str, list[Trajectory]] = {}
    before: dict[tuple[str, int], Path] = {}
    for run, strategy in zip(runs, chosen, strict=True):
        check_same(str(runs[0].folder), ground, str(run.folder), ground_of_run(run))
        label = strategy["name"] + _differing(strategy["options"], [o["options"] for o in chosen if o["name"] == strategy["name"]])
        key = (label, int(run.settings["seed"]))
        if key in before:
            raise RunError(f"{before[key]} and {run.folder} are both {label} with seed {key[1]}; leave one of them out")
        before[key] = run.folder
        found.setdefault(label, []).append(trajectory_of_run(run))
    return Source(str(runs[0].folder), ground, found)


def _differing(options: Mapping[str, Any], alike: Sequence[Mapping[str, Any]]) -> str:
    """Returns the settings in which runs of one strategy differ, as they are written on the command line."""
    names = [name for name, value in options.items() if any(other.get(name) != value for other in alike)]
    return f"({','.join(f'{name}={options[name]}' for name in names)})" if names else ""


def check_same(first: str, ground: Ground, other: str, theirs: Ground) -> None:
    """Refuses what must not be compared, and names the first thing that differs.

    Raises:
        RunError: When anything does.
    """
    if type(ground) is not type(theirs):
        raise RunError(
            f"{first} and {other} cannot be compared: one comes from a table, the other from real runs; compare each alone"
        )
    ours, others = msgspec.to_builtins(ground), msgspec.to_builtins(theirs)
    for name, value in ours.items():
        if value != others[name]:
            words = [_said(name, of) for of in (value, others[name])]
            raise RunError(
                f"{first} and {other} cannot be compared: {name} is {words[0]} in the first, {words[1]} in the other; "
                "leave one of them out"
            )


def _said(name: str, value: Any) -> str:
    if name == "objectives":
        value = [entry if isinstance(entry, str) else entry["name"] for entry in value]
    return (", ".join(map(str, value)) if isinstance(value, list) else str(value)) or "none"


def _merged(sources: Sequence[Source]) -> dict[str, Sequence[Trajectory]]:
    """Returns all trajectories by label; a label that stands in several places gets their names."""
    everywhere = Counter(label for source in sources for label in source.trajectories)
    return {
        f"{label} ({source.where})" if everywhere[label] > 1 else label: trajectories
        for source in sources
        for label, trajectories in source.trajectories.items()
    }
