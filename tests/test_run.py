"""A run as its reader sees it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import ObjectiveError, RunError
from nas.intervals import wilson
from nas.measurement import Measurement, Outcome
from nas.record import Record
from nas.rows import EvaluationRow, NetworkRow, ProposalRow
from nas.run import Run, open_run, short_ids

OBJECTIVES = [
    {"name": "val_accuracy", "direction": "maximize", "unit": "share", "exact": False, "about": ""},
    {"name": "params", "direction": "minimize", "unit": "values", "exact": True, "about": ""},
]
SETTINGS = {"objectives": OBJECTIVES, "data": {"validation_images": 1000}, "seed": 0}
NETWORKS = {
    "aaaaaaa1" + "0" * 24: (0.90, 900),
    "aaaaaaa2" + "0" * 24: (0.895, 500),
    "bbbbbbbb" + "0" * 24: (0.80, 100),
    "cccccccc" + "0" * 24: (0.70, 800),
    "dddddddd" + "0" * 24: (0.60, 10),
}
A1, A2, B, C, D = NETWORKS


def write(folder: Path, settings: Mapping[str, Any] = SETTINGS) -> Run:
    """Writes a run: five networks, a failure, a repeat, one that is pending."""
    with Record(folder, settings) as record:
        recipe = record.add_recipe({"lr": 0.1})
        for number, (key, (accuracy, params)) in enumerate(NETWORKS.items()):
            record.add_network(NetworkRow(key, {"params": params, "macs": 7}, b'{"graph":1}', "source" if key == A1 else None))
            parents = (number - 1,) if number else ()
            record.add_proposal(ProposalRow(number, key, recipe, {"x": number}, parents, "mutate", seen=number, finished=number))
            result = Measurement(Outcome.COMPLETE, {"val_accuracy": accuracy}, ({"epoch": 1.0},), 3, 2.0)
            record.add_evaluation(EvaluationRow(number, key, recipe, "", 0, 0, 3, result))
        failed, pending = "e" * 32, "f" * 32
        record.add_network(NetworkRow(failed, {"params": 1, "macs": 7}, b"{}"))
        record.add_proposal(ProposalRow(5, failed, recipe, {"x": 5}, seen=5, finished=5))
        record.add_evaluation(EvaluationRow(5, failed, recipe, "", 0, 0, 1, Measurement(Outcome.CRASHED, epochs=1, error="boom")))
        record.add_proposal(ProposalRow(6, B, recipe, {"x": 6}, seen=6, repeat_of=2, finished=6))
        record.add_network(NetworkRow(pending, {"params": 2, "macs": 7}, b"{}"))
        record.add_proposal(ProposalRow(7, pending, recipe, {"x": 7}, seen=7))
    return open_run(folder)


def test_trials_have_one_row_a_network(tmp_path: Path) -> None:
    table = write(tmp_path).trials()
    assert table["id"].tolist() == ["aaaaaaa1", "aaaaaaa2", "bbbbbbb", "ccccccc", "ddddddd", "eeeeeee"]
    assert table.columns.tolist()[:4] == ["id", "val_accuracy", "params", "outcome"]
    assert table["proposals"].tolist() == [1, 1, 2, 1, 1, 1]
    assert table["parents"].tolist()[:3] == [(), ("aaaaaaa1",), ("aaaaaaa2",)]
    assert table["outcome"].tolist() == ["complete"] * 5 + ["crashed"]
    assert table["error"].tolist()[-1] == "boom" and table["val_accuracy"].isna().tolist() == [False] * 5 + [True]
    assert table["genotype"].tolist()[0] == {"x": 0}


def test_the_deepest_segment_stands_for_a_network(tmp_path: Path) -> None:
    write(tmp_path)
    with Record(tmp_path, SETTINGS) as record:
        recipe = record.add_recipe({"lr": 0.1})
        longer = Measurement(Outcome.COMPLETE, {"val_accuracy": 0.55}, epochs=9, seconds=4.0)
        record.add_evaluation(EvaluationRow(4, D, recipe, "", 0, 3, 9, longer))
        broken = Measurement(Outcome.CRASHED, epochs=12, seconds=1.0)
        record.add_evaluation(EvaluationRow(4, D, recipe, "", 0, 9, 12, broken))
    row = open_run(tmp_path).trials().set_index("fingerprint").loc[D]
    assert (row["val_accuracy"], row["epochs"], row["seconds"]) == (0.55, 9, 7.0)


def test_the_front_is_best_first_with_intervals(tmp_path: Path) -> None:
    front = write(tmp_path).front()
    assert front["fingerprint"].tolist() == [A1, A2, B, D]
    assert front["same_as_previous"].tolist() == [False, True, False, False]
    low, high = wilson(0.8, 1000)
    assert (front["val_accuracy_low"][2], front["val_accuracy_high"][2]) == (low, high)
    assert front.columns.tolist()[:5] == ["id", "val_accuracy", "val_accuracy_low", "val_accuracy_high", "same_as_previous"]


def test_without_a_number_of_images_there_is_no_interval(tmp_path: Path) -> None:
    front = write(tmp_path, {**SETTINGS, "data": None}).front()
    assert front["fingerprint"].tolist() == [A1, A2, B, D]
    assert not {"val_accuracy_low", "same_as_previous"} & set(front.columns)


def test_what_an_own_evaluator_measured_on_data_has_no_interval(tmp_path: Path) -> None:
    """A percentage is no share of the validation images, and what the evaluator measured on only its author knows."""
    settings = {**SETTINGS, "evaluator": "judge"}
    with Record(tmp_path, settings) as record:
        recipe = record.add_recipe({"lr": 0.1})
        for number, (key, percent) in enumerate(((A1, 92.0), (B, 91.5))):
            record.add_network(NetworkRow(key, {"params": 900 - number}, b"{}"))
            record.add_proposal(ProposalRow(number, key, recipe, {"x": number}, seen=number, finished=number))
            result = Measurement(Outcome.COMPLETE, {"val_accuracy": percent})
            record.add_evaluation(EvaluationRow(number, key, recipe, "", 0, 0, 0, result))
    run = open_run(tmp_path)
    front = run.front()
    assert run.validation_images == 0
    assert front["val_accuracy"].tolist() == [92.0, 91.5]
    assert not {"val_accuracy_low", "val_accuracy_high", "same_as_previous"} & set(front.columns)
    assert run.best().values["val_accuracy"] == 92.0


def test_an_empty_run_has_empty_tables(tmp_path: Path) -> None:
    Record(tmp_path, SETTINGS).close()
    run = open_run(tmp_path)
    assert len(run.trials()) == len(run.front()) == len(run.proposals()) == 0
    assert {"id", "val_accuracy", "params", "outcome", "genotype"} <= set(run.trials().columns)
    for address in ("best", "knee", "abc"):
        with pytest.raises(RunError):
            run.network(address)


@pytest.mark.parametrize(
    ("address", "fingerprint"),
    [
        ("best", A1),
        ("best:params<=600", A2),
        ("best:params<=600,val_accuracy<0.85", B),
        ("knee", B),
        ("aaaaaaa1", A1),
        ("CCCC", C),
        ("ffffff", "f" * 32),
        (D, D),
    ],
)
def test_addresses(tmp_path: Path, address: str, fingerprint: str) -> None:
    assert write(tmp_path).network(address).fingerprint == fingerprint


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("aaa", "'aaa' fits 2 networks of .*: aaaaaaa1, aaaaaaa2; write more of it"),
        ("123", "fits no network of .*; expected best, knee, best:params<=50k or the id of one of 7"),
        ("", "fits no network"),
        ("best:params<=1", "no network of .* keeps params<=1; 5 were measured"),
        ("best:depth<=1", "knows no 'depth'"),
    ],
)
def test_wrong_addresses(tmp_path: Path, address: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        write(tmp_path).network(address)


def test_an_unreadable_constraint_is_told(tmp_path: Path) -> None:
    with pytest.raises(ObjectiveError, match="cannot be read"):
        write(tmp_path).best("params~5")


def test_what_is_found_tells_all(tmp_path: Path) -> None:
    run = write(tmp_path)
    found = run.best()
    assert (found.id, found.source, found.genotype, found.recipe) == ("aaaaaaa1", "source", {"x": 0}, {"lr": 0.1})
    assert found.values == {"params": 900, "macs": 7, "val_accuracy": 0.9}
    assert found.weights is None
    pending = run.network("fff")
    assert pending.measurement is None and pending.values == {"params": 2, "macs": 7}


def test_proposals_have_one_row_each(tmp_path: Path) -> None:
    table = write(tmp_path).proposals()
    assert table["trial"].tolist() == list(range(8))
    assert table["repeat_of"].tolist()[6] == 2 and table["repeat_of"].isna().sum() == 7
    assert table["finished"].isna().tolist() == [False] * 7 + [True]


def test_a_run_is_read_while_it_is_written(tmp_path: Path) -> None:
    run = write(tmp_path)
    with Record(tmp_path, SETTINGS) as record:
        recipe = record.add_recipe({"lr": 0.1})
        better = Measurement(Outcome.COMPLETE, {"val_accuracy": 0.99}, epochs=3)
        record.add_evaluation(EvaluationRow(7, "f" * 32, recipe, "", 0, 0, 3, better))
        assert len(run.front()) == 4
        record.commit()
        assert run.front()["fingerprint"].tolist()[0] == "f" * 32


def test_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"holds no run: there is no run\.db in it"):
        open_run(tmp_path / "nowhere")


@given(st.sets(st.text("ab", min_size=12, max_size=12), max_size=12))
def test_short_ids_are_the_shortest_that_tell_apart(fingerprints: set[str]) -> None:
    ids = short_ids(fingerprints)
    for key, short in ids.items():
        assert key.startswith(short) and len(short) >= 7
        assert sum(other.startswith(short) for other in fingerprints) == 1
        assert len(short) == 7 or sum(other.startswith(short[:-1]) for other in fingerprints) > 1


def test_several_networks_are_read_at_once(tmp_path: Path) -> None:
    run = write(tmp_path)
    found = run.networks([B, A1, "e" * 32])
    assert [network.id for network in found] == ["bbbbbbb", "aaaaaaa1", "eeeeeee"]
    assert found[1].genotype == {"x": 0} and found[1].stored_source == "source" and found[1].measurement is not None
    assert found[0].measurement == run.network("bbbbbbb").measurement
    assert run.networks([]) == []
    with pytest.raises(RunError, match="holds no network with fingerprint nothing"):
        run.networks(["nothing"])
