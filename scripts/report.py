"""What a run knows, read with pandas, and its report: copy this file and edit it.

    python scripts/report.py runs/first

Reads the record alone: neither the space's file nor anybody's blocks are needed, and a search that still goes on can be read too.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nas


def main(folder: str) -> None:
    """Prints tables of the run in `folder` and writes its report and a CSV of all networks."""
    run = nas.open_run(folder)

    # How it was searched: what stands here is what a search must share to go on in the same folder.
    settings = run.settings
    print(f"{settings['space']['name']} by {settings['strategy']['name']}, seed {settings['seed']}: {len(run.starts())} starts")

    # One row a network, at its deepest training: objectives, exact costs, metrics, outcome, genotype.
    trials = run.trials()
    print(trials["outcome"].value_counts().to_string())

    # What the front costs, best first. Networks whose accuracies cannot be told apart are marked.
    front = run.front()
    shown = ["id", *(objective.name for objective in run.objectives)]
    shown += [name for name in ("val_accuracy_low", "val_accuracy_high", "same_as_previous") if name in front.columns]
    print(front[shown].to_string(index=False))

    # Which decisions go with accuracy? The mean of the first objective for each value of one decision.
    goal = run.objectives[0].name
    decisions = trials["genotype"].map(lambda genotype: str(genotype.get("stem.channels", "none")))
    print(trials.groupby(decisions.rename("stem.channels"))[goal].agg(["count", "mean", "max"]).to_string())

    # One network: its layers, its text.
    best = run.best()
    print(f"{best.id}: {best.values[goal]:.4f}, {nas.cost(best.graph).params:,} parameters")
    print(best.source[:300])

    # For everybody else: one HTML file that opens offline, and a table.
    run.report()
    trials.drop(columns=["genotype", "parents"]).to_csv(Path(folder) / "networks.csv", index=False)
    print(f"wrote {Path(folder) / 'report.html'} and {Path(folder) / 'networks.csv'}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {Path(sys.argv[0]).name} RUN")
    try:
        main(sys.argv[1])
    except nas.NasError as error:
        sys.exit(f"error: {error}")
