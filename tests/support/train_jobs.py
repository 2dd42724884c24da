"""A job of training, with plain values for all that a test does not care about."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import Any

from nas.data import Dataset
from nas.executors.base import TrainJob
from nas.recipe import Recipe


def train_job(source: str, data: Dataset | str, epochs: int = 1, recipe: Recipe | None = None, **fields: Any) -> TrainJob:
    """Returns a job that trains a network, in fp32, from its beginning to its end.

    Args:
        source: Its Python text, indented as a test's is.
        data: Images, or their folder.
        epochs: The total.
        recipe: None: batches of 8 images, none of them moved.
        fields: Others of the job.
    """
    values: dict[str, Any] = {
        "task": {"name": "classification", "metrics": ["accuracy"]},
        "first_epoch": 0,
        "last_epoch": epochs,
        "seed": 0,
        "device": "cpu",
        "precision": "fp32",
        **fields,
    }
    folder = data if isinstance(data, str) else str(data.folder)
    trained = recipe or Recipe(batch_size=8, shift=0)
    return TrainJob(source=textwrap.dedent(source), recipe=asdict(trained), data=folder, epochs=epochs, **values)
