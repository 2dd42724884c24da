"""`nas scale`: what it prints and writes, that other commands take its file, and that bad input gets one clear line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import nas
from nas.cli import main

TOY = """
def f(architecture):
    return {"val_accuracy": 1 - 1 / (1 + len(architecture.graph))}
"""
CELLS = """
from nas import Space, choice
from nas.blocks import Cell, Classifier, Conv, OneOf, Pool, Repeat, Sequential, Skip, shared

cell = shared("cell", Cell(OneOf(Skip(), Conv(None, choice(1, 3)), Pool("max", 3, 1, "same")), nodes=3))
parts = [p for n in range(2) for p in (Conv(4 * 2**n, stride=2, name=f"down{n}"), Repeat(cell, 2, name=f"cells{n}"))]
space = Space(Sequential(Conv(4, name="stem"), *parts, Classifier()), (1, 8, 8), 3)
"""
OWN = """
from dataclasses import dataclass
from nas import Space
from nas.blocks import Block, Classifier, Conv, Repeat, Sequential

@dataclass(frozen=True)
class Own(Block):
    def expand(self, graph, x):
        return graph.conv(x, x.channels)

space = Space(Sequential(Conv(4), Repeat(Own(), 2), Classifier()), (1, 8, 8), 3)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    Path("toy.py").write_text(TOY)
    Path("cells.py").write_text(CELLS)
    Path("own.py").write_text(OWN)
    return tmp_path


def answer(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    code = main(arguments)
    out, err = capsys.readouterr()
    assert code == 0, err
    return out


def test_what_it_was_and_what_it_is_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    out = answer(["scale", "cifar-resnet-20", "--repeats", "3", "--out", "big.json"], capsys).splitlines()
    assert out == [
        "cifar-resnet-20, repeats 3, width 1: params 269,722 -> 853,018, MACs 40,551,040 -> 125,485,696, depth 20 -> 56",
        "  stage1.residual  3 -> 9 times",
        "  stage2.residual  3 -> 9 times",
        "  stage3.residual  3 -> 9 times",
        "wrote big.json; nas show big.json",
    ]
    assert nas.fingerprint("big.json") == nas.fingerprint("cifar-resnet-56")
    assert "853,018 params" in answer(["show", "big.json"], capsys)


def test_a_found_cell_is_stacked(capsys: pytest.CaptureFixture[str]) -> None:
    answer(["search", "cells.py", "--evaluator", "toy.py:f", "--evaluations", "4", "--out", "runs/toy"], capsys)
    found = nas.open_run("runs/toy").best()
    out = answer(["scale", "runs/toy@best", "--repeats", "3", "--width", "2", "--input", "1x16x16", "--classes", "5"], capsys)
    assert out.startswith(f"runs/toy@{found.id}, repeats 3, width 2: params ") and "wrote runs/scaled-1.json" in out
    assert "cells0  2 -> 6 times" in out and "cells1  2 -> 6 times" in out
    graph = nas.build_graph("runs/scaled-1.json")
    assert (graph.input_shape, graph.output_shape) == ((1, 16, 16), (5,))
    answer(["scale", "runs/toy@best", "--width", "2"], capsys)
    assert nas.cost("runs/scaled-2.json").params > nas.cost("runs/toy@best").params


@pytest.mark.slow
def test_the_scaled_network_is_trained_and_exported(capsys: pytest.CaptureFixture[str]) -> None:
    answer(["scale", "cells.py", "--sample", "3", "--repeats", "2", "--classes", "5", "--out", "big.json"], capsys)
    rng = np.random.default_rng(0)
    np.savez("set.npz", x=rng.integers(0, 256, (60, 8, 8), dtype=np.uint8), y=np.arange(60) % 5)
    out = answer(["train", "big.json", "--data", "set.npz", "--epochs", "1", "--out", "trained"], capsys)
    assert "test_accuracy" in out and Path("trained").is_dir()
    answer(["export", "big.json", "net.py"], capsys)
    assert Path("net.py").is_file()


def test_several_values_are_a_space_to_search(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["scale", "cells.py", "--sample", "3", "--repeats", "1,2", "--width", "1,1.5", "--out", "macro.json"]
    out = answer(command, capsys)
    facts = json.loads(answer([*command, "--json"], capsys))
    assert "cells0  2 -> 2 to 4 times" in out and out.endswith(
        "wrote macro.json, a space of 4 networks; nas search macro.json --data DATA\n"
    )
    assert "scaled.repeats  choice(1, 2)" in answer(["show", "macro.json"], capsys)
    answer(["search", "macro.json", "--evaluator", "toy.py:f", "--evaluations", "4", "--out", "m"], capsys)
    assert set(nas.open_run("m").trials()["fingerprint"]) == {entry["fingerprint"] for entry in facts["scaled"]}
    assert [(entry["repeats"], entry["width"]) for entry in facts["scaled"]] == [(1, 1), (1, 1.5), (2, 1), (2, 1.5)]
    assert {name: facts["scaled"][0][name] for name in facts["was"]} == facts["was"]
    assert facts["file"] == "macro.json" and facts["repetitions"][0] == {"path": "cells0", "was": 2, "fewest": 2, "most": 4}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cifar-resnet-20", "--repeats", "many"], "--repeats 'many' cannot be read; expected a number such as 3 or 1.5"),
        (["cifar-resnet-20", "--width", "-1"], "width is -1, expected numbers above 0"),
        (["cifar-resnet-20", "--width", "nan"], "width is nan, expected numbers above 0"),
        (["cifar-resnet-20", "--width", "inf"], "width is inf, expected numbers above 0"),
        (["cifar-resnet-20", "--repeats", "2,2"], "choice() holds 2 more than once"),
        (["cifar-resnet-20", "--repeats", ""], "--repeats '' cannot be read"),
        (["googlenet", "--repeats", "2"], "nothing in googlenet is repeated"),
        (["fashion_small", "--repeats", "2"], "expected one network; draw one with --sample SEED"),
        (["cifar-resnet-20", "--repeats", "2", "--out", "big.py"], "--out 'big.py' does not end in .json"),
        (["cifar-resnet-20", "--repeats", "2", "--out", "no/big.json"], "no/big.json cannot be written: No such file or directory"),
        (["vgg-a", "--repeats", "2", "--input", "3x8x8"], "cannot be applied to (512, 1, 1)"),
        (["own.py", "--repeats", "2"], "Own: blocks of somebody's own cannot be read back from a file"),
    ],
)
def test_bad_input_gets_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scale", *arguments]) == 2
    out, err = capsys.readouterr()
    assert not out and len(err.strip().splitlines()) == 1 and said in err, err
    assert not list(Path.cwd().rglob("*.tmp"))


def test_another_file_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "large.json"
    assert main(["scale", "cifar-resnet-20", "--repeats", "2", "--out", str(file)]) == 0
    was = file.read_bytes()
    assert main(["scale", "cifar-resnet-20", "--repeats", "2", "--out", str(file)]) == 0  # the same again is no harm
    capsys.readouterr()
    assert main(["scale", "cifar-resnet-20", "--repeats", "3", "--out", str(file)]) == 2
    assert capsys.readouterr().err == f"error: {file} exists already and is left as it is; choose another name with --out\n"
    assert file.read_bytes() == was
