"""Ctrl-C, SIGTERM and SIGHUP as a polite request to stop, and a trace of what broke the process down by itself."""

from __future__ import annotations

import faulthandler
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

FAULT_FILE = "run.fault"


class Stopped(KeyboardInterrupt):
    """Raised after a signal stopped something cleanly: nothing is lost, the same call goes on.

    Attributes:
        signal: Number of the signal.
    """

    def __init__(self, words: str, signal: int) -> None:
        super().__init__(words)
        self.signal = signal

    @property
    def exit_code(self) -> int:
        """What a command leaves with: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP."""
        return 128 + self.signal


class Interrupts:
    """Catches the signals that ask a search to stop, while used as a context; outside the main thread it catches nothing.

    The first signal is noted, and the search stops at the next quiet moment. The second one raises `KeyboardInterrupt` where the
    process stands; the record bears that as it bears a kill. A signal that is ignored already (nohup) stays ignored.

    Attributes:
        signal: Number of the first signal, 0 as long as none came.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._before: dict[int, Any] = {}

    def reason(self) -> str:
        """Returns why to stop, empty as long as there is no reason."""
        return f"stopped by {signal.Signals(self.signal).name}" if self.signal else ""

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number


@contextmanager
def fault_trace(folder: Path) -> Iterator[bool]:
    """Has a fatal fault of this process (a segmentation fault, say) written into the run folder.

    A kill from outside leaves no such trace: so the next start can tell a candidate that breaks the process from a process that
    somebody ended.

    Yields:
        Whether the start before this one left a trace.
    """
    path = folder / FAULT_FILE
    faulted = path.exists() and path.stat().st_size > 0
    before = faulthandler.is_enabled()
    with path.open("w", encoding="utf-8") as file:
        faulthandler.enable(file, all_threads=False)
        try:
            yield faulted
        finally:
            faulthandler.disable()
            if before:
                with suppress(ValueError, OSError, AttributeError):  # a notebook's standard error is no file
                    faulthandler.enable()
    path.unlink(missing_ok=True)
