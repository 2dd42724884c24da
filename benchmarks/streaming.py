"""Training from images that are not in memory against images that are: one epoch right after the file was dropped from the page
cache, and one after that, in turns. Linux only. Target: at least 0.9 of the speed, so that data may be larger than memory.

    python benchmarks/streaming.py [--rounds 3] [--images 50000]
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from nas import Recipe, Space
from nas.blocks import Classifier, Conv, Pool, Sequential
from nas.data import Dataset, load_data
from nas.module import compile_source
from nas.source import write_source
from nas.train import train

SPACE = Space(
    input_shape=(3, 32, 32),
    classes=10,
    border="floor",
    body=Sequential(Conv(channels=16), Pool(kind="max", kernel=2), Conv(channels=32), Classifier()),
)


def made(folder: Path, images: int) -> Dataset:
    """Returns random images."""
    rng = np.random.default_rng(0)

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        return rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8), np.arange(count) % 10

    return load_data({"train": part(images), "val": part(20), "test": part(20)}, cache_dir=folder)


def drop(file: Path) -> None:
    """Writes a file out and has the system forget its pages."""
    descriptor = os.open(file, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def reads() -> int:
    """Returns how often this process has waited for a page to come from the disk; the system reads ahead of what is asked for."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_majflt


def seconds(dataset: Dataset, seed: int) -> float:
    """Returns how long one epoch takes, every image once and in any order."""
    module = compile_source(write_source(SPACE.decode({}).graph))
    begin = time.perf_counter()
    train(module, dataset, Recipe(), epochs=1, seed=seed)
    return time.perf_counter() - begin


def main() -> None:
    """Prints the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=50_000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # the system's own may lie in memory
        dataset = made(Path(folder), options.images)
        seconds(dataset, 0)
        rounds, missing = [], []
        for number in range(options.rounds):
            drop(dataset.folder / "train_images.npy")
            before = reads()
            cold = seconds(dataset, number)
            missing.append(reads() - before)
            rounds.append((cold, seconds(dataset, number)))
        speed = options.images / statistics.median(warm for _, warm in rounds)
        ratios = [warm / cold for cold, warm in rounds]
    waited = statistics.median(missing)
    print(f"{options.images:,} images of 3 x 32 x 32, {speed:,.0f} images/s from memory; waited for the disk {waited:,.0f} times")
    print(f"speed from disk {statistics.median(ratios):.2f} of that ({min(ratios):.2f} to {max(ratios):.2f}; target at least 0.9)")


if __name__ == "__main__":
    main()
