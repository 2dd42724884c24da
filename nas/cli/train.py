"""`nas train`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from nas.cli.options import DataOptions, Device, Json, Workers, print_json

if TYPE_CHECKING:
    from nas.final.events import FinalEvent

_DATA = DataOptions()
QUIET_SECONDS = 5.0
"""Lines of progress come no closer than this, but for those that end a training."""


def train(
    *networks: str,
    front: bool = False,
    data: str | None = None,
    epochs: int | None = None,
    budget: str | None = None,
    train_seeds: int = 1,
    hold_out: bool = False,
    test: Annotated[bool, Parameter(name="--test", negative="--no-test")] = True,
    recipe: str | None = None,
    class_weights: Literal["none", "balanced"] | None = None,
    sample: int | None = None,
    device: Device = "auto",
    workers: Workers = None,
    threads: int = 1,
    deterministic: bool = False,
    seed: int = 0,
    out: Path | None = None,
    trust_code: bool = False,
    data_options: DataOptions = _DATA,
    json: Json = False,
) -> None:
    """Train chosen networks at length, measure the test images once when all is trained, and export them.

    They are trained on training and validation images.

    With --out the same command goes on where it was stopped or killed; without it each start makes a new folder.

    Args:
        networks: One or several: RUN (its best network), RUN@ID, RUN@best:params<=50k, a classic, a JSON file, a space or its file.
        front: RUN stands for all networks of its front instead.
        data: Name of a data set (nas list data), folder of images, .csv, .npz or FILE.py:function; those of the run when left out.
        epochs: Passes over the images; with --budget the most; 30 when both are left out.
        budget: Time for everything, such as 1h: the epochs are chosen by measured speed so that all ends in time.
        train_seeds: Trainings of each network, with different seeds: figures become means with their spread.
        hold_out: Keep the validation images apart and measure them after each epoch.
        test: Measure the test images.
        recipe: FILE.py with `recipe = Recipe(...)`, or FILE.py:NAME, taken as it is; else that of the run, made fit for it.
        class_weights: Weigh the loss by the inverse frequency of the classes; as the recipe says when left out.
        sample: Draw the network from the space with this seed.
        threads: Of the processor, each training; more are quicker on idle cores, far slower beside other work, and change figures.
        deterministic: Train in fp32 by deterministic algorithms: with --epochs, the same figures again on the same machine.
        seed: Of weights, order, augmentation and dropout; the first of several.
        out: Folder to write into; runs/trained-N when left out.
        trust_code: Execute code that a run or file brings along (operations of somebody's own).
    """
    from nas.arguments import load_recipe
    from nas.final import TrainingStopped, train_networks
    from nas.final.results import plain, results_text

    say = sys.stderr if json else sys.stdout
    show = _Lines(say)
    try:
        trained = train_networks(
            networks,
            data,
            front=front,
            epochs=epochs,
            budget=budget,
            train_seeds=train_seeds,
            hold_out=hold_out,
            test=test,
            recipe=load_recipe(recipe),
            recipe_options={"class_weights": class_weights} if class_weights else None,
            seed=seed,
            sample=sample,
            workers=workers,
            threads=threads,
            device=device,
            precision="deterministic" if deterministic else "auto",
            out=out,
            data_options=data_options.given() or None,
            trust_code=trust_code,
            progress=show,
        )
    except TrainingStopped as stop:
        print(f"stopped; the same command with --out {stop.folder} goes on from the last checkpoints", file=sys.stderr)
        raise
    print("", results_text(trained), "", _written(trained.folder), sep="\n", file=say)
    if json:
        results: Mapping[str, Any] = {"folder": trained.folder, "epochs": trained.epochs}
        print_json({**results, "networks": [plain(network) for network in trained.networks]})


class _Lines:
    """Prints what happens, a time before each line of progress."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._last = datetime.min

    def __call__(self, event: FinalEvent) -> None:
        from nas.final.events import Chosen, Planned, Trained

        now = datetime.now()
        if isinstance(event, Chosen | Planned):
            print(f"{event}\n", file=self._file, flush=True)
            return
        if isinstance(event, Trained) and event.epoch < event.epochs and (now - self._last).total_seconds() < QUIET_SECONDS:
            return
        self._last = now
        print(f"{now:%H:%M:%S} {event}", file=self._file, flush=True)


def _written(folder: Path) -> str:
    return f"wrote {folder}: final.json, final.csv, and NETWORK/seed-N/network.py with weights and curve"
