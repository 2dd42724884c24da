"""How many architectures a second one core samples, decodes, builds, lints, costs and fingerprints, before any tensor exists.

Beside it, in the same run: what it takes to learn the same two numbers (parameters, multiply-adds) of the same networks by
building their modules and counting with torch's FlopCounterMode.

    python benchmarks/architectures.py [SPACE] [--count 1000] [--repeats 5]
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from nas import Space
from nas.costs import cost_of
from nas.library import load_space
from nas.space import Architecture


def one(space: Space, rng: np.random.Generator) -> Architecture:
    """Returns a sampled architecture, linted, costed and fingerprinted."""
    architecture = space.decode(space.sample(rng))
    architecture.written.lint()
    cost_of(architecture.graph)
    assert architecture.fingerprint
    return architecture


def by_counting(architecture: Architecture) -> tuple[int, int]:
    """Returns parameters and multiply-adds as a module and torch's counter give them."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from nas.module import compile_source
    from nas.source import write_source

    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        module = compile_source(write_source(architecture.graph)).eval()
        module(torch.empty(1, *architecture.input_shape))
    return sum(p.numel() for p in module.parameters()), counter.get_total_flops() // 2


def main() -> None:
    """Prints architectures a second, median of the repeats, and the ratio to counting on modules."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", nargs="?", default="fashion_small")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    space = load_space(options.space)
    rng = np.random.default_rng(0)
    for _ in range(200):  # fills the tables that a search fills in its first second
        one(space, rng)
    rates, ratios = [], []
    for _ in range(options.repeats):
        begun = time.perf_counter()
        made = [one(space, rng) for _ in range(options.count)]
        exact = (time.perf_counter() - begun) / options.count
        begun = time.perf_counter()
        for architecture in made[:20]:
            cost = cost_of(architecture.graph)
            assert by_counting(architecture) == (cost.params, cost.macs)
        counted = (time.perf_counter() - begun) / 20
        rates.append(1 / exact)
        ratios.append(counted / exact)
    print(f"{options.space}: {statistics.median(rates):,.0f} architectures/s (median of {options.repeats} x {options.count})")
    print(f"counting on modules takes {statistics.median(ratios):.0f} times as long; both gave the same numbers")


if __name__ == "__main__":
    main()
