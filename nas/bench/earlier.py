"""Rows that stand already where a bench is to write its own: whether it may go on with them, and which repeats it can keep."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from nas.bench.about import About, Ground, about_file, read_about
from nas.bench.contestants import Contestant
from nas.bench.from_rows import read_lines
from nas.bench.from_runs import SpaceGround
from nas.bench.setup import SpaceSetup
from nas.errors import RunError
from nas.objectives import constraint

Texts = Mapping[str, Mapping[int, str]]
"""Lines of CSV by strategy and number of the repeat."""

_FIX = "choose another place with --out, or remove what is there"


@dataclass(frozen=True)
class Earlier:
    """What a bench found in its place.

    Attributes:
        about: What the rows mean; None where there are none.
        texts: The lines of each repeat.
    """

    about: About | None = None
    texts: Texts = field(default_factory=dict)

    def going_on(self, about: About) -> About:
        """Returns what the rows mean once those of a bench are added; its strategies stand behind those that are there."""
        if self.about is None:
            return about
        return msgspec.structs.replace(
            about,
            repeats=max(about.repeats, self.about.repeats),
            strategies={**dict.fromkeys(self.texts, ""), **self.about.strategies, **about.strategies},
            folders={**self.about.folders, **about.folders},
            facts={**self.about.facts},
        )


def earlier_rows(rows: Path, head: Sequence[str], about: About, same: Iterable[str]) -> Earlier:
    """Returns what stands where rows are to be written.

    Args:
        rows: The file.
        head: Its columns, as they are to be.
        about: What its rows are to mean.
        same: Which fields of `About` must be equal, beside the seed.

    Raises:
        RunError: When there are rows of another protocol, or nobody knows of which.
        DataError: When the file holds something else.
    """
    if not rows.exists():
        return Earlier()
    there, texts = read_lines(rows)
    before = read_about(rows)
    if before is None:
        raise RunError(f"{rows} is there already, and {about_file(rows).name}, which says what it means, is not; {_FIX}")
    for name in ("seed", *same):
        _check(rows, name, getattr(before, name), getattr(about, name))
    if there != list(head):
        raise RunError(f"{rows} is there already and has other columns than this bench would write; {_FIX}")
    for label, digest in about.strategies.items():
        if before.strategies.get(label, digest) != digest:
            raise RunError(f"{rows} is there already, and {label} has changed since; {_FIX}")
    return Earlier(before, texts)


def check_same_rows(rows: Path, before: About, setup: SpaceSetup) -> None:
    """Refuses a folder of another bench before anything runs there; what only a run knows is looked at after the first one.

    Raises:
        RunError: When the bench in it has another seed, other objectives or constraints.
    """
    _check(rows, "seed", before.seed, setup.seed)
    if isinstance(before.ground, SpaceGround):
        names = [name.removeprefix("searched_") for name in setup.head if name.startswith("searched_")]
        _check(rows, "objectives", [o.name for o in before.ground.objectives], names)
        _check(
            rows,
            "constraints",
            list(before.ground.constraints),
            sorted(constraint(text).text for text in setup.arguments["constraints"]),
        )


def _check(rows: Path, name: str, before: object, now: object) -> None:
    """Refuses what differs; of a ground, the first of its fields that does."""
    if before == now:
        return
    if isinstance(before, Ground) and isinstance(now, Ground) and type(before) is type(now):
        ours, theirs = msgspec.to_builtins(now), msgspec.to_builtins(before)
        name = next(key for key, value in ours.items() if value != theirs[key])
        before, now = theirs[name], ours[name]
    if name == "digest":
        raise RunError(f"{rows} is there already, and its table has changed since; {_FIX}")
    raise RunError(f"{rows} holds rows of another protocol: {name} is {said(name, before)} there, {said(name, now)} here; {_FIX}")


def said(name: str, value: object) -> str:
    """Returns a field of a protocol in words."""
    if name == "objectives" and isinstance(value, list | tuple):
        value = [entry["name"] if isinstance(entry, Mapping) else str(entry) for entry in value]
    found = ", ".join(map(str, value)) if isinstance(value, list | tuple) else "" if value is None else str(value)
    return found or "none"


def digests(who: Iterable[Contestant]) -> dict[str, str]:
    """Returns a digest of the user's file that each strategy is in, by label; blank for those of the package and of modules."""
    files = {one.label: Path(one.name.rpartition(":")[0]) for one in who}
    return {label: digest(file) if file.suffix == ".py" and file.is_file() else "" for label, file in files.items()}


def digest(*files: Path) -> str:
    """Returns the first characters of what tells these files from others."""
    found = hashlib.sha256()
    for file in files:
        found.update(file.read_bytes())
    return found.hexdigest()[:16]


def package_version() -> str:
    """Returns the version of this package; blank where it is not installed."""
    try:
        return version("paretonas")
    except PackageNotFoundError:
        return ""
