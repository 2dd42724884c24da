"""`nas list`."""

from __future__ import annotations

from typing import Literal

from nas.cli.options import Json, print_json
from nas.lines import aligned

Kind = Literal["strategies", "spaces", "networks", "data", "objectives", "blocks"]


def list_(kind: Kind, /, *, json: Json = False) -> None:
    """List what can be named.

    Args:
        kind: What to list.
    """
    known = _known(kind)
    if json:
        print_json(known)
    elif known:
        print(aligned(list(known.items())))
    else:
        print(f"no {kind} are shipped; those of your own are named by their file")


def _known(kind: Kind) -> dict[str, str]:
    """Returns names with a line about each."""
    match kind:
        case "strategies":
            from nas.strategies.table import STRATEGIES

            return {name: entry.about for name, entry in STRATEGIES.items()}
        case "spaces" | "networks":
            from nas.addresses import known_networks
            from nas.library import spaces

            closed = known_networks()
            return {name: about for name, about in spaces().items() if (name in closed) == (kind == "networks")}
        case "data":
            from nas.data import DATA_SETS

            return dict(DATA_SETS)
        case "objectives":
            from nas.objectives import OBJECTIVES

            return {
                o.name: f"{o.direction}, {'exact' if o.exact else 'measured'}, {o.unit}: {o.about}" for o in OBJECTIVES.values()
            }
        case "blocks":
            from nas.blocks import BLOCKS

            return {name: (block.__doc__ or "").strip().splitlines()[0] for name, block in BLOCKS.items()}
