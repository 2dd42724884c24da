"""What a space holds, before a second of training is spent: sizes, costs, dead ends, and what a candidate will take."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nas.domains import Domain, Value, identity
from nas.errors import EvaluationError, ObjectiveError
from nas.evaluators.base import Evaluator, Request
from nas.lines import counted
from nas.measurement import Measurement, Outcome
from nas.parallel import train_each
from nas.problem import Candidate, Problem, Rejected, nearest_seen
from nas.recipe import Recipe
from nas.space import Space

if TYPE_CHECKING:
    import numpy as np

_SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
_ENOUGH = 30  # draws of a value before it is said to be never reachable


@dataclass(frozen=True)
class Profile:
    """What was found by drawing from a space.

    Attributes:
        space: Its name.
        size: Genotypes, infinite where a real number is open.
        decisions: Decisions of the fixed-length encoding.
        active: Mean number of active decisions.
        samples: How many genotypes were drawn.
        valid: Share of them that is feasible and keeps the constraints.
        rejected: How many were rejected, by reason.
        distinct: Share of different networks among the valid ones.
        params, macs: Quantiles of the valid ones: share (0 is the smallest) to value.
        unreachable: Values that were drawn often enough and never in a valid genotype, by decision (repetitions as `[*]`).
        example: Why the first infeasible one was.
        seconds: Predicted seconds a candidate trains, by share of the valid ones; empty without data.
        measured: What that prediction stands on: MACs and seconds of the candidates that were trained.
    """

    space: str
    size: int | float
    decisions: int
    active: float
    samples: int
    valid: float
    rejected: Mapping[str, int]
    distinct: float
    params: Mapping[str, int]
    macs: Mapping[str, int]
    unreachable: Mapping[str, Sequence[Value]]
    example: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    measured: Sequence[Mapping[str, float]] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain JSON values; an infinite size is None."""
        return {**asdict(self), "size": self.size if isinstance(self.size, int) else None}


def profile_space(problem: Problem, rng: np.random.Generator, samples: int = 1000) -> tuple[Profile, list[Candidate]]:
    """Draws from a space and says what came.

    Args:
        problem: The space with its constraints.
        rng: Draws.
        samples: How many genotypes.

    Returns:
        The profile, without times, and the valid candidates in ascending order of MACs.

    Raises:
        ObjectiveError: When nothing valid was drawn; names the constraint and the smallest value seen.
    """
    space, valid = problem.space, list[Candidate]()
    rejections: list[Rejected] = []
    drawn: Counter[tuple[str, object]] = Counter()
    good: set[tuple[str, object]] = set()
    active = 0
    for _ in range(samples):
        genotype = space.sample(rng)
        active += len(genotype)
        keys = {(_anywhere(path), identity(value)) for path, value in genotype.items()}
        drawn.update(keys)
        try:
            valid.append(problem.consider(genotype))
            good |= keys
        except Rejected as rejected:
            rejections.append(rejected)
    if not valid:
        raise ObjectiveError(f"none of {counted(samples, 'candidate')} is valid: {_nothing_valid(problem, rejections)}")
    valid.sort(key=lambda candidate: candidate.costs["macs"])
    infeasible = [str(r) for r in rejections if r.reason == "infeasible"]
    profile = Profile(
        space=space.name,
        size=space.size(),
        decisions=len(space.decisions()),
        active=active / samples,
        samples=samples,
        valid=len(valid) / samples,
        rejected=dict(Counter(r.reason for r in rejections).most_common()),
        distinct=len({candidate.fingerprint for candidate in valid}) / len(valid),
        params=_quantiles(sorted(int(candidate.costs["params"]) for candidate in valid)),
        macs=_quantiles([int(candidate.costs["macs"]) for candidate in valid]),
        unreachable=_unreachable(space, drawn, good),
        example=infeasible[0] if infeasible else "",
    )
    return profile, valid


def _nothing_valid(problem: Problem, rejections: Sequence[Rejected]) -> str:
    """Returns one line on why everything was rejected: the commonest reason, with the nearest value seen."""
    reason, _ = Counter(r.reason for r in rejections).most_common(1)[0]
    nearest = nearest_seen(problem.constraints, reason, rejections)
    return f"{reason} holds for none; {nearest}" if nearest else str(next(r for r in rejections if r.reason == reason))


def _anywhere(path: str) -> str:
    return re.sub(r"\[\d+\]", "[*]", path)


def _unreachable(space: Space, drawn: Counter[tuple[str, object]], good: set[tuple[str, object]]) -> dict[str, list[Value]]:
    domains: dict[str, Domain] = {_anywhere(path): domain for path, domain in space.decisions().items()}
    dead: dict[str, list[Value]] = {}
    for path, domain in domains.items():
        for i in range(domain.size or 0):
            value = domain.at(i)
            key = (path, identity(value))
            if drawn[key] >= _ENOUGH and key not in good:
                dead.setdefault(path, []).append(value)
    return dead


def _quantiles(ordered: Sequence[int]) -> dict[str, int]:
    return {f"{share:g}": ordered[round(share * (len(ordered) - 1))] for share in _SHARES}


def measure_seconds(
    profile: Profile, valid: Sequence[Candidate], evaluator: Evaluator, recipe: Recipe, epochs: float, trials: int = 4
) -> Profile:
    """Trains a few candidates of different size for one epoch and predicts what the others take.

    Seconds are taken as a constant and a part that grows with MACs, fitted by least squares; networks of one size differ, so
    the prediction is good to a factor of about two.

    Args:
        profile: What `profile_space` returned.
        valid: The candidates it returned, in ascending order of MACs.
        evaluator: Trains them.
        recipe: How.
        epochs: Epochs of a candidate in the search to come, on average over all.
        trials: How many candidates are trained.

    Raises:
        EvaluationError: When none of them could be trained.
    """
    import numpy as np

    picked = [valid[round(share * (len(valid) - 1))] for share in np.linspace(0.1, 0.9, trials)]
    measured: list[dict[str, float]] = []
    errors: list[str] = []

    def request(candidate: Candidate) -> Request:
        memory = int(candidate.costs["training_memory"])
        return Request(candidate.fingerprint, candidate.architecture, candidate.source, recipe, 0, 1, memory=memory)

    def ended(candidate: Candidate, result: Measurement) -> None:
        if result.outcome is Outcome.COMPLETE:
            measured.append({"macs": candidate.costs["macs"], "seconds_per_epoch": result.seconds})
        else:
            errors.append(result.error)

    train_each(picked, request, evaluator, began=lambda _: None, ended=ended, stopped=lambda: "")
    if not measured:
        raise EvaluationError(f"none of {counted(trials, 'candidate')} could be trained: {errors[0] if errors else 'no result'}")
    macs = np.array([m["macs"] for m in measured])
    seconds = np.array([m["seconds_per_epoch"] for m in measured])
    slope = max(0.0, float(np.polyfit(macs, seconds, 1)[0])) if len(measured) > 1 else 0.0
    base = max(float(seconds.mean() - slope * macs.mean()), 0.2 * float(seconds.min()))
    predicted = [epochs * (base + slope * candidate.costs["macs"]) for candidate in valid]
    shares = {f"{share:g}": _three_digits(predicted[round(share * (len(predicted) - 1))]) for share in _SHARES}
    mean = _three_digits(sum(predicted) / len(predicted))
    return replace(profile, seconds={**shares, "mean": mean}, measured=measured)


def _three_digits(seconds: float) -> float:
    return float(f"{seconds:.3g}")
