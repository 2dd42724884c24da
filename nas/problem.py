"""What is searched: a space, objectives and constraints, and a look at one candidate before it costs anything."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from numbers import Integral, Real

from nas.costs import Cost, cost_of
from nas.domains import Genotype, identity
from nas.errors import BlockError, NasError, ObjectiveError, UnknownNameError, brief
from nas.graph import Graph
from nas.objectives import OBJECTIVES, Constraint, Objective, constraint, objectives
from nas.resolutions import misfit
from nas.source import write_source
from nas.space import Architecture, Space

ExactCost = Callable[[Graph], float]
"""A user's own exact cost: a function of the simplified graph."""

_REMEMBERED = 512

RESOLUTIONS = "resolutions"
"""Why a network is refused that cannot be trained at all of them."""


class Rejected(NasError):
    """A candidate that is never trained: it breaks a constraint, or a block cannot be applied.

    Attributes:
        reason: The constraint's text, "infeasible", or `RESOLUTIONS`.
        costs: Its exact costs, as far as they are known.
    """

    def __init__(self, message: str, reason: str, costs: Mapping[str, float] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.costs = dict(costs or {})


@dataclass(frozen=True)
class Candidate:
    """A genotype and what is known of it without training.

    Attributes:
        genotype: Its decisions.
        architecture: What they describe.
        graph: The simplified graph, in canonical order.
        fingerprint: Equal for equal networks only.
        costs: Every exact cost by name, the user's own included; `declared_params` counts dead parts too.
    """

    genotype: Genotype
    architecture: Architecture
    graph: Graph
    fingerprint: str
    costs: Mapping[str, float]

    def source(self) -> str:
        """Returns the network as Python source."""
        return write_source(self.graph)


class Problem:
    """A space with what counts in it.

    Args:
        space: With input shape and classes known.
        objective_names: Names of `nas.objectives.OBJECTIVES`, or `Objective` values.
        constraints: Such as "params<=100k".
        own_costs: Exact costs of the user's own, by name; each takes the simplified graph.
        resolutions: Networks are trained at, along the longer side of an image (`nas.resolutions`); one that cannot be is refused.

    Raises:
        UnknownNameError, ObjectiveError: When an objective or a constraint makes no sense.
    """

    def __init__(
        self,
        space: Space,
        objective_names: Sequence[str | Objective],
        constraints: Sequence[str | Constraint] = (),
        own_costs: Mapping[str, ExactCost] | None = None,
        resolutions: Sequence[int] = (),
    ) -> None:
        self.space, self._resolutions = space, tuple(resolutions)
        self.own_costs = dict(own_costs or {})
        for what, given in (("objectives", objective_names), ("constraints", constraints)):
            if isinstance(given, str):
                raise ObjectiveError(f"{what} are a list, got {given!r}; write {given.split(',')!r}")
        for name in self.own_costs:
            if name in _COSTS or name in OBJECTIVES:
                raise ObjectiveError(f"cost {name!r} has the name of one that is there already; choose another name")
        own = {name: Objective(name, "minimize", exact=True) for name in self.own_costs}
        self.objectives = objectives([own.get(o.removesuffix(":min"), o) if isinstance(o, str) else o for o in objective_names])
        self.constraints = tuple(constraint(c) if isinstance(c, str) else c for c in constraints)
        known = {*own, *_COSTS}
        for c in self.constraints:
            if c.name not in known:
                if c.name.startswith(("val_", "train_", "test_")):
                    raise ObjectiveError(
                        f"constraint {c.text!r}: {c.name} is known only after training; constrain one of {', '.join(sorted(known))}"
                    )
                raise UnknownNameError("constraint", c.name, known)
        for o in self.objectives:
            if o.exact and o.name not in known:
                raise UnknownNameError("exact cost", o.name, known)
        self._seen: OrderedDict[tuple[object, ...], Candidate | Rejected] = OrderedDict()

    def consider(self, genotype: Genotype) -> Candidate:
        """Returns what is known of a genotype without training.

        Raises:
            GenotypeError: When it does not fit the space.
            Rejected: When a block cannot be applied or a constraint is broken.
        """
        key = tuple((path, identity(value)) for path, value in genotype.items())
        found = self._seen.get(key)
        if found is None:
            try:
                found = self._considered(genotype)
            except Rejected as rejected:
                found = rejected
            self._seen[key] = found
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        if isinstance(found, Rejected):
            raise found.with_traceback(None)
        return found

    def _considered(self, genotype: Genotype) -> Candidate:
        architecture = self.space.decode(genotype)
        try:
            graph = architecture.graph
            declared = sum(facts.params for facts in architecture.written.facts)
        except BlockError as error:
            raise Rejected(str(error), "infeasible") from None
        if graph.output_shape != (architecture.classes,):
            raise Rejected(
                f"the network gives {graph.output_shape}, expected one logit for each of {architecture.classes} classes; "
                "end it with a Classifier",
                "infeasible",
            )
        costs = self.costs_of(graph, declared)
        for c in self.constraints:
            if not c.holds(costs[c.name]):
                raise Rejected(f"{c.name} is {costs[c.name]:,.12g}, expected {c.text}", c.text, costs)
        if said := misfit(graph, self._resolutions):
            raise Rejected(said, RESOLUTIONS, costs)
        return Candidate(genotype, architecture, graph, architecture.fingerprint, costs)

    def costs_of(self, graph: Graph, declared_params: int) -> dict[str, float]:
        """Returns every exact cost of a network by name, the user's own included.

        Args:
            graph: Simplified.
            declared_params: Parameters of the network as written, dead parts included.

        Raises:
            ObjectiveError: When a cost of the user's own fails.
        """
        costs: dict[str, float] = {**asdict(cost_of(graph)), "declared_params": declared_params}
        for name, function in self.own_costs.items():
            costs[name] = _own_cost(name, function, graph)
        return costs

    def feasible(self, genotype: Genotype) -> bool:
        """Returns whether a genotype keeps every constraint and all its blocks apply."""
        try:
            self.consider(genotype)
        except Rejected:
            return False
        return True

    def costs(self, genotype: Genotype) -> Mapping[str, float]:
        """Returns the exact costs by name.

        Raises:
            Rejected: When a block cannot be applied or a constraint is broken.
        """
        return self.consider(genotype).costs

    def exact_losses(self, genotype: Genotype) -> dict[int, float]:
        """Returns the losses that are known before training, by the objective's place.

        Raises:
            Rejected: When a block cannot be applied or a constraint is broken.
        """
        costs = self.costs(genotype)
        return {i: o.loss(costs[o.name]) for i, o in enumerate(self.objectives) if o.exact}


def nearest_seen(constraints: Sequence[Constraint], reason: str, rejections: Sequence[Rejected]) -> str:
    """Returns how near candidates came that a constraint refused: "the smallest params seen is 1,234".

    Args:
        constraints: Of the problem.
        reason: Why they were rejected.
        rejections: Those of other reasons are passed over.

    Returns:
        An empty text where the reason is no constraint.
    """
    bound = next((constraint for constraint in constraints if constraint.text == reason), None)
    if bound is None:
        return ""
    values = [rejected.costs[bound.name] for rejected in rejections if rejected.reason == reason]
    side, value = ("smallest", min(values)) if bound.compare.startswith("<") else ("largest", max(values))
    return f"the {side} {bound.name} seen is {value:,.12g}"


_COSTS = (*(field.name for field in fields(Cost)), "declared_params")


def _own_cost(name: str, function: ExactCost, graph: Graph) -> float:
    """Returns a cost of the user's own as a plain number.

    Raises:
        ObjectiveError: When the function fails, or gives no finite number.
    """
    try:
        value = function(graph)
    except Exception as error:
        raise ObjectiveError(f"cost {name!r} failed: {' '.join(f'{type(error).__name__}: {error}'.split())}") from error
    if not isinstance(value, Real) or not math.isfinite(value):
        raise ObjectiveError(f"cost {name!r} is {brief(value)}, expected a finite number")
    return int(value) if isinstance(value, Integral) else float(value)
