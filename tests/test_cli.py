"""The command line without training: what it prints, and that bad input gets one clear line and exit code 2."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from nas.blocks import BLOCKS
from nas.cli import main
from nas.cli.app import COMMANDS
from nas.final import TrainingStopped

HEAD = "from nas import Space, choice, integer, real\nfrom nas.blocks import *\n"
TOY = """
def f(architecture):
    return {"val_accuracy": 1 - 1 / (1 + len(architecture.graph))}

def wrong(architecture):
    return {"loss": 1.0}

def constant(graph):
    return 7
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a toy evaluator, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    Path("toy.py").write_text(TOY)
    return tmp_path


TOY_SEARCH = ["search", "fashion_small", "--evaluator", "toy.py:f", "--evaluations", "5", "--out", "runs/toy"]


def refused(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Runs a command that must fail with one line, and returns that line."""
    code = main(arguments)
    out, err = capsys.readouterr()
    assert code == 2, f"exit code {code}: {out}{err}"
    lines = err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), err
    assert "Traceback" not in err
    return lines[0]


def answer(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Runs a command that must succeed, and returns its standard output."""
    code = main(arguments)
    out, err = capsys.readouterr()
    assert code == 0, err
    return out


# ---- help and the parser


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = answer([command, "--help"], capsys)
    assert f"Usage: nas {command}" in text
    shown = [line for line in text.splitlines() if re.search(r"│ (\*\s+)?(--)?[a-zA-Z]", line)]
    assert shown
    for line in shown:
        assert len(line.strip("│ ").split()) > 1, f"no word of help: {line}"


def test_help_shows_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(answer(["search", "--help"], capsys).replace("│", " ").split())
    for default in ("val_accuracy,params", "3", "auto", "1h", "0"):
        assert f"[default: {default}]" in text
    for option in ("--workers", "--out", "--val-share", "--recipe"):
        assert re.search(rf"{option} [A-Z]+[^[]*when left out", text), option


def test_help_of_the_whole_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    text = answer(["--help"], capsys)
    assert [name for name in COMMANDS if f"│ {name} " not in text] == []


def test_the_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(answer(["--version"], capsys).strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serach", "x"], "did you mean 'search'"),
        (["search", "fashion_small", "--strateg", "random"], "--strategy"),
        (["search"], "SPACE"),
        (["search", "fashion_small", "--evaluations", "many"], "many"),
        (["show", "fashion_small", "--level", "blok"], "blok"),
        (["list", "spacs"], "spaces"),
        (["list", "spaces", "again"], "again"),
        (["search", "fashion_small", "--seed"], "--seed"),
        (["search", "fashion_small", "--evaluations", "+0"], "at least 1"),
        (["show", "vgg_like", "--sample", "1", "--input", "3x32x32", "--classes", "0"], '"0" for --classes. Must be >= 2'),
        (["profile", "vgg_like", "--epochs", "0"], "--epochs '0' cannot be used"),
        (["profile", "vgg_like", "--epochs", "3,1"], "--epochs '3,1' cannot be used"),
        (["profile", "vgg_like", "--budget", "soon"], "budget 'soon' cannot be read; expected a time such as 90s, 30min or 4h"),
        (["search", "vgg_like", "--evaluations", "1", "--deadline", "soon"], "deadline 'soon' cannot be read"),
        (["profile", "vgg_like", "--input", "3x32x32", "--classes", "1"], '"1" for --classes. Must be >= 2'),
        (["export", "vgg_like", "n.py", "--sample", "1", "--classes", "-3"], '"-3" for --classes. Must be >= 2'),
    ],
)
def test_the_parser_complains_in_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said in refused(arguments, capsys)


# ---- what can be looked at without a run


@pytest.mark.parametrize("kind", ["strategies", "spaces", "data", "objectives", "blocks", "networks"])
def test_lists_agree_with_their_json(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    known = json.loads(answer(["list", kind, "--json"], capsys))
    text = answer(["list", kind], capsys)
    assert all(name in text and about for name, about in known.items())
    assert known or kind == "networks"


@pytest.mark.parametrize("name", BLOCKS)
def test_each_block_shows_what_it_is_written_with(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = answer(["list", "blocks", name], capsys)
    whole = json.loads(answer(["list", "blocks", name, "--json"], capsys))
    shown = [line.split()[0] for line in text.split("\n\n")[0].splitlines()[1:]]
    assert shown == list(whole["arguments"])
    assert [argument.strip("*") for argument in shown] == list(inspect.signature(BLOCKS[name]).parameters)
    assert (BLOCKS[name].__doc__ or "?").splitlines()[0] in text


def test_one_block_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert re.search(r"^  nodes +=? 4 ", answer(["list", "blocks", "Cell"], capsys), re.MULTILINE)
    assert "did you mean 'Conv'" in refused(["list", "blocks", "Convo"], capsys)
    assert "cell is called 'Cell' here" in refused(["list", "blocks", "cell"], capsys)


def test_show_a_space(capsys: pytest.CaptureFixture[str]) -> None:
    text = answer(["show", "fashion_small"], capsys)
    assert "16,397,004,358,499,400" in text
    assert "stage[*].pool.kind" in text
    whole = json.loads(answer(["show", "fashion_small", "--json"], capsys))
    assert whole["genotypes"] == 16397004358499400
    assert whole["decisions"]["stem.channels"] == "choice(8, 16, 32)"


def test_show_a_sample_and_its_json(capsys: pytest.CaptureFixture[str]) -> None:
    text = answer(["show", "fashion_small", "--sample", "3"], capsys)
    whole = json.loads(answer(["show", "fashion_small", "--sample", "3", "--json"], capsys))
    assert {"name", "params", "macs", "layers"} <= whole.keys()
    assert f"{whole['params']:,}" in text and whole["fingerprint"] in text
    assert sum(layer["params"] for layer in whole["layers"]) == whole["params"]
    stages = json.loads(answer(["show", "fashion_small", "--sample", "3", "--level", "stage", "--json"], capsys))
    assert len(stages["layers"]) < len(whole["layers"])


def test_show_source_and_picture(capsys: pytest.CaptureFixture[str]) -> None:
    source = answer(["show", "fashion_small", "--sample", "3", "--source", "--svg", "net.svg"], capsys)
    assert "class Network(nn.Module)" in source
    assert Path("net.svg").read_text().startswith("<svg")


def test_a_space_that_leaves_the_images_open_takes_them_from_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--input 3x32x32" in refused(["show", "vgg_like", "--sample", "1"], capsys)
    shown = json.loads(answer(["show", "vgg_like", "--sample", "1", "--input", "3x32x32", "--classes", "7", "--json"], capsys))
    assert (shown["input_shape"], shown["output_shape"]) == ([3, 32, 32], [7])
    assert "channels x height x width" in refused(["show", "vgg_like", "--sample", "1", "--input", "32"], capsys)


def test_contains(capsys: pytest.CaptureFixture[str]) -> None:
    body = "Sequential(Conv(channels={}, kernel=3, name='stem'), Classifier())"
    for name, channels in (("open", "choice(8, 16)"), ("inside", "16"), ("outside", "17")):
        Path(f"{name}.py").write_text(f"{HEAD}space = Space({body.format(channels)}, (1, 8, 8), 3)")
    assert answer(["show", "open.py", "--contains", "inside.py"], capsys).startswith("yes")
    assert json.loads(answer(["show", "open.py", "--contains", "inside.py", "--json"], capsys))["genotype"] == {"stem.channels": 16}
    assert main(["show", "open.py", "--contains", "outside.py"]) == 1
    assert capsys.readouterr().out.startswith("no: ")


def test_contains_a_network_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    answer([*TOY_SEARCH[:-3], "1", "--out", "r", "--baselines", "lenet-5"], capsys)
    found = json.loads(answer(["show", "fashion_small", "--contains", "r@best", "--json"], capsys))
    assert found["contains"] and found["genotype"]["stem.channels"] in (8, 16, 32)
    text = answer(["show", "fashion_small", "--contains", "r@best"], capsys).splitlines()
    assert text[0] == "yes, with these decisions:"
    assert f"  stem.channels  {found['genotype']['stem.channels']}" in [re.sub(r"(\S) +", r"\1  ", line) for line in text]
    assert "known by its operations alone" in refused(["show", "fashion_small", "--contains", "r@lenet-5"], capsys)
    assert "fingerprint" in answer(["show", "r@lenet-5"], capsys)


def test_profile(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["profile", "fashion_small", "--samples", "40", "--constraint", "params<=100k"]
    assert "16,397,004,358,499,400" in answer(arguments, capsys)
    whole = json.loads(answer([*arguments, "--json"], capsys))
    assert 0 < whole["valid"] <= 1 and whole["params"]["1"] <= 100_000
    assert whole["candidates"] is None


def test_new_writes_a_space_that_loads(capsys: pytest.CaptureFixture[str]) -> None:
    assert "nas profile my.py" in answer(["new", "my.py", "--from", "vgg_like"], capsys)
    assert "genotypes" in answer(["show", "my.py"], capsys)
    assert "exists already" in refused(["new", "my.py", "--from", "vgg_like"], capsys)
    assert "did you mean 'vgg_like'" in refused(["new", "your.py", "--from", "vgg_lik"], capsys)
    assert "your.py" in refused(["new", "your.txt", "--from", "vgg_like"], capsys)
    assert "cannot be written" in refused(["new", "nowhere/your.py"], capsys)


@pytest.mark.skipif(os.name == "nt", reason="quotes of POSIX")
def test_paths_to_paste_are_quoted(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(["new", "my space.py"], capsys).rstrip().endswith("nas profile 'my space.py'")
    answer([*TOY_SEARCH[:-1], "a run"], capsys)
    told = answer(["report", "a run"], capsys)
    assert "nas show 'a run@best'" in told and "nas export 'a run@best' net.py" in told and "nas report" not in told


def test_data(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    np.savez("set.npz", x=rng.integers(0, 256, (60, 8, 8), dtype=np.uint8), y=np.arange(60) % 3)
    assert "1 x 8 x 8" in answer(["data", "set.npz"], capsys)
    whole = json.loads(answer(["data", "set.npz", "--json", "--val-share", "0.25"], capsys))
    assert whole["input_shape"] == [1, 8, 8] and len(whole["class_names"]) == 3


# ---- bad input: spaces

SPACES = {
    "space = Space(Conv(chanels=8))": "chanels",
    "spcae = Space(Conv(channels=8))": "did you mean 'spcae'",
    "space = Space(Conv(channels=8)": "line 3",
    "from nas.blocks import Sequental\nspace = 1": "Sequential",
    "space = Spaec(Conv(channels=8))": "Spaec",
    "space = 3": "expected a Space",
    "space = Space(Conv(channels=choice()))": "choice() is empty",
    "space = Space(Sequential(choice(Conv(8), Pool('max'))))": "OneOf",
    "space = Space(Repeat(Conv(8), times=integer(4, 2)))": "low <= high",
    "space = Space(Conv(channels=real(2.0, 1.0)))": "low <= high",
    "space = Space(Sequential(Conv(8, kernel=9, padding=0), Classifier()), (1, 4, 4), 2)": "9",
    "space = Space(Sequential(*[Pool('max', kernel=2)] * 4, Classifier()), (1, 8, 8), 2)": "pool",
    "space = Space(Sequential(Parallel(Conv(8), Conv(16), merge='add'), Classifier()), (1, 8, 8), 2)": "8",
}


@pytest.mark.parametrize(("text", "said"), SPACES.items())
def test_a_space_written_wrongly(text: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.py").write_text(HEAD + text)
    assert said in refused(["show", "bad.py"], capsys)


def test_a_space_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean 'fashion_small'" in refused(["show", "fashion_smal"], capsys)
    assert "no such file" in refused(["profile", "spaces/nope.py"], capsys).lower()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("vgg-16", "vgg-16 is called 'vgg-d' here"),
        ("VGG16", "VGG16 is called 'vgg-d' here"),
        ("vgg_19", "vgg_19 is called 'vgg-e' here"),
        ("vgg11", "vgg11 is called 'vgg-a' here"),
        ("vgg13", "vgg13 is called 'vgg-b' here"),
        ("vgg", "did you mean 'vgg-a', 'vgg-a-lrn', 'vgg-b', 'vgg-c', 'vgg-d', 'vgg-e', 'vgg_like'?"),
        ("resnet50", "resnet50 is called 'resnet-50' here"),
        ("ResNet-20", "ResNet-20 is called 'cifar-resnet-20' here"),
        ("AlexNet", "AlexNet is called 'alexnet' here"),
        ("lenet", "lenet is called 'lenet-5' here"),
        ("inception-v1", "inception-v1 is called 'googlenet' here"),
    ],
)
def test_other_names_of_classics_lead_to_them(name: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(["show", name], capsys) == f"error: unknown space or network {name!r}; {said}"


def test_only_what_a_file_defines_is_known_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    Path("family.py").write_text(
        f"{HEAD}def tall(): return net\nnet = Space(Sequential(Conv(channels=8), Classifier()), (1, 8, 8), 3)"
    )
    assert refused(["show", "family.py:quux"], capsys).endswith("unknown name in family.py 'quux'; known: net, tall")


@pytest.mark.parametrize("shape", ["3X24X40", "3x24x40", " 3 x 24 x 40 "])
def test_an_input_is_read_as_people_write_it(shape: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(answer(["show", "lenet-5", "--input", shape, "--json"], capsys))["input_shape"] == [3, 24, 40]


@pytest.mark.parametrize("shape", ["0x0x0", "3x0x32", "3x70000x2", "3x32"])
def test_an_input_that_is_none_names_the_option(shape: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(["show", "lenet-5", "--input", shape], capsys)
    assert f"--input {shape!r}" in said and "channels x height x width" in said and "Space" not in said


# ---- bad input: a search

SEARCHES = [
    (["--strategy", "nsga4"], "did you mean 'nsga2'"),
    (["--strategy", "nsga3"], "nsga3 is called 'optuna:nsga3' here"),
    (["--strategy", "optuna:cmaes"], "CmaEsSampler refuses several objectives"),
    (["--strategy", "toy.py:f"], "takes no seed; write it as factory(seed, **options)"),
    (["--objectives", "val_accuracy,parms"], "did you mean 'params'"),
    (["--objectives", ""], "no objective"),
    (["--objectives", "params,params"], "2 times"),
    (["--constraint", "params<100q"], "suffix"),
    (["--constraint", "parms<100k"], "did you mean 'params'"),
    (["--constraint", "val_accuracy>0.9"], "only after training"),
    (["--constraint", "params<=3"], "the smallest params seen is"),
    (["--budget", "0"], "more than 0"),
    (["--budget", "0min"], "more than 0"),
    (["--budget", "soon"], "30min"),
    (["--evaluations", "0"], "at least 1"),
    (["--epochs-total", "-1"], "at least 1"),
    (["--epochs", "0"], "at least 1"),
    (["--seed", "-1"], "at least 0"),
    (["--strategy", "nsga2", "--strategy-option", "populaton=4"], "did you mean 'population'"),
    (["--strategy", "nsga2", "--strategy-option", "population=many"], "expected a whole number"),
    (["--strategy-option", "population=4"], "auto takes no settings"),
    (["--strategy-option", "population"], "NAME=VALUE"),
    (["--set", "population=4"], "--set"),
    (["--recipe", "nowhere.py"], "nowhere.py"),
    (["--recipe", "toy.py:f"], "expected a nas.Recipe"),
    (["--evaluator", "toy.py:g"], "toy.py"),
    (["--evaluator", "toy.py:wrong"], "val_accuracy"),
    (["--out", "toy.py/run"], "toy.py/run"),
    (["--metric", "top2"], "top2"),
    (["--deadline", "never"], "never"),
]


@pytest.mark.parametrize(("more", "said"), SEARCHES)
def test_a_search_that_makes_no_sense(more: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = [argument for argument in TOY_SEARCH]
    if more[0] in given:
        at = given.index(more[0])
        del given[at : at + 2]
    assert said in refused([*given, *more], capsys)


def test_a_search_without_a_budget_or_without_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no budget" in refused(["search", "fashion_small", "--evaluator", "toy.py:f"], capsys)
    assert "no data" in refused(["search", "fashion_small", "--evaluations", "5"], capsys)
    assert "did you mean 'fashion-mnist'" in refused(
        ["search", "fashion_small", "--data", "fashion-mnis", "--evaluations", "1"], capsys
    )
    assert not Path("runs").exists()


def test_a_search_without_data_in_a_space_of_any_images(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["search", "vgg_like", "--evaluator", "toy.py:f", "--evaluations", "2", "--out", "r"]
    assert main(command) == 2
    out, err = capsys.readouterr()
    assert "--input 3x32x32 --classes 10" in err and "bind" not in err and not out and not Path("r").exists()
    assert "vgg_like takes images of any shape" in refused([*command, "--input", "3x32x32"], capsys)
    shape = ["--input", "3x32x32", "--classes", "7"]
    answer([*command, *shape], capsys)
    assert json.loads(answer(["show", "r@best", "--json"], capsys))["output_shape"] == [7]
    assert "3 networks evaluated" in answer(["resume", "r", "--evaluations", "3"], capsys)
    assert "3 of 3 proposals" in answer(["verify", "r", "--trust-code"], capsys)
    told = refused(["search", "fashion_small", *command[2:], "--classes", "7"], capsys)
    assert "is for classes=10, not 7; leave classes out of its file, of a shipped space in a copy" in told
    assert "are those of the data" in refused([*command, *shape, "--data", "fashion-mnist-12k"], capsys)


def test_a_folder_that_holds_another_run(capsys: pytest.CaptureFixture[str]) -> None:
    answer(TOY_SEARCH, capsys)
    said = refused([*TOY_SEARCH, "--seed", "1"], capsys)
    assert "runs/toy holds a run with seed = 0, now it is 1" in said
    assert len(json.loads(answer([*TOY_SEARCH, "--json"], capsys))["front"]) > 0


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="the superuser writes everywhere; Windows has other rights"
)
def test_a_folder_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    Path("locked").mkdir(mode=0o555)
    assert "locked" in refused([*TOY_SEARCH[:-1], "locked/run"], capsys)


# ---- bad input: data


def test_arrays_that_cannot_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, 8, 8), dtype=np.uint8), np.arange(40) % 4
    nan = x.astype(np.float32)
    nan[3, 0, 0] = np.nan
    bad = {
        "nan": ({"x": nan, "y": y}, "nan"),
        "one": ({"x": x, "y": np.zeros(40, int)}, "two classes"),
        "shape": ({"x": x.reshape(40, 64), "y": y}, "shape"),
        "length": ({"x": x, "y": y[:-1]}, "39"),
        "object": ({"x": np.array([{}] * 40, dtype=object), "y": y}, "object"),
    }
    for name, (arrays, said) in bad.items():
        np.savez(f"{name}.npz", **arrays)
        assert said in refused(["data", f"{name}.npz"], capsys).lower()
    assert "nowhere.npz" in refused(["data", "nowhere.npz"], capsys)
    assert "did you mean 'fashion-mnist-12k'" in refused(["data", "fashion-mnist-12"], capsys)
    assert "image size" in refused(["data", "one.npz", "--image-size", "big"], capsys)


def test_an_image_that_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    for label in ("cat", "dog"):
        (Path("photos") / label).mkdir(parents=True)
        for i in range(8):
            image.new("L", (9, 9), i).save(Path("photos") / label / f"{i}.png")
    Path("photos/cat/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    assert "broken.png" in refused(["data", "photos"], capsys)
    assert "broken.png" in answer(["data", "photos", "--skip-unreadable"], capsys)


# ---- bad input: runs and networks


def test_a_run_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    for command in (
        ["report", "empty"],
        ["resume", "empty"],
        ["verify", "empty"],
        ["show", "empty@best"],
        ["export", "empty@best", "n.py"],
    ):
        assert "empty holds no run" in refused(command, capsys)
    assert "empty" in refused(["show", "empty"], capsys)


def test_a_network_that_is_not_in_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    answer(TOY_SEARCH, capsys)
    assert "fits no network" in refused(["show", "runs/toy@zzz"], capsys)
    assert "params<=1" in refused(["show", "runs/toy@best:params<=1"], capsys)
    assert "runs/toy@best" in refused(["show", "runs/toy"], capsys)
    assert "expected the name of a Python file" in refused(["export", "runs/toy@best", "net.txt"], capsys)


def test_a_damaged_json_file(capsys: pytest.CaptureFixture[str]) -> None:
    misspelt = {"format": 1, "body": {"block": "Sequential", "blocks": [{"block": "Conv", "chanels": 3}]}}
    Path("space.json").write_text(json.dumps(misspelt))
    for command in ("show", "profile"):
        told = refused([command, "space.json"], capsys)
        assert told == "error: space.json: body.blocks[0] (Conv): unknown key 'chanels'; did you mean 'channels'?"
    Path("net.json").write_text('{"nodes": [')
    assert "net.json" in refused(["show", "net.json"], capsys)
    assert "nowhere.json" in refused(["show", "nowhere.json"], capsys)


def test_a_training_that_is_stopped_says_how_it_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    precisions = []

    def stopped(*arguments: object, **options: object) -> None:
        precisions.append(options["precision"])
        raise TrainingStopped(Path("mine"), signal.SIGINT)

    monkeypatch.setattr("nas.final.train_networks", stopped)
    assert main(["train", "lenet-5", "--data", "fashion-mnist-12k"]) == 130
    assert capsys.readouterr().err == "stopped; the same command with --out mine goes on from the last checkpoints\n"
    assert main(["train", "lenet-5", "--data", "fashion-mnist-12k", "--deterministic"]) == 130
    assert precisions == ["auto", "deterministic"]
