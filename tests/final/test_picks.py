"""What is chosen for a final training, and on which images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nas
from nas.blocks import Classifier, Conv, Sequential
from nas.domains import choice
from nas.errors import NasError
from nas.final.events import Chosen
from nas.final.picks import Picks, pick_networks
from nas.loop import search
from nas.recipe import Recipe
from nas.run import Run

SHARES = {2: 0.5, 4: 0.7, 8: 0.65, 16: 0.9}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("big", "other"):
        np.savez(tmp_path / f"{name}.npz", x=rng.integers(0, 256, (60, 16, 16), dtype=np.uint8), y=np.arange(60) % 3)
    return tmp_path


def searched(data: Any = "big.npz", out: str = "run", **options: Any) -> Run:
    space = nas.Space(Sequential(Conv(channels=choice(*SHARES)), Classifier()))

    def share(architecture: nas.Architecture) -> dict[str, float]:
        return {"val_accuracy": SHARES[architecture.graph.facts[1].shape[0]]}

    arguments = {"data_options": {"image_size": 8, "seed": 3}, "evaluations": 4, "epochs": 1, "strategy": "exhaustive"} | options
    return search(space, data, evaluator=share, out=out, **arguments)


def picked(*networks: Any, data: Any = None, options: Any = None, front: bool = False, recipe: Recipe | None = None) -> Picks:
    return pick_networks(
        networks,
        data,
        options or {},
        front=front,
        sample=None,
        recipe=recipe,
        recipe_options={},
        trust_code=False,
    )


def test_a_run_stands_for_its_best_network_or_its_front() -> None:
    run = searched()
    best = run.best()
    for named in ("run", run, "run@best", best, nas.find_network("run@best")):
        (pick,) = picked(named).picks
        assert (pick.fingerprint, pick.name, pick.key) == (best.fingerprint, f"run@{best.id}", best.id)
    assert "run: its front, 3 of 4 networks, by val_accuracy, params" in picked(run, front=True).notes
    front = picked(run, front=True).picks
    assert [pick.fingerprint for pick in front] == list(run.front()["fingerprint"]) and len(front) == 3
    assert [pick.key for pick in picked("run", front=True).picks] == [pick.key for pick in front]


def test_a_network_named_twice_is_trained_once() -> None:
    run = searched()
    found = picked("run@best", run.best(), run)
    assert len(found.picks) == 1
    assert found.notes[0] == f"run@best is run@{run.best().id}"
    assert found.notes[1] == f"run: run@{run.best().id}, the best of 4 networks by val_accuracy, params"
    assert [note for note in found.notes if "trained once" in note] == [
        f"run@{run.best().id} was named more than once and is trained once"
    ] * 2


def test_other_networks_get_names_that_a_folder_can_have() -> None:
    graphs = [
        nas.build_graph("lenet-5", input_shape=(1, 28, 28), classes=10),
        nas.build_graph("cifar-resnet-20", input_shape=(1, 28, 28)),
    ]
    keys = [pick.key for pick in picked("lenet-5", *graphs, data="fashion-mnist-12k").picks]
    assert keys[0] == "lenet-5" and keys[1:] == ["the-graph"], "a graph of the same network is the same network"


def test_no_network_takes_the_name_of_a_folder_that_is_deleted_in_the_end() -> None:
    spaces = [nas.Space(Sequential(Conv(c), Classifier()), name=name) for c, name in ((4, "images"), (8, "probe"))]
    keys = [pick.key for pick in picked(*spaces, data="other.npz").picks]
    assert [key.rpartition("-")[0] for key in keys] == ["images", "probe"]


def test_the_data_of_a_run_are_read_as_the_run_read_them(folder: Path) -> None:
    run = searched()
    found = picked("run@best")
    assert found.dataset.input_shape == (1, 8, 8) and found.dataset.digest == run.settings["data"]["digest"]
    assert picked(run.best(), data=folder / "." / "big.npz").dataset.digest == found.dataset.digest
    told = r"run@\w+ takes images of 1 x 8 x 8 .* has images of 1 x 16 x 16 in 3 classes; its run read .*big\.npz with --image-size 8 --split-seed 3$"
    with pytest.raises(NasError, match=told):
        picked("run@best", data="other.npz")
    with pytest.raises(NasError, match="has images of 1 x 4 x 4"):
        picked("run@best", options={"image_size": 4})
    other = picked("run@best", data="other.npz", options={"image_size": 8})
    assert any("run was searched with other images or another split" in note for note in other.notes)
    assert not any("searched with other" in note for note in found.notes)


def test_a_run_of_arrays_needs_its_data_again() -> None:
    arrays = (np.zeros((60, 8, 8), np.uint8), np.arange(60) % 3)
    searched(arrays, data_options=None)
    with pytest.raises(NasError, match="no data given, and its run does not say where its images lie"):
        picked("run@best")
    assert picked("run@best", data=arrays).picks


def test_other_images_than_those_of_a_run_of_arrays_are_refused_in_words() -> None:
    searched((np.zeros((60, 9, 9), np.uint8), np.arange(60) % 3), data_options={"image_size": 8})
    with pytest.raises(NasError, match=r"has images of 1 x 4 x 4 in 3 classes; its run read its images with --image-size 8$"):
        picked("run@best", data=(np.zeros((60, 4, 4), np.uint8), np.arange(60) % 3))


def test_the_users_own_recipe_wins() -> None:
    searched(recipe=Recipe(batch_size=16, shift=1))
    (pick,) = picked("run").picks
    assert pick.recipe_for(3, 1000) == pick.recipe and pick.recipe_for(60, 1000).flip_average
    assert (pick.recipe_for(60, 1000).shift, pick.recipe_for(60, 1000).batch_size) == (1, 16)
    mine = Recipe(batch_size=8)
    assert picked("run", recipe=mine).picks[0].recipe_for(60, 1000) == mine


def test_the_choice_is_told_with_what_the_search_knew() -> None:
    run = searched()
    found = run.best()
    told = str(Chosen("final", [pick.described for pick in picked(run, "run@best:params<=100").picks], "images", ["a note"]))
    assert told.splitlines()[0] == "final training in final: 2 networks fixed before any test image is looked at"
    assert f"run@{found.id}" in told and "a note" in told
    assert "val_accuracy" not in told, "an evaluator of somebody's own says nothing of images"


def test_validation_figures_have_their_interval() -> None:
    search = {"val_accuracy": 0.9, "val_accuracy_low": 0.87, "val_accuracy_high": 0.92, "val_images": 1000, "epochs": 3}
    picks = [
        {"name": "run@abc", "params": 1234, "macs": 5, "search": search},
        {"name": "lenet-5", "params": 1, "macs": 2, "search": {}},
    ]
    lines = str(Chosen("final", picks, "images")).splitlines()
    assert lines[2].startswith("network")
    assert " ".join(lines[3].split()) == "run@abc 1,234 5 0.9000 after 3 epochs 0.8700 to 0.9200 (1,000 images)"
    assert lines[4].split() == ["lenet-5", "1", "2"]


def test_a_front_on_which_nothing_was_measured() -> None:
    def fails(architecture: nas.Architecture) -> dict[str, float]:
        raise ValueError("no")

    space = nas.Space(Sequential(Conv(channels=choice(2, 4)), Classifier()), (1, 8, 8), 3)
    search(space, evaluator=fails, evaluations=1, epochs=1, out="run")
    with pytest.raises(NasError, match="the front of run is empty"):
        picked("run", front=True)


def test_a_run_that_is_not_there_is_said_before_that_it_has_no_data() -> None:
    with pytest.raises(NasError, match="'runs/nothere': no such file"):
        nas.train_networks("runs/nothere", epochs=1)
    with pytest.raises(NasError, match="no data given"):
        nas.train_networks("lenet-5", epochs=1)
