"""`train_networks` and `train_network`: what is done with picks, after they were fixed on validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.addresses import Network
from nas.arguments import free_folder
from nas.budget import duration
from nas.device import check_names, default_workers, found_device
from nas.errors import EvaluationError
from nas.executors.local import LocalExecutor
from nas.final.course import go_on
from nas.final.engine import Work
from nas.final.events import Chosen, FinalEvent
from nas.final.exports import finish
from nas.final.folder import FinalFolder
from nas.final.images import earlier_looks, image_words
from nas.final.picks import pick_networks
from nas.final.results import FinalTraining, TrainedNetwork
from nas.final.state import Wish
from nas.found import Found
from nas.graph import Graph
from nas.interrupts import Interrupts, Stopped
from nas.recipe import Recipe, Task
from nas.run import Run
from nas.space import Architecture, Space

if TYPE_CHECKING:
    from nas.api import AnyNetwork


class TrainingStopped(Stopped):
    """Raised after a signal stopped a final training cleanly: the same call goes on from the last checkpoints.

    Attributes:
        folder: The final folder.
    """

    def __init__(self, folder: Path, signal: int) -> None:
        super().__init__(f"final training in {folder} was stopped; the same command goes on with it", signal)
        self.folder = folder


def train_networks(
    networks: Sequence[AnyNetwork | Found | Network | Run] | AnyNetwork | Found | Network | Run,
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
        networks: A list of what `nas.find_network` takes, of networks of a run, or of runs, or one of them: a run, or its folder,
            stands for its best network.
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
        precision: `auto`, `fp32`, `bf16`, or `deterministic` (fp32 by algorithms that give the same bits each time). The test
            images are measured in fp32, as an exported network computes.
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
    picks = pick_networks(
        [networks] if isinstance(networks, str | Path | Space | Architecture | Graph | Found | Network | Run) else list(networks),
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
        "networks": [pick.name for pick in picks.picks],
        "data": picks.dataset.digest,  # wherever it lies and whatever it is called
        "seeds": seeds,
        "epochs": epochs,
        "budget": seconds,
        "hold_out": hold_out,
        "strengthened": recipe is None,
        "threads": threads,
        "precision": precision,
        "metrics": task.metrics,
        "fingerprints": [pick.fingerprint for pick in picks.picks],
        "recipes": [asdict(pick.recipe) for pick in picks.picks],
    }
    place = Path(out) if out is not None else free_folder("trained")
    device = found_device(device)
    wish = Wish(epochs, seconds, hold_out, test, device, precision, threads)
    slots = min(len(picks.picks) * train_seeds, workers or default_workers(device, threads))
    with (
        Interrupts() as interrupts,
        FinalFolder(place, settings, [pick.described for pick in picks.picks]) as folder,
        LocalExecutor(slots) as executor,
    ):
        trainings = [folder.training(pick.key, number) for pick in picks.picks for number in seeds]
        work = Work(
            {pick.key: pick for pick in picks.picks}, trainings, folder, task, progress or (lambda event: None), interrupts.reason
        )
        runs = sorted({pick.found.run.folder for pick in picks.picks if pick.found})
        notes = (*picks.notes, *earlier_looks(runs, place))
        work.tell(Chosen(str(place), folder.state.picks, image_words(picks.dataset, hold_out, test), notes))
        if not go_on(work, executor, picks.dataset, wish, trust_code):
            raise TrainingStopped(place, interrupts.signal)
        return finish(work, picks.dataset.size("test"))


def train_network(network: AnyNetwork | Found | Network | Run, data: Any = None, **options: Any) -> TrainedNetwork:
    """Trains one network at length; see `train_networks`, whose other arguments it takes."""
    return train_networks([network], data, **options).networks[0]


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
