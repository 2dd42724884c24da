"""Metrics of classification: functions of `(logits, labels)`, both numpy arrays `(N, classes)` and `(N,)`. Knows no torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from nas.errors import EvaluationError, UnknownNameError
from nas.userfile import BrokenFile, run_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

Metric = Callable[["NDArray[np.float32]", "NDArray[np.int64]"], float]
"""Takes logits `(N, classes)` and labels `(N,)`, returns one finite number; larger is better."""


def accuracy(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Returns the share of images whose largest logit is that of their class."""
    return float(np.mean(logits.argmax(axis=1) == labels))


def confusion(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns the counts `(classes, classes)`: row is the true class, column the predicted one."""
    classes = logits.shape[1]
    return np.bincount(labels * classes + logits.argmax(axis=1), minlength=classes * classes).reshape(classes, classes)


def balanced_accuracy(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Returns the mean over classes of the share labelled rightly; classes without an image are left out."""
    counts = confusion(logits, labels)
    per_class = counts.sum(axis=1)
    return float(np.mean(np.diag(counts)[per_class > 0] / per_class[per_class > 0]))


def macro_f1(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Returns the mean over classes of `2 TP / (2 TP + FP + FN)`; classes neither present nor predicted are left out."""
    counts = confusion(logits, labels)
    mentioned = counts.sum(axis=0) + counts.sum(axis=1)  # 2 TP + FP + FN
    return float(np.mean(2 * np.diag(counts)[mentioned > 0] / mentioned[mentioned > 0]))


METRICS: Mapping[str, Metric] = {"accuracy": accuracy, "balanced_accuracy": balanced_accuracy, "macro_f1": macro_f1}
"""The metrics that need no code of the user's."""


def metric_name(metric: str) -> str:
    """Returns the column a metric is recorded in: `val_accuracy` for `accuracy`, `val_f` for `FILE.py:f`."""
    return f"val_{metric.rpartition(':')[2]}"


def load_metric(metric: str) -> Metric:
    """Returns the function behind a name of `METRICS` or behind `FILE.py:function`, whose file is executed.

    Raises:
        UnknownNameError: When the name is not known, or the file defines no such function.
        EvaluationError: When the file is missing or cannot be executed.
    """
    if metric in METRICS:
        return METRICS[metric]
    file, colon, function = metric.rpartition(":")
    if not colon:
        raise UnknownNameError("metric", metric, METRICS)
    names = vars(_module(Path(file)))
    found = names.get(function)
    if not callable(found):
        known = [name for name, value in names.items() if callable(value) and not name.startswith("_")]
        raise UnknownNameError(f"function of {file}", function, known)

    def measured(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
        value = float(found(logits, labels))
        if not math.isfinite(value):
            raise EvaluationError(f"metric {metric!r} returned {value!r}, expected a finite number")
        return value

    return measured


def measure(metrics: Sequence[str], logits: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, float]:
    """Returns `val_NAME` for each metric; logits `(N, classes)`, labels `(N,)`."""
    return {metric_name(metric): load_metric(metric)(logits, labels) for metric in metrics}


def _module(path: Path) -> ModuleType:
    """Runs a user's file.

    Raises:
        EvaluationError: When it is missing or fails.
    """
    try:
        return run_file(path)
    except OSError:
        raise EvaluationError(f"metric file {str(path)!r} is not there; expected a Python file, written FILE.py:function") from None
    except BrokenFile as broken:
        raise EvaluationError(f"metric file {str(path)!r}{broken.place} cannot be run: {broken.said}") from broken.__cause__
