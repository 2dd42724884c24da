"""`train_networks` and `train_network`: what is done with picks, after they were fixed on validation."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.budget import duration
from nas.data import Dataset, joined
from nas.device import check_names
from nas.errors import EvaluationError
from nas.evaluate import TrainingEvaluator, default_workers, found_device
from nas.executors.local import LocalExecutor
from nas.final.engine import Work, measure_tests, seconds_to_go, train_all
from nas.final.events import Chosen, FinalEvent, Planned
from nas.final.exports import export_all, finish
from nas.final.folder import FinalFolder, Plan
from nas.final.picks import pick_networks
from nas.final.planning import images_folder, make_plan, reason
from nas.final.results import FinalTraining, TrainedNetwork
from nas.final.timing import segment_epochs
from nas.interrupts import Interrupts
from nas.lines import counted
from nas.recipe import Recipe, Task, changed_fields
from nas.run import Run

if TYPE_CHECKING:
    from nas.addresses import Network
    from nas.api import AnyNetwork
    from nas.executors.base import Executor
    from nas.run import Found


class TrainingStopped(KeyboardInterrupt):
    """Raised after a signal stopped a final training cleanly: the same call goes on from the last checkpoints.

    Attributes:
        folder: The final folder.
        signal: Number of the signal.
    """

    def __init__(self, folder: Path, signal: int) -> None:
        super().__init__(f"final training in {folder} was stopped; the same command goes on with it")
        self.folder, self.signal = folder, signal

    @property
    def exit_code(self) -> int:
        """What a command leaves with: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP."""
        return 128 + self.signal


def train_networks(
    networks: Sequence[AnyNetwork | Found | Network | Run] | str | Path | Run,
    data: Any = None,
    *,
    front: bool = False,
    epochs: int | None = None,
    budget: str | float | None = None,
    train_seeds: int = 1,
    hold_out: bool = False,
    test: bool = True,
    recipe: Recipe | None = None,
    recipe_options: Mapping[str, Any] | None = None,
    task: Task | None = None,
    seed: int = 0,
    sample: int | None = None,
    workers: int | None = None,
    threads: int = 1,
    device: str = "auto",
    precision: str = "auto",
    out: str | Path | None = None,
    data_options: Mapping[str, Any] | None = None,
    trust_code: bool = False,
    progress: Callable[[FinalEvent], None] | None = None,
) -> FinalTraining:
    """Trains networks at length in worker processes, measures the test images once when all is trained, and exports them.

    The networks are fixed before anything is trained. Trainings run segment by segment on all slots, each in one process; a call
    that was stopped or killed goes on in the same folder from the last checkpoints, and gives what an unbroken one gives.

    Args:
        networks: What `nas.find_network` takes, networks of a run, or runs: a run, or its folder, stands for its best network.
        data: What `nas.data.load_data` takes; None: what the first network's run was searched with.
        front: A run stands for all networks of its front instead.
        epochs: Of each training; with a budget the most; None: 30, or as many as the budget allows.
        budget: A time such as "1h" or seconds: the epochs, the same for each training, are chosen such that all have ended in time,
            by the speed that is measured at the beginning; at most 200.
        train_seeds: How many times each network is trained, with seeds `seed`, `seed` + 1, ...
        hold_out: Train on the training images alone and measure the validation images after each epoch; otherwise it is trained on
            both, and nothing but the test images can tell how good it is.
        test: Measure the test images at the end.
        recipe: For all networks; None: for each the one it was found with, else `Recipe()`, made fit for long training by
            `nas.recipe.strong`.
        recipe_options: Fields of the recipe to change, such as `{"class_weights": "balanced"}`.
        task: Which metrics are measured, beside the loss.
        seed: The first one.
        sample: Seed of the genotype drawn from an open space.
        workers: Trainings at a time; None: one for each core (with `threads` for as many), on CUDA two.
        threads: Of the processor, for each training. More are quicker on idle cores and far slower beside other work; they change
            the figures.
        device: `auto`, `cpu`, `cuda` or `mps`.
        precision: `auto`, `fp32` or `bf16`. The test images are measured in fp32, as an exported network computes.
        out: The final folder, see `nas.final.folder`; None: `runs/trained-N`, the first that is free.
        data_options: Passed on to `load_data`; none: for networks of a run and the data it was searched with, those of the run.
        trust_code: Whether code that a run or a JSON file brings along may be executed.
        progress: Told of every event (`nas.final.events`).

    Returns:
        What came out. A training that failed is among it, with how and why.

    Raises:
        TrainingStopped: After Ctrl-C, SIGTERM or SIGHUP.
        NasError: When there is no such network, it does not fit the data, the time does not suffice, the folder cannot be used, or
            no training succeeded.
    """
    seconds = _checked(epochs, budget, train_seeds, seed, workers, threads)
    check_names(device, precision)
    listed = [networks] if isinstance(networks, str | Path | Run) else list(networks)
    picks = pick_networks(
        listed,
        data,
        data_options or {},
        front=front,
        sample=sample,
        recipe=recipe,
        recipe_options=recipe_options or {},
        trust_code=trust_code,
    )
    task = task or Task()
    seeds = tuple(range(seed, seed + train_seeds))
    settings = {
        "networks": [{"name": p.name, "fingerprint": p.fingerprint, "recipe": asdict(p.recipe)} for p in picks.picks],
        "data": {"name": picks.dataset.name, "digest": picks.dataset.digest},
        "seeds": seeds,
        "epochs": epochs,
        "budget": seconds,
        "hold_out": hold_out,
        "strengthened": recipe is None,
        "threads": threads,
        "metrics": task.metrics,
    }
    place = Path(out) if out is not None else _free_folder()
    device = found_device(device)
    slots = min(len(picks.picks) * train_seeds, workers or max(1, default_workers(device) // threads))
    with (
        Interrupts() as interrupts,
        FinalFolder(place, settings, [pick.described for pick in picks.picks]) as folder,
        LocalExecutor(slots) as executor,
    ):
        trainings = [folder.training(pick.key, number) for pick in picks.picks for number in seeds]
        work = Work(
            {pick.key: pick for pick in picks.picks}, trainings, folder, task, progress or (lambda event: None), interrupts.reason
        )
        work.tell(Chosen(str(place), folder.state.picks, _images(picks.dataset, hold_out, test), picks.notes))
        images = picks.dataset if hold_out else joined(picks.dataset, images_folder(place))
        ready = _settle(work, executor, images, epochs, seconds, device, precision, threads)
        if ready:
            _train(work, executor, images, threads)
            if test and picks.dataset.size("test"):
                measure_tests(work, executor, picks.dataset)
            export_all(work, picks.dataset, trust_code)
        if interrupts.signal and not (ready and all(training.exported for training in trainings)):
            raise TrainingStopped(place, interrupts.signal)
        return finish(work, picks.dataset.size("test"))


def train_network(network: AnyNetwork | Found | Network | Run, data: Any = None, **options: Any) -> TrainedNetwork:
    """Trains one network at length; see `train_networks`, whose other arguments it takes."""
    return train_networks([network], data, **options).networks[0]


def _settle(
    work: Work,
    executor: Executor,
    images: Dataset,
    epochs: int | None,
    seconds: float | None,
    device: str,
    precision: str,
    threads: int,
) -> bool:
    """Makes the plan where there is none, and tells it; returns whether there is one now."""
    state = work.folder.state
    if state.plan is None:
        state.plan = make_plan(
            work, executor, images, epochs=epochs, seconds=seconds, device=device, precision=precision, threads=threads
        )
        work.folder.save()
    plan = state.plan
    if plan is None:
        return False
    work.tell(
        Planned(
            epochs=plan.epochs,
            why=reason(plan, epochs, seconds),
            trainings=len(work.trainings),
            slots=executor.slots,
            rates={pick.name: images.size("train") / plan.epoch_seconds[key] for key, pick in work.picks.items()},
            seconds=seconds_to_go(work, executor.slots),
            where=_where(work, plan),
            done=sum(training.epochs for training in work.trainings),
        )
    )
    return True


def _train(work: Work, executor: Executor, images: Dataset, threads: int) -> None:
    """Trains what is left to train, where and in what precision the plan says."""
    plan = work.folder.state.plan
    assert plan is not None
    longest = max(segment_epochs(seconds) * seconds for seconds in plan.epoch_seconds.values())
    evaluator = TrainingEvaluator(
        images,
        work.task,
        device=plan.device,
        precision=plan.precision,
        deadline=LEAST_DEADLINE + 20 * longest,
        executor=executor,
        threads=threads,
    )
    for training in work.trainings:
        work.folder.sweep(training)
    evaluator.describe()  # waits until a worker has found everything in order
    train_all(work, evaluator)


LEAST_DEADLINE = 600.0
"""Seconds, beside 20 times what it should take, after which a segment counts as hung."""


def _where(work: Work, plan: Plan) -> str:
    picks = list(work.picks.values())
    recipes = [pick.recipe_for(plan.epochs) for pick in picks]
    first = ", ".join(f"{name} {value}" for name, value in asdict(recipes[0]).items())
    if any(pick.strengthened for pick in picks):
        changed = changed_fields(picks[0].recipe, recipes[0])
        first += f" (for long training: {', '.join(changed) or 'nothing changed'})"
    more = "" if all(recipe == recipes[0] for recipe in recipes) else f"; recipe of {picks[0].name}, each network has its own"
    return f"device {plan.device}, {plan.precision} ({plan.precision_reason}); recipe {first}{more}"


def _images(dataset: Dataset, hold_out: bool, test: bool) -> str:
    """Returns in words which images are trained on, and which are measured."""
    train, val, unseen = (counted(dataset.size(split), f"{word} image") for split, word in zip(_SPLITS, _WORDS, strict=True))
    trained = f"trained on {train}; {val} held out, measured after each epoch" if hold_out else f"trained on {train} and {val}"
    if not dataset.size("test"):
        return f"{dataset.name}: {trained}; there are no test images, so none are measured"
    if not test:
        return f"{dataset.name}: {trained}; the {unseen} are left alone"
    return f"{dataset.name}: {trained}; {unseen} measured once, when all is trained"


_SPLITS, _WORDS = ("train", "val", "test"), ("training", "validation", "test")


def _checked(
    epochs: int | None, budget: str | float | None, train_seeds: int, seed: int, workers: int | None, threads: int
) -> float | None:
    """Returns the budget in seconds.

    Raises:
        NasError: When a number makes no sense.
    """
    numbers = (
        ("epochs", epochs, 1),
        ("train_seeds", train_seeds, 1),
        ("seed", seed, 0),
        ("workers", workers, 1),
        ("threads", threads, 1),
    )
    for name, value, least in numbers:
        if value is not None and (type(value) is not int or value < least):
            raise EvaluationError(f"{name} is {value!r}, expected a whole number of at least {least}")
    if budget is None:
        return None
    seconds = duration(str(budget))
    if not seconds > 0:
        raise EvaluationError(f"budget is {budget!r}, expected a time above 0 such as 1h")
    return seconds


def _free_folder() -> Path:
    return next(folder for n in itertools.count(1) if not (folder := Path("runs") / f"trained-{n}").exists())
