"""A run as its reader sees it: tables, the front, single networks. Reads the record alone; knows no torch, writes nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas import pareto
from nas.again import Again, gathered, parted
from nas.correlation import Agreement
from nas.database import DATABASE, open_reader
from nas.domains import Genotype
from nas.errors import RunError
from nas.found import Found, found_networks
from nas.intervals import INTERVAL_METRICS, VALIDATED_BY
from nas.noise import Noise
from nas.objectives import Constraint, Objective, constraint
from nas.promise import recorded_worths
from nas.rows import EvaluationRow, PromotionRow, ProposalRow, ScreeningRow, plain_genotype
from nas.storage import (
    read_baselines,
    read_costs,
    read_evaluations,
    read_plan,
    read_promotions,
    read_proposals,
    read_screenings,
)
from nas.trials import (
    MEASURED,
    baseline_rows,
    columns,
    losses_of_table,
    short_ids,
    trial_rows,
    with_bounds,
    with_intervals,
)

if TYPE_CHECKING:
    import pandas

TRAINING = "training"
"""What the settings call the evaluator that trains."""


def open_run(folder: str | Path) -> Run:
    """Opens the record in a run folder, finished or still being written.

    Raises:
        RunError: When there is none, or it was written by a newer version.
    """
    return Run(folder)


def run_in(folder: str | Path | None) -> Run | None:
    """Returns the run that a search in this folder would go on with; None where there is none, or none that can be opened.

    Whoever opens that one for writing says why it cannot.
    """
    if folder is None or not (Path(folder) / DATABASE).is_file():
        return None
    try:
        return open_run(folder)
    except RunError:
        return None


class Run:
    """The record of a search, read afresh at each call, so that a run in progress can be watched.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        with open_reader(self.folder) as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'settings'").fetchone()
            if row is None:
                raise RunError(f"{self.folder} holds a run that was broken off before it began; start the search again")
            self.settings: dict[str, Any] = json.loads(row[0])

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What was ranked, in the order of the settings."""
        return tuple(Objective(**entry) for entry in self.settings["objectives"])

    @property
    def start_from(self) -> dict[str, Genotype]:
        """Genotypes that were evaluated first, by the names they were asked for."""
        return {name: plain_genotype(genotype) for name, genotype in self.settings.get("start_from", {}).items()}

    @property
    def rungs(self) -> tuple[int, ...]:
        """After how many epochs networks are measured, rising; one number where all are trained for equally long."""
        epochs = self.settings.get("epochs", 1)
        return (epochs,) if isinstance(epochs, int) else tuple(epochs)

    @property
    def top(self) -> int:
        """The highest rung at which a network was measured so far, in epochs; the lowest one where none was."""
        return max((row.to_epoch for row in self.rows()[1] if row.measurement.outcome.measured), default=self.rungs[0])

    @property
    def validation_images(self) -> int:
        """How many images an accuracy stands on; 0 where somebody's own evaluator measured it, on what only he knows."""
        data = self.settings.get("data") if self.settings.get("evaluator", TRAINING) in VALIDATED_BY else None
        return int(data["validation_images"]) if data else 0

    def starts(self) -> list[dict[str, Any]]:
        """Returns one entry a start: `began`, `seconds`, `pid`, `host`, `options`, `ended` (why; None: killed or running)."""
        with open_reader(self.folder) as connection:
            rows = connection.execute("SELECT began, seconds, pid, host, options, ended FROM starts ORDER BY id").fetchall()
        names = ("began", "seconds", "pid", "host", "options", "ended")
        return [dict(zip(names, (*row[:4], json.loads(row[4]), row[5]), strict=True)) for row in rows]

    def rows(self) -> tuple[list[ProposalRow], list[EvaluationRow], dict[str, dict[str, float]]]:
        """Returns the proposals, the training segments of the search, and the networks' exact costs by fingerprint."""
        with open_reader(self.folder) as connection:
            return list(read_proposals(connection)), parted(read_evaluations(connection))[0], read_costs(connection)

    def trained_again(self) -> Again | None:
        """Returns what came of training networks near the front again, with other seeds or on other folds; None where that was not
        asked for, or the search has not come to it."""
        with open_reader(self.folder) as connection:
            plan = read_plan(connection)
            return gathered(plan, *parted(read_evaluations(connection))) if plan else None

    def screenings(self) -> list[ScreeningRow]:
        """Returns the candidates that proposals were chosen from, by the proposal's number; see `nas.prescreen`."""
        with open_reader(self.folder) as connection:
            return list(read_screenings(connection))

    def scores(self) -> pandas.DataFrame:
        """Returns one row a score of untrained networks: how far it ranked the accuracies that were measured.

        Columns: `score` ("mean rank" is what decides, `params` and `depth` stand for comparison), `tau`, `tau_low`, `tau_high`
        (Kendall's correlation with its 95 % interval), `equal_cost`, `equal_cost_low`, `equal_cost_high` (the same among networks
        of equal exact objectives), `networks` (how many were measured). NaN where nothing can be said.
        """
        import pandas

        found = recorded_worths(self.objectives, self.screenings(), self.rows()[1])
        rows = [
            {
                "score": worth.name,
                **_bounds("tau", worth.plain),
                **_bounds("equal_cost", worth.equal_cost),
                "networks": worth.networks,
            }
            for worth in found
        ]
        return pandas.DataFrame(rows, columns=["score", *_bounds("tau", None), *_bounds("equal_cost", None), "networks"])

    def promotions(self) -> list[PromotionRow]:
        """Returns who went on from one rung to the next, in the order in which that was decided."""
        with open_reader(self.folder) as connection:
            return list(read_promotions(connection))

    def trials(self, epochs: int | None = None) -> pandas.DataFrame:
        """Returns one row a network, at its deepest training segment, in the order in which they were first proposed.

        Args:
            epochs: One of the rungs: the networks as they were measured there, those alone that were.

        Columns: `id`, the objectives, `outcome`, the other costs and metrics by name, `epochs`, `seconds` (over all segments),
        `inherited` and `inherited_from` (where any was to: the share of its values that it began with from another network, and
        that one's id), `proposals` (how often it was proposed), `operator`, `parents` (ids), `genotype`, `error`, `fingerprint`.
        Of equally deep segments (an open recipe) the better one in the order of the objectives stands for the network. Where
        networks were trained again, and no rung is asked for, `trainings` says over how many theirs are means; 1 for the others.
        """
        proposals, evaluations, costs = self.rows()
        again = self.trained_again() if epochs is None else None
        if again is None or not again.trainings:
            return self._table(trial_rows(self.objectives, proposals, evaluations, costs, epochs))
        means = {row["fingerprint"]: row for row in self._mean_rows(again)}
        rows = trial_rows(self.objectives, proposals, evaluations, costs)
        return self._table([means.get(row["fingerprint"]) or {**row, "trainings": 1} for row in rows])

    def _mean_rows(self, again: Again) -> list[dict[str, Any]]:
        """Returns one row a network whose metrics are means over several trainings."""
        proposals, evaluations, costs = self.rows()
        rows = trial_rows(self.objectives, proposals, again.merged(evaluations), costs)
        return [{**row, "trainings": again.trainings} for row in rows]

    def _table(self, rows: Sequence[Mapping[str, Any]]) -> pandas.DataFrame:
        import pandas

        return pandas.DataFrame(rows, columns=columns([o.name for o in self.objectives], rows))

    def baselines(self) -> pandas.DataFrame:
        """Returns one row a baseline, in the order in which they ended: `name`, and the columns of `trials` that apply, accuracies
        with their intervals as in `front`."""
        import pandas

        with open_reader(self.folder) as connection:
            rows = baseline_rows(list(read_baselines(connection)), read_costs(connection))
        names = columns([o.name for o in self.objectives], rows, last=("epochs", "seconds", "error", "fingerprint"))
        table = pandas.DataFrame(rows, columns=["name", *(name for name in names if name != "name")])
        return with_bounds(table, self.validation_images)

    def proposals(self) -> pandas.DataFrame:
        """Returns one row a proposal: `trial`, `id`, `operator`, `parents` (trials), `repeat_of`, `seen`, `rejected`, `created`,
        `finished` (its place in the order of endings), `genotype`."""
        import pandas

        proposals = self.rows()[0]
        ids = short_ids(row.fingerprint for row in proposals)
        names = ("operator", "parents", "repeat_of", "seen", "rejected", "created", "finished", "genotype")
        rows = [{"trial": r.id, "id": ids[r.fingerprint], **{name: getattr(r, name) for name in names}} for r in proposals]
        return pandas.DataFrame(rows, columns=["trial", "id", *names]).astype({"repeat_of": "Int64", "finished": "Int64"})

    def front(self, epochs: int | None = None) -> pandas.DataFrame:
        """Returns the Pareto front of what was measured, best in the first objective first.

        Args:
            epochs: The rung whose front it is, where there are several; None: the highest one at which a network was measured, or
                of the means of those that were trained again.

        Beside the columns of `trials`: for accuracies with a known number of validation images `val_accuracy_low` and
        `val_accuracy_high`, the 95 % interval of Wilson (1927), where networks were trained again that of `nas.noise`, and
        `same_as_previous`: whether the difference to the network in the row before is within what 95 % of draws of so many
        validation images (and of seeds) would give between equals.
        """
        table = next(self._levels()) if epochs is None else self.trials(epochs)
        losses = losses_of_table(self.objectives, table)
        ranked = [(row, i) for i, row in enumerate(losses) if row is not None]
        chosen = pareto.non_dominated([row for row, _ in ranked])
        front = table.iloc[[i for (_, i), keep in sorted(zip(ranked, chosen, strict=True)) if keep]].reset_index(drop=True)
        return with_intervals(front, self.validation_images, self.noise() if epochs is None else None)

    def noise(self) -> Noise | None:
        """Returns how far trainings of one network lie apart in accuracy; None where no networks were trained again, or it is not
        known on how many images that stands."""
        again = self.trained_again()
        if again is None or not again.trainings or not self.validation_images:
            return None
        return next((noise for metric in INTERVAL_METRICS if (noise := again.noise(metric))), None)

    def best(self, *constraints: str | Constraint) -> Found:
        """Returns the network that is best in the first objective (ties: in the next ones) among those that keep `constraints`.

        Where there are several rungs, it is one of the highest rung at which any network keeps them; where networks were trained
        again, one of those, if any of them does.

        Raises:
            RunError: When no measured network does.
            ObjectiveError: When a constraint cannot be read.
        """
        bounds = [constraint(c) if isinstance(c, str) else c for c in constraints]
        for table in self._levels():
            if found := self._best(bounds, table):
                return self._found(found)
        measured = int(self.trials()["outcome"].isin(MEASURED).sum())
        what = f"keeps {', '.join(bound.text for bound in bounds)}" if bounds and measured else "was measured"
        raise RunError(f"no network of {self.folder} {what}; {measured} were measured")

    def _levels(self) -> Iterator[pandas.DataFrame]:
        """Yields tables of networks that may be compared: those that were trained again, then each rung from the highest."""
        again = self.trained_again()
        if again is not None and again.trainings:
            yield self._table(self._mean_rows(again))
        top = self.top if len(self.rungs) > 1 else 0
        rungs = [rung for rung in reversed(self.rungs) if rung <= top]
        yield from map(self.trials, rungs) if rungs else [self._table(trial_rows(self.objectives, *self.rows()))]

    def _best(self, bounds: Sequence[Constraint], table: pandas.DataFrame) -> str:
        """Returns the fingerprint of the best network of a table that keeps the bounds; empty where none does."""
        ranked = [(row, i) for i, row in enumerate(losses_of_table(self.objectives, table)) if row is not None]
        numbers = [str(name) for name in table.columns if table[name].dtype.kind in "iuf"]
        for bound in bounds:
            if ranked and bound.name not in numbers:
                raise RunError(f"{self.folder} knows no {bound.name!r} to keep {bound.text}; its numbers: {', '.join(numbers)}")
        kept = [(row, i) for row, i in ranked if all(bound.holds(table[bound.name].iloc[i]) for bound in bounds)]
        return str(table["fingerprint"].iloc[min(kept)[1]]) if kept else ""

    def knee(self) -> Found:
        """Returns the knee of the front: where giving up a little of one objective stops buying much of another.

        Raises:
            RunError: When no network was measured.
        """
        front = self.front()
        points = [row for row in losses_of_table(self.objectives, front) if row is not None]
        if not points:
            raise RunError(f"no network of {self.folder} was measured, so there is no knee")
        return self._found(str(front["fingerprint"].iloc[pareto.knee(points)]))

    def network(self, address: str) -> Found:
        """Returns one network.

        Args:
            address: The first characters of its fingerprint, `best`, `knee`, `best:params<=50k[,macs<=1M]`, or the name of a
                baseline.

        Raises:
            RunError: When it fits no network, or several.
        """
        if address == "knee":
            return self.knee()
        name, _, bounds = address.partition(":")
        if name == "best":
            return self.best(*(bound for bound in bounds.split(",") if bound.strip()))
        with open_reader(self.folder) as connection:
            known = [key for (key,) in connection.execute("SELECT fingerprint FROM networks ORDER BY id")]
            baselines = {row.name: row.fingerprint for row in read_baselines(connection)}
        if address in baselines:
            return self._found(baselines[address])
        fits = [key for key in known if address and key.startswith(address.lower())]
        if len(fits) == 1:
            return self._found(fits[0])
        if fits:
            ids = short_ids(known)
            raise RunError(
                f"{address!r} fits {len(fits)} networks of {self.folder}: {', '.join(ids[f] for f in fits[:5])}; write more of it"
            )
        or_name = f", or a baseline: {', '.join(baselines)}" if baselines else ""
        raise RunError(
            f"{address!r} fits no network of {self.folder}; expected best, knee, best:params<=50k or the id of one of {len(known)}"
            f"{or_name}"
        )

    def report(self, path: str | Path | None = None) -> Any:
        """Writes the report of this run; see `nas.report`.

        Args:
            path: The HTML file; None: `report.html` in the run folder.
        """
        from nas.report import write_report

        return write_report(self, Path(path) if path is not None else self.folder / "report.html")

    def networks(self, fingerprints: Iterable[str], epochs: int | None = None) -> list[Found]:
        """Returns the networks of these fingerprints in their order, reading the record once.

        Args:
            fingerprints: Whole ones.
            epochs: One of the rungs: as they were measured there; None: each at its deepest training segment.

        Raises:
            RunError: When it holds no such network.
        """
        return found_networks(self, fingerprints, epochs)

    def _found(self, fingerprint: str) -> Found:
        return self.networks([fingerprint])[0]


def _bounds(name: str, found: Agreement | None) -> dict[str, float]:
    values = (found.tau, found.low, found.high) if found else (math.nan,) * 3
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))
