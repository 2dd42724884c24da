"""From a record back to what it was made with: the problem and the strategy, to compute its proposals again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nas.errors import RunError
from nas.library import load_space, own_blocks
from nas.notation import space_from_json
from nas.objectives import Objective
from nas.problem import Problem
from nas.run import Run
from nas.strategies.base import Strategy
from nas.strategies.inheriting import Inheriting
from nas.strategies.start_from import StartFrom
from nas.strategies.table import STRATEGIES, make_strategy
from nas.userfile import load_object
from nas.warm import earlier_of


def rebuild(run: Run, *, trust_code: bool = False) -> tuple[Problem, Strategy]:
    """Returns the problem and the strategy of a run, from its record.

    Args:
        run: The run.
        trust_code: Whether the files it was started with (blocks, costs, a strategy of somebody's own) may be executed.

    Raises:
        RunError: When it needs such code and it is not trusted, or was started with objects of a Python session.
        NasError: When such a file cannot be loaded.
    """
    settings = run.settings
    arguments: Mapping[str, Any] = run.starts()[-1]["options"].get("arguments") or {}
    strategy, options = settings["strategy"]["name"], settings["strategy"]["options"]
    blocks = sorted(_names(settings["space"]["definition"]["body"]) - _shipped())
    own = {"blocks": blocks, "costs": settings["costs"], "strategy": [] if strategy in STRATEGIES else [strategy]}
    needed = [name for found in own.values() for name in found]
    if needed and not trust_code:
        raise RunError(
            f"{run.folder} was made with code of somebody's own ({', '.join(needed)}); say --trust-code where you trust its files"
        )
    missing = [
        what
        for what, key in (("blocks", "space"), ("costs", "costs"), ("strategy", "strategy"))
        if own[what] and not arguments.get(key)
    ]
    if missing:
        raise RunError(
            f"{run.folder} was started from Python with objects as {', '.join(missing)}; call nas.recompute.verify with them"
        )
    known = own_blocks(load_space(arguments["space"])).values() if blocks else ()
    space = space_from_json(json.dumps(settings["space"]["definition"]), known)
    costs = {name: load_object(arguments["costs"][name]) for name in settings["costs"]}
    objectives = [Objective(**entry) for entry in settings["objectives"]]
    problem = Problem(space, objectives, settings["constraints"], costs, settings.get("resolutions", ()))
    chosen = make_strategy(arguments["strategy"] if own["strategy"] else strategy, **options)
    if earlier := earlier_of(run):
        chosen = chosen.warmed(earlier)
    led = StartFrom(run.start_from, chosen) if run.start_from else chosen
    return problem, Inheriting(led) if settings.get("inherit") else led


def _shipped() -> set[str]:
    from nas.blocks import BLOCKS

    return set(BLOCKS)


def _names(definition: Any) -> set[str]:
    """Returns the names of all blocks in a space's definition."""
    if isinstance(definition, dict):
        own = {definition["block"]} if isinstance(definition.get("block"), str) else set()
        return own.union(*map(_names, definition.values()))
    return set().union(*map(_names, definition)) if isinstance(definition, list) else set()
