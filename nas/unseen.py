"""Measures a finished network on the test images: the only place of the package that reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from nas.intervals import wilson
from nas.metrics import measure
from nas.recipe import Recipe, Task
from nas.train import evaluate_split

if TYPE_CHECKING:
    from nas.data import Dataset


def measure_test(module: nn.Module, dataset: Dataset, recipe: Recipe, task: Task, *, device: str = "cpu") -> dict[str, float]:
    """Returns what a network achieves on the test images, in float32 as its exported source computes.

    Args:
        module: Trained; moved to the device and left in evaluation mode.
        dataset: Holds test images.
        recipe: Says how many images a batch has, and whether mirror images count.
        task: Which metrics are measured.
        device: `cpu`, `cuda` or `mps`.

    Returns:
        One `test_NAME` for each metric of the task, `test_loss`, `test_images`, and for the accuracy its 95 % interval (Wilson
        1927) `test_accuracy_low` and `test_accuracy_high`.
    """
    logits = evaluate_split(module, dataset, "test", recipe, device=device, precision="fp32")
    labels = np.array(dataset.labels("test"))
    found = {f"test_{name.removeprefix('val_')}": value for name, value in measure(task.metrics, logits, labels).items()}
    found["test_loss"] = F.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels)).item()
    found["test_images"] = len(labels)
    if "test_accuracy" in found:
        found["test_accuracy_low"], found["test_accuracy_high"] = wilson(found["test_accuracy"], len(labels))
    return found
