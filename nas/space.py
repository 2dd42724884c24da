"""A search space: a description of a network in which some values are still open; close them all and it is an architecture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, cast, get_args

from nas import variation
from nas.blocks.base import Block, Decide, ask, expand_at, settle
from nas.blocks.scaled import Scaled
from nas.blocks.structure import Sequential, Shared
from nas.builder import GraphBuilder
from nas.canonical import canonical
from nas.closings import flat
from nas.containment import Matcher
from nas.counting import Counted
from nas.domains import Domain, Genotype, Value
from nas.errors import BlockError, GenotypeError, SpaceError, brief
from nas.graph import Graph
from nas.recipe import Recipe
from nas.windows import Border

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Architecture:
    """A network with nothing left open.

    Attributes:
        body: Its blocks.
        input_shape: `(channels, height, width)` of an image.
        classes: How many classes it tells apart.
        border: What a window that leaves real pixels over does.
        recipe: How it is trained; None leaves that to whoever trains it.
    """

    body: Block
    input_shape: tuple[int, int, int]
    classes: int
    border: Border = "error"
    recipe: Recipe | None = None

    @cached_property
    def written(self) -> Graph:
        """The graph as the blocks write it, dead parts included.

        Raises:
            BlockError: When a block cannot be applied where it stands.
        """
        graph = GraphBuilder(self.input_shape, self.border, self.classes)
        return graph.finish(expand_at(self.body, graph, graph.input, _root(self.body)))

    @cached_property
    def _canonical(self) -> tuple[Graph, str]:
        return canonical(self.written)

    @property
    def graph(self) -> Graph:
        """The graph of what really computes, in canonical order.

        Raises:
            BlockError: When a block cannot be applied where it stands.
        """
        return self._canonical[0]

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits that are equal for two architectures when they compute the same network, and only then."""
        return self._canonical[1]


@dataclass(frozen=True)
class Space:
    """A description of networks in which some values are left open.

    Attributes:
        body: The blocks.
        input_shape: `(channels, height, width)` of an image; None: taken from the data.
        classes: How many classes there are; None: taken from the data.
        border: What a window that leaves real pixels over does: "error", "warn", "floor" (leave them out) or "pad".
        recipe: How candidates are trained; its fields may be open too. None: the search's own recipe.
        name: What the space is called in reports; the file's name where it was loaded from one.
    """

    body: Block
    input_shape: tuple[int, int, int] | None = None
    classes: int | None = None
    border: Border = "error"
    recipe: Recipe | None = None
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.body, Block):
            raise SpaceError(
                f"Space: body is {brief(self.body)} of type {type(self.body).__name__}, expected a block such as Sequential(...)"
            )
        if self.border not in get_args(Border):
            raise SpaceError(f"Space: border is {brief(self.border)}, expected one of {', '.join(map(repr, get_args(Border)))}")
        if self.recipe is not None and not isinstance(self.recipe, Recipe):
            raise SpaceError(f"Space: recipe is {brief(self.recipe)} of type {type(self.recipe).__name__}, expected a Recipe")
        shape = self.input_shape
        if shape is not None and (
            not isinstance(shape, tuple) or len(shape) != 3 or any(type(n) is not int or not 1 <= n <= 2**16 for n in shape)
        ):
            raise SpaceError(f"Space: input_shape is {brief(shape)}, expected (channels, height, width), each from 1 to 65536")
        if self.classes is not None and (type(self.classes) is not int or not 2 <= self.classes <= 10**6):
            raise SpaceError(f"Space: classes is {brief(self.classes)}, expected a whole number of at least 2")
        self._check_shared()

    def _check_shared(self) -> None:
        blocks: dict[str, Block] = {}
        for block in self.body.walk():
            if isinstance(block, Shared) and blocks.setdefault(block.key, block.body) != block.body:
                raise SpaceError(f"shared({block.key!r}) stands for two different blocks; give the second another name")

    def bind(self, input_shape: tuple[int, int, int], classes: int) -> Space:
        """Returns the space for images of this shape and so many classes, where it leaves these open.

        Raises:
            SpaceError: When the space says otherwise.
        """
        for what, own, given in (("input_shape", self.input_shape, input_shape), ("classes", self.classes, classes)):
            if own is not None and own != given:
                raise SpaceError(f"space {self.name or 'given'!r} is for {what}={own}, not {given}; {self._way_out(what)}")
        return replace(self, input_shape=input_shape, classes=classes)

    def _way_out(self, what: str) -> str:
        """Returns what to do about a space that is for other images or classes."""
        if not self.decisions():
            return "it is one network with nothing open: nas train and --baselines make it anew for other images and classes"
        scaled = "; what nas scale wrote, write anew with --input and --classes" if isinstance(self.body, Scaled) else ""
        return f"leave {what} out of its file, of a shipped space in a copy: nas new my.py --from NAME{scaled}"

    # ---- closing

    def traverse(self, decide: Decide) -> Architecture:
        """Closes the space by asking `decide` for each active decision, in order; see `decode`."""
        shape, classes = self.input_shape or (1, 1, 1), self.classes or 2
        path = _root(self.body)
        body, _ = settle(self.body, path, decide)
        recipe = self.recipe
        if recipe is not None and recipe.open_fields():
            recipe = replace(recipe, **{f: decide(f"recipe.{f}", getattr(recipe, f)) for f in recipe.open_fields()})  # type: ignore[arg-type]
        return Architecture(body or Sequential(), shape, classes, self.border, recipe)

    def ask(self, decide: Decide) -> None:
        """Asks `decide` what `traverse` asks, in the same order, and builds nothing."""
        ask(self.body, _root(self.body), decide)
        for name in self.recipe.open_fields() if self.recipe else ():
            decide(f"recipe.{name}", getattr(self.recipe, name))

    def decode(self, genotype: Genotype) -> Architecture:
        """Returns the architecture that a genotype describes.

        Raises:
            GenotypeError: When a decision is missing, not allowed or not active.
            SpaceError: When input shape or classes are not known yet (see `bind`).
        """
        for what in ("input_shape", "classes"):
            if getattr(self, what) is None:
                raise SpaceError(f"the space leaves {what} to the data; call space.bind(input_shape, classes) first")
        return cast("Architecture", variation.checked(self, genotype)[1])

    def size(self) -> int | float:
        """Returns the number of genotypes, shared names counted once; infinite where a real number is open.

        Several genotypes may describe one network.
        """
        keys = {block.key: block.body for block in self.body.walk() if isinstance(block, Shared) and block.is_open}
        total = self.body.count()
        done: set[str] = set()
        while open_keys := {key for names in total.terms for key in names} - done:
            key = min(open_keys)
            inner = keys[key].count()
            after = Counted({})
            for names, n in total.terms.items():
                term = Counted({names: n})
                after = after.plus(term.times(inner) if key in names else term)
            total = after
            done.add(key)
        for name in self.recipe.open_fields() if self.recipe else ():
            total = total.times(Counted({frozenset(): getattr(self.recipe, name).size}))
        counts = list(total.terms.values())
        return math.inf if any(n is None for n in counts) else sum(n for n in counts if n is not None)

    @cached_property
    def _decisions(self) -> dict[str, Domain]:
        path = _root(self.body)
        found = dict(self.body.decisions(path))
        for name in self.recipe.open_fields() if self.recipe else ():
            found[f"recipe.{name}"] = getattr(self.recipe, name)
        return found

    def decisions(self) -> Mapping[str, Domain]:
        """Returns every decision that can ever be active, with its domain: the fixed-length encoding.

        Repetitions stand at their largest number, alternatives side by side.
        """
        return self._decisions

    def project(self, assignment: Mapping[str, Value]) -> dict[str, Value]:
        """Returns the genotype of the active ones among decisions for every path of `decisions()`."""
        genotype: dict[str, Value] = {}

        def decide(path: str, domain: Domain) -> Value:
            genotype[path] = assignment[path]
            return assignment[path]

        self.ask(decide)
        return genotype

    # ---- containment (see `nas.containment`)

    def encode(self, net: Architecture) -> dict[str, Value]:
        """Returns the first genotype, in order of declaration, that decodes to the network `net`.

        Raises:
            GenotypeError: When the space does not contain it; names the first decision that fails.
        """
        genotype, reason = self._found(net)
        if genotype is None:
            raise GenotypeError(f"the space does not contain the network: {reason}")
        return genotype

    def contains(self, net: Architecture) -> bool:
        """Returns whether some genotype decodes to the network `net`."""
        return self._found(net)[0] is not None

    def why_not(self, net: Architecture) -> str:
        """Returns the first decision that fails to match `net`, empty where the space contains it."""
        return self._found(net)[1]

    def _found(self, net: Architecture) -> tuple[dict[str, Value] | None, str]:
        shape, classes = self.input_shape or net.input_shape, self.classes or net.classes
        if (shape, classes) != (net.input_shape, net.classes):
            return None, f"the space is for {shape} and {classes} classes, the network for {net.input_shape} and {net.classes}"
        bound = self.bind(shape, classes)
        training = (
            {f"recipe.{name}": getattr(net.recipe, name) for name in self.recipe.open_fields()}
            if self.recipe and net.recipe
            else {}
        )
        matcher = Matcher(flat(net.body, shape, net.border, classes), self.border, classes, net.border)
        for decided in matcher.matches(self.body, _root(self.body)):
            genotype = variation.complete(bound, {**decided, **training}, None)
            try:
                if bound.decode(genotype).fingerprint == net.fingerprint:
                    return genotype, ""
            except BlockError as error:
                matcher.reason = str(error)
        return None, matcher.reason or "it matches block by block, but the two compute different networks"

    # ---- varying (see `nas.variation`)

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """Returns a genotype drawn at random, each decision evenly from its domain."""
        return variation.sample(self, rng)

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> dict[str, Value]:
        """Returns a genotype that differs by one change; see `nas.variation.mutate`."""
        return variation.mutate(self, genotype, rng)

    def crossover(self, a: Genotype, b: Genotype, rng: np.random.Generator) -> dict[str, Value]:
        """Returns a child of two genotypes, aligned by path; see `nas.variation.crossover`."""
        return variation.crossover(self, a, b, rng)

    def neighbours(self, genotype: Genotype) -> Iterator[dict[str, Value]]:
        """Yields the genotypes one step away; see `nas.variation.neighbours`."""
        return variation.neighbours(self, genotype)


def _root(body: Block) -> str:
    """Returns the path of the outermost block: none for a sequence, so that paths begin with its parts."""
    return "" if isinstance(body, Sequential) and not body.name else body.segment
