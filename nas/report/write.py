"""Writes a report: one HTML file with everything in it, plotly included, and a CSV beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.errors import RunError
from nas.files import write_whole
from nas.lines import counted
from nas.rungs import agreement_words
from nas.table import table_legend

if TYPE_CHECKING:
    import pandas

    from nas.report.content import Content
    from nas.report.network import ShownNetwork
    from nas.run import Run

ASSETS = Path(__file__).parent / "assets"
OPEN_BYTES = 2_000_000
"""Bytes of networks that stand in the page as they are; further ones are compressed to a quarter and unfolded on click."""


def write_report(run: Run, path: str | Path) -> Path:
    """Writes the report of a run, whether it has ended or not; reads the record alone.

    Args:
        run: From `nas.open_run`.
        path: The HTML file. The CSV has its name with the suffix `.csv`: one row a network evaluated, `front` tells those of the
            front.

    Returns:
        The HTML file.

    Raises:
        RunError: When a package of the extra `report` is missing, or a file cannot be written.
    """
    path = Path(path)
    try:
        import jinja2  # noqa: F401 - asked for here, before anything is read
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise RunError(f"a report needs the package {error.name}; get it with: pip install 'paretonas[report]'") from None
    from nas.report.content import gather

    content = gather(run)
    text = page(content, get_plotlyjs())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path.with_suffix(".csv"), csv_text(content.table))
        write_whole(path, text)
    except OSError as error:
        raise RunError(f"the report {path} cannot be written: {error.strerror or error}; name another file") from None
    return path


def page(content: Content, plotly: str) -> str:
    """Returns the HTML of a report.

    Args:
        content: What it says. Every text in it counts as hostile and is escaped.
        plotly: JavaScript of plotly.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from nas.picture import PICTURE_STYLE

    environment = Environment(
        loader=FileSystemLoader(ASSETS), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"counted": counted, "agreement_words": agreement_words}
    network = environment.get_template("network.html")
    networks = _networks(content)
    legend = table_legend()
    sections = [network.render(network=one, shown=content.shown, legend=legend, svg=Markup(one.picture)) for one in networks]  # noqa: S704
    return environment.get_template("page.html").render(
        content=content,
        sections=_packed([one.id for one in networks], sections, content.knee),
        data=_data(content),
        style=Markup((ASSETS / "style.css").read_text("utf-8") + PICTURE_STYLE),  # noqa: S704 - own text
        script=Markup((ASSETS / "script.js").read_text("utf-8")),  # noqa: S704 - own text
        plotly=Markup(plotly.replace("</script", "<\\/script")),  # noqa: S704 - the library's text
    )


def _networks(content: Content) -> list[ShownNetwork]:
    """Returns the networks of the front, then those baselines that are none of them; each once, whatever its names."""
    networks = {one.id: one for one in content.front}
    for baseline in content.baselines:
        networks.setdefault(baseline.network.id, baseline.network)
    return list(networks.values())


def _packed(ids: list[str], sections: list[str], first: str) -> list[dict[str, Any]]:
    """Returns the sections of networks in order, as they are while there is room, then compressed."""
    import base64
    import zlib

    from markupsafe import Markup

    room = OPEN_BYTES
    rows = []
    for id, text in sorted(zip(ids, sections, strict=True), key=lambda pair: pair[0] != first):
        room -= len(text)
        is_open = room >= 0 or id == first
        packed = "" if is_open else base64.b64encode(zlib.compress(text.encode(), 9)).decode()
        rows.append({"id": id, "html": Markup(text) if is_open else "", "packed": packed})  # noqa: S704 - rendered above
    return rows


def _data(content: Content) -> dict[str, Any]:
    """Returns what the script draws from."""
    return {
        "columns": [{"name": c.name, "label": c.label, "direction": c.direction, "share": c.is_share} for c in content.columns],
        "objectives": [o.name for o in content.objectives],
        "points": content.points,
        "intervals": content.intervals,
        "curves": {one.id: _curve(one.curve) for one in _networks(content)},
        "first": content.knee,
    }


def _curve(curve: Sequence[Mapping[str, float]]) -> dict[str, list[float | None]]:
    """Returns a curve by column, with six digits."""
    names = dict.fromkeys(name for entry in curve for name in entry)
    return {name: [float(f"{entry[name]:.6g}") if name in entry else None for entry in curve] for name in names}


def csv_text(table: pandas.DataFrame) -> str:
    """Returns the table as CSV; genotypes as JSON, parents apart by blanks, no text that a spreadsheet takes for a formula."""
    import msgspec

    table = table.copy()
    table["genotype"] = [msgspec.json.encode(value).decode() for value in table["genotype"]]
    table["parents"] = [" ".join(value) for value in table["parents"]]
    table["error"] = [f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text for text in table["error"].astype(str)]
    text: str = table.to_csv(index=False, lineterminator="\n")
    return text
