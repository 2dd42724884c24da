"""What README and `docs/` show is true: the README's Python runs, block after block in one folder; all commands exist with these options."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))]
BLOCKS = [block for page in PAGES for block in re.findall(r"^```(\w+)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)]
PYTHON = [text for kind, text in BLOCKS if kind == "python"]
CONSOLE = [line for kind, text in BLOCKS if kind == "console" for line in text.splitlines()]
COMMANDS = [
    part.strip() for line in CONSOLE for part in re.split(r"&&|#", line.removeprefix("$ ")) if part.strip().startswith("nas ")
]
COMMANDS += [command for page in PAGES for command in re.findall(r"`(nas (?!COMMAND)\w+ [^`]*)`", page.replace("\n", " "))]


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_every_page_is_linked(page: Path) -> None:
    assert f"(docs/{page.name})" in PAGES[0]


def test_python_blocks_run(tmp_path: Path) -> None:
    for i, text in enumerate(PYTHON):
        named = re.match(r"# (\w+\.py)\n", text)
        (tmp_path / (named[1] if named else f"block_{i}.py")).write_text(text, encoding="utf-8")
    for i, text in enumerate(PYTHON):
        named = re.match(r"# (\w+\.py)\n", text)
        script = named[1] if named else f"block_{i}.py"
        done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=400, check=False)
        assert done.returncode == 0, f"{script}: {done.stderr[-2000:]}"
    assert (tmp_path / "runs/readme/report.html").stat().st_size > 100_000
    assert "class Network" in (tmp_path / "net.py").read_text(encoding="utf-8")


def test_own_space_and_block_are_spaces(tmp_path: Path) -> None:
    import numpy as np

    from nas.library import load_space
    from nas.space import Space
    from nas.userfile import load_object

    for text in PYTHON:
        if named := re.match(r"# (\w+\.py)\n", text):
            (tmp_path / named[1]).write_text(text, encoding="utf-8")
    space = load_space(tmp_path / "my_space.py").bind((1, 28, 28), 10)
    assert space.decode(space.sample(np.random.default_rng(0))).graph.output_shape == (10,)
    block = load_object(f"{tmp_path / 'my_blocks.py'}:SqueezeExcite")(ratio=2)
    from nas.blocks import Classifier, Sequential

    assert Space(Sequential(block, Classifier()), (8, 6, 6), 3).decode({}).graph.output_shape == (3,)


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_commands_are_understood(command: str) -> None:
    from nas.cli.app import app

    app.parse_args(shlex.split(command)[1:], exit_on_error=False, print_error=False)


def test_a_wrong_command_is_not_understood() -> None:
    from cyclopts import CycloptsError

    from nas.cli.app import app

    with pytest.raises(CycloptsError):
        app.parse_args(["search", "--strateg", "x"], exit_on_error=False, print_error=False)
