"""A graph in fewer parts, for people: its nodes by stage, by block or one by one, with words and numbers for each part.

What tables and pictures show is decided here once. Nothing here loads more than the graph does.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Literal, get_args

from nas.errors import UnknownNameError
from nas.graph import Graph
from nas.ops import (
    Activation,
    AdaptivePool2d,
    Add,
    BatchNorm,
    Concat,
    Conv2d,
    Crop,
    Dropout,
    Flatten,
    Input,
    Linear,
    LocalResponseNorm,
    Multiply,
    Op,
    Pad,
    Pool2d,
    RecordedOp,
    Resize2d,
    Shape,
    Subsample,
)

Level = Literal["stage", "block", "operation"]
LEVELS: tuple[Level, ...] = get_args(Level)

_MINOR = (BatchNorm, LocalResponseNorm, Activation, Dropout, Flatten, Pad, Crop, Subsample)
_CHAIN = 4
"""A part of so many operations names each of them; a larger one counts the important ones."""


@dataclass(frozen=True)
class Part:
    """Nodes that are shown as one.

    Attributes:
        label: Path of their block; "input" for the image.
        nodes: Their indices in the graph, ascending.
        inputs: Nodes outside that they use, in order of use, once each (for a part of one node: its inputs as they are).
        outputs: Those of them that are used outside, or are the graph's output.
    """

    label: str
    nodes: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def outline(graph: Graph, level: Level = "block") -> list[Part]:
    """Returns the parts of a graph in topological order; every node is in one part.

    Nodes of one block stay together unless that made two parts depend on each other; then the block shows as several parts.

    Raises:
        UnknownNameError: When there is no such level.
    """
    if level not in LEVELS:
        raise UnknownNameError("level", str(level), LEVELS)
    keys = part_keys(graph, level)
    member = _grouped(graph, [""] * len(graph) if level == "operation" else keys)
    nodes: list[list[int]] = [[] for _ in range(max(member) + 1)]
    for i, part in enumerate(member):
        nodes[part].append(i)
    users = graph.consumers()
    parts = []
    for number, inside in enumerate(nodes):
        used = [s for i in inside for s in graph.inputs[i] if member[s] != number]
        outputs = tuple(i for i in inside if i == graph.output or any(member[u] != number for u in users[i]))
        inputs = tuple(used if len(inside) == 1 else dict.fromkeys(used))
        parts.append(Part(keys[inside[0]] if inside[0] else "input", tuple(inside), inputs, outputs))
    return _sorted(parts, member)


def part_keys(graph: Graph, level: Level) -> list[str]:
    """Returns for each node the path of its block or stage; empty for the image and for nodes of no block.

    A stage is the first step of a path beyond what all paths share. Copies of a repeat are a stage each where they hold several
    blocks (`stage[0].conv`, `stage[0].pool`), and one stage together where each is a single block (`dense[0]`, `dense[1]`).
    """
    if level != "stage":
        return ["", *graph.labels[1:]]
    paths = [label.split(".") for label in graph.labels]
    named = [path for path in paths[1:] if path != [""]]
    shared = 0
    while named and all(len(path) > shared + 1 and path[shared] == named[0][shared] for path in named):
        shared += 1
    holding = {path[shared].partition("[")[0] for path in named if len(path) > shared + 1}
    return ["", *(".".join([*path[:shared], *(_stage(step, holding) for step in path[shared : shared + 1])]) for path in paths[1:])]


def _stage(step: str, holding: Set[str]) -> str:
    """Returns a step of a path without the number of the copy, unless copies of that name hold several blocks."""
    name = step.partition("[")[0]
    return step if name in holding else name


def _grouped(graph: Graph, keys: list[str]) -> list[int]:
    """Returns for each node the number of its part; a part is never upstream of itself."""
    member: list[int] = []
    after: list[set[int]] = []
    latest: dict[str, int] = {}
    for i, key in enumerate(keys):
        sources = {member[s] for s in graph.inputs[i]}
        part = latest.get(key) if key else None
        if part is None or (sources != {part} and _reaches(after, part, sources - {part})):
            part = len(after)
            after.append(set())
            latest[key] = part
        for source in sources - {part}:
            after[source].add(part)
        member.append(part)
    return member


def _reaches(after: list[set[int]], start: int, targets: set[int]) -> bool:
    """Returns whether one of the targets lies downstream of `start`."""
    seen, waiting = {start}, [start]
    while waiting:
        for part in after[waiting.pop()]:
            if part in targets:
                return True
            if part not in seen:
                seen.add(part)
                waiting.append(part)
    return False


def _sorted(parts: list[Part], member: list[int]) -> list[Part]:
    """Returns the parts in topological order, by their first node where there is a choice."""
    waits = [{member[s] for s in part.inputs} for part in parts]
    users: list[list[int]] = [[] for _ in parts]
    for number, sources in enumerate(waits):
        for source in sources:
            users[source].append(number)
    ready = [(part.nodes[0], number) for number, part in enumerate(parts) if not waits[number]]
    heapq.heapify(ready)
    order = []
    while ready:
        number = heapq.heappop(ready)[1]
        order.append(parts[number])
        for user in users[number]:
            waits[user].discard(number)
            if not waits[user]:
                heapq.heappush(ready, (parts[user].nodes[0], user))
    return order


# ---- words and numbers


def op_words(op: Op, *inputs: Shape) -> str:
    """Returns a few words for an operation on inputs of these shapes, such as "conv 3x3, stride 2"."""
    match op:
        case Input():
            return "input"
        case Conv2d():
            depthwise = op.groups > 1 and bool(inputs) and inputs[0][0] == op.groups
            what = "depthwise conv" if depthwise else "grouped conv" if op.groups > 1 else "conv"
            groups = f", {op.groups} groups" if op.groups > 1 and not depthwise else ""
            dilation = f", dilation {_by(op.dilation)}" if op.dilation != (1, 1) else ""
            return f"{what} {_by(op.kernel, True)}{_stride(op.stride)}{dilation}{groups}"
        case Pool2d():
            return f"{op.kind} pool {_by(op.kernel, True)}{_stride(op.stride)}"
        case AdaptivePool2d():
            return f"global {op.kind} pool" if op.size == (1, 1) else f"adaptive {op.kind} pool to {_by(op.size, True)}"
        case Resize2d():
            return f"resize to {_by(op.size, True)}"
        case Activation():
            return op.kind.replace("_", " ")
        case Dropout():
            return f"dropout {op.share:g}"
        case RecordedOp():
            return op.name.partition("#")[0][:60]
        case _:
            return _WORDS.get(type(op), type(op).__name__)


_WORDS: dict[type[Op], str] = {
    BatchNorm: "batch norm", LocalResponseNorm: "local response norm", Linear: "linear", Flatten: "flatten", Add: "add",
    Multiply: "multiply", Concat: "concat", Subsample: "subsample", Pad: "pad", Crop: "crop",
}  # fmt: skip


def _by(pair: tuple[int, int], always: bool = False) -> str:
    return str(pair[0]) if pair[0] == pair[1] and not always else f"{pair[0]}x{pair[1]}"


def _stride(stride: tuple[int, int]) -> str:
    return f", stride {_by(stride)}" if stride != (1, 1) else ""


def part_words(graph: Graph, part: Part) -> str:
    """Returns what a part does: all its operations where they are few, else the important ones with their number."""
    words = [op_words(graph.ops[i], *[graph.facts[s].shape for s in graph.inputs[i]]) for i in part.nodes]
    if len(words) <= _CHAIN:
        return ", ".join(words) if len(words) == 1 else " + ".join(word.replace(",", "") for word in words)
    important = [word for i, word in zip(part.nodes, words, strict=True) if not isinstance(graph.ops[i], _MINOR)]
    counted = _counted(important or words)
    if len(counted) > _CHAIN:  # without strides, so that a stage that begins with one reads like its neighbours
        counted = _counted(word.partition(",")[0] for word in important or words)
    if len(counted) <= _CHAIN:
        return ", ".join(counted)
    return ", ".join(_counted(word.partition(",")[0].rpartition(" ")[0] or word.partition(",")[0] for word in important))


def _counted(words: Iterable[str]) -> list[str]:
    return [f"{n} {word}" if n > 1 else word for word, n in Counter(word.replace(",", "") for word in words).items()]


def part_kind(graph: Graph, part: Part) -> str:
    """Returns the one word a part is coloured by: input, linear, concat, product, sum, conv, pool or other."""
    inside = {type(graph.ops[i]) for i in part.nodes}
    return next((kind for op, kind in _KINDS.items() if op in inside), "other")


_KINDS: dict[type[Op], str] = {
    Input: "input", Linear: "linear", Concat: "concat", Add: "sum", Multiply: "product", Conv2d: "conv", Pool2d: "pool",
    AdaptivePool2d: "pool",
}  # fmt: skip


def shape_words(shape: Shape, by: str = " x ") -> str:
    """Returns a shape as people write it: "64 x 14 x 14"."""
    return by.join(map(str, shape))


def short_count(number: float) -> str:
    """Returns a number in a few characters: 1,234 below ten thousand, then 12.3k, 4.56M, 7.89G (powers of 1000)."""
    if abs(number) < 10_000:
        return f"{number:,.0f}"
    unit, scale = next((us for us in _UNITS if abs(number) < 999.5 * us[1]), ("T", 1e12))
    return f"{number / scale:.3g}{unit}"


_UNITS = (("k", 1e3), ("M", 1e6), ("G", 1e9))
