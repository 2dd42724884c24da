"""What a report says, read from the record: plain values for the page, nothing of how it looks. Loads no torch."""

from __future__ import annotations

import json
import math
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nas import pareto
from nas.hints import guessing
from nas.lines import counted, number, spell_seconds
from nas.measurement import Outcome
from nas.objectives import OBJECTIVES, Objective
from nas.picture import draw_svg
from nas.rows import ProposalRow
from nas.run import Found, Run
from nas.table import layer_table
from nas.wording import settings_rows

if TYPE_CHECKING:
    import pandas

_NO_AXIS = ("same_as_previous",)
_MEASURED = tuple(str(outcome) for outcome in Outcome if outcome.measured)


@dataclass(frozen=True)
class Column:
    """One number of each network.

    Attributes:
        name: As in the record.
        label: With its unit.
        direction: "maximize", "minimize", or empty where no way is better.
        is_share: Shown in per cent.
    """

    name: str
    label: str
    direction: str
    is_share: bool


@dataclass(frozen=True)
class FrontNetwork:
    """All about one network of the front.

    Attributes:
        id: See `nas.run.Found`.
        values: Text of each column of the front table, by name.
        numbers: What that text stands for, to sort by.
        marks: What is special about it, in a word or two and in a sentence.
        genotype: Path and value as text.
        recipe: Field and value as text.
        layers: See `nas.table.layer_table`; empty where the graph cannot be read.
        picture: SVG element; empty where the graph cannot be read.
        source: Python text.
        curve: One mapping an epoch.
        weights: Path of its weights relative to the run; empty where there are none.
        problem: Why parts are missing, in one line.
    """

    id: str
    values: Mapping[str, str]
    numbers: Mapping[str, float]
    marks: Sequence[tuple[str, str]]
    genotype: Sequence[tuple[str, str]]
    recipe: Sequence[tuple[str, str]]
    layers: Sequence[Mapping[str, Any]]
    picture: str
    source: str
    curve: Sequence[Mapping[str, float]]
    weights: str
    problem: str


@dataclass(frozen=True)
class Content:
    """All that a report says.

    Attributes:
        title: Name of the run.
        summary: The result in a sentence or two.
        advice: What to try where no network does better than guessing; empty where one does.
        facts: What was searched, name and value.
        starts: One row a start: when, how long, where, how it ended, with which versions.
        objectives: What was ranked.
        columns: Every number that can be an axis.
        points: Column name to one number a network (None where there is none), and `id`, `outcome`, `front`.
        intervals: Column name to id to (low, high), for networks of the front.
        shown: Columns of the front table.
        front: Best in the first objective first.
        knee: Id of the network to look at first; empty where the front is.
        outcomes: Outcome, how many networks, the first error.
        rejected: Constraint, how many candidates.
        repeats: How many proposals were served from the record.
        table: One row a network, for the CSV.
    """

    title: str
    summary: str
    advice: str
    facts: Sequence[tuple[str, str]]
    starts: Sequence[Mapping[str, str]]
    objectives: Sequence[Objective]
    columns: Sequence[Column]
    points: Mapping[str, Sequence[Any]]
    intervals: Mapping[str, Mapping[str, tuple[float, float]]]
    shown: Sequence[Column]
    front: Sequence[FrontNetwork]
    knee: str
    outcomes: Sequence[tuple[str, int, str]]
    rejected: Sequence[tuple[str, int]]
    repeats: int
    table: pandas.DataFrame


def gather(run: Run) -> Content:
    """Reads everything a report says."""
    trials, front = run.trials(), run.front()
    proposals = run.rows()[0]
    objectives = run.objectives
    ids = [str(value) for value in front["id"]]
    columns = _columns(objectives, trials)
    shown = _shown(objectives, columns)
    rows: list[Mapping[str, Any]] = [{str(name): value for name, value in row.items()} for row in front.to_dict("records")]
    losses = [[o.loss(float(row[o.name])) for o in objectives] for row in rows]
    knee = ids[pareto.knee(losses)] if ids else ""
    networks = run.networks(str(key) for key in front["fingerprint"])
    return Content(
        title=run.folder.resolve().name,
        summary=_summary(run, trials, len(ids)),
        advice=guessing(run),
        facts=_facts(run),
        starts=_starts(run),
        objectives=objectives,
        columns=columns,
        points=_points(columns, trials, set(ids)),
        intervals=_intervals(columns, rows),
        shown=shown,
        front=[
            _network(found, row, shown, _marks(row, before, knee if len(objectives) > 1 and len(ids) > 2 else ""))
            for found, row, before in zip(networks, rows, ["", *ids], strict=False)
        ],
        knee=knee,
        outcomes=_outcomes(trials),
        rejected=_rejected(proposals),
        repeats=sum(row.repeat_of is not None for row in proposals),
        table=trials.assign(front=trials["id"].isin(ids)),
    )


def _summary(run: Run, trials: pandas.DataFrame, on_front: int) -> str:
    measured = int(trials["outcome"].isin(_MEASURED).sum())
    starts = run.starts()
    reason = starts[-1]["ended"] if starts else ""
    spent = spell_seconds(sum(start["seconds"] for start in starts))
    failed = f", {number(len(trials) - measured)} without a result" if measured < len(trials) else ""
    front = f"{number(on_front)} on the Pareto front" if on_front else "no Pareto front"
    ended = f"The search ended: {reason}." if reason else "The search has not ended, or was killed."
    return f"{_searched(run.settings)} {counted(len(trials), 'network')} evaluated in {spent}{failed}; {front}. {ended}"


def _searched(settings: Mapping[str, Any]) -> str:
    """Returns in a sentence what was searched, on what, how, and under which constraints."""
    data = settings.get("data")
    name = settings["space"]["name"] or "A space without a name"
    where = f" on {data['name']}" if data else ""
    trained = f", {counted(settings['epochs'], 'epoch')} a network" if settings["evaluator"] == "training" else ""
    kept = f", {' and '.join(settings['constraints'])}" if settings["constraints"] else ""
    return f"{name}{where}, searched by {settings['strategy']['name']}{trained}{kept}."


def _facts(run: Run) -> list[tuple[str, str]]:
    settings, last = run.settings, run.starts()[-1]["options"]
    command = last.get("command") or []
    return [
        ("command", shlex.join(str(word) for word in command) if command else "called from Python"),
        *settings_rows(settings, last),
        ("space digest", settings["space"]["digest"]),
        *((("data digest", settings["data"]["digest"]),) if settings.get("data") else ()),
    ]


def _starts(run: Run) -> list[dict[str, str]]:
    rows = []
    for start in run.starts():
        versions = start["options"].get("versions") or {}
        rows.append(
            {
                "began": datetime.fromtimestamp(start["began"], UTC).strftime("%Y-%m-%d %H:%M UTC"),
                "spent": spell_seconds(start["seconds"]),
                "ended": start["ended"] or "no word of an end",
                "versions": ", ".join(f"{name} {version}" for name, version in versions.items() if version),
            }
        )
    return rows


def _columns(objectives: Sequence[Objective], trials: pandas.DataFrame) -> list[Column]:
    """Returns the numeric columns, the objectives first, and the order of evaluation."""
    known = {o.name: o for o in (*OBJECTIVES.values(), *objectives)}
    names = [name for name in trials.columns if trials[name].dtype.kind in "if" and name not in _NO_AXIS]
    columns = []
    for name in names:
        objective = known.get(name)
        unit = objective.unit if objective and objective.unit != "values" else ""
        share = unit == "share" or (name.startswith(("val_", "train_")) and name.endswith(("accuracy", "f1")))
        label = f"{name} (%)" if share else f"{name} ({unit})" if unit and unit.lower() != name else name
        direction = objective.direction if objective else "maximize" if share else ""
        columns.append(Column(name, label, direction, share))
    return [*columns, Column("evaluation", "evaluation (in order of proposal)", "", False)]


_OTHERS = ("params", "macs", "activation_memory", "epochs", "seconds")


def _shown(objectives: Sequence[Objective], columns: Sequence[Column]) -> list[Column]:
    by_name = {column.name: column for column in columns}
    wanted = dict.fromkeys([*(o.name for o in objectives), *_OTHERS])
    return [by_name[name] for name in wanted if name in by_name]


def _points(columns: Sequence[Column], trials: pandas.DataFrame, front: set[str]) -> dict[str, list[Any]]:
    points: dict[str, list[Any]] = {
        column.name: [_plain(value) for value in trials[column.name]] for column in columns if column.name in trials.columns
    }
    points["evaluation"] = list(range(1, len(trials) + 1))
    return {
        **points,
        "id": [str(value) for value in trials["id"]],
        "outcome": [str(value) for value in trials["outcome"]],
        "measured": [bool(value) for value in trials["outcome"].isin(_MEASURED)],
        "front": [str(value) in front for value in trials["id"]],
    }


def _plain(value: float) -> float | int | None:
    """Returns a number of a table as JSON takes it: whole ones whole, seven digits, nothing for NaN."""
    value = float(value)
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else float(f"{value:.7g}")


def _intervals(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, tuple[float, float]]]:
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for name in (column.name for column in columns):
        for row in rows:
            if f"{name}_low" in row:
                found.setdefault(name, {})[str(row["id"])] = (float(row[f"{name}_low"]), float(row[f"{name}_high"]))
    return found


# ---- one network


def _marks(row: Mapping[str, Any], before: str, knee: str) -> list[tuple[str, str]]:
    """Returns a word or two and their meaning for what is special about a network of the front."""
    marks = [("knee", "where giving up a little of one objective stops buying much of another")] if row["id"] == knee else []
    if row.get("same_as_previous") is True:
        meaning = "the difference is within what 95 % of draws of so many validation images give between equals"
        marks.append((f"tied with {before}", meaning))
    return marks


def _network(found: Found, row: Mapping[str, Any], shown: Sequence[Column], marks: Sequence[tuple[str, str]]) -> FrontNetwork:
    layers: list[dict[str, Any]] = []
    picture = source = problem = ""
    try:
        graph = found.graph
        layers, picture = layer_table(graph), draw_svg(graph, title=f"Network {found.id}", style=False)
        source = found.source
    except Exception as error:  # a record of somebody else's must not keep the rest of the report from being read
        problem = f"its graph cannot be shown: {type(error).__name__}: {error}"
    return FrontNetwork(
        id=found.id,
        values={column.name: _cell(column, row) for column in shown},
        numbers={column.name: float(row[column.name]) for column in shown},
        marks=marks,
        genotype=[(path, _value(value)) for path, value in found.genotype.items()],
        recipe=[(name, _value(value)) for name, value in found.recipe.items()],
        layers=layers,
        picture=picture,
        source=source,
        curve=found.measurement.curve if found.measurement else (),
        weights=str(found.weights.relative_to(found.run.folder)) if found.weights else "",
        problem=problem,
    )


def _cell(column: Column, row: Mapping[str, Any]) -> str:
    value = float(row[column.name])
    low, high = row.get(f"{column.name}_low"), row.get(f"{column.name}_high")
    if not column.is_share:
        return number(value)
    interval = f" ({100 * low:.2f} to {100 * high:.2f})" if low is not None and high is not None else ""
    return f"{100 * value:.2f} %{interval}"


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


# ---- what went otherwise


def _outcomes(trials: pandas.DataFrame) -> list[tuple[str, int, str]]:
    """Returns each outcome, the frequent ones first, with its first error."""
    counts = Counter(str(outcome) for outcome in trials["outcome"])
    first: dict[str, str] = {}
    for outcome, error in zip(trials["outcome"], trials["error"], strict=True):
        if error:
            first.setdefault(str(outcome), str(error))
    return [(outcome, count, first.get(outcome, "")) for outcome, count in counts.most_common()]


def _rejected(proposals: Iterable[ProposalRow]) -> list[tuple[str, int]]:
    counts: Counter[str] = Counter()
    for row in proposals:
        counts.update(row.rejected)
    return counts.most_common()
