"""`nas list`."""

from __future__ import annotations

import inspect
import re
from typing import Any, Literal

from nas.cli.options import Json, print_json
from nas.errors import NasError, UnknownNameError
from nas.lines import aligned

Kind = Literal["strategies", "spaces", "networks", "data", "objectives", "blocks"]


def list_(kind: Kind, name: str | None = None, /, *, json: Json = False) -> None:
    """List what can be named.

    Args:
        kind: What to list.
        name: One of the blocks: its arguments with their defaults; or one of the strategies: its settings.
    """
    if name is not None:
        _show(kind, name, json)
        return
    if kind == "networks":
        _list_networks(json)
        return
    if kind == "strategies" and not json:
        from nas.cli.strategies import list_strategies

        list_strategies()
        return
    known = _known(kind)
    if json:
        print_json(known)
    else:
        print(aligned(list(known.items())))


def _show(kind: Kind, name: str, json: bool) -> None:
    """Prints one of a kind."""
    if kind == "strategies":
        from nas.cli.strategies import show_strategy

        show_strategy(name, json)
    elif kind == "blocks":
        _show_block(name, json)
    else:
        fix = "blocks and strategies are shown one by one: nas list blocks Conv"
        raise NasError(f"nas list {kind} takes no name, got {name!r}; {fix}")


def _show_block(name: str, json: bool) -> None:
    """Prints what a block is written with."""
    from nas.blocks import BLOCKS

    if name not in BLOCKS:
        other = next((block for block in BLOCKS if block.lower() == name.lower()), "")
        raise UnknownNameError("block", name, BLOCKS, other=other)
    block = BLOCKS[name]
    arguments = {f"{'*' if a.kind is a.VAR_POSITIONAL else ''}{a.name}": a for a in inspect.signature(block).parameters.values()}
    defaults = {key: "" if a.default is a.empty else _written(a.default) for key, a in arguments.items()}
    about = inspect.cleandoc(block.__doc__ or "")
    if json:
        print_json({"name": name, "arguments": defaults, "about": about})
        return
    rows = [(key, f"= {value}" if value else "", str(arguments[key].annotation)) for key, value in defaults.items()]
    print(name, aligned(rows, indent="  "), "", about, sep="\n")


def _written(default: object) -> str:
    """Returns a default as people write it: an empty block stands where a nested one is left out."""
    from nas.blocks import Block

    return type(default).__name__ + "()" if isinstance(default, Block) else repr(default)


_TITLE = re.compile(r', "[^"]*"')


def _list_networks(json: bool) -> None:
    """Prints the classic networks with what they cost for the images of their papers."""
    from nas.outline import shape_words

    known = _networks()
    if json:
        print_json(known)
        return
    rows = [
        (name, about["params"], about["macs"], shape_words(about["input_shape"]), _TITLE.sub("", about["paper"]))
        for name, about in known.items()
    ]
    print(aligned([("network", "params", "MACs", "input", "paper"), *rows]))


def _networks() -> dict[str, dict[str, Any]]:
    from nas.addresses import find_network
    from nas.costs import cost_of
    from nas.library import networks, papers

    known, about = {}, papers()
    for name, space in networks().items():
        graph = find_network(space).graph
        cost = cost_of(graph)
        known[name] = {
            "params": cost.params,
            "macs": cost.macs,
            "input_shape": graph.input_shape,
            "classes": space.classes,
            "paper": about[name].rstrip("."),
        }
    return known


def _known(kind: Literal["strategies", "spaces", "data", "objectives", "blocks"]) -> dict[str, str]:
    """Returns names with a line about each."""
    match kind:
        case "strategies":
            from nas.cli.strategies import known_strategies

            return known_strategies()
        case "spaces":
            from nas.library import spaces

            return spaces()
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
