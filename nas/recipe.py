"""The training recipe and the task, as frozen values: they are part of the key under which a result is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Literal

from nas.domains import Choice, Domain, Value
from nas.errors import RecipeError, brief
from nas.metrics import metric_name

_Rule = tuple[Callable[[object], bool], str]
"""What holds of a value, and how that is said."""


def _number(low: float, high: float) -> _Rule:
    return lambda value: type(value) in (int, float) and low <= value <= high, f"a number from {low:g} to {high:g}"


def _whole(low: int, high: int, what: str = "") -> _Rule:
    return lambda value: type(value) is int and low <= value <= high, f"a whole number{what} from {low:,} to {high:,}"


def _one_of(*values: Value) -> _Rule:
    return Choice(values).holds, f"{', '.join(map(repr, values[:-1]))} or {values[-1]!r}"


def _or_none(rule: _Rule) -> _Rule:
    return lambda value: value is None or rule[0](value), f"{rule[1]}, or None"


_FIELDS: Mapping[str, _Rule] = {
    "batch_size": _whole(1, 2**20),
    "lr": _number(1e-9, 1e3),
    "warmup": _number(0, 1),
    "momentum": _number(0, 0.9999),
    "weight_decay": _number(0, 1),
    "label_smoothing": _number(0, 0.99),
    "shift": _or_none(_whole(0, 2**10, " of pixels")),
    "flip": _one_of(None, True, False),
    "cutout": _whole(0, 2**10, " of pixels"),
    "pca_color": _number(0, 10),
    "mixup": _number(0, 100),
    "class_weights": _one_of("none", "balanced"),
    "grad_clip": _number(0, 1e9),
    "flip_average": _one_of(True, False),
    "average": _number(0, 0.99999),
}
"""What each field may hold; an open field is checked by the values it may come to hold."""

_LATER = {"later": True}
"""Metadata of fields that the first version had not: at their defaults they are no part of the key of a result."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. Any field may be left open (`lr=real(0.01, 0.5, log=True)`): then the search closes it.

    The defaults are made for brief training. Augmentation slows learning at first, so shifts and flips that are not asked for
    begin with trainings of `LONG` epochs.

    Attributes:
        batch_size: Images a step.
        lr: Peak learning rate of the one-cycle schedule (Smith and Topin 2018, "Super-Convergence").
        warmup: Share of all steps in which the rate rises from lr / 10 to lr; after it falls linearly to 0.
        momentum: Nesterov momentum of SGD.
        weight_decay: L2 penalty on weights of two or more dimensions (biases and normalisation are left out).
        label_smoothing: Share of the target spread evenly over all classes (Szegedy et al. 2016, section 7).
        shift: Largest shift in pixels, both directions, reflected at the edges; 0 switches it off; None: 2 in long trainings, but
            0 on data that are centred (the built-in sets), which lose more than a point by it.
        flip: Mirror half of the images left to right; None: in long trainings on data that allow it (the built-in sets).
        cutout: Side in pixels of a square of each image that is set to the mean (DeVries and Taylor 2017); 0 switches it off.
        pca_color: Deviation of the random multiples of the principal components of colour added to each image (Krizhevsky et al.
            2012, section 4.1: 0.1); 0 switches it off. For images of three channels only.
        mixup: Mix each image and its label with another one of its batch, in shares drawn from Beta(mixup, mixup) (Zhang et al.
            2018: 0.1 to 0.4, on CIFAR-10 1); 0 switches it off.
        class_weights: Weigh the loss of each image by the inverse frequency of its class ("balanced") or not ("none").
        grad_clip: Largest norm of the gradient; 0 switches clipping off.
        flip_average: At evaluation, average the logits of each image and its mirror image (not where `flip` is False or the
            data do not allow it).
        average: Evaluate and keep an exponential moving average of the weights: the share that stays each step, such as 0.999,
            less in the first steps (Tarvainen and Valpola 2017, section 2); 0 switches it off.
    """

    batch_size: int = 64
    lr: float = 0.1
    warmup: float = 0.25
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    shift: int | None = None
    flip: bool | None = None
    cutout: int = field(default=0, metadata=_LATER)
    pca_color: float = field(default=0.0, metadata=_LATER)
    mixup: float = field(default=0.0, metadata=_LATER)
    class_weights: Literal["none", "balanced"] = "none"
    grad_clip: float = 0.0
    flip_average: bool = False
    average: float = field(default=0.0, metadata=_LATER)

    def __post_init__(self) -> None:
        for name, (allowed, expected) in _FIELDS.items():
            value = getattr(self, name)
            if not all(allowed(one) for one in (value.examples() if isinstance(value, Domain) else (value,))):
                raise RecipeError(f"recipe field {name!r} is {brief(value)}, expected {expected}")

    def open_fields(self) -> tuple[str, ...]:
        """Returns the names of the fields that are still open, in the order of declaration."""
        return tuple(f.name for f in fields(self) if isinstance(getattr(self, f.name), Domain))

    def closed(self) -> Recipe:
        """Returns the recipe with its open fields at their defaults."""
        return replace(self, **{name: getattr(Recipe(), name) for name in self.open_fields()})

    def augmentation(self, epochs: int, flip_allowed: bool, centred: bool) -> tuple[int, bool]:
        """Returns the largest shift in pixels and whether to flip, in a training of so many epochs on such data.

        Args:
            epochs: That it is trained for, up to the end of the cycle.
            flip_allowed: As in `nas.data.Dataset.flip`.
            centred: Likewise.
        """
        long = epochs >= LONG
        shift = (2 if long and not centred else 0) if self.shift is None else self.shift
        return shift, (long and flip_allowed) if self.flip is None else self.flip

    def mirrors(self, flip_allowed: bool) -> bool:
        """Returns whether logits are averaged over mirror images, of data that allow it or not."""
        return self.flip_average and (flip_allowed if self.flip is None else self.flip)

    def check_images(self, channels: int) -> None:
        """Raises RecipeError where images of so many channels cannot be trained on with some value of this recipe."""
        values = self.pca_color.examples() if isinstance(self.pca_color, Domain) else (self.pca_color,)
        if channels != 3 and any(values):
            raise RecipeError(
                f"recipe field 'pca_color' is {brief(self.pca_color)}, but the images have {channels} "
                f"channel{'s' * (channels != 1)}, expected 3 for it; set it to 0"
            )


LONG = 20
"""Epochs from which augmentation is on by default; `benchmarks/recipes.py` tells what it does to shorter ones."""


def strong(recipe: Recipe, epochs: int, images: int) -> Recipe:
    """Returns a closed recipe made fit for a training of so many epochs, at whose end a network is to be as good as it can be.

    From `LONG` epochs on, where shifts and flips begin by themselves, weights are averaged over about the last epoch, and logits
    over mirror images (a network that was not trained on them loses by it); a shorter training keeps the recipe. Cutout and mixup
    are left to those whose networks have parameters to spare. A field that the recipe sets otherwise than the default stays as it
    is: somebody chose it.

    Args:
        recipe: Of brief training.
        epochs: Of the long one.
        images: That it is trained on.
    """
    if epochs < LONG:
        return recipe
    steps, _ = batches(images, recipe.batch_size)
    better = {"flip_average": True, "average": round(min(1 - 1 / steps, 0.9999), 4)}
    default = Recipe()
    return replace(recipe, **{name: value for name, value in better.items() if getattr(recipe, name) == getattr(default, name)})  # type: ignore[arg-type]


def changed_fields(old: Recipe, new: Recipe) -> tuple[str, ...]:
    """Returns "name value" for each field that differs, with its new value."""
    return tuple(f"{f.name} {getattr(new, f.name)}" for f in fields(Recipe) if getattr(old, f.name) != getattr(new, f.name))


LEAST_IMAGES = 4
"""A batch is cut into no smaller parts: batch normalisation learns nothing from one image."""


def slices_of(batch: int, wanted: int) -> int:
    """Returns in how many parts a batch of so many images is gone through, where so many are wanted."""
    return max(1, min(wanted, batch // LEAST_IMAGES))


def batches(images: int, batch_size: int) -> tuple[int, int]:
    """Returns steps an epoch and images a step, all steps alike.

    A ragged last batch may be a single image, too few to normalise, so what does not fill a step is left out of the epoch,
    other images each time. A small data set is cut into smaller batches instead, so that hardly any are.

    Args:
        images: Training images.
        batch_size: Images a step that are asked for.
    """
    steps = max(1, images // batch_size)
    if images < 32 * batch_size and images // (steps + 1) >= max(2, batch_size // 2) and images % batch_size:
        steps += 1
    return steps, min(batch_size, images // steps)


@dataclass(frozen=True)
class Task:
    """What is predicted. Classification is the only task there is; another one is refused by name.

    Attributes:
        name: "classification": one label an image, softmax cross-entropy, logits `(N, classes)`.
        metrics: Measured on the validation images after the last epoch, beside the loss; from `TASK_METRICS`, or a user's
            own `FILE.py:function` of `(logits, labels)`, both numpy arrays `(N, classes)` and `(N,)`, larger is better.
    """

    name: str = "classification"
    metrics: tuple[str, ...] = ("accuracy", "balanced_accuracy", "macro_f1")

    def __post_init__(self) -> None:
        if self.name != "classification":
            raise RecipeError(f"task {self.name!r} is not supported; expected 'classification', the only task there is")
        for metric in self.metrics:
            if metric not in TASK_METRICS and ".py:" not in metric:
                raise RecipeError(f"metric {metric!r} is unknown; expected one of {', '.join(TASK_METRICS)} or FILE.py:function")
        columns = {"val_loss": "the loss"}
        for metric in self.metrics:
            column = metric_name(metric)
            if column in columns:
                both = f"metrics {columns[column]!r} and {metric!r} would both be recorded as {column}"
                raise RecipeError(f"{both}; give one of them another name or leave it out")
            columns[column] = metric


TASK_METRICS = ("accuracy", "balanced_accuracy", "macro_f1")
"""Metrics of classification that need no code of the user's."""
