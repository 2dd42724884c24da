"""New networks that lie far apart on what is known before training: their exact costs, on a logarithmic scale."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nas.objectives import on_log_scale
from nas.problem import Rejected
from nas.strategies.base import Key, Proposal, Trial, key_of

if TYPE_CHECKING:
    from nas.problem import Problem

_PATIENCE = 4
"""Draws for one new network, before a known one is proposed and served from the record."""

Costs = tuple[float, ...]
"""The exact objectives of a network on a logarithmic scale; empty where every objective is measured."""


def newcomers(
    problem: Problem,
    draw: Callable[[], Proposal],
    size: int,
    known: Sequence[Collection[Key]],
    otherwise: Callable[[], Proposal] | None = None,
) -> list[Proposal]:
    """Returns drawn candidates to choose from: feasible new networks, or a single one that the loop is left to deal with.

    Args:
        problem: Says what is feasible.
        draw: Makes a candidate.
        size: How many are drawn; more, while none of them is new.
        known: Sets of keys that are not new.
        otherwise: Makes a candidate where `draw` makes nothing new: what a few parents lead to may be a small part of the space.
    """
    found: list[Proposal] = []
    for drawn in range(1, size * _PATIENCE + 1):
        proposal = draw()
        key = key_of(problem, proposal.genotype)
        if key is None and not found:
            return [proposal]  # the loop counts what is refused and asks again
        if key is not None and not any(key in keys for keys in known):
            found.append(proposal)
        if found and drawn >= size:
            break
    if not found and otherwise is not None:
        return newcomers(problem, otherwise, size, known)
    return found or [proposal]


def loneliest(problem: Problem, proposals: Sequence[Proposal], taken: Iterable[Costs]) -> Proposal:
    """Returns the proposal farthest in log cost from everything taken; the cheapest where nothing is."""
    if len(proposals) == 1:
        return proposals[0]
    others = np.array([costs for costs in taken if costs])  # (t, e): t trials, e exact objectives
    costs = np.array([on_log_scale(problem.exact_losses(p.genotype).values()) for p in proposals])  # (p, e)
    if not len(others):
        return proposals[int(np.argmin(costs.sum(axis=1)))]
    distance = np.linalg.norm(costs[:, None, :] - others[None, :, :], axis=2).min(axis=1)  # (p, t, e) -> (p,)
    return proposals[int(np.argmax(distance))]


def log_costs(problem: Problem, trial: Trial) -> Costs:
    """Returns the exact log costs of a trial, whether it has ended or not; empty where it cannot be costed any more."""
    if trial.losses is not None:
        return on_log_scale(loss for loss, objective in zip(trial.losses, problem.objectives, strict=True) if objective.exact)
    try:
        return on_log_scale(problem.exact_losses(trial.genotype).values())
    except Rejected:
        return ()
