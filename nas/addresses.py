"""Networks by address: `RUN@id`, `RUN@best`, a classic by name, a space with nothing open, a sample of a space, or a JSON file."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import msgspec

from nas.canonical import canonical
from nas.costs import Cost
from nas.errors import GraphError, NasError, SpaceError, brief, did_you_mean
from nas.found import Found
from nas.graph import Graph, graph_from_json
from nas.library import load_space
from nas.notation import space_from_json
from nas.outline import shape_words
from nas.run import open_run
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

    @cached_property
    def blocks(self) -> Architecture | None:
        """Its blocks: for a network of a run decoded from the space that the run recorded; None where no blocks make it.

        Blocks of somebody's own are in no record.
        """
        if self.architecture is not None or self.found is None:
            return self.architecture
        try:
            space = space_from_json(msgspec.json.encode(self.found.run.settings["space"]["definition"]))
            decoded = space.decode(self.found.genotype)
            return decoded if decoded.fingerprint == self.fingerprint else None
        except (NasError, KeyError):
            return None

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
        address: `RUN@id` (first characters of its fingerprint), `RUN@best`, `RUN@best:params<=50k`, `RUN@knee`, `RUN@NAME` of a
            baseline; a classic network by name; a space by name or file, with nothing open or with `sample`; a JSON file with a
            graph, with a space, or written by `nas show --json`; or the object itself.
        sample: Seed of the genotype drawn from an open space.
        input_shape: `(channels, height, width)`, where the space leaves it to the data. A network with nothing open is made anew
            for them: its first convolution and its last layer adapt.
        classes: Likewise.

    Raises:
        BlockError: When a block cannot be applied to what images of this shape become; names block, path and shape.
        NasError: When there is no such network; names what is near.
    """
    if isinstance(address, Graph):
        return _of_graph("the graph", address, input_shape, classes)
    if isinstance(address, Architecture):
        return _of_architecture("architecture", _aimed(address, input_shape, classes))
    if isinstance(address, Space):
        return _of_space(address.name or "space", address, sample, input_shape, classes)
    text = str(address)
    if "@" in text:
        return _of_run(text, input_shape, classes)
    if text.endswith(".json"):
        stored = _graph_file(Path(text))
        if stored is not None:
            return _of_graph(Path(text).stem, stored, input_shape, classes)
    try:
        space = load_space(text)  # first: a folder may have the name of a classic network
    except NasError:
        if Path(text).is_dir():
            raise SpaceError(f"{text!r} is a folder; name one network of a run as {text}@best, {text}@knee or {text}@ID") from None
        raise
    return _of_space(text, space, sample, input_shape, classes)


_Images = tuple[int, int, int] | None


def _of_run(text: str, input_shape: _Images, classes: int | None) -> Network:
    folder, _, which = text.rpartition("@")
    found = open_run(folder).network(which)
    return replace(_of_graph(f"{folder}@{found.id}", found.graph, input_shape, classes, "stays as the run found it"), found=found)


def _of_graph(
    name: str, graph: Graph, input_shape: _Images, classes: int | None, why: str = "is known by its operations alone"
) -> Network:
    asked = (input_shape or graph.input_shape, graph.output_shape if classes is None else (classes,))
    if asked != (graph.input_shape, graph.output_shape):
        raise SpaceError(
            f"{name} takes images of {shape_words(graph.input_shape)} and gives {shape_words(graph.output_shape)} values; "
            f"it {why}, so it cannot be made for {shape_words(asked[0])} and {shape_words(asked[1])}; "
            "name a space or a classic network instead"
        )
    simple, digest = canonical(graph)
    return Network(name, simple, digest)


def _of_architecture(name: str, architecture: Architecture) -> Network:
    return Network(name, architecture.graph, architecture.fingerprint, architecture)


def _aimed(architecture: Architecture, input_shape: _Images, classes: int | None) -> Architecture:
    """Returns the architecture for other images, where any are given."""
    asked = (
        architecture.input_shape if input_shape is None else input_shape,
        architecture.classes if classes is None else classes,
    )
    if asked == (architecture.input_shape, architecture.classes):
        return architecture
    return replace(architecture, input_shape=asked[0], classes=asked[1])


_SHOWN = frozenset((
    *(field.name for field in fields(Cost)), "name", "weights", "input_shape", "output_shape", "level", "notes", "layers", "graph",
    "fingerprint", "outcome", "metrics", "genotype",
))  # fmt: skip
"""What `nas show --json` writes; all but the graph is read from the graph again."""


def _graph_file(path: Path) -> Graph | None:
    """Returns the graph a JSON file holds, alone or among what `nas show --json` writes; None where it holds a space."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SpaceError(f"{path}: {error.strerror or error}") from None
    try:
        data = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        data = None  # told by whoever reads it as what it was meant to be
    if b'"nodes"' not in text or (isinstance(data, dict) and "body" in data):  # cells of a space have nodes too
        return None
    try:
        return graph_from_json(_bare_graph(text, data))
    except GraphError as error:
        raise GraphError(f"{path}: {error}") from None


def _bare_graph(text: bytes, data: object) -> bytes:
    """Returns the graph's own JSON out of `text`, whose content is `data`; what is no JSON is left to `graph_from_json`."""
    if not isinstance(data, dict) or "graph" not in data:
        return text
    for key in data:
        if key not in _SHOWN:
            raise GraphError(f"unknown key {brief(key)}{did_you_mean(key[:80], _SHOWN)}")
    return msgspec.json.encode(data["graph"])


def _of_space(name: str, space: Space, sample: int | None, input_shape: _Images, classes: int | None) -> Network:
    shape, number = space.input_shape if input_shape is None else input_shape, space.classes if classes is None else classes
    if shape is None or number is None:
        raise SpaceError(f"{name} takes images of any shape; say which with --input 3x32x32 --classes 10")
    if not space.decisions():
        return _of_architecture(name, replace(space, input_shape=shape, classes=number).decode({}))
    bound = space.bind(shape, number)
    if sample is None:
        raise SpaceError(f"{name} is a space of {bound.size():,} genotypes, expected one network; draw one with --sample SEED")
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
