"""Labels to class names and indices."""

from __future__ import annotations

import numpy as np
import pytest

from nas.data.labels import encode_groups, encode_labels, in_order


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.int16])
def test_integers_are_indices(dtype: type) -> None:
    codes, names = encode_labels(np.array([2, 0, 1, 1], dtype=dtype))
    assert codes.dtype == np.int64
    assert codes.tolist() == [2, 0, 1, 1]
    assert names == ("0", "1", "2")


def test_columns_and_lists_are_taken() -> None:
    assert encode_labels([[1], [0], [1]])[0].tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    "labels", [["dog", "cat", "dog"], np.array(["dog", "cat", "dog"], dtype=object), np.array([b"dog", b"cat", b"dog"])]
)
def test_strings_are_names(labels: object) -> None:
    codes, names = encode_labels(labels)
    assert codes.tolist() == [1, 0, 1]
    assert names == ("cat", "dog")


def test_given_names_keep_their_order_and_may_lack_images() -> None:
    assert encode_labels(["a", "c"], ["c", "b", "a"])[0].tolist() == [2, 0]
    assert encode_labels([0, 2], ["c", "b", "a"])[1] == ("c", "b", "a")


def test_numbers_as_names_are_ordered_by_value() -> None:
    assert in_order(["10", "9", "2"]) == ("2", "9", "10")
    assert in_order(["10", "9", "x"]) == ("10", "9", "x")
    assert in_order(["²", "1"]) == ("1", "²")


@pytest.mark.parametrize(
    ("labels", "names", "words"),
    [
        ([0.0, 1.0], None, ("float64", "astype(int)")),
        ([[0, 1], [1, 0]], None, ("(2, 2)", "argmax")),
        ([True, False], None, ("bool",)),
        ([-1, 0, 1], None, ("-1", "from 0")),
        ([0, 1, 3, 3], None, ("class 2 of 0 to 3 has no image",)),
        ([1, 2, 2], None, ("class 0", "subtract 1")),
        ([0, 7], None, ("7", "2 images")),
        ([0, 3], ["a", "b"], ("label 3", "0 to 1")),
        (["a", "z"], ["a", "b"], ("'z'", "2 class names")),
        ([0, 1], ["a", "a"], ("'a'", "twice")),
        (["a", " "], None, ("empty",)),
        ([0, 0], None, ("all 2 labels are '0'", "two classes")),
        ([1, 1], ["a", "b"], ("all 2 labels are 'b'",)),
        ([], None, ("labels",)),
        ([b"\xff", b"a"], None, ("ASCII",)),
        (np.array([object(), 1]), None, ("object",)),
    ],
)
def test_what_is_refused(refuses, labels: object, names: list[str] | None, words: tuple[str, ...]) -> None:
    with refuses(*words):
        encode_labels(labels, names)


def test_groups_are_numbered(refuses) -> None:
    assert encode_groups(["b", "a", "b"]).tolist() == [1, 0, 1]
    assert encode_groups(np.array([9, 7, 9])).tolist() == [1, 0, 1]
    with refuses("float64"):
        encode_groups([0.5, 1.0])
