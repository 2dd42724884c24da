"""The command line: each command parses, calls a function of the package and prints. Heavy libraries load inside commands."""

from __future__ import annotations

from nas.cli.app import main

__all__ = ["main"]
