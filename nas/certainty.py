"""How sure a run's accuracies are: what training again showed, and how much of the best one is luck. Reads the record alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nas.again import Again
from nas.intervals import interval_metric
from nas.lines import counted
from nas.optimism import luck_of_best
from nas.run import Run
from nas.trials import MEASURED, losses_of_table


@dataclass(frozen=True)
class Luck:
    """How much of the best accuracy is luck, see `nas.optimism`.

    Attributes:
        metric: Which accuracy.
        id: Of the network that measured best.
        value: Its accuracy, a share; a mean where networks were trained again.
        luck: How far that lies above the true one on average, as a share too.
        deviation: Standard deviation of the noise of that accuracy.
        networks: How many it was picked from, after the same epochs.
        kind: What the noise is of: "images" (their draw, from their number, independent for each network), "seeds" (as measured
            where networks were trained again, and the draw of the images that all seeds share) or "folds" (as measured).
    """

    metric: str
    id: str
    value: float
    luck: float
    deviation: float
    networks: int
    kind: str


def luck_of(run: Run) -> Luck | None:
    """Returns how much of a run's best accuracy is luck; None where its noise is not known, or there is nothing to pick from."""
    images, names = run.validation_images, [objective.name for objective in run.objectives]
    metric = interval_metric(names)
    if metric is None or not images:
        return None
    again, noise = run.trained_again(), run.noise()
    table = run.trials()
    table = table[table["outcome"].isin(MEASURED) & (table["epochs"] == run.top)]
    if noise is not None and again is not None and again.plan.kind == "folds":
        table = table[table["trainings"] > 1]  # on other images than the search measured on
    if len(table) < 2:
        return None
    shares = np.array(table[metric], dtype=float)
    trainings = np.array(table["trainings"], dtype=int) if noise else np.ones(len(table), dtype=int)
    inside = np.clip(shares, 0.5 / images, 1 - 0.5 / images)  # no noise at all is no estimate of it
    drawn = np.sqrt(inside * (1 - inside) / images)
    deviations = drawn
    if noise:
        strayed = np.array([noise.deviation_of_mean(*mean) for mean in zip(inside.tolist(), trainings.tolist(), strict=True)])
        deviations = strayed if noise.folds else np.hypot(drawn, strayed)
    eligible = trainings == trainings.max()
    order = losses_of_table([o for o in run.objectives if o.name == metric] + list(run.objectives), table)
    best = min(np.flatnonzero(eligible).tolist(), key=lambda i: order[i] or (math.inf,))  # of equals the one that `Run.best` gives
    rng = np.random.default_rng(0)
    luck = luck_of_best(shares.tolist(), deviations.tolist(), rng, eligible.tolist()) if deviations.min() > 0 else 0.0
    kind = again.plan.kind if noise and again else "images"
    return Luck(metric, str(table["id"].iloc[best]), float(shares[best]), luck, float(deviations[best]), len(table), kind)


def luck_words(run: Run) -> str:
    """Returns how much of the best accuracy is luck, in a line; empty where that cannot be said."""
    found = luck_of(run)
    if found is None:
        return ""
    points = 100 * max(0.0, found.luck)
    much = f"about {points:.1f} points are luck" if points >= 0.05 else "hardly anything is luck"
    source = {
        "images": f"from {counted(run.validation_images, 'image')} alone, as if drawn anew for each; --train-seeds 3 measures "
        "that of seeds",
        "seeds": f"of the mean, as measured between seeds, and from {counted(run.validation_images, 'image')}",
        "folds": "of the mean, as measured between folds",
    }[found.kind]
    return (
        f"best {found.metric} {100 * found.value:.1f} % ({found.id}), of which {much}: it is the best of "
        f"{counted(found.networks, 'network')}, with a noise of {100 * found.deviation:.2g} points ({source})"
    )


def again_words(run: Run) -> str:
    """Returns what training networks near the front again came to, in a line; empty where it was not asked for."""
    again = run.trained_again()
    if again is None:
        return ""
    networks = f"{counted(len(again.plan.proposals), 'network')} near the front"
    done = f"{len(again.ended)} of {counted(again.planned, 'training')} done"
    if not again.trainings:
        few = "fewer than two folds of all are complete" if again.plan.kind == "folds" else "no round of all is complete"
        stale = "the search has gone on since" if again.plan.segments != len(run.rows()[1]) else few
        return f"trained again: {networks}, {done}; {stale}, so the front is of first trainings"
    failed = len(again.plan.proposals) - len(again.results)
    left_out = f"; {failed} left out, of which a training failed" if failed else ""
    partly = "" if again.rounds == len(again.plan.rounds) else f" ({done})"
    return f"trained again: {networks}{partly}; their figures are means of {_of(again)}{left_out}{_spread(run)}"


def _of(again: Again) -> str:
    return counted(again.trainings, "seed" if again.plan.kind == "seeds" else "fold")


def _spread(run: Run) -> str:
    noise, front = run.noise(), run.front()
    metric = interval_metric(front.columns)
    if noise is None or metric is None or front.empty:
        return ""
    share = float(front[metric].max())
    what = "fold to fold" if noise.folds else "seed to seed"
    return f"; from {what} an accuracy of {100 * share:.1f} % strays by {100 * noise.deviation(share):.2g} points"


def training_rows(run: Run, fingerprint: str) -> list[list[str | float | None]]:
    """Returns a head and one row a training of a network that was trained again, its mean last; empty where it was not.

    Args:
        run: The run.
        fingerprint: Of the network.
    """
    again = run.trained_again()
    trainings = [row for row in again.ended if row.fingerprint == fingerprint] if again else []
    if again is None or not trainings:
        return []
    own = [row for row in run.rows()[1] if row.proposal == trainings[0].proposal]
    first = again.plan.first(own, trainings[0].proposal)
    if first is None:
        return []
    names = [name for name in first.measurement.metrics if name.startswith("val_")]
    place = {key: number for number, key in enumerate(again.plan.rounds, 1)}
    labelled = [("by the search", first)] + [
        (f"fold {place[row.seed, row.data]}" if again.plan.kind == "folds" else f"seed {row.seed}", row) for row in trainings
    ]
    rows: list[list[str | float | None]] = [["training", "outcome", *names]]
    rows += [[label, str(row.measurement.outcome), *map(row.measurement.metrics.get, names)] for label, row in labelled]
    if first.proposal in again.results:
        means = again.means(first.proposal)
        rows.append([f"mean of {_of(again)}", "", *map(means.get, names)])
    return rows
