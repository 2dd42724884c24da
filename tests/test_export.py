"""Exported files: they need nothing of this package, answer as the trained network does, and label raw photos."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nas.builder import GraphBuilder
from nas.canonical import canonical
from nas.checkpoint import save_checkpoint
from nas.costs import cost_of
from nas.data import Dataset, load_data, prepare_image
from nas.errors import EvaluationError
from nas.export import TOLERANCE, export_network
from nas.found import Found
from nas.graph import Graph
from nas.measurement import Measurement, Outcome
from nas.module import compile_source
from nas.objectives import objective
from nas.ops import Op, Shape
from nas.recipe import Recipe
from nas.record import Record
from nas.rows import EvaluationRow, NetworkRow, ProposalRow
from nas.run import open_run
from nas.settings import data_settings
from nas.source import write_source

CLASSES = ("T-shirt/top", 'quo"te', "back\\slash", "</script>\n")


def small_graph(shape: tuple[int, int, int] = (3, 12, 10)) -> Graph:
    b = GraphBuilder(shape, classes=4)
    x = b.conv(b.input, 8, 3, norm="batch", activation="relu")
    x = b.add(b.conv(x, 8, 3), x)
    return canonical(b.finish(b.linear(b.flatten(b.global_avg_pool(x)), 4)))[0]


@pytest.fixture
def photos(tmp_path: Path) -> Dataset:
    """Forty photos of four classes, 12 x 10 pixels."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    for k in range(40):
        place = folder / f"class{k % 4}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 26, 3), dtype=np.uint8)).save(place / f"{k}.png")
    return load_data(folder, image_size=(12, 10), cache_dir=tmp_path / "cache")


def recorded(folder: Path, graph: Graph, data: Dataset | None, recipe: Recipe | None = None) -> Found:
    """A run of one network with random weights that are not the initial ones."""
    graph, fingerprint = canonical(graph)
    settings = {
        "objectives": [asdict(objective(name)) for name in ("val_accuracy", "params")],
        "data": None if data is None else data_settings(data),
    }
    source = write_source(graph)
    torch.manual_seed(1)
    module = compile_source(source)
    module(torch.randn(8, *graph.input_shape))  # moves the running statistics of the batch norms
    save_checkpoint(folder / "weights" / "a.safetensors", module, torch.optim.SGD(module.parameters(), lr=0.1), epochs=1)
    with Record(folder, settings) as record:
        record.add_network(NetworkRow(fingerprint, {"params": cost_of(graph).params}, graph.to_json(), source))
        digest = record.add_recipe(recipe or Recipe())
        record.add_proposal(ProposalRow(0, fingerprint, digest, {"a": 1}))
        measured = Measurement(Outcome.COMPLETE, {"val_accuracy": 0.5}, epochs=1, checkpoint="weights/a.safetensors")
        record.add_evaluation(EvaluationRow(0, fingerprint, digest, "d", 0, 0, 1, measured))
        record.finish(0, 0)
    return open_run(folder).network(fingerprint[:10])


def alone(code: str, folder: Path) -> str:
    """Runs code in a process that cannot see this package."""
    guard = "import sys; sys.modules['nas'] = None\n"
    done = subprocess.run([sys.executable, "-c", guard + code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_photo_is_labelled_as_in_training(tmp_path: Path, photos: Dataset) -> None:
    found = recorded(tmp_path / "run", small_graph(), photos)
    written = export_network(found, tmp_path / "out" / "net.py", data=photos)
    assert written.images == len(photos.images("val")) and written.difference <= TOLERANCE
    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (33, 41), dtype=np.uint8)).save(photo)
    printed = alone(f"from net import load, predict; print(repr(predict({str(photo)!r})))", tmp_path / "out")
    shares = dict(eval(printed))
    pixels = prepare_image(photo, photos.preprocessing)[None].astype(np.float32) / 255
    mean, std = (np.array(v, dtype=np.float32).reshape(1, -1, 1, 1) for v in (photos.mean, photos.std))
    module = compile_source(found.source)
    module.load_state_dict(_weights(found))
    with torch.inference_mode():
        expected = module.eval()(torch.from_numpy((pixels - mean) / std)).softmax(1)[0]
    assert [shares[name] for name in photos.class_names] == pytest.approx(expected.tolist(), abs=1e-5)


def _weights(found: Found) -> dict[str, torch.Tensor]:
    from nas.checkpoint import read_weights

    assert found.weights is not None
    return read_weights(found.weights)


def test_the_command_line_of_the_file(tmp_path: Path, photos: Dataset) -> None:
    export_network(recorded(tmp_path / "run", small_graph(), photos), tmp_path / "net.py", data=photos)
    photo = next((tmp_path / "photos" / "class0").iterdir())
    (tmp_path / "text.jpg").write_text("no image")
    command = [sys.executable, "net.py", str(photo), "text.jpg", "missing.jpg"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert len(done.stdout.splitlines()) == 1 and done.stdout.startswith(f"{photo}: class") and done.stdout.rstrip().endswith("%")
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["text.jpg", "missing.jpg"]
    code, said = called(tmp_path)
    assert code == 2 and said == "usage: python net.py PHOTO [PHOTO ...]; prints the likeliest class of each photo and its share\n"


def called(folder: Path, *arguments: str) -> tuple[int, str]:
    """Runs `python net.py` and returns its exit code and what it said on standard error."""
    done = subprocess.run([sys.executable, "net.py", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_a_file_without_weights_says_so_and_labels_nothing(tmp_path: Path, photos: Dataset) -> None:
    export_network(recorded(tmp_path / "run", small_graph(), photos), tmp_path / "net.py", data=photos)
    (tmp_path / "net.safetensors").unlink()
    photo = next((tmp_path / "photos" / "class0").iterdir())
    missing = "net.py has no trained weights: net.safetensors does not lie beside it"
    assert called(tmp_path, str(photo)) == (2, f"{missing}\n")
    export_network(small_graph(), tmp_path / "net.py")
    assert called(tmp_path, str(photo)) == (2, f"{missing}; usage: from net import load (net.py reads no photos)\n")
    assert called(tmp_path)[0] == 2
    export_network(recorded(tmp_path / "again", small_graph(), photos), tmp_path / "my net.py", data=photos)
    said = (tmp_path / "my net.py").read_text("utf-8").split('"""')[1]
    assert "python 'my net.py' photo.jpg" in said and "import" not in said
    assert "python net.py photo.jpg" not in (tmp_path / "net.py").read_text("utf-8")


def test_the_file_says_where_it_comes_from(tmp_path: Path, photos: Dataset) -> None:
    found = recorded(tmp_path / "run", small_graph(), photos)
    export_network(found, tmp_path / "net.py", data=photos)
    text = (tmp_path / "net.py").read_text("utf-8")
    said = text.split('"""')[1]
    for words in (f"run@{found.id}", "val_accuracy 0.5000 (95 % interval", "parameters", "photos", "net.safetensors"):
        assert words in said, words
    assert "import nas" not in text and "from nas" not in text


def test_without_data_the_network_alone(tmp_path: Path) -> None:
    written = export_network(small_graph(), tmp_path / "net.py")
    assert written.weights is None and written.images and written.checked_on == "random images"
    code = "import net, torch; print(*net.load(None)(torch.zeros(2, 3, 12, 10)).shape)"
    assert alone(code, tmp_path).split() == ["2", "4"]
    assert "predict" not in (tmp_path / "net.py").read_text("utf-8").replace("import load, predict", "")


def test_arrays_that_are_no_photos(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 2, 12, 10)).astype(np.float32), np.arange(40) % 4
    data = load_data((x, y), cache_dir=tmp_path / "cache")
    module = compile_source(write_source(small_graph((2, 12, 10))))
    written = export_network(small_graph((2, 12, 10)), tmp_path / "net.py", weights=module.state_dict(), data=data)
    assert written.checked_on == "validation images"
    code = "import net, numpy as np; print(len(net.predict(np.zeros((3, 2, 12, 10), np.float32))))"
    assert alone(code, tmp_path).split() == ["3"]
    assert called(tmp_path, "photo.jpg") == (2, "usage: from net import load, predict (net.py reads no photos)\n")


def test_mirror_images_are_averaged_where_the_recipe_did(tmp_path: Path, photos: Dataset) -> None:
    recipe = Recipe(flip=True, flip_average=True)
    export_network(recorded(tmp_path / "run", small_graph(), photos, recipe), tmp_path / "net.py", data=photos)
    code = (
        "import net; from PIL import Image; import numpy as np\n"
        "a = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)\n"
        "p, q = (dict(net.predict(Image.fromarray(np.ascontiguousarray(x)))) for x in (a, a[:, ::-1]))\n"
        "print(max(abs(p[k] - q[k]) for k in p))"
    )
    assert float(alone(code, tmp_path)) < 1e-6


@pytest.mark.parametrize("flip", [True, False])
def test_whether_mirror_images_are_averaged_is_what_the_run_says_of_its_data(tmp_path: Path, photos: Dataset, flip: bool) -> None:
    named = "photos" if flip else "fashion-mnist-12k"  # the name says nothing of it
    data = replace(photos, name=named, flip=flip)
    found = recorded(tmp_path / "run", small_graph(), data, Recipe(flip_average=True))
    assert found.run.settings["data"]["flip"] is flip
    export_network(found, tmp_path / "net.py")
    assert ("MIRROR = True" in (tmp_path / "net.py").read_text(encoding="utf-8")) is flip


def test_hostile_names(tmp_path: Path, photos: Dataset) -> None:
    data = replace(photos, class_names=CLASSES, name='"""; raise SystemExit(3) #\\')
    found = recorded(tmp_path / 'r""" \\N', small_graph(), data)
    export_network(found, tmp_path / "net.py", data=data, header='x\\"""" \x00 \ud800')
    assert eval(alone("import net; print(repr(net.CLASS_NAMES))", tmp_path)) == list(CLASSES)
    export_network(found, tmp_path / "net.py")
    assert eval(alone("import net; print(repr(net.CLASS_NAMES))", tmp_path)) == list(CLASSES)


class _Scale(Op):
    """An operation of one's own whose text leaves a trace when it is executed."""

    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def call(self, module: str, *inputs: str) -> str:
        return f"scaled({inputs[0]})"

    helper = "import os\nos.environ['SCALED'] = '1'\n\n\ndef scaled(x: torch.Tensor) -> torch.Tensor:\n    return 2 * x\n"


def test_code_of_somebody_runs_only_where_trusted(tmp_path: Path, photos: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    b = GraphBuilder((3, 12, 10), classes=4)
    x = b.apply(_Scale(), b.conv(b.input, 4, 3))
    found = recorded(tmp_path / "run", b.finish(b.linear(b.flatten(b.global_avg_pool(x)), 4)), photos)
    monkeypatch.delenv("SCALED", raising=False)
    written = export_network(found, tmp_path / "net.py", data=photos)
    assert written.images == 0 and "trust-code" in str(written) and "SCALED" not in os.environ
    assert export_network(found, tmp_path / "net.py", data=photos, trust_code=True).images > 0
    assert os.environ.pop("SCALED") == "1"


def test_a_difference_is_an_error_and_leaves_nothing(tmp_path: Path, photos: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    import nas.standalone

    found = recorded(tmp_path / "run", small_graph(), photos)
    monkeypatch.setattr(nas.standalone, "_TO_INPUT", nas.standalone._TO_INPUT.replace("(x - mean)", "(x + mean)"))
    with pytest.raises(EvaluationError, match=r"differ from the trained one's by .* nothing was written"):
        export_network(found, tmp_path / "net.py", data=photos)
    assert not list(tmp_path.glob("net.*")) and not list(tmp_path.glob(".nas-export-*"))


def test_weights_of_another_network(tmp_path: Path) -> None:
    other: Any = compile_source(write_source(small_graph((2, 12, 10)))).state_dict()
    with pytest.raises(EvaluationError, match="another network's"):
        export_network(small_graph(), tmp_path / "net.py", weights=other)


def test_bad_paths_give_one_line(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"expected the name of a Python file"):
        export_network(small_graph(), tmp_path / "net.txt")
    (tmp_path / "file").write_text("")
    with pytest.raises(EvaluationError, match=r"export to .* failed"):
        export_network(small_graph(), tmp_path / "file" / "net.py")
