"""How long the package and its command take to start, each as a fresh process, beside a bare interpreter in the same run.

python benchmarks/startup.py [--repeats 7]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "bare interpreter": [sys.executable, "-c", "pass"],
    "import nas": [sys.executable, "-c", "import nas"],
    "from nas import Space, choice": [sys.executable, "-c", "from nas import Space, choice"],
    "nas --help": [sys.executable, "-m", "nas", "--help"],
    "import torch": [sys.executable, "-c", "import torch"],
}


def seconds(command: list[str]) -> float:
    """Returns the wall-clock seconds a command takes."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main() -> None:
    """Prints the median of each command and its ratio to the bare interpreter."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    for command in COMMANDS.values():  # fills the file cache
        seconds(command)
    rounds = [{name: seconds(command) for name, command in COMMANDS.items()} for _ in range(options.repeats)]
    bare = statistics.median(r["bare interpreter"] for r in rounds)
    for name in COMMANDS:
        median = statistics.median(r[name] for r in rounds)
        print(f"{name:32} {median:6.3f} s   {median / bare:5.1f} x a bare interpreter")


if __name__ == "__main__":
    main()
