"""What repeats of a bench are measured against, and what is measured of one repeat; the same for tables and for real runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nas.bench.table import Floats
from nas.objectives import Objective

_FROM_OUTSIDE = ("the budget of ", "the simulated budget of ", "stopped by ")
"""How reasons begin for which a search ends whatever its strategy still has to propose."""


def turned(objectives: Sequence[Objective], values: Floats) -> Floats:
    """Returns values of the objectives `(..., m)` as losses: smaller is better."""
    return np.asarray(values * np.array([o.loss(1.0) for o in objectives]), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One repeat of one strategy: `t` evaluations in their order, at least one, over `m` objectives.

    Attributes:
        searched: `(t, m)` values as the strategy saw them; NaN in a row whose evaluation failed.
        reported: `(t, m)` values as they are told in the end, likewise.
        networks: Of each evaluation what is equal for equal networks only.
        proposals: Proposals made until then, repeats included.
        thinking: `(t,)` seconds the proposals since the last evaluation took; NaN where nobody measured them.
        alike: `(t,)` largest share of its decisions that one earlier genotype has; NaN where there is none.
        operators: How each was made.
        spent: `(t,)` simulated seconds until its end; None where nothing is simulated.
        cells: Of each evaluation its decisions as text, blank where one is not active, in the order of the bench's columns.
        pair: Equal in the repeats of other strategies that it is compared with: the seed, or the number of the repeat.
        ended: Why the repeat ended; empty where nobody wrote that down.
        trained: In which precision and where; empty where nothing was trained, or nobody wrote that down.
        heirs: Which of the evaluations, from 0, are of networks that began with the weights of an earlier one.
    """

    searched: Floats
    reported: Floats
    networks: Sequence[object]
    proposals: Sequence[int]
    thinking: Floats
    alike: Floats
    operators: Sequence[str]
    spent: Floats | None
    cells: Sequence[Sequence[str]]
    pair: int
    ended: str = ""
    trained: str = ""
    heirs: Sequence[int] = ()

    def __len__(self) -> int:
        return len(self.proposals)

    @property
    def ended_by_itself(self) -> bool:
        """Whether the strategy had nothing left to propose, so that more evaluations would have changed nothing."""
        return bool(self.ended) and not self.ended.startswith(_FROM_OUTSIDE)

    def first(self, evaluations: int) -> Trajectory:
        """Returns its first evaluations, at least one; the very same where it has no more."""
        if len(self) <= evaluations:
            return self
        n = max(evaluations, 1)
        return replace(
            self,
            searched=self.searched[:n],
            reported=self.reported[:n],
            networks=self.networks[:n],
            proposals=self.proposals[:n],
            thinking=self.thinking[:n],
            alike=self.alike[:n],
            operators=self.operators[:n],
            spent=None if self.spent is None else self.spent[:n],
            cells=self.cells[:n],
            ended="",
            heirs=[i for i in self.heirs if i < n],
        )


@dataclass(frozen=True, eq=False)
class Scale:
    """Turns `(t, m)` losses into shares of a range: 0 is best, the reference point of hypervolumes is (1, ..., 1).

    Attributes:
        low: `(m,)` loss that becomes 0.
        high: `(m,)` loss that becomes 1.
        logarithmic: `(m,)` whether the range is divided by ratios, so that halving counts the same everywhere; it is above 0 then.
    """

    low: Floats
    high: Floats
    logarithmic: Sequence[bool]

    @classmethod
    def over(cls, losses: Floats) -> Scale:
        """Returns the range of losses `(n, m)`; an objective that is the same everywhere is 0."""
        return cls(losses.min(axis=0), losses.max(axis=0), [False] * losses.shape[1])

    def __call__(self, losses: Floats) -> Floats:
        """Returns losses `(t, m)` as shares; NaN stays NaN."""
        scaled = np.empty_like(losses)
        for i, is_log in enumerate(self.logarithmic):
            column, low, high = losses[:, i], self.low[i], self.high[i]
            if is_log:
                column, low, high = np.log(column), np.log(low), np.log(high)
            scaled[:, i] = (column - low) / (high - low if high > low else 1.0)
        return scaled


@dataclass(frozen=True, eq=False)
class Known:
    """Everything that is known of what was searched: `n` architectures, `m` objectives.

    Attributes:
        title: What was searched, in a few words.
        objectives: What is ranked, the first one first.
        searched: `(n, m)` values as strategies see them.
        reported: `(n, m)` values as they are told; the same array where they are the same.
        scale: Of the losses as searched.
        reported_scale: Of the losses as reported.
        front: What the front of all `n` is called, such as "exact front".
        notes: Sentences a reader of the figures needs.
        raw: Scale of the hypervolume that is told beside the share; None: none is.
        raw_words: How that scale came about, by objective, as plain values.
        scale_words: How the scale of the share came about, likewise.
    """

    title: str
    objectives: tuple[Objective, ...]
    searched: Floats
    reported: Floats
    scale: Scale
    reported_scale: Scale
    front: str
    notes: Sequence[str] = ()
    raw: Scale | None = None
    raw_words: dict[str, Any] = field(default_factory=dict)
    scale_words: dict[str, Any] = field(default_factory=dict)

    @property
    def reports_apart(self) -> bool:
        """Whether other values are told than a strategy sees."""
        return self.reported is not self.searched

    def losses(self, values: Floats) -> Floats:
        """Returns values `(t, m)` as losses."""
        return turned(self.objectives, values)
