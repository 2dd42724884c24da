"""What the rows of the record mean: plain values in, plain values out. This module writes nothing by itself.

Genotypes, graphs, sources and curves of one run resemble each other closely. Each is compressed against the first of its kind
in the run, which makes them five to ten times smaller than text; everything else is JSON that the `sqlite3` command shows.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import msgspec

from nas.domains import Genotype, Value
from nas.errors import RunError
from nas.measurement import Measurement, Outcome


@dataclass(frozen=True)
class NetworkRow:
    """One network: what it is, whoever proposed it.

    Attributes:
        fingerprint: Its identity.
        costs: Its exact costs by name.
        graph: The simplified graph as JSON text.
        source: The module's text, None where none was generated for training.
    """

    fingerprint: str
    costs: Mapping[str, float]
    graph: bytes
    source: str | None = None


@dataclass(frozen=True)
class ProposalRow:
    """One proposal, committed before its evaluation starts.

    Attributes:
        id: Its number, from 0.
        fingerprint: The network it decodes to.
        recipe: Digest of the closed recipe, see `recipe_digest`.
        genotype: Its decisions.
        parents: Numbers of the proposals it was made from.
        operator: How it was made.
        inherit_from: Number of the proposal whose weights it starts from, if any.
        aligned: Path of a block to its path in that one's network, where the two differ.
        notes: What the strategy asked to keep.
        seen: How many trials had ended when it was made; with the order of endings this says what was pending, too.
        rejected: How many candidates were refused before it, by reason.
        repeat_of: Number of the proposal that was evaluated with the same key, if any.
        created: When, in seconds since 1970.
        finished: Its place in the order of endings, from 0; None while pending.
        faults: How many starts broke down by a fault of their own (not killed from outside) while it was in flight.
    """

    id: int
    fingerprint: str
    recipe: str
    genotype: Genotype
    parents: tuple[int, ...] = ()
    operator: str = "sample"
    inherit_from: int | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    seen: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    repeat_of: int | None = None
    created: float = 0.0
    finished: int | None = None
    faults: int = 0
    aligned: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationRow:
    """One training segment that ended. Its key is (fingerprint, recipe, data, seed) and the epochs.

    Attributes:
        proposal: Number of the proposal it was run for.
        fingerprint: The network.
        recipe: Digest of the closed recipe.
        data: Digest of the data with its split.
        seed: Seed of the training.
        from_epoch: Epochs trained before this segment.
        to_epoch: Epochs trained after it.
        measurement: What came out.
        ended: When, in seconds since 1970.
    """

    proposal: int
    fingerprint: str
    recipe: str
    data: str
    seed: int
    from_epoch: int
    to_epoch: int
    measurement: Measurement
    ended: float = 0.0


@dataclass(frozen=True)
class BaselineRow:
    """A known network, trained under the run's own recipe to be compared with what the search finds.

    Attributes:
        name: The address it was asked for by.
        fingerprint: The network.
        recipe: Digest of the closed recipe.
        measurement: What came out.
        ended: When, in seconds since 1970.
    """

    name: str
    fingerprint: str
    recipe: str
    measurement: Measurement
    ended: float = 0.0


class Packer:
    """Compresses texts of one kind against the first of that kind in the run (raw deflate with a preset dictionary)."""

    def __init__(self, connection: sqlite3.Connection, *, writable: bool = False) -> None:
        self._connection = connection
        self._writable = writable
        self._known: dict[str, bytes] = {
            kind: zlib.decompress(text) for kind, text in connection.execute("SELECT kind, text FROM dictionaries")
        }

    def pack(self, kind: str, text: bytes) -> bytes:
        """Returns the compressed text; the first of a kind becomes the dictionary of that kind."""
        if kind not in self._known and self._writable:
            self._known[kind] = text[-32768:]
            self._connection.execute("INSERT INTO dictionaries VALUES (?, ?)", (kind, zlib.compress(self._known[kind])))
        press = zlib.compressobj(3, zlib.DEFLATED, -15, zdict=self._known[kind])  # 6: a tenth smaller, takes half as long again
        return press.compress(text) + press.flush()

    def unpack(self, kind: str, packed: bytes) -> bytes:
        """Returns the text again."""
        return zlib.decompressobj(-15, zdict=self._known[kind]).decompress(packed)


_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


def recipe_text(recipe: object) -> str:
    """Returns a closed recipe as JSON with sorted keys; None is no recipe.

    Raises:
        RunError: When a field is still open or is no plain value.
    """
    plain = {f.name: getattr(recipe, f.name) for f in fields(recipe)} if is_dataclass(recipe) else recipe
    try:
        return json.dumps(plain, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as problem:
        raise RunError(f"recipe {recipe!r} cannot be recorded: {problem}; expected plain values in all fields") from None


def recipe_digest(recipe: object) -> str:
    """Returns 16 hex digits that stand for a closed recipe."""
    return hashlib.sha256(recipe_text(recipe).encode()).hexdigest()[:16]


def pack_genotype(genotype: Genotype) -> bytes:
    """Returns a genotype as JSON text, in the order of its decisions.

    Raises:
        RunError: When a value is none that a decision may have.
    """
    try:
        return msgspec.json.encode(genotype)
    except TypeError as problem:
        raise RunError(f"genotype {dict(genotype)!r} cannot be recorded: {problem}; expected plain values") from None


def unpack_genotype(text: bytes) -> dict[str, Value]:
    """Returns the genotype again; see `plain_genotype`."""
    return plain_genotype(msgspec.json.decode(text))


def plain_genotype(decisions: Mapping[str, Any]) -> dict[str, Value]:
    """Returns a genotype as it was before it became JSON, whose lists were tuples."""
    return {path: _tuples(value) for path, value in decisions.items()}


def plain_json(value: Mapping[str, Any], what: str) -> str:
    """Returns a strategy's or an evaluator's mapping as JSON.

    Raises:
        RunError: When it holds something JSON has no word for, NaN included.
    """
    try:
        return _ENCODER.encode(value) if value else "{}"
    except (TypeError, ValueError) as problem:
        raise RunError(f"{what} cannot be recorded: {problem}; expected plain JSON without NaN") from None


def read_networks(connection: sqlite3.Connection, fingerprint: str | None = None) -> Iterator[NetworkRow]:
    """Reads the networks in the order in which they were first proposed, or one of them.

    Args:
        connection: An open record.
        fingerprint: The one network that is wanted; None for all.
    """
    packer = Packer(connection)
    for key, costs, graph, source in connection.execute(
        "SELECT fingerprint, costs, graph, source FROM networks WHERE ?1 IS NULL OR fingerprint = ?1 ORDER BY id", (fingerprint,)
    ):
        text = None if source is None else packer.unpack("source", source).decode()
        yield NetworkRow(key, json.loads(costs), packer.unpack("graph", graph), text)


def read_costs(connection: sqlite3.Connection) -> dict[str, dict[str, float]]:
    """Reads the exact costs of all networks, by fingerprint, and unpacks nothing else."""
    rows = connection.execute("SELECT fingerprint, costs FROM networks ORDER BY id")
    return {fingerprint: msgspec.json.decode(costs) for fingerprint, costs in rows}


def read_recipes(connection: sqlite3.Connection) -> dict[str, Any]:
    """Reads the closed recipes, by digest."""
    return {digest: json.loads(recipe) for digest, recipe in connection.execute("SELECT digest, recipe FROM recipes ORDER BY id")}


def read_proposals(connection: sqlite3.Connection) -> Iterator[ProposalRow]:
    """Reads the proposals by number."""
    packer = Packer(connection)
    for row in connection.execute(
        "SELECT p.id, n.fingerprint, r.digest, genotype, parents, operator, inherit_from, notes, seen, rejected, repeat_of,"
        " created, finished, faults, aligned FROM proposals p JOIN networks n ON n.id = p.network JOIN recipes r ON r.id = p.recipe"
        " ORDER BY p.id"
    ):
        number, fingerprint, recipe, genotype, parents, operator, inherit, notes, seen, rejected, repeat, *rest = row
        created, finished, faults, aligned = rest
        yield ProposalRow(
            number,
            fingerprint,
            recipe,
            unpack_genotype(packer.unpack("genotype", genotype)),
            tuple(msgspec.json.decode(parents)),
            operator,
            inherit,
            json.loads(notes),
            seen,
            msgspec.json.decode(rejected),
            repeat,
            created,
            finished,
            faults,
            msgspec.json.decode(aligned),
        )


def read_evaluations(connection: sqlite3.Connection) -> Iterator[EvaluationRow]:
    """Reads the training segments in the order in which they ended."""
    packer = Packer(connection)
    for row in connection.execute(
        "SELECT proposal, n.fingerprint, r.digest, data, seed, from_epoch, to_epoch, outcome, metrics, curve, error, checkpoint,"
        " seconds, ended, importances, inherited FROM evaluations e JOIN networks n ON n.id = e.network"
        " JOIN recipes r ON r.id = e.recipe ORDER BY e.id"
    ):
        proposal, fingerprint, recipe, data, seed, first, last, outcome, metrics, curve, error, checkpoint, *rest = row
        seconds, ended, importances, inherited = rest
        measurement = Measurement(
            outcome=Outcome(outcome),
            metrics=msgspec.json.decode(metrics),
            curve=tuple(msgspec.json.decode(packer.unpack("curve", curve))) if curve else (),
            epochs=last,
            seconds=seconds,
            error=error,
            checkpoint=checkpoint,
            importances=msgspec.json.decode(packer.unpack("importances", importances)) if importances else {},
            inherited=inherited,
        )
        yield EvaluationRow(proposal, fingerprint, recipe, data, seed, first, last, measurement, ended)


def read_baselines(connection: sqlite3.Connection) -> Iterator[BaselineRow]:
    """Reads the baselines in the order in which they ended."""
    packer = Packer(connection)
    for name, fingerprint, recipe, outcome, metrics, curve, error, epochs, seconds, ended in connection.execute(
        "SELECT name, n.fingerprint, r.digest, outcome, metrics, curve, error, epochs, seconds, ended FROM baselines b"
        " JOIN networks n ON n.id = b.network JOIN recipes r ON r.id = b.recipe ORDER BY ended, name"
    ):
        measurement = Measurement(
            outcome=Outcome(outcome),
            metrics=msgspec.json.decode(metrics),
            curve=tuple(msgspec.json.decode(packer.unpack("curve", curve))) if curve else (),
            epochs=epochs,
            seconds=seconds,
            error=error,
        )
        yield BaselineRow(name, fingerprint, recipe, measurement, ended)


def _tuples(value: Any) -> Value:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
