"""The record's writer and what its rows say when they are read again."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.database import DATABASE, open_reader
from nas.errors import RunError
from nas.measurement import Measurement, Outcome
from nas.recipe import Recipe
from nas.record import Record, differences
from nas.rows import EvaluationRow, NetworkRow, ProposalRow, recipe_digest
from nas.storage import pack_genotype, read_networks, read_recipes, unpack_genotype

RECIPE = Recipe(lr=0.25)
NETWORK = NetworkRow("f" * 32, {"params": 12, "macs": 2**60}, b'{"nodes":[1,2,3]}')
PROPOSAL = ProposalRow(
    id=0,
    fingerprint=NETWORK.fingerprint,
    recipe=recipe_digest(RECIPE),
    genotype={"a": None, "b": True, "c": 1, "d": 1.0, "e": "x", "f": (1, ("y", False))},
    parents=(3, 4),
    operator="mutate",
    inherit_from=3,
    notes={"generation": [1, 2.5, None]},
    seen=7,
    rejected={"params<=100k": 3, "infeasible": 1},
    created=12.5,
)
EVALUATION = EvaluationRow(
    proposal=0,
    fingerprint=NETWORK.fingerprint,
    recipe=recipe_digest(RECIPE),
    data="d" * 16,
    seed=5,
    from_epoch=0,
    to_epoch=3,
    measurement=Measurement(
        Outcome.COMPLETE, {"val_accuracy": 0.1 + 0.2}, ({"epoch": 1.0, "val_loss": 1 / 3},), 3, 1.5, "", "weights/f.safetensors"
    ),
    ended=99.0,
)


def fill(record: Record) -> None:
    record.add_network(NETWORK)
    record.add_recipe(RECIPE)
    record.add_proposal(PROPOSAL)
    record.add_evaluation(EVALUATION)


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    with Record(tmp_path, {"a": 1}) as record:
        fill(record)
    with Record(tmp_path, {"a": 1}) as record:
        assert record.rows() == ([PROPOSAL], [EVALUATION], {NETWORK.fingerprint: dict(NETWORK.costs)})
    with open_reader(tmp_path) as connection:
        assert list(read_networks(connection)) == [NETWORK]
        assert read_recipes(connection)[recipe_digest(RECIPE)]["lr"] == 0.25


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


@settings(max_examples=30)
@given(st.dictionaries(st.text(min_size=1), values))
def test_a_genotype_keeps_types_and_order(genotype) -> None:
    found = unpack_genotype(pack_genotype(genotype))
    assert repr(found) == repr(genotype)


def test_a_source_is_added_once_it_is_there(tmp_path: Path) -> None:
    with Record(tmp_path, {}) as record:
        record.add_network(NETWORK)
        record.add_network(replace(NETWORK, source="class Net: pass\n"))
        record.add_network(replace(NETWORK, source="other"))
    with open_reader(tmp_path) as connection:
        assert next(read_networks(connection)).source == "class Net: pass\n"


def test_what_was_not_committed_is_not_there(tmp_path: Path) -> None:
    record = Record(tmp_path, {})
    fill(record)
    record.commit()
    record.add_proposal(replace(PROPOSAL, id=1))
    record.abandon()
    with Record(tmp_path, {}) as again:
        assert [row.id for row in again.rows()[0]] == [0]


def test_what_cannot_be_written_as_json_is_named(tmp_path: Path) -> None:
    with Record(tmp_path, {}) as record:
        fill(record)
        with pytest.raises(RunError, match="metrics cannot be recorded"):
            record.add_evaluation(replace(EVALUATION, measurement=Measurement(Outcome.COMPLETE, {"val_accuracy": math.nan})))
        with pytest.raises(RunError, match="notes of the strategy cannot be recorded"):
            record.add_proposal(replace(PROPOSAL, id=1, notes={"x": object()}))
        with pytest.raises(RunError, match="cannot be recorded"):
            record.add_proposal(replace(PROPOSAL, id=1, genotype={"x": object()}))


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    with Record(tmp_path, {"seed": 0, "recipe": {"lr": 0.1, "flip": None}, "objectives": ["a", "b"]}) as record:
        fill(record)
    with pytest.raises(RunError, match=r"with recipe.lr = 0.1, now it is 0.2 \(and 1 more: objectives\[1\]\)"):
        Record(tmp_path, {"seed": 0, "recipe": {"lr": 0.2, "flip": None}, "objectives": ["a", "c"]})
    Record(tmp_path, {"objectives": ["a", "b"], "recipe": {"lr": 0.1, "flip": None}, "seed": 0}).close()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1.0}, [("a", 1, 1.0)]),
        ({"a": 1}, {"a": True}, [("a", 1, True)]),
        ({"a": 1}, {}, [("a", 1, None)]),
        ({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 3}]}}, [("a.b[1].c", 2, 3)]),
        ({"a": [1]}, {"a": [1, 2]}, [("a", [1], [1, 2])]),
        ({"a": [1, 2]}, {"a": [1, 2]}, []),
    ],
)
def test_differences(old, new, expected) -> None:
    assert differences(old, new) == expected


def test_a_second_coordinator_is_refused_and_told_who(tmp_path: Path) -> None:
    import os

    refused = pytest.raises(RunError, match=rf"is being written by another search \(process {os.getpid()} on ")
    with Record(tmp_path, {}), refused:
        Record(tmp_path, {})
    Record(tmp_path, {}).close()


def test_a_refused_start_gives_the_lock_back(tmp_path: Path) -> None:
    with Record(tmp_path, {"a": 1}) as record:
        fill(record)
    with pytest.raises(RunError):
        Record(tmp_path, {"a": 2})
    Record(tmp_path, {"a": 1}).close()


def test_a_start_that_fails_keeps_no_settings(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="options cannot be recorded"):
        Record(tmp_path, {"a": 1}, {"workers": object()})
    with open_reader(tmp_path) as connection:
        assert connection.execute("SELECT * FROM meta").fetchall() == []
        assert connection.execute("SELECT * FROM starts").fetchall() == []
    Record(tmp_path, {"a": 2}).close()  # the settings of a search that never began bind nobody


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("hello")
    with pytest.raises(RunError, match="cannot be made"):
        Record(tmp_path / "run", {})


def test_a_full_disk_is_told_in_one_line_and_loses_nothing(tmp_path: Path) -> None:
    record = Record(tmp_path, {})
    fill(record)
    record.commit()
    pages = record._connection.execute("PRAGMA page_count").fetchone()[0]
    record._connection.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(RunError, match=r"the disk is full: .* keeps what was recorded so far"):
        for number in range(1, 10_000):
            record.add_proposal(replace(PROPOSAL, id=number))
            record.commit()
    record.abandon()
    with Record(tmp_path, {}) as again:
        assert [row.id for row in again.rows()[0]] == list(range(number))


def test_seconds_add_up_over_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("nas.record.time.monotonic", lambda: now[0])
    record = Record(tmp_path, {})
    now[0] += 5
    assert record.elapsed == 5
    record.close()
    now[0] += 1000
    record = Record(tmp_path, {})
    now[0] += 2
    assert record.elapsed == 7
    record.commit()
    record.abandon()  # as a kill would
    with Record(tmp_path, {}) as record:
        assert record.seconds_before == 7


def test_a_row_of_everything_takes_less_than_two_kilobytes(tmp_path: Path) -> None:
    count = 300
    text = "".join(f'{{"op":"Conv2d","channels":{i},"kernel":[3,3],"stage[{i}].repeat[0]":true}}' for i in range(75))
    with Record(tmp_path, {}) as record:
        record.add_recipe(RECIPE)
        for number in range(count):
            key = f"{number:032x}"
            graph = text.replace('"channels":7,', f'"channels":{number},').encode()
            genotype = {f"stage[{i}].repeat[{i}].conv.channels": (number * i) % 7 for i in range(25)}
            source = text.replace('"channels":9,', f'"channels":{number},')
            record.add_network(NetworkRow(key, NETWORK.costs, graph, source))
            record.add_proposal(replace(PROPOSAL, id=number, fingerprint=key, genotype=genotype))
            curve = tuple({"epoch": float(e), "train_loss": 1 / (e + number + 1), "val_accuracy": e / 7} for e in range(1, 4))
            record.add_evaluation(
                replace(EVALUATION, proposal=number, fingerprint=key, measurement=replace(EVALUATION.measurement, curve=curve))
            )
    assert (tmp_path / DATABASE).stat().st_size / count < 2048


def test_a_folder_without_a_candidate_takes_other_settings(tmp_path: Path) -> None:
    Record(tmp_path / "run", {"seed": 0}).close("nothing feasible")
    record = Record(tmp_path / "run", {"seed": 1})
    assert record.settings == {"seed": 1}
    record.close("done")
    with Record(tmp_path / "run", {"seed": 1}) as again:
        assert again.settings == {"seed": 1}


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(RunError, match=r"holds no run but other files \(thesis.tex"):
        Record(tmp_path, {"seed": 0})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
