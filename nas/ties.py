"""Decisions as matching carries them along: those of shared names and tied repetitions may be met again at another place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nas.blocks.base import Block, join_path
from nas.blocks.structure import Maybe, OneOf, Shared
from nas.domains import Value, identity

Decisions = Mapping[str, Value]


def options(block: OneOf | Maybe | Shared, path: str, ties: Decisions) -> Iterator[tuple[Decisions, Block | None, str]]:
    """Yields what may stand in the place of a block that only stands for others: the decision, the block or None, its path."""
    found: list[tuple[dict[str, Value], Block | None, str]]
    if isinstance(block, OneOf):
        found = [({join_path(path, "block"): label}, option, join_path(path, label)) for label, option in block.options.items()]
    elif isinstance(block, Maybe):
        at = join_path(path, "present")
        found = [({at: False}, None, path), ({at: True}, block.body, join_path(path, block.body.segment))]
    else:
        found = [({}, block.body, f"@{block.key}")]
    yield from (option for option in found if agree(ties, option[0]))


def standing(block: object, path: str, ties: Decisions) -> Iterator[tuple[Decisions, object, str]]:
    """Yields what may stand in a place in the end, through options within options."""
    if not isinstance(block, OneOf | Maybe | Shared):
        yield {}, block, path
        return
    for chosen, option, place in options(block, path, ties):
        if option is None:
            yield chosen, None, place
        else:
            yield from (({**chosen, **more}, last, at) for more, last, at in standing(option, place, ties))


def is_tied(path: str) -> bool:
    """Returns whether decisions at this path may be met again at another place of the network."""
    return path.startswith("@") or "[*]" in path


def carried(decided: Decisions, path: str) -> Decisions:
    """Returns the decisions of the block at `path` that may be met again behind it."""
    return decided if is_tied(path) else {at: value for at, value in decided.items() if at.startswith("@")}


def moved(decided: Decisions, old: str, new: str) -> Decisions:
    """Returns decisions below one path as decisions below another; shared ones stay."""
    if old == new:
        return decided
    return {at if at.startswith("@") else new + at[len(old) :]: value for at, value in decided.items()}


def key_of(decided: Decisions) -> frozenset[object]:
    """Returns a hashable stand-in that is equal for decisions that are the same, types included."""
    return frozenset([(at, identity(value)) for at, value in decided.items()])


def agree(ties: Decisions, chosen: Decisions) -> bool:
    """Returns whether no decision contradicts one already taken."""
    return all(at not in ties or identity(ties[at]) == identity(value) for at, value in chosen.items())
