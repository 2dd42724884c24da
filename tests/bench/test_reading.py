"""Tables are read from TOML and CSV; what is wrong with them is said in one line with file, place and fix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from toy_table import TOML, toy_rows, write_table

from nas.bench.reading import read_table
from nas.errors import DataError, UnknownNameError


@pytest.mark.parametrize("zipped", [False, True])
def test_a_table_is_read(tmp_path: Path, zipped: bool) -> None:
    table = read_table(write_table(tmp_path, zipped=zipped))
    assert (len(table), table.title, table.fidelities) == (9, "Toy", [5, 20])
    assert table.cells[3] == ("skip", "none")
    assert table.searched("accuracy").tolist() == [50, 57, 64, 60, 67, 74, 70, 77, 84]
    assert table.searched("accuracy", 20).tolist() == [60, 67, 74, 70, 77, 84, 80, 87, 94]
    assert table.reported("accuracy")[:3].tolist() == [58, 66, 72]
    assert (table.searched("params", 20) == table.reported("params")).all()
    assert table.classes.tolist() == [0, 0, 1, 2, 2, 3, 4, 4, 5]


def test_without_identity_every_row_is_its_own(tmp_path: Path) -> None:
    table = read_table(write_table(tmp_path, TOML.replace('identity = "same"', "")))
    assert table.classes.tolist() == list(range(9))


def test_another_file_may_hold_the_rows(tmp_path: Path) -> None:
    path = write_table(tmp_path, 'data = "rows.csv"\n' + TOML)
    (tmp_path / "toy.csv").rename(tmp_path / "rows.csv")
    assert len(read_table(path)) == 9


@pytest.mark.parametrize(
    ("entry", "exact"),
    [
        ('{ search = "params", direction = "minimize" }', True),
        ('{ search = "params", report = "params", direction = "minimize" }', True),
        ('{ search = "params", direction = "maximize" }', False),
        ('{ search = "params", direction = "maximize", exact = true }', True),
        ('{ search = "params", direction = "minimize", exact = false }', False),
        ('{ search = "val", report = "test", direction = "minimize" }', False),
        ('{ search = "val", direction = "minimize", fidelity = { 20 = "val20" } }', False),
    ],
)
def test_what_is_known_before_training(tmp_path: Path, entry: str, exact: bool) -> None:
    toml = TOML.replace('{ search = "params", direction = "minimize" }', entry)
    assert read_table(write_table(tmp_path, toml)).objective("params").exact is exact


def test_a_loss_is_never_exact_by_default(tmp_path: Path) -> None:
    toml = TOML.replace("params = {", "val_loss = {")
    assert not read_table(write_table(tmp_path, toml)).objective("val_loss").exact


def test_seconds_of_a_lower_fidelity(tmp_path: Path) -> None:
    path = write_table(tmp_path)
    table, full = read_table(path), np.arange(20.0, 29.0)
    for fidelity, share in ((20, 1.0), (5, 0.25), (None, 0.25)):  # searched is the column of 5 epochs
        found = table.seconds(fidelity)
        assert found is not None and found == pytest.approx(full * share)
    path.write_text(TOML + "share = { 5 = 0.5 }\n")
    found = read_table(path).seconds(5)
    assert found is not None and found == pytest.approx(full * 0.5)
    path.write_text(TOML.replace('[cost]\nseconds = "time"', ""))
    assert read_table(path).seconds() is None


def test_unknown_objectives_and_fidelities_are_refused(tmp_path: Path) -> None:
    table = read_table(write_table(tmp_path))
    with pytest.raises(UnknownNameError, match=r"toy\.toml 'acuracy'; did you mean 'accuracy'"):
        table.objective("acuracy")
    with pytest.raises(DataError, match="no fidelity 12; it has 5, 20: name one of these"):
        table.checked_fidelity(12)


def changed(line: int, text: str) -> list[str]:
    rows = toy_rows()
    rows[line] = text
    return rows


@pytest.mark.parametrize(
    ("toml", "rows", "said"),
    [
        (
            TOML.replace('"val20"', '"val2"'),
            None,
            r"toy\.csv has no column 'val2', which .*toy\.toml names as an objective; did you",
        ),
        (TOML.replace('["a", "b"]', '["a", "c"]'), None, "no column 'c', which .* names as a decision"),
        (TOML.replace('"same"', '"twin"'), None, "no column 'twin', which .* names as the identity"),
        (TOML.replace('"time"', '"tim"'), None, "no column 'tim', which .* names as the cost; did you mean 'time'"),
        (TOML.replace('["a", "b"]', '["a"]'), None, r"toy\.csv, line 3: the same a as line 2 \('none'\); keep one"),
        (TOML, [*toy_rows(), toy_rows()[1]], "line 11: the same a, b as line 2"),
        (TOML, changed(2, "none,skip,n,nan,1,1,1,1"), r"toy\.csv, line 3: column 'val' is 'nan', expected a finite number; mend"),
        (TOML, changed(2, "none,skip,n,1,1,1,many,1"), "line 3: column 'params' is 'many'"),
        (TOML, changed(2, "none,skip,n,1,1,1,,1"), "line 3: column 'params' is ''"),
        (TOML, changed(2, "none,skip,n,1,1,1,1,-1"), "line 3: column 'time' is below 0"),
        (TOML, changed(2, "none,skip,n,1"), "line 3: 4 cells, expected 8 as in the head; mend the line"),
        (TOML, changed(0, "a,b,same,val,val20,test,params,val"), "column 'val' stands twice in the head"),
        (TOML, toy_rows()[:1], "has no rows"),
        (TOML, [], "has no rows"),
        ("decisions = [", None, "is no TOML"),
        (TOML.replace("identity", "identiy"), None, "unknown field `identiy`.*nas bench --help shows the format"),
        (TOML.replace('"maximize"', '"up"'), None, r"Invalid enum value 'up' - at `\$.objectives"),
        (TOML.replace('["a", "b"]', "[]"), None, "decisions is empty"),
        (TOML.replace('["a", "b"]', '["a", "a"]'), None, "decisions names 'a' twice"),
        (TOML.replace("12", "20").replace("5 =", "0 ="), None, "a fidelity is a number of epochs of at least 1"),
        (TOML + "share = { 5 = 0.0 }", None, "the share of fidelity 5 is 0, expected a number above 0"),
        ('paths = ["x"]\n' + TOML, None, "paths has 1 entries, expected one for each of 2 decisions"),
        (
            TOML.replace('direction = "maximize"', 'direction = "maximize", exact = true'),
            None,
            "'accuracy' is exact, so it has one",
        ),
        ('data = "other.csv"\n' + TOML, None, r"there is no .*other\.csv; put it there, or say where"),
    ],
)
def test_a_wrong_table_is_refused_in_one_line(tmp_path: Path, toml: str, rows: list[str] | None, said: str) -> None:
    with pytest.raises(DataError, match=said) as refused:
        read_table(write_table(tmp_path, toml, rows))
    assert "\n" not in str(refused.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.toml: No such file.*; expected a TOML file"):
        read_table(tmp_path / "nothing.toml")
    path = write_table(tmp_path, zipped=True)
    (tmp_path / "toy.csv.gz").write_bytes(b"no gzip at all")
    with pytest.raises(DataError, match=r"toy\.csv\.gz cannot be read"):
        read_table(path)
