"""Definitions by name and path, and what is said of files that cannot be loaded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nas.blocks import Conv, Sequential
from nas.errors import NasError, SpaceError, UnknownNameError
from nas.library import load_space, own_blocks, shipped, spaces
from nas.notation import space_to_json
from nas.space import Space

FILE = """
from dataclasses import dataclass
from nas import Space, choice
from nas.blocks import Block, Classifier, Conv, Sequential

@dataclass(frozen=True)
class Own(Block):
    width: int = 3

    def expand(self, graph, x):
        return graph.conv(x, self.width)

body = Sequential(Conv(channels=choice(2, 4)), Own(), Classifier())
space = Space(body, input_shape=(1, 6, 6), classes=2)
closed = space.decode({"conv.channels": 4})
number = 3

def make():
    return space

def deep(depth):
    return space

def fails():
    raise ValueError("no\\nluck")
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_shipped_spaces_by_name() -> None:
    assert "fashion_small" in shipped() and list(spaces()) == list(shipped())
    assert all(line and len(line) < 130 for line in spaces().values())
    for name in shipped():
        found = load_space(name)
        assert found.name == name and load_space(str(shipped()[name])) == found
    assert load_space(load_space("fashion_small")) == load_space("fashion_small")


@pytest.mark.parametrize("name", ["", ":space", ":make", ":body", ":closed"])
def test_spaces_of_a_file(file: Path, name: str) -> None:
    found = load_space(f"{file}{name}")
    assert isinstance(found, Space) and found.name == "mine"
    assert (found.size() == 1) is (name == ":closed")
    assert load_space(f"{file}{name}") == found
    assert list(own_blocks(found)) == ["Own"]


def test_paths_and_relative_paths(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_space(file).name == "mine"
    monkeypatch.chdir(file.parent)
    assert load_space("mine.py").name == load_space("mine.py:space").name == "mine"
    assert load_space("./mine.py") == load_space(file)


def test_modules_and_json(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(file.parent))
    assert load_space("mine:space").size() == 2
    sys.modules.pop("mine", None)
    plain = Space(Sequential(Conv(3)))
    (tmp_path / "plain.json").write_bytes(space_to_json(plain))
    assert load_space(tmp_path / "plain.json") == plain and load_space(tmp_path / "plain.json").name == "plain"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("from nas import Space, chioce\n", "line 1: nas has no 'chioce'; did you mean 'choice'"),
        ("from nas.blocks import Conw\n", "line 1: nas.blocks has no 'Conw'; did you mean 'Conv'"),
        ("import nas\n\nx = chioce(1)\n", "line 3: name 'chioce' is not defined"),
        ("from nas.blocks import Conv\nConv(chanels=3)\n", "line 2: Conv has no 'chanels'; did you mean 'channels'"),
        ("from nas import Space\nSpace(bdy=3)\n", "line 2: Space has no 'bdy'; did you mean 'body'"),
        ("from nas.blocks import Conv\n\nConv(channels='8')\n", "line 3: Conv: field 'channels' is '8' of type str, expected int"),
        ("from nas.blocks import Conv\nConv()\n", "line 2: TypeError: .*missing 1 required positional argument: 'channels'"),
        ("from nas import choice\nchoice()\n", r"line 2: choice\(\) is empty"),
        ("from nas import integer\nx = integer(3, 1)\n", "line 2: .*low <= high must hold"),
        ("x = (\n", "line 1: this is no Python: '\\(' was never closed"),
        ("if True:\nx = 1\n", "line 2: this is no Python: expected an indented block"),
        ("raise RuntimeError('a\\nb')\n", "line 1: RuntimeError: a b"),
        ("import sys\nsys.exit(3)\n", "line 2: SystemExit: 3"),
        ("import nothing_of_this_name\n", "line 1: ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("x = 1\n", "unknown name in .* 'space'"),
        ("spcae = 1\n", "did you mean 'spcae'"),
        ("space = 3\n", "is int, expected a Space; write space = Space"),
        ("def space():\n    return 3\n", "is int, expected a Space"),
        ("from nas.blocks import Conv\nspace = Conv\n", "is (type|ABCMeta), expected a Space"),
    ],
)
def test_files_that_cannot_be_used_say_why_and_where(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text, encoding="utf-8")
    for _ in range(2):  # nothing of the first failure stays behind
        with pytest.raises(NasError, match=said) as caught:
            load_space(path)
        assert "\n" not in str(caught.value)
    assert not any(name.startswith("broken_") and text.startswith(("raise", "x = (")) for name in sys.modules)


def test_addresses_that_lead_nowhere(file: Path, tmp_path: Path) -> None:
    for address, error, said in (
        ("fashion_smal", UnknownNameError, "unknown space or network 'fashion_smal'; did you mean 'fashion_small'"),
        ("zzzz", UnknownNameError, "unknown space or network 'zzzz'; known: alexnet, "),
        ("", UnknownNameError, "unknown space or network ''"),
        ("x" * 5_000, UnknownNameError, "unknown space or network"),
        (str(tmp_path / "none.py"), SpaceError, "none.py: No such file"),
        (str(tmp_path / "none.py:space"), SpaceError, "none.py: No such file"),
        (str(tmp_path / "none.json"), SpaceError, "none.json: No such file"),
        (str(tmp_path / "folder" / "none"), SpaceError, "no such file; expected FILE.py, FILE.json or a name of: fashion_small"),
        ("nowhere_at_all:space", SpaceError, "there is no file and no module 'nowhere_at_all'"),
        (f"{file}:spaec", UnknownNameError, "unknown name in .*mine.py 'spaec'; did you mean 'space'"),
        (f"{file}:number", SpaceError, "is int, expected a Space"),
        (f"{file}:deep", SpaceError, r"deep\(\) missing 1 required positional argument"),
        (f"{file}:fails", SpaceError, "ValueError: no luck"),
        ("os:path", SpaceError, "expected a Space"),
    ):
        with pytest.raises(error, match=said) as caught:
            load_space(address)
        assert "\n" not in str(caught.value)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "folder.json").mkdir()
    for name in ("folder.py", "folder.json"):
        with pytest.raises(SpaceError) as caught:
            load_space(tmp_path / name)
        assert "\n" not in str(caught.value) and name in str(caught.value)
