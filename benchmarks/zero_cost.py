"""What the scores of untrained networks say of accuracies in a table: rank correlations, plain and among networks of equal cost.

Cells of a table whose networks the package can build (NAS-Bench-201's, with `space = "nasbench201"` in its TOML) are drawn, each
network once, and looked at on images of the data set that the table was measured on. Rows are kept in a CSV, so that a second call
goes on or only prints. For comparison, Abdelfattah et al. 2021 report as Spearman's correlation over all of NAS-Bench-201 on
CIFAR-10, 200 epochs: synflow .74, jacob_cov .73.

    python benchmarks/zero_cost.py TABLE.toml --images DATA [--networks 300] [--seed 0] [--out scores.csv]
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from nas.bench.problem import TableProblem
from nas.bench.reading import read_table
from nas.data import load_data
from nas.module import compile_source
from nas.objectives import on_log_scale
from nas.problem import Candidate, Rejected
from nas.promise import EXACT, MEAN, promises, worths
from nas.rows import Scored
from nas.zerocost import minibatch, zero_cost_scores

SCORES = ("synflow", "naswot", "jacob_cov")
COSTS = ("params", "macs", "depth")


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--images", required=True)
    parser.add_argument("--networks", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("scores.csv"))
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    problem = TableProblem(read_table(args.table), ["accuracy"])
    columns = {f"accuracy after {epochs}": column for epochs, column in problem.table.spec.objectives["accuracy"].fidelity.items()}
    if not args.out.exists():
        args.out.write_text(",".join(["row", *SCORES, *COSTS, *columns, "seconds"]) + "\n")
    known = [row["row"] for row in read(args.out)]
    images = minibatch(load_data(args.images), args.seed)
    with args.out.open("a", buffering=1) as file:
        for row, candidate in drawn(problem, args.networks, args.seed):
            if str(row) in known:
                continue
            began = time.process_time()
            torch.manual_seed(args.seed)
            found = zero_cost_scores(compile_source(candidate.source()), images).scores
            seconds = time.process_time() - began
            costs = problem.costs_of(candidate.graph, 0)
            measured = [problem.table.numbers[column][row] for column in columns.values()]
            values = [*(found.get(name, "") for name in SCORES), *(costs[name] for name in COSTS), *measured, f"{seconds:.3f}"]
            file.write(",".join(map(str, [row, *values])) + "\n")
    show(read(args.out), list(columns))


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def drawn(problem: TableProblem, count: int, seed: int) -> Iterator[tuple[int, Candidate]]:
    """Yields rows of the table with what they decode to, each network once."""
    rng, seen = np.random.default_rng(seed), set[str]()
    for _ in range(100 * count):  # a table may hold fewer networks than are asked for
        if len(seen) == count:
            return
        genotype = problem.space.sample(rng)
        try:
            candidate = problem.consider(genotype)
        except Rejected:
            continue
        if candidate.fingerprint not in seen:
            seen.add(candidate.fingerprint)
            yield problem.row(genotype), candidate


def show(rows: list[dict[str, str]], measured: list[str]) -> None:
    """Prints one line for each score and for their mean rank, which a search would choose by; params are the exact objective."""
    from scipy.stats import spearmanr

    networks = [
        Scored(
            row["row"],
            {name: float(row[name]) for name in (*SCORES, *EXACT) if row[name]},
            on_log_scale([float(row["params"])]),
        )
        for row in rows
    ]
    promised = promises(networks)
    if promised is not None:
        pairs = zip(networks, promised.tolist(), strict=True)
        networks = [replace(network, scores={**network.scores, MEAN: value}) for network, value in pairs]
    print(f"{len(rows)} networks, {np.median([float(row['seconds']) for row in rows]):.2f} s of one core each (median)")
    for column in measured:
        accuracies = [float(row[column]) for row in rows]
        print(f"\n{column:20} Spearman  Kendall                        at equal parameters")
        for worth in worths(networks, accuracies, networks):
            values = [network.scores.get(worth.name, np.nan) for network in networks]
            rho = "" if np.isnan(values).any() else f"{spearmanr(values, accuracies).statistic:.3f}"
            print(f"{worth.name:20} {rho:>8}  {worth.plain!s:29}  {worth.equal_cost}")


if __name__ == "__main__":
    main(sys.argv[1:])
