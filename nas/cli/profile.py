"""`nas profile`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from nas.cli.options import Classes, Constraints, DataOptions, Device, Json, Workers, input_shape, print_json, rungs
from nas.errors import SpaceError

if TYPE_CHECKING:
    from nas.data import Dataset
    from nas.problem import Candidate, Problem
    from nas.profiling import Profile
    from nas.space import Space

_DATA = DataOptions()


def profile(
    space: str,
    /,
    *,
    data: str | None = None,
    constraint: Constraints = None,
    samples: int = 1000,
    seed: int = 0,
    epochs: str = "3",
    budget: str = "30min",
    input: str | None = None,
    classes: Classes = None,
    workers: Workers = None,
    device: Device = "auto",
    data_options: Annotated[DataOptions, Parameter(name="*")] = _DATA,
    json: Json = False,
) -> None:
    """Show what a space holds before it is searched: its size, what is valid, costs, dead ends; with --data also the time.

    Args:
        space: Name of a shipped space (nas list spaces), FILE.py, FILE.py:NAME or FILE.json.
        data: Train four candidates on this data for one epoch and predict seconds a candidate.
        samples: Genotypes to draw.
        seed: Of the draws.
        epochs: Epochs of a candidate in the search to come, or rising ones such as 1,3,9.
        budget: Time of the search to come.
        input: Channels x height x width of the images, such as 3x32x32, where space and data leave that open.
        classes: How many classes there are, likewise.
    """
    import numpy as np

    from nas.arguments import fitting_rungs
    from nas.budget import duration
    from nas.lines import counted, spell_seconds
    from nas.problem import Problem
    from nas.profiling import profile_space
    from nas.recipe import Recipe
    from nas.schedule import checked_rungs, epochs_each

    if samples < 1:
        raise SpaceError(f"samples is {samples}, expected a whole number of at least 1")
    climbed = checked_rungs(rungs(epochs))
    seconds = duration(budget)
    opened, dataset = _bound(space, data, data_options, input_shape(input), classes)
    problem = Problem(opened, ["params"], constraint or ())
    found, valid = profile_space(problem, np.random.default_rng(seed), samples)
    slots = 0
    if dataset is not None:
        climbed = fitting_rungs(climbed, None, dataset, problem.space.recipe or Recipe())
        found, slots = _timed(found, valid, problem, dataset, epochs_each(climbed), workers, device)
    candidates = int(seconds * slots / found.seconds["mean"]) if found.seconds else None
    if json:
        print_json({**found.to_dict(), "budget_seconds": seconds, "workers": slots or None, "candidates": candidates})
        return
    print(_words(found))
    if candidates is not None:
        trained = f"{counted(candidates, 'candidate')} of {counted(climbed[0], 'epoch')} in {spell_seconds(seconds)}"
        further = [f"{candidates * climbed[0] // rung:,} of them on to {rung}" for rung in climbed[1:]]
        print(f"{counted(slots, 'worker')} can train about {', '.join([trained, *further])} (good to a factor of about two)")


def _bound(
    address: str, data: str | None, options: DataOptions, shape: tuple[int, int, int] | None, classes: int | None
) -> tuple[Space, Dataset | None]:
    """Returns the space with input and classes known, and the data set if there is one."""
    from nas.library import load_space

    space, dataset = load_space(address), None
    if data is not None:
        from nas.data import load_data

        dataset = load_data(data, **options.given())
        return space.bind(dataset.input_shape, len(dataset.class_names)), dataset
    shape, classes = shape or space.input_shape, space.classes if classes is None else classes
    if shape is None or classes is None:
        raise SpaceError(f"{address} takes images of any shape; say which with --data, or with --input 3x32x32 --classes 10")
    return space.bind(shape, classes), None


def _timed(
    found: Profile,
    valid: list[Candidate],
    problem: Problem,
    dataset: Dataset,
    epochs: float,
    workers: int | None,
    device: str,
) -> tuple[Profile, int]:
    """Returns the profile with times, and how many trainings run at a time."""
    from nas.evaluators.training import TrainingEvaluator
    from nas.profiling import measure_seconds
    from nas.recipe import Recipe

    recipe = problem.space.recipe or Recipe()
    if recipe.open_fields():
        recipe = Recipe()
    with TrainingEvaluator(dataset, workers=workers, device=device) as evaluator:
        return measure_seconds(found, valid, evaluator, recipe, epochs), evaluator.slots


def _words(found: Profile) -> str:
    from nas.lines import aligned, number

    facts: list[tuple[str, str]] = [
        ("space", found.space),
        ("genotypes", number(found.size) if isinstance(found.size, int) else "without end (a real number is open)"),
        ("decisions", f"{found.decisions}, of which {found.active:.1f} are active on average"),
        ("drawn", f"{found.samples:,}"),
        ("valid", f"{100 * found.valid:.1f} %, of which {100 * found.distinct:.1f} % are different networks"),
        *((f"rejected by {reason}", f"{n:,}") for reason, n in found.rejected.items()),
    ]
    if found.example:
        facts.append(("the first infeasible", found.example))
    quantiles: list[tuple[str | float, ...]] = [("share of the valid", *(f"{100 * float(share):.0f} %" for share in found.params))]
    quantiles.append(("params", *found.params.values()))
    quantiles.append(("MACs", *found.macs.values()))
    if found.seconds:
        quantiles.append(("seconds a candidate", *(found.seconds[share] for share in found.params)))
    dead = [(path, ", ".join(map(repr, values))) for path, values in found.unreachable.items()]
    parts = [aligned(facts), "", aligned(quantiles)]
    if dead:
        parts += ["", "drawn often, never in a valid network:", aligned(dead, indent="  ")]
    return "\n".join(parts)
