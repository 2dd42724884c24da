"""Folders and tables of image files."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from nas.data import Dataset, load_data, prepare_image

Image = pytest.importorskip("PIL.Image")
SPLITS = ("train", "val", "test")


@pytest.fixture
def classes(tmp_path: Path, make_photo) -> Path:
    """Two classes of ten images of 20 x 20."""
    for index in range(20):
        make_photo(tmp_path / "photos" / ("cat" if index % 2 else "dog") / f"{index:02}.png", seed=index)
    return tmp_path / "photos"


def by_class(dataset: Dataset, name: str) -> set[bytes]:
    label = dataset.class_names.index(name)
    return {image.tobytes() for split in SPLITS for image in dataset.images(split)[dataset.labels(split) == label]}


def test_class_folders(classes: Path) -> None:
    dataset = load_data(classes)
    assert dataset.class_names == ("cat", "dog")
    assert dataset.name == "photos"
    assert dataset.input_shape == (3, 20, 20)
    assert not dataset.flip
    for name in ("cat", "dog"):
        assert by_class(dataset, name) == {
            prepare_image(path, dataset.preprocessing).tobytes() for path in (classes / name).iterdir()
        }
    assert dataset.notes == ("test: the data bring none, so 4 images were cut from those of training",)


def test_split_folders_stay(classes: Path, make_photo) -> None:
    root = classes.parent
    for split, many in (("Train", 6), ("validation", 2), ("test", 3)):
        for name in ("cat", "dog"):
            for index in range(many):
                make_photo(root / "splits" / split / name / f"{index}.jpg", seed=hash_of(split, name, index))
    dataset = load_data(root / "splits")
    assert dataset.counts == {"train": (6, 6), "val": (2, 2), "test": (3, 3)}


def hash_of(*parts: object) -> int:
    return sum((index + 1) * ord(letter) for index, letter in enumerate(str(parts)))


def test_a_class_may_be_called_train(tmp_path: Path, make_photo) -> None:
    for index in range(20):
        make_photo(tmp_path / ("train" if index % 2 else "bus") / f"{index}.png", seed=index)
    assert load_data(tmp_path).class_names == ("bus", "train")


def test_deeper_hidden_and_foreign_files(classes: Path, make_photo) -> None:
    make_photo(classes / "cat" / "deep" / "er" / "a.PNG", seed=100)
    make_photo(classes / "cat" / ".hidden.png", seed=101)
    make_photo(classes / ".thumbnails" / "b.png", seed=102)
    make_photo(classes / "__MACOSX" / "c.png", seed=103)
    (classes / "dog" / "notes.txt").write_text("no image")
    (classes / "readme").write_text("no image")
    dataset = load_data(classes)
    assert len(by_class(dataset, "cat")) == 11
    assert sum(map(dataset.size, SPLITS)) == 21
    assert any("ignored 2 files" in note and ".txt 1" in note and "no suffix 1" in note for note in dataset.notes)


def test_all_kinds_of_files_together(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for index in range(63):
        color = rng.integers(0, 256, (int(rng.integers(40, 90)), int(rng.integers(40, 90)), 4), dtype=np.uint8)
        image = Image.fromarray(color).convert(("RGB", "L", "RGBA", "P", "LA", "CMYK", "1")[index % 7])
        exif = Image.Exif()
        exif[274] = 1 + index % 8
        path = tmp_path / ("rare" if index < 3 else "common") / f"{index}.{'tif' if index % 7 == 5 else 'png'}"
        path.parent.mkdir(exist_ok=True)
        image.save(path, exif=exif)
    Image.fromarray(rng.integers(0, 65536, (50, 50), dtype=np.uint16)).save(tmp_path / "common" / "deep.png")
    dataset = load_data(tmp_path)
    assert dataset.input_shape[0] == 3
    assert dataset.input_shape[1] in (32, 48, 64)
    assert [sum(dataset.counts[split][1] for split in SPLITS), dataset.counts["test"][1]] == [3, 0]
    text = "\n".join(dataset.notes)
    for words in ("image size", "color rgb", "imbalance", "no image of 1 class (rare)"):
        assert words in text


def test_options_decide_size_and_colour(classes: Path) -> None:
    dataset = load_data(classes, image_size=(9, 11), color="grey", resize="pad")
    assert dataset.input_shape == (1, 9, 11)
    assert dataset.preprocessing == {"image_size": [9, 11], "color": "grey", "resize": "pad", "divide_by": 255}
    assert dataset.digest != load_data(classes).digest


def test_grey_files_stay_grey(tmp_path: Path, make_photo) -> None:
    for index in range(10):
        make_photo(tmp_path / str(index % 2) / f"{index}.png", seed=index, mode="L", size=(200, 300))
    dataset = load_data(tmp_path)
    assert dataset.input_shape == (1, 64, 64)
    assert any("color grey was chosen" in note for note in dataset.notes)


def test_duplicates_across_splits_are_reported(tmp_path: Path, make_photo) -> None:
    for split, seed in (("train", 0), ("val", 100), ("test", 200)):
        for index in range(6):
            make_photo(tmp_path / split / "ab"[index % 2] / f"{index}.png", seed=seed + index)
    make_photo(tmp_path / "test" / "b" / "again.png", seed=0)
    (note,) = load_data(tmp_path).notes
    assert note.startswith("duplicates: 1 test image also in train, 1 of them under another label")
    assert "test/b/again.png = train/a/0.png" in note


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_an_unreadable_file_is_named_or_skipped(refuses, classes: Path, content: bytes) -> None:
    (classes / "cat" / "bad.png").write_bytes(content)
    for size in (None, 16):
        with refuses("cat/bad.png", "skip_unreadable"):
            load_data(classes, image_size=size, color="rgb")
    dataset = load_data(classes, skip_unreadable=True)
    assert sum(map(dataset.size, SPLITS)) == 20
    assert any(note.startswith("skipped: cannot read image cat/bad.png") for note in dataset.notes)


def test_a_truncated_photo_is_named(refuses, classes: Path) -> None:
    path = classes / "dog" / "00.png"
    path.write_bytes(path.read_bytes()[:-200])
    with refuses("dog/00.png"):
        load_data(classes)


def test_a_huge_image_is_named(refuses, classes: Path) -> None:
    Image.new("1", (60_000, 1)).save(classes / "cat" / "long.png")
    with refuses("cat/long.png", "too large"):
        load_data(classes)


def test_a_decompression_bomb_is_named(refuses, classes: Path) -> None:
    header = bytearray((classes / "cat" / "01.png").read_bytes())
    import struct
    import zlib

    header[16:24] = struct.pack(">II", 40_000, 40_000)
    header[29:33] = struct.pack(">I", zlib.crc32(bytes(header[12:29])))
    (classes / "cat" / "bomb.png").write_bytes(header)
    with refuses("cat/bomb.png", "too large"):
        load_data(classes)


def test_pillows_warnings_are_not_passed_on(classes: Path, recwarn: pytest.WarningsRecorder) -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01"  # promises five entries and ends in the first
    Image.new("RGB", (20, 20)).save(classes / "cat" / "odd.jpg", exif=exif)
    with Image.open(classes / "cat" / "odd.jpg") as image:
        image.getexif()
    assert recwarn.pop(UserWarning)
    load_data(classes)
    assert not recwarn.list


def test_folders_that_are_no_data(refuses, tmp_path: Path, make_photo) -> None:
    with refuses("no class folder", "FOLDER/CLASS"):
        load_data(tmp_path)
    make_photo(tmp_path / "flat" / "a.png")
    with refuses("no class folder"):
        load_data(tmp_path / "flat")
    (tmp_path / "empty" / "b").mkdir(parents=True)
    make_photo(tmp_path / "empty" / "a" / "a.png")
    with refuses("class folder", "holds no image"):
        load_data(tmp_path / "empty")
    make_photo(tmp_path / "one" / "a" / "a.png")
    with refuses("two classes"):
        load_data(tmp_path / "one")
    for place in ("train/a", "train/b", "test/c"):
        make_photo(tmp_path / "foreign" / place / "a.png")
    with refuses("'c'", "not in the training folder"):
        load_data(tmp_path / "foreign")
    make_photo(tmp_path / "foreign" / "other" / "a.png")
    with refuses("other", "beside the training folder"):
        load_data(tmp_path / "foreign")
    for place in ("train/a", "val/a", "valid/a"):
        make_photo(tmp_path / "twice" / place / "a.png")
    with refuses("several folders for val"):
        load_data(tmp_path / "twice")


def test_without_pillow_one_line_says_what_to_install(refuses, classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with refuses('pip install "paretonas[vision]"'):
        load_data(classes)


def table(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table(classes: Path) -> None:
    files = sorted(classes.rglob("*.png"))
    rows = "".join(f"{path.relative_to(classes)},{int(path.stem) % 3},x\n" for path in files)
    dataset = load_data(table(classes, f"path,label,comment\n{rows}"))
    assert (dataset.name, dataset.class_names) == ("labels", ("0", "1", "2"))
    assert by_class(dataset, "1") == {
        prepare_image(path, dataset.preprocessing).tobytes() for path in files if int(path.stem) % 3 == 1
    }


def test_a_table_with_splits_and_groups(classes: Path) -> None:
    rows = []
    for index, path in enumerate(sorted(classes.rglob("*.png"))):
        rows.append(f"{path.relative_to(classes)};{path.parent.name};{'test' if index % 5 == 0 else 'Training'};{index % 10 // 2}")
    dataset = load_data(table(classes, "\ufeffPath;Label;Split;Group\n\n" + "\n".join(rows) + "\n"))
    assert dataset.size("test") == 4
    assert min(dataset.counts["val"]) >= 1
    assert any(note.startswith("groups: ") and "both train and test" in note for note in dataset.notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,label\na,b\n", ("columns file, label", "path, label")),
        ("", ("(none)",)),
        ("path,label\n", ("no row",)),
        ("path,label\ncat/01.png,\n", ("line 2", "label is empty")),
        ("path,label\ncat/01.png,a\n\ncat/xx.png,b\n", ("line 4", "xx.png")),
        ("path,label\ncat/01.png,a\ncat/01.png,b\n", ("line 3", "line 2 already")),
        ("path,label,split\ncat/01.png,a,holdout\n", ("line 2", "'holdout'", "train, val or test")),
        ("path,label,label\ncat/01.png,a,b\n", ("once each",)),
    ],
)
def test_tables_that_are_refused(refuses, classes: Path, text: str, words: tuple[str, ...]) -> None:
    with refuses("labels.csv", *words):
        load_data(table(classes, text))


def test_a_table_that_is_no_text(refuses, classes: Path) -> None:
    (classes / "labels.csv").write_bytes(b"path,label\n\xff\xfe,a\n")
    with refuses("labels.csv", "UTF-8"):
        load_data(classes / "labels.csv")


def test_images_enlarged_more_than_twice_are_noted_with_their_bytes(classes: Path) -> None:
    note = next(note for note in load_data(classes, image_size=50, color="rgb").notes if "enlarged" in note)
    assert "2.5 times" in note and f"{20 * 3 * 50 * 50:,} bytes at 50 x 50" in note
    assert not any("enlarged" in note for note in load_data(classes, image_size=40, color="rgb").notes)
