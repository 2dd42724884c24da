"""A block of a user's own, in a file and in a notebook cell: searches, trains, exports, resumes; its run is read without it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

CELL = '''
from dataclasses import dataclass

import nas
from nas import Space, choice, integer
from nas.blocks import Block, Classifier, Conv, GraphBuilder, Node, Repeat, Sequential
from nas.ops import Op


@dataclass(frozen=True)
class Gate(Block):
    """Scales each channel by what its mean says."""

    ratio: int = 2

    def expand(self, graph: GraphBuilder, x: Node) -> Node:
        s = graph.global_avg_pool(x)
        s = graph.conv(s, channels=max(1, x.channels // self.ratio), kernel=1, activation="relu")
        return graph.multiply(x, graph.apply(Squash(), graph.conv(s, channels=x.channels, kernel=1)))


@dataclass(frozen=True)
class Squash(Op):
    """Half of one plus a hyperbolic tangent: a primitive operation that the package does not have."""

    helper = "def squash(x: torch.Tensor) -> torch.Tensor:\\n    return 0.5 + 0.5 * torch.tanh(x)\\n"

    def shape(self, *inputs):
        return inputs[0]

    def call(self, module, *inputs):
        return f"squash({inputs[0]})"


space = Space(
    body=Sequential(
        Conv(channels=choice(4, 6), name="stem"),
        Repeat(Sequential(Conv(channels=choice(4, 8)), Gate(ratio=choice(2, 4))), times=integer(1, 2), name="stage"),
        Classifier(),
    ),
    name="own",
)
'''

SEARCH = """
run = nas.search({space}, data="data.npz", evaluations={n}, epochs=1, workers=1, out="runs/own")
assert len(run.trials()) == {n} and (run.trials().outcome == "complete").all(), run.trials()[["outcome", "error"]].to_string()
"""

EXPORT = """
said = run.best().export("net.py")
print(said)
"""

STRANGER = """
import nas
run = nas.open_run("runs/own")
run.report("report.html")
assert "squash" in run.network("best").source
assert len(run.front()) >= 1 and nas.cost("runs/own@best").params == run.front().params[0]
"""


def python(code: str, folder: Path) -> str:
    """Runs code as a notebook does: in a main module that no file holds."""
    done = subprocess.run([sys.executable, "-"], input=code, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with ninety tiny images of two classes."""
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 2
    images = rng.integers(0, 120, (90, 8, 8), dtype=np.uint8) + (labels * 120).astype(np.uint8)[:, None, None]
    np.savez(tmp_path / "data.npz", x=images, y=labels)
    return tmp_path


def read_by_a_stranger(folder: Path) -> None:
    """Reports the run where neither the block nor the space nor the data is."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (folder / "runs").rename(elsewhere / "runs")
    python(STRANGER, elsewhere)
    assert (elsewhere / "report.html").stat().st_size > 100_000
    alone = "import sys; sys.modules['nas'] = None; from net import load; assert load() is not None"
    subprocess.run([sys.executable, "-c", alone], cwd=folder, check=True, timeout=120)


def test_in_a_notebook_cell(folder: Path) -> None:
    python(CELL + SEARCH.format(space="space", n=2), folder)
    python(CELL + SEARCH.format(space="space", n=3) + EXPORT, folder)  # the same cells again go on
    read_by_a_stranger(folder)


def test_in_a_file(folder: Path) -> None:
    (folder / "own.py").write_text(CELL, encoding="utf-8")
    python("import nas" + SEARCH.format(space='"own.py"', n=2), folder)
    python('import nas\nrun = nas.resume("runs/own", evaluations=3)\nassert len(run.trials()) == 3' + EXPORT, folder)
    assert (folder / "net.safetensors").exists()
    (folder / "own.py").unlink()
    read_by_a_stranger(folder)
