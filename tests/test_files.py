"""Files that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.files import replacing, write_whole


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("old")
    with pytest.raises(KeyError), replacing(path) as temporary:
        temporary.write_text("half of")
        raise KeyError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_text_takes_the_place_of_the_old_one_byte_by_byte(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    write_whole(path, "one\r\ntwo\n\udcff")
    assert path.read_bytes() == b"one\r\ntwo\n\\udcff"
    assert list(tmp_path.iterdir()) == [path]
