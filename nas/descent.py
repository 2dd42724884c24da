"""Steps from a network of a space to a smaller one, and the climb to the largest. Nothing is drawn at random.

Smaller is said by exact costs: none of them greater, one less. A step changes one decision: a number to the next one in its domain
that makes the network smaller, a repetition taken out anywhere, another operation or none at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import inf, log
from typing import TYPE_CHECKING

from nas.domains import Domain, Genotype, Real, Value, identity
from nas.pareto import dominates
from nas.problem import Candidate, Problem, Rejected
from nas.variation import active, complete, shifted

if TYPE_CHECKING:
    import numpy as np

    from nas.space import Space

_DRAWN = 64
"""Networks that are drawn to begin the climb with, where the first and the last values of all domains are refused."""


@dataclass(frozen=True)
class Step:
    """One way to a smaller network.

    Attributes:
        candidate: The network, feasible.
        words: What was done, for people.
        aligned: Path of a block to its path before the step, where the two differ.
    """

    candidate: Candidate
    words: str
    aligned: Mapping[str, str]


def cost_names(problem: Problem, costs: Mapping[str, float]) -> list[str]:
    """Returns the exact costs by which networks of a problem are smaller or larger, the first of them the most important."""
    ranked = [objective.name for objective in problem.objectives if objective.exact and objective.loss(1.0) > 0]
    return [name for name in dict.fromkeys([*ranked, "params", "macs"]) if name in costs]


def is_smaller(names: Iterable[str], one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Returns whether no cost of the one is above that of the other, and one is below."""
    ranked = list(names)
    return dominates([one[name] for name in ranked], [other[name] for name in ranked])


def saved(names: Iterable[str], child: Mapping[str, float], parent: Mapping[str, float]) -> float:
    """Returns how much smaller a network is than another one: the sum of the logarithms of the ratios of their costs."""
    return sum(log(parent[name] / child[name]) if child[name] > 0 else inf * (parent[name] > 0) for name in names if parent[name])


def steps_down(problem: Problem, genotype: Genotype) -> Iterator[Step]:
    """Yields every feasible network that is one step smaller; several steps may lead to one network in different ways.

    Args:
        problem: Space and constraints.
        genotype: Feasible.
    """
    here = problem.consider(genotype)
    names = cost_names(problem, here.costs)
    for path, domain in active(problem.space, genotype).items():
        if path.startswith("recipe.") or isinstance(domain, Real):
            continue
        value = genotype[path]
        if path.endswith(".times") and type(value) is int:
            yield from _taken_out(problem, here, names, path, _next_below(domain, value))
            continue
        for other in _others(domain, value):
            found = _considered(problem, _changed(problem.space, genotype, path, other))
            if found is not None and is_smaller(names, found.costs, here.costs):
                yield Step(found, f"{path} {value} to {other}", {})


def _taken_out(problem: Problem, here: Candidate, names: list[str], path: str, times: int | None) -> Iterator[Step]:
    """Yields networks in which repetitions are taken out somewhere, so that `times` are left."""
    base, old = path.removesuffix(".times"), here.genotype[path]
    assert isinstance(old, int)
    if times is None:
        return
    count = old - times
    places = [times] if base.startswith("@") else range(times + 1)  # what is shared stands at paths that its own does not tell
    for at in places:
        genotype: Genotype = here.genotype
        for _ in range(count):
            genotype = shifted(genotype, base, at, -1)
        found = _considered(problem, complete(problem.space, {**genotype, path: times}, None))
        if found is not None and is_smaller(names, found.costs, here.costs):
            which = f"{base}[{at}]" + (f" to [{at + count - 1}]" if count > 1 else "")
            yield Step(found, f"{which} out", _moved_up(found.graph.labels, base, at, count))


def _moved_up(labels: Iterable[str], base: str, at: int, count: int) -> dict[str, str]:
    """Returns where blocks stood before `count` repetitions of `base` were taken out at `at`."""
    pattern = re.compile(f"({re.escape(base)})".replace(r"\[\*\]", r"\[\d+\]") + r"\[(\d+)\](.*)", re.DOTALL)
    found = {}
    for label in dict.fromkeys(labels):
        match = pattern.fullmatch(label)
        if match is not None and int(match[2]) >= at:
            found[label] = f"{match[1]}[{int(match[2]) + count}]{match[3]}"
    return found


def through(first: Mapping[str, str], then: Mapping[str, str], labels: Iterable[str]) -> dict[str, str]:
    """Returns where blocks stood before two steps, one after the other.

    Args:
        first: `Step.aligned` of the first.
        then: Of the second.
        labels: Paths of the blocks that are left.
    """
    found = {label: first.get(then.get(label, label), then.get(label, label)) for label in dict.fromkeys(labels)}
    return {label: before for label, before in found.items() if label != before}


def largest(problem: Problem, rng: np.random.Generator) -> Genotype | None:
    """Returns a feasible genotype to which no change of one decision adds anything: the top of a greedy climb.

    The climb begins at a smallest network and raises one decision after the other by the smallest amount, round and round, so that
    all of a network grows together until the constraints leave no room: first by what adds to the first cost, then by what adds to
    any. It asks nothing but exact costs.

    Args:
        problem: Space and constraints.
        rng: Asked only where neither the first nor the last values of all domains are feasible.

    Returns:
        None where nothing feasible was found to begin with.
    """
    here = _begin(problem, rng)
    if here is None:
        return None
    names = cost_names(problem, here.costs)

    def lowered(now: Candidate, found: list[Candidate]) -> Candidate | None:
        best = max(found, key=lambda other: saved(names, other.costs, now.costs), default=now)
        return best if saved(names, best.costs, now.costs) > 0 else None

    def raised(now: Candidate, found: list[Candidate], by: list[str]) -> Candidate | None:
        larger = [other for other in found if is_smaller(names, now.costs, other.costs) and is_smaller(by, now.costs, other.costs)]
        return min(larger, key=lambda other: saved(names, now.costs, other.costs), default=None)

    here = _rounds(problem, here, lowered)
    here = _rounds(problem, here, lambda now, found: raised(now, found, names[:1]))
    return _rounds(problem, here, lambda now, found: raised(now, found, names)).genotype


def _begin(problem: Problem, rng: np.random.Generator) -> Candidate | None:
    space = problem.space
    for genotype in (complete(space, {}, None), _completed(space, {}, ())):
        if (found := _considered(problem, genotype)) is not None:
            return found
    drawn = (_considered(problem, space.sample(rng)) for _ in range(_DRAWN))
    return next((found for found in drawn if found is not None), None)


def _rounds(problem: Problem, here: Candidate, better: Callable[[Candidate, list[Candidate]], Candidate | None]) -> Candidate:
    """Goes through all decisions, round and round, changing each as `better` picks, until nothing is picked any more."""
    moved = True
    while moved:
        moved = False
        for path in list(here.genotype):
            found = list(_variants(problem, here.genotype, path)) if path in here.genotype else []
            if (picked := better(here, found)) is not None:
                here, moved = picked, True
    return here


def _variants(problem: Problem, genotype: Genotype, path: str) -> Iterator[Candidate]:
    """Yields the feasible networks in which one decision has the next value on either side, or any other where it is no number."""
    space = problem.space
    domain, value = space.decisions()[path], genotype[path]
    if path.startswith("recipe.") or isinstance(domain, Real):
        return
    for other in _others(domain, value):
        ways = [{**genotype, path: other}]
        if path.endswith(".times") and type(value) is int and type(other) is int:
            for i in range(value, other):
                ways[0] = {**shifted(ways[0], path.removesuffix(".times"), max(0, i - 1), +1), path: other}
        else:
            ways.append(dict(_changed(space, genotype, path, other)))
        for way in ways:
            if (found := _considered(problem, complete(space, way, None))) is not None:
                yield found


def _considered(problem: Problem, genotype: Genotype) -> Candidate | None:
    try:
        return problem.consider(genotype)
    except Rejected:
        return None


def _others(domain: Domain, value: Value) -> list[Value]:
    """Returns the other values that one step reaches: the next numbers on both sides, or everything that is no number."""
    values = [domain.at(i) for i in range(domain.size or 0)]
    if not all(_is_number(v) for v in values):
        return [v for v in values if identity(v) != identity(value)]
    ordered = sorted(values, key=_as_number)
    place = [identity(v) for v in ordered].index(identity(value))
    return [*ordered[max(0, place - 1) : place], *ordered[place + 1 : place + 2]]


def _next_below(domain: Domain, value: int) -> int | None:
    return max((n for n in _whole(domain) if n < value), default=None)


def _whole(domain: Domain) -> list[int]:
    return [n for i in range(domain.size or 0) if type(n := domain.at(i)) is int]


def _is_number(value: Value) -> bool:
    return type(value) in (int, float)


def _as_number(value: Value) -> float:
    assert isinstance(value, int | float)
    return value


def _changed(space: Space, genotype: Genotype, path: str, value: Value) -> Genotype:
    """Returns the genotype with one decision changed. An operation that takes another one's place is decided like that one."""
    wanted = {**genotype, path: value}
    old: list[Value] = []
    if path.endswith("block") and isinstance(value, str):
        base = path.removesuffix("block")
        begin = f"{base}{genotype[path]}."
        for at, decided in genotype.items():
            if at.startswith(begin):
                wanted[f"{base}{value}.{at.removeprefix(begin)}"] = decided
                old.append(decided)
    return _completed(space, wanted, old)


def _completed(space: Space, wanted: Genotype, like: Iterable[Value]) -> Genotype:
    """Returns a genotype that decides as `wanted` does; what is left takes a value of `like`, else the largest there is.

    A value that is no number is the first of its domain.
    """
    found: dict[str, Value] = {}
    numbers = [value for value in like if _is_number(value)]

    def decide(path: str, domain: Domain) -> Value:
        if path not in found:
            if path in wanted and domain.holds(wanted[path]):
                found[path] = wanted[path]
            else:
                known = [value for value in numbers if domain.holds(value)]
                ends = domain.examples()
                found[path] = known[0] if known else max(ends, key=_as_number) if all(map(_is_number, ends)) else domain.at(0)
        return found[path]

    space.ask(decide)
    return found
