"""Fields of the recipe, tried one by one on a residual network: validation accuracy at the end of a training at length.

Each variant changes the recipe that `nas train` makes for so many epochs; all begin with the same weights. Images: a name, folder
or file, as on the command line. One process, one thread; a variant takes minutes.

    python benchmarks/recipes.py [--data fashion-mnist] [--size 78k] [--epochs 20] [--seeds 0] shift=0 shift=2 lr=0.05,shift=0
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from typing import Any

import torch
from images_per_second import WIDTHS, source_of

from nas import Recipe
from nas.data import load_data
from nas.device import settle
from nas.intervals import wilson
from nas.module import compile_source
from nas.processes import keep_freed_memory
from nas.recipe import strong
from nas.train import train


def changes(text: str) -> dict[str, Any]:
    """Reads "lr=0.05,shift=0"; "plain" changes nothing."""
    pairs = [] if text == "plain" else [part.split("=", 1) for part in text.split(",")]
    return {name: json.loads(value) for name, value in pairs}


def main() -> None:
    """Prints a line a variant and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="+")
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--size", choices=tuple(WIDTHS), default="78k")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", default="0")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    keep_freed_memory()
    dataset = load_data(options.data)
    source = source_of(options.size, dataset.input_shape, len(dataset.class_names))
    images = dataset.size("val")
    precision = settle("cpu", "auto", networks=[compile_source(source, quick=True)], input_shape=dataset.input_shape).precision
    print(f"{options.epochs} epochs of {dataset.size('train'):,} images of {dataset.name}, {images:,} to validate on, {precision}")
    for text in options.variants:
        for seed in map(int, options.seeds.split(",")):
            torch.manual_seed(seed)
            module = compile_source(source, quick=True)
            recipe = strong(replace(Recipe(), **changes(text)), options.epochs, dataset.size("train"))
            begin = time.perf_counter()
            found = train(module, dataset, recipe, epochs=options.epochs, seed=seed, precision=precision).metrics
            low, high = wilson(found["val_accuracy"], images)
            words = f"{found['val_accuracy']:.4f} [{low:.4f}, {high:.4f}], training {found['train_accuracy']:.4f}"
            print(f"{text:24} seed {seed}: {words}, {time.perf_counter() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
