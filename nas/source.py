"""Writes a graph as a readable, standalone Python file that needs PyTorch and nothing of this package.

The file follows the canonical order of the graph, so equal fingerprints give equal text, and that very text is what trains.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from nas.errors import GraphError
from nas.graph import Graph
from nas.ops import OPS, Activation, Conv2d, Op

_CHAIN = 4  # operations nested in one line at most: convolution, normalisation, activation, dropout
_LINE = 118


def write_source(graph: Graph, *, docstring: str = "") -> str:
    """Returns the source of a module that defines `class Network(nn.Module)`.

    `Network()` takes no arguments; its `forward` takes images `(N, C, H, W)` and gives logits `(N, classes)`.

    Args:
        graph: A simplified graph in canonical order (`nas.canonical.simplify`).
        docstring: What stands at the top of the file; a line with the shapes where it is empty.

    Raises:
        GraphError: When the helpers of two operations of a user's own define one name differently.
    """
    attributes = module_names(graph)
    init = [f"        self.{name} = {graph.ops[i].declare(*_shapes(graph, i))}" for i, name in attributes.items()]
    forward = list(_forward(graph, attributes))
    helpers = _helpers(graph)
    body = "\n".join(["        super().__init__()", *init])
    text = "\n".join(forward)
    functional = "import torch.nn.functional as F\n" if "F." in "".join((text, body, *helpers)) else ""
    title = docstring or f"A network from {_spelled(graph.input_shape)} to {_spelled(graph.output_shape)}."
    parts = [
        f'"""{_quoted(title)}"""\n\nimport torch\n{functional}from torch import nn\n',
        *(f"\n{helper}\n" for helper in helpers),
        f'\nclass Network(nn.Module):\n    """Takes images `(N, {", ".join(map(str, graph.input_shape))})`, gives logits '
        f'`(N, {", ".join(map(str, graph.output_shape))})`."""\n',
        f"    def __init__(self) -> None:\n{body}\n",
        f"    def forward(self, x: torch.Tensor) -> torch.Tensor:\n{text}\n",
    ]
    return "\n".join(parts)


def _helpers(graph: Graph) -> list[str]:
    """Returns the helpers of all operations, each once.

    Raises:
        GraphError: When two define one name differently: the second would take the first one's place.
    """
    helpers = list(dict.fromkeys(op.helper.strip("\n") for op in graph.ops if op.helper))
    defined = Counter(name for helper in helpers for name in set(re.findall(r"^(?:def|class)\s+(\w+)", helper, re.MULTILINE)))
    for name, times in defined.items():
        if times > 1 or name == "Network":
            raise GraphError(
                f"the helpers of the network's operations define {name!r} more than once; give one of them another name"
            )
    return helpers


def _quoted(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"""', "'''").strip()
    return f'{text[:-1]}\\"' if text.endswith('"') else text


def _spelled(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) if len(shape) > 1 else f"{shape[0]} values"


def _shapes(graph: Graph, i: int) -> list[tuple[int, ...]]:
    return [graph.facts[s].shape for s in graph.inputs[i]]


def module_names(graph: Graph) -> dict[int, str]:
    """Returns a name for the module of each node that has one: `conv1`, `bn1`, `conv2`, ..., in the order they are called."""
    counts: Counter[str] = Counter()
    names: dict[int, str] = {}
    line = _lines(graph)
    for i in sorted(range(1, len(graph)), key=lambda i: (line[i], i)):
        if graph.ops[i].declare(*_shapes(graph, i)):
            noun = _identifier(graph.ops[i].noun) + "_" * graph.ops[i].noun[-1:].isdigit()
            counts[noun] += 1
            names[i] = f"{noun}{counts[noun]}"
    return names


def _identifier(noun: str) -> str:
    return re.sub(r"\W|^(?=\d)", "_", noun) or "node"


def _forward(graph: Graph, attributes: dict[int, str]) -> Iterable[str]:
    """Yields the lines of `forward`; a chain of operations that is used nowhere else stands in one line."""
    line = _lines(graph)
    names = _names(graph, line)
    expressions: dict[int, str] = {0: "x"}
    if graph.output == 0:
        yield "        return x"
    for i in range(1, len(graph)):
        module = f"self.{attributes[i]}" if i in attributes else ""
        text = graph.ops[i].call(module, *[expressions[s] for s in graph.inputs[i]])
        if i == graph.output:
            yield f"        return {text}"
        elif line[i] != i:
            expressions[i] = text
        else:
            written = f"        {names[i]} = {text}"
            yield f"{written}  # {_comment(graph.facts[i].shape)}" if len(written) < _LINE else written
            expressions[i] = names[i]


def _lines(graph: Graph) -> list[int]:
    """Returns for each node the node in whose line it is written: its own, or that of the only node that uses it."""
    users = graph.consumers()
    nested, line = [0] * len(graph), list(range(len(graph)))
    for i in range(1, len(graph)):
        nested[i] += 1
        if i == graph.output or len(users[i]) != 1 or nested[i] >= _CHAIN:
            continue
        user = users[i][0]
        alone = len(graph.inputs[i]) == 1 or isinstance(graph.ops[user], Activation)
        ours = _is_ours(graph.ops[i]) and _is_ours(graph.ops[user])  # whose text can be put into each other
        if ours and alone and len(graph.inputs[user]) == 1 and not isinstance(graph.ops[user], Conv2d):
            line[i] = user
            nested[user] = nested[i]
    for i in reversed(range(len(graph))):
        line[i] = line[line[i]]
    return line


def _is_ours(op: Op) -> bool:
    return OPS.get(type(op).__name__) is type(op)


def _names(graph: Graph, line: list[int]) -> dict[int, str]:
    """Returns a variable for each node that has a line: `x` along the trunk, `x1`, `x2`, ... where values live side by side."""
    last = [0] * len(graph)
    for i, sources in enumerate(graph.inputs):
        for s in sources:
            last[s] = max(last[s], line[i])
    names: dict[int, str] = {0: "x"}
    living: dict[str, int] = {"x": 0}
    for i in range(1, len(graph)):
        if line[i] == i:
            free = [name for name, node in living.items() if last[node] <= i]
            names[i] = min(free, key=lambda n: (len(n), n)) if free else f"x{len(living)}"
            living[names[i]] = i
    return names


def _comment(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
