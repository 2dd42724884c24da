"""The figures of a bench as plain values, with what was searched and how, and what the names mean."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec

from nas.bench.about import About, Ground
from nas.bench.from_table import TableGround
from nas.bench.results import Results

MEANING = {
    "best": "the first objective, as reported, of the network that is best in it as searched, at the end of a repeat",
    "regret": "how far best is from the best that is known; 0 is perfect",
    "share at N": "share of the known front's hypervolume after N evaluations, or N simulated seconds, as searched, on `scale`",
    "reported share at N": "the same of the networks that are the front as searched, in the values that are reported",
    "evaluations to P%": "evaluations until the share is P %; count says how many repeats reach it, the others are left out",
    "hypervolume": "plain hypervolume on `hypervolume_scale`; never tested, and another scale than the share's",
    "evaluations": "evaluations made",
    "distinct": "different networks among the proposals",
    "alike": "largest share of a network's decisions that one earlier network of its repeat has alike, mean",
    "seconds": "wall-clock seconds a proposal, the first one of a repeat left out",
    "simulated": "simulated seconds at the end",
    "low, high": "bootstrap 95 % interval of the mean over the repeats",
    "count, of": "repeats that have the measure, of all",
    "against_first": "Wilcoxon signed-rank tests against the first strategy, of regret and of log(1 - share): repeats that are "
    "better and worse, of so many pairs; p after Holm's correction over the strategies tested at one measure (not over the "
    "measures); the least p that so many pairs can give; and the rank-biserial effect from -1 to 1",
    "ended": "why repeats ended",
}
"""What the names in `plain` mean."""


def plain(results: Results) -> dict[str, Any]:
    """Returns `bench`, what was searched and how; `meaning` of the names; `strategies`, every figure by label; and `notes`."""
    summaries, comparisons = results.summaries(), results.comparisons()
    return {
        "bench": head_of(results),
        "meaning": MEANING,
        "strategies": {
            label: {
                "measures": {name: dataclasses.asdict(one) for name, one in of.items()},
                "against_first": {name: dataclasses.asdict(one) for name, one in comparisons.get(label, {}).items()},
                "ended": sorted({trajectory.ended for trajectory in results.trajectories[label] if trajectory.ended}),
            }
            for label, of in summaries.items()
        },
        "notes": [*results.notes, *results.known.notes],
    }


def head_of(results: Results) -> dict[str, Any]:
    """Returns what was searched and how, as plain values; what nobody knows is left out."""
    head, known = results.head, results.known
    about = head if isinstance(head, About) else None
    ground = head.ground if isinstance(head, About) else head
    found: dict[str, Any] = {"title": known.title}
    if ground is not None:
        found |= {"kind": "table" if isinstance(ground, TableGround) else "space", **_plain(ground)}
    found["objectives"] = [{"name": o.name, "direction": o.direction} for o in known.objectives]
    if about is not None:
        found |= {name: getattr(about, name) for name in ("seed", "evaluations", "seconds", "repeats")}
        found["version"] = about.version
    found |= {"marks": list(results.marks), "times": list(results.seconds), "scale": known.scale_words}
    return found | ({"hypervolume_scale": known.raw_words} if known.raw_words else {})


def _plain(ground: Ground) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(ground)
    return {name: value for name, value in found.items() if name != "type"}
