"""Training at length: what lies in the folder afterwards, the test set touched once, bad input in one line."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from nas import Space
from nas.blocks import Classifier, Conv, Sequential
from nas.builder import GraphBuilder
from nas.canonical import canonical
from nas.data import Dataset, load_data
from nas.domains import choice
from nas.errors import NasError
from nas.final import network_and_data, train_network
from nas.graph import Graph, graph_from_json
from nas.loop import search
from nas.ops import Op, Shape
from nas.recipe import Recipe

QUICK = Recipe(batch_size=16, lr=0.05, shift=0, flip=False)


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    images = (rng.integers(0, 60, (90, 1, 8, 8)) + 60 * labels[:, None, None, None]).astype(np.uint8)
    return load_data((images, labels), cache_dir=tmp_path / "cache")


def small(shape: tuple[int, int, int] = (1, 8, 8), classes: int = 3) -> Graph:
    b = GraphBuilder(shape, classes=classes)
    x = b.conv(b.input, 4, 3, norm="batch", activation="relu")
    return canonical(b.finish(b.linear(b.flatten(b.global_avg_pool(x)), classes)))[0]


def test_everything_is_written(tmp_path: Path, data: Dataset) -> None:
    seen: list[Mapping[str, float]] = []
    out = tmp_path / "out"
    results = train_network(small(), data, epochs=3, recipe=QUICK, device="cpu", precision="fp32", out=out, on_epoch=seen.append)
    assert json.loads((out / "metrics.json").read_text()) == json.loads(json.dumps(results))
    with (out / "curve.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"] and len(seen) == 3
    assert float(rows[-1]["val_accuracy"]) == results["val_accuracy"]
    assert results["test_accuracy_low"] <= results["test_accuracy"] <= results["test_accuracy_high"]
    assert results["test_images"] == data.size("test") and results["recipe"]["lr"] == 0.05
    text = (out / "network.py").read_text("utf-8")
    assert f"test_accuracy {results['test_accuracy']:.4f}" in text and (out / "network.safetensors").is_file()


def test_same_seed_same_weights(tmp_path: Path, data: Dataset) -> None:
    from safetensors.torch import load_file

    space = Space(body=Sequential(Conv(channels=4, kernel=3), Classifier()))
    torch.set_num_threads(1)
    outs = [tmp_path / name for name in ("a", "b", "c")]
    for out, seed in zip(outs, (1, 1, 2), strict=True):
        train_network(space, data, epochs=1, recipe=QUICK, seed=seed, device="cpu", precision="fp32", out=out, test=False)
    a, b, c = (load_file(out / "network.safetensors") for out in outs)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not all(torch.equal(a[name], c[name]) for name in a)


def test_the_test_images_are_read_once_and_only_where_asked(tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    images = Dataset.images
    monkeypatch.setattr(Dataset, "images", lambda self, split: read.append(split) or images(self, split))
    results = train_network(small(), data, epochs=1, recipe=QUICK, device="cpu", precision="fp32", out=tmp_path / "a", test=False)
    assert "test" not in read and not [name for name in results if name.startswith("test_")]
    train_network(small(), data, epochs=1, recipe=QUICK, device="cpu", precision="fp32", out=tmp_path / "b")
    assert read.count("test") == 1


class _Twice(Op):
    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def call(self, module: str, *inputs: str) -> str:
        return f"2 * {inputs[0]}"


def test_code_of_somebody_needs_trust(tmp_path: Path, data: Dataset) -> None:
    b = GraphBuilder((1, 8, 8), classes=3)
    x = b.apply(_Twice(), b.conv(b.input, 4, 3))
    graph = graph_from_json(b.finish(b.linear(b.flatten(b.global_avg_pool(x)), 3)).to_json())
    options = {"epochs": 1, "recipe": QUICK, "device": "cpu", "precision": "fp32"}
    with pytest.raises(NasError, match="trust-code"):
        train_network(graph, data, **options, out=tmp_path / "out")
    assert train_network(graph, data, **options, out=tmp_path / "out", trust_code=True)["epochs"] == 1


def test_bad_input_gives_one_line(tmp_path: Path, data: Dataset) -> None:
    with pytest.raises(NasError, match=r"takes images of 3 x 8 x 8 and gives 3 values; .* cannot be made for 1 x 8 x 8 and 3"):
        train_network(small((3, 8, 8)), data, epochs=1, out=tmp_path / "out")
    with pytest.raises(NasError, match="gives 5 values"):
        train_network(small(classes=5), data, epochs=1, out=tmp_path / "out")
    with pytest.raises(NasError, match="epochs is 0"):
        train_network(small(), data, epochs=0, out=tmp_path / "out")
    with pytest.raises(NasError, match="'cpu'"):
        train_network(small(), data, epochs=1, device="cpus", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "metrics.json").write_text("{}")
    with pytest.raises(NasError, match="holds another training"):
        train_network(small(), data, epochs=1, out=tmp_path / "out")


@pytest.mark.parametrize("before", [(), ("notes.txt",)])
def test_a_training_that_is_stopped_leaves_nothing_behind(tmp_path: Path, data: Dataset, before: tuple[str, ...]) -> None:
    out = tmp_path / "out"
    for name in before:
        out.mkdir()
        (out / name).write_text("mine")

    def stop(entry: Mapping[str, float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_network(small(), data, epochs=3, recipe=QUICK, device="cpu", precision="fp32", out=out, on_epoch=stop)
    assert (sorted(path.name for path in out.iterdir()) if out.exists() else []) == list(before)


def test_a_training_that_diverges_says_so(tmp_path: Path, data: Dataset) -> None:
    wild = Recipe(batch_size=16, lr=1e3, shift=0, flip=False, warmup=0.0, momentum=0.9999, label_smoothing=0.0)
    b = GraphBuilder((1, 8, 8), classes=3)
    graph = b.finish(b.linear(b.flatten(b.conv(b.conv(b.input, 16, 3), 16, 3)), 3))
    with pytest.raises(NasError, match=r"diverged: the .* loss was"):
        train_network(graph, data, epochs=3, recipe=wild, device="cpu", precision="fp32", out=tmp_path / "out")
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_the_data_of_a_run_are_read_as_the_run_read_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for name in ("big", "other"):
        np.savez(tmp_path / f"{name}.npz", x=rng.integers(0, 256, (60, 16, 16), dtype=np.uint8), y=np.arange(60) % 3)
    data, options = str(tmp_path / "big.npz"), {"image_size": 8, "seed": 3}
    space = Space(Sequential(Conv(channels=choice(2, 4)), Classifier()))
    run = search(
        space, data, data_options=options, evaluator=lambda _: {"val_accuracy": 0.5}, evaluations=1, epochs=1, out=tmp_path / "run"
    )
    known, dataset, used = network_and_data(f"{run.folder}@best", data)
    assert used == options and dataset.input_shape == (1, 8, 8) == known.graph.input_shape
    assert network_and_data(run.best(), tmp_path / "." / "big.npz")[1].digest == dataset.digest
    told = r"run@\w+ takes images of 1 x 8 x 8 .* has images of 1 x 16 x 16 in 3 classes; its run read .*big\.npz with --image-size 8 --split-seed 3$"
    with pytest.raises(NasError, match=told):
        network_and_data(f"{run.folder}@best", tmp_path / "other.npz")
    with pytest.raises(NasError, match="has images of 1 x 4 x 4"):
        network_and_data(f"{run.folder}@best", data, {"image_size": 4})
    assert network_and_data(f"{run.folder}@best", tmp_path / "other.npz", {"image_size": 8})[2] == {"image_size": 8}
