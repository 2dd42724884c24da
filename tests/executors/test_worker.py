"""How a worker reads the end of a child that said nothing, without any process."""

from __future__ import annotations

import signal

from nas.executors.worker import verdict
from nas.measurement import Outcome


def test_how_a_silent_end_is_read() -> None:
    assert verdict(3, False) == (Outcome.CRASHED, "the process left with exit code 3 before it was done")
    assert verdict(-signal.SIGSEGV, False)[0] is Outcome.CRASHED
    assert "SIGSEGV" in verdict(-signal.SIGSEGV, True)[1]
    assert verdict(-signal.SIGKILL, True)[0] is Outcome.OUT_OF_MEMORY
    assert verdict(-signal.SIGKILL, False)[0] is Outcome.CRASHED
    assert verdict(-signal.SIGTERM, True)[0] is Outcome.INTERRUPTED
