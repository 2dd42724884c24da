"""`nas show`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nas.cli.options import Classes, Json, input_shape, print_json
from nas.errors import SpaceError

if TYPE_CHECKING:
    from nas.addresses import Network
    from nas.found import Found
    from nas.space import Space

Level = Literal["stage", "block", "operation"]


def show(
    network: str,
    /,
    *,
    level: Level = "block",
    sample: int | None = None,
    contains: str | None = None,
    input: str | None = None,
    classes: Classes = None,
    source: bool = False,
    svg: Path | None = None,
    json: Json = False,
) -> int:
    """Show a network layer by layer, or what is open in a space.

    Args:
        network: RUN@ID, RUN@best, RUN@knee, a classic (nas list networks), a JSON file, or a space by name or file.
        level: One row for each stage, block or operation.
        sample: Draw one network from the space with this seed, and show that.
        contains: Say whether the space contains this network, and by which decisions; exit code 1 where it does not.
        input: Channels x height x width of the images, such as 3x32x32; a network with nothing open is made anew for them.
        classes: How many classes there are, likewise.
        source: Print the network as Python source instead.
        svg: Draw the network into this file too.
    """
    from nas.addresses import find_network

    shape = input_shape(input)
    if contains is not None:
        return _contained(network, contains, shape, classes, json)
    space = _open_space(network) if sample is None else None
    if space is not None:
        _show_space(space, json)
        return 0
    found = find_network(network, sample=sample, input_shape=shape, classes=classes)
    if svg is not None:
        _draw(found, svg, level)
    if source:
        _show_source(found)
    else:
        _show_table(found, level, json)
    return 0


def _open_space(address: str) -> Space | None:
    """Returns the space at an address, None where that is one network."""
    from nas.library import load_space, spaces

    stored = address.endswith(".json")
    if "@" in address or not (address in spaces() or ".py" in address or ":" in address or stored):
        return None
    try:
        space = load_space(address)
    except SpaceError:
        if stored:  # a graph, or nothing that can be read: told by whoever looks for a network
            return None
        raise
    return space if space.decisions() else None


def _show_space(space: Space, json: bool) -> None:
    from nas.lines import aligned
    from nas.overview import open_values, space_facts, space_json

    if json:
        print_json(space_json(space))
        return
    rows = [(path, repr(domain)) for path, domain in open_values(space).items()]
    print(aligned(space_facts(space)), "", aligned([("decision", "values"), *rows]), sep="\n")


def _contained(space: str, network: str, shape: tuple[int, int, int] | None, classes: int | None, json: bool) -> int:
    from nas.addresses import find_network
    from nas.library import load_space
    from nas.lines import aligned

    opened = load_space(space)
    net = find_network(network, input_shape=shape or opened.input_shape, classes=classes or opened.classes).blocks
    if net is None:
        raise SpaceError(f"{network} is known by its operations alone; --contains compares blocks: name a space with nothing open")
    reason = opened.why_not(net)
    genotype = None if reason else opened.encode(net)
    if json:
        print_json({"contains": not reason, "reason": reason, "genotype": genotype})
    elif genotype is None:
        print(f"no: {reason}")
    else:
        rows = [(path, repr(value)) for path, value in genotype.items()]
        print("yes, with these decisions:" if rows else "yes", *([aligned(rows, indent="  ")] if rows else []), sep="\n")
    return 1 if reason else 0


def _show_table(found: Network, level: Level, json: bool) -> None:
    from nas.table import WIDTH, table_json, table_text

    if json:
        print_json({**table_json(found.graph, found.name, level), "fingerprint": found.fingerprint, **_measured(found)})
        return
    width = max(WIDTH, shutil.get_terminal_size().columns) if sys.stdout.isatty() else None
    print(table_text(found.graph, found.name, level, width), end="")
    print(f"fingerprint {found.fingerprint}")
    if found.found is not None:
        _show_record(found.found)


def _show_record(found: Found) -> None:
    """Prints what a run knows of a network beyond its graph."""
    from nas.certainty import training_rows
    from nas.lines import aligned, counted

    result = found.measurement
    epochs = f" after {counted(result.epochs, 'epoch')}" if result else ""
    print(f"outcome {result.outcome}{epochs}{f': {result.error}' if result.error else ''}" if result else "outcome pending")
    if result:
        print(aligned(list(result.metrics.items()), indent="  "))
    if trainings := training_rows(found.run, found.fingerprint):
        print("trained again", aligned(trainings, indent="  "), sep="\n")
    print("genotype", aligned([(path, repr(value)) for path, value in found.genotype.items()], indent="  "), sep="\n")


def _measured(found: Network) -> dict[str, Any]:
    """Returns the same as JSON."""
    if found.found is None:
        return {}
    from nas.certainty import training_rows

    result = found.found.measurement
    metrics = dict(result.metrics) if result else {}
    head, *rows = training_rows(found.found.run, found.found.fingerprint) or [[]]
    trainings = {"trainings": [dict(zip(head, row, strict=True)) for row in rows]} if rows else {}
    outcome = str(result.outcome) if result else "pending"
    return {"outcome": outcome, "metrics": metrics, **trainings, "genotype": dict(found.found.genotype)}


def _show_source(found: Network) -> None:
    from nas.source import write_source

    print(found.found.source if found.found else write_source(found.graph), end="")


def _draw(found: Network, path: Path, level: Level) -> None:
    from nas.picture import draw_svg

    try:
        path.write_text(draw_svg(found.graph, level, title=found.name), encoding="utf-8")
    except OSError as problem:
        raise SpaceError(f"{path} cannot be written: {problem.strerror}") from None
