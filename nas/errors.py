"""Everything this package raises on purpose.

    NasError                      one line, meant for the person who typed the command
    ├── UnknownNameError          a name that stands nowhere; names the nearest known one
    ├── SpaceError                a domain, block or space is written wrongly
    │   └── GenotypeError         a genotype does not fit the space it is decoded in
    ├── BlockError                a block cannot be applied at its place (shapes, windows)
    ├── GraphError                a graph contradicts itself
    ├── ObjectiveError            an objective or a constraint makes no sense
    ├── RecipeError               a training recipe makes no sense
    ├── StrategyError             a strategy's settings make no sense, or a user's own strategy cannot be used
    ├── DataError                 images, labels or a table cannot be used
    ├── RunError                  a run folder cannot be read, written or continued
    └── EvaluationError           a candidate could not be evaluated

Errors name the thing, what it got, what it expected, and the fix. The command line prints the message alone and leaves with
exit code 2; any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from reprlib import Repr


class NasError(Exception):
    """Base of all errors raised on purpose by this package."""


class SpaceError(NasError):
    """A domain, a block or a space is written wrongly."""


class GenotypeError(SpaceError):
    """A genotype does not fit the space it is decoded in."""


class BlockError(NasError):
    """A block cannot be applied where it stands: its message names the block, its path and the shapes."""


class GraphError(NasError):
    """A graph contradicts itself."""


class ObjectiveError(NasError):
    """An objective or a constraint makes no sense."""


class RecipeError(NasError):
    """A training recipe makes no sense."""


class StrategyError(NasError):
    """A strategy's settings make no sense, or a user's own strategy cannot be used."""


class DataError(NasError):
    """Images, labels or a table of known results cannot be used as they are."""


class RunError(NasError):
    """A run folder cannot be read, written or continued."""


class EvaluationError(NasError):
    """A candidate could not be evaluated."""


class UnknownNameError(NasError):
    """A name that is not known where it was used.

    Args:
        kind: What was named, in the singular ("strategy").
        name: What was written.
        known: The names that would have been understood.
        other: The known name of the very thing, where somebody else's name of it was written.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], *, other: str = "") -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        said = f"; {name} is called {other!r} here" if other else did_you_mean(name, self.known)
        super().__init__(f"unknown {kind} {name!r}{said}")


_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 4, 60, 80


def brief(value: object) -> str:
    """Returns a value for an error message: on one line, cut where it is long or deep."""
    return " ".join(_SHORT.repr(value).split())


_FAMILY, _MANY = 3, 10  # letters that several names may share to be named together; how many names are read at a glance


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Returns the end of an error message: the names that begin so, else the nearest one, or all of them where none is near."""
    known = sorted(known)
    family = [other for other in known if other.startswith(str(name))] if len(str(name)) >= _FAMILY else []
    if 1 < len(family) <= _MANY:
        return f"; did you mean {', '.join(map(repr, family))}?"
    near = get_close_matches(str(name), known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(known)}" if known else ""
