"""A whole bench, on a table or with real runs: everybody's repeats are made, their rows written, and the figures computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from nas.bench.about import About, Fact, read_about, write_about
from nas.bench.earlier import Earlier, check_same_rows, digest, digests, earlier_rows, package_version
from nas.bench.from_rows import read_rows
from nas.bench.from_runs import SpaceGround, ground_of_run, trajectory_of_run
from nas.bench.from_table import ground_of_table, known_of_table, trajectory_of
from nas.bench.gather import check_same
from nas.bench.known import Trajectory
from nas.bench.lengths import cut
from nas.bench.places import ROWS
from nas.bench.pool import run_all
from nas.bench.protocol import Repeat, seed_of
from nas.bench.reading import data_file
from nas.bench.results import Results, default_times
from nas.bench.rows import RowsFile, columns
from nas.bench.setup import Setup, SpaceSetup
from nas.bench.spaces import Plan, plans, prefixes, run_plans
from nas.bench.stopping import stoppable
from nas.bench.watch import Watch
from nas.device import default_workers, found_device
from nas.lines import counted, number
from nas.run import Run

Told = Callable[[int, int, str], None]
"""Told how many of how many repeats are done, with the one that ended in words; these are blank at the beginning."""

_SEEDS = 5  # that are named before anything runs

Found = dict[str, dict[int, Trajectory]]
"""Repeats by strategy and number."""


def bench_table(setup: Setup, path: Path, repeats: int, *, out: Path | None, workers: int | None, on_done: Told) -> Results:
    """Runs a bench on a table, or goes on with it.

    Args:
        setup: See `prepare`.
        path: The TOML.
        repeats: Of each strategy.
        out: CSV for the rows; what they mean is written beside it. Repeats of the same protocol that stand there are kept.
        workers: Repeats at a time; None: one a core.
        on_done: See `Told`.

    Raises:
        NasError: What the first repeat that fails says, or why `out` cannot be gone on with.
        KeyboardInterrupt: After a signal, when every whole repeat is written.
    """
    problem, protocol = setup.problem, setup.protocol
    times, labels = default_times(protocol.seconds), [who.label for who in setup.contestants]
    head = columns(problem.table.spec.decisions, [objective.name for objective in problem.objectives], str(path))
    about = _about_table(setup, path, repeats, times)
    earlier, found = Earlier(), Found({label: {} for label in labels})
    if out is not None:
        earlier = earlier_rows(out, head, about, ("ground", "evaluations", "seconds", "digest", "version"))
        found |= _kept(out, earlier, labels, repeats)
    total = repeats * len(labels)
    on_done(_count(found), total, "")
    with ExitStack() as stack:
        stack.enter_context(stoppable())
        rows = None if out is None else stack.enter_context(_Written(out, head, earlier.going_on(about), earlier))

        def on_repeat(label: str, number: int, repeat: Repeat) -> None:
            found[label][number] = trajectory = trajectory_of(problem, repeat, seed_of(protocol.seed, number))
            if rows is not None:
                rows.add(label, number, trajectory)
            on_done(_count(found), total, f"{label}, repeat {number}")

        there = {(label, number) for label, of in found.items() for number in of}
        run_all(path, protocol, setup.contestants, repeats, workers=workers, on_repeat=on_repeat, there=there)
    others = _others(earlier, labels, out)
    return Results(known_of_table(problem), _in_order(found), setup.marks, times, head=about, notes=others)


def _about_table(setup: Setup, path: Path, repeats: int, times: Sequence[float]) -> About:
    protocol = setup.protocol
    return About(
        ground_of_table(path, protocol),
        protocol.seed,
        tuple(setup.marks),
        tuple(times),
        evaluations=protocol.evaluations,
        seconds=protocol.seconds,
        repeats=repeats,
        strategies=digests(setup.contestants),
        digest=digest(path, data_file(path, setup.problem.table.spec)),
        version=package_version(),
    )


def _kept(out: Path, earlier: Earlier, labels: Sequence[str], repeats: int) -> Found:
    """Returns the repeats that are there already."""
    if not earlier.texts:
        return {}
    read = read_rows(out)[1]
    return {label: {n: one for n, one in read.get(label, {}).items() if n < repeats} for label in labels}


def _others(earlier: Earlier, labels: Sequence[str], out: Path | None) -> list[str]:
    """Returns a sentence on strategies whose rows stand there, too."""
    others = [label for label in earlier.texts if label not in labels]
    return [f"{out} holds rows of {', '.join(others)} as well; nas compare shows all."] if others else []


class _Written(RowsFile):
    """The rows of a bench, and what they mean beside them."""

    def __init__(self, path: Path, head: Sequence[str], about: About, earlier: Earlier) -> None:
        self._about, self._rows_at = about, path
        self._facts = {label: dict(of) for label, of in about.facts.items()}
        super().__init__(path, head, list(about.strategies), earlier.texts, self._write_about)

    def add(self, label: str, number: int, trajectory: Trajectory) -> None:
        fact = Fact(trajectory.ended, trajectory.trained, tuple(trajectory.heirs))
        self._facts.setdefault(label, {})[number] = fact
        super().add(label, number, trajectory)

    def _write_about(self) -> None:
        write_about(self._rows_at, msgspec.structs.replace(self._about, facts=self._facts))


def bench_space(
    setup: SpaceSetup,
    repeats: int,
    *,
    folder: Path,
    workers: int | None,
    on_done: Told,
    on_begin: Callable[[str], None],
    watch: Watch,
) -> Results:
    """Runs a bench with real runs, or goes on with it.

    Args:
        setup: See `prepare_space`.
        repeats: Of each strategy.
        folder: `STRATEGY-REPEAT` in it are the run folders, `rows.csv` their rows.
        workers: Runs at a time; None: one a core, on an accelerator two.
        on_done: See `Told`.
        on_begin: Told before anything runs what is to happen, in a line.
        watch: Tells how far the runs are.

    Raises:
        NasError: What the first run that fails says, or why the folder cannot be gone on with.
        KeyboardInterrupt: After a signal, when everything is written.
    """
    before = read_about(folder / ROWS)
    if before is not None:
        check_same_rows(folder / ROWS, before, setup)
    todo = plans(setup.contestants, repeats, setup.seed, folder, setup.arguments)
    labels, evaluations = [who.label for who in setup.contestants], int(setup.arguments["evaluations"])
    found: Found = {label: {} for label in labels}
    workers = min(workers or _workers(setup), len(todo))
    on_begin(_head(setup, repeats, workers, folder))
    first: list[Run] = []
    rows: list[RowsFile] = []
    with ExitStack() as stack:

        def on_run(plan: Plan, run: Run) -> None:
            if not first:
                about = _about_space(setup, run, repeats)
                earlier = earlier_rows(folder / ROWS, setup.head, about, ("ground",))
                rows.append(stack.enter_context(_Written(folder / ROWS, setup.head, earlier.going_on(about), earlier)))
                first.append(run)
            check_same(str(first[0].folder), ground_of_run(first[0]), str(run.folder), ground_of_run(run))
            found[plan.label][plan.repeat] = trajectory = trajectory_of_run(run, setup.decisions)
            rows[0].add(plan.label, plan.repeat, trajectory)
            on_done(_count(found), len(todo), f"{plan.folder.name}: {_so_far(ground_of_run(run), trajectory)}")

        with watch.over([plan.folder for plan in todo], evaluations):
            run_plans(todo, workers, on_run)
    of_all, notes = cut(_in_order(found), evaluations)
    everything = [trajectory for of in of_all.values() for trajectory in of]
    about = _about_space(setup, first[0], repeats)
    return Results(ground_of_run(first[0]).known(everything), of_all, setup.marks, head=about, notes=notes)


def _about_space(setup: SpaceSetup, run: Run, repeats: int) -> About:
    return About(
        ground_of_run(run),
        setup.seed,
        tuple(setup.marks),
        evaluations=int(setup.arguments["evaluations"]),
        repeats=repeats,
        strategies=digests(setup.contestants),
        folders=prefixes([who.label for who in setup.contestants]),
        version=package_version(),
    )


def _head(setup: SpaceSetup, repeats: int, workers: int, folder: Path) -> str:
    """Returns what a bench is about to do, in a line."""
    said = setup.arguments
    on = f" on {said['data']}, {counted(int(said['epochs']), 'epoch')} each" if said.get("data") and said.get("epochs") else ""
    bounds = f" with {', '.join(said['constraints'])}" if said["constraints"] else ""
    seeds = ", ".join([str(seed_of(setup.seed, repeat)) for repeat in range(repeats)][:_SEEDS] + ["..."] * (repeats > _SEEDS))
    return (
        f"{said['space']}{on}{bounds}: {', '.join(said['objectives'])}; {counted(int(said['evaluations']), 'evaluation')} "
        f"in each of {counted(repeats, 'repeat')} (seed {setup.seed}: {seeds}) "
        f"of {', '.join(who.label for who in setup.contestants)}; "
        f"{counted(workers, 'run')} at a time, kept in {folder}"
    )


def _workers(setup: SpaceSetup) -> int:
    trains = setup.arguments.get("evaluator") is None
    return default_workers(found_device(str(setup.arguments.get("device", "auto"))) if trains else "cpu")


def _so_far(ground: SpaceGround, trajectory: Trajectory) -> str:
    """Returns what a run came to; hypervolumes wait for the end, since their scale depends on all runs."""
    objective = ground.objectives[0]
    values = [value for value in trajectory.searched[:, 0].tolist() if value == value]
    if not values:
        return "every evaluation failed"
    best = min(values, key=objective.loss)
    return f"{counted(len(trajectory), 'network')}, best {objective.name} {number(best)}"


def _count(found: Found) -> int:
    return sum(map(len, found.values()))


def _in_order(found: Mapping[str, Mapping[int, Trajectory]]) -> dict[str, list[Trajectory]]:
    """Returns the repeats of each strategy by number."""
    return {label: [of[number] for number in sorted(of)] for label, of in found.items()}
