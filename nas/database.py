"""The SQLite file under a run: opened for its one writer or for any reader, locked, migrated, its errors put into words.

This module knows files and SQL, but nothing of networks: what lies in its tables stands in `nas/storage.py`.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from nas.errors import RunError

FORMAT = 5
"""Version of the tables below. A change of them adds a step to `MIGRATIONS`."""

APPLICATION = 0x6E617331
"""SQLite's application id: "nas1"."""

DATABASE, LOCK = "run.db", "run.lock"

_BASELINES = """
CREATE TABLE baselines (
    name TEXT PRIMARY KEY, network INTEGER NOT NULL REFERENCES networks, recipe INTEGER NOT NULL REFERENCES recipes,
    outcome TEXT NOT NULL, metrics TEXT NOT NULL, curve BLOB NOT NULL, error TEXT NOT NULL, epochs INTEGER NOT NULL,
    seconds REAL NOT NULL, ended REAL NOT NULL) WITHOUT ROWID;
"""

_PROMOTIONS = """
CREATE TABLE promotions (
    id INTEGER PRIMARY KEY, proposal INTEGER NOT NULL REFERENCES proposals, from_epoch INTEGER NOT NULL, to_epoch INTEGER NOT NULL,
    seen INTEGER NOT NULL, created REAL NOT NULL, faults INTEGER NOT NULL DEFAULT 0);
"""

_SCREENINGS = """
CREATE TABLE screenings (
    proposal INTEGER PRIMARY KEY REFERENCES proposals, chosen INTEGER NOT NULL, candidates TEXT NOT NULL, off TEXT NOT NULL);
"""

SCHEMA = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE starts (
    id INTEGER PRIMARY KEY, began REAL NOT NULL, seconds REAL NOT NULL, pid INTEGER NOT NULL, host TEXT NOT NULL,
    options TEXT NOT NULL, ended TEXT);
CREATE TABLE dictionaries (kind TEXT PRIMARY KEY, text BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE recipes (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, recipe TEXT NOT NULL);
CREATE TABLE networks (
    id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE, costs TEXT NOT NULL, graph BLOB NOT NULL, source BLOB);
CREATE TABLE proposals (
    id INTEGER PRIMARY KEY, network INTEGER NOT NULL REFERENCES networks, recipe INTEGER NOT NULL REFERENCES recipes,
    genotype BLOB NOT NULL, parents TEXT NOT NULL, operator TEXT NOT NULL, inherit_from INTEGER, notes TEXT NOT NULL,
    seen INTEGER NOT NULL, rejected TEXT NOT NULL, repeat_of INTEGER, created REAL NOT NULL, finished INTEGER,
    faults INTEGER NOT NULL DEFAULT 0, aligned TEXT NOT NULL DEFAULT '{{}}');
CREATE TABLE evaluations (
    id INTEGER PRIMARY KEY, proposal INTEGER NOT NULL REFERENCES proposals, network INTEGER NOT NULL REFERENCES networks,
    recipe INTEGER NOT NULL REFERENCES recipes, data TEXT NOT NULL, seed INTEGER NOT NULL,
    from_epoch INTEGER NOT NULL, to_epoch INTEGER NOT NULL, outcome TEXT NOT NULL, metrics TEXT NOT NULL, curve BLOB NOT NULL,
    error TEXT NOT NULL, checkpoint TEXT NOT NULL, seconds REAL NOT NULL, ended REAL NOT NULL,
    importances BLOB NOT NULL DEFAULT x'', inherited REAL);
{_BASELINES}{_PROMOTIONS}{_SCREENINGS}"""


def _add_baselines(connection: sqlite3.Connection) -> None:
    connection.execute(_BASELINES)


def _add_inheritance(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE proposals ADD COLUMN aligned TEXT NOT NULL DEFAULT '{}'")
    connection.execute("ALTER TABLE evaluations ADD COLUMN importances BLOB NOT NULL DEFAULT x''")
    connection.execute("ALTER TABLE evaluations ADD COLUMN inherited REAL")


def _add_promotions(connection: sqlite3.Connection) -> None:
    connection.execute(_PROMOTIONS)


def _add_screenings(connection: sqlite3.Connection) -> None:
    connection.execute(_SCREENINGS)


MIGRATIONS: Mapping[int, Callable[[sqlite3.Connection], None]] = {
    1: _add_baselines,
    2: _add_inheritance,
    3: _add_promotions,
    4: _add_screenings,
}
"""Format n to the function that turns its tables into those of n + 1, inside a transaction."""

_NETWORK_FILE_SYSTEMS = frozenset(
    (
        "nfs",
        "nfs4",
        "cifs",
        "smb2",
        "smb3",
        "smbfs",
        "afpfs",
        "webdav",
        "9p",
        "fuse.sshfs",
        "ceph",
        "lustre",
        "gpfs",
        "beegfs",
        "afs",
    )
)


class Lock:
    """The right to write into a run folder. The system takes it back when its process dies, however it dies."""

    def __init__(self, folder: Path) -> None:
        from filelock import FileLock, Timeout

        self._lock = FileLock(folder / LOCK, timeout=0)
        try:
            self._lock.acquire()
        except Timeout:
            raise RunError(
                f"{folder} is being written by another search{_holder(folder)}; wait for it, stop it, or choose another folder"
            ) from None
        except (OSError, NotImplementedError) as problem:
            raise RunError(f"{folder} cannot be locked for writing: {problem}; choose a folder you can write to") from None

    def release(self) -> None:
        """Gives the right back; twice is once."""
        self._lock.release()


def open_writer(folder: Path) -> sqlite3.Connection:
    """Opens the database of a run folder whose lock is held; makes its tables where it is new, migrates them where old.

    Every commit is on the disk when it returns. Where a write-ahead log is possible, it costs one flush.

    Raises:
        RunError: When the file is no run, was written by a newer version, or cannot be written.
    """
    path = folder / DATABASE
    with explained(path):
        connection = sqlite3.connect(path, isolation_level=None, timeout=10.0)
        try:
            new = _format_of(connection, path) is None
            connection.execute(f"PRAGMA journal_mode = {'DELETE' if on_network(folder) else 'WAL'}")
            connection.execute("PRAGMA synchronous = FULL")
            if new:
                _create(connection)
            else:
                migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def close_writer(connection: sqlite3.Connection) -> None:
    """Closes the database so that one file remains, readable from a folder that nobody can write to."""
    try:
        connection.execute("PRAGMA busy_timeout = 2000")
        connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError:
        pass  # A reader holds the log; what is in it is safe, and the last to close folds it in.
    finally:
        connection.close()


@contextmanager
def open_reader(folder: Path) -> Iterator[sqlite3.Connection]:
    """Opens the database of a run folder for reading, while it is written or not, in a folder that can be written or not.

    Raises:
        RunError: When there is no run, or it was written by a newer version.
    """
    path = folder / DATABASE
    if not path.is_file():
        raise RunError(f"{folder} holds no run: there is no {DATABASE} in it; expected a folder that nas search wrote")
    with tempfile.TemporaryDirectory(prefix="nas-", ignore_cleanup_errors=True) as copies, explained(path):
        connection = _connect_reader(path, Path(copies))
        try:
            if (found := _format_of(connection, path)) is None:
                raise RunError(f"{path} has no tables; a copy taken during a search needs run.db-wal beside it")
            if found < FORMAT:
                connection = _migrated_copy(connection, path)
            connection.execute("BEGIN")  # one view of all tables, whatever a search writes meanwhile
            yield connection
        finally:
            connection.close()


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Brings the tables of an older format up to `FORMAT`, all steps or none.

    Raises:
        RunError: When there is no way from that format.
    """
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found == FORMAT:
        return
    missing = [version for version in range(found, FORMAT) if version not in MIGRATIONS]
    if missing:
        raise RunError(f"{path} has format {found}, which this version of nas can no longer read (it reads format {FORMAT})")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for version in range(found, FORMAT):
            MIGRATIONS[version](connection)
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


class explained:
    """Turns an error of SQLite into one line that says what to do; may be entered again and again.

    Args:
        path: The database.

    Raises:
        RunError: Instead of any `sqlite3.Error` inside.
    """

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, sqlite3.Error):
            raise RunError(_in_words(self._path, error)) from error


def on_network(folder: Path) -> bool:
    """Returns whether `folder` lies on a network file system, where a write-ahead log is unsafe; False where unknown."""
    if sys.platform == "win32":
        import ctypes

        drive = folder.resolve().drive
        return drive.startswith("\\\\") or bool(ctypes.windll.kernel32.GetDriveTypeW(drive + "\\") == 4)
    return _file_system(folder.resolve()) in _NETWORK_FILE_SYSTEMS


def _file_system(folder: Path) -> str:
    """Returns the type of the file system `folder` lies on, by its longest mount point; empty where the system won't say."""
    best, kind = "", ""
    for point, name in _mounts():
        if len(point) >= len(best) and (point == "/" or folder == Path(point) or Path(point) in folder.parents):
            best, kind = point, name
    return kind


def _mounts() -> Iterator[tuple[str, str]]:
    if sys.platform == "darwin":
        import subprocess

        lines = subprocess.run(["/sbin/mount"], capture_output=True, text=True, check=False).stdout.splitlines()
        for line in lines:  # host:/export on /Volumes/data (nfs, nodev)
            point, _, rest = line.partition(" on ")[2].rpartition(" (")
            yield point, rest.partition(",")[0].rstrip(")")
        return
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return
    for line in lines:  # 36 35 98:0 /root /point rw,noatime master:1 - ext4 /dev/sda1 rw
        left, _, right = line.partition(" - ")
        yield left.split(" ")[4].replace("\\040", " "), right.split(" ")[0]


def _create(connection: sqlite3.Connection) -> None:
    connection.executescript(
        f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT}; COMMIT;"
    )


def _format_of(connection: sqlite3.Connection, path: Path) -> int | None:
    """Returns the format of the tables, None where there are none.

    Raises:
        RunError: When the tables are something else, or of a newer format.
    """
    if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return None
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
        raise RunError(f"{path} is a database of some other program; choose another folder")
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > FORMAT:
        raise RunError(f"{path} has format {found}, this version of nas reads up to {FORMAT}; nothing was changed, update nas")
    return found


def _connect_reader(path: Path, copies: Path) -> sqlite3.Connection:
    """Connects read-only. A log that cannot be read in place (its folder is read-only) is read from a copy of both files."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10.0)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return connection
    except sqlite3.OperationalError:
        connection.close()
        log = path.with_name(path.name + "-wal")
        if not log.exists():
            return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
        for file in (path, log):
            shutil.copyfile(file, copies / file.name)
        return sqlite3.connect(copies / path.name)


def _migrated_copy(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """Returns a migrated copy in memory: a reader changes no file."""
    copy = sqlite3.connect(":memory:", isolation_level=None)
    connection.backup(copy)
    connection.close()
    migrate(copy, path)
    return copy


def _holder(folder: Path) -> str:
    """Says which process wrote the folder's last start, as far as it can be read."""
    try:
        with open_reader(folder) as connection:
            pid, host = connection.execute("SELECT pid, host FROM starts ORDER BY id DESC LIMIT 1").fetchone()
        return f" (process {pid} on {host})"
    except (RunError, TypeError):
        return ""


def _in_words(path: Path, problem: sqlite3.Error) -> str:
    code = getattr(problem, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return f"the disk is full: {path} keeps what was recorded so far; free some space and give the same command again"
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        access = "cannot be opened" if not os.access(path.parent, os.W_OK) else "cannot be written"
        return f"{path} {access} ({problem}); check the permissions of the folder or choose another one"
    if code == sqlite3.SQLITE_NOTADB:
        return f"{path} is not a run: it is no SQLite file; choose another folder"
    if code == sqlite3.SQLITE_BUSY:
        return f"{path} is locked by another program; close what has it open and try again"
    if code == sqlite3.SQLITE_CORRUPT:
        return f"{path} is damaged ({problem}); restore it from a copy"
    return f"{path}: {problem}"
