"""Tests of nas/readahead.py: batches come as they are, and the pages of their images are asked for before them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nas import Recipe, readahead
from nas import train as training
from nas.data import load_data
from nas.readahead import AHEAD, read_ahead
from nas.recipe import batches
from nas.train import train

needs_advice = pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="this system cannot be told what to read")


@pytest.fixture
def mapped(tmp_path: Path) -> np.memmap:
    """One hundred images of 12 bytes in a file, behind a header."""
    np.save(tmp_path / "images.npy", np.arange(1200, dtype=np.uint8).reshape(100, 3, 2, 2))
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert isinstance(images, np.memmap)
    return images


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What is asked of the system: first byte and number of bytes."""
    found: list[tuple[int, int]] = []
    real = os.posix_fadvise

    def advise(descriptor: int, begin: int, size: int, advice: int) -> None:
        assert advice == os.POSIX_FADV_WILLNEED
        real(descriptor, begin, size, advice)
        found.append((begin, size))

    monkeypatch.setattr(os, "posix_fadvise", advise)
    monkeypatch.setattr(readahead, "AHEAD_FROM", 1)
    return found


def order(size: int = 5) -> tuple[Tensor, ...]:
    return torch.randperm(100, generator=torch.Generator().manual_seed(0)).split(size)


@needs_advice
def test_images_are_asked_for_some_batches_ahead(mapped: np.memmap, asked: list[tuple[int, int]]) -> None:
    wanted = order()
    for number, batch in enumerate(read_ahead(mapped, wanted)):
        assert torch.equal(batch, wanted[number])
        assert len(asked) == min(100, (number + AHEAD + 1) * 5)
    assert number == 19
    raw = Path(str(mapped.filename)).read_bytes()
    for image, (begin, size) in zip(torch.cat(wanted).tolist(), asked, strict=True):
        assert raw[begin : begin + size] == mapped[image].tobytes()


@needs_advice
def test_who_leaves_early_leaves_no_file_open(mapped: np.memmap, asked: list[tuple[int, int]]) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    left = read_ahead(mapped, order())
    next(left)
    assert asked
    left.close()
    if before:
        assert len(os.listdir("/proc/self/fd")) == before


@needs_advice
def test_few_images_and_images_in_memory_are_not_asked_for(
    mapped: np.memmap, asked: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [len(batch) for batch in read_ahead(np.array(mapped), order())] == [5] * 20
    monkeypatch.setattr(readahead, "AHEAD_FROM", mapped.nbytes + 1)
    assert [len(batch) for batch in read_ahead(mapped, order())] == [5] * 20
    assert not asked


@needs_advice
def test_a_training_reads_ahead_and_is_the_same(
    tmp_path: Path, asked: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    dataset = load_data((rng.integers(0, 256, (60, 1, 4, 4), dtype=np.uint8), np.arange(60) % 3), cache_dir=tmp_path)

    def trained() -> list[float]:
        torch.manual_seed(0)
        module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
        return [entry["train_loss"] for entry in train(module, dataset, Recipe(batch_size=8), epochs=2).curve]

    ahead = trained()
    steps, batch = batches(dataset.size("train"), 8)
    assert len(asked) == 2 * steps * batch
    monkeypatch.setattr(readahead, "AHEAD_FROM", 2**40)
    assert trained() == ahead


@needs_advice
@pytest.mark.parametrize("fault", ["gone", "refused"])
def test_a_file_that_cannot_be_asked_for_is_trained_on_all_the_same(
    mapped: np.memmap, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(readahead, "AHEAD_FROM", 1)
    calls: list[int] = []

    def refuse(*arguments: int) -> None:
        calls.append(1)
        raise OSError("not supported")

    if fault == "gone":
        Path(str(mapped.filename)).unlink()
    else:
        monkeypatch.setattr(os, "posix_fadvise", refuse)
    assert torch.equal(torch.cat(list(read_ahead(mapped, order()))), torch.cat(order()))
    assert len(calls) == (fault == "refused")


@needs_advice
def test_what_is_trained_on_is_the_mapping_that_the_system_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another mapping of the same file would be read with megabytes around each image."""
    monkeypatch.setattr(readahead, "AHEAD_FROM", 1)
    rng = np.random.default_rng(0)
    splits = {name: (rng.integers(0, 256, (40, 1, 4, 4), dtype=np.uint8), np.arange(40) % 2) for name in ("train", "val", "test")}
    dataset = load_data(splits, cache_dir=tmp_path)
    told: list[int] = []
    monkeypatch.setattr(readahead, "_read_nothing_else", lambda images: told.append(images.ctypes.data))
    touched: list[int] = []
    augmented = training.augmented
    monkeypatch.setattr(training, "augmented", lambda images, *rest: touched.append(images.data_ptr()) or augmented(images, *rest))
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    training.train(module, dataset, Recipe(batch_size=8), epochs=1)
    assert set(told) == set(touched) and len(told) == 1


@needs_advice
def test_a_mapping_can_be_told(mapped: np.memmap) -> None:
    readahead._read_nothing_else(mapped)
    readahead._read_nothing_else(mapped[3:])
    assert mapped.sum() == np.arange(1200, dtype=np.uint8).sum()
