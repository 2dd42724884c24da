"""`nas train`."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from nas.cli.options import DataOptions, Device, Json, print_json

_DATA = DataOptions()


def train(
    network: str,
    /,
    *,
    data: str,
    epochs: int = 30,
    recipe: str | None = None,
    class_weights: Literal["none", "balanced"] | None = None,
    sample: int | None = None,
    device: Device = "auto",
    threads: int = 1,
    seed: int = 0,
    out: Path | None = None,
    test: Annotated[bool, Parameter(name="--test", negative="--no-test")] = True,
    trust_code: bool = False,
    data_options: DataOptions = _DATA,
    json: Json = False,
) -> None:
    """Train one network at length, measure the test images once, and write its source, weights, metrics and the curve as CSV.

    Without data options, the data of a network's run are read as the run read them.

    Args:
        network: RUN@ID, RUN@best, RUN@knee, a classic (nas list networks), a JSON file, or a space by name or file.
        data: Name of a data set (nas list data), folder of images, .csv, .npz or FILE.py:function.
        epochs: Passes over the training images.
        recipe: FILE.py with `recipe = Recipe(...)`, or FILE.py:NAME; that of the run, or the default, when left out.
        class_weights: Weigh the loss by the inverse frequency of the classes; as the recipe says when left out.
        sample: Draw the network from the space with this seed.
        threads: Of the processor; more are quicker on idle cores and far slower beside other work, and change the figures.
        seed: Of weights, order, augmentation and dropout.
        out: Folder to write into; runs/trained-N when left out.
        test: Measure the test images.
        trust_code: Execute code that the run or file brings along (operations of somebody's own).
    """
    from dataclasses import replace

    from nas.arguments import load_recipe
    from nas.device import settle
    from nas.final import network_and_data, recipe_of, train_network
    from nas.hints import data_flags
    from nas.lines import counted

    given = data_options.given()
    found, dataset, options = network_and_data(network, data, given, sample=sample)
    chosen = load_recipe(recipe) or recipe_of(found.found)
    if class_weights is not None:
        chosen = replace(chosen, class_weights=class_weights)
    say = sys.stderr if json else sys.stdout
    done = 0

    def tell(entry: Mapping[str, float]) -> None:
        nonlocal done
        done = int(entry["epoch"])
        values = ", ".join(f"{name} {entry[name]:.4f}" for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"))
        print(f"epoch {entry['epoch']} of {epochs}: {values}, {entry['seconds']:.1f} s", file=say, flush=True)

    used = settle(device, "fp32").device
    as_searched = f", read with {' '.join(data_flags(options))} as in the run" if options and not given else ""
    head = f"{found.name} on {dataset.name}{as_searched}, {counted(epochs, 'epoch')}, seed {seed}, device {used}"
    print(head, f"recipe {_recipe(chosen)}", sep="\n", file=say)
    try:
        results = train_network(
            found,
            dataset,
            epochs=epochs,
            recipe=chosen,
            seed=seed,
            device=used,
            threads=threads,
            out=out or _free_folder(),
            test=test,
            on_epoch=tell,
            trust_code=trust_code,
        )
    except KeyboardInterrupt:
        print(
            f"stopped after {done} of {counted(epochs, 'epoch')}: nothing was kept; the same command starts again", file=sys.stderr
        )
        raise
    if json:
        print_json(results)
    else:
        _show(results)


def _recipe(recipe: Any) -> str:
    from dataclasses import asdict

    return ", ".join(f"{name} {value}" for name, value in asdict(recipe).items())


def _free_folder() -> Path:
    return next(folder for n in itertools.count(1) if not (folder := Path("runs") / f"trained-{n}").exists())


def _show(results: Mapping[str, Any]) -> None:
    from nas.lines import aligned

    names = ("val_accuracy", "val_loss", "test_accuracy", "test_accuracy_low", "test_accuracy_high", "test_loss", "params", "macs")
    print(aligned([(name, results[name]) for name in names if name in results]))
    print(f"wrote {results['source']}, {results['weights']}, {results['curve']}, {results['record']}")
