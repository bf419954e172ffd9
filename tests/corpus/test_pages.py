"""Titles and texts of pages: Markdown, reStructuredText, HTML and PDF."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from colstore.corpus import ReadReport, read_documents
from colstore.corpus.html import html_page
from colstore.corpus.markdown import markdown_title
from colstore.corpus.rst import rst_title
from colstore.errors import CorpusError, MissingDependencyError

Write = Callable[[str, "str | bytes"], Path]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# One\n# Two", "One"),
        ("intro\n\n## The *dance* of `bees` ##\n", "The dance of bees"),
        ("Two words\n=========\n", "Two words"),
        ("Two words\n---------\n", "Two words"),
        ("~~~~\n# code\n~~~\n~~~~\n# After", "After"),
        ("````\n```\n# code\n```\n````\nSetext\n===", "Setext"),
        ("    # indented code\n\n# Real", "Real"),
        ("<!-- # no\n\n# neither -->\n# Real", "Real"),
        ('<h1 align="center">\n<img src="x.png"> A &amp; B</h1>\n\n## Later', "A & B"),
        ("---\ntitle: 'It''s'\n---\n# Heading", "It's"),
        ("---\r\ntitle: Windows\r\n---\r\n# Heading", "Windows"),
        ("---\ntitle: >\n  folded\n  lines\n---\n", "folded lines"),
        ("---\ntitle: 2024\n---\n", "2024"),
        ("---\n# title: no\ntags: [a]\n---\n# Heading", "Heading"),
        ("---\ntitle: broken: yaml\n---\n# Heading", "Heading"),
        ("---\ntitle: [a, b]\n---\n# Heading", "Heading"),
        ('+++\ntitle = "Toml"\n+++\n# Heading', "Toml"),
        ("---\nnot front matter", ""),
        ("#hashtag", ""),
        ("", ""),
    ],
)
def test_markdown_titles(text: str, title: str) -> None:
    assert markdown_title(text) == title


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Bees\n====\n\ntext", "Bees"),
        (".. _label:\n\n*******\n Bees\n*******\n", "Bees"),
        ("too long\n---\n", ""),
        ("text::\n\n   code\n   ====\n\nReal\n----\n", "Real"),
        ("first\nsecond\n------\n", ""),
        ("----\n\nBees\n~~~~\n", "Bees"),
    ],
)
def test_titles_of_restructured_text(text: str, title: str) -> None:
    assert rst_title(text) == title


@pytest.mark.parametrize(
    ("source", "title", "text"),
    [
        ("<title> A\n B </title><h1>H</h1><p>x", "A B", "H\n\nx"),
        ("<h1>H <b>i</b></h1><ul><li>one<li>two</ul>", "H i", "H i\n\none\ntwo"),
        ("<p>a<script>var x = '<p>';</script><style>p{}</style><!-- c --><svg><title>no</title></svg>b", "", "ab"),
        ("<pre>a\n  b</pre>a   b", "", "a\nb\n\na b"),
        ("<table><tr><td>1<td>2<tr><td>3</table>", "", "1 2\n3"),
        ("&lt;tag&gt; &nbsp;&copy;", "", "<tag> ©"),
        ("<p>open <b>and <i>never closed", "", "open and never closed"),
        ("<script/><p>x", "", "x"),
    ],
)
def test_html(source: str, title: str, text: str) -> None:
    assert html_page(source) == (title, text)


def test_html_in_the_encoding_that_it_declares(write: Write, tmp_path: Path) -> None:
    write("c/a.html", '<meta charset="iso-8859-1"><p>café “x”'.encode("cp1252"))
    write("c/b.html", '<meta http-equiv="Content-Type" content="text/html; charset=koi8-r"><p>пчела'.encode("koi8-r"))
    write("c/c.html", "<p>naïve".encode("utf-16"))
    assert [document.text for document in read_documents(tmp_path / "c")] == ["café “x”", "пчела", "naïve"]


def test_text_in_another_encoding(write: Write) -> None:
    path = write("a.md", "# café".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"a\.md:1: not UTF-8 .*encoding='latin-1'"):
        list(read_documents(path))
    (document,) = read_documents(path, encoding="latin-1")
    assert (document.id, document.title) == ("a.md", "café")


def a_pdf(*lines: str) -> bytes:
    """Return a small PDF file, one page for each line."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(lines)))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(lines)}>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for number, line in enumerate(lines):
        stream = f"BT /F1 12 Tf 50 700 Td ({line}) Tj ET"
        font = "/Resources<</Font<</F1 3 0 R>>>>"
        objects.append(f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]{font}/Contents {5 + 2 * number} 0 R>>")
        objects.append(f"<</Length {len(stream)}>>stream\n{stream}\nendstream")
    objects.append("<</Title(About bees)>>")
    body, places = "%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj{content}endobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    size = len(objects) + 1
    end = f"trailer<</Size {size}/Root 1 0 R/Info {size - 1} 0 R>>\nstartxref\n{len(body)}\n%%EOF"
    return f"{body}xref\n0 {size}\n0000000000 65535 f \n{table}{end}".encode("latin-1")


def test_pdf(write: Write, tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2", reason="PDF files need the extra pdf")
    write("c/a.pdf", a_pdf("Bees dance.", "Daily."))
    write("c/b.pdf", b"%PDF-1.4 broken")
    write("c/d.pdf", a_pdf(""))
    report = ReadReport()
    (document,) = read_documents(tmp_path / "c", on_error="skip", report=report)
    assert (document.id, document.title, document.text) == ("a.pdf", "About bees", "Bees dance.\n\nDaily.")
    assert ["cannot be read as PDF" in report.examples[0], "no text" in report.examples[1]] == [True, True]


def test_pdf_without_its_library(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    path = write("c/a.pdf", a_pdf("Bees."))
    for source in (path, path.parent):
        with pytest.raises(MissingDependencyError, match=r"pip install '\.\[pdf\]'"):
            list(read_documents(source))
    write("c/b.md", "text")
    report = ReadReport()
    assert [document.id for document in read_documents(tmp_path / "c", report=report)] == ["b.md"]
    assert report.passed_over == {".pdf": 1}
    assert "pip install" in report.notes[0]
