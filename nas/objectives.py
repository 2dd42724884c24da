"""Objectives and constraints: what is ranked, in which direction, in which unit, exact or measured.

Inside, everything is minimised: `Objective.loss` flips the sign once, here.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from nas.errors import ObjectiveError, UnknownNameError, brief

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Objective:
    """One axis of the ranking.

    Attributes:
        name: Column of the record it is read from.
        direction: Which way is better.
        unit: Printed behind the numbers.
        exact: Known from the graph before anything is trained (cost); otherwise it is measured.
        about: One line for `nas list objectives`.
    """

    name: str
    direction: Direction
    unit: str = ""
    exact: bool = False
    about: str = ""

    def loss(self, value: float) -> float:
        """Returns `value` turned so that smaller is better."""
        return -value if self.direction == "maximize" else value


_OBJECTIVES = (
    Objective("val_accuracy", "maximize", "share", about="share of validation images labelled rightly"),
    Objective("val_balanced_accuracy", "maximize", "share", about="mean over classes of the share labelled rightly"),
    Objective("val_macro_f1", "maximize", "share", about="mean over classes of the F1 score"),
    Objective("val_loss", "minimize", "nats", about="mean cross-entropy on the validation images"),
    Objective("params", "minimize", "values", exact=True, about="trainable values of the simplified network"),
    Objective("macs", "minimize", "MACs", exact=True, about="multiply-adds of convolutions and linear layers, one image"),
    Objective("flops", "minimize", "FLOPs", exact=True, about="2 x MACs, one image"),
    Objective(
        "activation_memory", "minimize", "bytes", exact=True, about="peak of live activations, inference of one image, float32"
    ),
    Objective("weight_bytes", "minimize", "bytes", exact=True, about="weights and buffers stored as float32"),
    Objective("depth", "minimize", "layers", exact=True, about="layers with weights on the longest path"),
)
OBJECTIVES: Mapping[str, Objective] = {objective.name: objective for objective in _OBJECTIVES}
"""Every objective known by name; own ones are made with `Objective(...)`."""

_SHORT = {"accuracy": "val_accuracy", "balanced_accuracy": "val_balanced_accuracy", "macro_f1": "val_macro_f1"}


def objective(name: str | Objective) -> Objective:
    """Returns the objective of that name (an `Objective` is returned as it is).

    `NAME:max` and `NAME:min` name what an evaluator or a metric of the user's own measures.

    Raises:
        UnknownNameError: When no objective has that name.
    """
    if isinstance(name, Objective):
        return name
    if not isinstance(name, str):
        raise UnknownNameError("objective", brief(name), OBJECTIVES)
    own, colon, way = name.partition(":")
    if colon and own.isidentifier():
        if way not in ("max", "min"):
            raise UnknownNameError(f"direction of objective {own!r}:", way, ("max", "min"))
        if own in OBJECTIVES and OBJECTIVES[own].direction[:3] != way:
            raise ObjectiveError(f"objective {own!r} is one to {OBJECTIVES[own].direction}; leave ':{way}' out")
        return OBJECTIVES.get(own) or Objective(own, "maximize" if way == "max" else "minimize")
    if name in OBJECTIVES:
        return OBJECTIVES[name]
    if name in _SHORT:
        raise UnknownNameError("objective", name, [_SHORT[name]])
    raise UnknownNameError("objective", name, OBJECTIVES)


def objectives(names: Sequence[str | Objective]) -> tuple[Objective, ...]:
    """Returns the objectives of these names, in order.

    Raises:
        ObjectiveError: When there is none, or one stands twice.
        UnknownNameError: When a name is not known.
    """
    if isinstance(names, str):
        raise ObjectiveError(f"objectives are a list, got {names!r}; write {names.split(',')!r}")
    found = tuple(objective(name) for name in names)
    if not found:
        raise ObjectiveError("no objective given; expected at least one, for example val_accuracy,params")
    seen = [o.name for o in found]
    for name in seen:
        if seen.count(name) > 1:
            raise ObjectiveError(f"objective {name!r} stands {seen.count(name)} times, expected once")
    return found


def on_log_scale(losses: Iterable[float]) -> tuple[float, ...]:
    """Puts losses on a logarithmic scale; those below zero (an exact objective that is maximised) are mirrored."""
    return tuple(math.copysign(math.log1p(abs(loss)), loss) for loss in losses)


_COMPARE = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
_SUFFIX = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_CONSTRAINT = re.compile(r"\s*([A-Za-z_]\w*)\s*(<=|>=|<|>)\s*([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*([A-Za-z]*)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Constraint:
    """A bound that a candidate keeps or is rejected for, such as `params <= 100000`.

    Attributes:
        name: The column it bounds.
        compare: One of `<=`, `>=`, `<`, `>`.
        bound: The limit.
        text: What the user wrote.
    """

    name: str
    compare: str
    bound: float
    text: str

    def holds(self, value: float) -> bool:
        """Returns whether `value` keeps the bound."""
        return bool(_COMPARE[self.compare](value, self.bound))

    def __str__(self) -> str:
        return self.text


def constraint(text: str) -> Constraint:
    """Reads a constraint such as `params<=100k`, `macs<2.5M`, `val_accuracy>=0.9`.

    Suffixes: k, M, G, T are powers of 1000; Ki, Mi, Gi powers of 1024.

    Raises:
        ObjectiveError: When it cannot be read.
    """
    match = _CONSTRAINT.fullmatch(text)
    if match is None:
        raise ObjectiveError(f"constraint {text!r} cannot be read; expected NAME<=NUMBER, for example params<=100k")
    name, compare, number, suffix = match.groups()
    scale = _SUFFIX.get(suffix, _SUFFIX.get(suffix.lower(), _SUFFIX.get(suffix.capitalize())))
    if scale is None:
        raise ObjectiveError(
            f"constraint {text!r}: unknown suffix {suffix!r}; expected one of {', '.join(s for s in _SUFFIX if s)}"
        )
    return Constraint(name, compare, float(Fraction(number) * scale), text.strip())
