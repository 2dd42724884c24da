"""Operations as a record keeps them: numbers and source text, without their class."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from nas.errors import BlockError
from nas.graph import Graph, graph_from_json
from nas.ops import Conv2d, Input, Op, RecordedOp, Shape, Window

HELPER = '''def blur(x, width):
    """Means over neighbouring columns."""
    return F.avg_pool2d(x, (1, width), 1, (0, width // 2), count_include_pad=False)
'''


@dataclass(frozen=True)
class Blur(Op):
    """An operation of a user's own with everything an operation may have."""

    width: int
    noun = "blur"
    helper = HELPER
    random = True
    commutative = True

    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def params(self, *inputs: Shape) -> int:
        return inputs[0][0]

    def buffers(self, *inputs: Shape) -> int:
        return 3

    def macs(self, *inputs: Shape) -> int:
        return 7

    def other_flops(self, *inputs: Shape) -> int:
        return self.width * inputs[0][0]

    def window(self) -> Window:
        return Window((1, self.width), (1, 1), (0, self.width // 2))

    def declare(self, *inputs: Shape) -> str:
        return f"nn.PReLU({inputs[0][0]})"

    def call(self, module: str, *inputs: str) -> str:
        return f"{module}(blur({inputs[0]}, {self.width}))"


SHAPE = (3, 4, 5)


def test_it_is_what_it_was() -> None:
    op = Blur(3)
    kept = RecordedOp.of(op, (SHAPE,))
    assert kept.facts(SHAPE) == op.facts(SHAPE)
    assert kept.declare(SHAPE) == op.declare(SHAPE) and kept.call("self.a", "x") == op.call("self.a", "x")
    for name in ("noun", "helper", "random", "commutative"):
        assert getattr(kept, name) == getattr(op, name)
    assert kept.window() == op.window()
    assert RecordedOp.of(kept, (SHAPE,)) is kept


def test_it_survives_json_with_its_window() -> None:
    graph = Graph([Input(SHAPE), Blur(3), Blur(5), Blur(3), Conv2d(2)], [(), (0,), (1,), (2,), (3,)])
    read = graph_from_json(graph.to_json())
    assert [type(op) for op in read.ops] == [Input, RecordedOp, RecordedOp, RecordedOp, Conv2d]
    assert read.facts == graph.facts
    window = read.ops[1].window()
    assert isinstance(window, Window) and window == Blur(3).window()
    assert graph_from_json(read.to_json()).ops == read.ops


def test_placeholders_are_filled_once() -> None:
    """An expression that is put in may itself look like a placeholder."""
    kept = RecordedOp("two", SHAPE, (0, 0, 0, 0), "", "{module}.f({0}, {1}, {{0}}, {7})")
    assert kept.call("self.m", "g({1})", "{0}") == "self.m.f(g({1}), {0}, {g({1})}, {7})"


@pytest.mark.parametrize("values", [{"output": ()}, {"output": (0, 3)}, {"counts": (-1, 0, 0, 0)}])
def test_numbers_that_make_no_sense_are_refused(values: dict[str, object]) -> None:
    fields: dict[str, object] = {"name": "x", "output": SHAPE, "counts": (0, 0, 0, 0), "declared": "", "called": "{0}", **values}
    with pytest.raises(BlockError, match="recorded operation 'x'"):
        RecordedOp(**fields).facts(SHAPE)  # type: ignore[arg-type]
