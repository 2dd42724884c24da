"""What the rows of the record mean: plain values. How they lie in the database stands in `nas/storage.py`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from nas.domains import Genotype, Value
from nas.errors import RunError
from nas.measurement import Measurement


@dataclass(frozen=True)
class NetworkRow:
    """One network: what it is, whoever proposed it.

    Attributes:
        fingerprint: Its identity.
        costs: Its exact costs by name.
        graph: The simplified graph as JSON text.
        source: The module's text, None where none was generated for training.
    """

    fingerprint: str
    costs: Mapping[str, float]
    graph: bytes
    source: str | None = None


@dataclass(frozen=True)
class ProposalRow:
    """One proposal, committed before its evaluation starts.

    Attributes:
        id: Its number, from 0.
        fingerprint: The network it decodes to.
        recipe: Digest of the closed recipe, see `recipe_digest`.
        genotype: Its decisions.
        parents: Numbers of the proposals it was made from.
        operator: How it was made.
        inherit_from: Number of the proposal whose weights it starts from, if any.
        aligned: Path of a block to its path in that one's network, where the two differ.
        notes: What the strategy asked to keep.
        seen: How many trials had ended when it was made; with the order of endings this says what was pending, too.
        rejected: How many candidates were refused before it, by reason.
        repeat_of: Number of the proposal that was evaluated with the same key, if any.
        created: When, in seconds since 1970.
        finished: Its place in the order of endings, from 0; None while pending.
        faults: How many starts broke down by a fault of their own (not killed from outside) while it was in flight.
    """

    id: int
    fingerprint: str
    recipe: str
    genotype: Genotype
    parents: tuple[int, ...] = ()
    operator: str = "sample"
    inherit_from: int | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    seen: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    repeat_of: int | None = None
    created: float = 0.0
    finished: int | None = None
    faults: int = 0
    aligned: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PromotionRow:
    """A network goes on from one rung to the next (`nas.schedule`), committed before that training starts.

    Attributes:
        id: Its number, from 0.
        proposal: Number of the proposal that is trained on.
        from_epoch: Epochs it was trained for.
        to_epoch: Epochs it will have been trained for.
        seen: How many training segments had ended when this was decided.
        created: When, in seconds since 1970.
        faults: How many starts broke down by a fault of their own (not killed from outside) while it was in flight.
    """

    id: int
    proposal: int
    from_epoch: int
    to_epoch: int
    seen: int
    created: float = 0.0
    faults: int = 0


@dataclass(frozen=True)
class Scored:
    """A candidate that was scored before anything was trained (`nas.prescreen`).

    Attributes:
        fingerprint: Its network.
        scores: By name, larger is more promising; one that could not be computed is left out.
        costs: Its exact objectives on a logarithmic scale.
    """

    fingerprint: str
    scores: Mapping[str, float]
    costs: tuple[float, ...] = ()


@dataclass(frozen=True)
class ScreeningRow:
    """The candidates of which one became a proposal.

    Attributes:
        proposal: Its number.
        candidates: In the order in which they were made; empty once screening is off.
        chosen: Place of the one that was proposed.
        off: Why screening is off from this proposal on; empty while it is not.
    """

    proposal: int
    candidates: tuple[Scored, ...]
    chosen: int = 0
    off: str = ""


@dataclass(frozen=True)
class EvaluationRow:
    """One training segment that ended. Its key is (fingerprint, recipe, data, seed) and the epochs.

    Attributes:
        proposal: Number of the proposal it was run for.
        fingerprint: The network.
        recipe: Digest of the closed recipe.
        data: Digest of the data with its split.
        seed: Seed of the training.
        from_epoch: Epochs trained before this segment; 0 in the first one of a proposal, and in no other.
        to_epoch: Epochs trained after it.
        measurement: What came out.
        ended: When, in seconds since 1970.
    """

    proposal: int
    fingerprint: str
    recipe: str
    data: str
    seed: int
    from_epoch: int
    to_epoch: int
    measurement: Measurement
    ended: float = 0.0


@dataclass(frozen=True)
class BaselineRow:
    """A known network, trained under the run's own recipe to be compared with what the search finds.

    Attributes:
        name: The address it was asked for by.
        fingerprint: The network.
        recipe: Digest of the closed recipe.
        measurement: What came out.
        ended: When, in seconds since 1970.
    """

    name: str
    fingerprint: str
    recipe: str
    measurement: Measurement
    ended: float = 0.0


_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


def recipe_text(recipe: object) -> str:
    """Returns a closed recipe as JSON with sorted keys; None is no recipe.

    Fields that came later (`later` in their metadata) are left out at their defaults, so that what earlier versions recorded is
    found under the same digest.

    Raises:
        RunError: When a field is still open or is no plain value.
    """
    plain: object = recipe
    if is_dataclass(recipe):
        values = {f: getattr(recipe, f.name) for f in fields(recipe)}
        plain = {f.name: value for f, value in values.items() if not (f.metadata.get("later") and value == f.default)}
    try:
        return json.dumps(plain, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as problem:
        raise RunError(f"recipe {recipe!r} cannot be recorded: {problem}; expected plain values in all fields") from None


def recipe_digest(recipe: object) -> str:
    """Returns 16 hex digits that stand for a closed recipe."""
    return hashlib.sha256(recipe_text(recipe).encode()).hexdigest()[:16]


def plain_genotype(decisions: Mapping[str, Any]) -> dict[str, Value]:
    """Returns a genotype as it was before it became JSON, whose lists were tuples."""
    return {path: _tuples(value) for path, value in decisions.items()}


def plain_json(value: Mapping[str, Any], what: str) -> str:
    """Returns a strategy's or an evaluator's mapping as JSON.

    Raises:
        RunError: When it holds something JSON has no word for, NaN included.
    """
    try:
        return _ENCODER.encode(value) if value else "{}"
    except (TypeError, ValueError) as problem:
        raise RunError(f"{what} cannot be recorded: {problem}; expected plain JSON without NaN") from None


def _tuples(value: Any) -> Value:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
