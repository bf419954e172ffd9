"""Reading folders and pages: files that are a document each, and folders of those or of data files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from colstore.corpus import lines
from colstore.corpus.encodings import check_encoding, detect_encoding, guess
from colstore.corpus.folder_walk import Walk, ending
from colstore.corpus.html import html_charset, html_page
from colstore.corpus.layout import PAGES, Selection, is_included, select
from colstore.corpus.lines import printable
from colstore.corpus.markdown import markdown_title
from colstore.corpus.pdf import can_read_pdf, pdf_page, require_pdf
from colstore.corpus.record import RawItem, Record
from colstore.corpus.rst import rst_title
from colstore.errors import CorpusError
from colstore.reports import ReadReport

_MARKDOWN = frozenset({".md", ".markdown", ".mdx"})
_HTML = frozenset({".html", ".htm", ".xhtml"})
DataReader = Callable[[Path], "Iterator[RawItem] | None"]
"""Returns the records of a data file; ``None`` for a file that is none."""


@dataclass(frozen=True, slots=True)
class PageOptions:
    """How pages are read.

    Parameters
    ----------
    include
        Globs of the files that are read; empty for all that are documents.
    encoding
        Encoding of the files; ``None`` means UTF-8, or what a page itself says.
    """

    include: tuple[str, ...] = ()
    encoding: str | None = None


def read_folder(folder: Path, options: PageOptions, read_data: DataReader, report: ReadReport) -> Iterator[RawItem]:
    """Return the records of a folder, by the rules of :mod:`colstore.corpus.layout`.

    The id of a page is its path relative to the folder, with ``/`` as separator. Pages are sorted by it. What is passed
    over is counted in the report at once.

    Raises
    ------
    CorpusError
        A folder cannot be listed, or it is not clear what to read.
    """
    selection = select(folder, options.include, can_read_pdf=can_read_pdf)
    for kind, count in selection.passed_over.items():
        report.passed_over[kind] = report.passed_over.get(kind, 0) + count
    report.notes += selection.notes
    return _read_selection(folder, selection, options, read_data)


def _read_selection(
    folder: Path, selection: Selection, options: PageOptions, read_data: DataReader
) -> Iterator[RawItem]:
    names = filter(selection.takes, Walk(folder).files()) if selection.files is None else iter(selection.files)
    for name in names:
        records = read_data(folder / name)
        if records is not None:
            yield from records
        else:
            yield read_page(folder / name, name, options)


def is_page(path: Path, include: Sequence[str]) -> bool:
    """Tell whether a single file is read as a page: by its ending, or because the caller names it."""
    return ending(path.name) in PAGES or (bool(include) and is_included(path.name, include))


def read_page(path: Path, identifier: str, options: PageOptions) -> RawItem:
    """Return the record of a page, or the error in its place.

    The text of Markdown, reStructuredText and other text is the content of the file, unchanged; of HTML and PDF it is
    what a reader sees.

    Raises
    ------
    MissingDependencyError
        The page is a PDF file, and the extra is missing.
    """
    name = printable(path)
    if not path.is_file():  # a dangling link, or a pipe, reading which might never end
        return CorpusError("is not a regular file: remove it or the link to it", source=name)
    try:
        with path.open("rb") as stream:
            raw = stream.read(lines.MAX_LINE_BYTES + 1)
    except OSError as error:
        return CorpusError(f"cannot be read: {error.strerror or error}", source=name)
    if len(raw) > lines.MAX_LINE_BYTES:
        return CorpusError(f"is larger than {lines.MAX_LINE_BYTES:,} bytes: split the document", source=name)
    try:
        title, text = _title_and_text(raw, ending(path.name), name, options.encoding)
    except CorpusError as error:
        return error
    return Record({"id": identifier, "title": title, "text": text}, name)


def _title_and_text(raw: bytes, kind: str, name: str, encoding: str | None) -> tuple[str, str]:
    if kind == ".pdf":
        require_pdf()
        return pdf_page(raw, name)
    if kind in _HTML:
        return html_page(_decoded(raw, name, encoding or html_charset(raw)))
    text = _decoded(raw, name, encoding)
    if kind in _MARKDOWN:
        return markdown_title(text), text
    return rst_title(text) if kind == ".rst" else "", text


def _decoded(raw: bytes, name: str, encoding: str | None) -> str:
    chosen, mark = detect_encoding(raw, check_encoding(encoding))
    try:
        text = raw[mark:].decode(chosen)
    except UnicodeDecodeError as error:
        line = raw[: mark + error.start].count(b"\n") + 1
        title = "UTF-8" if chosen == "utf-8" else chosen
        message = f"not {title} (byte {raw[mark + error.start]:#04x}): {guess(raw, chosen)}"
        raise CorpusError(message, source=name, line=line) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise CorpusError("holds a NUL character: this is probably not a text file", source=name, line=line)
    return text
