"""The folder of a final training: what identifies it, how far each training came, and every look at the test images.

    final.json                      settings, picks, plan, looks at the test images, results; replaced as a whole
    final.csv                       one row a network and seed, when all is done
    final.lock                      held by the process that writes
    NETWORK/seed-S/training.json    how far that training came, its curve and its figures
                   network.py       the exported network, network.safetensors beside it
                   curve.csv
                   epoch-E.safetensors   checkpoint; deleted when the network was exported
    images/, probe/                 copies of the images without the test images; deleted when all is done

What the files say was true when they were written: a checkpoint is on the disk before `training.json` names it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from nas.errors import EvaluationError
from nas.files import write_whole
from nas.final.state import FORMAT, Start, State, Training
from nas.record import differences

STATE, TABLE, LOCK, TRAINING = "final.json", "final.csv", "final.lock", "training.json"
SOURCE, WEIGHTS, CURVE = "network.py", "network.safetensors", "curve.csv"
IMAGES, PROBE = "images", "probe"
"""Folders beside those of the networks, deleted in the end."""


class FinalFolder:
    """A final training, open for its only writer.

    Args:
        folder: Made where it is missing.
        settings: What identifies the training, plain JSON.
        picks: The networks, as `Pick.described`.

    Raises:
        EvaluationError: When somebody else writes there, it holds something else, or it cannot be written.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], picks: list[dict[str, Any]]) -> None:
        self.folder = folder
        self._check_free()
        self._lock = _locked(folder)
        try:
            for half in folder.glob(f".{STATE}.*.tmp"):
                half.unlink(missing_ok=True)
            self.state = self._opened(dict(settings), picks)
            self._began = time.monotonic()
            self.state.starts.append(Start(time.time()))
            self.save()
        except BaseException:
            self._lock.release()
            raise

    def _check_free(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            half = f".{STATE}."  # a start that was killed while it wrote its first state
            names = sorted(p.name for p in self.folder.iterdir() if p.name != LOCK and not p.name.startswith(half))
        except OSError as error:
            raise EvaluationError(f"{self.folder} cannot be used: {error.strerror}; choose a folder you can write to") from None
        if names and STATE not in names:
            raise EvaluationError(
                f"{self.folder} holds no final training but other files ({names[0]}, ...); choose a new or an empty folder"
            )

    def _opened(self, settings: dict[str, Any], picks: list[dict[str, Any]]) -> State:
        path = self.folder / STATE
        if not path.exists():
            return State(FORMAT, settings, picks)
        state = read_state(self.folder)
        if state.plan is None:  # a start that failed before that leaves nothing worth keeping the folder for
            state.settings, state.picks = settings, picks
            return state
        told = msgspec.json.decode(msgspec.json.encode(settings))  # tuples have become lists
        changed = differences(state.settings, told)
        if changed:
            name, old, new = changed[0]
            raise EvaluationError(
                f"{self.folder} holds a final training with {name} = {_short(old)}, now it is {_short(new)}; the same command goes "
                "on with it (workers, device and test may change): choose another folder"
            )
        return state

    def save(self) -> None:
        """Writes `final.json`.

        Raises:
            EvaluationError: When it cannot be written.
        """
        self.state.starts[-1].seconds = round(self.elapsed, 3)
        _write(self.folder / STATE, self.state)

    @property
    def elapsed(self) -> float:
        """Seconds this start has taken."""
        return time.monotonic() - self._began

    def training(self, network: str, seed: int) -> Training:
        """Returns how far a training came; a new one where there is none.

        Raises:
            EvaluationError: When its file cannot be read.
        """
        path = self.place(network, seed) / TRAINING
        try:
            return msgspec.json.decode(path.read_bytes(), type=Training)
        except FileNotFoundError:
            return Training(network, seed)
        except (OSError, msgspec.DecodeError, UnicodeError) as error:
            raise EvaluationError(f"{path} cannot be read: {error}; delete it to train that network again") from None

    def keep(self, training: Training) -> None:
        """Writes how far a training came, then deletes the checkpoints that are not needed any more.

        Raises:
            EvaluationError: When it cannot be written.
        """
        place = self.place(training.network, training.seed)
        _write(place / TRAINING, training)
        self.sweep(training)

    def sweep(self, training: Training) -> None:
        """Deletes all checkpoints of a training but the one it goes on from."""
        place = self.place(training.network, training.seed)
        for pattern in ("epoch-*.safetensors*", ".epoch-*.tmp", f".{TRAINING}.*.tmp"):  # what a killed process had half written too
            for file in place.glob(pattern):
                if file.name != training.checkpoint:
                    file.unlink(missing_ok=True)

    def weights(self, training: Training) -> Path:
        """Returns the file with the weights of a training: its checkpoint, or what was exported."""
        return self.place(training.network, training.seed) / (training.checkpoint or WEIGHTS)

    def place(self, network: str, seed: int) -> Path:
        """Returns the folder of a training."""
        return self.folder / network / f"seed-{seed}"

    def close(self) -> None:
        """Notes how long this start took, and lets others write."""
        try:
            self.save()
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def read_state(folder: Path) -> State:
    """Returns what `final.json` holds.

    Raises:
        EvaluationError: When there is none, or none of this version.
    """
    path = folder / STATE
    try:
        state = msgspec.json.decode(path.read_bytes(), type=State)
    except (OSError, msgspec.DecodeError, UnicodeError) as error:
        raise EvaluationError(f"{path} cannot be read: {error}; choose another folder") from None
    if state.format != FORMAT:
        raise EvaluationError(f"{path} has format {state.format}, expected {FORMAT}; choose another folder")
    return state


def _write(path: Path, value: msgspec.Struct) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
    except OSError as error:
        raise EvaluationError(
            f"{path} cannot be written: {error.strerror or error}; the same command goes on when it can be"
        ) from None


def _locked(folder: Path) -> Any:
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise EvaluationError(
            f"{folder} is being written by another final training; wait for it, stop it, or choose another folder"
        ) from None
    except (OSError, NotImplementedError) as problem:
        raise EvaluationError(f"{folder} cannot be locked for writing: {problem}; choose a folder you can write to") from None
    return lock


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:57] + "..."
