"""Blocks as dataclasses: fields are checked against their annotations, names are plain, copies share nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import pytest

from nas.blocks import (
    BLOCKS,
    Block,
    Cell,
    Classifier,
    Conv,
    GlobalPool,
    GraphBuilder,
    Inception,
    InvertedResidual,
    Maybe,
    NasnetCell,
    NasnetStack,
    NasnetStep,
    Node,
    Norm,
    OneOf,
    Parallel,
    Pool,
    Repeat,
    Residual,
    Resize,
    Scaled,
    SeparableConv,
    Sequential,
    Skip,
    SqueezeExcite,
    Zeroize,
    shared,
)  # fmt: skip
from nas.domains import Domain, Value, choice, integer, real
from nas.errors import SpaceError
from nas.space import Space


@dataclass(frozen=True)
class Typed(Block):
    """One field of each kind."""

    whole: int = 1
    number: float = 1.0
    word: str = "a"
    flag: bool = False
    either: int | None = None
    kind: Literal["a", "b", 1] = "a"
    pair: tuple[int, int] = (1, 1)
    many: tuple[int, ...] = ()
    part: Block | None = None
    parts: tuple[Block, ...] = ()
    anything: object = None

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        return x


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("whole", [0, choice(1, 2), integer(1, 2)], [1.0, True, "1", None, choice(1, 2.0), real(1, 2), (1,)]),
        ("number", [0, 1.5, choice(1, 0.5), real(0, 1), integer(0, 2)], [True, "1", None, choice(0.1, "0.2")]),
        ("word", ["", choice("a", "b")], [1, None, choice("a", 1)]),
        ("flag", [True, choice(True, False)], [1, 0, None, choice(False, 0)]),
        ("either", [None, 3, choice(None, 3)], [3.0, "3", choice(None, 3.0)]),
        ("kind", ["b", 1, choice("a", 1)], ["c", True, 1.0, None, choice("a", "c")]),
        ("pair", [(2, 3), choice((1, 2), (3, 4))], [(1,), (1, 2.0), [1, 2], 1, (choice(1, 2), 1)]),
        ("many", [(), (1, 2, 3), choice((), (1,))], [(1, "2"), 1, (choice(1, 2),)]),
        ("part", [None, Conv(3), Conv(choice(1, 2))], [3, Conv, (Conv(3),)]),
        ("parts", [(), (Conv(3), Conv(choice(1, 2)))], [Conv(3), (3,), (Conv(3), Conv)]),
        ("anything", [object(), 3, choice(1, "a")], []),
    ],
)
def test_fields_hold_what_they_say(field: str, good: list[object], bad: list[object]) -> None:
    for value in good:
        assert getattr(Typed(**{field: value}), field) is value  # type: ignore[arg-type]
    for value in bad:
        with pytest.raises(SpaceError, match=f"Typed: field '{field}' is .*, expected") as caught:
            Typed(**{field: value})  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.b", "a b", "1a", "a[0]", "@a", "é", " ", "a\n", 5, None, ("a",), choice("a", "b")])
def test_names_are_plain_words(name: object) -> None:
    with pytest.raises(SpaceError, match="expected letters, digits, '_' and '-', beginning with a letter"):
        Conv(3, name=name)  # type: ignore[arg-type]
    with pytest.raises(SpaceError):
        Sequential(Conv(3), name=name)  # type: ignore[arg-type]


def test_a_class_whose_annotations_cannot_be_read_is_not_checked() -> None:
    @dataclass(frozen=True)
    class Unknown(Block):
        value: NowhereDefined = 3  # type: ignore[name-defined]  # noqa: F821  # as under `if TYPE_CHECKING`

        def expand(self, graph: GraphBuilder, x: Node) -> Node:
            return x

    assert Unknown("anything").value == "anything"


ALL: list[Block] = [
    Classifier(), Conv(3), GlobalPool(), Inception(8), InvertedResidual(4), Maybe(Conv(3)), Norm(), OneOf(Conv(3)), Parallel(Conv(3)), Pool(),
    Repeat(Conv(3), 2), Residual(), SeparableConv(3), Sequential(), shared("a", Conv(3)), SqueezeExcite(), Cell(Conv(None)), Skip(),
    Zeroize(), NasnetStep(0, Skip(), 1, Skip()), NasnetCell(Skip()), NasnetStack(NasnetCell(Skip()), NasnetCell(Skip()), 8),
    Scaled(Conv(3), 2, 1.5), Resize(2),
]  # fmt: skip


def test_the_table_holds_every_block() -> None:
    assert {type(block).__name__: type(block) for block in ALL} == BLOCKS
    for block in ALL:
        assert (
            type(block).__doc__ and block.segment and hash(block) == hash(replace(block) if not hasattr(block, "blocks") else block)
        )


def test_open_and_closed() -> None:
    assert not Conv(3).is_open and Conv(choice(3)).is_open and Maybe(Conv(3)).is_open and OneOf(Conv(3)).is_open
    assert not Sequential(Conv(3)).is_open and Sequential(Conv(choice(1, 2))).is_open and Residual(body=Conv(choice(1, 2))).is_open
    assert not Repeat(Conv(3), 2).is_open and Repeat(Conv(3), integer(1, 1)).is_open
    assert not shared("a", Conv(3)).is_open
    closed = Conv(3)
    assert closed.close("conv", _never) is closed


def _never(path: str, domain: Domain) -> Value:
    raise AssertionError(path)


def test_each_decision_is_asked_once_in_the_order_of_declaration() -> None:
    asked: list[str] = []

    def decide(path: str, domain: Domain) -> Value:
        asked.append(path)
        return domain.at(0)

    block = Residual(
        stride=choice(1, 2),
        channels=choice(4, 8),
        body=Sequential(Conv(choice(1, 2)), Conv(kernel=choice(1, 3), channels=choice(4, 5))),
    )
    closed = block.close("r", decide)
    assert asked == ["r.channels", "r.stride", "r.body.conv.channels", "r.body.conv2.channels", "r.body.conv2.kernel"]
    assert closed == Residual(channels=4, stride=1, body=Sequential(Conv(1), Conv(4, 1)))
    assert block.is_open and asked == [path for path, _ in block.decisions("r")]


def test_blocks_are_values() -> None:
    assert Conv(3) == Conv(3) != Conv(4) and hash(Conv(choice(1, 2))) == hash(Conv(choice(1, 2)))
    assert [type(b).__name__ for b in Residual(body=Sequential(Conv(3), Maybe(Pool()))).walk()] == [
        "Residual",
        "Sequential",
        "Conv",
        "Maybe",
        "Pool",
    ]
    with pytest.raises(AttributeError):
        Conv(3).channels = 4  # type: ignore[misc]


def test_an_open_block_cannot_be_expanded() -> None:
    graph = GraphBuilder((1, 4, 4))
    for block in (Maybe(Conv(3)), OneOf(Conv(3))):
        with pytest.raises(SpaceError, match="decode a genotype first"):
            block.expand(graph, graph.input)


def test_a_label_tells_where_a_node_comes_from() -> None:
    space = Space(
        Sequential(
            Conv(3, name="stem"),
            Repeat(OneOf(Residual(body=Sequential(Conv(3), name="inner")), Pool()), integer(1, 2), name="stage"),
            Classifier(),
        ),
        (1, 4, 4),
        2,
    )
    graph = space.decode({"stage.times": 2, "stage[0].block": "residual", "stage[1].block": "residual"}).written
    assert list(dict.fromkeys(graph.labels)) == [
        "", "stem", "stage[0].residual.body.conv", "stage[0].residual", "stage[1].residual.body.conv", "stage[1].residual", "classifier",
    ]  # fmt: skip
