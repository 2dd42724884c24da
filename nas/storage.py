"""Rows in the database, written and read side by side: a column has its place here alone. This module opens and commits nothing.

Genotypes, graphs, sources and curves of one run resemble each other closely. Each is compressed against the first of its kind
in the run, which makes them five to ten times smaller than text; everything else is JSON that the `sqlite3` command shows.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from nas.again import Plan, plan_from_json
from nas.domains import Genotype, Value
from nas.errors import RunError
from nas.measurement import Measurement, Outcome
from nas.rows import (
    BaselineRow,
    EvaluationRow,
    NetworkRow,
    PromotionRow,
    ProposalRow,
    Scored,
    ScreeningRow,
    plain_genotype,
    plain_json,
)

Statement = tuple[str, tuple[Any, ...]]
"""SQL, and the values for its question marks."""
Pack = Callable[[str, bytes], bytes]
"""Compresses a text of a kind; see `Packer.pack`."""
Ids = Mapping[str, int]
"""Id in the database by fingerprint or digest."""

PLAN = "trained again"
"""Under this key of the table `meta` stands which networks are trained again."""

_ERROR = 500  # characters kept of an error

_PROPOSAL = "genotype, parents, operator, inherit_from, notes, seen, rejected, repeat_of, created, finished, faults, aligned"
_EVALUATION = "data, seed, from_epoch, to_epoch, checkpoint, importances, inherited"
_PROMOTION = "id, proposal, from_epoch, to_epoch, seen, created, faults"
_MEASURED = "outcome, metrics, curve, error, seconds, ended"


def _insert(table: str, columns: str, verb: str = "INSERT") -> str:
    return f"{verb} INTO {table} ({columns}) VALUES ({', '.join('?' for _ in columns.split(','))})"


def _select(columns: str, table: str, order: str = "t.id", where: str = "TRUE") -> str:
    """Returns what reads rows with the fingerprints and digests that they refer to."""
    joined = f"{table} t JOIN networks n ON n.id = t.network JOIN recipes r ON r.id = t.recipe"
    return f"SELECT {columns} FROM {joined} WHERE {where} ORDER BY {order}"  # noqa: S608 - all its words are written in this module


_INSERT_NETWORK = _insert("networks", "fingerprint, costs, graph")
_INSERT_PROPOSAL = _insert("proposals", f"id, network, recipe, {_PROPOSAL}")
_SELECT_PROPOSALS = _select(f"t.id, n.fingerprint, r.digest, {_PROPOSAL}", "proposals", where="?1 IS NULL OR t.id = ?1")
_INSERT_PROMOTION = _insert("promotions", _PROMOTION)
_INSERT_EVALUATION = _insert("evaluations", f"proposal, network, recipe, {_EVALUATION}, {_MEASURED}")
_SELECT_EVALUATIONS = _select(f"proposal, n.fingerprint, r.digest, {_EVALUATION}, {_MEASURED}", "evaluations")
_INSERT_BASELINE = _insert("baselines", f"name, network, recipe, epochs, {_MEASURED}", "INSERT OR REPLACE")
_SELECT_BASELINES = _select(f"name, n.fingerprint, r.digest, epochs, {_MEASURED}", "baselines", order="ended, name")


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


# ---- networks and recipes


def insert_network(row: NetworkRow, pack: Pack) -> Statement:
    """Returns what adds a network, without its source."""
    return _INSERT_NETWORK, (row.fingerprint, plain_json(row.costs, "costs"), pack("graph", row.graph))


def update_source(fingerprint: str, source: str, pack: Pack) -> Statement:
    """Returns what adds the source of a network."""
    return "UPDATE networks SET source = ? WHERE fingerprint = ?", (pack("source", source.encode()), fingerprint)


def read_networks(connection: sqlite3.Connection, fingerprints: Iterable[str] | None = None) -> Iterator[NetworkRow]:
    """Reads the networks in the order in which they were first proposed, or some of them.

    Args:
        connection: An open record.
        fingerprints: Those that are wanted; None for all.
    """
    packer, some = Packer(connection), None if fingerprints is None else json.dumps(list(fingerprints))
    for key, costs, graph, source in connection.execute(
        "SELECT fingerprint, costs, graph, source FROM networks"
        " WHERE ?1 IS NULL OR fingerprint IN (SELECT value FROM json_each(?1)) ORDER BY id",
        (some,),
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


# ---- proposals


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


def insert_proposal(row: ProposalRow, networks: Ids, recipes: Ids, pack: Pack) -> Statement:
    """Returns what adds a proposal whose network and recipe are known."""
    values = (
        pack("genotype", pack_genotype(row.genotype)),
        json.dumps(row.parents) if row.parents else "[]",
        row.operator,
        row.inherit_from,
        plain_json(row.notes, "notes of the strategy"),
        row.seen,
        plain_json(row.rejected, "rejected"),
        row.repeat_of,
        row.created,
        row.finished,
        row.faults,
        plain_json(row.aligned, "aligned"),
    )
    return _INSERT_PROPOSAL, (row.id, networks[row.fingerprint], recipes[row.recipe], *values)


def read_proposals(connection: sqlite3.Connection, wanted: int | None = None) -> Iterator[ProposalRow]:
    """Reads the proposals by number, or one of them.

    Args:
        connection: An open record.
        wanted: The number of the one that is wanted; None for all.
    """
    packer = Packer(connection)
    for number, fingerprint, recipe, *values in connection.execute(_SELECT_PROPOSALS, (wanted,)):
        genotype, parents, operator, inherit_from, notes, seen, rejected, repeat_of, created, finished, faults, aligned = values
        yield ProposalRow(
            number,
            fingerprint,
            recipe,
            unpack_genotype(packer.unpack("genotype", genotype)),
            tuple(msgspec.json.decode(parents)),
            operator,
            inherit_from,
            json.loads(notes),
            seen,
            msgspec.json.decode(rejected),
            repeat_of,
            created,
            finished,
            faults,
            msgspec.json.decode(aligned),
        )


def insert_promotion(row: PromotionRow) -> Statement:
    """Returns what adds a promotion of a proposal."""
    return _INSERT_PROMOTION, (row.id, row.proposal, row.from_epoch, row.to_epoch, row.seen, row.created, row.faults)


def read_promotions(connection: sqlite3.Connection) -> Iterator[PromotionRow]:
    """Reads the promotions in the order in which they were decided."""
    for values in connection.execute(f"SELECT {_PROMOTION} FROM promotions ORDER BY id"):  # noqa: S608 - written above
        yield PromotionRow(*values)


def insert_screening(row: ScreeningRow) -> Statement:
    """Returns what adds the candidates of a proposal."""
    candidates = [{"fingerprint": c.fingerprint, "scores": dict(c.scores), "costs": c.costs} for c in row.candidates]
    text = msgspec.json.encode(candidates).decode()
    return _insert("screenings", "proposal, chosen, candidates, off"), (row.proposal, row.chosen, text, row.off)


def read_screenings(connection: sqlite3.Connection) -> Iterator[ScreeningRow]:
    """Reads the candidates of the proposals, by the proposal's number."""
    for number, chosen, text, off in connection.execute(
        "SELECT proposal, chosen, candidates, off FROM screenings ORDER BY proposal"
    ):
        candidates = tuple(Scored(c["fingerprint"], c["scores"], tuple(c["costs"])) for c in msgspec.json.decode(text))
        yield ScreeningRow(number, candidates, chosen, off)


# ---- what was measured


def _measured(result: Measurement, ended: float, pack: Pack) -> tuple[Any, ...]:
    """Returns the values of the columns that all measurements have."""
    curve = json.dumps([dict(epoch) for epoch in result.curve]).encode() if result.curve else b""
    packed = pack("curve", curve) if curve else b""
    return str(result.outcome), plain_json(result.metrics, "metrics"), packed, result.error[:_ERROR], result.seconds, ended


def _measurement(values: list[Any], epochs: int, packer: Packer, **more: Any) -> tuple[Measurement, float]:
    """Returns a measurement, and when it ended, from the values of the columns that all measurements have."""
    outcome, metrics, curve, error, seconds, ended = values
    measurement = Measurement(
        outcome=Outcome(outcome),
        metrics=msgspec.json.decode(metrics),
        curve=tuple(msgspec.json.decode(packer.unpack("curve", curve))) if curve else (),
        epochs=epochs,
        seconds=seconds,
        error=error,
        **more,
    )
    return measurement, ended


def insert_evaluation(row: EvaluationRow, networks: Ids, recipes: Ids, pack: Pack) -> Statement:
    """Returns what adds a training segment that ended."""
    result = row.measurement
    measured = _measured(result, row.ended, pack)
    importances = plain_json(result.importances, "importances").encode() if result.importances else b""
    packed = pack("importances", importances) if importances else b""
    known = row.proposal, networks[row.fingerprint], recipes[row.recipe]
    values = row.data, row.seed, row.from_epoch, row.to_epoch, result.checkpoint, packed, result.inherited
    return _INSERT_EVALUATION, (*known, *values, *measured)


def read_evaluations(connection: sqlite3.Connection) -> Iterator[EvaluationRow]:
    """Reads the training segments in the order in which they ended."""
    packer = Packer(connection)
    for proposal, fingerprint, recipe, *values in connection.execute(_SELECT_EVALUATIONS):
        data, seed, first, last, checkpoint, packed, inherited, *measured = values
        importances = msgspec.json.decode(packer.unpack("importances", packed)) if packed else {}
        more = {"checkpoint": checkpoint, "importances": importances, "inherited": inherited}
        measurement, ended = _measurement(measured, last, packer, **more)
        yield EvaluationRow(proposal, fingerprint, recipe, data, seed, first, last, measurement, ended)


def insert_baseline(row: BaselineRow, networks: Ids, recipes: Ids, pack: Pack) -> Statement:
    """Returns what adds a baseline, in the place of an earlier one of that name."""
    known = row.name, networks[row.fingerprint], recipes[row.recipe], row.measurement.epochs
    return _INSERT_BASELINE, (*known, *_measured(row.measurement, row.ended, pack))


def read_plan(connection: sqlite3.Connection) -> Plan | None:
    """Reads which networks were to be trained again, as that was last decided; None where it was not."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (PLAN,)).fetchone()
    top = connection.execute("SELECT max(to_epoch) FROM evaluations").fetchone()[0]
    return plan_from_json(json.loads(row[0]), int(top or 0)) if row else None


def read_baselines(connection: sqlite3.Connection) -> Iterator[BaselineRow]:
    """Reads the baselines in the order in which they ended."""
    packer = Packer(connection)
    for name, fingerprint, recipe, epochs, *measured in connection.execute(_SELECT_BASELINES):
        measurement, ended = _measurement(measured, epochs, packer)
        yield BaselineRow(name, fingerprint, recipe, measurement, ended)
