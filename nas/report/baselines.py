"""What a report says of the baselines, beside what the search found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.intervals import indistinguishable
from nas.lines import counted
from nas.pareto import dominates
from nas.report.network import Column, ShownNetwork, shown_network
from nas.run import Run
from nas.trials import losses_of_table


@dataclass(frozen=True)
class Baseline:
    """A known network, trained as the candidates were.

    Attributes:
        name: The address it was asked for by.
        network: All about it.
        verdict: How it stands to the front, in a sentence.
    """

    name: str
    network: ShownNetwork
    verdict: str


def gather_baselines(run: Run, shown: Sequence[Column], front: Sequence[Mapping[str, Any]]) -> list[Baseline]:
    """Reads the baselines of a run.

    Args:
        run: The run.
        shown: Which numbers are shown.
        front: Its front, a row a network.
    """
    table = run.baselines()
    unknown = {column.name: math.nan for column in shown}
    rows: list[Mapping[str, Any]] = [
        {**unknown, **{str(name): value for name, value in row.items()}} for row in table.to_dict("records")
    ]
    found = run.networks(str(row["fingerprint"]) for row in rows)
    return [
        Baseline(str(row["name"]), shown_network(network, row, shown, ()), _verdict(run, losses, row, front))
        for row, network, losses in zip(rows, found, losses_of_table(run.objectives, table), strict=True)
    ]


def _verdict(run: Run, losses: Sequence[float] | None, row: Mapping[str, Any], front: Sequence[Mapping[str, Any]]) -> str:
    """Returns which networks of the front beat it: at least as good in every objective, and better in one.

    Where the accuracies of such a network and of the baseline cannot be told apart, that is said.
    """
    if losses is None:
        return f"{row['outcome']}: {row['error']}".rstrip(": ")
    if len(run.rungs) > 1 and front and front[0]["epochs"] != row["epochs"]:
        return f"not compared: trained for {counted(int(row['epochs']), 'epoch')}, the front for {front[0]['epochs']}"
    better: list[Mapping[str, Any]] = []
    for network in front:
        other = [objective.loss(float(network[objective.name])) for objective in run.objectives]
        if dominates(other, losses):
            better.append(network)
    if not better:
        return "not beaten"
    ids = ", ".join(str(network["id"]) for network in better[:3])
    beaten = f"beaten by {ids}{f' and {len(better) - 3} more' if len(better) > 3 else ''}"
    metric = next((o.name for o in run.objectives if f"{o.name}_low" in row and f"{o.name}_low" in better[0]), None)
    if metric is None:
        return beaten
    shares = [float(network[metric]) for network in better]
    tied = sum(indistinguishable(float(row[metric]), share, run.validation_images) for share in shares)
    of = "" if len(better) == 1 else f" of {'all' if tied == len(better) else f'{tied}'} of them"
    return f"{beaten}; the {metric}{of} cannot be told apart from its own" if tied else beaten
