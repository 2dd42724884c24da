"""What a training step of a generated module costs beside the same network written by hand, in turns in one process.

Both have the same operations: 77,754 parameters, 28 x 28 images, three residual stages. Target: a ratio of at most 1.03.

    python benchmarks/training_step.py [--rounds 60] [--batch 128] [--precision bf16]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas import Space
from nas.blocks import Classifier, Conv, Pool, Residual, Sequential
from nas.images import layout, moved
from nas.module import compile_source
from nas.source import write_source

SPACE = Space(
    input_shape=(1, 28, 28),
    classes=10,
    border="floor",
    body=Sequential(
        Conv(channels=16, kernel=3),
        Residual(channels=16),
        Pool(kind="max", kernel=2),
        Residual(channels=32),
        Pool(kind="max", kernel=2),
        Residual(channels=64),
        Classifier(),
    ),
)


class HandResidual(nn.Module):
    """Two normalised convolutions and a shortcut, as anybody writes them."""

    def __init__(self, before: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.shortcut: nn.Module = nn.Identity()
        if before != channels:
            self.shortcut = nn.Sequential(nn.Conv2d(before, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class HandWritten(nn.Module):
    """The network that `SPACE` describes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.stages = nn.ModuleList([HandResidual(16, 16), HandResidual(16, 32), HandResidual(32, 64)])
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.stem(x)))
        for number, stage in enumerate(self.stages):
            x = stage(x if number == 0 else F.max_pool2d(x, 2))
        out: Tensor = self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return out


def stepper(module: nn.Module, batch: int, bf16: bool) -> Callable[[], float]:
    """Returns a function that does one training step and returns the seconds it took."""
    torch.manual_seed(0)
    place, precision = torch.device("cpu"), "bf16" if bf16 else "fp32"
    moved(module, place, precision)
    x = torch.empty(batch, 1, 28, 28, memory_format=layout(place, precision)).copy_(torch.randn(batch, 1, 28, 28))
    y = torch.randint(0, 10, (batch,))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9, nesterov=True, fused=True)

    def step() -> float:
        begin = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = module(x)
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(logits.float(), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return time.perf_counter() - begin

    return step


def main() -> None:
    """Prints the median step of each and the median of the ratios of neighbouring steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    options = parser.parse_args()
    torch.set_num_threads(1)
    generated = compile_source(write_source(SPACE.decode({}).graph))
    by_hand = HandWritten()
    sizes = [sum(p.numel() for p in module.parameters()) for module in (generated, by_hand)]
    assert sizes[0] == sizes[1], f"not the same network: {sizes[0]} and {sizes[1]} parameters"
    steps = [stepper(module, options.batch, options.precision == "bf16") for module in (generated, by_hand)]
    for step in steps * 5:
        step()
    rounds: list[tuple[float, float]] = []
    for number in range(options.rounds):  # who goes first changes, so that nothing favours one of them
        first, second = (0, 1) if number % 2 == 0 else (1, 0)
        taken = {first: steps[first](), second: steps[second]()}
        rounds.append((taken[0], taken[1]))
    medians = [statistics.median(r[i] for r in rounds) * 1e3 for i in (0, 1)]
    ratio = statistics.median(a / b for a, b in rounds)
    print(f"{sizes[0]} parameters, {options.precision}, batch {options.batch}, one thread, {options.rounds} rounds")
    print(f"generated {medians[0]:7.2f} ms   by hand {medians[1]:7.2f} ms   ratio {ratio:.3f} (target at most 1.03)")


if __name__ == "__main__":
    main()
