"""The report of a run: one HTML file that opens offline, and the same numbers as CSV beside it.

write_report(run, path) -> Path
"""

from __future__ import annotations

from nas.report.write import write_report

__all__ = ["write_report"]
