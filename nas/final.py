"""Trains one network at length: what is done with a pick, after it was fixed on validation. The test images are touched once,
when all is done."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.addresses import Network, find_network
from nas.costs import cost_of
from nas.data import Dataset, load_data
from nas.device import check_names
from nas.errors import EvaluationError, RecipeError
from nas.export import export_network, is_own_text
from nas.graph import Graph
from nas.hints import data_flags
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
    network: AnyNetwork | Found | Network,
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
        network: What `nas.addresses.find_network` takes, or what it returns, or a network of a run.
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
        data_options: Passed on to `load_data`; none: for a network of a run and the data it was found with, those of the run.
        on_epoch: Called with each entry of the curve, see `nas.train.train`.
        trust_code: Whether code that a run or a JSON file brings along may be executed.

    Returns:
        What `metrics.json` holds: `network`, `data`, `epochs`, `seed`, `recipe`, the metrics on the validation images and, with
        `test`, on the test images (`test_accuracy` with `test_accuracy_low` and `test_accuracy_high`, its 95 % interval), exact
        costs, `seconds`, and the paths of the files (`source`, `weights`, `curve`, `record`).

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
    known, dataset, _ = network_and_data(network, data, data_options)
    name, graph, found = known.name, known.graph, known.found
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
    results["record"] = str(folder / METRICS)
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


def network_and_data(
    network: AnyNetwork | Found | Network, data: Any, data_options: Mapping[str, Any] | None = None, *, sample: int | None = None
) -> tuple[Network, Dataset, Mapping[str, Any]]:
    """Returns a network, the data it can be trained on, and the options with which these were read.

    Args:
        network: See `train_network`.
        data: What `load_data` takes.
        data_options: Passed on to it; none: for a network of a run and the data it was found with, those of the run.
        sample: Seed of the genotype drawn from an open space.

    Raises:
        NasError: When one of them is not there, or the network is for other images or another number of classes.
    """
    known = _of_run(network)
    options = dict(data_options or {}) or _options_of_run(known.found if known else None, data)
    dataset = load_data(data, **options)
    if known is None:
        assert not isinstance(network, Found | Network)
        known = find_network(network, sample=sample, input_shape=dataset.input_shape, classes=len(dataset.class_names))
    wanted = (known.graph.input_shape, known.graph.output_shape)
    given = (dataset.input_shape, (len(dataset.class_names),))
    if wanted != given:
        raise EvaluationError(
            f"{known.name} takes images of {shape_words(wanted[0])} and gives {shape_words(wanted[1])} values, but {dataset.name} "
            f"has images of {shape_words(given[0])} in {counted(given[1][0], 'class', 'classes')}{_as_searched(known.found)}"
        )
    return known, dataset, options


def _of_run(network: AnyNetwork | Found | Network) -> Network | None:
    """Returns what was found already and what a run knows, None for any other network."""
    if isinstance(network, str | Path) and "@" in str(network):
        network = find_network(network)
    if isinstance(network, Found):
        network = Network("", network.graph, network.fingerprint, found=network)
    if not isinstance(network, Network):
        return None
    if network.found is None:
        return network
    # the file it is written into may travel, the folder's path need not
    return replace(network, name=f"{network.found.run.folder.name}@{network.found.id}")


def _arguments(found: Found | None) -> Mapping[str, Any]:
    """Returns what the search was called with that found a network, as far as it is recorded."""
    starts = found.run.starts() if found else []
    return (starts[-1]["options"].get("arguments") or {}) if starts else {}


def _options_of_run(found: Found | None, data: Any) -> dict[str, Any]:
    """Returns the options with which the run read these data, none where it read others."""
    arguments = _arguments(found)
    searched = arguments.get("data")
    if not isinstance(data, str | Path) or not isinstance(searched, str):
        return {}
    same = str(data) == searched or Path(data).resolve() == Path(searched).resolve()
    return dict(arguments.get("data_options") or {}) if same else {}


def _as_searched(found: Found | None) -> str:
    """Returns the end of an error message: how the run read its data."""
    flags = " ".join(data_flags(_arguments(found).get("data_options") or {}))
    return f"; its run read {_arguments(found)['data']} with {flags}" if flags else ""


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
