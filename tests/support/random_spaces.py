"""Random small search spaces for tests, and every genotype of a space listed one by one."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import strategies as st

from nas.blocks import (
    Block,
    Cell,
    Classifier,
    Conv,
    Maybe,
    NasnetCell,
    NasnetStack,
    OneOf,
    Parallel,
    Pool,
    Repeat,
    Residual,
    Scaled,
    Sequential,
    Skip,
    SqueezeExcite,
    shared,
)
from nas.domains import Domain, Value, choice, integer
from nas.space import Space

TIED = {
    "cell": Conv(channels=choice(2, 4), kernel=choice(1, 3)),
    "pair": Sequential(Conv(channels=choice(2, 3)), Pool(kind=choice("max", "avg"), kernel=3, stride=1, padding=1)),
    "option": OneOf(Conv(channels=2), SqueezeExcite(ratio=choice(1, 2))),
}
"""Blocks that may stand in several places of one space with their decisions tied."""


def _some(*values: object) -> st.SearchStrategy[object]:
    """One of the values, or a choice between some of them."""
    few = st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)
    return st.one_of(st.sampled_from(values), few.map(lambda v: choice(*v)))


_CONV = st.builds(Conv, channels=_some(2, 3, 4), kernel=_some(1, 3), dropout=_some(0.0, 0.25))
_POOL = st.builds(Pool, kind=_some("max", "avg"), kernel=st.just(3), stride=st.just(1), padding=st.just(1))
_RESIDUAL = st.builds(Residual, channels=_some(2, 4, None), bottleneck=_some(False, True), expansion=_some(2, 1))
_TIED = st.sampled_from(sorted(TIED)).map(lambda key: shared(key, TIED[key]))
_EDGE = OneOf(Skip(), Conv(None, kernel=choice(1, 3), order="act-conv-norm"), Pool(kernel=3, stride=1, padding="same"))
CELLS = {
    "edges": Cell(OneOf(Skip(), Conv(None, kernel=choice(1, 3))), nodes=3),
    "steps": NasnetCell(_EDGE, steps=1),
    "stack": NasnetStack(NasnetCell(_EDGE, steps=1), NasnetCell(Skip(), steps=1), channels=2, repeats=1, stages=1),
}
_CELLS = st.sampled_from(sorted(CELLS)).map(CELLS.__getitem__)
_LEAVES = st.one_of(_CONV, _CONV, _POOL, _RESIDUAL, st.builds(SqueezeExcite, ratio=_some(1, 2)), _TIED, _CELLS)
_TIMES = st.one_of(
    st.integers(0, 3),
    st.tuples(st.integers(0, 2), st.integers(0, 2)).map(lambda t: integer(min(t), max(t))),
    st.sampled_from([choice(0, 2), choice(3, 1)]),
)


def _larger(inner: st.SearchStrategy[Block]) -> st.SearchStrategy[Block]:
    few = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        few.map(lambda blocks: Sequential(*blocks)),
        few.map(lambda blocks: OneOf(*blocks)),
        few.map(lambda blocks: Parallel(*blocks, merge="concat")),
        few.map(lambda blocks: Parallel(*blocks, merge="add", fix="project")),
        st.builds(Maybe, inner),
        st.builds(Repeat, inner, _TIMES, tied=st.booleans()),
        st.builds(Residual, body=inner),
        st.builds(Scaled, inner, repeats=_some(1, 2), width=_some(1, 1.5)),
    )


def blocks() -> st.SearchStrategy[Block]:
    """Small open blocks that apply to any image of 6 x 6 pixels."""
    return st.recursive(_LEAVES, _larger, max_leaves=5)


def spaces() -> st.SearchStrategy[Space]:
    """Small spaces of classifiers."""
    return blocks().map(
        lambda block: Space(body=Sequential(block, Classifier(dropout=choice(0.0, 0.5))), input_shape=(2, 6, 6), classes=3)
    )


class TooMany(Exception):
    """The space has more genotypes than were asked for."""


def genotypes(space: Space, at_most: int) -> Iterator[dict[str, Value]]:
    """Yields every genotype of a space by walking all of its decisions, most significant first.

    Raises:
        TooMany: When there are more than `at_most`.
    """
    prefix: list[int] = []
    for _ in range(at_most):
        asked: list[int] = []
        genotype: dict[str, Value] = {}

        def decide(path: str, domain: Domain, asked: list[int] = asked, genotype: dict[str, Value] = genotype) -> Value:
            if path not in genotype:
                index = prefix[len(asked)] if len(asked) < len(prefix) else 0
                asked.append(domain.size or 0)
                genotype[path] = domain.at(index)
                if len(asked) > len(prefix):
                    prefix.append(0)
            return genotype[path]

        space.traverse(decide)
        yield genotype
        while prefix and prefix[-1] + 1 == asked[len(prefix) - 1]:
            prefix.pop()
        if not prefix:
            return
        prefix[-1] += 1
    raise TooMany
