"""`python -m nas`, and the command `nas`."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line and leaves with its exit code."""
    from nas.cli import main as run

    sys.exit(run())


if __name__ == "__main__":
    main()
