"""Networks by address: `RUN@id`, `RUN@best`, `RUN@knee`, a space with nothing open, a sample of a space, or a JSON file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from nas.canonical import canonical
from nas.errors import GraphError, NasError, SpaceError, UnknownNameError
from nas.graph import Graph, graph_from_json
from nas.library import load_space, spaces
from nas.run import Found, open_run
from nas.space import Architecture, Space


@dataclass(frozen=True)
class Network:
    """A network and what is known of it.

    Attributes:
        name: For people: the address it was asked for by, or `RUN@id`.
        graph: Simplified, in canonical order.
        fingerprint: Its identity.
        architecture: Its blocks, where they are known.
        found: Its row, where it comes from a run.
    """

    name: str
    graph: Graph
    fingerprint: str
    architecture: Architecture | None = None
    found: Found | None = None

    @property
    def written(self) -> Graph:
        """The graph as its blocks write it, dead parts included; the simplified one where the blocks are not known."""
        return self.graph if self.architecture is None else self.architecture.written


def find_network(
    address: str | Path | Space | Architecture | Graph,
    *,
    sample: int | None = None,
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
) -> Network:
    """Returns the network at an address.

    Args:
        address: `RUN@id` (first characters of its fingerprint), `RUN@best`, `RUN@best:params<=50k`, `RUN@knee`; a space by
            name or file, with nothing open or with `sample`; a JSON file with a graph or a space; or the object itself.
        sample: Seed of the genotype drawn from an open space.
        input_shape: `(channels, height, width)`, where the space leaves it to the data.
        classes: Likewise.

    Raises:
        NasError: When there is no such network; names what is near.
    """
    if isinstance(address, Graph):
        return _of_graph("graph", address)
    if isinstance(address, Architecture):
        return _of_architecture("architecture", address)
    if isinstance(address, Space):
        return _of_space(address.name or "space", address, sample, input_shape, classes)
    text = str(address)
    if "@" in text:
        return _of_run(text)
    if text.endswith(".json"):
        stored = _graph_file(Path(text))
        if stored is not None:
            return _of_graph(Path(text).stem, stored)
    if Path(text).is_dir():
        raise SpaceError(f"{text!r} is a folder; name one network of a run as {text}@best, {text}@knee or {text}@ID")
    try:
        space = load_space(text)
    except UnknownNameError as error:
        raise UnknownNameError("network or space", text, error.known) from None
    return _of_space(text, space, sample, input_shape, classes)


def _of_run(text: str) -> Network:
    folder, _, which = text.rpartition("@")
    found = open_run(folder).network(which)
    return replace(_of_graph(f"{folder}@{found.id}", found.graph), found=found)


def _of_graph(name: str, graph: Graph) -> Network:
    simple, digest = canonical(graph)
    return Network(name, simple, digest)


def _of_architecture(name: str, architecture: Architecture) -> Network:
    return Network(name, architecture.graph, architecture.fingerprint, architecture)


def _graph_file(path: Path) -> Graph | None:
    """Returns the graph a JSON file holds, or None where it holds something else (a space)."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SpaceError(f"{path}: {error.strerror or error}") from None
    if b'"nodes"' not in text:
        return None
    try:
        return graph_from_json(text)
    except GraphError as error:
        raise GraphError(f"{path}: {error}") from None


def _of_space(
    name: str, space: Space, sample: int | None, input_shape: tuple[int, int, int] | None, classes: int | None
) -> Network:
    shape, number = space.input_shape or input_shape, space.classes or classes
    if shape is None or number is None:
        raise SpaceError(f"{name} takes images of any shape; say which with --input 3x32x32 --classes 10")
    bound = space.bind(input_shape or shape, classes or number)
    if sample is None:
        if bound.decisions():
            raise SpaceError(f"{name} is a space of {bound.size():,} genotypes, expected one network; draw one with --sample SEED")
        return _of_architecture(name, bound.decode({}))
    return _sampled(name, bound, sample)


def _sampled(name: str, space: Space, seed: int) -> Network:
    import numpy as np

    rng = np.random.default_rng(seed)
    reason: NasError | None = None
    for _ in range(1000):
        try:
            return _of_architecture(f"{name} (sample {seed})", space.decode(space.sample(rng)))
        except NasError as error:
            reason = reason or error
    raise SpaceError(f"{name}: none of 1000 samples is valid; the first fails so: {reason}")


def known_networks() -> tuple[str, ...]:
    """Returns the names of shipped definitions with nothing open."""
    return tuple(name for name in spaces() if not load_space(name).decisions())
