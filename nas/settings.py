"""What identifies a run, as plain JSON: compared when it goes on, read by everybody who shows it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.budget import Budget
from nas.domains import Genotype
from nas.notation import space_to_json
from nas.recipe import Task
from nas.strategies.base import Strategy
from nas.strategies.table import STRATEGIES

if TYPE_CHECKING:
    from nas.data import Dataset
    from nas.problem import Problem


def run_settings(
    problem: Problem,
    strategy: Strategy,
    dataset: Dataset | None,
    *,
    task: Task,
    epochs: Sequence[int],
    seed: int,
    evaluator: str,
    starts: Mapping[str, Genotype] | None = None,
    **extras: Any,
) -> dict[str, Any]:
    """Returns the settings of a run. Two starts with equal settings search the same thing in the same way.

    The space stands in it whole, so that a reader needs neither its file nor its code, and a change of it is named. Budget,
    workers, device and deadline are no settings: they may change from start to start (see `start_options`).

    Args:
        problem: Space with its recipe, objectives, constraints and own costs.
        strategy: Who proposes.
        dataset: None where the evaluator needs none.
        task: What is measured.
        epochs: Of each brief training; several are rungs.
        seed: Of the search and of every training.
        evaluator: What the record calls who evaluates.
        starts: Genotypes proposed before any of the strategy's own, by name.
        extras: What else decides what is searched and how, as plain JSON; what says nothing (0, empty) is left out, so that a run
            from before there was such a thing goes on.
    """
    space = json.loads(space_to_json(problem.space))
    text = json.dumps(space, sort_keys=True)
    return {
        "space": {"name": problem.space.name, "digest": hashlib.sha256(text.encode()).hexdigest()[:16], "definition": space},
        "data": None if dataset is None else data_settings(dataset),
        "strategy": strategy_settings(strategy),
        "objectives": [dataclasses.asdict(objective) for objective in problem.objectives],
        "constraints": [constraint.text for constraint in problem.constraints],
        "costs": sorted(problem.own_costs),
        "task": {"name": task.name, "metrics": list(task.metrics)},
        "epochs": epochs[0] if len(epochs) == 1 else list(epochs),
        "seed": seed,
        "evaluator": evaluator,
        **({"start_from": {name: dict(genotype) for name, genotype in starts.items()}} if starts else {}),
        **{name: value for name, value in extras.items() if value},
    }


def data_settings(dataset: Dataset) -> dict[str, Any]:
    """Returns what a run keeps of its data: their digest, and all that using an exported network takes."""
    return {
        "name": dataset.name,
        "digest": dataset.digest,
        "input_shape": list(dataset.input_shape),
        "class_names": list(dataset.class_names),
        "mean": list(dataset.mean),
        "std": list(dataset.std),
        "flip": dataset.flip,
        "preprocessing": dict(dataset.preprocessing),
        "training_images": dataset.size("train"),
        "validation_images": dataset.size("val"),
        "validation_counts": list(dataset.counts["val"]),
    }


def strategy_settings(strategy: Strategy) -> dict[str, Any]:
    """Returns a strategy's name and its settings, those that are plain values."""
    called, options = strategy.described()
    names = [name for name, entry in STRATEGIES.items() if f"{entry.module}:{entry.name}" == called]
    return {"name": names[0] if names else called, "options": {key: value for key, value in options.items() if _is_plain(value)}}


def start_options(arguments: Mapping[str, Any], budget: Budget, workers: int | None, device: str) -> dict[str, Any]:
    """Returns what is kept with one start and may differ from start to start.

    Args:
        arguments: What `search` was called with, the deadline too; what is no plain value is kept as None under `objects`.
        budget: What the start may spend.
        workers: How many were asked for.
        device: Which was asked for.
    """
    return {
        "budget": dataclasses.asdict(budget),
        "workers": workers,
        "device": device,
        "arguments": {name: _plain(value) for name, value in arguments.items() if _is_plain(value)},
        "objects": sorted(name for name, value in arguments.items() if not _is_plain(value)),
        "command": sys.argv,
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in ("paretonas", "torch", "numpy")}},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _is_plain(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(k, str) and _is_plain(v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | bool | int | float | Path)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value
