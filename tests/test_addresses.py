"""Networks by address: which it is, made for other images, and back from what the command printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import nas
from nas.addresses import find_network
from nas.blocks import Cell, Classifier, Conv, OneOf, Pool, Sequential, Skip
from nas.cli import main
from nas.domains import choice
from nas.errors import BlockError, GraphError, SpaceError, UnknownNameError
from nas.notation import space_to_json
from nas.space import Space

CLOSED = Space(Sequential(Conv(4), Pool("max"), Classifier()), (3, 8, 8), 5)
OPEN = Space(Sequential(Conv(choice(4, 8)), Classifier()), (3, 8, 8), 5)


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


# ---- made for other images


@pytest.mark.parametrize("network", ["lenet-5", CLOSED, CLOSED.decode({})], ids=["by name", "space", "architecture"])
def test_a_network_is_made_for_other_images(network: str | Space | nas.Architecture) -> None:
    own = find_network(network)
    other = find_network(network, input_shape=(2, 30, 30), classes=7)
    assert (other.graph.input_shape, other.graph.output_shape) == ((2, 30, 30), (7,))
    assert other.architecture is not None and (other.architecture.input_shape, other.architecture.classes) == ((2, 30, 30), 7)
    assert find_network(network, classes=7).graph.input_shape == own.graph.input_shape
    assert find_network(network, input_shape=own.graph.input_shape).fingerprint == own.fingerprint  # type: ignore[arg-type]
    assert nas.cost(network, input_shape=(2, 30, 30), classes=7).params == nas.cost(other.graph).params


def test_an_open_space_says_what_images_it_is_for() -> None:
    assert find_network(OPEN, sample=1, input_shape=(3, 8, 8)).graph.input_shape == (3, 8, 8)
    with pytest.raises(SpaceError, match=r"is for input_shape=\(3, 8, 8\), not \(1, 8, 8\)"):
        find_network(OPEN, sample=1, input_shape=(1, 8, 8))
    with pytest.raises(SpaceError, match="is a space of 2 genotypes, expected one network; draw one with --sample SEED"):
        find_network(OPEN)
    with pytest.raises(SpaceError, match="takes images of any shape; say which with --input 3x32x32 --classes 10"):
        find_network(Space(Conv(3)))


def test_images_that_are_too_small_name_block_path_and_shape() -> None:
    with pytest.raises(BlockError, match=r"^pool: Pool\(\) cannot be applied to \(4, 1, 1\): pooling with kernel 2 does not fit"):
        find_network(CLOSED, input_shape=(3, 1, 1))


def test_what_is_known_by_its_operations_stays_as_it_is(tmp_path: Path) -> None:
    graph = find_network(CLOSED).graph
    stored = tmp_path / "net.json"
    stored.write_bytes(graph.to_json())
    for network in (graph, stored):
        assert find_network(network, input_shape=(3, 8, 8), classes=5).fingerprint == find_network(CLOSED).fingerprint
        for asked in ({"input_shape": (1, 8, 8)}, {"classes": 4}):
            with pytest.raises(
                SpaceError, match="takes images of 3 x 8 x 8 and gives 5 values; it is known by its operations alone"
            ):
                find_network(network, **asked)  # type: ignore[arg-type]


def test_no_classes_are_refused_and_not_taken_for_the_networks_own() -> None:
    with pytest.raises(SpaceError, match="classes is 0, expected a whole number of at least 2"):
        find_network(CLOSED, classes=0)


# ---- names


@pytest.mark.parametrize(("name", "near"), [("vgg-dd", "vgg-d"), ("lenet-50", "lenet-5"), ("fashion_smal", "fashion_small")])
def test_an_unknown_name_hints_the_nearest(name: str, near: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown space or network '{name}'; did you mean '{near}'"):
        find_network(name)
    assert main(["show", name]) == 2
    assert f"did you mean '{near}'" in capsys.readouterr().err


def test_a_name_that_a_users_file_lacks_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("net = 1\n", encoding="utf-8")
    with pytest.raises(UnknownNameError, match=r"unknown name in .*mine\.py 'nets'; did you mean 'net'"):
        find_network(f"{tmp_path / 'mine.py'}:nets")


def test_a_folder_is_no_network(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="is a folder; name one network of a run as"):
        find_network(tmp_path)


def test_a_folder_does_not_hide_the_classic_network_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lenet-5").mkdir()
    assert find_network("lenet-5").fingerprint == nas.fingerprint("lenet-5")


# ---- back from what was printed


@pytest.mark.parametrize("network", ["lenet-5", "cifar-resnet-20", "googlenet"])
@pytest.mark.parametrize("level", ["stage", "operation"])
def test_shown_json_is_a_network_again(network: str, level: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = tmp_path / f"{network}.json"
    stored.write_text(printed(["show", network, "--level", level, "--json"], capsys), encoding="utf-8")
    assert find_network(stored).fingerprint == nas.fingerprint(network)
    again = printed(["show", str(stored), "--level", level, "--json"], capsys)
    assert again == stored.read_text(encoding="utf-8")
    assert printed(["show", str(stored)], capsys) == printed(["show", network], capsys).replace(network, stored.stem, 1)


def test_so_is_a_network_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nas.search("fashion_small", evaluator=lambda a: {"val_accuracy": 0.5}, evaluations=2, out=tmp_path / "run")
    address = f"{tmp_path / 'run'}@best"
    stored = tmp_path / "best.json"
    stored.write_text(printed(["show", address, "--json"], capsys), encoding="utf-8")
    assert {"outcome", "metrics", "genotype"} <= json.loads(stored.read_text(encoding="utf-8")).keys()
    assert find_network(stored).fingerprint == nas.fingerprint(address)


def test_a_space_in_json_is_a_space(tmp_path: Path) -> None:
    stored = tmp_path / "net.json"
    stored.write_bytes(space_to_json(CLOSED))
    found = find_network(stored, input_shape=(1, 12, 12))
    assert found.graph.input_shape == (1, 12, 12) and found.architecture is not None


def test_a_space_in_json_may_hold_cells_which_have_nodes(tmp_path: Path) -> None:
    space = Space(Sequential(Cell(OneOf(Skip(), Conv(None)), nodes=3), Classifier()), (1, 8, 8), 3)
    stored = tmp_path / "cells.json"
    stored.write_bytes(space_to_json(space))
    assert b'"nodes"' in stored.read_bytes()
    assert find_network(stored, sample=1).fingerprint == find_network(space, sample=1).fingerprint


def shown() -> dict[str, object]:
    from nas.table import table_json

    return table_json(find_network(CLOSED).graph, "net")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fingerprnt": "abc"}, "unknown key 'fingerprnt'; did you mean 'fingerprint'"),
        ({"graph": {"format": 1, "nodes": []}}, "this is no graph: expected an object with `format`, `ops`, `nodes` and `output`"),
        ({"graph": [{"nodes": 1}]}, "this is no graph"),
    ],
)
def test_reading_is_strict(change: dict[str, object], said: str, tmp_path: Path) -> None:
    stored = tmp_path / "net.json"
    stored.write_text(json.dumps({**shown(), **change}), encoding="utf-8")
    with pytest.raises(GraphError, match=f"net.json: {said}"):
        find_network(stored)


def test_a_broken_file_is_told(tmp_path: Path) -> None:
    stored = tmp_path / "net.json"
    stored.write_text('{"graph": {"nodes": [', encoding="utf-8")
    with pytest.raises(GraphError, match=r"net\.json: this is no graph"):
        find_network(stored)
    with pytest.raises(SpaceError, match=r"none\.json: No such file"):
        find_network(tmp_path / "none.json")
