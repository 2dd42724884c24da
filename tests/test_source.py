"""Generated source: standalone, readable, one text a network, and it computes what the graph says."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_graphs import CONV, IMAGE, POINTWISE, POOL, RELU, labelled, random_graph

from nas.blocks import Block, Classifier, Conv, GraphBuilder, Inception, Node, Pool, Residual, Sequential, SqueezeExcite
from nas.canonical import canonical, simplify
from nas.errors import BlockError, GraphError
from nas.graph import Graph, graph_from_json
from nas.ops import Add, BatchNorm, Concat, Conv2d, Input, Op, Pool2d, Shape, Subsample
from nas.source import module_names, write_source
from nas.space import Space

SLOW = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])


def _random(seed: int) -> Graph:
    rng = np.random.default_rng(seed)
    while True:
        try:
            return canonical(random_graph(rng, int(rng.integers(1, 16))))[0]
        except BlockError:
            continue


def _check(graph: Graph) -> None:
    """Asserts that the text computes what the graph says, node by node with equal weights."""
    import torch
    from interpreter import values

    from nas.module import compile_source

    torch.manual_seed(0)
    module = compile_source(write_source(graph)).eval()
    parts = {i: getattr(module, name) for i, name in module_names(graph).items()}
    assert {id(p) for p in module.children()} == {id(p) for p in parts.values()} and len(parts) == len(list(module.children()))
    x = torch.randn(2, *graph.input_shape)
    with torch.no_grad():
        assert torch.allclose(module(x), values(graph, x, parts)[graph.output], rtol=1e-5, atol=1e-5)


@given(st.integers(0, 2**32))
@SLOW
def test_the_text_computes_the_graph(seed: int) -> None:
    _check(_random(seed))


NET = Space(
    Sequential(
        Conv(8, norm="batch", name="stem"),
        Residual(channels=8),
        Inception(width=8),
        SqueezeExcite(),
        Pool(),
        Classifier(hidden=(7,), dropout=0.2),
    ),
    input_shape=(1, 8, 8),
    classes=3,
)


def test_the_text_is_readable_and_standalone() -> None:
    text = write_source(NET.decode({}).graph, docstring="A small network.")
    tree = ast.parse(text)
    assert ast.get_docstring(tree) == "A small network."
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported == {"torch", "torch.nn.functional"}
    assert "nas" not in text and "\t" not in text and text.endswith("\n") and "\n\n\n\n" not in text
    assert max(map(len, text.splitlines())) <= 130
    assert "        self.conv1 = nn.Conv2d(1, 8, 3, padding=1, bias=False)\n" in text
    assert "# 8 x 8 x 8" in text, "shapes stand behind the lines"
    assert "class Network(nn.Module):" in text and "return self.linear2(" in text
    names = list(module_names(NET.decode({}).graph).values())
    assert len(set(names)) == len(names) and names[0] == "conv1"


def test_equal_fingerprints_are_equal_texts_and_only_they() -> None:
    texts: dict[str, str] = {}
    for seed in range(150):
        graph, digest = canonical(_random(seed))
        text = write_source(graph)
        assert texts.setdefault(digest, text) == text
    assert len(set(texts.values())) == len(texts) > 30


@pytest.mark.parametrize(
    "docstring", ['He said "hi"', 'ends with """', "C:\\new\\", 'a """ b', "two\n\nlines", "ümläut", '"', "\\", '\\"']
)
def test_any_docstring_may_stand_at_the_top(docstring: str) -> None:
    text = write_source(labelled([Input(IMAGE), CONV], [(), (0,)]), docstring=docstring)
    found = ast.get_docstring(ast.parse(text), clean=False)
    assert found == docstring.replace('"""', "'''").strip()


def test_networks_at_the_edge() -> None:
    for ops, inputs in (
        ([Input(IMAGE)], [()]),
        ([Input(IMAGE), Add()], [(), (0, 0)]),
        ([Input(IMAGE), RELU], [(), (0,)]),
        ([Input(IMAGE), POOL, Concat()], [(), (0,), (1, 0)]),
        ([Input((1, 3, 3)), Subsample((2, 2)), Pool2d("l2", (2, 2), (1, 1))], [(), (0,), (1,)]),
    ):
        _check(simplify(Graph(ops, inputs)))


# ---- operations of a user's own


@dataclass(frozen=True)
class Plus(Op):
    """An expression that must not be torn apart."""

    by: int = 1
    noun = "conv1"

    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def call(self, module: str, *inputs: str) -> str:
        return f"{inputs[0]} + {self.by}"


@dataclass(frozen=True)
class Times(Op):
    """Binds closer than a sum, and reads its input twice."""

    by: int = 2

    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def call(self, module: str, *inputs: str) -> str:
        return f"{inputs[0]} * {self.by} - {inputs[0]}.mean()"


@dataclass(frozen=True)
class Scale(Op):
    """A module of a user's own, written in a helper that uses functions of PyTorch."""

    noun = "conv1"
    helper = '''class Scale(nn.Module):
    """One factor a channel."""

    def __init__(self, channels):
        super().__init__()
        self.factor = nn.Parameter(F.softplus(torch.ones(channels, 1, 1)))

    def forward(self, x):
        return x * self.factor
'''

    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def params(self, *inputs: Shape) -> int:
        return inputs[0][0]

    def declare(self, *inputs: Shape) -> str:
        return f"Scale({inputs[0][0]})"

    def call(self, module: str, *inputs: str) -> str:
        return f"{module}({inputs[0]})"


def test_texts_of_own_operations_are_not_mixed_up() -> None:
    chain = labelled(
        [Input(IMAGE), Plus(), Times(), Subsample((2, 2)), Plus(3), RELU, Times(5)], [(), (0,), (1,), (2,), (3,), (4,), (5,)]
    )
    _check(simplify(chain))


def test_modules_of_own_operations_have_names_of_their_own() -> None:
    """Ten convolutions and an operation that calls itself conv1: neither conv11 takes the other's place."""
    ops: list[Op] = [Input(IMAGE), *[CONV] * 11, *[Scale()] * 2, BatchNorm()]
    graph = simplify(labelled(ops, [(), *((i,) for i in range(len(ops) - 1))]))
    names = list(module_names(graph).values())
    assert len(set(names)) == len(names) == 14
    _check(graph)
    _check(graph_from_json(graph.to_json()))


def test_helpers_stand_once_and_do_not_hide_each_other() -> None:
    graph = simplify(labelled([Input(IMAGE), Scale(), CONV, Scale()], [(), (0,), (1,), (2,)]))
    assert write_source(graph).count("class Scale(nn.Module)") == 1
    other = type("Other", (Scale,), {"helper": Scale.helper.replace("ones", "zeros")})()
    with pytest.raises(GraphError, match="define 'Scale' more than once; give one of them another name"):
        write_source(simplify(labelled([Input(IMAGE), Scale(), CONV, other], [(), (0,), (1,), (2,)])))
    with pytest.raises(GraphError, match="define 'Network' more than once"):
        write_source(
            simplify(labelled([Input(IMAGE), type("Own", (Scale,), {"helper": "class Network:\n    pass"})()], [(), (0,)]))
        )


USERS_FILE = '''
from dataclasses import dataclass

from nas import Space, choice
from nas.blocks import Block, Classifier, Conv, GraphBuilder, Node, Op, Sequential


@dataclass(frozen=True)
class ChannelShuffle(Op):
    groups: int
    helper = "def shuffle(x, groups):\\n    return F.channel_shuffle(x, groups)\\n"

    def shape(self, x):
        return x

    def call(self, module, x):
        return f"shuffle({x}, {self.groups})"


@dataclass(frozen=True)
class SqueezeExcite(Block):
    """Channel attention (Hu et al. 2018, Squeeze-and-Excitation Networks)."""
    ratio: int = 4

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        s = graph.global_avg_pool(x)
        s = graph.conv(s, channels=max(1, x.channels // self.ratio), kernel=1, activation="relu")
        s = graph.conv(s, channels=x.channels, kernel=1, activation="sigmoid")
        return graph.multiply(graph.apply(ChannelShuffle(2), x), s)


space = Space(
    input_shape=(1, 8, 8),
    classes=3,
    body=Sequential(Conv(channels=choice(4, 8)), SqueezeExcite(ratio=choice(2, 4)), Classifier()),
)
'''


def test_a_users_file_gives_networks_that_need_neither_it_nor_this_package(tmp_path: Path) -> None:
    import torch

    from nas.library import load_space
    from nas.module import compile_source

    (tmp_path / "mine.py").write_text(USERS_FILE, encoding="utf-8")
    space = load_space(tmp_path / "mine.py")
    assert list(space.decisions()) == ["conv.channels", "squeezeexcite.ratio"]
    genotype = {"conv.channels": 8, "squeezeexcite.ratio": 4}
    graph, digest = canonical(space.decode(genotype).graph)
    kept = graph_from_json(graph.to_json())
    assert canonical(kept)[1] == digest and write_source(kept) == write_source(graph)
    from nas import blocks

    shipped = Space(Sequential(Conv(8), blocks.SqueezeExcite(4), Classifier()), (1, 8, 8), 3)
    assert shipped.decode({}).graph.facts[-1] == graph.facts[-1] and shipped.decode({}).fingerprint != digest
    (tmp_path / "net.py").write_text(write_source(graph), encoding="utf-8")
    (tmp_path / "mine.py").unlink()
    code = "import sys, runpy, torch; torch.manual_seed(0); n = runpy.run_path(sys.argv[1])['Network']().eval()\n"
    code += "print(n(torch.ones(1, 1, 8, 8)).tolist()); assert not any(m.split('.')[0] in ('nas', 'mine') for m in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(tmp_path / "net.py")], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    torch.manual_seed(0)
    module = compile_source(write_source(graph)).eval()
    assert np.allclose(ast.literal_eval(done.stdout), module(torch.ones(1, 1, 8, 8)).detach().numpy(), atol=1e-5)


def test_a_block_without_a_file_works_too() -> None:
    """As in a notebook's cell: the class stands in no module that could be imported."""
    names: dict[str, object] = {"__name__": "__main__"}
    exec(USERS_FILE.replace("from dataclasses", "from __future__ import annotations\nfrom dataclasses"), names)
    space = names["space"]
    assert isinstance(space, Space)
    _check(space.decode(space.sample(np.random.default_rng(0))).graph)


def test_the_text_follows_the_canonical_order() -> None:
    @dataclass(frozen=True)
    class Branches(Block):
        swapped: bool

        def expand(self, graph: GraphBuilder, x: Node) -> Node:
            make = [lambda: graph.conv(x, 4, 3), lambda: graph.conv(x, 4, 5)]
            a, b = (m() for m in (reversed(make) if self.swapped else make))
            return graph.add(a, b)

    texts = {write_source(Space(Sequential(Branches(s), Classifier()), (1, 6, 6), 2).decode({}).graph) for s in (False, True)}
    assert len(texts) == 1


def test_pointwise_and_grouped_convolutions_say_so() -> None:
    graph = labelled([Input(IMAGE), POINTWISE, Conv2d(8, (3, 1), (2, 1), (1, 0), (1, 2), 4, True, "reflect")], [(), (0,), (1,)])
    text = write_source(graph)
    assert "nn.Conv2d(4, 4, 1, bias=False)" in text
    assert 'nn.Conv2d(4, 8, (3, 1), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=4, padding_mode="reflect")' in text
    _check(graph)
