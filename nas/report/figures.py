"""Figures for a paper: one look, SVG and PDF files, and one HTML page that opens offline. Drawn with matplotlib."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nas.errors import RunError
from nas.files import write_whole
from nas.lines import number

if TYPE_CHECKING:
    import pandas
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f6000")
"""Told apart by colour-blind readers too (Okabe and Ito 2008, "Color Universal Design"); their yellow, too pale for a line on
white, is a brown."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

_LOOK: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so that a figure is the same on every machine
    "font.size": 8,
    "axes.labelsize": 8.5,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "axes.linewidth": 0.6,
    "axes.edgecolor": "#444444",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
}


class Style(NamedTuple):
    """How one network is drawn in all figures."""

    colour: str
    marker: str


def style(index: int) -> Style:
    """Returns the style of the network number `index`: colours first, then other markers, so that 56 differ."""
    return Style(COLOURS[index % len(COLOURS)], MARKERS[index // len(COLOURS) % len(MARKERS)])


@contextmanager
def paper_look() -> Iterator[None]:
    """Draws what is drawn inside with one look, on no screen.

    Raises:
        RunError: When matplotlib is missing.
    """
    try:
        import matplotlib
    except ImportError as error:
        install = 'pip install "paretonas[paper]", in a checkout pip install -c constraints.txt ".[paper]"'
        raise RunError(f"figures need the package {error.name}; get it with: {install}") from None
    with matplotlib.rc_context({**_LOOK, "backend": "agg"}):
        yield


def new_figure(width: float = 6.0, height: float = 4.0, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Returns an empty figure and its axes, side by side; the size is in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def explain(artist: Artist, text: str) -> None:
    """Makes `text` what a reader of the SVG or the page sees when the pointer rests on `artist`."""
    figure = artist.get_figure(root=True)
    assert figure is not None
    notes: dict[str, str] = figure.__dict__.setdefault("notes", {})
    name = f"note-{len(notes) + 1}"
    artist.set_gid(name)
    notes[name] = text


@dataclass(frozen=True)
class Saved:
    """A figure on disk.

    Attributes:
        name: Of its files, without suffix.
        caption: What it shows, in a sentence or two.
        svg: The SVG element.
    """

    name: str
    caption: str
    svg: str


def save_figure(figure: Figure, folder: Path, name: str, caption: str) -> Saved:
    """Writes a figure as `NAME.svg` and `NAME.pdf`; the same figure gives the same bytes."""
    from io import BytesIO

    import matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None, "Title": caption})
    drawn = BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):  # figures on one page must not share the names of their parts
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Title": caption})
    text = drawn.getvalue().decode()
    for key, note in figure.__dict__.get("notes", {}).items():
        text = text.replace(f'<g id="{key}">', f'<g id="{name}-{key}"><title>{html.escape(note)}</title>')
    (folder / f"{name}.svg").write_text(text, encoding="utf-8", newline="\n")
    return Saved(name, caption, text[text.index("<svg") :])


# ---- the page


def write_page(
    path: Path, title: str, words: Sequence[str], figures: Sequence[Saved], tables: Sequence[tuple[str, pandas.DataFrame]]
) -> None:
    """Writes one HTML file with the figures and tables in it; it needs no network and no script.

    Args:
        path: The file.
        title: Its head.
        words: Paragraphs under the head: how the numbers came about.
        figures: As `save_figure` returns them.
        tables: A heading and a table each.
    """
    sheet = (Path(__file__).parent / "assets" / "style.css").read_text("utf-8")
    parts = [f"<h1>{html.escape(title)}</h1>", *(f"<p>{html.escape(text)}</p>" for text in words)]
    for saved in figures:
        files = " ".join(f'<a href="{saved.name}.{kind}">{kind.upper()}</a>' for kind in ("svg", "pdf"))
        parts.append(f"<figure>{saved.svg}<figcaption>{html.escape(saved.caption)} {files}</figcaption></figure>")
    for heading, table in tables:
        parts.append(f'<h2>{html.escape(heading)}</h2><div class="scroll">{_table(table)}</div>')
    text = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title><style>{sheet}{_PAGE}</style></head>
<body><main>{"".join(parts)}</main></body></html>
"""
    write_whole(path, text)


_PAGE = "figure{margin:1.6rem 0}figure svg{display:block;width:100%;max-width:760px;height:auto;background:#fff;border-radius:8px}"


def _table(table: pandas.DataFrame) -> str:
    """Returns a table as HTML; numbers stand right, what is missing is blank."""
    kinds = [' class="n"' if table[name].dtype.kind in "if" else "" for name in table.columns]
    head = "".join(f"<th{kind}>{html.escape(str(name))}</th>" for name, kind in zip(table.columns, kinds, strict=True))
    rows = ["".join(_cell(value) for value in row) for row in table.itertuples(index=False)]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(f'<tr>{row}</tr>' for row in rows)}</tbody></table>"


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return f"<td>{html.escape(value)}</td>"
    return f'<td class="n">{number(None if value is None else float(value))}</td>'
