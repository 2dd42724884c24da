"""A whole bench, on a table or with real runs: everybody's repeats are made, their rows written, and the figures computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from nas.bench.about import About, write_about
from nas.bench.from_runs import SEEN, SpaceGround, ground_of_run, trajectory_of_run
from nas.bench.from_table import ground_of_table, known_of_table, trajectory_of
from nas.bench.gather import ROWS, check_same
from nas.bench.known import Trajectory
from nas.bench.pool import run_all
from nas.bench.protocol import Repeat, seed_of
from nas.bench.quality import Yardstick
from nas.bench.results import Results, default_times
from nas.bench.rows import RowsFile, columns
from nas.bench.setup import Setup, SpaceSetup
from nas.bench.spaces import Plan, plans, run_plans
from nas.evaluate import default_workers, found_device
from nas.lines import counted, number
from nas.run import Run

Told = Callable[[int, int, str], None]
"""Told of each repeat that ends: how many of how many are done, and what it was, in words."""


def bench_table(setup: Setup, path: Path, repeats: int, *, out: Path | None, workers: int | None, on_done: Told) -> Results:
    """Runs a bench on a table.

    Args:
        setup: See `prepare`.
        path: The TOML.
        repeats: Of each strategy.
        out: CSV for the rows; what they mean is written beside it.
        workers: Repeats at a time; None: one a core.
        on_done: See `Told`.

    Raises:
        NasError: What the first repeat that fails says.
    """
    problem, protocol = setup.problem, setup.protocol
    times, labels = default_times(protocol.seconds), [who.label for who in setup.contestants]
    head = columns(problem.table.spec.decisions, [objective.name for objective in problem.objectives], str(path))
    trajectories: dict[str, dict[int, Trajectory]] = {label: {} for label in labels}
    with ExitStack() as stack:
        rows = None
        if out is not None:
            rows = stack.enter_context(RowsFile(out, head, labels))
            write_about(out, About(ground_of_table(path, protocol), protocol.seed, tuple(setup.marks), tuple(times)))

        def on_repeat(label: str, number: int, repeat: Repeat) -> None:
            trajectory = trajectory_of(problem, repeat, seed_of(protocol.seed, number))
            trajectories[label][number] = trajectory
            if rows is not None:
                rows.add(label, number, trajectory)
            on_done(sum(map(len, trajectories.values())), repeats * len(labels), f"{label}, repeat {number}")

        run_all(path, protocol, setup.contestants, repeats, workers=workers, on_repeat=on_repeat)
    return Results(known_of_table(problem), _in_order(trajectories), setup.marks, times)


def bench_space(setup: SpaceSetup, repeats: int, *, folder: Path, workers: int | None, on_done: Told) -> Results:
    """Runs a bench with real runs, or goes on with it.

    Args:
        setup: See `prepare_space`.
        repeats: Of each strategy.
        folder: `STRATEGY-REPEAT` in it are the run folders, `rows.csv` their rows.
        workers: Runs at a time; None: one a core, on an accelerator two.
        on_done: See `Told`.

    Raises:
        NasError: What the first run that fails says.
        KeyboardInterrupt: After a signal, when everything is written.
    """
    todo = plans(setup.contestants, repeats, setup.seed, folder, setup.arguments)
    labels = [who.label for who in setup.contestants]
    trajectories: dict[str, dict[int, Trajectory]] = {label: {} for label in labels}
    first: list[Run] = []
    with ExitStack() as stack:
        rows: list[RowsFile] = []

        def on_run(plan: Plan, run: Run) -> None:
            if not first:
                first.append(run)
                rows.append(stack.enter_context(RowsFile(folder / ROWS, setup.head, labels)))
                write_about(folder / ROWS, About(ground_of_run(run), setup.seed, tuple(setup.marks)))
            check_same(str(first[0].folder), ground_of_run(first[0]), str(run.folder), ground_of_run(run))
            trajectory = trajectory_of_run(run, setup.decisions)
            trajectories[plan.label][plan.repeat] = trajectory
            rows[0].add(plan.label, plan.repeat, trajectory)
            ground = ground_of_run(run)
            on_done(
                sum(map(len, trajectories.values())), len(todo), f"{plan.folder.name}: {_so_far(ground, trajectories, trajectory)}"
            )

        run_plans(todo, workers or _workers(setup), on_run)
    everything = [trajectory for of in trajectories.values() for trajectory in of.values()]
    return Results(ground_of_run(first[0]).known(everything), _in_order(trajectories), setup.marks)


def _workers(setup: SpaceSetup) -> int:
    trains = setup.arguments.get("evaluator") is None
    return default_workers(found_device(str(setup.arguments.get("device", "auto"))) if trains else "cpu")


def _so_far(ground: SpaceGround, trajectories: Mapping[str, Mapping[int, Trajectory]], trajectory: Trajectory) -> str:
    """Returns what a run came to, measured against all runs that ended so far."""
    if np.isnan(trajectory.searched).all():
        return "every evaluation failed"
    known = ground.known([one for of in trajectories.values() for one in of.values()])
    yardstick = Yardstick(known)
    best = number(float(yardstick.curves(trajectory).best[-1]))
    seen = " by what was seen so far" if any(SEEN in words for words in known.raw_words.values()) else ""
    volume = f"hypervolume {yardstick.raw(trajectory):.4f}{seen}"
    return f"{counted(len(trajectory), 'network')}, best {known.objectives[0].name} {best}, {volume}"


def _in_order(trajectories: Mapping[str, Mapping[int, Trajectory]]) -> dict[str, list[Trajectory]]:
    """Returns the repeats of each strategy by number."""
    return {label: [of[number] for number in sorted(of)] for label, of in trajectories.items()}
