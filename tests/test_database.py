"""The SQLite file: locked, journalled, migrated, readable where nothing can be written."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nas import database
from nas.database import DATABASE, Lock, close_writer, open_reader, open_writer
from nas.errors import RunError
from nas.measurement import Measurement, Outcome
from nas.record import Record
from nas.rows import PromotionRow, Scored, ScreeningRow
from nas.run import open_run


def made(folder: Path) -> Path:
    """A closed database with one row."""
    folder.mkdir(exist_ok=True)
    connection = open_writer(folder)
    connection.execute("INSERT INTO meta VALUES ('key', '1')")
    close_writer(connection)
    return folder


def read(folder: Path) -> list[tuple[str, str]]:
    with open_reader(folder) as connection:
        return connection.execute("SELECT key, value FROM meta").fetchall()


def as_a_stranger(folder: Path, check: Callable[[Path], bool]) -> int:
    """Checks in a child that may not write into the folder; returns its exit status, 0 when all is well."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            status = 0 if not os.access(folder, os.W_OK) and check(folder) else 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def is_read(folder: Path) -> bool:
    return read(folder) == [("key", "1")]


def is_refused(folder: Path) -> bool:
    try:
        Record(folder, {})
    except RunError as refused:
        return "\n" not in str(refused) and str(folder) in str(refused)
    return False


@pytest.fixture
def open_folder():
    """A folder that everybody may enter."""
    with tempfile.TemporaryDirectory(prefix="nas-test-") as name:
        os.chmod(name, 0o755)
        yield Path(name)
        for path in Path(name).rglob("*"):
            if path.is_dir():
                path.chmod(0o755)


def test_a_clean_stop_leaves_one_file(tmp_path: Path) -> None:
    made(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [DATABASE]
    assert read(tmp_path) == [("key", "1")]


def test_commits_are_flushed_through_a_log(tmp_path: Path) -> None:
    connection = open_writer(tmp_path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    close_writer(connection)


def test_a_reader_sees_commits_while_the_writer_goes_on(tmp_path: Path) -> None:
    connection = open_writer(tmp_path)
    connection.execute("INSERT INTO meta VALUES ('key', '1')")
    assert read(tmp_path) == [("key", "1")]
    close_writer(connection)


def test_a_reader_sees_one_moment_of_all_tables(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    writer.execute("INSERT INTO meta VALUES ('key', '1')")
    with open_reader(tmp_path) as reader:
        assert reader.execute("SELECT count(*) FROM meta").fetchone() == (1,)
        writer.execute("BEGIN")
        writer.execute("INSERT INTO meta VALUES ('later', '2')")
        writer.execute("INSERT INTO recipes (digest, recipe) VALUES ('d', '{}')")
        writer.execute("COMMIT")
        assert reader.execute("SELECT count(*) FROM meta").fetchone() == (1,)
        assert reader.execute("SELECT count(*) FROM recipes").fetchone() == (0,)
    assert read(tmp_path) == [("key", "1"), ("later", "2")]
    close_writer(writer)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a child with other rights")
def test_a_read_only_folder_is_read(open_folder: Path) -> None:
    folder = made(open_folder / "run")
    folder.chmod(0o555)
    assert as_a_stranger(folder, is_read) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a child with other rights")
def test_a_read_only_folder_with_an_unfinished_log_is_read(open_folder: Path) -> None:
    live, copy = open_folder / "live", open_folder / "copy"
    live.mkdir()
    connection = open_writer(live)
    connection.execute("INSERT INTO meta VALUES ('key', '1')")
    copy.mkdir()
    for name in (DATABASE, f"{DATABASE}-wal"):
        shutil.copyfile(live / name, copy / name)
    close_writer(connection)
    copy.chmod(0o555)
    assert as_a_stranger(copy, is_read) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a child with other rights")
def test_writing_into_a_read_only_folder_is_refused_in_one_line(open_folder: Path) -> None:
    folder = open_folder / "run"
    Record(folder, {}).close()  # loads what a stranger may have no right to load
    folder.chmod(0o555)
    open_folder.chmod(0o555)
    assert as_a_stranger(folder, is_refused) == 0
    assert as_a_stranger(open_folder / "new", is_refused) == 0
    open_folder.chmod(0o755)


def test_on_a_network_file_system_there_is_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "on_network", lambda folder: True)
    connection = open_writer(tmp_path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    close_writer(connection)


def test_the_file_system_is_that_of_the_longest_mount_point(monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = [("/", "ext4"), ("/home", "nfs4"), ("/home/me/local", "xfs"), ("/home2", "tmpfs")]
    monkeypatch.setattr(database, "_mounts", lambda: iter(mounts))
    found = [database._file_system(Path(p)) for p in ("/srv", "/home", "/home/me/run", "/home/me/local/run", "/home2/x")]
    assert found == ["ext4", "nfs4", "nfs4", "xfs", "tmpfs"]


def test_a_second_lock_is_refused_until_the_first_is_released(tmp_path: Path) -> None:
    first = Lock(tmp_path)
    with pytest.raises(RunError, match="is being written by another search"):
        Lock(tmp_path)
    first.release()
    Lock(tmp_path).release()


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no run"), open_reader(tmp_path):
        pass


def test_a_copy_without_its_log_says_so(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"")
    with pytest.raises(RunError, match="has no tables"), open_reader(tmp_path):
        pass


@pytest.mark.parametrize("opener", [open_writer, lambda folder: open_reader(folder).__enter__()])
def test_some_other_file_is_left_alone(tmp_path: Path, opener) -> None:
    (tmp_path / DATABASE).write_bytes(b"not a database " * 100)
    with pytest.raises(RunError, match="is not a run"):
        opener(tmp_path)
    assert (tmp_path / DATABASE).read_bytes() == b"not a database " * 100


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / DATABASE) as connection:
        connection.execute("CREATE TABLE birds (name)")
    connection.close()
    with pytest.raises(RunError, match="some other program"):
        open_writer(tmp_path)


@pytest.mark.parametrize("opener", [open_writer, lambda folder: open_reader(folder).__enter__()])
def test_a_newer_format_is_refused_and_kept(tmp_path: Path, opener) -> None:
    made(tmp_path)
    with sqlite3.connect(tmp_path / DATABASE) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = (tmp_path / DATABASE).read_bytes()
    with pytest.raises(RunError, match=rf"has format 99, .* reads up to {database.FORMAT}"):
        opener(tmp_path)
    assert (tmp_path / DATABASE).read_bytes() == before


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """This package, one format later."""

    def step(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE meta SET value = 'migrated'")

    monkeypatch.setattr(database, "MIGRATIONS", {database.FORMAT: step})
    monkeypatch.setattr(database, "FORMAT", database.FORMAT + 1)


def test_a_reader_migrates_a_copy(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    made(tmp_path)
    before = (tmp_path / DATABASE).read_bytes()
    request.getfixturevalue("newer")
    assert read(tmp_path) == [("key", "migrated")]
    assert (tmp_path / DATABASE).read_bytes() == before


def test_a_writer_migrates_the_file(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    made(tmp_path)
    newest = database.FORMAT + 1
    request.getfixturevalue("newer")
    close_writer(open_writer(tmp_path))
    with sqlite3.connect(tmp_path / DATABASE) as connection:
        assert connection.execute("SELECT value FROM meta").fetchone() == ("migrated",)
        assert connection.execute("PRAGMA user_version").fetchone() == (newest,)
    connection.close()


@pytest.mark.parametrize(
    ("version", "counts", "inherited"),
    [(1, (3, 2, 0), {None}), (2, (4, 2, 1), {None}), (3, (5, 3, 1), {None, 0.5}), (4, (6, 3, 1), {None})],
)
def test_a_run_of_an_older_format_is_read_and_goes_on(
    tmp_path: Path, version: int, counts: tuple[int, int, int], inherited: set[float | None]
) -> None:
    """Written before runs had baselines (1), before networks inherited weights (2), were promoted (3) and were screened (4)."""
    shutil.copy(Path(__file__).parent / "assets" / f"run_format_{version}.db", tmp_path / DATABASE)
    with sqlite3.connect(tmp_path / DATABASE) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (version,)
    connection.close()
    run = open_run(tmp_path)
    trials = run.trials()
    assert (len(trials), len(run.front()), len(run.baselines())) == counts
    with Record(tmp_path, run.settings) as record:
        assert len(record.baselines()) == counts[2]
        assert record.spent()[0] == counts[0]
        proposals, evaluations, _ = record.rows()
        assert {row.measurement.inherited for row in evaluations} == inherited
        assert record.promotions() == []
        assert [dict(row.measurement.importances) for row in evaluations] == [{}] * counts[0]
        assert [dict(row.aligned) for row in proposals] == [{}] * len(proposals)
        record.add_proposal(replace(proposals[-1], id=len(proposals), aligned={"a[1]": "a[2]"}, finished=None))
        measured = Measurement(Outcome.COMPLETE, importances={"conv1": (0.5, 2.0)}, inherited=0.25)
        record.add_evaluation(replace(evaluations[-1], proposal=len(proposals), measurement=measured))
        proposals, evaluations, _ = record.rows()
        assert proposals[-1].aligned == {"a[1]": "a[2]"}
        assert evaluations[-1].measurement.inherited == 0.25
        assert evaluations[-1].measurement.importances == {"conv1": [0.5, 2.0]}
        promotion = PromotionRow(0, proposals[0].id, 1, 3, seen=counts[0], created=5.0, faults=1)
        record.add_promotion(promotion)
        record.blame(promotion)
        assert record.promotions() == [replace(promotion, faults=2)]
        assert record.proposal(1) == proposals[1]
        screening = ScreeningRow(0, (Scored("f", {"naswot": 1.5}, (0.25,)), Scored("g", {})), 1, "why")
        assert record.screenings() == []
        record.add_screening(screening)
        assert record.screenings() == [screening]
        record.rollback()
    again = open_run(tmp_path)
    assert again.trials().equals(trials)
    assert len(again.starts()) == 2


def test_a_format_without_a_way_is_refused(tmp_path: Path, newer: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "FORMAT", 1)
    made(tmp_path)
    monkeypatch.setattr(database, "FORMAT", 3)
    with pytest.raises(RunError, match="can no longer read"):
        open_writer(tmp_path)


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, newer: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE meta SET value = 'half'")
        raise RuntimeError("no")

    monkeypatch.setattr(database, "FORMAT", 1)
    made(tmp_path)
    monkeypatch.setattr(database, "FORMAT", 2)
    monkeypatch.setattr(database, "MIGRATIONS", {1: broken})
    with pytest.raises(RuntimeError):
        open_writer(tmp_path)
    monkeypatch.setattr(database, "FORMAT", 1)
    assert read(tmp_path) == [("key", "1")]
