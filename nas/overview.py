"""What is open in a space, in rows and as JSON. Draws no network."""

from __future__ import annotations

import json
import re
from typing import Any

from nas.domains import Domain
from nas.lines import number
from nas.notation import space_to_json
from nas.space import Space

_REPETITION = re.compile(r"\[\d+\]")


def space_facts(space: Space) -> list[tuple[str, str]]:
    """Returns name and value of what the space is for and how large it is."""
    size = space.size()
    shape = "taken from the data" if space.input_shape is None else " x ".join(map(str, space.input_shape))
    return [
        ("space", space.name or "without a name"),
        ("input", shape),
        ("classes", "taken from the data" if space.classes is None else str(space.classes)),
        ("border", space.border),
        ("genotypes", f"{size:,}" if isinstance(size, int) else "without end (a real number is open)"),
        ("decisions", number(len(space.decisions()))),
    ]


def open_values(space: Space) -> dict[str, Domain]:
    """Returns every decision with its domain; those of the repetitions of one block stand once, their number as `[*]`."""
    return {_REPETITION.sub("[*]", path): domain for path, domain in space.decisions().items()}


def space_json(space: Space) -> dict[str, Any]:
    """Returns what `nas show SPACE --json` prints; an endless number of genotypes is None."""
    size = space.size()
    return {
        "name": space.name,
        "input_shape": space.input_shape,
        "classes": space.classes,
        "border": space.border,
        "genotypes": size if isinstance(size, int) else None,
        "decisions": {path: repr(domain) for path, domain in open_values(space).items()},
        "definition": json.loads(space_to_json(space)),
    }
