"""What a skilled user writes today: Optuna and a PyTorch loop, on the space, the data and the recipe of `nas search fashion_small`.

It knows nothing of this package but the embedded images. Networks are made while Optuna asks for their parameters; two objectives,
validation accuracy and parameters, with Optuna's own default sampler for several objectives (NSGA-II) or another one; networks over
the limits are told to Optuna as infeasible without training. Images lie in memory as one tensor, normalised once; batches are drawn
by index, since a DataLoader is slower; one process a core, one thread each, which share a study in a journal file.

    python benchmarks/optuna_script.py --seconds 1800 --seed 0 --out rows.csv [--sampler tpe]
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import tempfile
import time
from pathlib import Path

import numpy as np
import optuna
import torch
import torch.nn.functional as F
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from torch import Tensor, nn


def conv(before: int, after: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(after), nn.ReLU())


class Residual(nn.Module):
    def __init__(self, before: int, after: int, bottleneck: bool) -> None:
        super().__init__()
        narrow = after // 4
        parts = [conv(before, narrow, 1), conv(narrow, narrow, 3)] if bottleneck else [conv(before, after, 3)]
        last = nn.Conv2d(narrow, after, 1, bias=False) if bottleneck else nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.body = nn.Sequential(*parts, last, nn.BatchNorm2d(after))
        self.shortcut = (
            nn.Identity() if before == after else nn.Sequential(nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after))
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class Inception(nn.Module):
    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        one, three, five = width // 4, width - width // 4 - 2 * (width // 8), width // 8
        reduce3, reduce5 = width * 3 // 8, width // 16
        self.branches = nn.ModuleList(
            [
                conv(before, one, 1),
                nn.Sequential(conv(before, reduce3, 1), conv(reduce3, three, 3)),
                nn.Sequential(conv(before, reduce5, 1), conv(reduce5, five, 5)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(before, width // 8, 1)),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def network(trial: optuna.Trial) -> nn.Sequential:
    """The space `fashion_small`, define by run."""
    width = trial.suggest_categorical("stem", [8, 16, 32])
    parts: list[nn.Module] = [conv(1, width, 3)]
    for stage in range(trial.suggest_int("stages", 2, 4)):
        for block in range(trial.suggest_int(f"blocks{stage}", 1, 3)):
            name, before = f"{stage}.{block}", width
            kind = trial.suggest_categorical(f"{name}.kind", ["conv", "residual", "inception"])
            width = trial.suggest_categorical(f"{name}.width", [16, 32, 64])
            if kind == "conv":
                parts.append(conv(before, width, trial.suggest_categorical(f"{name}.kernel", [3, 5])))
            elif kind == "residual":
                parts.append(Residual(before, width, trial.suggest_categorical(f"{name}.bottleneck", [False, True])))
            else:
                parts.append(Inception(before, width))
        pool = trial.suggest_categorical(f"pool{stage}", ["max", "avg"])
        parts.append(nn.MaxPool2d(2) if pool == "max" else nn.AvgPool2d(2))
    dropout = trial.suggest_categorical("dropout", [0.0, 0.2])
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(width, 10))


def train(module: nn.Module, data: dict[str, tuple[Tensor, Tensor]], epochs: int, batch: int = 64, lr: float = 0.1) -> float:
    """As the recipe says: SGD with Nesterov momentum, one cycle, label smoothing. Returns validation accuracy."""
    x, y = data["train"]
    decayed = [p for p in module.parameters() if p.ndim > 1]
    others = [p for p in module.parameters() if p.ndim < 2]
    optimizer = torch.optim.SGD(
        [{"params": decayed, "weight_decay": 5e-4}, {"params": others, "weight_decay": 0.0}], lr, momentum=0.9, nesterov=True
    )
    steps = len(x) // batch
    total, peak = epochs * steps, 0.25 * epochs * steps

    def rate(step: int) -> float:
        return 0.1 + 0.9 * step / peak if step < peak else (total - step) / (total - peak)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    module.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(x))[: steps * batch].split(batch):
            optimizer.zero_grad()
            F.cross_entropy(module(x[chosen]), y[chosen], label_smoothing=0.1).backward()
            optimizer.step()
            schedule.step()
    module.eval()
    x, y = data["val"]
    with torch.inference_mode():
        right = sum([(module(a).argmax(1) == b).sum().item() for a, b in zip(x.split(512), y.split(512), strict=True)])
    return right / len(y)


def images(name: str) -> dict[str, tuple[Tensor, Tensor]]:
    """The images of a data set of `nas`, normalised, so that both searches see the same."""
    from nas.data import load_data

    found = load_data(name)
    return {
        split: (
            (torch.from_numpy(np.array(found.images(split))).float() / 255 - found.mean[0]) / found.std[0],
            torch.from_numpy(np.array(found.labels(split))),
        )
        for split in ("train", "val")
    }


def work(journal: str, number: int, args: argparse.Namespace, begun: float) -> None:
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seed = args.seed * 1000 + number
    sampler = {"nsga2": optuna.samplers.NSGAIISampler, "tpe": optuna.samplers.TPESampler}[args.sampler](seed=seed)
    study = optuna.load_study(study_name="search", storage=JournalStorage(JournalFileBackend(journal)), sampler=sampler)
    data = images(args.data)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        torch.manual_seed(seed * 100_000 + trial.number)
        module = network(trial)
        params = sum([p.numel() for p in module.parameters()])
        trial.set_constraint("params", params - args.params)
        if params > args.params:
            return 0.0, float(params)
        accuracy = train(module, data, args.epochs)
        trial.set_user_attr("seconds", time.time() - begun)
        return accuracy, float(params)

    while time.time() - begun < args.seconds:
        study.optimize(objective, n_trials=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sampler", choices=["nsga2", "tpe"], default="nsga2")
    parser.add_argument("--data", default="fashion-mnist-12k")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--params", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    begun = time.time()
    with tempfile.TemporaryDirectory() as folder:
        journal = str(Path(folder) / "journal.log")
        study = optuna.create_study(
            study_name="search", directions=["maximize", "minimize"], storage=JournalStorage(JournalFileBackend(journal))
        )
        context = multiprocessing.get_context("spawn")
        processes = [context.Process(target=work, args=(journal, n, args, begun)) for n in range(args.processes)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        trials = [trial for trial in study.get_trials() if "seconds" in trial.user_attrs]
    with args.out.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["seconds", "val_accuracy", "params"])
        writer.writerows([[trial.user_attrs["seconds"], *trial.values] for trial in trials])
    print(f"{len(trials)} networks trained in {time.time() - begun:.0f} s, written to {args.out}")


if __name__ == "__main__":
    main()
