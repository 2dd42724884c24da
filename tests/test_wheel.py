"""The wheel holds everything that is used at run time, and works from any folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from nas.library import networks

pytest.importorskip("hatchling", reason="hatchling, which builds the wheel, is not installed")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel installs."""
    built, site = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)], cwd=ROOT, check=True, capture_output=True
    )
    with zipfile.ZipFile(next(built.glob("paretonas-*.whl"))) as wheel:
        wheel.extractall(site)
    return site


def test_it_holds_code_spaces_and_data(installed: Path) -> None:
    def files(folder: Path) -> set[str]:
        return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts}

    assert files(ROOT / "nas") <= files(installed / "nas")
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "search_spaces").rglob("*.py")} <= files(installed / "nas")
    assert {path.name.split("-")[0] for path in installed.iterdir()} == {"nas", "paretonas"}


def test_spaces_are_found_by_name_from_another_folder(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed)}

    def said(*arguments: str) -> str:
        command = [sys.executable, "-m", "nas", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout

    code = "import nas; print(nas.__file__)"
    where = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert str(installed) in where.stdout
    assert set(json.loads(said("list", "spaces", "--json"))) == {path.stem for path in (ROOT / "search_spaces").glob("[!_]*.py")}
    assert set(json.loads(said("list", "networks", "--json"))) == set(networks())
    assert json.loads(said("show", "lenet-5", "--json"))["params"] == 61_706
    assert json.loads(said("show", "fashion_small", "--sample", "0", "--json"))["params"] > 0
