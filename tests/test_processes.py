"""Tests of nas/processes.py with real, short-lived children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from nas import processes

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes of this kind here")


def test_reaping_tells_the_exit_code_or_that_it_still_runs() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    assert processes.reap(child.pid, 0.0) is None
    child.kill()
    assert processes.reap(child.pid, 60.0) == -signal.SIGKILL


def test_a_signal_to_a_group_that_is_gone_is_no_error() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    child.wait()
    processes.signal_group(child.pid, signal.SIGKILL)


def test_the_count_of_kills_for_want_of_memory_is_a_number() -> None:
    assert processes.oom_kills() >= 0


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux tells of children")
def test_descendants_are_killed_even_those_whose_parent_ended() -> None:
    script = """
        import os, subprocess, sys
        from nas import processes
        processes.adopt_orphans()
        # a parent that leaves a child in a session of its own, and ends
        leave = (
            "import subprocess as s;"
            "print(s.Popen(['sleep', '1000'], stdout=s.DEVNULL, start_new_session=True).pid, flush=True)"
        )
        orphan = int(subprocess.run([sys.executable, "-c", leave], stdout=subprocess.PIPE).stdout)
        child = subprocess.Popen(["sleep", "1000"])
        os.kill(orphan, 0)
        processes.kill_descendants()
        for pid in (orphan, child.pid):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                print("gone")
    """
    root = str(Path(__file__).resolve().parents[1])
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.split() == ["gone", "gone"], done.stderr


@pytest.mark.skipif(not (sys.platform == "linux" and os.confstr("CS_GNU_LIBC_VERSION")), reason="needs glibc")
@pytest.mark.parametrize("keep", [True, False])
def test_freed_memory_is_used_again(keep: bool) -> None:
    code = f"""
        import resource
        from nas.processes import keep_freed_memory

        assert not {keep} or keep_freed_memory()
        faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(20):
            before = faults()
            blocks = [bytearray(3_000_000 + i) for i in range(8)]
            del blocks
        print(faults() - before)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert (int(done.stdout) < 100) == keep
