"""The decoded cache: found again, never half there, refused in one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nas.data import Dataset, describe, load_data
from nas.data import cache as cache_module
from nas.data import write as write_module
from nas.data.cache import cache_root, cached
from nas.data.content import Source
from nas.errors import DataError

X = np.random.default_rng(0).integers(0, 256, (40, 6, 6), dtype=np.uint8)
Y = np.arange(40) % 4


def in_another_process(code: str) -> str:
    """Returns what a program prints that is run by a fresh interpreter."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment).stdout.strip()


def never() -> object:
    raise AssertionError("decoded again")


def count_writes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Counts how often data are decoded."""
    from nas.data import load as load_module

    written: list[str] = []
    original = write_module.write_dataset

    def counted(content, name, folder, **options) -> None:
        written.append(name)
        original(content, name, folder, **options)

    monkeypatch.setattr(load_module, "write_dataset", counted)
    return written


def test_the_second_load_decodes_nothing(monkeypatch: pytest.MonkeyPatch, cache_folder: Path) -> None:
    written = count_writes(monkeypatch)
    first, second = load_data((X, Y)), load_data((X.copy(), Y.tolist()))
    assert first == second
    assert first.folder.is_relative_to(cache_folder)
    assert len(written) == 1
    assert load_data((X, Y), seed=1).digest != first.digest
    assert load_data((X[::-1], Y)).digest != first.digest
    assert load_data((X, Y), val_share=0.3).digest != first.digest
    assert len(written) == 4


def test_the_digest_is_of_the_content_not_of_the_source(tmp_path: Path) -> None:
    first = load_data((X, Y))
    np.savez(tmp_path / "a.npz", x=X / 255, y=Y.astype(np.uint8))
    second = load_data(tmp_path / "a.npz")
    assert first.folder != second.folder
    assert first.digest == second.digest
    names = list("abcd")
    assert load_data((X, np.array(names)[Y])).digest != first.digest
    changed = X.copy()
    changed[3, 2, 1] ^= 1
    assert load_data((changed, Y)).digest != first.digest


def test_a_changed_file_is_decoded_again(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=X, y=Y)
    first = load_data(path)
    np.savez(path, x=X[::-1], y=Y)
    os.utime(path, ns=(1, 1))
    assert load_data(path).digest != first.digest


def test_open_gives_the_same_in_another_process() -> None:
    dataset = load_data((X, Y))
    assert Dataset.open(dataset.folder) == dataset
    assert load_data(dataset) is dataset
    assert load_data(dataset.folder) == dataset
    code = f"from nas.data import Dataset; d = Dataset.open({str(dataset.folder)!r}); print(d.digest, int(d.images('val').sum()))"
    assert in_another_process(code).split() == [dataset.digest, str(int(dataset.images("val").sum()))]
    assert hash(dataset) == hash(Dataset.open(dataset.folder))


def test_arrays_are_mapped_and_read_only() -> None:
    images = load_data((X, Y)).images("train")
    assert isinstance(images, np.memmap)
    assert not images.flags.writeable


@pytest.mark.parametrize("damage", ["meta.json", "train_images.npy", "val_labels.npy"])
@pytest.mark.parametrize("how", ["missing", "cut", "foreign"])
def test_a_damaged_cache_is_made_anew(damage: str, how: str) -> None:
    first = load_data((X, Y))
    path = first.folder / damage
    if how == "missing":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    elif damage == "meta.json":
        path.write_text(json.dumps({**json.loads(path.read_text()), "format": 0}))
    else:
        np.save(path, np.zeros(3))
    with pytest.raises(DataError):
        Dataset.open(first.folder)
    again = load_data((X, Y))
    assert again == first
    np.testing.assert_array_equal(again.labels("val"), Dataset.open(first.folder).labels("val"))


def test_who_comes_second_takes_what_lies_there(tmp_path: Path) -> None:
    other = load_data((X, Y))
    source = Source("a", "identity", never)  # type: ignore[arg-type]

    def build(folder: Path) -> None:
        assert folder.name.startswith(cache_module.TEMPORARY)
        (final,) = {folder.parent / name for name in names}
        if not final.exists():  # another process is quicker
            shutil.copytree(other.folder, final)
        (folder / "meta.json").write_text("mine is thrown away")

    names: list[str] = []
    probe = cached_name(source, tmp_path)
    names.append(probe)
    found = cached(source, None, tmp_path, build)
    assert found.digest == other.digest
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == names


def cached_name(source: Source, root: Path) -> str:
    """Returns the folder's name that `cached` will use."""
    seen: list[Path] = []

    def build(folder: Path) -> None:
        seen.append(folder)
        raise DataError("stop")

    original = cache_module.Dataset.open
    asked: list[Path] = []

    class Spy:
        @staticmethod
        def open(folder: Path) -> Dataset:
            asked.append(folder)
            return original(folder)

    cache_module.Dataset = Spy  # type: ignore[misc,assignment]
    try:
        with pytest.raises(DataError, match="stop"):
            cached(source, None, root, build)
    finally:
        cache_module.Dataset = Dataset  # type: ignore[misc]
    assert not seen[0].exists()
    return asked[0].name


def test_failure_leaves_nothing_behind(cache_folder: Path) -> None:
    with pytest.raises(DataError):
        load_data((X, np.zeros(40, dtype=int)))
    assert list((cache_folder / "data").iterdir()) == []


def test_leftovers_of_killed_processes_go_after_a_day(cache_folder: Path) -> None:
    old, young = (cache_folder / "data" / f"{cache_module.TEMPORARY}{name}" for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (1, 1))
    load_data((X, Y))
    assert not old.exists()
    assert young.exists()


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache_folder: Path) -> None:
    assert cache_root() == cache_folder
    assert cache_root(tmp_path) == tmp_path
    assert load_data((X, Y), cache_dir=tmp_path).folder.is_relative_to(tmp_path)
    monkeypatch.delenv("NAS_CACHE_DIR")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "xdg" / "paretonas"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_root() == tmp_path / "local" / "paretonas"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_root() == Path.home() / "Library" / "Caches" / "paretonas"


def test_a_cache_that_cannot_be_written(refuses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    with refuses("cannot keep decoded images", "NAS_CACHE_DIR"):
        load_data((X, Y), cache_dir=tmp_path / "file")
    monkeypatch.setattr(write_module.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 99, 1))
    with refuses("GiB", "NAS_CACHE_DIR"):
        load_data((X, Y))


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        ("fashion-mnist-12", {}, ("data set", "'fashion-mnist-12k'")),
        ("./nothing/here", {}, ("no file or folder",)),
        ("nothing.npz", {}, ("no file or folder nothing.npz",)),
        (__file__, {}, ("test_cache.py", "FILE.py:function")),
        ("fashion-mnist-12k", {"data_dir": "x"}, ("fashion-mnist only",)),
        ("fashion-mnist-12k", {"image_size": 0}, ("image size is 0",)),
        ("fashion-mnist-12k", {"image_size": (3, 4, 5)}, ("(height, width)",)),
        ("fashion-mnist-12k", {"image_size": True}, ("image size is True",)),
        ("fashion-mnist-12k", {"color": "gray"}, ("'gray'", "'grey'")),
        ("fashion-mnist-12k", {"resize": "crops"}, ("'crops'", "'crop'")),
        ("fashion-mnist-12k", {"seed": -1}, ("seed is -1",)),
        ("fashion-mnist-12k", {"val_share": 1.5}, ("val share is 1.5",)),
    ],
)
def test_what_is_refused(refuses, data: str, options: dict, words: tuple[str, ...]) -> None:
    with refuses(*words):
        load_data(data, **options)


def test_unknown_splits_are_named(refuses) -> None:
    with refuses("split", "'train'"):
        load_data((X, Y)).images("trian")


def test_the_description_says_it_all() -> None:
    dataset = load_data({"train": (X, np.array(["cat", "dog"])[Y % 2]), "test": (X[:3], ["cat", "dog", "cat"])})
    text = describe(dataset)
    for words in (
        dataset.digest,
        str(dataset.folder),
        "1 x 6 x 6",
        "train 32, val 8, test 3",
        "duplicates",
        "bytes",
        "grey, 6 x 6 by crop",
    ):
        assert words in text, text
    (head,) = (line for line in text.splitlines() if line.startswith("class "))
    rows = text.splitlines()[text.splitlines().index(head) :][:4]
    assert [row.split() for row in rows] == [
        ["class", "train", "val", "test"],
        ["cat", "16", "4", "2"],
        ["dog", "16", "4", "1"],
        ["all", "32", "8", "3"],
    ]
    assert len({len(row) for row in rows}) == 1


def test_control_characters_do_not_reach_the_terminal() -> None:
    text = describe(load_data((X, np.array(["a\x1b[31m", "b\udcff"])[Y % 2])))
    assert "\x1b" not in text
    assert text.encode()


def test_neither_torch_nor_pillow_is_loaded() -> None:
    code = "import sys, nas.data; nas.data.load_data('fashion-mnist-12k'); print({'torch', 'PIL', 'pandas'} & set(sys.modules))"
    assert in_another_process(code) == "set()"
