"""What is said of a run's prescreening, in words and as a table. Reads the record alone."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from nas.lines import counted
from nas.promise import MEAN, Worth, recorded_worths
from nas.run import Run


def screening_words(run: Run) -> str:
    """Returns what the scores of untrained networks were worth, in one or two lines; empty where nothing was scored."""
    rows = run.screenings()
    sizes = [len(row.candidates) for row in rows if row.candidates]
    if not sizes:
        return ""
    found = recorded_worths(run.objectives, rows, run.rows()[1])
    of = {worth.name: worth for worth in found}
    mean = of[MEAN].equal_cost if MEAN in of else None
    what = f"each one of {median(sizes):.0f} networks scored untrained"
    said = f"their promise ranks accuracy at equal cost by tau {mean}" if mean else "too few were measured to judge it"
    each = f" ({', '.join(_single(worth) for worth in found if worth.name != MEAN)})" if mean else ""
    ended = [f"prescreening ended at trial {row.proposal}: {row.off}" for row in rows if row.off]
    return "\n".join([f"prescreening: {counted(len(sizes), 'proposal')}, {what}; {said}{each}", *ended])


def _single(worth: Worth) -> str:
    return f"{worth.name} {worth.equal_cost.tau:+.2f}" if worth.equal_cost else f"{worth.name} -"


def screening_table(run: Run) -> Iterator[tuple[str, str, str]]:
    """Yields name, plain correlation and that at equal cost of each score, as text."""
    for worth in recorded_worths(run.objectives, run.screenings(), run.rows()[1]):
        yield worth.name, str(worth.plain or "-"), str(worth.equal_cost or "-")
