"""What `nas compare` is given, brought together: files of rows, folders of benches, run folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from nas.bench.about import About, Ground, read_about
from nas.bench.earlier import said
from nas.bench.from_rows import read_rows
from nas.bench.from_runs import ground_of_run, trajectory_of_run
from nas.bench.known import Trajectory
from nas.bench.lengths import ByLabel, common, cut, even, within, without_unfinished
from nas.bench.places import ROWS, rows_in, runs_in, sorted_out
from nas.bench.results import Results, default_marks
from nas.errors import DataError, RunError
from nas.lines import counted
from nas.run import Run, open_run, run_in
from nas.strategies.table import STRATEGIES


def gathered(what: Sequence[Path], table: Path | None = None, marks: Sequence[int] = ()) -> Results:
    """Returns the figures of everything that was named, together.

    Args:
        what: Files of rows, folders of benches (their runs are read; `rows.csv` where there are none), and run folders; at least
            one. What else lies there is passed over, as long as anything is left. The first strategy of the first one is the base
            of all comparisons.
        table: Where the table of the rows lies, if not where it lay.
        marks: Numbers of evaluations at which shares are told; empty: as the rows say, else the usual ones.

    Raises:
        NasError: When something cannot be read, or must not be compared.
    """
    kept, passed = sorted_out(what)
    notes = [f"Passed over: {', '.join(map(str, passed))} (no run, and no rows of their own)."] if passed else []
    sources: list[Source] = []
    runs: list[Run] = []
    for path in kept:
        inner = runs_in(path)
        if not inner and (rows := rows_in(path)) is not None:
            sources.append(_rows(path, rows, table))
        elif inner and (begun := [run for run in map(_begun, inner) if run is not None]):
            sources.append(_bench(path, begun, read_about(path / ROWS)))
        else:
            runs.append(open_run(path))
    sources += [Source(str(runs[0].folder), ground_of_run(runs[0]), by_strategy(runs))] if runs else []
    for source in sources[1:]:
        check_same(sources[0].where, sources[0].ground, source.where, source.ground)
    abouts = [source.about for source in sources if source.about is not None]
    for source in sources:
        notes += source.notes
    trajectories, uneven = _comparable(_merged(sources), abouts)
    everything = [trajectory for of in trajectories.values() for trajectory in of]
    if marks and max(marks) > (most := common(trajectories)):
        uneven = [*uneven, f"Nothing is told after more than {counted(most, 'evaluation')}: that is what all repeats have."]
    marks = marks or sorted({mark for about in abouts for mark in about.marks}) or default_marks(max(map(len, everything)))
    times = sorted({time for about in abouts for time in about.times})
    ground = sources[0].ground
    head = abouts[0] if len(sources) == 1 and abouts else ground
    return Results(ground.known(everything), trajectories, marks, times, head=head, notes=[*notes, *uneven])


class Source(NamedTuple):
    """Trajectories that were found in one place.

    Attributes:
        where: As it was named.
        ground: What they have in common.
        trajectories: By label.
        about: What stands beside the rows; None where nothing does.
        notes: Sentences on what is missing, or was cut.
    """

    where: str
    ground: Ground
    trajectories: ByLabel
    about: About | None = None
    notes: Sequence[str] = ()


def _rows(path: Path, rows: Path, table: Path | None) -> Source:
    """Returns what a file of rows holds."""
    about, read = read_rows(rows, table)
    if not read:
        raise DataError(f"{rows} has no rows so far; expected at least one whole repeat")
    numbers = {label: set(of) for label, of in read.items()}
    return _whole(str(path), about.ground, {label: list(of.values()) for label, of in read.items()}, about, numbers)


def _begun(folder: Path) -> Run | None:
    """Returns a run that has evaluated anything; None where it has not, which a bench that was broken off may leave behind."""
    run = run_in(folder)
    return run if run is not None and run.rows()[1] else None


def _bench(path: Path, runs: Sequence[Run], about: About | None) -> Source:
    """Returns what the runs of a bench hold."""
    begin = {} if about is None else {prefix: label for label, prefix in about.folders.items()}
    labels = [begin.get(run.folder.name.rpartition("-")[0]) for run in runs]
    known = [label for label in ({} if about is None else about.folders) if label in labels]
    named = {run.folder: label for run, label in zip(runs, labels, strict=True) if label is not None}
    found = by_strategy(runs, named)
    found = {label: found[label] for label in [*known, *(label for label in found if label not in known)]}
    numbers: dict[str, set[int]] = {}
    for run, label in zip(runs, labels, strict=True):
        numbers.setdefault(label or "", set()).add(int(run.folder.name.rpartition("-")[2]) if label else -1)
    ground = ground_of_run(runs[0])
    return Source(str(path), ground, found) if about is None else _whole(str(path), ground, found, about, numbers)


def _whole(where: str, ground: Ground, found: ByLabel, about: About, numbers: Mapping[str, Collection[int]]) -> Source:
    """Returns the whole repeats of a bench, cut at what was asked for, with sentences on what is missing."""
    notes = _missing(where, about, numbers)
    if about.evaluations is not None and about.seconds is None:
        found, left_out = without_unfinished(found, about.evaluations)
        found, longer = cut(found, about.evaluations)
        notes = [*notes, *left_out, *longer]
    return Source(where, ground, found, about, notes)


def _missing(where: str, about: About, numbers: Mapping[str, Collection[int]]) -> list[str]:
    """Returns a sentence on the repeats that were to be made and are not there."""
    lacking = {label: about.repeats - len(numbers.get(label, ())) for label in about.strategies}
    if not about.repeats or not any(n > 0 for n in lacking.values()):
        return []
    said = ", ".join(f"{about.repeats - n} of {about.repeats} of {label}" for label, n in lacking.items() if n > 0)
    return [f"{where} is not complete: it has {said}; the same nas bench command makes the rest."]


def _comparable(trajectories: ByLabel, abouts: Sequence[About]) -> tuple[ByLabel, list[str]]:
    """Returns trajectories over what all of them have: simulated time where that was the limit, evaluations otherwise."""
    budgets = [about.times[-1] for about in abouts if about.times]
    return within(trajectories, min(budgets)) if budgets else even(trajectories)


def by_strategy(runs: Sequence[Run], named: Mapping[Path, str] | None = None) -> dict[str, list[Trajectory]]:
    """Returns runs grouped by their strategy; settings are part of its label where runs differ in them.

    Args:
        runs: All of one ground.
        named: Labels of those that a bench made, by folder.

    Raises:
        RunError: When they have not, or one stands twice.
    """
    ground = ground_of_run(runs[0])
    chosen = [(_called(run), {**run.settings["strategy"]["options"], "inherit": "inherit" in run.settings}) for run in runs]
    found: dict[str, list[Trajectory]] = {}
    before: dict[tuple[str, int], Path] = {}
    for run, (name, options) in zip(runs, chosen, strict=True):
        check_same(str(runs[0].folder), ground, str(run.folder), ground_of_run(run))
        label = name + _differing(options, [theirs for other, theirs in chosen if other == name])
        label = (named or {}).get(run.folder, label)
        key = (label, int(run.settings["seed"]))
        if key in before:
            raise RunError(f"{before[key]} and {run.folder} are both {label} with seed {key[1]}; leave one of them out")
        before[key] = run.folder
        found.setdefault(label, []).append(trajectory_of_run(run))
    return found


def _called(run: Run) -> str:
    """Returns the name of a run's strategy; one of the user's own is called as he wrote it."""
    name = str(run.settings["strategy"]["name"])
    written = (run.starts()[0]["options"].get("arguments") or {}).get("strategy")
    return written if name not in STRATEGIES and isinstance(written, str) else name


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
            words = [said(name, of) for of in (value, others[name])]
            raise RunError(
                f"{first} and {other} cannot be compared: {name} is {words[0]} in the first, {words[1]} in the other; "
                "leave one of them out"
            )


def _merged(sources: Sequence[Source]) -> dict[str, Sequence[Trajectory]]:
    """Returns all trajectories by label; a label that stands in several places gets their names."""
    everywhere = Counter(label for source in sources for label in source.trajectories)
    return {
        f"{label} ({source.where})" if everywhere[label] > 1 else label: trajectories
        for source in sources
        for label, trajectories in source.trajectories.items()
    }
