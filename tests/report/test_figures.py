"""Figures on disk: the same bytes each time, notes in the SVG, and a page that trusts nobody's names."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pandas
import pytest

from nas.errors import RunError
from nas.report.figures import Saved, explain, new_figure, paper_look, save_figure, style, write_page


def drawn(folder: Path, name: str = "figure") -> Saved:
    with paper_look():
        figure, (axes,) = new_figure(3, 2)
        (line,) = axes.plot([1, 2], [3, 4])
        explain(line, "a <b> & c")
        return save_figure(figure, folder, name, "A line")


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    drawn(tmp_path / "a")
    drawn(tmp_path / "b")
    for suffix in ("svg", "pdf"):
        assert (tmp_path / f"a/figure.{suffix}").read_bytes() == (tmp_path / f"b/figure.{suffix}").read_bytes()


def test_a_note_is_the_title_of_its_part(tmp_path: Path) -> None:
    saved = drawn(tmp_path)
    root = ElementTree.fromstring((tmp_path / "figure.svg").read_text(encoding="utf-8"))
    group = next(part for part in root.iter() if part.get("id") == "figure-note-1")
    assert group[0].tag.endswith("title") and group[0].text == "a <b> & c"
    assert saved.svg.startswith("<svg") and ElementTree.fromstring(saved.svg).tag == root.tag
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF-")


def test_figures_on_one_page_refer_to_their_own_parts(tmp_path: Path) -> None:
    first, second = (drawn(tmp_path, name).svg for name in ("first", "second"))
    clips = [
        {part.get("id") for part in ElementTree.fromstring(svg).iter() if part.tag.endswith("clipPath")} for svg in (first, second)
    ]
    assert clips[0] and not clips[0] & clips[1]


def test_styles_differ() -> None:
    assert len({style(i) for i in range(56)}) == 56 and style(56) == style(0)


def test_the_page_escapes_what_it_is_told(tmp_path: Path) -> None:
    table = pandas.DataFrame({"network": ["<script>alert(1)</script>"], "params": [1234567], "accuracy": [float("nan")]})
    write_page(tmp_path / "index.html", "<i>", ["a < b"], [drawn(tmp_path)], [("T & U", table)])
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<script" not in page and "<i>" not in page and "a &lt; b" in page and "T &amp; U" in page
    assert '<td class="n">1,234,567</td><td class="n"></td>' in page
    assert 'href="figure.pdf"' in page and page.count("<svg") == 1
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(RunError, match=r"paretonas\[paper\]"), paper_look():
        pass
