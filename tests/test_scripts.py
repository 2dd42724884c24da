"""The example scripts run; training is replaced by a quick evaluator, everything else is as it stands in them."""

from __future__ import annotations

import io
import os
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas
import pytest
from PIL import Image

import nas
from nas.ops import Add

SCRIPTS = Path(__file__).parents[1] / "scripts"


def quick(architecture: Any) -> dict[str, float]:
    return {"val_accuracy": 1 - 1 / (1 + len(architecture.graph))}


def test_search_and_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    asked: dict[str, Any] = {}
    search = nas.search

    def quickly(space: nas.Space, data: str, **options: Any) -> nas.Run:
        asked.update(options, data=data)
        return search(space.bind((1, 28, 28), 10), evaluator=quick, **{**options, "budget": None, "evaluations": 6})

    monkeypatch.setattr(nas, "search", quickly)
    script = runpy.run_path(str(SCRIPTS / "search.py"))
    monkeypatch.setattr(nas.Run, "front", _with_intervals(nas.Run.front))
    script["main"]()
    assert asked["data"] == "fashion-mnist-12k"
    assert Path("runs/example/report.html").stat().st_size > 100_000
    assert "class Network" in Path("runs/example/net.py").read_text()
    capsys.readouterr()
    runpy.run_path(str(SCRIPTS / "report.py"))["main"]("runs/example")
    printed = capsys.readouterr().out
    assert "stem.channels" in printed and "complete    6" in printed
    assert len(Path("runs/example/networks.csv").read_text().splitlines()) == 7


def _with_intervals(front: Any) -> Any:
    """Adds the columns that a run on images has, and one with an evaluator of its own has not."""
    return lambda run: front(run).assign(val_accuracy_low=0.0, val_accuracy_high=1.0)


# ---- CIFAR-10

NUMBERS = np.random.default_rng(0).integers(0, 256, (60, 3, 32, 32), dtype=np.uint8)
CLASSES = np.arange(60, dtype=np.uint8) % 10


def binaries(folder: Path) -> None:
    """Five files of ten training images, and one of ten test images."""
    records = np.concatenate([CLASSES[:, None], NUMBERS.reshape(60, -1)], axis=1)
    for number, name in enumerate([*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]):
        records[10 * number : 10 * number + 10].tofile(folder / name)


def scans(folder: Path) -> None:
    """The same images as JPEG, whose first two bytes are kept apart."""
    for name, part in (("train", slice(50)), ("test", slice(50, 60))):
        body, offset = b"", [0]
        for image in NUMBERS[part]:
            stream = io.BytesIO()
            Image.fromarray(image.transpose(1, 2, 0)).save(stream, "JPEG", quality=100, subsampling=0)
            body += stream.getvalue()[2:]
            offset.append(len(body))
        arrays = {"header": b"\xff\xd8", "body": body}
        stored = {key: np.frombuffer(value, np.uint8) for key, value in arrays.items()}
        np.savez(folder / f"cifar10_jpeg_{name}.npz", offset=np.array(offset), label=CLASSES[part], **stored)


@pytest.mark.parametrize(("write", "off"), [(binaries, 0), (scans, 8)])
def test_cifar10_is_read_in_either_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None], off: int
) -> None:
    write(tmp_path)
    monkeypatch.setenv("CIFAR10", str(tmp_path))
    script = runpy.run_path(str(SCRIPTS / "cifar10.py"))
    script["data"].__globals__["VALIDATION"] = 10
    splits = script["data"]()
    assert {name: images.shape for name, (images, _) in splits.items()} == {
        "train": (40, 3, 32, 32), "val": (10, 3, 32, 32), "test": (10, 3, 32, 32)
    }  # fmt: skip
    order = np.random.default_rng(0).permutation(50)
    for name, places in (("val", order[:10]), ("train", order[10:]), ("test", np.arange(50, 60))):
        images, labels = splits[name]
        assert np.array_equal(labels, CLASSES[places]) and labels.dtype == np.int64
        assert np.abs(images.astype(int) - NUMBERS[places]).max() <= off


# ---- figures

NETS = """
from nas import Space
from nas.blocks import Classifier, Conv, Pool, Sequential


def of(width):
    return Space(body=Sequential(Conv(channels=width), Pool(), Conv(channels=2 * width), Classifier()))


small, middle, large = of(2), of(8), of(32)
"""


def main_of(name: str) -> Callable[[list[str]], None]:
    found: Callable[[list[str]], None] = runpy.run_path(str(SCRIPTS / name))["main"]
    return found


def patched(main: Callable[[list[str]], None], monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    monkeypatch.setitem(main.__globals__, name, value)


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(NETS)
    labels = np.arange(120) % 3
    pixels = np.random.default_rng(0).integers(0, 80, (120, 8, 8, 1)) + 80 * labels[:, None, None, None]
    np.savez(tmp_path / "images.npz", x=pixels.astype(np.uint8), y=labels)
    return "images.npz"


def check_figure(folder: Path, name: str) -> str:
    """Returns the SVG's text after a look at both files."""
    svg = (folder / f"{name}.svg").read_text(encoding="utf-8")
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg") and len(list(root.iter())) > 50
    pdf = (folder / f"{name}.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-") and pdf.rstrip().endswith(b"%%EOF")
    return svg


class Clock:
    """Stands in for the stopwatch: a millisecond for each thousand characters of source and image."""

    machine = "a machine, 1 thread, float32"

    def __init__(self, device: str, threads: int) -> None:
        pass

    def __enter__(self) -> Clock:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def measure(self, source: str, input_shape: tuple[int, ...], batch: int, *, repeats: int) -> Any:
        from nas.stopwatch import Timing

        if "32, 64" in source and batch == 4:
            return Timing(batch, error="killed by the system, which ran out of memory")
        seconds = 1e-6 * len(source) * batch
        return Timing(batch, (seconds, 2 * seconds, 0.5 * seconds), 10**6 * batch, processor=0.5)


def test_complexity_of_networks_and_a_run(tmp_path: Path, images: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = nas.search("fashion_small", evaluator=quick, evaluations=5, out=tmp_path / "found")
    Path("published.csv").write_text("network,accuracy,source\nnets.py:small,71.5,a paper\nnets.py:large,90,a paper\nother,1,x\n")
    main = main_of("complexity.py")
    patched(main, monkeypatch, "Stopwatch", Clock)
    options = "--accuracy published.csv --input 1x8x8 --classes 3 --batches 4,1 --out figures"
    main(["nets.py:small", "nets.py:middle", "nets.py:large", "found", "found@best", *options.split()])

    networks = pandas.read_csv("figures/networks.csv").set_index("network")
    cost = nas.cost(nas.load_space("nets.py:large").bind((1, 8, 8), 3))
    large = networks.loc["nets.py:large"]
    assert (large["params"], large["macs"], large["flops"]) == (cost.params, cost.macs, cost.flops)
    assert (large["accuracy"], large["accuracy_from"]) == (0.9, "a paper")
    assert large["percent_per_million_params"] == pytest.approx(90e6 / cost.params)
    assert np.isnan(networks.loc["nets.py:middle", "accuracy"])
    trials = run.trials()
    found = networks[networks["accuracy_from"].str.startswith("run found", na=False)]
    assert found.loc[f"found@{run.best().id}"]["accuracy"] == trials["val_accuracy"].max()
    assert sorted(found["accuracy"]) == pytest.approx(sorted(trials["val_accuracy"].dropna()))

    measured = pandas.read_csv("figures/measurements.csv")
    named = 3 + len(run.front())
    assert len(measured) == 2 * named and measured["network"].nunique() == named
    row = measured[(measured["network"] == "nets.py:small") & (measured["batch"] == 4)].iloc[0]
    assert row["seconds_min"] * 2 == pytest.approx(row["seconds"]) and row["seconds_max"] == pytest.approx(2 * row["seconds"])
    assert row["seconds_per_image"] == pytest.approx(row["seconds"] / 4)
    small = nas.cost(nas.load_space("nets.py:small").bind((1, 8, 8), 3))
    assert row["computed_bytes"] == small.weight_bytes + 4 * small.activation_memory

    for name in ("density", "time-batch", "memory-batch", "time-operations"):
        assert "nets.py:large" in check_figure(Path("figures"), name)
    drawn = check_figure(Path("figures"), "accuracy-operations")
    assert "<title>nets.py:large: 90.00 %" in drawn and "nets.py:middle" not in drawn
    page = Path("figures/index.html").read_text(encoding="utf-8")
    assert page.count("<figure>") == 5 and "Without an accuracy: nets.py:middle." in page
    assert "Other work held the processor: the networks had it 50% of the time" in page
    assert not re.search(r"(src|href)=.?http|url\(.?http|@import", page)  # it opens offline


def test_complexity_names_a_network_of_a_run_that_is_asked_for_beside_the_run(tmp_path: Path) -> None:
    run = nas.search("fashion_small", evaluator=quick, evaluations=5, out=tmp_path / "found")
    gather = main_of("complexity.py").__globals__["gather"]
    off = next(id for id in run.trials()["id"] if id not in set(run.front()["id"]))
    asked, folder = f"{run.folder}@{off}", str(run.folder)
    for addresses in ([asked, folder], [folder, asked]):
        named = {entry.name for entry in gather(addresses, None, None, 1) if entry.named}
        assert asked in named and len(named) == 2


def test_complexity_draws_discs_whose_area_is_the_parameters(tmp_path: Path, images: str, monkeypatch: pytest.MonkeyPatch) -> None:
    main = main_of("complexity.py")
    patched(main, monkeypatch, "Stopwatch", Clock)
    kept: list[Any] = []
    save = main.__globals__["save_figure"]
    patched(main, monkeypatch, "save_figure", lambda figure, *rest: kept.append(figure) or save(figure, *rest))
    Path("acc.csv").write_text("network,accuracy\nnets.py:small,0.5\nnets.py:large,0.9\n")
    main(["nets.py:small", "nets.py:large", "--accuracy", "acc.csv", "--input", "1x8x8", "--classes", "3", "--batches", "1"])
    discs = kept[0].axes[0].collections
    areas = {float(disc.get_offsets()[0][1]): float(disc.get_sizes()[0]) for disc in discs}
    params = {p: nas.cost(nas.load_space(f"nets.py:{n}").bind((1, 8, 8), 3)).params for p, n in ((50, "small"), (90, "large"))}
    assert areas[90] / areas[50] == pytest.approx(params[90] / params[50])
    assert {path.name for path in Path("runs/complexity").glob("*.pdf")} >= {"accuracy-operations.pdf", "density.pdf"}


@pytest.mark.slow
def test_complexity_trains_and_measures(tmp_path: Path, images: str) -> None:
    arguments = ["nets.py:small", "nets.py:middle", "nets.py:large", "--data", images, "--epochs", "1", "--batches", "1,2"]
    main_of("complexity.py")([*arguments, "--repeats", "3", "--out", "figures"])
    networks, measured = pandas.read_csv("figures/networks.csv"), pandas.read_csv("figures/measurements.csv")
    assert networks["accuracy"].between(0, 1).all() and (networks["accuracy_low"] < networks["accuracy_high"]).all()
    page = Path("figures/index.html").read_text(encoding="utf-8")
    assert nas.Recipe() == main_of("complexity.py").__globals__["RECIPE"], "that of baselines"
    assert f"Recipe of what was trained here: batch_size {nas.Recipe().batch_size}, lr " in page
    assert networks["accuracy_from"].str.startswith("trained here").all() and (networks["input"] == "1x8x8").all()
    assert len(measured) == 6 and measured["error"].isna().all()
    assert (measured["seconds"] > 0).all() and (measured["seconds_min"] <= measured["seconds"]).all()
    assert (measured["seconds"] <= measured["seconds_max"]).all() and (measured["calls"] == 3).all()
    for name in ("accuracy-operations", "density", "time-batch", "memory-batch", "time-operations"):
        check_figure(Path("figures"), name)


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        ("network,share\na,0.5\n", [], "network,accuracy"),
        ("network,accuracy\na,fine\n", [], "'fine'"),
        ("network,accuracy\na,120\n", [], "120 of a"),
        ("network,accuracy\nnets.py:small,0.5\n", ["--batches", "0,1"], "--batches '0,1'"),
        ("network,accuracy\nnets.py:small,0.5\n", ["--threads", "0"], "threads is 0"),
        ("network,accuracy\nnets.py:small,0.5\n", ["nets.py:smal"], "did you mean 'small'"),
        ("network,accuracy\nnets.py:small,0.5\n", ["--epochs", "0"], "--epochs is 0, expected at least 1"),
        ("network,accuracy\nnets.py:small,0.5\n", ["--most", "-1"], "--most is -1, expected at least 1"),
    ],
)
def test_complexity_refuses_in_one_line(
    rows: str, options: list[str], words: str, images: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("acc.csv").write_text(rows)
    main = main_of("complexity.py")
    if "--threads" not in options:
        patched(main, monkeypatch, "Stopwatch", Clock)
    with pytest.raises(SystemExit) as left:
        main(["nets.py:small", *options, "--accuracy", "acc.csv", "--input", "1x8x8", "--classes", "3"])
    said = capsys.readouterr().err
    assert left.value.code == 2 and words in said and said.count("\n") == 1


@pytest.mark.parametrize("arguments", [["complexity.py", "nets.py:small"], ["depth.py"]])
def test_the_missing_extra_is_named(
    arguments: list[str], images: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit) as left:
        main_of(arguments[0])(arguments[1:])
    assert left.value.code == 2 and "paretonas[paper]" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["complexity.py", "depth.py"])
def test_help_explains_each_option_with_its_default(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main_of(name)(["--help"])
    said = capsys.readouterr().out
    assert (
        left.value.code == 0 and "(default: runs/" in " ".join(said.split()) and "arXiv" in said and "(default: None)" not in said
    )
    for option in re.split(r"^  (?=--)", said.partition("options:")[2], flags=re.MULTILINE)[1:]:
        assert len(option.split()) > 3, option


def test_depth_writes_the_networks_of_the_paper() -> None:
    network = runpy.run_path(str(SCRIPTS / "depth.py"))["network"]
    plain, residual = (network(family, 20, 16).bind((3, 32, 32), 10) for family in ("plain", "residual"))
    assert nas.cost(plain).params == nas.cost(residual).params == 269_722  # CIFAR ResNet-20 with option A
    assert nas.cost(plain).macs == nas.cost(residual).macs
    assert nas.cost(plain).depth == 20
    sums = [sum(isinstance(op, Add) for op in nas.build_graph(space).ops) for space in (plain, residual)]
    assert sums == [0, 9]


@pytest.mark.slow
def test_depth_trains_keeps_and_goes_on(images: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    main = main_of("depth.py")
    arguments = ["--data", images, "--epochs", "2", "--width", "2", "--out", "curves"]
    main([*arguments, "--depths", "8"])
    curves, final = pandas.read_csv("curves/curves.csv"), pandas.read_csv("curves/final.csv")
    assert sorted(zip(curves["family"], curves["epoch"], strict=True)) == [(f, e) for f in ("plain", "residual") for e in (1, 2)]
    assert curves[["train_error", "val_error"]].stack().between(0, 100).all()
    assert list(final["family"]) == ["plain", "residual"] and final["params"].nunique() == 1
    last = curves[curves["epoch"] == 2].set_index("family")["val_error"]
    assert list(final["val_error"]) == [last["plain"], last["residual"]]
    assert (final["val_low"] <= final["val_error"]).all() and (final["val_error"] <= final["val_high"]).all()
    assert "8 layers, validation" in check_figure(Path("curves"), "depth")
    assert "<svg" in Path("curves/index.html").read_text(encoding="utf-8")

    before = os.stat("curves/curves.csv").st_mtime_ns
    patched(main, monkeypatch, "TrainingEvaluator", None)  # nothing is trained again
    main([*arguments, "--depths", "8"])
    assert os.stat("curves/curves.csv").st_mtime_ns == before
    refused = (
        (["--lr", "0.2"], "other settings"),
        (["--depths", "9"], "6n + 2"),
        (["--families", "p"], "'p'"),
        (["--epochs", "0"], "--epochs is 0"),
    )
    for options, words in refused:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([*arguments, *options])
        said = capsys.readouterr().err
        assert left.value.code == 2 and words in said and said.count("\n") == 1
