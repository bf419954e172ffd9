"""The title and the text of an HTML page, by the parser of Python's own library.

A larger library would find the boundaries of broken pages as a browser does; for a title and the text, in which no
structure is kept, that changes nothing, and the base installation stays small.
"""

from __future__ import annotations

import codecs
import re
from html.parser import HTMLParser

_SILENT = frozenset({"script", "style", "template", "noscript", "svg", "iframe"})
"""Elements whose content is not part of the text."""
_INLINE = frozenset(
    {"a", "abbr", "b", "bdi", "bdo", "cite", "code", "del", "dfn", "em", "font", "i", "img", "ins", "kbd", "label"}
    | {"mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr"}
)
"""Elements within a line; all others begin and end lines."""
_CELLS = frozenset({"td", "th"})
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_APART = _HEADINGS | {"p", "table", "ul", "ol", "dl", "pre", "blockquote"}
"""Elements with a blank line before and after."""
_CHARSET = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?\s*([\w.:-]+)|<\?xml[^>]+encoding\s*=\s*["']([\w.:-]+)""", re.I)
_CHARSET_BYTES = 2048
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")


def html_page(source: str) -> tuple[str, str]:
    r"""Return the title and the text of a page.

    The title is the content of ``<title>``, else that of the first ``<h1>``. Paragraphs, rows and items stand on lines
    of their own; scripts, styles and comments are left out.

    Examples
    --------
    >>> html_page("<title>Bees &amp; co</title><body><p>They <b>dance</b>.<p>Daily.<script>x()</script>")
    ('Bees & co', 'They dance.\n\nDaily.')
    """
    reader = _Reader()
    reader.feed(source)
    reader.close()
    return reader.title or reader.first_of("h1"), reader.text()


def html_heading(source: str) -> str:
    """Return the text of the first heading in a piece of HTML, or an empty string.

    Examples
    --------
    >>> html_heading("<!-- <h1>No</h1> --><h2 align=center><img src=x> Yes</h2>")
    'Yes'
    """
    reader = _Reader()
    reader.feed(source)
    reader.close()
    return next((title for _, title in reader.headings if title), "")


def html_charset(raw: bytes) -> str | None:
    """Return the encoding that a page declares in its first bytes; ``None`` without one that Python knows."""
    found = _CHARSET.search(raw[:_CHARSET_BYTES])
    if found is None:
        return None
    name = (found[1] or found[2]).decode("ascii", "replace").lower()
    if name in ("iso-8859-1", "latin1", "latin-1", "us-ascii", "ascii"):
        return "cp1252"  # what browsers take these for
    try:
        name = codecs.lookup(name).name
    except LookupError:
        return None
    return None if name.startswith(("utf-16", "utf-32", "utf-8")) else name  # a page read as bytes so far is not UTF-16


class _Reader(HTMLParser):
    """Collects the title, the headings and the text of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self.headings: list[tuple[str, str]] = []
        self._pieces: list[str] = []
        self._silent: list[str] = []
        self._open: list[tuple[str, list[str]]] = []  # the title or heading that is being read
        self._preformatted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - of the base class
        if tag in _SILENT:
            self._silent.append(tag)
        if self._silent:
            return
        self._break(tag)
        self._preformatted += tag == "pre"
        if tag == "title" or tag in _HEADINGS:
            self._open = [(tag, [])]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _SILENT:  # <script/> in XHTML
            self.handle_starttag(tag, attrs)
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._silent:
            del self._silent[self._silent.index(tag) :]
            return
        if self._silent:
            return
        if self._open and self._open[0][0] == tag:
            self._close_title()
        self._preformatted -= tag == "pre" and self._preformatted > 0
        self._break(tag)

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        for _, pieces in self._open:
            pieces.append(data)
        if not (self._open and self._open[0][0] == "title"):
            self._pieces.append(data if self._preformatted else re.sub(r"\s+", " ", data))

    def close(self) -> None:
        super().close()
        if self._open:
            self._close_title()

    def first_of(self, tag: str) -> str:
        return next((title for name, title in self.headings if name == tag), "")

    def text(self) -> str:
        lines = re.sub(r"[ \t\r]+", " ", "".join(self._pieces)).split("\n")
        return _BLANK_LINES.sub("\n\n", "\n".join(line.strip(" ") for line in lines)).strip()

    def _close_title(self) -> None:
        (tag, pieces), self._open = self._open[0], []
        title = " ".join("".join(pieces).split())
        if tag == "title":
            self.title = self.title or title
        else:
            self.headings.append((tag, title))

    def _break(self, tag: str) -> None:
        if tag in _CELLS:
            self._pieces.append(" ")
        elif tag not in _INLINE:
            self._pieces.append("\n\n" if tag in _APART else "\n")
