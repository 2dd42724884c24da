"""What an evaluator is: it takes requests of the search and gives a measurement for each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from nas.errors import EvaluationError

if TYPE_CHECKING:
    from nas.executors.base import Inheritance
    from nas.measurement import Measurement
    from nas.recipe import Recipe


@dataclass(frozen=True)
class Request:
    """One training segment that the search wants measured.

    Attributes:
        fingerprint: Of the network.
        architecture: What a plain function is called with.
        source: Returns the network's Python text; called only by evaluators that train.
        recipe: Closed.
        seed: Of weights, order, augmentation and dropout.
        epochs: The total that the learning rate schedule is laid out for.
        first_epoch: Epochs trained before.
        last_epoch: Where this segment ends (excluded); None: at `epochs`.
        cycles: Epochs before `epochs` at which a cycle of the learning rate ends, see `nas.train.train`.
        resolutions: Of the images while each cycle lasts, likewise.
        resume_from: Checkpoint of the segment before.
        checkpoint: Where to leave weights; None: nowhere.
        graph: Returns the network's graph as JSON; called only by evaluators that train, and only for the next two.
        inherit: Whose weights it begins with; None: it begins from nothing.
        importance: Which importances are measured at the end (`nas.importance.KINDS`), empty for none.
        data: Folder of the decoded images to train and validate on instead of the evaluator's own.
        memory: Bytes that a step of training takes an image (`training_memory` of `nas.costs`); 0: not known.
    """

    fingerprint: str
    architecture: Any
    source: Callable[[], str]
    recipe: Recipe
    seed: int
    epochs: int
    first_epoch: int = 0
    last_epoch: int | None = None
    cycles: tuple[int, ...] = ()
    resolutions: tuple[int, ...] = ()
    resume_from: Path | None = None
    checkpoint: Path | None = None
    graph: Callable[[], str] | None = None
    inherit: Inheritance | None = None
    importance: str = ""
    data: Path | None = None
    memory: int = 0

    @property
    def end(self) -> int:
        """The epoch at which the segment ends."""
        return self.epochs if self.last_epoch is None else self.last_epoch


class Evaluator(ABC):
    """Measures networks, at most `slots` at a time. Every request ends in one measurement; no failure is an exception.

    A search calls `describe` once, `submit` while slots are free and `collect` for what ended; `close` in the end where it made the
    evaluator, `forget` where it was given one, which stays open.
    """

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many requests are worth having in flight."""

    @abstractmethod
    def submit(self, ticket: int, request: Request) -> None:
        """Takes a request; `ticket` is the caller's name for it.

        Raises:
            EvaluationError: When nothing can be evaluated at all (no such device, unreadable data).
        """

    @abstractmethod
    def collect(self, timeout: float | None) -> list[tuple[int, Measurement]]:
        """Returns what ended, waiting for the first at most `timeout` seconds (None: for ever); empty when none did.

        Raises:
            EvaluationError: When nothing can be evaluated at all.
        """

    def forget(self) -> None:  # noqa: B027 - an evaluator that is made for one search is closed instead
        """Lets go of what is in flight, when a search leaves an evaluator open: it may end, but `collect` never returns it."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Returns what the record should know of where it ran, as plain JSON."""

    def score(self, requests: Sequence[Request], given_up: Callable[[], bool] = lambda: False) -> list[dict[str, float]]:
        """Returns the scores of untrained networks by name, the same for the same network; nothing is trained.

        Whoever can overrides this. It is called while a slot is free, and may use all that are.

        Args:
            requests: What would be trained.
            given_up: Asked often; when it says so, what is known so far is returned.

        Returns:
            One entry a request, empty where there is no score.

        Raises:
            EvaluationError: When this evaluator gives no scores.
        """
        raise EvaluationError(f"{type(self).__name__} scores no networks that are not trained; leave prescreen out")

    def close(self) -> None:  # noqa: B027 - an evaluator without processes has nothing to do
        """Kills what is in flight; a second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
