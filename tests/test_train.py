"""Tests of nas/train.py and nas/checkpoint.py on a few random images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas.checkpoint import load_checkpoint, read_weights, save_checkpoint
from nas.data import Dataset, joined, load_data
from nas.domains import real
from nas.errors import EvaluationError, RecipeError
from nas.measurement import Measurement, Outcome
from nas.recipe import LONG, Recipe, Task, batches
from nas.train import evaluate_split, one_cycle, train

RECIPE = Recipe(batch_size=8, lr=0.05, label_smoothing=0.1, shift=1, flip=True)


class Small(nn.Module):
    def __init__(self, channels: int = 1, classes: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(4, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.drop(self.norm(self.conv(x)).relu().mean((2, 3))))
        return out


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return made(tmp_path)


def made(folder: Path, train: int = 43, channels: int = 1) -> Dataset:
    """Three classes of 6 x 6 images that differ in brightness."""
    rng = np.random.default_rng(0)

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(count) % 3
        return (rng.integers(0, 60, (count, channels, 6, 6)) + 80 * labels[:, None, None, None]).astype(np.uint8), labels

    return load_data({"train": part(train), "val": part(12), "test": part(6)}, cache_dir=folder)


def network(seed: int = 0, channels: int = 1, classes: int = 3) -> Small:
    torch.manual_seed(seed)
    return Small(channels, classes)


def test_it_learns_and_reports_what_it_saw(dataset: Dataset) -> None:
    seen: list[Mapping[str, float]] = []
    result = train(network(), dataset, replace(RECIPE, lr=0.3), epochs=12, on_epoch=seen.append)
    assert result.outcome is Outcome.COMPLETE
    assert result.epochs == 12
    assert result.curve == tuple(seen)
    assert [entry["epoch"] for entry in seen] == list(range(1, 13))
    assert set(seen[0]) == {"epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "seconds"}
    assert result.metrics["val_accuracy"] > 0.6 > 1 / 3
    assert seen[-1]["train_loss"] < seen[0]["train_loss"]
    assert result.metrics["gap"] == result.metrics["train_accuracy"] - result.metrics["val_accuracy"]
    assert {"val_loss", "val_balanced_accuracy", "val_macro_f1", "seconds", "images_per_second"} <= set(result.metrics)


def test_the_metrics_belong_to_the_weights_left_in_the_module(dataset: Dataset) -> None:
    module = network()
    result = train(module, dataset, RECIPE, epochs=2)
    logits = evaluate_split(module, dataset, "val", RECIPE)
    assert logits.shape == (12, 3)
    assert logits.dtype == np.float32
    assert np.mean(logits.argmax(1) == dataset.labels("val")) == result.metrics["val_accuracy"]


def test_without_validation_images_nothing_is_said_of_them(dataset: Dataset, tmp_path: Path) -> None:
    result = train(network(), joined(dataset, tmp_path / "joined"), RECIPE, epochs=2)
    assert result.outcome is Outcome.COMPLETE
    assert set(result.curve[0]) == {"epoch", "train_loss", "train_accuracy", "lr", "seconds"}
    assert set(result.metrics) == {"train_loss", "train_accuracy", "seconds", "images_per_second"}


@pytest.mark.parametrize(("precision", "cycles"), [("fp32", ()), ("bf16", ()), ("fp32", (1,))])
def test_segments_add_up_to_the_whole(dataset: Dataset, tmp_path: Path, precision: str, cycles: tuple[int, ...]) -> None:
    whole = network()
    of_all = {"epochs": 3, "cycles": cycles, "seed": 5, "precision": precision}
    unbroken = train(whole, dataset, RECIPE, **of_all)
    saved = tmp_path / "deep" / "first.safetensors"
    first = train(network(), dataset, RECIPE, **of_all, last_epoch=1, checkpoint=saved)
    resumed = network(seed=99)
    second = train(resumed, dataset, RECIPE, **of_all, first_epoch=1, resume_from=saved)
    assert (first.epochs, second.epochs) == (1, 3)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    assert timeless(first) + timeless(second) == timeless(unbroken)


def test_every_cycle_ends_at_a_learning_rate_of_nothing(dataset: Dataset) -> None:
    """A segment from epoch 1 to 3 is laid out as a training of two epochs is."""
    recipe = replace(RECIPE, warmup=0.25)
    rates = [entry["lr"] for entry in train(network(), dataset, recipe, epochs=6, cycles=(1, 3)).curve]
    alone = [[entry["lr"] for entry in train(network(), dataset, recipe, epochs=epochs).curve] for epochs in (1, 2, 3)]
    assert rates == [rate for part in alone for rate in part]
    assert rates[1] > rates[0] < recipe.lr / 3


def test_augmentation_that_nobody_asked_for_begins_with_the_cycle_that_is_long(dataset: Dataset) -> None:
    quiet, loud = (replace(RECIPE, shift=shift, flip=flip) for shift, flip in ((0, False), (2, False)))
    brief = train(network(), dataset, replace(quiet, shift=None), epochs=LONG, last_epoch=2, cycles=(2,))
    assert timeless(brief) == timeless(train(network(), dataset, quiet, epochs=LONG, last_epoch=2, cycles=(2,)))
    whole = train(network(), dataset, replace(quiet, shift=None), epochs=LONG, last_epoch=2)
    assert timeless(whole) == timeless(train(network(), dataset, loud, epochs=LONG, last_epoch=2))
    assert timeless(whole) != timeless(brief)


def timeless(measured: Measurement) -> list[dict[str, float]]:
    return [{k: v for k, v in entry.items() if k != "seconds"} for entry in measured.curve]


FULL = replace(RECIPE, cutout=3, pca_color=0.1, mixup=0.4, average=0.9)


@pytest.mark.parametrize("recipe", [replace(RECIPE, cutout=3), replace(RECIPE, mixup=0.4), replace(RECIPE, average=0.9), FULL])
def test_segments_add_up_under_every_augmentation(tmp_path: Path, recipe: Recipe) -> None:
    dataset = made(tmp_path / "data", channels=3)
    whole, resumed = network(channels=3), network(seed=99, channels=3)
    unbroken = train(whole, dataset, recipe, epochs=3, seed=5)
    saved = tmp_path / "first.safetensors"
    first = train(network(channels=3), dataset, recipe, epochs=3, last_epoch=1, seed=5, checkpoint=saved)
    second = train(resumed, dataset, recipe, epochs=3, first_epoch=1, seed=5, resume_from=saved)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    losses = [entry["train_loss"] for entry in unbroken.curve]
    assert losses == [entry["train_loss"] for entry in (*first.curve, *second.curve)]
    if not recipe.average:
        plain = train(network(channels=3), dataset, RECIPE, epochs=1, seed=5)
        assert plain.curve[0]["train_loss"] != losses[0], "the augmentation does nothing"


def test_what_is_measured_saved_and_kept_is_the_average(dataset: Dataset, tmp_path: Path) -> None:
    recipe, saved = replace(RECIPE, average=0.98), tmp_path / "w.safetensors"
    module, plain = network(), network()
    result = train(module, dataset, recipe, epochs=2, checkpoint=saved)
    without = train(plain, dataset, RECIPE, epochs=2)
    assert [entry["train_loss"] for entry in result.curve] == [entry["train_loss"] for entry in without.curve]
    assert not torch.equal(module.conv.weight, plain.conv.weight)
    logits = evaluate_split(module, dataset, "val", recipe)
    expected = nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(np.array(dataset.labels("val")))).item()
    assert result.metrics["val_loss"] == pytest.approx(expected)
    assert torch.equal(read_weights(saved)["conv.weight"], module.conv.weight)
    assert set(read_weights(saved)) == set(module.state_dict())
    going_on = network(seed=7)
    load_checkpoint(saved, going_on, torch.optim.SGD(going_on.parameters(), lr=0.1))
    assert torch.equal(going_on.conv.weight, plain.conv.weight)


def test_deterministic_algorithms_are_used_where_they_are_asked_for(dataset: Dataset) -> None:
    seen: dict[bool, set[bool]] = {True: set(), False: set()}
    module = network()
    module.conv.register_forward_pre_hook(lambda *_: seen[module.training].add(torch.are_deterministic_algorithms_enabled()))
    train(module, dataset, RECIPE, epochs=1, precision="deterministic")
    assert seen == {True: {True}, False: {True}}
    train(module, dataset, RECIPE, epochs=1)
    assert seen == {True: {True, False}, False: {True, False}}


def test_colours_of_grey_images_are_refused(dataset: Dataset) -> None:
    with pytest.raises(RecipeError, match=r"'pca_color' is 0\.1, but the images have 1 channel, expected 3 for it; set it to 0"):
        train(network(), dataset, replace(RECIPE, pca_color=0.1), epochs=1)


def test_the_size_of_batches_at_evaluation_changes_nothing(dataset: Dataset) -> None:
    together = evaluate_split(network(), dataset, "val", replace(RECIPE, batch_size=64))
    assert evaluate_split(network(), dataset, "val", replace(RECIPE, batch_size=5)) == pytest.approx(together, abs=1e-5)


def test_the_seed_decides(dataset: Dataset) -> None:
    losses = [train(network(), dataset, RECIPE, epochs=1, seed=seed).curve[0]["train_loss"] for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize(
    "recipe", [RECIPE, replace(RECIPE, mixup=0.4, grad_clip=1.0), replace(RECIPE, class_weights="balanced", mixup=0.4)]
)
def test_a_batch_in_slices_gives_the_step_of_the_whole(tmp_path: Path, recipe: Recipe) -> None:
    """Of a network without batch normalisation, to rounding; slices of 7 images have two sizes, and their own shares of classes."""
    dataset = made(tmp_path, train=44)
    labels = np.load(dataset.folder / "train_labels.npy")
    np.save(dataset.folder / "train_labels.npy", np.where(np.arange(44) % 5 == 0, 2, labels % 2))
    seen: list[int] = []

    def curve(slices: int) -> list[dict[str, float]]:
        torch.manual_seed(0)
        module = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
        module.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])) if module.training else None)
        measured = train(module, dataset, recipe, epochs=2, slices=slices)
        return [{k: v for k, v in entry.items() if k != "seconds"} for entry in measured.curve]

    whole, halves = curve(1), curve(2)
    assert set(seen) == {7, 4, 3}
    for one, other in zip(whole, halves, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


@pytest.mark.parametrize(("train_images", "batches"), [(6, [6]), (8, [8]), (9, [4, 4])])
def test_few_images_work_and_no_batch_of_one_appears(tmp_path: Path, train_images: int, batches: list[int]) -> None:
    sizes = []
    module = network()
    module.conv.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])) if module.training else None)
    result = train(module, made(tmp_path, train_images), RECIPE, epochs=1)
    assert result.outcome is Outcome.COMPLETE
    assert sizes == batches


def test_a_checkpoint_of_another_epoch_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    checkpoint = tmp_path / "one.safetensors"
    train(network(), dataset, Recipe(), epochs=3, last_epoch=1, checkpoint=checkpoint)
    with pytest.raises(EvaluationError, match="holds 1 epochs, expected 2"):
        train(network(), dataset, Recipe(), epochs=3, first_epoch=2, resume_from=checkpoint)


def test_an_infinite_loss_is_diverged_with_the_curve_before_it(dataset: Dataset) -> None:
    result = train(network(), dataset, replace(RECIPE, lr=1e3, warmup=0.0, weight_decay=1.0), epochs=40)
    assert result.outcome is Outcome.DIVERGED
    assert result.error.startswith("the training loss was") or result.error.startswith("the validation loss was")
    assert len(result.curve) == result.epochs < 40
    assert all(np.isfinite(list(entry.values())).all() for entry in result.curve)
    assert result.metrics == {}


def test_the_test_images_are_left_alone(dataset: Dataset) -> None:
    for what in ("images", "labels"):
        (dataset.folder / f"test_{what}.npy").unlink()
    assert train(network(), dataset, RECIPE, epochs=1).outcome is Outcome.COMPLETE


def test_decay_spares_vectors(dataset: Dataset) -> None:
    module = network()
    before = module.norm.weight.detach().clone()
    for parameter in module.parameters():
        parameter.register_hook(torch.zeros_like)  # type: ignore[no-untyped-call]
    kernel = module.conv.weight.detach().clone()
    train(module, dataset, replace(RECIPE, weight_decay=0.5), epochs=1)
    assert torch.equal(module.norm.weight, before)
    assert module.conv.weight.norm() < kernel.norm()


def test_balanced_weights_lift_the_rare_class(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = (np.arange(count) % 20 == 0).astype(np.int64)
        return (rng.integers(0, 200, (count, 1, 6, 6)) + 25 * labels[:, None, None, None]).astype(np.uint8), labels

    data = load_data({"train": part(80), "val": part(80), "test": part(20)}, cache_dir=tmp_path)
    recipe = replace(RECIPE, shift=0, flip=False)
    rare = [
        np.mean(evaluate_split(trained(data, replace(recipe, class_weights=way)), data, "val", recipe).argmax(1) == 1)
        for way in ("none", "balanced")
    ]
    assert rare[0] < rare[1]


def trained(dataset: Dataset, recipe: Recipe) -> Small:
    module = network(classes=len(dataset.class_names))
    train(module, dataset, recipe, epochs=4)
    return module


def test_averaging_over_mirror_images_ignores_the_side(dataset: Dataset) -> None:
    class Left(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, 0, 0, :3]

    plain = evaluate_split(Left(), dataset, "val", RECIPE)
    both = evaluate_split(Left(), dataset, "val", replace(RECIPE, flip_average=True))
    row = (np.array(dataset.images("val"))[:, 0, 0, :] / 255 - dataset.mean[0]) / dataset.std[0]
    assert plain == pytest.approx(row[:, :3], abs=1e-5)
    assert both == pytest.approx((row[:, :3] + row[:, ::-1][:, :3]) / 2, abs=1e-5)
    assert evaluate_split(Left(), dataset, "val", replace(RECIPE, flip_average=True, flip=False)) == pytest.approx(plain)


def test_an_own_metric_is_a_column(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def wrong(logits, labels):\n    return float((logits.argmax(1) != labels).mean())\n")
    result = train(network(), dataset, RECIPE, epochs=1, task=Task(metrics=(f"{tmp_path / 'own.py'}:wrong",)))
    assert result.metrics["val_wrong"] == pytest.approx(1 - result.metrics["val_accuracy"])


def test_an_open_recipe_is_refused(dataset: Dataset) -> None:
    with pytest.raises(RecipeError, match="recipe is open in lr; expected a closed one"):
        train(network(), dataset, Recipe(lr=real(0.1, 0.2)), epochs=1)


def test_one_cycle_rises_to_its_peak_and_falls_to_nothing() -> None:
    rates = [one_cycle(step, 100, 0.4, 0.25) for step in range(101)]
    assert rates[0] == pytest.approx(0.04)
    assert max(rates) == rates[25] == pytest.approx(0.4)
    assert rates[100] == 0
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)
    assert one_cycle(0, 10, 0.4, 0.0) == 0.4
    assert one_cycle(9, 10, 0.4, 1.0) < 0.4


def test_a_checkpoint_holds_plain_weights_and_momentum_apart(tmp_path: Path) -> None:
    module = network()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    module(torch.randn(2, 1, 6, 6)).sum().backward()
    optimizer.step()
    file = tmp_path / "w.safetensors"
    save_checkpoint(file, module, optimizer, epochs=4)
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]
    assert set(read_weights(file)) == set(module.state_dict())
    other = network(seed=3)
    fresh = torch.optim.SGD(other.parameters(), lr=0.1, momentum=0.9)
    assert load_checkpoint(file, other, fresh) == 4
    for (name, parameter), old in zip(other.named_parameters(), module.parameters(), strict=True):
        assert torch.equal(parameter, old), name
        assert torch.equal(fresh.state[parameter]["momentum_buffer"], optimizer.state[old]["momentum_buffer"])


def test_a_wrong_checkpoint_is_one_line(tmp_path: Path) -> None:
    module = network()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    with pytest.raises(EvaluationError, match="is not there"):
        load_checkpoint(tmp_path / "none.safetensors", module, optimizer)
    torn = tmp_path / "torn.safetensors"
    save_checkpoint(torn, module, optimizer, epochs=1)
    with pytest.raises(EvaluationError, match="holds another network's weights") as caught:
        load_checkpoint(torn, network(channels=3), optimizer)
    assert "\n" not in str(caught.value)
    torn.write_bytes(torn.read_bytes()[:40])
    with pytest.raises(EvaluationError, match="cannot be read"):
        read_weights(torn)


def test_float_images_are_not_touched(tmp_path: Path) -> None:
    """Their pages are mapped from a file read-only: normalising in place would end the process."""
    rng = np.random.default_rng(0)
    dataset = load_data((rng.normal(size=(60, 2, 6, 6)).astype(np.float32), np.arange(60) % 3), cache_dir=tmp_path)
    before = np.array(dataset.images("val"))
    recipe = Recipe(batch_size=8, shift=0, flip=False)
    measured = train(network(channels=2), dataset, recipe, epochs=1)
    assert measured.outcome is Outcome.COMPLETE
    assert np.array_equal(before, dataset.images("val"))


@pytest.mark.parametrize(
    ("images", "size", "expected"),
    [(8000, 64, (125, 64)), (254, 64, (4, 63)), (90, 64, (2, 45)), (40, 64, (1, 40)), (3, 2, (1, 2)), (1, 8, (1, 1))],
)
def test_small_data_sets_are_cut_into_even_batches(images: int, size: int, expected: tuple[int, int]) -> None:
    assert batches(images, size) == expected
