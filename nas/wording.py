"""The settings of a run in words: everything that is in force, the defaults included."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from nas.lines import aligned, number, spell_seconds
from nas.recipe import Recipe


def settings_words(settings: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Returns one aligned line a setting.

    Args:
        settings: `Run.settings`.
        options: Those of one start, `Run.starts()[-1]["options"]`.
    """
    return aligned(list(settings_rows(settings, options)))


def settings_rows(settings: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields name and value of every setting; see `settings_words`."""
    space, data, strategy = settings["space"], settings["data"], settings["strategy"]
    training = settings["evaluator"] == "training"
    judge = options.get("evaluator", {})
    arguments = options.get("arguments", {})
    yield "space", f"{space['name'] or 'without a name'}, border {space['definition']['border']} ({space['digest'][:7]})"
    yield "data", _data(data) if data else "none"
    yield "strategy", f"{strategy['name']}{_in_brackets(strategy['options'])}"
    yield "objectives", ", ".join(f"{o['name']} ({o['direction']})" for o in settings["objectives"])
    yield "constraints", ", ".join(settings["constraints"]) or "none"
    yield "budget", _budget(options["budget"])
    yield "seed", str(settings["seed"])
    if training:
        epochs = f"{settings['epochs']} {'epoch' if settings['epochs'] == 1 else 'epochs'} a network"
        yield "training", f"{epochs}; metrics {', '.join(settings['task']['metrics'])}"
        yield "recipe", _recipe(space["definition"].get("recipe") or {})
        deadline = arguments.get("deadline")
        yield "deadline", f"{spell_seconds(deadline)} an evaluation" if deadline else "none"
        yield "device", f"{judge.get('device', options['device'])}{_in_brackets({k: v for k, v in judge.items() if k in _FACTS})}"
    else:
        yield "evaluator", str(settings["evaluator"])
    yield "workers", str(judge.get("workers") or options["workers"] or "one a core")


_FACTS = ("precision", "threads", "torch")


def _data(data: Mapping[str, Any]) -> str:
    shape = " x ".join(map(str, data["input_shape"]))
    images = f"{number(data['training_images'])} training and {number(data['validation_images'])} validation images"
    return f"{data['name']}, {images} of {shape}, {len(data['class_names'])} classes ({data['digest'][:7]})"


def _recipe(changed: Mapping[str, Any]) -> str:
    values = {field.name: changed.get(field.name, field.default) for field in fields(Recipe)}
    return ", ".join(f"{name} {_value(value)}" for name, value in values.items())


def _value(value: object) -> str:
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _budget(budget: Mapping[str, Any]) -> str:
    parts = [f"{number(budget['evaluations'])} evaluations"] if budget["evaluations"] else []
    parts += [f"{number(budget['epochs_total'])} epochs"] if budget["epochs_total"] else []
    parts += [f"{spell_seconds(budget['seconds'])}{' more' if budget['extra'] else ''}"] if budget["seconds"] else []
    return ", ".join(parts) + (" (whichever comes first)" if len(parts) > 1 else "")


def _in_brackets(values: Mapping[str, Any]) -> str:
    return f" ({', '.join(f'{name} {_value(value)}' for name, value in values.items())})" if values else ""
