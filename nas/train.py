"""Brief training, on one page. Knows no process, no search and never the test images unless it is asked for them by name.

The data stays on the device as bytes; batches are gathered, augmented and normalised there.
How quick that is beside loops that people write, `benchmarks/images_per_second.py` tells.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from nas.augment import augmented, colour_axes, cut_out, mix_shares, mixed, recoloured
from nas.averaging import Average
from nas.checkpoint import load_checkpoint, read_weights, save_checkpoint
from nas.device import algorithms
from nas.errors import EvaluationError, RecipeError
from nas.images import layout, moved, normaliser, placed, resized
from nas.measurement import Measurement, Outcome
from nas.metrics import accuracy, measure
from nas.readahead import read_ahead
from nas.recipe import Recipe, Task, batches
from nas.resolutions import sides_at
from nas.step import Step

if TYPE_CHECKING:
    from nas.data import Dataset


def train(
    module: nn.Module,
    dataset: Dataset,
    recipe: Recipe,
    *,
    epochs: int,
    first_epoch: int = 0,
    last_epoch: int | None = None,
    cycles: Sequence[int] = (),
    resolutions: Sequence[int] = (),
    seed: int = 0,
    task: Task | None = None,
    device: str = "cpu",
    precision: str = "fp32",
    on_epoch: Callable[[Mapping[str, float]], None] | None = None,
    resume_from: Path | None = None,
    checkpoint: Path | None = None,
    slices: int = 1,
    scored: Callable[[], Mapping[str, Tensor]] | None = None,
) -> Measurement:
    """Trains a network on the training images and measures it on the validation images after each epoch.

    Segments add up: epochs 0 to 1 and then 1 to 3 from the checkpoint give what epochs 0 to 3 give, bit for bit on a CPU.

    Args:
        module: Takes float images `(N, C, H, W)`, returns logits `(N, classes)`; trained in place. Where the recipe averages
            weights, it holds the averaged ones in the end.
        dataset: Images, labels, statistics.
        recipe: Closed.
        epochs: The total that the learning rate schedule is laid out for.
        first_epoch: Epochs trained before, as `resume_from` holds them.
        last_epoch: Where this segment ends (excluded); None: at `epochs`.
        cycles: Epochs before `epochs`, rising, at which the learning rate is back at 0 and a cycle of its own begins, so that what
            stops there has been trained to its end (warm restarts, Loshchilov and Hutter 2017, "SGDR"); none: one cycle.
        resolutions: Pixels along the longer side of the images while each cycle lasts, in training and validation (see
            `nas.resolutions`); none: as they are.
        seed: Of the order of images, their augmentation and dropout; the weights are the caller's.
        task: Says which metrics are measured.
        device: `cpu`, `cuda` or `mps`.
        precision: `fp32`; `bf16`, which is autocast; or `deterministic`, fp32 by algorithms that give the same bits each time.
        on_epoch: Called with each entry of the curve: `epoch` (1 is the first), `train_loss` and `train_accuracy` (means over the
            batches as the network saw them, augmented and while it changed), `val_loss`, `val_accuracy`, `lr` (of the last
            step), `seconds`.
        resume_from: Checkpoint to go on from.
        checkpoint: Where to write weights and momentum at the end.
        slices: Parts that each batch is gone through in, where memory is short of it all at once: the step is that of the whole
            batch, but batch normalisation sees only parts.
        scored: Called after the last epoch; returns scores of the module's channels, which the checkpoint keeps.

    Returns:
        Complete, or diverged where the loss stopped being finite. Its metrics are those after the last epoch: `train_accuracy`,
        `train_loss`, `seconds`, and `images_per_second` while training; where there are validation images (a data set may have
        none, see `nas.data.joined`) `val_accuracy`, `val_loss`, one `val_NAME` for each metric of the task, and `gap` (training
        minus validation accuracy).

    Raises:
        RecipeError: When the recipe is open, or the images are none that it can change as it says.
        EvaluationError: When the checkpoint cannot be read or holds other weights or epochs.
    """
    begin = time.perf_counter()
    last_epoch = epochs if last_epoch is None else last_epoch
    loop = _Loop(module, dataset, recipe, (*cycles, epochs), seed, device, precision, resolutions, slices)
    if resume_from is not None and (held := loop.resume(resume_from)) != first_epoch:
        raise EvaluationError(
            f"checkpoint {str(resume_from)!r} holds {held} epochs, expected {first_epoch}: that of another training"
        )
    val_labels = np.array(dataset.labels("val"))
    curve: list[dict[str, float]] = []
    metrics: dict[str, float] = {}
    training_seconds = 0.0
    for epoch in range(first_epoch, last_epoch):
        epoch_begin = time.perf_counter()
        with algorithms(precision):
            train_loss, train_accuracy, lr = loop.train_epoch(epoch)
        training_seconds += time.perf_counter() - epoch_begin
        if not math.isfinite(train_loss):
            return _diverged(f"the training loss was {train_loss} in epoch {epoch + 1}", curve, epoch, begin)
        measured = {"train_loss": train_loss, "train_accuracy": train_accuracy}
        if len(val_labels):
            sides = loop.sides(epoch)
            logits = evaluate_split(
                loop.evaluated, dataset, "val", recipe, device=device, precision=precision, sides=sides, slices=slices
            )
            measured["val_loss"] = F.cross_entropy(torch.from_numpy(logits), torch.from_numpy(val_labels)).item()
            if not math.isfinite(measured["val_loss"]):
                return _diverged(f"the validation loss was {measured['val_loss']} after epoch {epoch + 1}", curve, epoch, begin)
            measured["val_accuracy"] = accuracy(logits, val_labels)
        curve.append({"epoch": epoch + 1, **measured, "lr": lr, "seconds": time.perf_counter() - epoch_begin})
        if on_epoch is not None:
            on_epoch(curve[-1])
        if epoch == last_epoch - 1:
            metrics = dict(measured)
            if len(val_labels):
                metrics |= measure((task or Task()).metrics, logits, val_labels)
                metrics["gap"] = metrics["train_accuracy"] - metrics["val_accuracy"]
            metrics["images_per_second"] = len(curve) * loop.steps * loop.batch / training_seconds
    live = loop.average.take_over() if loop.average else None
    if not len(val_labels) and not all(torch.isfinite(weights).all() for weights in module.parameters()):
        return _diverged(f"weights were no finite numbers after epoch {last_epoch}", curve, last_epoch, begin)
    with algorithms(precision):
        scores = scored() if scored is not None else {}
    if checkpoint is not None:
        save_checkpoint(checkpoint, module, loop.step.optimizer, epochs=last_epoch, scores=scores, live=live)
    metrics["seconds"] = time.perf_counter() - begin
    return Measurement(Outcome.COMPLETE, metrics, tuple(curve), last_epoch, metrics["seconds"])


class _Loop:
    """The network, the training images on the device, and the optimiser."""

    def __init__(
        self,
        module: nn.Module,
        dataset: Dataset,
        recipe: Recipe,
        ends: Sequence[int],
        seed: int,
        device: str,
        precision: str,
        resolutions: Sequence[int],
        slices: int,
    ) -> None:
        if recipe.open_fields():
            raise RecipeError(f"recipe is open in {', '.join(recipe.open_fields())}; expected a closed one")
        recipe.check_images(dataset.input_shape[0])
        self.place = torch.device(device)
        self.module = moved(module, self.place, precision)
        self.recipe, self.ends, self.seed = recipe, ends, seed
        self.stored = dataset.images("train")  # the very mapping that is trained on: the system is told how it is read
        self.images, self.labels = placed(self.stored, self.place), placed(dataset.labels("train"), self.place)
        shape = dataset.input_shape
        self._sides = [sides_at(shape, resolution) for resolution in resolutions or [max(shape[1:])] * len(ends)]
        self.normalise = normaliser(dataset, self.place, layout(self.place, precision))
        self.flip_allowed, self.centred = dataset.flip, dataset.centred
        weight = _class_weights(self.labels, len(dataset.class_names)) if recipe.class_weights == "balanced" else None
        self.step = Step(module, recipe, self.place, bf16=precision == "bf16", slices=slices, weight=weight)
        self.steps, self.batch = batches(len(self.images), recipe.batch_size)
        self.average = Average(module, recipe.average) if recipe.average else None
        self.axes = colour_axes(dataset.images("train"), dataset.std).to(self.place) if recipe.pca_color else None

    @property
    def evaluated(self) -> nn.Module:
        """The network that is measured: the average where there is one."""
        return self.average.module if self.average else self.module

    def sides(self, epoch: int) -> tuple[int, int]:
        """Height and width of the images in an epoch: those of its cycle."""
        return next(sides for end, sides in zip(self.ends, self._sides, strict=True) if end > epoch)

    def resume(self, checkpoint: Path) -> int:
        """Goes on from a checkpoint of this recipe; returns how many epochs had been trained."""
        epochs = load_checkpoint(checkpoint, self.module, self.step.optimizer)
        if self.average:
            self.average.module.load_state_dict(read_weights(checkpoint))
        return epochs

    def train_epoch(self, epoch: int) -> tuple[float, float, float]:
        """Returns the mean loss, the share labelled rightly and the last learning rate; a loss that is not finite ends it."""
        recipe, generator = self.recipe, _seeded(self.seed, epoch, self.place)
        begin, end = max((e for e in self.ends if e <= epoch), default=0), min(e for e in self.ends if e > epoch)  # of the cycle
        shift, flip = recipe.augmentation(end, self.flip_allowed, self.centred)
        shares = mix_shares(recipe.mixup, self.steps, self.seed, epoch).to(self.place) if recipe.mixup else None
        loss_sum, right = torch.zeros((), device=self.place), torch.zeros((), device=self.place)
        self.module.train()
        for step, chosen in enumerate(self._drawn(generator)):
            lr = one_cycle((epoch - begin) * self.steps + step, (end - begin) * self.steps, recipe.lr, recipe.warmup)
            self.step.rate(lr)
            x, y = self._seen(augmented(self.images, chosen, shift, flip, generator), epoch, generator), self.labels[chosen]
            if shares is None:
                loss, labelled = self.step(x, y)
            else:
                x, others = mixed(x, shares[step], generator)
                loss, labelled = self.step(x, y, y[others], shares[step])
            if self.average:
                self.average.update(epoch * self.steps + step)
            loss_sum += loss  # read once an epoch: reading waits for the device
            right += labelled
            if self.place.type == "cpu" and not math.isfinite(loss.item()):
                break
        return loss_sum.item() / self.steps, right.item() / (self.steps * self.batch), lr

    def _drawn(self, generator: torch.Generator) -> Iterable[Tensor]:
        """Returns the indices of the images of each batch `(B,)`; the last images may be left out."""
        order = torch.randperm(len(self.images), generator=generator, device=self.place)
        drawn = torch.split(order[: self.steps * self.batch], self.batch)
        return read_ahead(self.stored, drawn) if self.place.type == "cpu" else drawn

    def _seen(self, batch: Tensor, epoch: int, generator: torch.Generator) -> Tensor:
        """Returns gathered images `(B, C, H, W)` as floats of the epoch's size, with what the recipe changes in their values."""
        x = self.normalise(batch)
        if self.axes is not None:
            x = recoloured(x, self.axes, self.recipe.pca_color, generator)
        return resized(cut_out(x, self.recipe.cutout, generator) if self.recipe.cutout else x, self.sides(epoch))


@torch.inference_mode()
def evaluate_split(
    module: nn.Module,
    dataset: Dataset,
    split: str,
    recipe: Recipe,
    *,
    device: str = "cpu",
    precision: str = "fp32",
    sides: tuple[int, int] | None = None,
    slices: int = 1,
) -> NDArray[np.float32]:
    """Returns the logits `(N, classes)` of one split in its order, averaged over the mirror images where the recipe says so.

    Args:
        module: Takes float images `(N, C, H, W)`; moved to the device and left in evaluation mode.
        dataset: Images and their statistics.
        split: "train", "val" or "test".
        recipe: Says how many images a batch has at least, and whether mirror images count.
        device: `cpu`, `cuda` or `mps`.
        precision: As in `train`.
        sides: Height and width that the images are given; None: their own.
        slices: As in `train`: parts of a batch, where memory is short of it all at once.
    """
    place = torch.device(device)
    moved(module, place, precision).eval()
    images = placed(dataset.images(split), place)
    normalise = normaliser(dataset, place, layout(place, precision))
    mirror = recipe.mirrors(dataset.flip)
    found = []
    pixels = images.shape[2] * images.shape[3]
    size = -(-recipe.batch_size // slices)
    if place.type != "cpu" and slices == 1:
        size = max(size, EVALUATED_PIXELS // pixels)
    with algorithms(precision), torch.autocast(place.type, torch.bfloat16, enabled=precision == "bf16"):
        for batch in torch.split(images, size):
            x = normalise(batch) if sides is None else resized(normalise(batch), sides)
            logits = module(x).float()
            found.append((logits + module(x.flip(3)).float()) / 2 if mirror else logits)
    return torch.cat(found).cpu().numpy()


EVALUATED_PIXELS = 2**20
"""Pixels of an image times images of a batch at evaluation on an accelerator, at least. A CPU takes training's batches: larger
ones leave the caches."""


def one_cycle(step: int, steps: int, lr: float, warmup: float) -> float:
    """Returns the learning rate of a step: up from `lr / 10` in the share `warmup` of all steps, then down to 0 at the end.

    Args:
        step: From 0 to `steps` - 1.
        steps: Of the whole cycle, over all its segments.
        lr: The peak.
        warmup: Share of the steps before the peak.
    """
    peak = warmup * steps
    if step < peak:
        return lr * (0.1 + 0.9 * step / peak)
    return lr * (steps - step) / (steps - peak)


def _class_weights(labels: Tensor, classes: int) -> Tensor:
    """Weights `(classes,)` such that every class present weighs the same in sum and the mean over images is 1."""
    counts = torch.bincount(labels, minlength=classes).float()
    return torch.where(counts > 0, len(labels) / ((counts > 0).sum() * counts.clamp(min=1)), 0.0)


def _seeded(seed: int, epoch: int, place: torch.device) -> torch.Generator:
    """A generator that depends on seed and epoch alone, so that a segment needs no random state from the one before."""
    own, dropout = map(int, np.random.SeedSequence([seed, epoch]).generate_state(2))
    torch.manual_seed(dropout)  # it draws from the global generator
    return torch.Generator(place).manual_seed(own)


def _diverged(error: str, curve: list[dict[str, float]], epochs: int, begin: float) -> Measurement:
    return Measurement(Outcome.DIVERGED, {}, tuple(curve), epochs, time.perf_counter() - begin, error)
