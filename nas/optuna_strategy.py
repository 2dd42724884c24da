"""How a sampler of Optuna's proposes: the record is mirrored, a new sampler asked, and its answer read.

Nothing is kept between two proposals but the mirror, and each proposal gets a new sampler.
"""

from __future__ import annotations

import logging
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import optuna
from optuna.samplers import BaseSampler

from nas.domains import Genotype
from nas.errors import StrategyError
from nas.lines import counted
from nas.optuna_mirror import Mirror
from nas.strategies.base import History, Proposal, Strategy, key_of
from nas.userfile import said

if TYPE_CHECKING:
    import numpy as np

    from nas.problem import Problem

_STEPS = 16
"""Mutations tried on a suggestion that is refused or known."""


class OptunaStrategy(Strategy):
    """What all have in common: mirror the record, ask a new sampler, read the answer.

    Attributes:
        name: Its name in `nas.strategies.table.STRATEGIES`.
        one_seed: Whether all samplers of a search get the seed of the first, which the record keeps.
    """

    name: ClassVar[str]
    one_seed: ClassVar[bool] = False

    _mirror: Mirror | None = None

    @property
    def title(self) -> str:
        """What proposals and errors say."""
        return self.name

    @abstractmethod
    def sampler(self, seed: int) -> BaseSampler:
        """Returns a new sampler.

        Args:
            seed: The only source of its randomness.
        """

    def propose(self, problem: Problem, history: History, rng: np.random.Generator) -> Proposal:
        """Returns the sampler's suggestion without its inactive decisions, mutated where it is refused or nothing new.

        Raises:
            StrategyError: When the sampler fails.
        """
        if self._mirror is None or not self._mirror.leads_to(problem, history):
            with quiet():
                self._mirror = Mirror(problem)
        mirror, seed = self._mirror, int(rng.integers(2**32))
        with quiet():
            mirror.catch_up(history)
            if self.one_seed and mirror.seed is not None:
                seed = mirror.seed
            try:
                positions, notes = mirror.ask(self.sampler(seed))
            except StrategyError:
                raise
            except Exception as error:
                where = f"proposal {history.proposed}, {counted(len(problem.objectives), 'objective')}"
                raise StrategyError(
                    f"sampler {self.title} failed ({where}): {said(error).rstrip('.')}; mend it, or choose another"
                ) from error
        suggested = problem.space.project(mirror.encoding.assignment(positions))
        genotype, steps = _walked(problem, suggested, history, rng)
        positions = mirror.encoding.moved(positions, genotype)
        kept: dict[str, Any] = {"positions": [positions[path] for path in mirror.encoding.distributions], **notes}
        if self.one_seed:
            kept["seed"] = seed
        return Proposal(genotype, operator=f"{self.title}+mutate" if steps else self.title, notes=kept)


def _walked(problem: Problem, suggested: Genotype, history: History, rng: np.random.Generator) -> tuple[Genotype, int]:
    """Returns the first feasible new network on a walk of mutations from a suggestion, and the number of steps to it.

    Samplers are told of no refused candidate, since none becomes a trial; asked again, they would go on suggesting the like.
    Where the walk finds none, the suggestion itself is returned, for the loop to refuse or to serve from the record.
    """
    known = {trial.key for trial in (*history.finished, *history.pending)}
    genotype = suggested
    for step in range(_STEPS + 1):
        key = key_of(problem, genotype)
        if key is not None and key not in known:
            return genotype, step
        genotype = problem.space.mutate(genotype, rng)
    return suggested, 0


@contextmanager
def quiet() -> Iterator[None]:
    """Silences Optuna's log and the warnings about its experimental parts, for as long as it is asked."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)
