"""The settings of a run in words: everything that is in force, the defaults included."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from nas.budget import stored_budget
from nas.lines import aligned, counted, epochs_words, number, spell_seconds
from nas.recipe import Recipe, batches
from nas.schedule import LEAST_STEPS, checked_rungs, fewest_networks, least_epochs


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
    chosen = f"; chosen by auto: {options['chosen']}" if options.get("chosen") else ""
    yield "strategy", f"{strategy['name']}{_in_brackets(strategy['options'])}{chosen}"
    yield "objectives", ", ".join(f"{o['name']} ({o['direction']})" for o in settings["objectives"])
    yield "constraints", ", ".join(settings["constraints"]) or "none"
    if settings.get("start_from"):
        yield "start from", ", ".join(settings["start_from"])
    if settings.get("warm_start"):
        yield "warm start", ", ".join(f"{name} ({words} fit this space)" for name, words in settings["warm_start"]["runs"].items())
    if arguments.get("baselines"):
        yield "baselines", ", ".join(arguments["baselines"])
    if settings.get("prescreen"):
        yield "prescreen", f"{counted(settings['prescreen'], 'candidate')} scored untrained for each proposal"
    yield "budget", str(stored_budget(options["budget"]))
    if arguments.get("folds"):
        yield "trained again", f"near the front, on {arguments['folds']} folds"
    elif arguments.get("train_seeds", 1) > 1:
        yield "trained again", f"near the front, with {counted(arguments['train_seeds'], 'seed')} in all"
    yield "seed", str(settings["seed"])
    if training:
        yield "training", f"{epochs_words(settings['epochs'])}; metrics {', '.join(settings['task']['metrics'])}"
        if raised := options.get("raised_from"):
            an_epoch = f", an epoch of these images is {counted(steps, 'step')}" if (steps := _steps_an_epoch(settings)) else ""
            few = f"fewer than {LEAST_STEPS} steps of the optimiser teach too little{an_epoch}"
            yield "rungs", f"raised from {','.join(map(str, raised))} epochs: {few}"
        if hint := _few_steps(settings):
            yield "epochs", hint
        rungs, evaluations = checked_rungs(settings["epochs"]), stored_budget(options["budget"]).evaluations
        if evaluations is not None and evaluations < (needed := fewest_networks(rungs)):
            too_few = f"{counted(evaluations, 'network')} are too few for one of them to go on to {rungs[-1]} epochs"
            yield "rungs", f"{too_few}; {needed} would do"
        if sizes := settings.get("resolutions"):
            yield "resolutions", f"{','.join(map(str, sizes))} pixels along the longer side"
        yield "recipe", _recipe(space["definition"].get("recipe") or {})
        deadline = arguments.get("deadline")
        yield "deadline", f"{spell_seconds(deadline)} an evaluation" if deadline else "none"
        if judge.get("precision"):
            yield "precision", f"{judge['precision']} ({judge.get('precision_reason') or 'asked for'})"
        yield "device", f"{judge.get('device', options['device'])}{_in_brackets({k: v for k, v in judge.items() if k in _FACTS})}"
    else:
        yield "evaluator", str(settings["evaluator"])
    yield "workers", str(judge.get("workers") or options["workers"] or "one a core")


def _steps_an_epoch(settings: Mapping[str, Any]) -> int:
    """Returns how many steps of the optimiser an epoch is; 0 where there are no data, or batches are of several sizes."""
    batch = (settings["space"]["definition"].get("recipe") or {}).get("batch_size", Recipe().batch_size)
    data = settings["data"]
    return batches(data["training_images"], batch)[0] if data and isinstance(batch, int) else 0


def _few_steps(settings: Mapping[str, Any]) -> str:
    """Returns that even the longest training is too short to learn from, and what would do; empty where it is not."""
    steps, last = _steps_an_epoch(settings), checked_rungs(settings["epochs"])[-1]
    if not steps or steps * last >= LEAST_STEPS:
        return ""
    done = counted(steps * last, "step")
    would_do = f"--epochs {least_epochs(steps)} makes {LEAST_STEPS} of these few images, more are better"
    return f"{done} of the optimiser are next to nothing: {would_do}"


_FACTS = ("threads", "torch", "kernels")


def _data(data: Mapping[str, Any]) -> str:
    shape = " x ".join(map(str, data["input_shape"]))
    images = f"{number(data['training_images'])} training and {counted(data['validation_images'], 'validation image')}"
    return f"{data['name']}, {images} of {shape}, {counted(len(data['class_names']), 'class', 'classes')} ({data['digest'][:7]})"


def _recipe(changed: Mapping[str, Any]) -> str:
    values = {field.name: changed.get(field.name, field.default) for field in fields(Recipe)}
    return ", ".join(f"{name} {_value(value)}" for name, value in values.items())


def _value(value: object) -> str:
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _in_brackets(values: Mapping[str, Any]) -> str:
    return f" ({', '.join(f'{name} {_value(value)}' for name, value in values.items())})" if values else ""
