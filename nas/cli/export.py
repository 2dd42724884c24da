"""`nas export`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from nas.cli.options import Classes, Json, input_shape, print_json


def export(
    network: str,
    out: Path,
    /,
    *,
    sample: int | None = None,
    input: str | None = None,
    classes: Classes = None,
    trust_code: bool = False,
    json: Json = False,
) -> None:
    """Write a network as plain PyTorch source, with its weights beside it, and check that both give the same outputs.

    Args:
        network: RUN@ID, RUN@best, RUN@knee, a classic (nas list networks), a JSON file, or a space by name or file.
        out: The Python file to write.
        sample: Draw the network from the space with this seed.
        input: Channels x height x width of the images, such as 3x32x32; a network with nothing open is made anew for them.
        classes: How many classes there are, likewise.
        trust_code: Let the check execute code that the run or file brings along (operations of somebody's own).
    """
    from nas.addresses import find_network
    from nas.export import export_network

    found = find_network(network, sample=sample, input_shape=input_shape(input), classes=classes)
    exported = export_network(found.found or found.graph, out, trust_code=trust_code)
    if json:
        print_json(asdict(exported))
    else:
        print(exported)
