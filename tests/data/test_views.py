"""Other cuts of a data set: which images they hold, that none of them is a test image, and that training takes them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nas.data import Dataset, excerpt, joined, load_data
from nas.errors import DataError


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    rng = np.random.default_rng(0)
    parts = {name: (rng.integers(0, 256, (n, 4, 5), dtype=np.uint8), np.arange(n) % 2) for name, n in SIZES.items()}
    return load_data(parts, cache_dir=tmp_path / "cache")


SIZES = {"train": 40, "val": 12, "test": 9}


def test_joined_images_are_those_of_training_and_validation(dataset: Dataset, tmp_path: Path) -> None:
    view = joined(dataset, tmp_path / "images")
    for what in ("images", "labels"):
        both = [getattr(dataset, what)(split) for split in ("train", "val")]
        assert np.array_equal(getattr(view, what)("train"), np.concatenate(both))
        assert not len(getattr(view, what)("val")) and not len(getattr(view, what)("test"))
    assert view.counts == {"train": (26, 26), "val": (0, 0), "test": (0, 0)}
    assert (view.mean, view.std, view.class_names) == (dataset.mean, dataset.std, dataset.class_names)
    assert view.digest != dataset.digest


def test_many_images_are_copied_in_portions(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.data.views.CHUNK_BYTES", 7 * 20)
    assert np.array_equal(joined(dataset, tmp_path / "images").images("train")[40:], dataset.images("val"))


def test_a_view_is_made_once_and_again_where_it_is_damaged(dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    joined(dataset, folder)
    before = (folder / "train_images.npy").stat().st_mtime_ns
    assert joined(dataset, folder).size("train") == 52
    assert (folder / "train_images.npy").stat().st_mtime_ns == before
    (folder / "train_images.npy").write_bytes(b"")
    assert joined(dataset, folder).size("train") == 52
    assert excerpt(dataset, folder, 10).size("train") == 10, "another view takes its place"
    assert json.loads((folder / "meta.json").read_text())["counts"]["test"] == [0, 0]


def test_an_excerpt_is_spread_over_the_whole(dataset: Dataset, tmp_path: Path) -> None:
    view = excerpt(dataset, tmp_path / "few", 20)
    assert view.size("train") == 20 and view.size("val") == 6 and view.size("test") == 0
    assert np.array_equal(view.images("train")[[0, -1]], dataset.images("train")[[0, -1]])
    assert excerpt(dataset, tmp_path / "all", 1000).size("train") == 40


def test_a_folder_that_cannot_be_written(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot keep a copy of the images"):
        joined(dataset, tmp_path / "file" / "images")
