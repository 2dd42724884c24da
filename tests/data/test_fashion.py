"""The built-in sets."""

from __future__ import annotations

import gzip
import hashlib
import io
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from nas.data import DATA_SETS, fashion, load_data
from nas.data.make_subset import main, subset

SPLITS = ("train", "val", "test")


def test_the_embedded_set() -> None:
    dataset = load_data("fashion-mnist-12k")
    assert dataset.input_shape == (1, 28, 28)
    assert dataset.class_names == fashion.CLASS_NAMES
    assert dataset.counts == {"train": (800,) * 10, "val": (200,) * 10, "test": (200,) * 10}
    assert dataset.flip and dataset.centred
    assert dataset.notes == ()
    assert dataset.mean == pytest.approx([0.286], abs=0.005)
    assert dataset.std == pytest.approx([0.353], abs=0.005)
    # The key under which results are kept: it changes only when the images, the split or the hash does, and then
    # no recorded result may be taken over.
    assert dataset.digest == "f37a9669ce7b668fd787f432d9f05b7febe06c170d66cc0529b55c2c6cc499a1"


def test_the_embedded_set_has_its_licence_beside_it() -> None:
    assert "MIT" in (fashion.ASSET.parent / "fashion-mnist-LICENSE.txt").read_text(encoding="utf-8")
    assert fashion.ASSET_SHA256 in (fashion.ASSET.parent / "README.md").read_text(encoding="utf-8")
    assert fashion.ASSET.stat().st_size < 5_000_000


def test_a_damaged_asset_is_told(refuses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.xz").write_bytes(fashion.ASSET.read_bytes()[:-100])
    monkeypatch.setattr(fashion, "ASSET", tmp_path / "a.xz")
    with refuses("embedded data", "install"):
        load_data("fashion-mnist-12k")


def test_every_built_in_name_is_known() -> None:
    assert set(DATA_SETS) == {"fashion-mnist-12k", "fashion-mnist"}


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Four files of a little Fashion-MNIST, packed; their check sums stand in for the published ones."""
    rng = np.random.default_rng(0)
    packed, table = {}, {}
    for short, each in (("train", 1200), ("t10k", 250)):
        labels = (np.arange(10 * each) % 10).astype(np.uint8)
        images = rng.integers(0, 256, (len(labels), 28, 28), dtype=np.uint8)
        for name, data in (
            (f"{short}-images-idx3-ubyte", bytes(16) + images.tobytes()),
            (f"{short}-labels-idx1-ubyte", bytes(8) + labels.tobytes()),
        ):
            packed[name] = gzip.compress(data, compresslevel=1, mtime=0)
            table[name] = (hashlib.md5(packed[name]).hexdigest(), hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(fashion, "FILES", table)
    monkeypatch.setattr(fashion, "SYSTEM_FOLDER", Path("nowhere"))
    return packed


def put(folder: Path, files: dict[str, bytes], packed: bool = True) -> Path:
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / f"{name}{'.gz' if packed else ''}").write_bytes(data if packed else gzip.decompress(data))
    return folder


def test_the_full_set_from_a_folder(refuses, tmp_path: Path, little: dict[str, bytes], cache_folder: Path) -> None:
    first = load_data("fashion-mnist", data_dir=put(tmp_path / "a", little), cache_dir=tmp_path / "1")
    second = load_data("fashion-mnist", data_dir=put(tmp_path / "b" / "FashionMNIST" / "raw", little, packed=False).parents[1])
    assert first.digest == second.digest
    assert first.counts["test"] == (250,) * 10
    assert first.size("val") == 2400
    with refuses("does not hold all of", "train-images-idx3-ubyte.gz"):
        load_data("fashion-mnist", data_dir=tmp_path)
    (tmp_path / "a" / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"else"))
    with refuses("t10k-labels-idx1-ubyte.gz", "not the published"):
        load_data("fashion-mnist", data_dir=tmp_path / "a", cache_dir=tmp_path / "2")


def test_the_full_set_is_downloaded_once_and_checked(
    refuses, monkeypatch: pytest.MonkeyPatch, little: dict[str, bytes], tmp_path: Path
) -> None:
    asked: list[str] = []

    def serve(url: str, timeout: float) -> io.BytesIO:
        asked.append(url)
        return io.BytesIO(little[url.removeprefix(fashion.HOME).removesuffix(".gz")])

    monkeypatch.setattr(urllib.request, "urlopen", serve)
    first = load_data("fashion-mnist")
    assert len(asked) == 4
    assert load_data("fashion-mnist", seed=1).digest != first.digest
    assert len(asked) == 4

    little["train-labels-idx1-ubyte"] += b"x"
    with refuses("train-labels-idx1-ubyte.gz has MD5", "published"):
        load_data("fashion-mnist", cache_dir=tmp_path)


def test_offline_is_one_line(refuses, monkeypatch: pytest.MonkeyPatch, little: dict[str, bytes]) -> None:
    def offline(url: str, timeout: float) -> io.BytesIO:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    with refuses("no route to host", "--data-dir", "fashion-mnist-12k"):
        load_data("fashion-mnist")


def test_the_subset_is_stratified_and_can_be_made_again(tmp_path: Path, little: dict[str, bytes], capsys) -> None:
    folder = put(tmp_path / "a", little)
    parts = fashion.unpack_subset(subset(folder))
    assert np.bincount(parts["train"].y).tolist() == [1000] * 10
    assert np.bincount(parts["test"].y).tolist() == [200] * 10
    published = fashion.read_files({name: folder / f"{name}.gz" for name in fashion.FILES})
    for split in ("train", "test"):
        known = {image.tobytes(): label for image, label in zip(published[split].x, published[split].y, strict=True)}
        assert [known[image.tobytes()] for image in parts[split].x] == parts[split].y.tolist()
    assert subset(folder) == subset(folder)
    assert main([]) == 2
    assert main([str(tmp_path), str(tmp_path / "out.xz")]) == 2
    assert "cannot read" in capsys.readouterr().err


@pytest.mark.skipif(not fashion.SYSTEM_FOLDER.is_dir(), reason="the published files are not installed")
def test_the_embedded_set_is_drawn_from_the_published_one() -> None:
    assert hashlib.sha256(subset(fashion.SYSTEM_FOLDER)).hexdigest() == fashion.ASSET_SHA256
