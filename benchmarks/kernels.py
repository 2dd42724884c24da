"""Training with the kernels of `nas.kernels` against PyTorch's own: networks drawn from the shipped spaces, in turns, one thread.

Processor time of whole training steps on 28 x 28 grey images, batch 64; a ratio of 1.5 is one and a half times as many images.

    python benchmarks/kernels.py [--networks 6] [--steps 8] [--precision bf16] [--macs 15000000]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from images_per_second import made

from nas import Recipe, load_space
from nas.costs import cost_of
from nas.data import Dataset
from nas.errors import BlockError
from nas.kernels import kernels_words
from nas.module import compile_source
from nas.processes import keep_freed_memory
from nas.source import write_source
from nas.train import train

SPACES = ("fashion_small", "inception_like", "mixed", "mobile_like", "nasnet_cells", "resnet_like", "vgg_like")
ROUNDS = 3


def drawn(name: str, most: int) -> Iterator[str]:
    """Yields the sources of networks that take no more multiply-adds than `most`."""
    space, rng = load_space(name).bind((1, 28, 28), 10), np.random.default_rng(0)
    while True:
        try:
            graph = space.decode(space.sample(rng)).graph
        except BlockError:  # infeasible
            continue
        if cost_of(graph).macs <= most:
            yield write_source(graph)


def ratio(source: str, dataset: Dataset, precision: str) -> float:
    """Returns how many times as long a network takes with PyTorch's own kernels: the quickest of some rounds each."""
    modules = {quick: compile_source(source, quick=quick) for quick in (False, True)}
    taken: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(1 + ROUNDS):
        for quick, module in modules.items():
            begin = time.thread_time()
            train(module, dataset, Recipe(), epochs=1, precision=precision)
            taken[quick].append(time.thread_time() - begin)
    return min(taken[False][1:]) / min(taken[True][1:])  # the first round warms up


def main() -> None:
    """Prints a line a space."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=6)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    parser.add_argument("--macs", type=int, default=15_000_000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    keep_freed_memory()
    print(f"{kernels_words()}, torch {torch.__version__}, {options.precision}, at most {options.macs:,} multiply-adds an image")
    with tempfile.TemporaryDirectory() as folder:
        dataset = made(Path(folder), 64 * options.steps)
        for name in SPACES:
            sources = drawn(name, options.macs)
            ratios = [ratio(next(sources), dataset, options.precision) for _ in range(options.networks)]
            print(f"{name:16} {statistics.median(ratios):5.2f} ({min(ratios):.2f} to {max(ratios):.2f})", flush=True)


if __name__ == "__main__":
    main()
