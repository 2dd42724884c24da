"""The graph of primitive operations that a network is. Everything else is read from it; no tensor exists here.

Each node's ordered tuple of inputs is the truth (it may repeat: x + x is real); a networkx graph is made on demand. Nodes
stand in topological order: a node's inputs come before it. Node 0 is the input image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from nas.errors import BlockError, GraphError, brief, did_you_mean
from nas.ops import OPS, Facts, Input, Op, RecordedOp, Shape, Window

if TYPE_CHECKING:
    import networkx

_FORMAT = 1


class Graph:
    """An immutable network of primitive operations with one input and one output.

    Attributes:
        ops: The operation of each node.
        inputs: The inputs of each node, as indices of earlier nodes, in order.
        facts: Shape and costs of each node.
        labels: Path of the block each node comes from; for people, no part of the network's identity.
        output: Index of the node whose value the network gives back.
        notes: What was noticed while it was built (pixels left out by a window), for people.
    """

    __slots__ = ("facts", "inputs", "labels", "notes", "ops", "output")

    def __init__(
        self,
        ops: Sequence[Op],
        inputs: Sequence[tuple[int, ...]],
        labels: Sequence[str] | None = None,
        output: int | None = None,
        notes: Sequence[str] = (),
        facts: Sequence[Facts] | None = None,
    ) -> None:
        """Makes a graph; `facts` are computed where they are not given.

        Raises:
            GraphError: When the nodes contradict each other (see `lint`).
        """
        self.ops, self.inputs = tuple(ops), tuple(inputs)
        self.labels = tuple(labels) if labels is not None else ("",) * len(self.ops)
        self.output = len(self.ops) - 1 if output is None else output
        self.notes = tuple(notes)
        if facts is None:
            self._check_order()
            facts = _facts_of(self.ops, self.inputs)
        self.facts = tuple(facts)

    def __len__(self) -> int:
        return len(self.ops)

    @property
    def input_shape(self) -> Shape:
        """Shape of the image that enters."""
        return self.facts[0].shape

    @property
    def output_shape(self) -> Shape:
        """Shape of what leaves."""
        return self.facts[self.output].shape

    def consumers(self) -> list[list[int]]:
        """Returns for each node the nodes that use it, once for each use."""
        users: list[list[int]] = [[] for _ in self.ops]
        for i, sources in enumerate(self.inputs):
            for source in sources:
                users[source].append(i)
        return users

    def _check_order(self) -> None:
        if not len(self.ops) == len(self.inputs) == len(self.labels):
            lengths = f"{len(self.ops)} operations, {len(self.inputs)} tuples, {len(self.labels)} labels"
            raise GraphError(f"a graph needs one tuple of inputs and one label for each operation, got {lengths}")
        if not self.ops or not isinstance(self.ops[0], Input) or self.inputs[0]:
            raise GraphError("a graph starts with its Input node, and that has no inputs")
        for i, (op, sources) in enumerate(zip(self.ops, self.inputs, strict=True)):
            if i and (isinstance(op, Input) or not sources):
                raise GraphError(f"node {i} ({type(op).__name__}) has no inputs; only node 0 is an input")
            for source in sources:
                if not 0 <= source < i:
                    raise GraphError(
                        f"node {i} ({type(op).__name__}) uses node {source}; expected one before it, from 0 to {i - 1}"
                    )
        if not 0 <= self.output < len(self.ops):
            raise GraphError(f"the output is node {self.output}; expected one from 0 to {len(self.ops) - 1}")

    def lint(self) -> None:
        """Checks order, inputs, shapes and costs of all nodes anew.

        Raises:
            GraphError: Naming the first node that is wrong.
        """
        self._check_order()
        for i, facts in enumerate(_facts_of(self.ops, self.inputs)):
            if facts != self.facts[i]:
                raise GraphError(f"node {i} ({type(self.ops[i]).__name__}) says {self.facts[i]}, but its inputs make it {facts}")

    def to_networkx(self) -> networkx.DiGraph:
        """Returns a `networkx.DiGraph`: nodes carry `op`, `shape`, `params`, `macs`, `label`; edges carry `slots`.

        `slots` are the positions at which the edge's source stands among the inputs of its target.
        """
        import networkx

        graph = networkx.DiGraph(output=self.output)
        for i, (op, facts, label) in enumerate(zip(self.ops, self.facts, self.labels, strict=True)):
            graph.add_node(i, op=op, shape=facts.shape, params=facts.params, macs=facts.macs, label=label)
            for source in dict.fromkeys(self.inputs[i]):
                slots = tuple(slot for slot, s in enumerate(self.inputs[i]) if s == source)
                graph.add_edge(source, i, slots=slots)
        return graph

    def to_json(self) -> bytes:
        """Returns the graph as compact JSON that can be read where the code of its operations is not at hand."""
        table: dict[object, int] = {}
        ops: list[msgspec.Raw] = []
        places: list[int] = []
        for op, facts, sources in zip(self.ops, self.facts, self.inputs, strict=True):
            place = table.get(facts.token)
            if place is None:
                key: object = facts.token
                if not _is_ours(type(op)):
                    op = key = RecordedOp.of(op, tuple([self.facts[s].shape for s in sources]))
                place = table.setdefault(key, len(ops))
                if place == len(ops):
                    ops.append(_written(op))
            places.append(place)
        nodes = list(zip(places, self.inputs, self.labels, strict=True))
        return msgspec.json.encode(
            {"format": _FORMAT, "ops": ops, "nodes": nodes, "output": self.output, "notes": list(self.notes)}
        )


@cache
def _is_ours(op: type[Op]) -> bool:
    """Returns whether everybody who has this package has the operation."""
    return op.__name__ in OPS and op.__module__.startswith("nas.ops.")


def _written(op: Op) -> msgspec.Raw:
    """Returns an operation as JSON; remembered, as searches write the same again and again."""
    found: msgspec.Raw | None = op.__dict__.get("_written")
    if found is None:
        plain = {"op": type(op).__name__, **{f.name: getattr(op, f.name) for f in fields(op)}}
        found = op.__dict__["_written"] = msgspec.Raw(msgspec.json.encode(plain))
    return found


def _facts_of(ops: Sequence[Op], inputs: Sequence[tuple[int, ...]]) -> list[Facts]:
    facts: list[Facts] = []
    for i, (op, sources) in enumerate(zip(ops, inputs, strict=True)):
        try:
            facts.append(op.facts(*[facts[s].shape for s in sources]))
        except (BlockError, TypeError, ValueError, IndexError, ZeroDivisionError) as error:
            raise GraphError(f"node {i} ({type(op).__name__}): {error}") from error
    return facts


def graph_from_json(text: bytes | str) -> Graph:
    """Reads what `Graph.to_json` wrote.

    Raises:
        GraphError: When it is no such text; the message names the place.
    """
    try:
        return _read(msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeError) as error:
        raise GraphError(f"this is no graph: {error}") from None
    except RecursionError:
        raise GraphError("this is no graph: it is nested too deeply") from None


def _read(data: object) -> Graph:
    if not isinstance(data, dict) or not isinstance(data.get("ops"), list) or not isinstance(data.get("nodes"), list):
        raise GraphError("this is no graph: expected an object with `format`, `ops`, `nodes` and `output`")
    if data.get("format") != _FORMAT:
        raise GraphError(
            f"this graph has format {brief(data.get('format'))}, expected {_FORMAT}; a newer version of this package wrote it"
        )
    ops = [_op_from_json(i, entry) for i, entry in enumerate(data["ops"])]
    chosen: list[Op] = []
    inputs: list[tuple[int, ...]] = []
    labels: list[str] = []
    for i, node in enumerate(data["nodes"]):
        match node:
            case [int(which), [*sources], str(label)] if 0 <= which < len(ops) and all(type(s) is int for s in (which, *sources)):
                chosen.append(ops[which])
                inputs.append(tuple(sources))
                labels.append(label)
            case _:
                raise GraphError(
                    f"node {i} is {brief(node)}; expected [operation, [inputs], label] with an operation below {len(ops)}"
                )
    output, notes = data.get("output"), data.get("notes", [])
    if type(output) is not int or not isinstance(notes, list):
        raise GraphError(f"the graph's output is {brief(output)}; expected the index of a node")
    return Graph(chosen, inputs, labels, output, [note if isinstance(note, str) else brief(note) for note in notes])


def _op_from_json(i: int, entry: object) -> Op:
    if not isinstance(entry, dict) or not isinstance(entry.get("op"), str):
        raise GraphError(f"operation {i} is {brief(entry)}; expected an object with `op`")
    name = entry["op"]
    cls = RecordedOp if name == "RecordedOp" else OPS.get(name)
    if cls is None:
        raise GraphError(f"operation {i}: unknown operation {brief(name)}{did_you_mean(name[:80], OPS)}")
    wanted = {f.name: str(f.type) for f in fields(cls)}
    given: dict[str, Any] = {}
    for key, value in entry.items():
        if key == "op":
            continue
        if key not in wanted:
            raise GraphError(f"operation {i} ({name}): unknown field {brief(key)}{did_you_mean(key[:80], wanted)}")
        try:
            given[key] = _value(value, wanted[key])
        except ValueError:
            raise GraphError(f"operation {i} ({name}): field {key!r} is {brief(value)}, expected {wanted[key]}") from None
    for f in fields(cls):
        if f.name not in given and f.default is MISSING:
            raise GraphError(f"operation {i} ({name}): lacks field {f.name!r}")
    return cls(**given)


_LARGEST = 2**40  # of any size in a graph
_LENGTHS = {"Pair": 2, "tuple[int, int, int, int]": 4}


def _value(value: object, wanted: str) -> Any:
    """Returns the value of an operation's field as its annotation says.

    Raises:
        ValueError: When it is of another type, or a size beyond all measure.
    """
    if wanted == "Window | None":
        if value is None:
            return None
        pairs = [_value(pair, "Pair") for pair in value] if isinstance(value, list) else []
        if len(pairs) == len(Window._fields) and min(min(pair) for pair in (*pairs[:2], pairs[3])) >= 1:
            return Window(*pairs)
    elif wanted in ("str", "bool"):
        if isinstance(value, str if wanted == "str" else bool):
            return value
    elif wanted == "float":
        if type(value) in (int, float):
            return float(value)  # type: ignore[arg-type]  # it is a number
    elif wanted == "int":
        if type(value) is int and abs(value) < _LARGEST:
            return value
    elif isinstance(value, list) and len(value) == _LENGTHS.get(wanted, len(value)):
        return tuple([_value(v, "int") for v in value])
    raise ValueError
