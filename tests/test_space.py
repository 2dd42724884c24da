"""Search spaces: paths, sizes, decoding, and what is refused."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_spaces import TooMany, genotypes, spaces

from nas.blocks import (
    Block,
    Classifier,
    Conv,
    GraphBuilder,
    Maybe,
    Node,
    OneOf,
    Parallel,
    Pool,
    Repeat,
    Residual,
    Sequential,
    shared,
)
from nas.blocks.base import Decide, settle
from nas.domains import choice, identity, integer, real
from nas.errors import BlockError, GenotypeError, NasError, SpaceError
from nas.recipe import Recipe
from nas.space import Space

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def space(*blocks: Block, **more: object) -> Space:
    values = {"input_shape": (2, 8, 8), "classes": 3, "body": Sequential(*blocks, Classifier()), **more}
    return Space(**values)  # type: ignore[arg-type]


# ---- size


@given(spaces())
@SLOW
def test_size_is_the_number_of_genotypes(found: Space) -> None:
    size = found.size()
    if size > 2_000:
        with pytest.raises(TooMany):
            list(genotypes(found, 50))
        assume(False)
    listed = list(genotypes(found, 2_000))
    assert size == len(listed)
    assert len({tuple((path, identity(v)) for path, v in g.items()) for g in listed}) == len(listed)
    active = {path for genotype in listed for path in genotype}
    assert active == set(found.decisions()), "the fixed-length encoding holds exactly the decisions that can be active"


CONV = Conv(channels=choice(2, 3, 4))
"""Three ways."""


@pytest.mark.parametrize(
    ("blocks", "size"),
    [
        ((), 1),
        ((Conv(channels=2),), 1),
        ((CONV,), 3),
        ((CONV, CONV), 9),
        ((OneOf(CONV, Conv(channels=2), Pool(kind=choice("max", "avg"))),), 6),
        ((Maybe(CONV),), 4),
        ((Maybe(Conv(channels=2)),), 2),
        ((Repeat(CONV, times=2),), 9),
        ((Repeat(CONV, times=integer(0, 2)),), 13),
        ((Repeat(CONV, times=choice(3, 1)),), 30),
        ((Repeat(CONV, times=integer(0, 2), tied=True),), 7),
        ((Repeat(Maybe(CONV), times=2),), 16),
        ((Repeat(Repeat(CONV, times=integer(1, 2)), times=integer(0, 1)),), 13),
        ((Parallel(CONV, CONV),), 9),
        ((Residual(body=Sequential(CONV, CONV)),), 9),
        ((shared("a", CONV), shared("a", CONV)), 3),
        ((shared("a", CONV), shared("b", CONV)), 9),
        ((shared("a", CONV), Maybe(shared("a", CONV))), 6),
        ((Maybe(shared("a", CONV)),), 4),  # absent, the shared decision is not active
        ((OneOf(shared("a", CONV), Conv(channels=2)), OneOf(shared("a", CONV), Pool())), 10),
        ((Repeat(shared("a", CONV), times=integer(0, 5)),), 16),
        ((shared("a", Sequential(shared("b", CONV), CONV)), shared("b", CONV)), 9),
        ((shared("a", Conv(channels=2)), shared("a", Conv(channels=2))), 1),
    ],
)
def test_sizes_by_hand(blocks: tuple[Block, ...], size: int) -> None:
    assert space(*blocks).size() == size
    assert len(list(genotypes(space(*blocks), 100))) == size


def test_size_with_an_open_recipe() -> None:
    assert space(CONV, recipe=Recipe(batch_size=choice(32, 64), momentum=choice(0.8, 0.9))).size() == 12
    assert space(CONV, recipe=Recipe(lr=real(0.1, 0.2))).size() == math.inf
    assert space(OneOf(CONV, Residual(channels=4))).size() == 4


def test_sizes_of_large_spaces_are_quick() -> None:
    assert space(Repeat(CONV, times=integer(0, 1000))).size() == (3**1001 - 1) // 2
    deep: Block = CONV
    for _ in range(6):
        deep = Repeat(deep, times=integer(0, 9))
    assert space(deep).size() > 10**1000


# ---- paths


def test_paths_are_readable_and_distinct() -> None:
    found = space(
        Conv(channels=choice(2, 4), name="stem"),
        CONV,
        CONV,
        Repeat(OneOf(CONV, Residual(channels=choice(2, 4))), times=integer(1, 2), name="stage"),
        Repeat(CONV, times=2, tied=True),
        Maybe(CONV),
        shared("cell", CONV),
        Residual(body=Sequential(CONV, Maybe(CONV))),
        recipe=Recipe(lr=real(0.1, 0.2)),
    )
    assert list(found.decisions()) == [
        "stem.channels",
        "conv.channels",
        "conv2.channels",
        "stage.times",
        "stage[0].block",
        "stage[0].conv.channels",
        "stage[0].residual.channels",
        "stage[1].block",
        "stage[1].conv.channels",
        "stage[1].residual.channels",
        "repeat[*].channels",
        "maybe.present",
        "maybe.conv.channels",
        "@cell.channels",
        "residual.body.conv.channels",
        "residual.body.maybe.present",
        "residual.body.maybe.conv.channels",
        "recipe.lr",
    ]


def test_a_body_that_is_no_sequence_stands_under_its_own_name() -> None:
    assert list(Space(CONV).decisions()) == ["conv.channels"]
    assert list(Space(Sequential(CONV, name="net")).decisions()) == ["net.conv.channels"]
    assert list(Space(OneOf(CONV, Pool(kind=choice("max", "avg")))).decisions()) == [
        "oneof.block",
        "oneof.conv.channels",
        "oneof.pool.kind",
    ]


# ---- decoding


@given(spaces(), st.integers(0, 2**32))
@SLOW
def test_samples_decode_to_graphs_that_hold_together(found: Space, seed: int) -> None:
    genotype = found.sample(np.random.default_rng(seed))
    architecture = found.decode(genotype)
    architecture.written.lint()
    architecture.graph.lint()
    assert architecture.graph.output_shape == (3,)
    assert found.decode(dict(reversed(genotype.items()))).fingerprint == architecture.fingerprint
    assert found.project({**dict.fromkeys(found.decisions()), **genotype}) == genotype
    assert not architecture.body.is_open


def test_decoding_names_what_is_wrong() -> None:
    found = space(CONV, Maybe(CONV))
    for genotype, said in (
        ({}, r"lacks decision 'conv.channels'; expected one of choice\(2, 3, 4\)"),
        ({"conv.channels": 5, "maybe.present": False}, r"'conv.channels' is 5, expected one of choice\(2, 3, 4\)"),
        ({"conv.channels": 2.0, "maybe.present": False}, r"'conv.channels' is 2.0, expected"),
        ({"conv.channels": 2, "maybe.present": 0}, r"'maybe.present' is 0, expected"),
        ({"conv.channels": 2, "maybe.present": False, "maybe.conv.channels": 2}, r"'maybe.conv.channels' is not active"),
        (
            {"conv.channels": 2, "maybe.present": False, "maybe.presents": False},
            r"'maybe.presents' is not active.*did you mean 'maybe.present'",
        ),
        ({"conv.channels": 2, "maybe.present": False, 7: 1}, r"decision 7 is not active"),
        ({"conv.channels": [2], "maybe.present": False}, r"'conv.channels' is \[2\], expected"),
    ):
        with pytest.raises(GenotypeError, match=said):
            found.decode(genotype)  # type: ignore[arg-type]


def test_a_space_without_shape_or_classes_says_so() -> None:
    for missing in ("input_shape", "classes"):
        with pytest.raises(SpaceError, match=f"leaves {missing} to the data"):
            replace(space(), **{missing: None}).decode({})  # type: ignore[arg-type]


def test_binding_agrees_with_the_data_or_says_why_not() -> None:
    open_space = Space(Sequential(CONV, Classifier()))
    bound = open_space.bind((1, 9, 9), 4)
    assert bound.decode({"conv.channels": 2}).graph.output_shape == (4,)
    assert bound.bind((1, 9, 9), 4) == bound
    with pytest.raises(SpaceError, match=r"is for classes=4, not 5; leave classes out of its file, .* nas new my.py --from NAME"):
        bound.bind((1, 9, 9), 5)
    with pytest.raises(SpaceError, match=r"is for input_shape=\(1, 9, 9\), not \(3, 9, 9\)"):
        bound.bind((3, 9, 9), 4)


def test_values_of_equal_worth_but_other_type_stay_apart() -> None:
    @dataclass(frozen=True)
    class Scale(Block):
        factors: object = None

        def expand(self, graph: GraphBuilder, x: Node) -> Node:
            return graph.conv(x, len(repr(self.factors)))

    values = ((1, 2), (True, 2), (1.0, 2), 1, True, 1.0, "1", None)
    found = space(Scale(factors=choice(*values)))
    widths = [found.decode({"scale.factors": v}).graph.facts[1].shape[0] for v in values]
    assert widths == [len(repr(v)) for v in values]


def test_two_fields_of_blocks_are_not_mixed_up() -> None:
    """Closed copies are remembered by their parts: which field a part stands in counts."""

    @dataclass(frozen=True)
    class Two(Block):
        left: tuple[Block, ...] = ()
        right: tuple[Block, ...] = ()

        def expand(self, graph: GraphBuilder, x: Node) -> Node:
            for block in self.left:
                x = block.expand(graph, x)
            x = graph.pool(x, "max", 2)
            for block in self.right:
                x = block.expand(graph, x)
            return x

    wide = Conv(channels=5)
    found = space(Two(left=(wide, Maybe(wide)), right=(Maybe(wide), wide)))
    seen = {found.decode(genotype).fingerprint for genotype in genotypes(found, 10)}
    assert found.size() == 4 and len(seen) == 4


def test_a_block_left_out_of_a_field_passes_its_input_on() -> None:
    found = space(Residual(body=Maybe(Conv(channels=2))), Classifier())
    kinds = [type(op).__name__ for op in found.decode({"residual.body.present": False}).graph.ops]
    assert kinds[:3] == ["Input", "Add", "Activation"]
    branches = space(Parallel(Maybe(Conv(channels=2)), Maybe(Conv(channels=2))))
    absent = branches.decode({"parallel.maybe.present": False, "parallel.maybe2.present": False})
    assert [type(op).__name__ for op in absent.graph.ops][1] == "AdaptivePool2d"


def test_closed_copies_do_not_pile_up() -> None:
    @dataclass(frozen=True)
    class Blurred(Block):
        share: float = 0.0
        body: Block = Sequential()

        def expand(self, graph: GraphBuilder, x: Node) -> Node:
            return x

    block = Blurred(share=real(0.0, 1.0), body=Sequential(CONV))
    found, rng = space(block), np.random.default_rng(0)
    for _ in range(6_000):
        found.decode(found.sample(rng))
    assert len(block.__dict__["_closed"]) <= 4_096


def test_fields_that_the_constructor_does_not_set() -> None:
    from dataclasses import field

    @dataclass(frozen=True, slots=True)
    class Slotted(Block):
        width: int = 2
        fixed: int = field(default=3, init=False)

        def expand(self, graph: GraphBuilder, x: Node) -> Node:
            return graph.conv(x, self.width * self.fixed)

    assert space(Slotted(width=choice(1, 2))).decode({"slotted.width": 2}).graph.facts[1].shape[0] == 6


def test_recipes_are_closed_with_the_network() -> None:
    found = space(CONV, recipe=Recipe(lr=choice(0.1, 0.2), shift=integer(0, 3)))
    architecture = found.decode({"conv.channels": 2, "recipe.lr": 0.2, "recipe.shift": 1})
    assert architecture.recipe == Recipe(lr=0.2, shift=1)
    assert found.encode(architecture) == {"conv.channels": 2, "recipe.lr": 0.2, "recipe.shift": 1}


# ---- what is refused


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"body": 3}, r"body is 3 of type int, expected a block"),
        ({"body": Conv}, r"body is .*Conv.* expected a block"),
        ({"border": "eror"}, r"border is 'eror', expected one of 'error', 'warn', 'floor', 'pad'"),
        ({"input_shape": (28, 28)}, r"input_shape is \(28, 28\), expected \(channels, height, width\)"),
        ({"input_shape": [1, 28, 28]}, r"input_shape is \[1, 28, 28\], expected"),
        ({"input_shape": (1, 28, 28.0)}, r"input_shape is .* expected"),
        ({"input_shape": (0, 28, 28)}, r"input_shape is .* expected"),
        ({"classes": 1}, r"classes is 1, expected a whole number of at least 2"),
        ({"classes": True}, r"classes is True, expected"),
        ({"recipe": {"lr": 0.1}}, r"recipe is .* expected a Recipe"),
        ({"body": Sequential(shared("a", CONV), shared("a", Conv(channels=2)))}, r"shared\('a'\) stands for two different blocks"),
    ],
)
def test_spaces_are_checked_when_they_are_written(values: dict[str, object], said: str) -> None:
    with pytest.raises(SpaceError, match=said) as caught:
        space(**values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("blocks", "parts"),
    [
        ((Conv(4, kernel=9, padding="valid", name="stem"),), ("stem", "(2, 8, 8)", "kernel 9", "8 x 8", "use a smaller kernel")),
        (
            (Repeat(Pool(kernel=2), times=4, name="down"),),
            ("down[3]", "(2, 1, 1)", "kernel 2", "1 x 1", "use a smaller kernel, or fewer"),
        ),
        ((Parallel(Conv(4), Pool()),), ("parallel", "(4, 8, 8)", "(2, 4, 4)", "fix='project', 'pad' or 'crop'")),
        ((Parallel(Conv(4), Conv(3), merge="add"),), ("parallel", "(4, 8, 8)", "(3, 8, 8)", "fix='project'")),
        ((Residual(channels=4, shortcut="identity"),), ("residual", "(2, 8, 8)", "(4, 8, 8)", "shortcut='project' or 'pad'")),
        ((Residual(channels=1, shortcut="pad"),), ("residual", "2 channels are to become 1", "use 'project'")),
        ((Classifier(), Conv(4)), ("conv", "(3,)", "(channels, height, width)", "put it before the classifier")),
        ((Conv(4, groups=3),), ("conv", "groups=3", "2 in and 4 out")),
        ((Pool(kernel=3, stride=2),), ("pool", "8 x 8", "1 row", "border='floor'")),
        ((Conv(choice(0, -1)),), ("conv", "channels", "at least 1")),
        ((Residual(channels=0),), ("residual", "channels is 0", "at least 1")),
        ((Conv(4, activation="rleu"),), ("conv", "'rleu'", "did you mean 'relu'")),
        ((Conv(4, norm="bacth"),), ("conv", "'bacth'", "did you mean 'batch'")),
        ((Conv(4, padding_mode="zero"),), ("conv", "'zero'", "did you mean 'zeros'")),
        ((Conv(4, padding=-1),), ("conv", "padding", "at least 0")),
        ((Conv(4, dropout=1.0),), ("conv", "dropout is 1.0", "below 1")),
        ((Residual(body=Sequential(Conv(2, kernel=(9, 1), padding=0), name="inner")),), ("residual.body", "(2, 8, 8)", "8 x 8")),
    ],
)
def test_blocks_that_cannot_be_applied_say_where_and_how_to_mend_it(blocks: tuple[Block, ...], parts: tuple[str, ...]) -> None:
    found = space(*blocks)
    with pytest.raises(BlockError) as caught:
        found.decode(found.sample(np.random.default_rng(0))).graph
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_an_error_in_a_users_block_is_one_line_with_its_place() -> None:
    @dataclass(frozen=True)
    class Broken(Block):
        def expand(self, graph: GraphBuilder, x: Node) -> Node:
            raise ValueError("first\nsecond")

    @dataclass(frozen=True)
    class Forgetful(Block):
        def expand(self, graph: GraphBuilder, x: Node) -> Node:
            graph.conv(x, 4)
            return None  # type: ignore[return-value]

    for block, said in (
        (Broken(name="mine"), r"mine: Broken\(\) failed on \(2, 8, 8\): ValueError: first second"),
        (Forgetful(), r"forgetful.*expand returned None"),
    ):
        with pytest.raises(BlockError, match=said) as caught:
            space(block).decode({}).graph
        assert "\n" not in str(caught.value)


def test_border_rules_are_the_spaces() -> None:
    for border, size in (("floor", 3), ("warn", 3), ("pad", 4)):
        found = Space(Pool(kernel=3, stride=2), input_shape=(1, 8, 8), classes=2, border=border)  # type: ignore[arg-type]
        graph = found.decode({}).written
        assert graph.output_shape == (1, size, size)
        assert bool(graph.notes) == (border == "warn")


def test_every_error_of_the_space_language_is_a_nas_error() -> None:
    assert issubclass(SpaceError, NasError) and issubclass(GenotypeError, SpaceError)


@given(spaces(), st.integers(0, 2**32 - 1))
@SLOW
def test_asking_asks_what_closing_asks(found: Space, seed: int) -> None:
    genotype = found.sample(np.random.default_rng(seed))
    asked = []
    for method in (found.ask, found.traverse):  # a decision that is tied may be asked for several times
        seen: dict[str, object] = {}
        method(lambda path, domain, seen=seen: (seen.setdefault(path, domain), genotype[path])[1])  # type: ignore[misc]
        asked.append(list(seen.items()))
    assert asked[0] == asked[1]
    assert dict(asked[0]).keys() == genotype.keys()


@dataclass(frozen=True)
class Twice(Block):
    """A block of one's own that closes itself in its own way."""

    body: Block

    @property
    def is_open(self) -> bool:  # type: ignore[override]
        return True

    def close(self, path: str, decide: Decide) -> Block:
        return Sequential(*[settle(self.body, f"{path}.half{i}", decide)[0] or Sequential() for i in (1, 2)])

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        raise NotImplementedError


def test_a_block_that_closes_itself_in_its_own_way_is_sampled_so() -> None:
    found = space(Twice(Conv(channels=choice(2, 4))))
    assert list(found.sample(np.random.default_rng(0))) == ["twice.half1.channels", "twice.half2.channels"]
