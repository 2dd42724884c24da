"""Whole searches against each other by wall-clock: the same space, images and recipe, a seed after the other.

* script: `optuna_script.py`, what a skilled user writes today; every network is trained to the end.
* full: `nas search`, every network trained to the end.
* engine: `nas search` with the options behind `--`, such as successive halving up to the same end.

Told is the hypervolume over validation accuracy and parameters (by the logarithm, from 1,000 to the bound; accuracies from 0.5 to
1) of what had been measured after shares of the time, and when one had what another had in the end. A network counts with
the accuracy that it has, whatever its training was by then; in brackets only those trained to the end. What is still
in training when the time is over does not count.

    python benchmarks/whole_searches.py [--minutes 30] [--seeds 0,1,2] [--out FOLDER] [--at-once] [-- --epochs 1,3,9]

With --at-once two searches run beside each other, one core and one worker each, instead of one after the other on all cores.
What lies in FOLDER already is not run again, so a long comparison may be done in parts.

Targets: engine above script in each of three seeds after 30 minutes, and at its final level in a third of its time; within 1 % of
the level of full in a quarter of its time.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nas.processes import cores

CONTESTANTS = ("script", "full", "engine")
SHARES = (0.1, 0.25, 1 / 3, 0.5, 1.0)
FEWEST = 1_000
"""Parameters from which fewer are worth nothing more."""


class Point(NamedTuple):
    """A network as it was measured: seconds since the start, epochs trained."""

    seconds: float
    val_accuracy: float
    params: float
    epochs: int


def started(who: str, seed: int, core: int | None, args: argparse.Namespace) -> subprocess.Popen[bytes]:
    """Starts a search, on one core or on all; its output goes to a file beside its results."""
    seconds, data = f"{args.minutes * 60:.0f}", ["--data", args.data, "--seed", str(seed)]
    if who == "script":
        command = [sys.executable, str(Path(__file__).with_name("optuna_script.py")), *data, "--sampler", args.sampler]
        command += ["--seconds", seconds, "--params", str(args.params), "--epochs", str(args.epochs)]
        command += ["--out", str(args.out / f"script-{seed}.csv"), "--processes", str(1 if core is not None else cores())]
    else:
        shutil.rmtree(args.out / f"{who}-{seed}", ignore_errors=True)  # cut off when this was run before
        command = [sys.executable, "-m", "nas", "search", "fashion_small", *data, "--constraint", f"params<={args.params}"]
        command += ["--budget", f"{seconds}s", "--out", str(args.out / f"{who}-{seed}")]
        command += args.more if who == "engine" else ["--epochs", str(args.epochs)]
    with (args.out / f"{who}-{seed}.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    if core is not None:
        os.sched_setaffinity(process.pid, {core})  # before it has imported anything, so that its children follow
    return process


def points_of(who: str, seed: int, args: argparse.Namespace) -> list[Point]:
    """Reads what a search measured, in the order of time."""
    if who == "script":
        with (args.out / f"script-{seed}.csv").open() as stream:
            rows = [[float(row[name]) for name in ("seconds", "val_accuracy", "params")] for row in csv.DictReader(stream)]
        return sorted(Point(*row, epochs=args.epochs) for row in rows)
    from nas import open_run

    run = open_run(args.out / f"{who}-{seed}")
    begun = run.starts()[0]["began"]
    _, evaluations, costs = run.rows()
    return sorted(
        Point(row.ended - begun, row.measurement.metrics["val_accuracy"], costs[row.fingerprint]["params"], row.to_epoch)
        for row in evaluations
        if row.measurement.outcome.measured
    )


def volume(points: list[Point], args: argparse.Namespace, seconds: float, full: bool = False) -> float:
    """Returns the hypervolume of what was measured until then, in [0, 1]; full: of what was trained to the end."""
    from nas.pareto import hypervolume

    span = math.log(args.params / FEWEST)
    found = [
        ((1 - point.val_accuracy) / 0.5, max(0.0, math.log(point.params / FEWEST)) / span)
        for point in points
        if point.seconds <= seconds and point.params <= args.params and (point.epochs >= args.epochs or not full)
    ]
    return hypervolume(np.array(found), np.ones(2)) if found else 0.0


def caught(points: list[Point], level: float, args: argparse.Namespace, full: bool = False) -> float:
    """Returns the share of the time after which a search has so much hypervolume; not a number: never."""
    times = (point.seconds for point in points if point.seconds <= args.minutes * 60)
    return next((t / (args.minutes * 60) for t in times if volume(points, args, t, full) >= level), math.nan)


def told(seed: int, args: argparse.Namespace) -> None:
    """Prints what one seed gave."""
    end, found = args.minutes * 60, {}
    for who in args.contestants:
        points = found[who] = points_of(who, seed, args)
        words = [f"{s:.0%} {volume(points, args, s * end):.4f} ({volume(points, args, s * end, full=True):.4f})" for s in SHARES]
        full = sum(point.epochs >= args.epochs for point in points)
        print(f"seed {seed}: {who:6} {len(points)} measurements, {full} to the end; hypervolume after {', '.join(words)}")
    if "engine" not in found:
        return
    for who, share in (("script", 1.0), ("full", 0.99)):
        if who in found:
            level = share * volume(found[who], args, end)
            when, strictly = (caught(found["engine"], level, args, full) for full in (False, True))
            print(f"seed {seed}: engine has {share:.0%} of the final level of {who} after {when:.2f} of the time ({strictly:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--contestants", default=",".join(CONTESTANTS))
    parser.add_argument("--at-once", action="store_true")
    parser.add_argument("--sampler", choices=["nsga2", "tpe"], default="nsga2")
    parser.add_argument("--data", default="fashion-mnist-12k")
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--params", type=int, default=100_000)
    parser.add_argument("--out", type=Path)
    parser.add_argument("more", nargs="*", default=["--epochs", "1,3,9"], help="options of engine, behind --")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that no search is left behind
    args.contestants = [who for who in CONTESTANTS if who in args.contestants.split(",")]
    with tempfile.TemporaryDirectory() as name:
        args.out = args.out or Path(name)
        args.out.mkdir(parents=True, exist_ok=True)
        places = sorted(os.sched_getaffinity(0)) if args.at_once else [None]
        waiting = [(who, int(seed)) for seed in args.seeds.split(",") for who in args.contestants]
        waiting = [(who, seed) for who, seed in waiting if not (args.out / f"{who}-{seed}.done").exists()]
        running: dict[int | None, tuple[str, int, subprocess.Popen[bytes]]] = {}
        try:
            while waiting or running:
                for place in places:
                    if place in running:
                        who, seed, process = running[place]
                        if process.poll() is None:
                            continue
                        if process.returncode:
                            words = (args.out / f"{who}-{seed}.log").read_text()[-2000:]
                            sys.exit(f"{words}\n{who} with seed {seed} failed")
                        (args.out / f"{who}-{seed}.done").touch()
                        del running[place]
                    if waiting:
                        who, seed = waiting.pop(0)
                        running[place] = (who, seed, started(who, seed, place, args))
                time.sleep(0.2)
        finally:
            for _, _, process in running.values():
                process.terminate()
                process.wait()
        for seed in map(int, args.seeds.split(",")):
            told(seed, args)


if __name__ == "__main__":
    main()
