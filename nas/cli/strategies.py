"""`nas list strategies`: what there is, and the settings of each."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from nas.cli.options import print_json
from nas.lines import aligned
from nas.strategies.table import AUTO, AUTO_ABOUT, LEFT_OUT, STRATEGIES, find_strategy, settings_of


def known_strategies() -> dict[str, str]:
    """Returns the strategies by name, each with a line."""
    return {AUTO: AUTO_ABOUT, **{name: entry.about for name, entry in STRATEGIES.items()}}


def list_strategies() -> None:
    """Prints the strategies, and which of Optuna's samplers are none."""
    print(aligned(list(known_strategies().items())))
    print("", "Optuna's samplers that are left out:", aligned(list(LEFT_OUT.items()), indent="  "), sep="\n")


def show_strategy(name: str, json: bool) -> None:
    """Prints what a strategy is and its settings, with types and defaults.

    Args:
        name: `auto`, a name of `STRATEGIES`, or an address of the user's own.
        json: Whether to print JSON.
    """
    if name == AUTO:
        from nas import chosen

        about, settings = _rule(chosen.__doc__ or ""), dict[str, dict[str, Any]]()
    else:
        made = find_strategy(name)
        about, settings = _summary(made), _settings(made)
    if json:
        print_json({"name": name, "about": about, "settings": settings})
        return
    rows = [(key, f"= {s['default']}" if s["default"] else "", s["type"], s["about"]) for key, s in settings.items()]
    print(name, *([aligned(rows, indent="  ")] if rows else []), "", about, sep="\n")


def _rule(doc: str) -> str:
    """Returns a module's text below its first line."""
    return inspect.cleandoc(doc.partition("\n")[2]).strip()


def _summary(made: Callable[..., Any]) -> str:
    """Returns a docstring above its arguments; what a dataclass writes by itself is none."""
    doc = inspect.cleandoc(made.__doc__ or "")
    return "" if doc.startswith(f"{getattr(made, '__name__', '')}(") else re.split(r"\n\s*Args:\n", doc)[0].strip()


def _settings(made: Callable[..., Any]) -> dict[str, dict[str, Any]]:
    """Returns the settings of a strategy by name: type, default, and what its docstring says of it."""
    lines = _arguments(inspect.cleandoc(made.__doc__ or ""))
    return {
        f"{'**' if p.kind is p.VAR_KEYWORD else ''}{name}": {
            "type": "" if p.annotation is p.empty else inspect.formatannotation(p.annotation).strip("'"),
            "default": "" if p.default is p.empty else repr(p.default),
            "about": lines.get(name, ""),
        }
        for name, p in settings_of(made).items()
    }


_ARGUMENT = re.compile(r"^    (\w+): (.*)$")


def _arguments(doc: str) -> dict[str, str]:
    """Returns what the `Args:` of a docstring say, by name, on one line each."""
    found: dict[str, str] = {}
    name = ""
    for line in doc.partition("Args:\n")[2].splitlines():
        if match := _ARGUMENT.match(line):
            name, found[match[1]] = match[1], match[2]
        elif name and line.startswith("        "):
            found[name] += f" {line.strip()}"
        else:
            break
    return found
