"""What a report says, read from the record: plain values for the page, nothing of how it looks. Loads no torch."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nas import pareto
from nas.certainty import again_words, luck_words
from nas.hints import guessing, inheriting
from nas.lines import counted, epochs_words, number, spell_seconds
from nas.looks import look_words, read_looks
from nas.objectives import OBJECTIVES, Objective
from nas.report.baselines import Baseline, gather_baselines
from nas.report.network import Column, ShownNetwork, shown_network
from nas.rows import ProposalRow
from nas.run import Run
from nas.rungs import RungFacts, rung_facts
from nas.screened import screening_table
from nas.trials import MEASURED
from nas.wording import settings_rows

if TYPE_CHECKING:
    import pandas

_NO_AXIS = ("same_as_previous",)


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
        points: Column name to one number a network (None where there is none), and `id`, `name` (of a baseline), `outcome`,
            `measured`, `front`, `lower` (measured after fewer epochs than the front); the networks evaluated first, then the
            baselines.
        intervals: Column name to id, or "baseline NAME", to (low, high), for networks of the front and baselines.
        shown: Columns of the front table.
        front: Best in the first objective first.
        baselines: Known networks trained in the same way, in the order in which they were.
        knee: Id of the network to look at first; empty where the front is.
        screening: Where untrained networks were scored: name, rank correlation with accuracy and that at equal cost of each score.
        rungs: Where networks were trained for unequally long: one entry a rung, the lowest first; else empty.
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
    front: Sequence[ShownNetwork]
    baselines: Sequence[Baseline]
    knee: str
    rungs: Sequence[RungFacts]
    screening: Sequence[tuple[str, str, str]]
    outcomes: Sequence[tuple[str, int, str]]
    rejected: Sequence[tuple[str, int]]
    repeats: int
    table: pandas.DataFrame


def gather(run: Run) -> Content:
    """Reads everything a report says."""
    trials, front, baselines = run.trials(), run.front(), run.baselines()
    proposals = run.rows()[0]
    objectives = run.objectives
    ids = [str(value) for value in front["id"]]
    columns = _columns(objectives, trials)
    shown = _shown(objectives, columns)
    rows: list[Mapping[str, Any]] = [_named(row) for row in front.to_dict("records")]
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
        points=_points(columns, trials, set(ids), baselines, run.top if len(run.rungs) > 1 else None),
        intervals=_intervals(
            columns,
            {str(row["id"]): row for row in rows}
            | {f"baseline {row['name']}": _named(row) for row in baselines.to_dict("records")},
        ),
        shown=shown,
        front=[
            shown_network(found, row, shown, _marks(row, before, knee if len(objectives) > 1 and len(ids) > 2 else ""))
            for found, row, before in zip(networks, rows, ["", *ids], strict=False)
        ],
        baselines=gather_baselines(run, shown, rows),
        knee=knee,
        screening=tuple(screening_table(run)),
        rungs=rung_facts(run) if len(run.rungs) > 1 else (),
        outcomes=_outcomes(trials),
        rejected=_rejected(proposals),
        repeats=sum(row.repeat_of is not None for row in proposals),
        table=trials.assign(front=trials["id"].isin(ids)),
    )


def _summary(run: Run, trials: pandas.DataFrame, on_front: int) -> str:
    measured = int(trials["outcome"].isin(MEASURED).sum())
    starts = run.starts()
    reason = starts[-1]["ended"] if starts else ""
    spent = spell_seconds(sum(start["seconds"] for start in starts))
    failed = f", {number(len(trials) - measured)} without a result" if measured < len(trials) else ""
    front = f"{number(on_front)} on the Pareto front" if on_front else "no Pareto front"
    ended = f"The search ended: {reason}." if reason else "The search has not ended, or was killed."
    said = filter(None, [again_words(run), luck_words(run), inheriting(run)])
    also = "".join(f" {words[0].upper()}{words[1:]}." for words in said)
    return f"{_searched(run.settings)} {counted(len(trials), 'network')} evaluated in {spent}{failed}; {front}. {ended}{also}"


def _searched(settings: Mapping[str, Any]) -> str:
    """Returns in a sentence what was searched, on what, how, and under which constraints."""
    data = settings.get("data")
    name = settings["space"]["name"] or "A space without a name"
    where = f" on {data['name']}" if data else ""
    trained = f", {epochs_words(settings['epochs'])}" if settings["evaluator"] == "training" else ""
    kept = f", {' and '.join(settings['constraints'])}" if settings["constraints"] else ""
    return f"{name}{where}, searched by {settings['strategy']['name']}{trained}{kept}."


def _facts(run: Run) -> list[tuple[str, str]]:
    settings, last = run.settings, run.starts()[-1]["options"]
    command = last.get("command") or []
    return [
        ("command", shlex.join(str(word) for word in command) if command else "called from Python"),
        *settings_rows(settings, last),
        ("test images", look_words(read_looks(run.folder)) or "never measured by a final training"),
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


_OTHERS = ("params", "macs", "activation_memory", "epochs", "trainings", "seconds")


def _shown(objectives: Sequence[Objective], columns: Sequence[Column]) -> list[Column]:
    by_name = {column.name: column for column in columns}
    wanted = dict.fromkeys([*(o.name for o in objectives), *_OTHERS])
    return [by_name[name] for name in wanted if name in by_name]


def _points(
    columns: Sequence[Column], trials: pandas.DataFrame, front: set[str], baselines: pandas.DataFrame, top: int | None
) -> dict[str, list[Any]]:
    tables = (trials, baselines)
    points: dict[str, list[Any]] = {
        column.name: [_plain(value) for table in tables for value in _numbers(table, column.name)] for column in columns
    }
    measured = [str(value) in MEASURED for table in tables for value in table["outcome"]]
    lower = [top is not None and int(value) != top for table in tables for value in table["epochs"]]
    points["evaluation"] = [*range(1, len(trials) + 1), *[None] * len(baselines)]
    return {
        **points,
        **{name: [str(value) for table in tables for value in table[name]] for name in ("id", "outcome")},
        "name": [*[""] * len(trials), *(str(name) for name in baselines["name"])],
        "measured": [is_measured and not below for is_measured, below in zip(measured, lower, strict=True)],
        "lower": [is_measured and below for is_measured, below in zip(measured, lower, strict=True)],
        "front": [*(str(value) in front for value in trials["id"]), *[False] * len(baselines)],
    }


def _numbers(table: pandas.DataFrame, name: str) -> Sequence[float]:
    return [float(value) for value in table[name]] if name in table.columns else [math.nan] * len(table)


def _named(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in row.items()}


def _plain(value: float) -> float | int | None:
    """Returns a number of a table as JSON takes it: whole ones whole, seven digits, nothing for NaN."""
    value = float(value)
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else float(f"{value:.7g}")


def _intervals(columns: Sequence[Column], rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, tuple[float, float]]]:
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for name in (column.name for column in columns):
        for key, row in rows.items():
            if math.isfinite(row.get(f"{name}_low", math.nan)):
                found.setdefault(name, {})[key] = (float(row[f"{name}_low"]), float(row[f"{name}_high"]))
    return found


def _marks(row: Mapping[str, Any], before: str, knee: str) -> list[tuple[str, str]]:
    """Returns a word or two and their meaning for what is special about a network of the front."""
    marks = [("knee", "where giving up a little of one objective stops buying much of another")] if row["id"] == knee else []
    if row.get("same_as_previous") is True:
        meaning = "the difference is within what 95 % of draws of so many validation images give between equals"
        marks.append((f"tied with {before}", meaning))
    return marks


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
