"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter, validators

from nas.errors import RunError, SpaceError
from nas.pairs import read_pairs

Json = Annotated[bool, Parameter(name="--json", help="Print JSON alone on standard output.")]
Constraints = Annotated[
    list[str] | None,
    Parameter(
        name="--constraint", help="Bound on an exact cost, such as params<=100k; may stand several times.", consume_multiple=False
    ),
]
Device = Annotated[str, Parameter(help="auto (CUDA where it is, else CPU), cpu, cuda or mps.")]
Classes = Annotated[int | None, Parameter(validator=validators.Number(gte=2))]
Workers = Annotated[int | None, Parameter(help="Trainings at a time; one a core when left out.", show_default=False)]


@Parameter(name="*")
@dataclass(frozen=True)
class DataOptions:
    """How images are read; the same names as in `nas.data.load_data`.

    Attributes:
        data_dir: Folder in which the files of fashion-mnist lie.
        image_size: Pixels, 64 or 48x64 (height x width); as they are when left out.
        color: rgb or grey; as the images are when left out.
        resize: How photos of another shape are fitted: crop, pad or stretch.
        val_share: Share of the training images to validate on, where the data bring none; 0.2 when left out.
        test_share: Share of all images to set aside for the final test, where the data bring none; 0.2 when left out.
        split_seed: Of these cuts.
        skip_unreadable: Leave out image files that cannot be read instead of refusing them.
    """

    data_dir: Path | None = None
    image_size: str | None = None
    color: Literal["rgb", "grey"] | None = None
    resize: Literal["crop", "pad", "stretch"] = "crop"
    val_share: float | None = None
    test_share: float | None = None
    split_seed: int = 0
    skip_unreadable: bool = False

    def given(self) -> dict[str, Any]:
        """Returns the arguments of `load_data` that differ from its defaults."""
        options: dict[str, Any] = {
            "data_dir": str(self.data_dir) if self.data_dir else None,
            "image_size": image_size(self.image_size) if self.image_size else None,
            "color": self.color,
            "resize": None if self.resize == "crop" else self.resize,
            "val_share": self.val_share,
            "test_share": self.test_share,
            "seed": self.split_seed or None,
            "skip_unreadable": self.skip_unreadable or None,
        }
        return {name: value for name, value in options.items() if value is not None}


@Parameter(name="*")
@dataclass(frozen=True)
class EvaluationOptions:
    """How networks are evaluated; the same names as in `nas.search`.

    Attributes:
        data: Name of a data set (nas list data), folder of images, .csv, .npz or FILE.py:function.
        epochs: Epochs of each brief training; rising ones such as 1,3,9: all train for 1, the best third of them on to 3, the best
            third of these to 9.
        resolutions: Pixels along the images' longer side, one number for each of rising epochs, such as 14,20,28; as they are when
            left out.
        recipe: FILE.py with `recipe = Recipe(...)`, or FILE.py:NAME; the space's own or the default when left out.
        class_weights: Weigh the loss by the inverse frequency of the classes; as the recipe says when left out.
        metric: A measure of your own, FILE.py:f of (logits, labels), recorded as val_f (objective val_f:max); may repeat.
        device: auto (CUDA where it is, else CPU), cpu, cuda or mps.
        deterministic: Train in fp32 by deterministic algorithms, one network at a time: with --evaluations, the same rows again on
            the same machine.
        deadline: Time after which one training is ended as timed out; none: never.
        evaluator: FILE.py:f instead of training: f(architecture) returns a dict of metrics.
        input: Channels x height x width of the images, such as 3x32x32, where no data are given and the space leaves that open.
        classes: How many classes there are, likewise.
        cost: An exact cost of your own, NAME=FILE.py:f; f(graph) returns a number. May stand several times.
    """

    data: str | None = None
    epochs: str = "3"
    resolutions: str | None = None
    recipe: str | None = None
    class_weights: Literal["none", "balanced"] | None = None
    metric: Annotated[list[str] | None, Parameter(name="--metric", consume_multiple=False)] = None
    device: Device = "auto"
    deterministic: bool = False
    deadline: str = "1h"
    evaluator: str | None = None
    input: str | None = None
    classes: Classes = None
    cost: Annotated[list[str] | None, Parameter(name="--cost", consume_multiple=False)] = None

    def arguments(self) -> dict[str, Any]:
        """Returns the arguments of `nas.search` for them.

        Raises:
            NasError: When one cannot be read.
        """
        from nas.budget import duration
        from nas.recipe import TASK_METRICS, Task

        return {
            "data": self.data,
            "epochs": rungs(self.epochs),
            "resolutions": pixels(self.resolutions),
            "recipe": self.recipe,
            "recipe_options": {"class_weights": self.class_weights} if self.class_weights else None,
            "task": Task(metrics=(*TASK_METRICS, *self.metric)) if self.metric else None,
            "device": self.device,
            "deterministic": self.deterministic,
            "deadline": None if self.deadline == "none" else duration(self.deadline, "deadline"),
            "evaluator": self.evaluator,
            "input_shape": input_shape(self.input),
            "classes": self.classes,
            "costs": read_pairs(self.cost or (), "--cost") or None,
        }


def changed(options: EvaluationOptions | DataOptions) -> list[str]:
    """Returns the options that are not at their defaults, as they are written."""
    return [f"--{f.name.replace('_', '-')}" for f in fields(options) if getattr(options, f.name) != f.default]


def pixels(text: str | None) -> list[int]:
    """Reads "14,20,28"; nothing where nothing is said.

    Raises:
        RunError: When it is none.
    """
    parts = [part.strip() for part in (text or "").split(",")] if text is not None else []
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise RunError(f"resolutions is {text!r}, expected pixels, one number an epoch of --epochs, such as 14,20,28")
    return [int(part) for part in parts]


def rungs(text: str) -> int | list[int]:
    """Reads "3", or rising epochs "1,3,9".

    Raises:
        RunError: When it is neither.
    """
    from nas.schedule import checked_rungs

    parts = [int(part) if part.isascii() and part.isdigit() else 0 for part in map(str.strip, text.split(","))]
    try:
        found = checked_rungs(parts)
    except RunError:
        fix = "expected a whole number of at least 1, or rising ones such as 1,3,9"
        raise RunError(f"--epochs {text!r} cannot be used; {fix}") from None
    return found[0] if len(found) == 1 else list(found)


def image_size(text: str) -> int | tuple[int, int]:
    """Reads "64" or "48x64" (height x width)."""
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    if match is None:
        raise SpaceError(f"image size {text!r} cannot be read; expected pixels such as 64, or height x width such as 48x64")
    return (int(match[1]), int(match[2])) if match[2] else int(match[1])


def input_shape(text: str | None) -> tuple[int, int, int] | None:
    """Reads "3x32x32" (channels x height x width)."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,9})x(\d{1,9})x(\d{1,9})", text.replace(" ", "").lower(), re.ASCII)
    shape = (int(match[1]), int(match[2]), int(match[3])) if match else (0, 0, 0)
    if not all(1 <= size <= 2**16 for size in shape):
        raise SpaceError(
            f"--input {text!r} cannot be used; expected channels x height x width, each from 1 to {2**16}, such as 3x32x32"
        )
    return shape


def names(text: str) -> list[str]:
    """Reads "val_accuracy,params"."""
    return [name.strip() for name in text.split(",") if name.strip()]


def print_json(value: Any) -> None:
    """Prints plain values as JSON; numbers JSON has no word for (NaN, infinity) become null."""
    print(json.dumps(_plain(value), indent=2, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return str(value) if isinstance(value, Path) else value


def table_rows(frame: Any) -> list[dict[str, Any]]:
    """Returns a DataFrame as plain rows."""
    return [{name: (v.item() if hasattr(v, "item") else v) for name, v in row.items()} for row in frame.to_dict("records")]
