"""Numbers and rows as plain text for people."""

from __future__ import annotations

from collections.abc import Sequence

Cell = str | int | float | None


def aligned(rows: Sequence[Sequence[Cell]], *, indent: str = "") -> str:
    """Returns one line a row; columns whose cells below the first row are all numbers stand right, all others left.

    Args:
        rows: Cells; the first row may be a head. A number is written by `number`, None is left blank.
        indent: Put before each line.
    """
    texts = [[cell if isinstance(cell, str) else number(cell) for cell in row] for row in rows]
    columns = range(max((len(row) for row in texts), default=0))
    widths = [max((len(row[i]) for row in texts if i < len(row)), default=0) for i in columns]
    body = rows[1:] or rows
    right = [all(not isinstance(row[i], str) for row in body if i < len(row)) for i in columns]
    lines = []
    for row in texts:
        cells = [cell.rjust(widths[i]) if right[i] else cell.ljust(widths[i]) for i, cell in enumerate(row)]
        lines.append((indent + "  ".join(cells)).rstrip())
    return "\n".join(lines)


def number(value: float | None) -> str:
    """Returns whole numbers with thousands separated, others with four digits that count; None is blank."""
    if value is None or value != value:
        return ""
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:.4g}"


def counted(count: int, noun: str, plural: str = "") -> str:
    """Returns a number with what it counts: "1 epoch", "2 epochs", "1,000 classes".

    Args:
        count: How many.
        noun: In the singular.
        plural: Where it is not the noun and "s".
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def epochs_words(epochs: int | Sequence[int]) -> str:
    """Returns for how long networks are trained: "3 epochs a network", "1 epoch a network, the best go on to 3 and 9".

    Args:
        epochs: As the settings of a run have them: of each network, or rising rungs.
    """
    first, *more = [epochs] if isinstance(epochs, int) else epochs
    on = f", the best go on to {' and '.join(filter(None, [', '.join(map(str, more[:-1])), str(more[-1])]))}" if more else ""
    return f"{counted(first, 'epoch')} a network{on}"


def spell_seconds(seconds: float) -> str:
    """Returns a length of time as people say it: "8 s", "12 min", "3 h 05 min"."""
    if seconds < 100:
        return f"{seconds:.3g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"
