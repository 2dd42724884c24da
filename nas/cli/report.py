"""`nas report`."""

from __future__ import annotations

from pathlib import Path

from nas.cli.options import Json, print_json


def report(run: Path, /, *, out: Path | None = None, json: Json = False) -> None:
    """Write the report of a run: one HTML file that opens offline, and the table beside it as CSV.

    Args:
        run: The run folder, of a finished search or one that still goes on.
        out: The HTML file; report.html in the run folder when left out.
    """
    from nas.hints import next_commands
    from nas.run import open_run

    opened = open_run(run)
    path = Path(opened.report(out) or out or opened.folder / "report.html")
    if json:
        print_json({"run": run, "report": path.absolute()})
    else:
        told = next_commands(opened, is_reported=True)
        print(f"report: {path.absolute()}", *(["", told] if told else []), sep="\n")
