"""The report and the files: whole, escaped, and without anything from elsewhere."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from colstore.errors import ConfigError
from colstore.evaluate.report import NAMES, html_report, save_comparison
from tests.evaluate.rows import MEASURES, comparison, full

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Structure(HTMLParser):
    """Checks that elements are closed in order, and collects what a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "data", "srcset", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "which"
    assert save_comparison(comparison(), path) == []
    return path


def test_all_files_are_there(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == set(NAMES)


def test_the_page_is_sound_and_needs_nothing_else(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    structure = Structure()
    structure.feed(page)
    assert structure.open == []
    assert "svg" in structure.seen
    assert not {"script", "link", "img", "iframe"} & set(structure.seen)
    assert all(value.startswith("#") for value in structure.loads)  # glyphs of the drawing
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert not re.search(r"url\((?!#)|@import|(src|href)=.https?:", without_names)
    assert page.startswith("<!DOCTYPE html>")


def test_names_cannot_break_the_page(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "a &lt;model&gt; &amp; more" in page
    assert "one thing &lt;was&gt; left out" in page
    assert "<was>" not in page


def test_the_page_says_what_there_is_to_know(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    for row in full():
        assert f"<td>{row.label}</td>" in page or f'<td class="best">{row.label}</td>' in page
    assert comparison().advice[1] in page.replace("&lt;", "<")
    assert "1 evaluated query has no hit and counts 0" in page
    assert "randomisation test" in page
    assert page.count('class="best"') == 2  # name and figure of one row


def test_figures_come_back_from_csv_and_json(folder: Path) -> None:
    rows = list(csv.DictReader(io.StringIO((folder / "table.csv").read_text(encoding="utf-8"))))
    assert [row["key"] for row in rows] == [row.key for row in full()]
    first = full()[0]
    for name in MEASURES:
        assert float(rows[0][name]) == pytest.approx(first.intervals[name].mean, abs=1e-6)
    assert float(rows[0]["ms p95"]) == first.latency.p95
    found = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    assert found["rows"][11]["base"] == "4-bit"
    assert len(found["rows"][0]["per_query"]["MAP"]) == len(found["queries"])
    assert found["advice"] == list(comparison().advice)


def test_nothing_is_replaced_unasked(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"table\.csv already"):
        save_comparison(comparison(), folder)
    save_comparison(comparison(), folder, overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        save_comparison(comparison(), tmp_path / "file")


def test_without_matplotlib_the_rest_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("colstore.extras.is_installed", lambda name: name != "matplotlib")
    (note,) = save_comparison(comparison(), tmp_path)
    assert "plot" in note
    assert {path.name for path in tmp_path.iterdir()} == {"table.csv", "comparison.json", "report.html"}
    assert "No plot" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_page_without_a_picture_is_sound_too() -> None:
    structure = Structure()
    structure.feed(html_report(comparison()))
    assert structure.open == []
