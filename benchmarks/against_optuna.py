"""A whole search against a plain Optuna script: the same space, images, recipe and wall-clock, one after the other, seed by seed.

Both keep two cores busy with one thread each. Told are the hypervolume over validation accuracy and parameters (by the logarithm,
from 1,000 to the bound; accuracies from 0.5 to 1) after shares of the time, and when the search reached what the script had in the
end. Networks that are still being trained when the time is over do not count.

    python benchmarks/against_optuna.py [--minutes 30] [--seeds 0,1,2] [--sampler nsga2] [-- more options of nas search]

Targets: a hypervolume above the script's in each of three seeds after 30 minutes; its final one reached in a third of its time.
"""

from __future__ import annotations

import argparse
import csv
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SHARES = (0.1, 1 / 3, 0.5, 1.0)
FEWEST = 1_000

Point = tuple[float, float, float]
"""Seconds since the start, validation accuracy, parameters."""


def script(seed: int, args: argparse.Namespace, folder: Path) -> list[Point]:
    out = folder / f"script-{seed}.csv"
    command = [
        sys.executable,
        str(Path(__file__).with_name("optuna_script.py")),
        "--seconds",
        str(args.minutes * 60),
        "--out",
        str(out),
    ]
    options = ["--seed", str(seed), "--sampler", args.sampler, "--data", args.data, "--params", str(args.params)]
    subprocess.run([*command, *options, "--epochs", str(args.epochs)], check=True, stdout=sys.stderr)
    with out.open() as stream:
        return [(float(row["seconds"]), float(row["val_accuracy"]), float(row["params"])) for row in csv.DictReader(stream)]


def search(seed: int, args: argparse.Namespace, folder: Path) -> list[Point]:
    """Runs `nas search` and reads when each network of full length was measured."""
    from nas import open_run

    out = folder / f"search-{seed}"
    command = [
        sys.executable,
        "-m",
        "nas",
        "search",
        "fashion_small",
        "--data",
        args.data,
        "--constraint",
        f"params<={args.params}",
    ]
    options = ["--budget", f"{args.minutes * 60:.0f}s", "--seed", str(seed), "--out", str(out), *args.more]
    if "--epochs" not in args.more:
        options += ["--epochs", str(args.epochs)]
    subprocess.run([*command, *options], check=True, stdout=sys.stderr)
    run = open_run(out)
    begun = run.starts()[0]["began"]
    full = run.settings["epochs"] if isinstance(run.settings["epochs"], int) else max(run.settings["epochs"])
    costs = dict(zip(run.trials()["fingerprint"], run.trials()["params"], strict=True))
    rows = [row for row in run.rows()[1] if row.measurement.outcome.measured and row.to_epoch == full]
    return [(row.ended - begun, row.measurement.metrics["val_accuracy"], float(costs[row.fingerprint])) for row in rows]


def volume(points: list[Point], args: argparse.Namespace, seconds: float) -> float:
    """Returns the hypervolume of what was measured until then, in [0, 1]."""
    from nas.pareto import hypervolume

    span = math.log(args.params / FEWEST)
    found = [((1 - a) / 0.5, max(0.0, math.log(p / FEWEST)) / span) for t, a, p in points if t <= seconds and p <= args.params]
    return hypervolume(np.array(found), np.ones(2)) if found else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--sampler", choices=["nsga2", "tpe"], default="nsga2")
    parser.add_argument("--data", default="fashion-mnist-12k")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--params", type=int, default=100_000)
    parser.add_argument("more", nargs="*", help="further options of nas search, behind --")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for seed in map(int, args.seeds.split(",")):
            theirs, ours = script(seed, args, Path(name)), search(seed, args, Path(name))
            end = args.minutes * 60
            last = volume(theirs, args, end)
            caught = next((t for t, _, _ in sorted(ours) if volume(ours, args, t) >= last), math.nan)
            words = [f"{s:.0%}: {volume(theirs, args, s * end):.4f} / {volume(ours, args, s * end):.4f}" for s in SHARES]
            print(f"seed {seed}: script {len(theirs)} networks, nas {len(ours)}; hypervolume script / nas after {', '.join(words)}")
            print(f"seed {seed}: nas has the script's final {last:.4f} after {caught / end:.2f} of the time")


if __name__ == "__main__":
    main()
