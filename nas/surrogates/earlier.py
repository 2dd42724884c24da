"""What earlier runs say about a search: models of what they measured, and the networks they would begin with.

A run of the same space on other data, with another recipe or fewer epochs, measured another function, and how it relates to this
one nobody knows beforehand. So its model is no data of this search: what it predicts enters the model of this search as a trend
whose slope this search's own points decide (`nas.surrogates.gaussian`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nas.pareto import crowded_order
from nas.problem import Problem
from nas.surrogates.model import Learner, representatives

if TYPE_CHECKING:
    from nas.domains import Genotype
    from nas.strategies.base import Earlier
    from nas.surrogates.features import Sheet
    from nas.surrogates.model import Model

Floats = NDArray[np.float64]

_FAVOURITES = 20
"""Networks of each run that are candidates of this search, the best by the crowded comparison."""


@dataclass(frozen=True)
class Lessons:
    """What was learnt from earlier runs.

    Attributes:
        models: One for each run and measured objective.
        favourites: Genotypes of the best networks of each run, at the costs they have here.
    """

    models: Sequence[Model] = ()
    favourites: Sequence[Genotype] = ()


def lessons(earlier: Sequence[Earlier], problem: Problem, sheet: Sheet, points: int) -> Lessons:
    """Returns what earlier runs teach.

    Args:
        earlier: What they measured.
        problem: What is searched now; its constraints refuse candidates, but a model may learn from what they refuse.
        sheet: Makes features; gets the columns that the earlier networks are the first to fill.
        points: Networks a model is made from at most.
    """
    free = Problem(problem.space, problem.objectives, (), problem.own_costs) if problem.constraints else problem
    measured = [objective.name for objective in problem.objectives if not objective.exact]
    models: list[Model] = []
    favourites: list[Genotype] = []
    for run in earlier:
        places = [i for i, genotype in enumerate(run.genotypes) if free.feasible(genotype)]
        losses = np.array([_losses(run, name) for name in measured]).reshape(len(measured), len(run.genotypes))
        for column in losses:
            known = np.array([i for i in places if np.isfinite(column[i])], dtype=np.int64)
            if len(known):
                chosen = known[representatives(np.argsort(column[known], kind="stable"), len(known), points)]
                rows = [sheet.row(free.consider(run.genotypes[i]), grow=True) for i in chosen]
                models.append(Learner(sheet, rows).model(column[chosen, None], np.ones(1), np.arange(len(rows))))
        favourites += _best(run, losses, problem)
    return Lessons(models, favourites)


def _losses(run: Earlier, name: str) -> tuple[float, ...]:
    return run.losses.get(name) or (math.nan,) * len(run.genotypes)


def _best(run: Earlier, losses: Floats, problem: Problem) -> list[Genotype]:
    """Returns the best genotypes that the constraints admit, by all that was measured `(k, n)` and what they cost here."""
    admitted = [i for i, genotype in enumerate(run.genotypes) if np.isfinite(losses[:, i]).all() and problem.feasible(genotype)]
    points = np.array([(*losses[:, i], *problem.exact_losses(run.genotypes[i]).values()) for i in admitted])
    return [run.genotypes[admitted[i]] for i in crowded_order(points)[:_FAVOURITES].tolist()] if admitted else []
