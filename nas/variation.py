"""Making genotypes: drawing, mutating, crossing, stepping to neighbours. Pure functions; the generator is passed in.

A genotype maps decision paths to values and holds active decisions only. Nothing here knows what the decisions build: a tree
is asked to close itself, and answers which decisions that takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from nas.domains import Domain, Genotype, Real, Value, identity
from nas.errors import GenotypeError, did_you_mean

if TYPE_CHECKING:
    import numpy as np

Decide = Callable[[str, Domain], Value]
Place = tuple[Genotype, str]
"""A genotype, and a path in it."""


class Tree(Protocol):
    """Whatever has decisions: asks for each active one, once or more, in a fixed order."""

    def traverse(self, decide: Decide) -> object:
        """Closes itself by asking `decide` for each active decision."""

    def ask(self, decide: Decide) -> None:
        """Asks the same without closing anything."""

    def decisions(self) -> Mapping[str, Domain]:
        """Returns every decision that can ever be active, by path."""


def sample(tree: Tree, rng: np.random.Generator) -> dict[str, Value]:
    """Returns a genotype whose every decision is drawn from its domain."""
    return complete(tree, {}, rng)


def complete(tree: Tree, wanted: Genotype, rng: np.random.Generator | None) -> dict[str, Value]:
    """Returns a genotype that decides as `wanted` does where it can; the rest is drawn.

    Args:
        tree: What is decided.
        wanted: Decisions to keep where they are active and allowed.
        rng: Draws the others; None takes the domain's first value.
    """
    genotype: dict[str, Value] = {}

    def decide(path: str, domain: Domain) -> Value:
        if path in genotype:
            return genotype[path]
        value = wanted.get(path)
        if not domain.holds(value) or (value is None and path not in wanted):
            value = domain.at(0) if rng is None else domain.draw(rng)
        genotype[path] = value
        return value

    tree.ask(decide)
    return genotype


def checked(tree: Tree, genotype: Genotype) -> tuple[dict[str, Value], object]:
    """Returns the genotype in the tree's own order, and what the tree closes to.

    Raises:
        GenotypeError: When a decision is missing, not allowed, or not active.
    """
    ordered: dict[str, Value] = {}

    def decide(path: str, domain: Domain) -> Value:
        if path not in ordered:
            if path not in genotype:
                raise GenotypeError(f"the genotype lacks decision {path!r}; expected one of {domain!r}")
            if not domain.holds(genotype[path]):
                raise GenotypeError(f"decision {path!r} is {genotype[path]!r}, expected one of {domain!r}")
            ordered[path] = genotype[path]
        return ordered[path]

    closed = tree.traverse(decide)
    if len(ordered) < len(genotype):
        extra = next(path for path in genotype if path not in ordered)
        raise GenotypeError(f"decision {extra!r} is not active in this genotype{did_you_mean(extra, ordered)}")
    return ordered, closed


def active(tree: Tree, genotype: Genotype) -> dict[str, Domain]:
    """Returns the domain of each active decision."""
    domains = tree.decisions()
    return {path: domains[path] for path in genotype}


def mutate(tree: Tree, genotype: Genotype, rng: np.random.Generator) -> dict[str, Value]:
    """Returns a genotype that differs by one change: a value, an operation, or a repetition more or less.

    Every decision that has another value is equally likely. A changed number of repetitions inserts copies of a repetition
    at a random place, or takes one out there, and moves the others along; decisions that come to be active are drawn.

    Args:
        tree: What is decided.
        genotype: Complete and valid; returned as it is where nothing can be changed.
        rng: Draws the decision, its value, and what comes to be active.
    """
    domains = tree.decisions()
    changeable = [path for path in genotype if domains[path].varies]
    if not changeable:
        return dict(genotype)
    path = changeable[int(rng.random() * len(changeable))]
    value = _other(domains[path], genotype[path], rng)
    return complete(tree, _changed(genotype, path, value, rng), rng)


def _other(domain: Domain, value: Value, rng: np.random.Generator) -> Value:
    if isinstance(domain, Real):
        for _ in range(100):  # a step over the end of the range may lead back to where it began
            step = domain.where(value) + 0.2 * rng.standard_normal()
            found = domain.at(min(max(step, 0.0), 1.0))
            if found != value:
                return found
        return domain.high if value == domain.low else domain.low
    near = domain.near(value)
    return near[int(rng.random() * len(near))]


def _changed(genotype: Genotype, path: str, value: Value, rng: np.random.Generator) -> dict[str, Value]:
    """Returns the genotype with one decision changed, not yet complete."""
    old = genotype[path]
    changed = dict(genotype)
    if path.endswith(".times") and type(old) is int and type(value) is int:
        base = path.removesuffix(".times")
        while old < value:
            changed = shifted(changed, base, int(rng.random() * (old + 1)), +1)
            old += 1
        while old > value:
            changed = shifted(changed, base, int(rng.random() * old), -1)
            old -= 1
    changed[path] = value
    return changed


def shifted(genotype: Genotype, base: str, at: int, by: int) -> dict[str, Value]:
    """Returns the genotype with a repetition of `base` inserted before `at` (a copy of the one there), or taken out there."""
    place = re.compile(re.escape(base) + r"\[(\d+)\](.*)", re.DOTALL)
    shifted: dict[str, Value] = {}
    for path, value in genotype.items():
        match = place.fullmatch(path)
        if match is None:
            shifted[path] = value
            continue
        i, rest = int(match[1]), match[2]
        if by > 0:
            if i <= at:
                shifted[f"{base}[{i}]{rest}"] = value
            if i >= at:
                shifted[f"{base}[{i + 1}]{rest}"] = value
        elif i != at:
            shifted[f"{base}[{i - (i > at)}]{rest}"] = value
    return shifted


def neighbours(tree: Tree, genotype: Genotype) -> Iterator[dict[str, Value]]:
    """Yields every genotype one step away: each decision to each near value, repetitions inserted and removed anywhere.

    Decisions that come to be active copy the repetition beside them, or take the first value of their domain. Repeats are
    not filtered out.
    """
    for path, domain in active(tree, genotype).items():
        for value in domain.near(genotype[path]):
            old = genotype[path]
            if path.endswith(".times") and type(old) is int and type(value) is int and abs(value - old) == 1:
                base, by = path.removesuffix(".times"), value - old
                for at in range(old + 1 if by > 0 else old):
                    yield complete(tree, {**shifted(genotype, base, at, by), path: value}, None)
            else:
                yield complete(tree, {**genotype, path: value}, None)


def successor(tree: Tree, genotype: Genotype) -> dict[str, Value] | None:
    """Returns the genotype behind one in the order of the fixed-length encoding, None behind the last.

    Args:
        tree: Without open real numbers.
        genotype: Complete and valid.
    """
    asked: dict[str, Domain] = {}

    def decide(path: str, domain: Domain) -> Value:
        asked[path] = domain
        return genotype[path]

    tree.ask(decide)
    paths = list(asked)
    for i in reversed(range(len(paths))):
        domain, value = asked[paths[i]], genotype[paths[i]]
        position = round(domain.where(value)) + 1
        if position < (domain.size or 0):
            begun = {path: genotype[path] for path in paths[:i]}
            return complete(tree, {**begun, paths[i]: domain.at(position)}, None)
    return None


def crossover(tree: Tree, a: Genotype, b: Genotype, rng: np.random.Generator) -> dict[str, Value]:
    """Returns a child that takes each decision from one of its parents.

    Repetitions are aligned by their relative place, so parents of different depth give children of either depth; each
    repetition of the child comes whole from one parent, or is mixed from both, with equal chances. A decision that no parent
    has is drawn.

    Args:
        tree: What is decided.
        a: One parent.
        b: The other; the order does not matter but for what `rng` draws.
        rng: Draws whom each decision comes from.
    """
    child: dict[str, Value] = {}
    places: dict[str, tuple[Place, ...]] = {"": ((a, ""), (b, ""))}  # of each repetition of the child, by its path

    def found(repetition: str) -> tuple[Place, ...]:
        if repetition not in places:  # an inner one that needed no aligning lies where the one around it does
            outer = repetition[: repetition.rfind("]", 0, -1) + 1]
            places[repetition] = tuple([(parent, at + repetition[len(outer) :]) for parent, at in found(outer)])
        return places[repetition]

    def decide(path: str, domain: Domain) -> Value:
        if path in child:
            return child[path]
        end = path.rfind("]") + 1
        rest = path[end:]
        parents = [(parent, at) for parent, at in found(path[:end]) if at + rest in parent and domain.holds(parent[at + rest])]
        if not parents:
            child[path] = domain.draw(rng)
            return child[path]
        parent, at = parents[int(rng.random() * len(parents))]
        value = child[path] = parent[at + rest]
        if rest.endswith(".times") and type(value) is int:
            _align(path, value, [(parent, at + rest) for parent, at in parents], places, rng)
        return value

    tree.ask(decide)
    return child


def _align(path: str, times: int, parents: list[Place], places: dict[str, tuple[Place, ...]], rng: np.random.Generator) -> None:
    """Says for each repetition of the child, whose number is decided at `path`, which ones of its parents it comes from."""
    base = path.removesuffix(".times")
    for i in range(times):
        aligned: list[Place] = []
        for parent, at in parents:
            n = parent[at]
            if type(n) is int and n > 0:
                j = round(i * (n - 1) / (times - 1)) if times > 1 else int(rng.random() * n)
                aligned.append((parent, f"{at.removesuffix('.times')}[{j}]"))
        pick = int(rng.random() * 3)
        places[f"{base}[{i}]"] = (aligned[pick],) if pick < len(aligned) and len(aligned) > 1 else tuple(aligned)


def same(a: Genotype, b: Genotype) -> bool:
    """Returns whether two genotypes decide alike, types included."""
    return a.keys() == b.keys() and all(identity(a[path]) == identity(b[path]) for path in a)
