"""What a user writes, checked and turned into what a search works with. Starts nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from nas.blocks import Resize
from nas.budget import Budget, parse_budget
from nas.domains import Domain
from nas.errors import EvaluationError, RunError, SpaceError, UnknownNameError
from nas.intervals import VALIDATED_BY
from nas.problem import RESOLUTIONS, Rejected
from nas.recipe import Recipe, batches
from nas.resolutions import checked_resolutions, fitting_resolutions, misfit
from nas.retraining import Wanted
from nas.schedule import raised_rungs
from nas.userfile import load_object

if TYPE_CHECKING:
    from nas.addresses import Network
    from nas.data import Dataset
    from nas.problem import Problem
    from nas.space import Space


def budget_of(budget: str | float | Budget | None, evaluations: str | int | None, epochs_total: str | int | None) -> Budget:
    """Returns the budget that was given, as one or as up to three limits.

    Raises:
        RunError: When there is none, it is given twice, or it makes no sense.
    """
    if not isinstance(budget, Budget):
        return parse_budget(budget, evaluations=evaluations, epochs_total=epochs_total)
    if evaluations is not None or epochs_total is not None:
        raise RunError("the budget is given twice: as a Budget and as evaluations or epochs_total; give one of them")
    return budget


def check_numbers(seed: int, workers: int | None, deadline: float | None) -> None:
    """Raises RunError where a number of a search makes no sense, and names it."""
    for name, number, least in (("seed", seed, 0), ("workers", 1 if workers is None else workers, 1)):
        if type(number) is not int or number < least:
            raise RunError(f"{name} is {number!r}, expected a whole number of at least {least}")
    if deadline is not None and not (type(deadline) in (int, float) and 0 < deadline < float("inf")):
        raise RunError(f"deadline is {deadline!r}, expected a number of seconds above 0, or None")


def check_inherits(function: Any) -> None:
    """Raises RunError where networks are to inherit weights of which there are none, because a plain function evaluates."""
    from nas.evaluators.base import Evaluator

    if function is not None and not isinstance(function, Evaluator):
        raise RunError(
            f"evaluator {evaluator_name(function)} trains nothing that could be inherited; leave --inherit (inherit) out"
        )


def check_prescreen(count: int, function: Any) -> None:
    """Raises RunError where networks are to be scored before training, and that makes no sense."""
    from nas.evaluators.base import Evaluator

    if type(count) is not int or count < 0:
        raise RunError(f"prescreen is {count!r}, expected how many candidates are scored for each proposal: 10, say, or 0 for none")
    if count and function is not None and not isinstance(function, Evaluator):
        raise RunError(
            f"evaluator {evaluator_name(function)} has no images to score networks on; leave --prescreen (prescreen) out"
        )


def again_of(train_seeds: int, folds: int, function: Any, dataset: Dataset | None, *, seed: int, heirs: bool) -> Wanted | None:
    """Returns how networks near the front are trained again; None where they are not.

    Args:
        train_seeds: Seeds in all; 1: no others.
        folds: Folds in all; 0: none.
        function: Who evaluates; None: training.
        dataset: What is trained on, None where nothing is.
        seed: Of the search.
        heirs: Whether networks begin with the weights of others.

    Raises:
        RunError: When that makes no sense.
        DataError: When classes are too small for so many folds.
    """
    from nas.evaluators.base import Evaluator

    if type(train_seeds) is not int or train_seeds < 1:
        raise RunError(f"train_seeds is {train_seeds!r}, expected a whole number of at least 1: 3, say, or 1 for no other seeds")
    if type(folds) is not int or folds < 0 or folds == 1:
        raise RunError(f"folds is {folds!r}, expected a whole number of at least 2: 5, say, or 0 for none")
    if train_seeds > 1 and folds:
        raise RunError("--train-seeds (train_seeds) and --folds (folds) both train networks near the front again; give one of them")
    if train_seeds == 1 and not folds:
        return None
    option = "--folds (folds)" if folds else "--train-seeds (train_seeds)"
    if function is not None and (folds or not isinstance(function, Evaluator)):
        raise RunError(f"evaluator {evaluator_name(function)} trains nothing that could be trained again so; leave {option} out")
    if heirs:
        raise RunError(f"networks that begin with the weights of others cannot be trained again alike; leave {option} out")
    if folds and dataset is not None:
        from nas.data.views import folds_of

        folds_of(dataset, folds, seed=seed)  # says now where classes are too small
    images = dataset.size("val") if dataset is not None and evaluator_name(function) in VALIDATED_BY else 0
    return Wanted(train_seeds, folds, dataset, images)


def deterministic_workers(function: Any, workers: int | None) -> int:
    """Returns how many workers a deterministic search has: one, since with more the order of results is a matter of time.

    Raises:
        RunError: Where more are asked for, or nothing is trained.
    """
    if function is not None:
        raise RunError(f"deterministic is for training, and {evaluator_name(function)} evaluates; leave deterministic out")
    if workers not in (None, 1):
        raise RunError(f"workers is {workers}, expected 1 in a deterministic search: with more, results come in any order")
    return 1


def bound_space(
    space: Space,
    data: Any,
    options: Mapping[str, Any],
    *,
    needed: bool,
    input_shape: Sequence[int] | None = None,
    classes: int | None = None,
) -> tuple[Space, Dataset | None]:
    """Returns the space with its input shape and classes known, and the data set if there is one.

    Args:
        space: Its shape and classes may be open.
        data: What `load_data` takes, or None.
        options: Passed on to `load_data`.
        needed: Whether nothing can be evaluated without data.
        input_shape: `(channels, height, width)`, where there are no data and the space leaves it open.
        classes: Likewise.

    Raises:
        NasError: When data are missing, cannot be loaded, or do not fit the space.
    """
    if data is None:
        if needed:
            raise RunError(
                "no data given; expected the name of a data set, a folder of images, arrays, or an evaluator of your own"
            )
        return _bound(space, input_shape, classes), None
    if input_shape is not None or classes is not None:
        raise RunError("input shape and classes are those of the data; leave --input and --classes out, or the data")
    from nas.data import load_data

    dataset = load_data(data, **options)
    return space.bind(dataset.input_shape, len(dataset.class_names)), dataset


def _bound(space: Space, input_shape: Sequence[int] | None, classes: int | None) -> Space:
    """Returns the space for the images that are asked for, else for its own.

    Raises:
        SpaceError: When neither says for which.
    """
    shape = space.input_shape if input_shape is None else tuple(input_shape)
    number = space.classes if classes is None else classes
    if shape is None or number is None:
        raise SpaceError(
            f"{space.name or 'the space'} takes images of any shape; say which with --input 3x32x32 --classes 10, "
            "from Python input_shape=(3, 32, 32), classes=10"
        )
    return space.bind(cast("tuple[int, int, int]", shape), number)


def load_recipe(recipe: Recipe | str | None) -> Recipe | None:
    """Returns the recipe at `FILE.py` (its `recipe`), `FILE.py:NAME` or `module:NAME`; a `Recipe` or None as it is.

    Raises:
        NasError: When there is none.
    """
    if not isinstance(recipe, str | Path):
        return recipe
    address = str(recipe)
    found = load_object(f"{address}:recipe" if address.endswith(".py") else address)
    if not isinstance(found, Recipe):
        raise RunError(f"recipe {address!r} is {type(found).__name__}, expected a nas.Recipe(...)")
    return found


def changed_recipe(recipe: Recipe, options: Mapping[str, Any]) -> Recipe:
    """Returns a recipe with some of its fields replaced.

    Raises:
        UnknownNameError: When it has no such field.
    """
    known = [field.name for field in fields(Recipe)]
    for name in options:
        if name not in known:
            raise UnknownNameError("field of the recipe", name, known)
    return replace(recipe, **options)


def fitting_rungs(rungs: Sequence[int], function: Any, dataset: Dataset | None, recipe: Recipe) -> tuple[int, ...]:
    """Returns the rungs of a search, those raised that are too short to learn from.

    Args:
        rungs: As they are asked for, in epochs.
        function: Who evaluates; None: training.
        dataset: What is trained on.
        recipe: Says how many steps an epoch has.

    Raises:
        EvaluationError: When there are several, and a function evaluates that is not told the epochs.
    """
    from nas.evaluators.base import Evaluator
    from nas.evaluators.function import takes_epochs

    if len(rungs) == 1 or isinstance(function, Evaluator):
        return tuple(rungs)
    if function is not None:
        if not takes_epochs(function):
            raise EvaluationError(
                f"evaluator {evaluator_name(function)} cannot say what a network is worth after {rungs[0]} and after {rungs[-1]} "
                "epochs; give it a second parameter, f(architecture, epochs), or give one number of epochs"
            )
        return tuple(rungs)
    assert dataset is not None
    size: object = recipe.batch_size
    sizes = size.examples() if isinstance(size, Domain) else (size,)
    return raised_rungs(rungs, min(batches(dataset.size("train"), int(str(images)))[0] for images in sizes))


def resolutions_of(
    resolutions: Sequence[int], asked: Sequence[int], rungs: Sequence[int], function: Any, space: Space
) -> tuple[int, ...]:
    """Returns which size images have at each rung; nothing where they are as they are.

    Args:
        resolutions: As they are asked for, one a rung; none: images are as they are.
        asked: Rungs as they are asked for, in epochs.
        rungs: Rungs as they are.
        function: Who evaluates; None: training.
        space: With its input shape known.

    Raises:
        RunError: When they do not fit rungs, images or evaluator, or the space decides the resolution itself.
    """
    if not resolutions:
        return ()
    if function is not None:
        raise RunError(
            f"resolutions are for training, and {evaluator_name(function)} evaluates; leave --resolutions (resolutions) out"
        )
    assert space.input_shape is not None
    checked = checked_resolutions(resolutions, asked, space.input_shape)
    if any(isinstance(block, Resize) for block in space.body.walk()):
        raise RunError("the space has a Resize, which makes images of one size whatever they were; leave it or --resolutions out")
    return fitting_resolutions(checked, asked, rungs)


def check_resized(problem: Problem, baselines: Iterable[Network], resolutions: Sequence[int]) -> None:
    """Checks that there is something to train at all resolutions, before the search begins.

    Args:
        problem: What is searched, with the resolutions.
        baselines: Networks that are trained in the same way.
        resolutions: One a rung; none: images are as they are.

    Raises:
        RunError: When one of the baselines cannot be, or no network of many that were drawn from the space.
    """
    if not resolutions:
        return
    for network in baselines:
        if said := misfit(network.graph, resolutions):
            raise RunError(f"baseline {network.name!r} cannot be trained at all resolutions: {said}")
    rng, refused = np.random.default_rng(0), ""
    for _ in range(_DRAWS):
        try:
            problem.consider(problem.space.sample(rng))
            return
        except Rejected as rejected:
            refused = str(rejected) if rejected.reason == RESOLUTIONS else refused
    if refused:
        raise RunError(f"none of {_DRAWS} networks drawn from the space can be trained at all resolutions: {refused}")


_DRAWS = 100


def evaluator_name(function: Any) -> str:
    """Returns what the settings say of who evaluates.

    Raises:
        EvaluationError: When nobody can.
    """
    from nas.evaluators.base import Evaluator

    if function is None:
        return "training"
    if isinstance(function, Evaluator):
        return type(function).__qualname__
    if not callable(function):
        raise EvaluationError(f"evaluator is {function!r}, expected a function of the architecture that returns a dict of metrics")
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def free_folder(name: str) -> Path:
    """Makes the first free `runs/NAME-N`.

    Raises:
        RunError: When it cannot be made.
    """
    name = name.replace(":", "-").replace("/", "-")
    try:
        Path("runs").mkdir(exist_ok=True)
        for number in range(1, 100_000):
            folder = Path("runs") / f"{name}-{number}"
            with suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as problem:
        raise RunError(f"{Path('runs').absolute()} cannot be written: {problem.strerror}; name a folder with --out") from None
    raise RunError(f"runs holds too many folders named {name}; name one with --out")
