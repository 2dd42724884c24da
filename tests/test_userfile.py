"""Users' files and modules: run once, their neighbours at hand, and what is said of those that fail."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

import pytest

from nas.errors import SpaceError, UnknownNameError
from nas.userfile import BrokenFile, is_file, load_file, load_object, run_file, split_address


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_run_once_and_again_when_it_changed(tmp_path: Path) -> None:
    file = written(tmp_path / "mine.py", "number = 3\n")
    first = run_file(file)
    assert run_file(file) is load_file(tmp_path / "." / "mine.py") is first
    written(file, "number = 14\n")
    os.utime(file, ns=(1, 1))
    assert (first.number, load_object(f"{file}:number")) == (3, 14)
    written(file, "number = 159\n")
    os.utime(file, ns=(1, 1))  # a clock may be too coarse to tell two writes apart
    assert load_object(f"{file}:number") == 159


def test_a_file_may_import_its_neighbours(tmp_path: Path) -> None:
    written(tmp_path / "neighbour_of_mine.py", "width = 5\n")
    file = written(tmp_path / "other.py", "from neighbour_of_mine import width\n")
    before = list(sys.path)
    assert load_object(f"{file}:width") == 5
    assert sys.path == [*before, str(tmp_path)]  # last: it hides nothing that is installed


def test_what_fails_says_the_line_and_leaves_nothing_behind(tmp_path: Path) -> None:
    file = written(tmp_path / "failing_file.py", "x = 1\nraise RuntimeError('no\\nluck')\n")
    before = list(sys.path)
    for _ in range(2):
        with pytest.raises(BrokenFile) as caught:
            run_file(file)
        assert (caught.value.place, caught.value.said) == (", line 2", "RuntimeError: no luck")
        with pytest.raises(SpaceError, match=r"failing_file\.py, line 2: RuntimeError: no luck$"):
            load_file(file)
    assert sys.path == before and not any(name.startswith("failing_file") for name in sys.modules)


def test_a_field_of_a_class_of_ones_own_is_told_as_python_does(tmp_path: Path) -> None:
    text = "from dataclasses import dataclass\n@dataclass\nclass Mine:\n    width: int = 3\nMine(wdith=4)\n"
    with pytest.raises(SpaceError, match=r"line 5: TypeError: Mine\.__init__\(\) got an unexpected keyword argument 'wdith'"):
        load_file(written(tmp_path / "own.py", text))


def test_what_is_no_python_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpaceError, match="No such file"):
        load_file(tmp_path / "none.py")
    with pytest.raises(FileNotFoundError):
        run_file(tmp_path / "none.py")
    with pytest.raises(SpaceError, match=r"is no Python file; expected a name that ends in \.py"):
        load_file(written(tmp_path / "notes.txt", "hello"))
    with pytest.raises(SpaceError, match=r"names no object; expected FILE\.py:NAME or module:NAME"):
        load_object("os")
    with pytest.raises(SpaceError, match="there is no file and no module 'nowhere_at_all'"):
        load_object("nowhere_at_all:x")
    monkeypatch.setitem(sys.modules, "another", types.ModuleType("another"))
    sys.modules["another"].number = 3  # type: ignore[attr-defined]  # the same object, under the same name
    with pytest.raises(UnknownNameError, match=r"unknown name in .*mine\.py 'numbre'; did you mean 'number'"):
        load_object(f"{written(tmp_path / 'mine.py', 'number = 3')}:numbre")


@pytest.mark.parametrize(
    ("address", "parts", "file"),
    [
        ("mine.py:space", ("mine.py", "space"), True),
        ("mine.py", ("mine.py", ""), True),
        ("C:\\mine.py", ("C:\\mine.py", ""), True),
        ("C:\\mine.py:space", ("C:\\mine.py", "space"), True),
        ("c:space", ("c:space", ""), False),
        ("package.module:name", ("package.module", "name"), False),
        ("module:not a name", ("module:not a name", ""), False),
        ("x" * 5_000, ("x" * 5_000, ""), False),
    ],
)
def test_addresses_have_two_parts(address: str, parts: tuple[str, str], file: bool) -> None:
    assert split_address(address) == parts and is_file(address) is file


def test_neighbours_may_be_imported_while_functions_are_called(tmp_path: Path) -> None:
    (tmp_path / "late_neighbour.py").write_text("value = 7\n")
    (tmp_path / "caller.py").write_text("def f():\n    import late_neighbour\n    return late_neighbour.value\n")
    assert run_file(tmp_path / "caller.py").f() == 7
