"""Trains one network at length: what is done with a pick, after it was fixed on validation. The test images are touched once,
when all is done."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.addresses import find_network
from nas.costs import cost_of
from nas.data import Dataset, load_data
from nas.device import check_names
from nas.errors import EvaluationError, RecipeError
from nas.export import export_network, is_own_text
from nas.graph import Graph
from nas.intervals import wilson
from nas.lines import counted
from nas.measurement import Outcome
from nas.outline import shape_words
from nas.recipe import Recipe, Task
from nas.run import Found
from nas.source import write_source

if TYPE_CHECKING:
    from torch import nn

    from nas.api import AnyNetwork

METRICS, CURVE, SOURCE = "metrics.json", "curve.csv", "network.py"


def train_network(
    network: AnyNetwork | Found,
    data: Any,
    *,
    epochs: int,
    recipe: Recipe | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    threads: int = 1,
    task: Task | None = None,
    out: str | Path,
    test: bool = True,
    data_options: Mapping[str, Any] | None = None,
    on_epoch: Callable[[Mapping[str, float]], None] = lambda entry: None,
    trust_code: bool = False,
) -> dict[str, Any]:
    """Trains a network from fresh weights on the training images and writes what comes out.

    It runs in this process.

    Args:
        network: What `nas.addresses.find_network` takes, or a network of a run.
        data: What `nas.data.load_data` takes.
        epochs: Passes over the training images.
        recipe: Closed; None: the one the network was found with, else `Recipe()`.
        seed: Of weights, order, augmentation and dropout.
        device: `auto`, `cpu`, `cuda` or `mps`.
        precision: `auto`, `fp32` or `bf16`.
        threads: Of the processor. Two took 0.6 of the time of one on idle cores, but ten times as long beside other work, and the
            figures of one seed depend on their number.
        task: Which metrics are measured, beside the loss.
        out: Folder for `network.py` and `network.safetensors` (see `nas.export`), `metrics.json` and `curve.csv`. It must not hold
            another training.
        test: Whether to measure the test images, once, after the last epoch.
        data_options: Passed on to `load_data`.
        on_epoch: Called with each entry of the curve, see `nas.train.train`.
        trust_code: Whether code that a run or a JSON file brings along may be executed.

    Returns:
        What `metrics.json` holds: `network`, `data`, `epochs`, `seed`, `recipe`, the metrics on the validation images and, with
        `test`, on the test images (`test_accuracy` with `test_accuracy_low` and `test_accuracy_high`, its 95 % interval), exact
        costs, `seconds`, and the paths of the files.

    Raises:
        NasError: When there is no such network, it does not fit the data, the training diverges, or the folder cannot be used.
        KeyboardInterrupt: After Ctrl-C; nothing is kept of a training that has not ended.
    """
    from nas.device import settle
    from nas.module import compile_source
    from nas.train import train

    check_names(device, precision)
    if type(epochs) is not int or epochs < 1:
        raise EvaluationError(f"epochs is {epochs!r}, expected a whole number of at least 1")
    if type(threads) is not int or threads < 1:
        raise EvaluationError(f"threads is {threads!r}, expected a whole number of at least 1")
    dataset = load_data(data, **(data_options or {}))
    name, graph, found = _network(network, dataset)
    recipe, task = recipe or recipe_of(found), task or Task()
    source = _executable(name, graph, trust_code)
    folder = _folder(Path(out))
    settings = settle(device, precision)

    import torch

    torch.manual_seed(seed)
    module = compile_source(source)
    on, bits = settings.device, settings.precision
    with _threads(threads), _unkept_if_stopped(folder):
        measured = train(module, dataset, recipe, epochs=epochs, seed=seed, task=task, device=on, precision=bits, on_epoch=on_epoch)
    _write_curve(folder / CURVE, measured.curve)
    if measured.outcome is not Outcome.COMPLETE:
        raise EvaluationError(f"training of {name} {measured.outcome}: {measured.error}; a lower learning rate may help")
    results: dict[str, Any] = {"network": name, "data": dataset.name, "data_digest": dataset.digest, "epochs": epochs, "seed": seed}
    results |= {"recipe": asdict(recipe), "device": on, "precision": bits, "torch": torch.__version__}
    results |= {**measured.metrics, **asdict(cost_of(graph))}
    if test:
        results |= _tested(module, dataset, recipe, task, on, bits)
    mirror = recipe.flip_average and (dataset.flip if recipe.flip is None else recipe.flip)
    header = _header(name, graph, dataset, results)
    exported = export_network(
        graph, folder / SOURCE, weights=module.state_dict(), data=dataset, mirror=mirror, header=header, trust_code=trust_code
    )
    results |= {"source": str(exported.path), "weights": str(exported.weights), "curve": str(folder / CURVE)}
    (folder / METRICS).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return results


@contextmanager
def _unkept_if_stopped(folder: Path) -> Iterator[None]:
    """Removes what a training broken off by Ctrl-C would leave: an empty curve, and the folder where nothing else lies in it."""
    try:
        yield
    except KeyboardInterrupt:
        with suppress(OSError):
            (folder / CURVE).unlink()
            folder.rmdir()
        raise


@contextmanager
def _threads(number: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _network(network: AnyNetwork | Found, dataset: Dataset) -> tuple[str, Graph, Found | None]:
    """Returns name, graph and row of a network that takes these images.

    Raises:
        EvaluationError: When it was made for other images or another number of classes.
    """
    found: Found | None
    if isinstance(network, Found):
        name, graph, found = "", network.graph, network
    else:
        known = find_network(network, input_shape=dataset.input_shape, classes=len(dataset.class_names))
        name, graph, found = known.name, known.graph, known.found
    if found:
        name = f"{found.run.folder.name}@{found.id}"  # the file it is written into may travel, the folder's path need not
    wanted, given = (graph.input_shape, graph.output_shape), (dataset.input_shape, (len(dataset.class_names),))
    if wanted != given:
        raise EvaluationError(
            f"{name} takes images of {shape_words(wanted[0])} and gives {shape_words(wanted[1])} values, but {dataset.name} has "
            f"images of {shape_words(given[0])} in {counted(given[1][0], 'class', 'classes')}"
        )
    return name, graph, found


def recipe_of(found: Found | None) -> Recipe:
    """Returns the recipe a network of a run was found with; the default for any other network.

    Raises:
        RecipeError: When the run was written by another version, whose recipe had other fields.
    """
    try:
        return Recipe(**found.recipe) if found else Recipe()
    except TypeError as error:
        raise RecipeError(f"the run's recipe is none of this version: {error}; give one") from None


def _executable(name: str, graph: Graph, trust_code: bool) -> str:
    source = write_source(graph)
    if not trust_code and not is_own_text(graph, source):
        raise EvaluationError(
            f"{name} holds an operation of somebody's own, whose code would be executed; say --trust-code where you trust it"
        )
    return source


def _folder(folder: Path) -> Path:
    if (folder / METRICS).exists():
        raise EvaluationError(f"{folder} holds another training ({METRICS}); choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CURVE).write_text("", encoding="utf-8")
    except OSError as error:
        raise EvaluationError(f"{folder} cannot be written: {error.strerror}; choose a folder you can write to") from None
    return folder


def _write_curve(path: Path, curve: tuple[Mapping[str, float], ...]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(curve[0]) if curve else ["epoch"])
        writer.writeheader()
        writer.writerows(curve)


def _tested(module: nn.Module, dataset: Dataset, recipe: Recipe, task: Task, device: str, precision: str) -> dict[str, float]:
    """Measures the test images: the only place of the package that reads them."""
    import numpy as np
    import torch
    import torch.nn.functional as F

    from nas.metrics import measure
    from nas.train import evaluate_split

    logits = evaluate_split(module, dataset, "test", recipe, device=device, precision=precision)
    labels = np.array(dataset.labels("test"))
    found = {f"test_{name.removeprefix('val_')}": value for name, value in measure(task.metrics, logits, labels).items()}
    found["test_loss"] = F.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels)).item()
    found["test_images"] = len(labels)
    if "test_accuracy" in found:
        found["test_accuracy_low"], found["test_accuracy_high"] = wilson(found["test_accuracy"], len(labels))
    return found


def _header(name: str, graph: Graph, dataset: Dataset, results: Mapping[str, Any]) -> str:
    lines = [
        f"{name}, trained for {counted(results['epochs'], 'epoch')} on {dataset.name} ({dataset.digest[:16]}) by paretonas",
        "",
    ]
    if "test_accuracy" in results:
        interval = f"95 % interval {results['test_accuracy_low']:.4f} to {results['test_accuracy_high']:.4f}"
        lines.append(
            f"test_accuracy {results['test_accuracy']:.4f} ({interval}, {counted(results['test_images'], 'image')}, measured once)"
        )
    if "val_accuracy" in results:
        lines.append(f"val_accuracy  {results['val_accuracy']:.4f} ({counted(dataset.size('val'), 'image')})")
    cost = cost_of(graph)
    lines.append(f"costs         {cost.params:,} parameters, {cost.macs:,} multiply-adds ({cost.flops:,} FLOPs) an image")
    lines += ["", "    python network.py photo.jpg", "    from network import load, predict"]
    return "\n".join(lines)
