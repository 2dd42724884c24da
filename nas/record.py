"""The record: everything a search knows, in one SQLite file with one writer.

Rows are written into a transaction that stays open until `commit`; what was committed survives a kill of the process and a loss
of power. Rows are only added, except for these columns: a network's source, a proposal's place in the order of endings, and the
count of faults of a proposal or a promotion.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from nas.again import Plan, parted
from nas.database import DATABASE, Lock, close_writer, explained, open_writer
from nas.errors import RunError
from nas.rows import (
    BaselineRow,
    EvaluationRow,
    NetworkRow,
    PromotionRow,
    ProposalRow,
    ScreeningRow,
    plain_json,
    recipe_digest,
    recipe_text,
)
from nas.storage import (
    PLAN,
    Packer,
    insert_baseline,
    insert_evaluation,
    insert_network,
    insert_promotion,
    insert_proposal,
    insert_screening,
    read_costs,
    read_evaluations,
    read_promotions,
    read_proposals,
    read_screenings,
    update_source,
)

_DESCRIBES = ("data.name", "data.validation_counts", "space.digest")
"""Settings that identify nothing: the digest of the data does, wherever they lie; and of the space the definition says more."""


class Record:
    """One run, open for writing by its only coordinator.

    Args:
        folder: The run folder; made where it is missing.
        settings: What identifies the run, as JSON: the same settings go on with it, others are refused by name.
        options: What may change from start to start (budget, workers, device, deadline, command, versions), kept with the start.

    Raises:
        RunError: When somebody else writes the run, its settings are others, or the folder cannot be written.
    """

    def __init__(self, folder: str | Path, settings: Mapping[str, Any], options: Mapping[str, Any] | None = None) -> None:
        self.folder = Path(folder)
        self._explained = explained(self.folder / DATABASE)
        self._settings = json.loads(plain_json(settings, "settings"))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise RunError(f"{self.folder} cannot be made: {problem.strerror}; choose a folder you can write to") from None
        self._check_free()
        self._lock = Lock(self.folder)
        try:
            self._connection = open_writer(self.folder)
            try:
                with self._explained:
                    self._start(dict(options or {}))
            except BaseException:
                close_writer(self._connection)
                raise
        except BaseException:
            self._lock.release()
            raise

    def _check_free(self) -> None:
        """Refuses a folder that holds somebody's files and no run."""
        names = sorted(path.name for path in self.folder.iterdir())
        strange = [name for name in names if name != "weights" and not name.startswith("run.")]
        if strange and DATABASE not in names:
            raise RunError(f"{self.folder} holds no run but other files ({strange[0]}, ...); choose a new or an empty folder")

    def _start(self, options: dict[str, Any]) -> None:
        self._open = self._closed = False
        self._check_settings()
        self._packer = Packer(self._connection, writable=True)
        self._networks: dict[str, int] = dict(self._connection.execute("SELECT fingerprint, id FROM networks"))
        self._sourced = {key for (key,) in self._connection.execute("SELECT fingerprint FROM networks WHERE source NOT NULL")}
        self._recipes: dict[str, int] = dict(self._connection.execute("SELECT digest, id FROM recipes"))
        self._recipe: tuple[object, str] = (object(), "")
        self.seconds_before = float(self._connection.execute("SELECT total(seconds) FROM starts").fetchone()[0])
        self._begun = time.monotonic()
        rows = self._connection.execute("SELECT options FROM starts ORDER BY id DESC").fetchall()
        self.options_before: list[dict[str, Any]] = [json.loads(options) for (options,) in rows]
        self._note_time_at = self._begun
        self._write(
            "INSERT INTO starts (began, seconds, pid, host, options) VALUES (?, 0, ?, ?, ?)",
            (time.time(), os.getpid(), platform.node(), plain_json(options, "options")),
        )
        self._start_id = int(self._connection.execute("SELECT max(id) FROM starts").fetchone()[0])
        self.commit()

    def _check_settings(self) -> None:
        row = self._connection.execute("SELECT value FROM meta WHERE key = 'settings'").fetchone()
        if row is None:
            self._write("INSERT INTO meta VALUES ('settings', ?)", (json.dumps(self._settings),))
            self._write("INSERT INTO meta VALUES ('created', ?)", (json.dumps(time.time()),))
            return
        changed = [entry for entry in differences(json.loads(row[0]), self._settings) if entry[0] not in _DESCRIBES]
        if changed and self._connection.execute("SELECT NOT EXISTS (SELECT 1 FROM proposals)").fetchone()[0]:
            # a start that failed before its first candidate leaves nothing worth keeping the folder for
            self._write("UPDATE meta SET value = ? WHERE key = 'settings'", (json.dumps(self._settings),))
        elif changed:
            name, old, new = changed[0]
            more = f" (and {len(changed) - 1} more: {', '.join(c[0] for c in changed[1:4])})" if len(changed) > 1 else ""
            if name.partition(".")[0] == "warm_start":  # its points are nothing to read
                runs = ",".join((json.loads(row[0]).get("warm_start") or {}).get("runs", ()))
                begun = f"with --warm-start {runs}" if runs else "without --warm-start"
                raise RunError(
                    f"{self.folder} holds a run that was begun {begun}; give the same again, or nas resume {self.folder}, "
                    "or choose another folder"
                )
            raise RunError(
                f"{self.folder} holds a run with {name} = {_short(old)}, now it is {_short(new)}{more}; "
                "a run goes on with the same settings only (budget, workers, device and deadline may change): choose another folder"
            )

    @property
    def settings(self) -> dict[str, Any]:
        """What identifies the run."""
        return dict(self._settings)

    @property
    def elapsed(self) -> float:
        """Seconds spent so far, summed over all starts."""
        return self.seconds_before + time.monotonic() - self._begun

    def spent(self) -> tuple[int, int, float]:
        """Returns the networks evaluated, the epochs trained, and the seconds earlier starts took."""
        with self._explained:
            query = "SELECT count(DISTINCT proposal), total(to_epoch - from_epoch) FROM evaluations"
            evaluations, epochs = self._connection.execute(query).fetchone()
        return evaluations, int(epochs), self.seconds_before

    def rows(self) -> tuple[list[ProposalRow], list[EvaluationRow], dict[str, dict[str, float]]]:
        """Reads the proposals, the training segments of the search, and the networks' costs by fingerprint."""
        with self._explained:
            own, _ = parted(read_evaluations(self._connection))
            return list(read_proposals(self._connection)), own, read_costs(self._connection)

    def again(self) -> list[EvaluationRow]:
        """Reads the trainings of networks that were trained again (`nas.again`), in the order in which they ended."""
        with self._explained:
            return parted(read_evaluations(self._connection))[1]

    def note_plan(self, plan: Plan) -> None:
        """Keeps which networks are trained again, in the place of what was kept before."""
        self._note(PLAN, asdict(plan))

    def promotions(self) -> list[PromotionRow]:
        """Reads the promotions in the order in which they were decided."""
        with self._explained:
            return list(read_promotions(self._connection))

    def screenings(self) -> list[ScreeningRow]:
        """Reads the candidates of the proposals that were screened, by the proposal's number."""
        with self._explained:
            return list(read_screenings(self._connection))

    def proposal(self, number: int) -> ProposalRow:
        """Reads one proposal."""
        with self._explained:
            return next(read_proposals(self._connection, number))

    def baselines(self) -> dict[str, str]:
        """Reads the names of the baselines, each with its network's fingerprint."""
        with self._explained:
            query = "SELECT name, fingerprint FROM baselines JOIN networks ON networks.id = network"
            return dict(self._connection.execute(query))

    def baselines_in_flight(self) -> set[str]:
        """Reads the names of the baselines that were being trained when the last start ended."""
        return set(self._noted("baselines in flight"))

    def note_baselines(self, names: Iterable[str]) -> None:
        """Says which baselines are being trained from now on."""
        self._note("baselines in flight", sorted(names))

    def again_in_flight(self) -> set[tuple[int, int, str]]:
        """Reads which networks were being trained again when the last start ended: proposal, seed and data."""
        return {(proposal, seed, data) for proposal, seed, data in self._noted("trained again in flight")}

    def note_again(self, trainings: Iterable[tuple[int, int, str]]) -> None:
        """Says which networks are being trained again from now on: proposal, seed and data."""
        self._note("trained again in flight", list(trainings))

    def _note(self, key: str, value: object) -> None:
        self._write("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def _noted(self, key: str) -> list[Any]:
        with self._explained:
            row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return list(json.loads(row[0])) if row else []

    def discount(self, seconds: float) -> None:
        """Takes seconds off what this start has spent."""
        self._begun += seconds

    def knows(self, fingerprint: str) -> bool:
        """Returns whether a network is kept."""
        return fingerprint in self._networks

    def add_network(self, network: NetworkRow) -> None:
        """Keeps a network, or the source of one that has none yet; one that is known entirely is left alone."""
        if network.fingerprint not in self._networks:
            self._networks[network.fingerprint] = self._write(*insert_network(network, self._pack))
        if network.source is not None and network.fingerprint not in self._sourced:
            self._write(*update_source(network.fingerprint, network.source, self._pack))
            self._sourced.add(network.fingerprint)

    def add_recipe(self, recipe: object) -> str:
        """Keeps a closed recipe and returns its digest."""
        if recipe is self._recipe[0]:  # most runs have one
            return self._recipe[1]
        digest = recipe_digest(recipe)
        if digest not in self._recipes:
            text = recipe_text(recipe)
            self._recipes[digest] = self._write("INSERT INTO recipes (digest, recipe) VALUES (?, ?)", (digest, text))
        self._recipe = (recipe, digest)
        return digest

    def add_proposal(self, row: ProposalRow) -> None:
        """Adds a proposal whose network and recipe are known."""
        self._write(*insert_proposal(row, self._networks, self._recipes, self._pack))

    def add_promotion(self, row: PromotionRow) -> None:
        """Adds a promotion of a proposal."""
        self._write(*insert_promotion(row))

    def add_screening(self, row: ScreeningRow) -> None:
        """Adds the candidates of a proposal that is known."""
        self._write(*insert_screening(row))

    def add_evaluation(self, row: EvaluationRow) -> None:
        """Adds a training segment that ended."""
        self._write(*insert_evaluation(row, self._networks, self._recipes, self._pack))

    def add_baseline(self, row: BaselineRow) -> None:
        """Adds a baseline whose network and recipe are known, in the place of an earlier one of that name."""
        self._write(*insert_baseline(row, self._networks, self._recipes, self._pack))

    def finish(self, proposal: int, place: int) -> None:
        """Says that a proposal ended, as number `place` in the order of endings."""
        self._write("UPDATE proposals SET finished = ? WHERE id = ?", (place, proposal))

    def blame(self, row: ProposalRow | PromotionRow) -> None:
        """Counts one more start that broke down while this proposal or promotion was in flight."""
        table = "proposals" if isinstance(row, ProposalRow) else "promotions"
        self._write(f"UPDATE {table} SET faults = faults + 1 WHERE id = ?", (row.id,))  # noqa: S608 - one of two words

    def note(self, options: Mapping[str, Any]) -> None:
        """Replaces what is kept with this start."""
        self._write("UPDATE starts SET options = ? WHERE id = ?", (plain_json(options, "options"), self._start_id))

    def commit(self) -> None:
        """Puts everything written so far on the disk; when it returns, it is there."""
        with self._explained:
            self._begin()
            now = time.monotonic()
            if now >= self._note_time_at:
                self._note_time_at = now + 1.0
                self._connection.execute("UPDATE starts SET seconds = ? WHERE id = ?", (now - self._begun, self._start_id))
            self._connection.execute("COMMIT")
            self._open = False

    def rollback(self) -> None:
        """Forgets what was written since the last commit."""
        if self._open:
            self._connection.rollback()
            self._open = False

    def close(self, reason: str = "closed") -> None:
        """Commits, writes down why this start ended, and leaves one file that opens in a read-only folder.

        Args:
            reason: One line, kept with the start. A start without one was killed.
        """
        try:
            self._write("UPDATE starts SET ended = ? WHERE id = ?", (reason, self._start_id))
            self._note_time_at = 0.0
            self.commit()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Closes without committing what is still open; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            self.rollback()
        finally:
            close_writer(self._connection)
            self._lock.release()

    def __enter__(self) -> Record:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def _write(self, sql: str, values: tuple[Any, ...]) -> int:
        """Runs one statement in the open transaction and returns the row it made."""
        with self._explained:
            self._begin()
            return self._connection.execute(sql, values).lastrowid or 0

    def _pack(self, kind: str, text: bytes) -> bytes:
        with self._explained:
            self._begin()
            return self._packer.pack(kind, text)

    def _begin(self) -> None:
        if not self._open:
            self._connection.execute("BEGIN IMMEDIATE")
            self._open = True


def differences(old: Any, new: Any, name: str = "") -> list[tuple[str, Any, Any]]:
    """Returns where two JSON values differ: dotted name, old value, new value (None where one side has nothing)."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in [*old, *(k for k in new if k not in old)]:
            found += differences(old.get(key), new.get(key), f"{name}.{key}" if name else str(key))
        return found
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [entry for i, (a, b) in enumerate(zip(old, new, strict=True)) for entry in differences(a, b, f"{name}[{i}]")]
    return [] if old == new and type(old) is type(new) else [(name, old, new)]


def _short(value: Any) -> str:
    text = "not set" if value is None else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
