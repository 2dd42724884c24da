"""Training from more images than fit into memory, against training from images that do: images a second, in turns.

Memory is limited from outside, so that the large file cannot stay in it; Linux only. Where systemd runs:

    systemd-run --scope -p MemoryMax=700M python benchmarks/streaming.py [--rounds 3] [--images 500000] [--touched]

elsewhere, as root, with a control group: `mkdir /sys/fs/cgroup/memory/small; echo 700M > .../memory.limit_in_bytes; echo $$ >
.../cgroup.procs` (version 1) before the command. The large file is 3 kB times the images. Without a limit it says what it measures
then. With --touched the same with reading ahead switched off beside it, which may take very long: the system then reads much around
each image, as the disk is set (`read_ahead_kb`). Target: at least 0.9 of the speed.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from nas import Recipe, Space, readahead
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
FEW = 10_000
"""Images that stay in memory."""


def made(folder: Path, images: int) -> Dataset:
    """Returns random images; the large file is a function's array that was never in memory as a whole."""
    folder.mkdir()
    file = np.lib.format.open_memmap(folder / "images.npy", mode="w+", dtype=np.uint8, shape=(images, 3, 32, 32))
    rng = np.random.default_rng(0)
    for begin in range(0, images, FEW):
        part = file[begin : begin + FEW]
        part[:] = rng.integers(0, 256, part.shape, dtype=np.uint8)
    few = (np.zeros((20, 3, 32, 32), np.uint8), np.arange(20) % 10)
    return load_data({"train": (file, np.arange(images) % 10), "val": few, "test": few}, cache_dir=folder / "decoded")


def rate(dataset: Dataset, seed: int, passes: int) -> tuple[float, int]:
    """Returns images a second of so many epochs, every image once in each, in any order; and how often the disk was waited for."""
    module = compile_source(write_source(SPACE.decode({}).graph))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_majflt
    begin = time.perf_counter()
    train(module, dataset, Recipe(), epochs=passes, seed=seed)
    waited = resource.getrusage(resource.RUSAGE_SELF).ru_majflt - before
    return passes * dataset.size("train") / (time.perf_counter() - begin), waited


def main() -> None:
    """Prints the median ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=500_000)
    parser.add_argument("--touched", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    Path("runs").mkdir(exist_ok=True)  # the system's own folder may lie in memory; what a killed run leaves here, git ignores
    with tempfile.TemporaryDirectory(dir="runs") as folder:
        few, many = made(Path(folder) / "few", FEW), made(Path(folder) / "many", options.images)
        rate(few, 0, 1)
        found: dict[str, list[tuple[float, int]]] = {"ahead": [], **({"touched": []} if options.touched else {})}
        memory: list[float] = []
        always = readahead.AHEAD_FROM
        for number in range(options.rounds):
            for how in found:
                readahead.AHEAD_FROM = always if how == "ahead" else 2**62
                memory.append(rate(few, number, 2)[0])
                found[how].append(rate(many, number, 1))
                print(f"round {number + 1}, {how}: {found[how][-1][0]:,.0f} images/s, {memory[-1]:,.0f} from memory", flush=True)
    resident = statistics.median(memory)
    print(f"{options.images:,} images of 3 x 32 x 32, {options.images * 3072 / 1e9:.1f} GB; {resident:,.0f} images/s from memory")
    for how, words in (("ahead", "from disk"), ("touched", "from disk, nothing read ahead")):
        if how not in found:
            continue
        ratios = [r / resident for r, _ in found[how]]
        waited = statistics.median(w for _, w in found[how])
        print(
            f"{words}: {statistics.median(ratios):.2f} of that ({min(ratios):.2f} to {max(ratios):.2f}); waited {waited:,.0f} times"
        )


if __name__ == "__main__":
    main()
