"""Earlier runs that a search begins from (`--warm-start`): what they measured, placed in the space that is searched now.

A network of an earlier run has a place where
* its recorded decisions make the same network here, for the images of this search; the same space on other data is that case;
* this space contains it by other decisions (`Space.encode`), as a larger space does;
* else, where at least half of its decisions and half of those that are active here agree: it stands for the network that decides
  alike where both can and has the first value elsewhere. What it teaches is then less exact, and a strategy has to find out anyway
  how far it can trust an earlier run.

The points found are part of the settings of a run, so that it goes on alike when the earlier runs have grown or are gone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nas.domains import identity
from nas.errors import NasError, RunError, StrategyError
from nas.found import Found
from nas.lines import counted
from nas.notation import space_from_json
from nas.rows import plain_genotype
from nas.run import Run, open_run, run_in
from nas.strategies.base import Earlier
from nas.variation import complete

if TYPE_CHECKING:
    from nas.domains import Genotype
    from nas.problem import Problem
    from nas.space import Architecture, Space

_AGREEMENT = 0.5
"""Share of decisions that have to agree before a network stands for one that is not the same."""


def find_earlier(runs: Sequence[str | Path | Run | Earlier], problem: Problem) -> list[Earlier]:
    """Returns what earlier runs measured, as far as it has a place in what is searched now.

    Args:
        runs: Folders of runs, or what was found in them before.
        problem: What is searched; its constraints leave nothing out.

    Raises:
        RunError: When they are no list, or there is no such run.
        StrategyError: When one of them measured nothing that is measured now, or none of its networks has a place.
    """
    distinct = {_name(run): run for run in _listed(runs)}.values()
    return [
        run if isinstance(run, Earlier) else _placed(run if isinstance(run, Run) else open_run(run), problem) for run in distinct
    ]


def _placed(run: Run, problem: Problem) -> Earlier:
    measured = [objective for objective in problem.objectives if not objective.exact]
    keys = dict.fromkeys(row.fingerprint for row in run.rows()[1])
    networks = run.networks(keys, run.rungs[0] if len(run.rungs) > 1 else None)  # there all were trained for equally long
    networks = [found for found in networks if found.measurement and found.measurement.outcome.measured]
    known = [o for o in measured if any(o.name in found.values for found in networks)]
    if not known:
        names = ", ".join(objective.name for objective in measured) or "anything (all objectives are exact)"
        raise StrategyError(f"cannot warm-start from {run.folder}: none of its {counted(len(networks), 'network')} has {names}")
    theirs = _space_of(run)
    points: dict[object, tuple[Genotype, list[float]]] = {}
    for found in networks:
        genotype = _place(found, theirs, problem.space)
        if genotype is not None:
            losses = [o.loss(found.values[o.name]) if o.name in found.values else math.nan for o in known]
            points.setdefault(tuple((path, identity(value)) for path, value in genotype.items()), (genotype, losses))
    if not points:
        raise StrategyError(
            f"cannot warm-start from {run.folder}: none of its {counted(len(networks), 'network')} has a place in "
            f"{problem.space.name or 'the space'}; it searched {run.settings['space']['name'] or 'a space without a name'}"
        )
    genotypes, rows = zip(*points.values(), strict=True)
    columns = {o.name: tuple([row[i] for row in rows]) for i, o in enumerate(known)}
    return Earlier(str(run.folder), genotypes, columns, len(networks))


def _space_of(run: Run) -> Space | None:
    """Returns the space of a run from its record; None where it has blocks of somebody's own."""
    try:
        return space_from_json(msgspec.json.encode(run.settings["space"]["definition"]))
    except NasError:
        return None


def _place(found: Found, theirs: Space | None, ours: Space) -> Genotype | None:
    """Returns the genotype of a network in our space; None where it has none."""
    recipe = plain_genotype({f"recipe.{name}": value for name, value in found.recipe.items()})
    near = complete(ours, {**recipe, **found.genotype}, None)
    if theirs is not None:
        with suppress(NasError):  # a block of theirs may not take our images
            network = _decoded(found.genotype, theirs, ours)
            with suppress(NasError):
                if ours.decode(near).fingerprint == network.fingerprint:
                    return near
            with suppress(NasError):
                return complete(ours, {**recipe, **ours.encode(network)}, None)
    agree = sum(path in near and identity(near[path]) == identity(value) for path, value in found.genotype.items())
    return near if agree >= _AGREEMENT * max(len(near), len(found.genotype), 1) else None


def _decoded(genotype: Genotype, theirs: Space, ours: Space) -> Architecture:
    """Returns a network of their space made for our images."""
    shape, classes = ours.input_shape, ours.classes
    assert shape is not None and classes is not None
    return replace(theirs, input_shape=shape, classes=classes).decode(genotype)


def earlier_settings(earlier: Sequence[Earlier]) -> dict[str, Any]:
    """Returns what the settings of a run keep of earlier ones: who they are, a digest, and all points, compressed."""
    text = msgspec.json.encode([[run.name, run.genotypes, run.losses, run.of] for run in earlier])  # NaN becomes null
    return {
        "runs": {run.name: f"{len(run.genotypes)} of {counted(run.of, 'network')}" for run in earlier},
        "digest": hashlib.sha256(text).hexdigest()[:16],
        "points": base64.b85encode(zlib.compress(text, 9)).decode(),
    }


def earlier_of(run: Run) -> list[Earlier]:
    """Returns the earlier runs that a run began from, as its settings have them."""
    kept = run.settings.get("warm_start")
    if not kept:
        return []
    return [
        Earlier(
            name,
            tuple(plain_genotype(genotype) for genotype in genotypes),
            {objective: tuple(math.nan if x is None else x for x in column) for objective, column in losses.items()},
            of,
        )
        for name, genotypes, losses, of in json.loads(zlib.decompress(base64.b85decode(kept["points"])))
    ]


def recorded_earlier(folder: str | Path | None, runs: Iterable[str | Path | Run | Earlier]) -> list[Earlier]:
    """Returns the points of the run in a folder where it began from the same earlier runs; empty where it did not.

    The earlier runs may have grown meanwhile, or be gone.

    Raises:
        RunError: When they are no list.
    """
    begun = run_in(folder)
    earlier = [] if begun is None else earlier_of(begun)
    return earlier if [run.name for run in earlier] == list(dict.fromkeys(map(_name, _listed(runs)))) else []


def _listed(runs: Iterable[str | Path | Run | Earlier]) -> Iterable[str | Path | Run | Earlier]:
    if isinstance(runs, str):
        raise RunError(f"warm_start is a list, got {runs!r}; write {runs.split(',')!r}")
    if not isinstance(runs, Iterable):
        raise RunError(f"warm_start is a list, got one {type(runs).__name__}; write [...] around it")
    return runs


def _name(run: str | Path | Run | Earlier) -> str:
    return run.name if isinstance(run, Earlier) else str(Path(run.folder if isinstance(run, Run) else run))
