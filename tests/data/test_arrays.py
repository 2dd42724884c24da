"""Arrays from Python, from `.npz` and from a function."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.data import Dataset, load_data

Y = np.arange(40) % 4


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def all_images(dataset: Dataset) -> np.ndarray:
    return np.concatenate([dataset.images(split) for split in ("train", "val", "test")])


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((8, 9), (1, 8, 9)), ((3, 8, 9), (3, 8, 9)), ((8, 9, 3), (3, 8, 9)), ((1, 8, 9), (1, 8, 9)), ((5, 5, 5), (5, 5, 5))],
)
def test_layouts(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    x = pixels(40, *shape)
    dataset = load_data((x, Y))
    assert dataset.input_shape == expected
    rows = {image.tobytes() for image in all_images(dataset)}
    turned = x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2) if shape[-1] < shape[0] else x
    assert rows == {np.ascontiguousarray(image).tobytes() for image in turned}
    assert any("are read as" in note for note in dataset.notes) == (len(shape) == 3 and shape[-1] <= shape[0])


def test_labels_stay_with_their_images() -> None:
    x = pixels(40, 6, 6)
    dataset = load_data((x, np.array(list("abcd"))[Y]))
    assert dataset.class_names == ("a", "b", "c", "d")
    label_of = {image.tobytes(): label for image, label in zip(x, Y, strict=True)}
    for split in ("train", "val", "test"):
        assert dataset.labels(split).dtype == np.int64
        for image, label in zip(dataset.images(split), dataset.labels(split), strict=True):
            assert label_of[image.tobytes()] == label
        assert dataset.counts[split] == tuple(np.bincount(dataset.labels(split)))


def test_floats_stay_floats_and_are_not_divided() -> None:
    x = np.random.default_rng(0).normal(5, 2, (40, 2, 6, 6))
    dataset = load_data((x, Y))
    assert dataset.images("train").dtype == np.float32
    assert dataset.preprocessing["color"] is None
    assert dataset.preprocessing["divide_by"] == 1
    np.testing.assert_allclose(dataset.mean, dataset.images("train").mean((0, 2, 3), dtype=np.float64), rtol=1e-6)
    assert any("float32" in note for note in dataset.notes)


def test_bytes_say_how_a_photo_becomes_one() -> None:
    dataset = load_data((pixels(40, 3, 6, 7), Y), resize="pad")
    assert dataset.preprocessing == {"image_size": [6, 7], "color": "rgb", "resize": "pad", "divide_by": 255}
    assert not dataset.flip and not dataset.centred


def test_dicts_bring_their_splits() -> None:
    x = pixels(40, 6, 6)
    dataset = load_data({"training": (x, Y), "valid": (x[:4], Y[:4]), "test": (x[4:8], Y[4:8]), "class_names": list("wxyz")})
    assert [dataset.size(split) for split in ("train", "val", "test")] == [40, 4, 4]
    assert dataset.class_names == tuple("wxyz")
    assert sum("duplicates" in note for note in dataset.notes) == 2


def test_groups_come_third() -> None:
    groups = np.repeat(np.arange(20), 2)
    x = np.broadcast_to(groups[:, None, None], (40, 5, 5)).astype(np.uint8)
    dataset = load_data((x, np.repeat(np.arange(4), 10), groups))
    of = [set(dataset.images(split)[:, 0, 0, 0].tolist()) for split in ("train", "val", "test")]
    assert not of[0] & of[1]
    assert not of[0] & of[2]
    assert sum(map(len, of)) == 20


def test_resizing_arrays_is_what_photos_get() -> None:
    image_module = pytest.importorskip("PIL.Image")
    from nas.data import prepare_image

    x = pixels(40, 8, 12)
    dataset = load_data((x, Y), image_size=(4, 6), color="rgb", resize="stretch")
    assert dataset.input_shape == (3, 4, 6)
    expected = {prepare_image(image_module.fromarray(image), dataset.preprocessing).tobytes() for image in x}
    assert {image.tobytes() for image in all_images(dataset)} == expected


def test_floats_are_not_resized(refuses) -> None:
    with refuses("float32", "resized"):
        load_data((np.random.default_rng(0).normal(size=(40, 6, 6)), Y), image_size=3)
    with refuses("5 channels"):
        load_data((pixels(40, 5, 6, 6), Y), color="grey")


X = pixels(40, 6, 6)
NAN = np.where(np.arange(40)[:, None, None] == 7, np.nan, X.astype(float))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((pixels(40, 36), Y), ("(40, 36)", "reshape(-1, 6, 6)")),
        ((pixels(40, 35), Y), ("(40, 35)", "(N, H, W)")),
        ((pixels(40, 1, 1, 6, 6), Y), ("(40, 1, 1, 6, 6)",)),
        ((X, Y[:39]), ("40 images but 39 labels",)),
        ((X, Y, Y[:3]), ("40 images but 3 groups",)),
        ((NAN, Y), ("image 7", "NaN")),
        ((X, np.zeros(40, dtype=int)), ("two classes",)),
        ((X, Y + 0.5), ("float64",)),
        ((X, Y - 1), ("label -1",)),
        ((X[:0], Y[:0]), ("none",)),
        ((np.array([None] * 40), Y), ("objects",)),
        (([pixels(2, 2), pixels(3, 3)], [0, 1]), ("differ in shape",)),
        ((np.full((40, 3, 3), "a"), Y), ("<U1",)),
        ((X.astype(complex), Y), ("complex",)),
        ((X,), ("1 entries", "(x, y)")),
        (((X, Y), (X, Y)), ("(x, y)",)),
        ({}, ("empty dict",)),
        ({"train": (X, Y), "extra": (X, Y)}, ("'extra'", "train, val, test")),
        ({"val": (X, Y), "valid": (X, Y)}, ("'valid'",)),
        ({"train": (X, Y), "test": (X[:, :5], Y)}, ("train (1, 6, 6), test (1, 5, 6)",)),
        ({"train": (X, Y), "test": (X / 255, Y)}, ("train uint8, test float64",)),
        ({"train": (X, Y), "test": (X, list("abcd") * 10)}, ("differ in type",)),
        ({"train": (X, Y, Y), "test": (X, Y)}, ("groups for all or none",)),
        ({"test": (X, Y)}, ("no training image",)),
        (5, ("int",)),
    ],
)
def test_what_is_refused(refuses, data: object, words: tuple[str, ...]) -> None:
    with refuses(*words):
        load_data(data)


@pytest.mark.parametrize(
    "names", [("x_train", "y_train", "x_test", "y_test"), ("train_images", "train_labels", "test_images", "test_labels")]
)
def test_npz_with_splits(tmp_path: Path, names: tuple[str, ...]) -> None:
    np.savez(tmp_path / "a.npz", **dict(zip(names, (X, Y[:, None], X[:8], Y[:8, None]), strict=True)), class_names=list("wxyz"))
    dataset = load_data(tmp_path / "a.npz")
    assert (dataset.name, dataset.size("test"), dataset.class_names) == ("a", 8, tuple("wxyz"))
    assert dataset.size("train") + dataset.size("val") == 40


def test_npz_with_groups(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=X, y=np.repeat(np.arange(4), 10), groups=np.repeat(np.arange(20), 2))
    assert sum(map(load_data(tmp_path / "a.npz").size, ("train", "val", "test"))) == 40


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": X}, ("lacks y",)),
        ({"x_train": X, "y_train": Y, "x_test": X}, ("lacks y_test",)),
        ({"x": X, "y": Y, "x_val": X, "y_val": Y}, ("as well as splits",)),
        ({"a": X, "b": Y}, ("'a'", "x_train")),
        ({"x": X, "y": Y, "images": X}, ("'images'",)),
        ({}, ("no array",)),
        ({"x": np.array([None, "a"], dtype=object), "y": Y}, ("objects", "pickle")),
    ],
)
def test_npz_that_is_refused(refuses, tmp_path: Path, arrays: dict[str, np.ndarray], words: tuple[str, ...]) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with refuses("a.npz", *words):
        load_data(tmp_path / "a.npz")


def test_damaged_npz(refuses, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=X, y=Y)
    whole = path.read_bytes()
    for content in (b"", b"no zip", whole[:200], whole[:300] + b"\0" * 300 + whole[600:]):
        path.write_bytes(content)
        with refuses("a.npz"):
            load_data(path)
    np.save(tmp_path / "b.npy", X)
    (tmp_path / "b.npy").rename(tmp_path / "b.npz")
    with refuses("b.npz", "single array"):
        load_data(tmp_path / "b.npz")


def test_a_function_of_ones_own(refuses, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "def images():\n    return np.arange(40 * 36, dtype=np.uint16).reshape(40, 6, 6) % 251, np.arange(40) % 4\n"
        "def splits():\n    x, y = images()\n    return {'train': (x, y), 'test': (x[:4] + 1, y[:4])}\n"
        "def fails():\n    raise RuntimeError('two\\nlines')\n"
        "def wrong():\n    return 3\n"
        "number = 3\n",
        encoding="utf-8",
    )
    assert load_data(f"{tmp_path}/mine.py:images").name == "images"
    assert load_data(f"{tmp_path}/mine.py:splits").size("test") == 4
    with refuses("mine.py:fails", "RuntimeError: two lines"):
        load_data(f"{tmp_path}/mine.py:fails")
    with refuses("mine.py:wrong returns is a int", "(x, y)"):
        load_data(f"{tmp_path}/mine.py:wrong")
    with refuses("'imges'", "did you mean 'images'"):
        load_data(f"{tmp_path}/mine.py:imges")
    with refuses("mine.py:number", "is a int", "function"):
        load_data(f"{tmp_path}/mine.py:number")
    with refuses("other.py"):
        load_data(f"{tmp_path}/other.py:images")
    (tmp_path / "broken.py").write_text("x = (\n", encoding="utf-8")
    with refuses("broken.py, line 1"):
        load_data(f"{tmp_path}/broken.py:images")
