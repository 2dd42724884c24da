"""`nas scale`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Parameter

from nas.cli.options import Classes, Json, input_shape, print_json
from nas.errors import SpaceError, brief

if TYPE_CHECKING:
    from nas.costs import Cost
    from nas.scaling import Scaling
    from nas.space import Space


def scale(
    network: str,
    /,
    *,
    repeats: Annotated[str, Parameter(allow_leading_hyphen=True)] = "1",
    width: Annotated[str, Parameter(allow_leading_hyphen=True)] = "1",
    sample: int | None = None,
    input: str | None = None,
    classes: Classes = None,
    out: Path | None = None,
    json: Json = False,
) -> None:
    """Stack a found network deeper and make it wider: writes it as a JSON file that goes wherever a network or a space does.

    What repeats is repeated more often: repetitions, cells of a stack, neighbours that are alike; nas list blocks Scaled says how.

    Args:
        network: RUN@ID, RUN@best, RUN@knee, a classic (nas list networks), a JSON file of a space, or a space by name or file.
        repeats: How many times as often each repetition is repeated, such as 3 or 1.5 (rounded up); with several values, such as
            2,3,4, the file is a space in which they are open.
        width: How many times as many channels there are; likewise.
        sample: Draw the network from the space with this seed.
        input: Channels x height x width of the images it is for, such as 3x224x224; as before when left out.
        classes: How many classes there are, likewise.
        out: The JSON file to write; runs/scaled-N.json when left out.
    """
    from nas.costs import cost_of
    from nas.scaling import scaling

    depths, widths = _factors("--repeats", repeats), _factors("--width", width)
    shape = input_shape(input)
    found = scaling(network, _open(depths), _open(widths), sample=sample, input_shape=shape, classes=classes)
    was = cost_of(found.network.graph)
    now = {factors: cost_of(net.graph) for factors, net in found.scaled.items()}
    file = out or _free_file()
    _write(found.space, file)
    if json:
        print_json(_facts(found, was, now, file))
    else:
        print(_words(found, was, list(now.values()), repeats, width))
        _show_repetitions(found)
        print(f"wrote {file}{_next(found, file)}")


def _factors(option: str, text: str) -> tuple[float, ...]:
    """Reads "3", "1.5" or "2,3,4"."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise SpaceError(
            f"{option} {text!r} cannot be read; expected a number such as 3 or 1.5, or several such as 2,3,4"
        ) from None
    return tuple([int(value) if value.is_integer() else value for value in values])


def _open(values: tuple[float, ...]) -> float:
    """Returns one value as it is, several as an open one."""
    from nas.domains import choice

    return values[0] if len(values) == 1 else choice(*values)


def _free_file() -> Path:
    return next(file for n in itertools.count(1) if not (file := Path("runs") / f"scaled-{n}.json").exists())


def _write(space: Space, file: Path) -> None:
    import msgspec

    from nas.files import write_whole
    from nas.library import own_blocks
    from nas.notation import space_to_json

    own = own_blocks(space)
    if own:
        raise SpaceError(
            f"{', '.join(own)}: blocks of somebody's own cannot be read back from a file; in a FILE.py write "
            "space = nas.scale(...), or Space(Scaled(...)), and name that"
        )
    if file.suffix != ".json":
        raise SpaceError(f"--out {brief(str(file))} does not end in .json; expected a JSON file, such as big.json")
    text = msgspec.json.format(space_to_json(space), indent=2).decode() + "\n"
    try:
        if file.parent == Path("runs"):
            file.parent.mkdir(exist_ok=True)
        if file.exists() and file.read_text(encoding="utf-8") != text:
            raise SpaceError(f"{file} exists already and is left as it is; choose another name with --out")
        write_whole(file, text)
    except OSError as problem:
        raise SpaceError(f"{file} cannot be written: {problem.strerror or problem}; choose another place with --out") from None


def _words(found: Scaling, was: Cost, now: Sequence[Cost], repeats: str, width: str) -> str:
    """Returns in one line what the network was and what it is now."""
    parts = [
        f"{label} {getattr(was, field):,} -> {_range([getattr(cost, field) for cost in now])}"
        for label, field in (("params", "params"), ("MACs", "macs"), ("depth", "depth"))
    ]
    return f"{found.network.name}, repeats {repeats}, width {width}: {', '.join(parts)}"


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _show_repetitions(found: Scaling) -> None:
    from nas.lines import aligned

    rows = [
        (few.path, f"{few.before} -> {_range([few.after, many.after])} times")
        for few, many in found.grown
        if {few.after, many.after} != {few.before}
    ]
    if rows:
        print(aligned(rows, indent="  "))


def _next(found: Scaling, file: Path) -> str:
    """Returns what to do with the file."""
    from nas.hints import quoted

    if found.space.decisions():
        return f", a space of {found.space.size()} networks; nas search {quoted(file)} --data DATA"
    return f"; nas show {quoted(file)}"


def _facts(found: Scaling, was: Cost, now: dict[tuple[float, float], Cost], file: Path) -> dict[str, Any]:
    def facts(cost: Cost) -> dict[str, int]:
        return {"params": cost.params, "macs": cost.macs, "depth": cost.depth}

    return {
        "network": found.network.name,
        "was": facts(was),
        "scaled": [
            {"repeats": factors[0], "width": factors[1], **facts(cost), "fingerprint": found.scaled[factors].fingerprint}
            for factors, cost in now.items()
        ],
        "repetitions": [
            {"path": few.path, "was": few.before, "fewest": few.after, "most": many.after} for few, many in found.grown
        ],
        "file": cast("Any", str(file)),
    }
