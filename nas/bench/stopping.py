"""A bench that is asked to end: Ctrl-C and the signals of a system that shuts down, as one exception."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class BenchStopped(KeyboardInterrupt):
    """Raised after a signal; what was done until then is kept where there is a place for it.

    Attributes:
        signal: Its number.
    """

    def __init__(self, signal: int) -> None:
        super().__init__("the bench was stopped; the same command goes on where it stopped")
        self.signal = signal

    @property
    def exit_code(self) -> int:
        """What a command leaves with."""
        return 128 + self.signal


@contextmanager
def stoppable() -> Iterator[None]:
    """Has SIGTERM and SIGHUP raise `BenchStopped` as Ctrl-C raises `KeyboardInterrupt`; outside the main thread it does nothing."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise BenchStopped(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
