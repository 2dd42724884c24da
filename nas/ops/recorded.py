"""An operation of a user's own, as a record keeps it: its numbers and its source text, without the class that made them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nas.errors import BlockError
from nas.ops.base import Op, Shape, Window


@dataclass(frozen=True)
class RecordedOp(Op):
    """What remains of an operation whose class is not at hand; valid for the input shapes it was recorded with.

    Attributes:
        name: Its token when it was recorded; it decides about equality of networks.
        output: Its output shape.
        counts: Trainable values, buffers, MACs and other FLOPs.
        declared: Source text of its module, empty where it had none.
        called: Source text of its call, with `{module}` and `{0}`, `{1}`, ... for its inputs.
        helper_text, noun_text, is_random, is_commutative, slides: The class's `helper`, `noun`, `random`, `commutative` and
            `window()`.
    """

    name: str
    output: Shape
    counts: tuple[int, int, int, int]
    declared: str
    called: str
    helper_text: str = ""
    noun_text: str = "node"
    is_random: bool = False
    is_commutative: bool = False
    slides: Window | None = None

    @classmethod
    def of(cls, op: Op, inputs: tuple[Shape, ...]) -> RecordedOp:
        """Returns `op` as it is for inputs of these shapes."""
        if isinstance(op, RecordedOp):
            return op
        facts = op.facts(*inputs)
        called = op.call("{module}", *(f"{{{i}}}" for i in range(len(inputs))))
        counts = (facts.params, facts.buffers, facts.macs, facts.other_flops)
        declared = op.declare(*inputs)
        return cls(facts.token, facts.shape, counts, declared, called, op.helper, op.noun, op.random, op.commutative, op.window())

    def __post_init__(self) -> None:
        # class attributes of an ordinary operation, given back per instance
        object.__setattr__(self, "helper", self.helper_text)
        object.__setattr__(self, "noun", self.noun_text)
        object.__setattr__(self, "random", self.is_random)
        object.__setattr__(self, "commutative", self.is_commutative)

    def token(self, *inputs: Shape) -> str:
        return self.name

    def shape(self, *inputs: Shape) -> Shape:
        if not self.output or min(self.output) < 1 or min(self.counts) < 0:
            raise BlockError(
                f"recorded operation {self.name[:40]!r}: output is {self.output}, counts are {self.counts}; expected positive ones"
            )
        return self.output

    def params(self, *inputs: Shape) -> int:
        return self.counts[0]

    def buffers(self, *inputs: Shape) -> int:
        return self.counts[1]

    def macs(self, *inputs: Shape) -> int:
        return self.counts[2]

    def other_flops(self, *inputs: Shape) -> int:
        return self.counts[3]

    def window(self) -> Window | None:
        return self.slides

    def declare(self, *inputs: Shape) -> str:
        return self.declared

    def call(self, module: str, *inputs: str) -> str:
        places = {"module": module, **{str(i): x for i, x in enumerate(inputs)}}
        return re.sub(r"\{(module|\d+)\}", lambda match: places.get(match[1], match[0]), self.called)
