"""A sampler of the user's own: a function in a file, `--strategy FILE.py:factory`.

    def factory(seed, **options):
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, **options)

It is called once a proposal, with another seed each time and the settings that were given (`--strategy-option NAME=VALUE`), and
returns a new `optuna.samplers.BaseSampler`; a class derived from that serves as well.

The study that its sampler sees minimises, and holds every proposal so far as a trial of the same number: complete, failed, or
running. Its parameters are all decisions of the space by path: the index of a value (categorical, or an int for a range of whole
numbers), or a share from 0 to 1 of a continuum; decisions that the others leave inactive are among them. What a sampler keeps in
itself is forgotten. What it keeps in system attributes of its trial and of the study, or in user attributes of the study, is
recorded and comes back: so a search that is resumed equals an unbroken one, generations included. Its `after_trial` is not
called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.samplers import BaseSampler

from nas.errors import StrategyError, brief
from nas.optuna_strategy import OptunaStrategy, quiet
from nas.userfile import said


@dataclass
class OwnSampler(OptunaStrategy):
    """A sampler of the user's own; see the head of this file.

    Args:
        factory: `factory(seed, **options)` that returns a new sampler.
        address: Where it was found, such as "FILE.py:factory".
        options: Settings it is called with.
    """

    factory: Callable[..., object]
    address: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with quiet():
            self.sampler(0)

    @property
    def title(self) -> str:
        """The name of the factory."""
        return str(self._made().__qualname__)

    def described(self) -> tuple[str, Mapping[str, Any]]:
        """Returns module and name of the factory, and the settings it is called with."""
        made = self._made()
        return f"{made.__module__}:{made.__qualname__}", self.options

    def _made(self) -> Any:
        return self.factory if hasattr(self.factory, "__qualname__") else type(self.factory)

    def sampler(self, seed: int) -> BaseSampler:
        """Returns what the factory makes.

        Raises:
            StrategyError: When it fails, or makes no sampler.
        """
        try:
            made = self.factory(seed=seed, **self.options)
        except Exception as error:
            words = ", ".join(["seed", *self.options])
            raise StrategyError(f"strategy {self.address!r} cannot be called with {words}: {said(error)}") from error
        if not isinstance(made, BaseSampler):
            raise StrategyError(f"strategy {self.address!r} returned {brief(made)}, expected an optuna.samplers.BaseSampler")
        return made
