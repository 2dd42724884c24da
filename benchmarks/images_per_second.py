"""Images a second while training, against loops that people write; every ratio comes from turns taken in one run.

For three residual networks on 28 x 28 images (10, 78 and 308 thousand parameters):

* plain: what a script does: DataLoader over a data set that normalises each image (as torchvision's do), fp32, default layout,
  default threads, SGD, one process; against this package's workers on all cores, one single-threaded process each. Target: 3 where
  the processor has bf16 instructions, else 1.5. Threads that wait for each other collapse beside other work: measure it on an idle
  machine.
* prepared: the same over normalised floats that lie in memory before the clock starts, as a skilled user may have them.
* prepared on one thread: that loop against one worker's, in processor time, which other load hardly touches.
* bare: a loop tuned by hand: normalised images resident in memory, channels last, the precision that the trial chooses, fused SGD,
  one thread, nothing measured, PyTorch's own kernels; against `nas.train.train` with one epoch and all its figures, in processor
  time. Target: at least 0.97 of its images.
* workers: two against one. Target: 1.9.

    python benchmarks/images_per_second.py [--rounds 5] [--images 4096] [--sizes 10k,78k,308k] [--processor-time-only]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from nas import Recipe, Space
from nas.blocks import Classifier, Conv, Pool, Residual, Sequential
from nas.data import Dataset, load_data
from nas.device import settle
from nas.evaluators.base import Request
from nas.evaluators.training import TrainingEvaluator
from nas.module import compile_source
from nas.processes import cores, keep_freed_memory
from nas.source import write_source
from nas.train import train

WIDTHS = {"10k": (8, 8, 24), "78k": (16, 32, 64), "308k": (32, 64, 128)}
RECIPE = Recipe(batch_size=64, shift=0, flip=False)
BF16 = "3 with bf16 instructions, 1.5 without"


def source_of(size: str, shape: tuple[int, int, int] = (1, 28, 28), classes: int = 10) -> str:
    """Returns the network of a size, for images of such a shape in so many classes, as Python text."""
    first, second, third = WIDTHS[size]
    stages = [Residual(channels=first), Pool(kind="max", kernel=2), Residual(channels=second), Pool(kind="max", kernel=2)]
    body = Sequential(Conv(channels=first, kernel=3), *stages, Residual(channels=third), Classifier())
    return write_source(Space(input_shape=shape, classes=classes, border="floor", body=body).decode({}).graph)


def made(folder: Path, images: int) -> Dataset:
    """Returns random images; how quick training is does not depend on what they show."""
    rng = np.random.default_rng(0)

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        return rng.integers(0, 256, (count, 1, 28, 28)).astype(np.uint8), np.arange(count) % 10

    return load_data({"train": part(images), "val": part(20), "test": part(20)}, cache_dir=folder)


def floats(dataset: Dataset) -> tuple[Tensor, Tensor]:
    """Returns the training images as normalised floats, and their labels."""
    images = torch.tensor(np.array(dataset.images("train"))).float().div_(255)
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (dataset.mean, dataset.std))
    return (images - mean) / std, torch.tensor(np.array(dataset.labels("train")))


class Normalised(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """Bytes, each image of which is made a normalised tensor when it is asked for."""

    def __init__(self, dataset: Dataset) -> None:
        self._images, self._labels = np.array(dataset.images("train")), dataset.labels("train").tolist()
        self._mean, self._std = (torch.tensor(values).view(-1, 1, 1) for values in (dataset.mean, dataset.std))

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = torch.from_numpy(self._images[index]).to(torch.float32).div_(255)
        return image.sub_(self._mean).div_(self._std), self._labels[index]


def loader_loop(size: str, dataset: Dataset, prepared: bool) -> Callable[[], None]:
    """Returns one epoch over a DataLoader; prepared: of floats that were normalised before."""
    module = compile_source(source_of(size))
    source = TensorDataset(*floats(dataset)) if prepared else Normalised(dataset)
    loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(source, batch_size=RECIPE.batch_size, shuffle=True, drop_last=True)  # type: ignore[arg-type]
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=10**6)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)

    def epoch() -> None:
        module.train()
        running = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(module(x), y)
            loss.backward()
            optimizer.step()
            scheduler.step()
            running += loss.item()

    return epoch


def bare_loop(size: str, dataset: Dataset, bf16: bool) -> Callable[[], None]:
    """Returns one epoch with everything resident and nothing measured, on one thread."""
    module = compile_source(source_of(size)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images, labels = floats(dataset)
    images = images.permute(0, 2, 3, 1).contiguous()  # (N, H, W, C)
    parameters = list(module.parameters())
    groups = [{"params": [p for p in parameters if p.ndim > 1], "weight_decay": 5e-4}]
    groups += [{"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True, fused=True)

    def epoch() -> None:
        module.train()
        order = torch.randperm(len(images))
        for batch in torch.split(order, RECIPE.batch_size):
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                logits = module(images[batch].permute(0, 3, 1, 2))
            loss = F.cross_entropy(logits.float(), labels[batch], label_smoothing=0.1)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return epoch


def processor_seconds(size: str, folder: Path, rounds: int, images: int) -> list[tuple[float, float, float]]:
    """Returns seconds of processor time of one epoch of `train`, of the bare and of the prepared loop, in turns, on one thread."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    keep_freed_memory()
    dataset = made(folder, images)
    precision = settle(
        "cpu", "auto", networks=[compile_source(source_of(size), quick=True)], input_shape=dataset.input_shape
    ).precision
    bare, prepared, module = (
        bare_loop(size, dataset, precision == "bf16"),
        loader_loop(size, dataset, prepared=True),
        compile_source(source_of(size), quick=True),
    )

    def engine() -> None:
        train(module, dataset, RECIPE, epochs=1, precision=precision)

    loops = (engine, bare, prepared)
    for loop in loops:
        loop()
    found = []
    for number in range(rounds):
        taken = {}
        for loop in loops if number % 2 else reversed(loops):
            begin = time.thread_time()
            loop()
            taken[loop] = time.thread_time() - begin
        found.append((taken[engine], taken[bare], taken[prepared]))
    return found


def worker_rate(evaluator: TrainingEvaluator, size: str, jobs: int) -> float:
    """Returns the images a second of so many trainings at once, all workers together."""
    for ticket in range(jobs):
        evaluator.submit(ticket, Request(size, None, lambda: source_of(size), RECIPE, ticket, 1))
    rates: list[float] = []
    while len(rates) < jobs:
        for _, measurement in evaluator.collect(None):
            assert measurement.outcome.measured, measurement.error
            rates.append(measurement.metrics["images_per_second"])
    return sum(rates)


def rates_of(size: str, folder: Path, rounds: int, images: int) -> dict[str, list[float]]:
    """Returns images a second on the wall clock of the loops over a DataLoader, and of workers; prints the precision."""
    dataset = made(folder, images)
    loops = {name: loader_loop(size, dataset, prepared=name == "prepared") for name in ("plain", "prepared")}
    many = cores()
    found: dict[str, list[float]] = {name: [] for name in (*loops, "one", "two", "all")}
    with TrainingEvaluator(dataset, workers=max(2, many), kind=[source_of(size)]) as evaluator:
        facts = evaluator.describe()
        print(f"  {facts['precision']} ({facts['precision_reason']})")
        for _ in range(rounds + 1):
            for name, epoch in loops.items():
                begin = time.perf_counter()
                epoch()
                found[name].append(images / (time.perf_counter() - begin))
            found["all"].append(worker_rate(evaluator, size, many))
            found["one"].append(worker_rate(evaluator, size, 1))
            found["two"].append(found["all"][-1] if many == 2 else worker_rate(evaluator, size, 2))
    found = {name: rates[1:] for name, rates in found.items()}  # the first round warms up
    print(f"  images/s, medians: {', '.join(f'{name} {statistics.median(values):,.0f}' for name, values in found.items())}")
    return found


def tell(what: str, ratios: list[float], target: str) -> None:
    """Prints the median of ratios and how far they lie apart."""
    print(
        f"  {what:40} {statistics.median(ratios):5.2f}  ({min(ratios):.2f} to {max(ratios):.2f}; target at least {target})",
        flush=True,
    )


def compare(size: str, folder: Path, options: argparse.Namespace) -> None:
    """Prints the ratios of one size."""
    print(f"{sum(p.numel() for p in compile_source(source_of(size)).parameters()):,} parameters", flush=True)
    command = [sys.executable, __file__, "--inside", size, "--rounds", str(options.rounds), "--images", str(options.images)]
    taken = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    tell("bare loop, processor time", [bare / engine for engine, bare, _ in taken], "0.97")
    tell("prepared loop on one thread, processor time", [prepared / engine for engine, _, prepared in taken], BF16)
    if options.processor_time_only:
        return
    found = rates_of(size, folder, options.rounds, options.images)
    for name in ("plain", "prepared"):
        tell(f"{name} loop against a worker a core", [a / b for a, b in zip(found["all"], found[name], strict=True)], BF16)
    tell("two workers against one", [a / b for a, b in zip(found["two"], found["one"], strict=True)], "1.9")


def main() -> None:
    """Prints machine and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=4096)
    parser.add_argument("--sizes", default=",".join(WIDTHS))
    parser.add_argument("--processor-time-only", action="store_true")
    parser.add_argument("--inside", choices=tuple(WIDTHS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.inside:
            print(json.dumps(processor_seconds(options.inside, Path(folder), options.rounds, options.images)))
            return
        threads = f"{torch.get_num_threads()} threads in the loops over a DataLoader"
        print(f"{platform.processor() or platform.machine()}, {cores()} cores, {threads}, torch {torch.__version__}")
        print(f"{options.rounds} rounds of {options.images:,} images, batch {RECIPE.batch_size}", flush=True)
        for size in options.sizes.split(","):
            compare(size, Path(folder), options)


if __name__ == "__main__":
    main()
