"""What comes out of each kind of job, and of its faults, without any process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from train_jobs import train_job

from nas import Space
from nas.blocks import Classifier, Conv, Sequential
from nas.checkpoint import read_scores, read_weights
from nas.data import Dataset, joined, load_data
from nas.errors import EvaluationError
from nas.executors.base import CheckJob, Done, EpochEnded, Inheritance, ScoreJob, UnseenJob
from nas.measurement import Outcome
from nas.module import compile_source
from nas.perform import first_line, outcome_of, perform
from nas.recipe import Recipe
from nas.source import write_source
from nas.zerocost import minibatch, zero_cost_scores


def test_want_of_memory_is_known_by_any_of_its_names() -> None:
    for error in (
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        ),
        RuntimeError("std::bad_alloc"),
    ):
        assert outcome_of(error) is Outcome.OUT_OF_MEMORY
    assert outcome_of(RuntimeError("sizes differ")) is Outcome.CRASHED
    assert outcome_of(SystemExit(3)) is Outcome.CRASHED
    assert outcome_of(KeyboardInterrupt()) is Outcome.INTERRUPTED


def test_torch_really_says_so() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert outcome_of(caught.value) is Outcome.OUT_OF_MEMORY


def test_an_error_is_told_in_one_line() -> None:
    assert first_line(ValueError("one\ntwo")) == "ValueError: one"
    assert first_line(ValueError()) == "ValueError"
    assert first_line(EvaluationError("no device")) == "no device"


def test_a_job_inherits_and_says_what_mattered(tmp_path: Path) -> None:
    """A parent, a child of half its channels, and one whose parent's weights are gone."""
    dataset = load_data(
        {name: (np.arange(24 * 16, dtype=np.uint8).reshape(24, 1, 4, 4), np.arange(24) % 2) for name in ("train", "val", "test")},
        cache_dir=tmp_path,
    )
    graphs = [Space(Sequential(Conv(n), Classifier()), (1, 4, 4), 2).decode({}).graph for n in (4, 2)]
    weights = tmp_path / "parent.safetensors"

    def done(which: int, **fields: object) -> Done:
        recipe = Recipe(batch_size=8, lr=1e-9, weight_decay=0.0, shift=0)
        graph = graphs[which].to_json().decode()
        job = train_job(write_source(graphs[which]), dataset, recipe=recipe, graph=graph, **fields)
        return perform(job, lambda entry: None)

    parent = done(0, checkpoint=str(weights), importance="magnitude")
    assert (parent.outcome, parent.inherited, parent.error) == (Outcome.COMPLETE, None, "")
    assert set(parent.importances) == {"conv1", "linear1"}
    assert set(read_scores(weights)) == {"conv1", "linear1"}
    inherit = Inheritance(str(weights), graphs[0].to_json().decode())
    child = done(1, checkpoint=str(tmp_path / "child.safetensors"), inherit=inherit)
    assert (child.outcome, child.inherited, child.importances) == (Outcome.COMPLETE, 1.0, {})
    kept = sorted(read_scores(weights)["conv1"].argsort(descending=True)[:2].tolist())
    taken = read_weights(tmp_path / "child.safetensors")["conv1.weight"]
    assert torch.allclose(taken, read_weights(weights)["conv1.weight"][kept], atol=1e-5)
    weights.unlink()
    orphan = done(1, inherit=inherit)
    assert (orphan.outcome, orphan.inherited) == (Outcome.COMPLETE, 0.0)


SHORT = """
import torch
from torch import nn

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.flatten, self.linear, self.steps = nn.Flatten(), nn.Linear(16, 2), 0

    def forward(self, x):
        self.steps += self.training
        if self.training and {condition}:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return self.linear(self.flatten(x))
"""


@pytest.mark.parametrize(
    ("condition", "outcome", "epochs", "slices"),
    [
        ("len(x) > 4", Outcome.COMPLETE, 3, 2.0),
        ("False", Outcome.COMPLETE, 3, None),
        ("True", Outcome.OUT_OF_MEMORY, 0, None),
        ("self.steps > 4", Outcome.OUT_OF_MEMORY, 1, None),  # in the second epoch: it is not the batch that is too large
    ],
)
def test_a_batch_too_large_is_halved_once(
    tmp_path: Path, condition: str, outcome: Outcome, epochs: int, slices: float | None
) -> None:
    dataset = load_data(
        {name: (np.arange(24 * 16, dtype=np.uint8).reshape(24, 1, 4, 4), np.arange(24) % 2) for name in ("train", "val", "test")},
        cache_dir=tmp_path,
    )
    job = train_job(SHORT.format(condition=condition), dataset, epochs=3)
    told: list[EpochEnded] = []
    done = perform(job, told.append)
    assert (done.outcome, len(told), done.metrics.get("batch_slices")) == (outcome, epochs, slices)
    assert ("out of memory" in done.error) == (outcome is Outcome.OUT_OF_MEMORY)


def test_parts_are_halved_where_the_forecast_was_too_low(tmp_path: Path) -> None:
    """And become no smaller than batch normalisation bears: 14 images in three parts at most."""
    images = (np.zeros((70, 1, 4, 4), np.uint8), np.arange(70) % 2)
    dataset = load_data(dict.fromkeys(("train", "val", "test"), images), cache_dir=tmp_path)
    for most, outcome, slices in ((7, Outcome.COMPLETE, 2.0), (5, Outcome.COMPLETE, 3.0), (4, Outcome.OUT_OF_MEMORY, None)):
        source = SHORT.format(condition=f"self.training and len(x) > {most}")
        done = perform(train_job(source, dataset, recipe=Recipe(batch_size=14), slices=2), lambda entry: None)
        assert (done.outcome, done.metrics.get("batch_slices")) == (outcome, slices)


def test_validation_images_come_in_such_parts_too(tmp_path: Path) -> None:
    images = (np.zeros((32, 1, 4, 4), np.uint8), np.arange(32) % 2)
    dataset = load_data(dict.fromkeys(("train", "val", "test"), images), cache_dir=tmp_path)
    source = SHORT.replace("self.training and {condition}", "len(x) > 4")
    done = perform(train_job(source, dataset, recipe=Recipe(batch_size=8)), lambda entry: None)
    assert (done.outcome, done.metrics.get("batch_slices")) == (Outcome.COMPLETE, 2.0)


STEEP = """
import torch
from torch import nn

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.flatten, self.linear, self.slope = nn.Flatten(), nn.Linear(16, 2), nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return self.linear(self.flatten(x)) * (1 + 3e38 * (3e38 * (self.slope - self.slope.detach())))
"""


def test_weights_that_are_no_numbers_are_told_in_words(tmp_path: Path) -> None:
    """Without validation images nothing else looks at what the last step made of them; JSON could not carry it."""
    images = (np.arange(24 * 16, dtype=np.uint8).reshape(24, 1, 4, 4), np.arange(24) % 2)
    dataset = joined(load_data(dict.fromkeys(("train", "val", "test"), images), cache_dir=tmp_path), tmp_path / "joined")
    done = perform(train_job(STEEP, dataset, recipe=Recipe(batch_size=48)), lambda entry: None)
    assert (done.outcome, done.metrics) == (Outcome.DIVERGED, {})
    assert "finite" in done.error


def test_a_job_scores_the_weights_that_training_would_begin_with(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    splits = {name: (rng.integers(0, 256, (24, 1, 4, 4), dtype=np.uint8), np.arange(24) % 2) for name in ("train", "val", "test")}
    dataset = load_data(splits, cache_dir=tmp_path)
    source = write_source(Space(Sequential(Conv(8), Classifier()), (1, 4, 4), 2).decode({}).graph)

    def done(seed: int, text: str = source) -> Done:
        return perform(ScoreJob(source=text, data=str(dataset.folder), seed=seed), lambda entry: None)

    torch.manual_seed(3)
    expected = zero_cost_scores(compile_source(source), minibatch(dataset, 3)).scores
    assert dict(done(3).metrics) == expected == dict(done(3).metrics) != dict(done(4).metrics)
    assert set(expected) == {"synflow", "naswot", "jacob_cov"}
    flat = source.replace("F.relu(", "(")
    assert (done(3, flat).outcome, done(3, flat).facts) == (Outcome.COMPLETE, {"naswot": "it has no activations"})
    broken = done(3, source.replace("def forward", "def backward"))
    assert (broken.outcome, broken.metrics) == (Outcome.COMPLETE, {})
    assert done(3, "1 / 0").outcome is Outcome.CRASHED


def test_a_check_that_fails_names_the_reason(tmp_path: Path) -> None:
    sent: list[EpochEnded] = []
    missing = CheckJob(task={"metrics": []}, data=str(tmp_path), device="cpu", precision="fp32")
    done = perform(missing, sent.append)
    assert done.outcome is Outcome.CRASHED
    assert done.error.startswith("no decoded data in")
    assert "DataError" in done.traceback
    typo = CheckJob(task={"metrics": ["acuracy"]}, data=str(tmp_path), device="cpu", precision="fp32")
    assert perform(typo, sent.append).error == "unknown metric 'acuracy'; did you mean 'accuracy'?"
    assert sent == []


def test_the_test_images_are_measured_by_a_job_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    images = (rng.integers(0, 60, (60, 1, 4, 4)) + 120 * labels[:, None, None, None]).astype(np.uint8)
    dataset = load_data((images, labels), cache_dir=tmp_path)
    read: list[str] = []
    stored = Dataset.images
    monkeypatch.setattr(Dataset, "images", lambda self, split: read.append(split) or stored(self, split))
    monkeypatch.setattr(Dataset, "open", classmethod(lambda cls, folder: dataset))
    source = write_source(Space(Sequential(Conv(4), Classifier()), (1, 4, 4), 2).decode({}).graph)
    checkpoint = str(tmp_path / "end.safetensors")
    job = train_job(source, dataset, epochs=5, checkpoint=checkpoint)
    common = {name: getattr(job, name) for name in ("source", "recipe", "task", "data", "device")}
    assert perform(job, lambda entry: None).outcome is Outcome.COMPLETE
    assert "test" not in read
    done = perform(UnseenJob(**common, weights=checkpoint), lambda entry: None)
    assert read.count("test") == 1 and done.outcome is Outcome.COMPLETE, done.error
    assert set(done.metrics) == {"test_accuracy", "test_accuracy_low", "test_accuracy_high", "test_loss", "test_images"}
    assert done.metrics["test_images"] == 12 and done.metrics["test_accuracy"] > 0.8
    gone = perform(UnseenJob(**common, weights=str(tmp_path / "gone.safetensors")), lambda entry: None)
    assert gone.outcome is Outcome.CRASHED and "is not there" in gone.error
