"""Is a strategy's front better than chance? Real trainings: runs of the strategy against random ones of equal length and seeds.

Every run evaluates the same number of networks under the same constraints and recipe. The hypervolume is taken over the
objectives scaled to [0, 1]: accuracy as it is, params and FLOPs by their constraints; reference point (1, 1, 1).

    python benchmarks/front_against_random.py [--evaluations 25] [--repeats 3] [--out runs/against-random]
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import numpy as np

import nas
from nas.pareto import hypervolume

PARAMS, FLOPS = 100_000, 15_000_000
OBJECTIVES = ("val_accuracy", "params", "flops")


def volume(run: nas.Run) -> float:
    """Returns the share of the unit cube that the run's networks dominate."""
    trials = run.trials()
    measured = trials[trials.outcome == "complete"]
    points = np.column_stack([1 - measured.val_accuracy, measured.params / PARAMS, measured.flops / FLOPS])  # (n, 3)
    return hypervolume(points.astype(float), np.ones(3))


def main() -> None:
    """Runs the strategy and the random searches and prints their hypervolumes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategy", default="nsga2")
    parser.add_argument("--evaluations", type=int, default=25)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/against-random"))
    options = parser.parse_args()

    def searched(strategy: str, seed: int) -> float:
        run = nas.search(
            "fashion_small",
            data="fashion-mnist-12k",
            strategy=strategy,
            objectives=OBJECTIVES,
            constraints=[f"params<={PARAMS}", f"flops<={FLOPS}"],
            evaluations=options.evaluations,
            epochs=1,
            seed=seed,
            out=options.out / f"{strategy.replace(':', '-')}-{seed}",
        )
        found = volume(run)
        print(f"{strategy:12} seed {seed}: hypervolume {found:.4f} over {options.evaluations} networks", flush=True)
        return found

    medians = {}
    for strategy in (options.strategy, "random"):
        medians[strategy] = statistics.median(searched(strategy, seed) for seed in range(options.repeats))
    print(", ".join(f"{strategy} {median:.4f}" for strategy, median in medians.items()), f"(medians of {options.repeats})")


if __name__ == "__main__":
    main()
